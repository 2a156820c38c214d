-- Scenarios of priorities, keys and rates of starts while memory is short, for scenarios.lua.

local uvjobs = require "uvjobs"

return function(add_run, quiet, equals)
  add_run("priorities and keys", function()
    local jobs <close> = quiet { limit = 1, fair = true, aging = 5, key_limit = 1 }
    local count = 0
    for i = 1, 6 do
      jobs:spawn({ priority = i, key = "key " .. i % 3, name = "job" }, function()
        uvjobs.sleep(1)
        count = count + 1
      end)
    end
    jobs:wait_idle()
    return count
  end, equals(6))

  add_run("the first priority of a scheduler in use", function()
    local jobs <close> = quiet { limit = 1 }
    local order = ""
    for i = 1, 3 do jobs:spawn(function() uvjobs.yield() order = order .. i end) end
    jobs:spawn({ priority = 1 }, function() order = order .. "p" end)
    jobs.start_rate = 10
    jobs:wait_idle()
    return order
  end, equals("1p23"))

  add_run("unique jobs and blocked spawns of keys", function()
    local jobs <close> = quiet { limit = 1, pending_limit = 0, start_rate = 2 }
    local spawners <close> = quiet()
    local made = 0
    for i = 1, 4 do
      spawners:spawn(function()
        local _, is_new = jobs:spawn({ key = i // 2, unique = true, priority = i }, uvjobs.sleep, 1)
        if is_new then made = made + 1 end
      end)
    end
    spawners:wait_idle()
    jobs:wait_idle()
    return made
  end, function(made) assert(made >= 3) end)
end
