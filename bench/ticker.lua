-- Ticker: a job sleeps 1 ms N times beside four jobs that compute and have time
-- slices of 5 ms: in a loop, or where Lua cannot yield. Prints how late it woke:
-- the median, the 99th percentile, and the least, in milliseconds. It wants an
-- idle machine.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

local SECONDS <const> = 0.001

local state = { done = false }

local function work(n)
  for _ = 1, n do
    if state.done then return end
  end
end

local function loop()
  while not state.done do end
end

-- Each calls functions in the middle of C functions, for several slices at a time.
local within_c = {
  function()
    local list = {}
    while not state.done do
      for i = 1, 300 do list[i] = i * 7919 % 307 end
      table.sort(list, function(a, b) work(1000) return a < b end)
    end
  end,
  function()
    while not state.done do (("x"):rep(1000)):gsub("x", function() work(10000) end) end
  end,
  function()
    local list = setmetatable({}, {
      __len = function() return 1000 end, __index = function() work(10000) return "x" end,
    })
    while not state.done do table.concat(list) end
  end,
  function()
    local steps = coroutine.wrap(function()
      while true do
        work(10000000)
        coroutine.yield()
      end
    end)
    while not state.done do steps() end
  end,
}

--- Sleeps n times; returns how late it was each time.
local function sample(uvjobs, n)
  local samples = {}
  for i = 1, n do
    local began = uvjobs.now()
    uvjobs.sleep(SECONDS)
    samples[i] = uvjobs.now() - began - SECONDS
  end
  return samples
end

local function side(busy)
  return function(n)
    local uvjobs = require "uvjobs"
    return function()
      return common.percentiles(uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler { timeslice = 0.005 }
        for i = 1, 4 do jobs:spawn(busy[i]) end
        local samples = sample(uvjobs, n)
        state.done = true
        return samples
      end))
    end
  end
end

common.main(500, {
  uvjobs = side { loop, loop, loop, loop },
  ["uvjobs-within-c"] = side(within_c),
})
