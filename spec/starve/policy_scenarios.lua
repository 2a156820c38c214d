-- Scenarios of policies while memory is short, for starve.c. All that a scenario has made is gone
-- when it has failed: so afterwards no job waits in the line of a policy.

local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"

return function(add_run, quiet, equals)
  add_run("a rate with keys", function()
    local rate = policy.rate { rate = 10, key = function(x) return x end, keys = 3 }
    local jobs <close> = quiet()
    local started = 0
    local function start() started = started + 1 end
    for i = 1, 6 do jobs:spawn(rate.call, rate, start, i % 3) end
    local gone = jobs:spawn(rate.call, rate, start, 1)
    uvjobs.yield()
    gone:cancel()
    jobs:wait_and_close()
    rate:set { rate = 20 }
    uvjobs.sleep(1)
    return started, rate:stats().waiting, (rate:try(4))
  end, equals(6, 0, true))

  add_run("a limit for each key", function()
    local limit = policy.limit { limit = 1, key = function(_, x) return x end }
    local jobs <close> = quiet()
    for i = 1, 4 do jobs:spawn(limit.call, limit, uvjobs.sleep, 1, i % 2) end
    jobs:wait_and_close()
    return limit:stats().running, limit:stats().keys
  end, equals(0, 0))

  add_run("a breaker that opens", function()
    local breaker = policy.breaker { minimum = 20, open = 1 }
    for i = 1, 40 do
      pcall(breaker.call, breaker, i % 2 == 0 and error or uvjobs.yield)
      uvjobs.sleep(0.01)
    end
    uvjobs.sleep(1)
    breaker:call(uvjobs.yield)
    return breaker:state(), breaker:stats().probing
  end, equals("closed", 0))

  add_run("runs that are shared", function()
    local single, debounce = policy.single(), policy.debounce { wait = 0.1 }
    local jobs <close> = quiet()
    for _ = 1, 3 do
      jobs:spawn(single.call, single, "key", uvjobs.sleep, 1)
      jobs:spawn(debounce.call, debounce, uvjobs.yield)
    end
    jobs:wait_and_close()
    return single:stats().running
  end, equals(0))
end
