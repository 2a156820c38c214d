-- Scenarios of supervisors while memory is short, for scenarios.lua. One whose rules fail ends
-- with that error: none of them may hang.

local uvjobs = require "uvjobs"

local new = require "uvjobs.supervisor" -- the module, before memory is short

local function nobody() end

local function forever() uvjobs.sleep(1e6) end

local function supervisor(options)
  options.backoff, options.exception_handler = 1, nobody
  return new(options)
end

-- A function that fails `count` times, after a second, and then runs on.
local function failing(count)
  return function()
    uvjobs.sleep(1)
    count = count - 1
    if count >= 0 then error("oh no", 0) end
    forever()
  end
end

-- Returns a function that calls `body`. When `body` fails because its supervisor has ended, the
-- function raises the error with which the supervisor has failed.
local function with_cause(body)
  return function()
    local results = table.pack(pcall(body))
    local err = results[2]
    if results[1] then return table.unpack(results, 2, results.n) end
    error(uvjobs.code(err) == "closed" and err.cause or err, 0)
  end
end

return function(add, equals)
  local function add_run(name, body, check) add(name, with_cause(body), check) end

  add_run("a supervisor that starts and stops", function()
    local service <close> = supervisor { name = "service" }
    service:start { name = "plain", forever }
    service:start { name = "ready", ready = true, start_timeout = 5, function(child)
      uvjobs.sleep(1)
      child:ready("value")
      forever()
    end }
    service:start { forever }
    local value, count = service:get "ready", #service
    service:close()
    return value, count, service.closed
  end, equals("value", 3, true))

  for _, strategy in ipairs { "one_for_one", "one_for_all", "rest_for_one" } do
    add_run("a crash and a restart, " .. strategy, function()
      local service <close> = supervisor { strategy = strategy }
      service:start { name = "a", forever }
      service:start { name = "b", failing(2) }
      service:start { name = "c", ready = true, start_timeout = 3, function(child)
        child:ready()
        forever()
      end }
      service:start { name = "d", restart = "temporary", failing(1) }
      uvjobs.sleep(30)
      return service:child "b".restarts
    end, equals(2))
  end

  add_run("a supervisor that is changed while it runs", function()
    local service <close> = supervisor {}
    for _, name in ipairs { "a", "b", "c" } do service:start { name = name, forever } end
    service:restart "a"
    service:stop "b"
    service:delete "c"
    service:start { name = "d", forever }
    service:restart "b"
    return #service, service:child "b".state
  end, equals(3, "running"))

  add_run("a supervisor that gives up", function()
    local service = supervisor { intensity = 1 }
    service:start { name = "a", failing(9) }
    service:start { name = "b", forever }
    local ok, err = pcall(service.wait, service)
    return ok, uvjobs.code(err)
  end, function(ok) assert(ok == false) end)

  add_run("a supervisor in another", function()
    local service <close> = supervisor { strategy = "rest_for_one" }
    local inner = service:start { name = "inner", supervisor = { intensity = 1 } }
    inner:start { name = "x", failing(3) }
    inner:start { name = "y", forever }
    uvjobs.sleep(30)
    return inner:child "x".state
  end, equals "running")

  add_run("a supervisor on which jobs wait that did not make it", function()
    local jobs <close> = uvjobs.scheduler { exception_handler = nobody }
    local service = supervisor {}
    local waiting = jobs:spawn(service.wait, service)
    service:start { name = "a", failing(2) }
    jobs:spawn(function() service:restart "a" end)
    uvjobs.sleep(20)
    service:close()
    waiting:join()
    return waiting.closed
  end, equals(true))

  add_run("a supervisor that nobody closes", function()
    local service = supervisor { strategy = "one_for_all" }
    service:start { failing(1) }
    service:start { forever }
    uvjobs.sleep(5)
  end)
end
