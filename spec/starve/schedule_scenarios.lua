-- Scenarios of schedules and repetitions while memory is short, for scenarios.lua.

local schedule = require "uvjobs.schedule"
local uvjobs = require "uvjobs"

local HOUR <const> = 3600

return function(add_run, quiet, equals)
  add_run("schedules", function()
    local nightly = schedule.cron("30 2 * * *", { zone = "Europe/Berlin", fold = "both" })
    local any = schedule.any { nightly, schedule.every(HOUR), schedule.at "2026-01-01T00:00Z" }
    local rest = any:except(schedule.cron("* * * * *", { zone = "UTC" }))
    local count = 0
    for _ in any:between(0, 86400) do count = count + 1 end
    return count, rest:next(0), #nightly:explain "2026-10-25" > 0, #tostring(rest) > 0
  end, equals(25, nil, true, true))

  add_run("dates", function()
    uvjobs.sleep_until(uvjobs.time() + 10)
    return uvjobs.now()
  end, equals(10.0))

  -- An occurrence for which there is no memory is dropped, and counted.
  add_run("repetitions", function()
    local jobs <close> = quiet()
    local all = {}
    for i, overlap in ipairs { "skip", "one", "all", "cancel", "allow" } do
      all[i] = jobs:every(10, { overlap = overlap, jitter = 2, name = overlap }, function()
        uvjobs.sleep(15)
      end)
    end
    uvjobs.sleep(103)
    local counted = 0
    for _, repeating in ipairs(all) do
      counted = counted + repeating.runs + repeating.skipped + repeating.waiting
      repeating:stop()
    end
    jobs:close()
    return counted
  end, equals(50))

  add_run("a repetition that ends in every way", function()
    local jobs <close> = quiet()
    local once = jobs:at(uvjobs.time() + 1, function() end)
    local waited = once:wait(60)
    local closed = jobs:every(5, { overlap = "allow" }, function() uvjobs.sleep(100) end)
    uvjobs.sleep(11)
    closed:close()
    local paused = jobs:every(5, { on_error = "pause" }, function() error "x" end)
    uvjobs.sleep(11)
    return waited, closed.closed, closed.running, paused.runs + paused.skipped > 0
  end, equals(true, true, 0, true))
end
