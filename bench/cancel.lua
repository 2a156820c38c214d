-- Cancel: N jobs are spawned, put to sleep, all cancelled, and each awaited. The
-- reference is `spawn.lua bare`.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

--- N jobs that are asleep.
local function asleep(uvjobs, jobs, n)
  local handles = {}
  for i = 1, n do handles[i] = jobs:spawn(uvjobs.sleep, 3600) end
  uvjobs.yield()
  return handles
end

--- A side; `finish` gets the scheduler and the handles.
local function uvjobs_with(finish)
  return function(n)
    local uvjobs = require "uvjobs"
    return function()
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler { limit = math.huge }
        finish(jobs, asleep(uvjobs, jobs, n))
      end)
    end
  end
end

common.main(100000, {
  uvjobs = uvjobs_with(function(_, handles)
    for i = 1, #handles do handles[i]:cancel() end
    for i = 1, #handles do handles[i]:join() end
  end),

  -- `wait` raises what the job ended with, so it takes a pcall.
  ["uvjobs-wait"] = uvjobs_with(function(_, handles)
    for i = 1, #handles do handles[i]:cancel() end
    for i = 1, #handles do pcall(handles[i].wait, handles[i]) end
  end),

  -- One after the other: each close suspends.
  ["uvjobs-each"] = uvjobs_with(function(_, handles)
    for i = 1, #handles do handles[i]:close() end
  end),

  -- All together.
  ["uvjobs-close"] = uvjobs_with(function(jobs) jobs:close() end),
})
