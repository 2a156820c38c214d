-- Growth: what an operation costs per job when N jobs live at once. Compare two
-- N. All jobs are there before the first one runs, ends or is cancelled.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

math.randomseed(1)

local function nothing() end

--- The numbers 1 to n.
local function counted(n)
  local order = {}
  for i = 1, n do order[i] = i end
  return order
end

--- The same in random order.
local function shuffled(n)
  local order = counted(n)
  for i = n, 2, -1 do
    local j = math.random(i)
    order[i], order[j] = order[j], order[i]
  end
  return order
end

local function bare(n, order)
  local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield
  return function()
    local all = {}
    for i = 1, n do
      all[i] = create(yield)
      resume(all[i])
    end
    for i = 1, n do
      resume(all[order[i]])
      all[order[i]] = false
    end
  end
end

local function uvjobs_with(fn)
  return function(n)
    local uvjobs = require "uvjobs"
    return function()
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler { limit = math.huge }
        fn(uvjobs, jobs, n)
      end)
    end
  end
end

common.main(1000000, {
  spawn = uvjobs_with(function(_, jobs, n)
    for _ = 1, n do jobs:spawn(nothing) end
  end),

  -- A million jobs a second wake up, whatever N is.
  sleep = uvjobs_with(function(uvjobs, jobs, n)
    local seconds = n / 1e6
    local function nap() uvjobs.sleep(seconds * math.random()) end
    for _ = 1, n do jobs:spawn(nap) end
  end),

  cancel = uvjobs_with(function(uvjobs, jobs, n)
    local handles = {}
    for i = 1, n do handles[i] = jobs:spawn(uvjobs.sleep, 3600) end
    uvjobs.yield()
    for i = 1, n do handles[i]:cancel() end
    for i = 1, n do handles[i]:join() end
  end),

  -- What memory and the collector cost alone: without any scheduler, N
  -- coroutines are made, suspended, and resumed in random order, or in the order
  -- of their making.
  bare = function(n) return bare(n, shuffled(n)) end,
  ["bare-inorder"] = function(n) return bare(n, counted(n)) end,
})
