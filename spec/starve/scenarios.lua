-- The scenarios that starve.c plays while memory is short.

local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"

local function nobody() end

local scenarios = {}

--- Checks that the module can be used as if nothing had happened.
function scenarios.usable()
  assert(uvjobs.stats().live == 0, "jobs live")
  for _ = 1, 1000 do -- what was left in other threads comes to its end
    if uvjobs.stats().work == 0 then break end
    uvjobs.run(uvjobs.sleep, 0.001)
  end
  local stats = uvjobs.stats()
  assert(stats.ready == 0 and stats.timers == 0 and stats.work == 0)
  assert(uvjobs.current() == nil)
  local got = {}
  uvjobs.run({ clock = "virtual" }, function()
    local jobs <close> = uvjobs.scheduler { limit = 2 }
    local queue = uvjobs.queue(1)
    for i = 1, 5 do
      jobs:spawn(function()
        uvjobs.sleep(i)
        queue:put(i)
      end)
    end
    for _ = 1, 5 do got[#got + 1] = queue:get() end
    assert(pcall(uvjobs.timeout, 1, uvjobs.sleep, 5) == false)
  end)
  assert(#got == 5, "the loop does not work")
end

local function add(name, body, check)
  scenarios[#scenarios + 1] = { name = name, body = body, check = check }
end

-- Runs a function under the virtual clock.
local function add_run(name, body, check)
  add(name, function()
    return uvjobs.run({ clock = "virtual" }, body)
  end, check)
end

local function equals(...)
  local expected = table.pack(...)
  return function(...)
    for i = 1, expected.n do
      local got = select(i, ...)
      assert(got == expected[i], ("%d: expected %s, got %s"):format(i,
        tostring(expected[i]), tostring(got)))
    end
  end
end

local function quiet(options)
  options = options or {}
  options.exception_handler = nobody
  return uvjobs.scheduler(options)
end

add("a run", function() return uvjobs.run(function() return 1, "two" end) end,
  equals(1, "two"))

add_run("spawn and wait", function()
  local jobs <close> = quiet()
  local sum = 0
  local list = {}
  for i = 1, 5 do list[i] = jobs:spawn(function(n) uvjobs.yield() return n end, i) end
  for i = 1, 5 do sum = sum + list[i]:wait() end
  return sum
end, equals(15))

add_run("jobs on top of jobs in the middle of C functions", function()
  local jobs <close> = quiet { timeslice = 1e-5 }
  local sum = 0
  for i = 1, 4 do
    jobs:spawn(function()
      table.sort({ 2, 1 }, function()
        coroutine.wrap(function() for _ = 1, 2000 do end end)()
        sum = sum + i
        return false
      end)
    end)
  end
  jobs:wait_and_close()
  return sum
end, equals(10))

add_run("pending jobs", function()
  local jobs <close> = quiet { limit = 1, pending_limit = 2, name = "small" }
  local count = 0
  for _ = 1, 6 do
    jobs:spawn({ name = "job" }, function()
      uvjobs.sleep(1)
      count = count + 1
    end)
  end
  jobs:wait_and_close()
  return count
end, equals(6))

add_run("jobs whose handles nobody takes", function()
  local weak, ran = setmetatable({}, { __mode = "v" }), 0
  local function run(n) ran = ran + n end
  for _ = 1, 3 do
    local jobs = uvjobs.scheduler { limit = 2 }
    weak[1] = jobs
    for i = 1, 3 do jobs:spawn(run, i) end
    jobs:wait_idle()
    for _ = 1, 200 do jobs:spawn(run, 0) end -- as many slots and more
    jobs:spawn(function() run(uvjobs.current().id > 0 and 1 or 0) end)
    jobs:wait_idle()
  end
  collectgarbage()
  return ran, weak[1]
end, equals(21, nil))

add_run("many jobs at once", function()
  local jobs <close> = quiet { limit = math.huge }
  local count = 0
  for _ = 1, 150 do jobs:spawn(function() uvjobs.sleep(1) count = count + 1 end) end
  jobs:wait_and_close()
  return count
end, equals(150))

add_run("many arguments and results", function()
  local jobs <close> = quiet()
  local values = {}
  for i = 1, 200 do values[i] = i end
  local ok, count = pcall(function()
    return select("#", jobs:spawn(function(...) uvjobs.yield() return ... end,
      table.unpack(values)):wait())
  end)
  return ok and count -- unpack() has a message of its own
end, equals(200))

add_run("errors", function()
  local jobs <close> = quiet()
  local job = jobs:spawn(error, "oh no")
  local ok, err = pcall(job.wait, job)
  local other = jobs:spawn(function() error {} end)
  other:join()
  return ok, err, other.state, type(other:traceback())
end, equals(false, "oh no", "failed", "string"))

add_run("reports", function()
  local messages = {}
  local jobs <close> = uvjobs.scheduler {
    exception_handler = function(_, context) messages[#messages + 1] = context.message end,
  }
  jobs:spawn(error, "lost")
  local mutex = uvjobs.mutex()
  jobs:spawn(mutex.lock, mutex)
  jobs:wait_and_close()
  return #messages
end, equals(2))

add_run("a report in debug mode", function()
  uvjobs.debug(true)
  local message
  local jobs <close> = uvjobs.scheduler {
    exception_handler = function(_, context) message = context.source_traceback end,
  }
  jobs:spawn(error, "lost")
  jobs:wait_and_close()
  uvjobs.debug(false)
  return type(message)
end, equals "string")

add_run("cancel", function()
  local jobs <close> = quiet()
  local closed = 0
  local job = jobs:spawn(function()
    local _ <close> = setmetatable({}, { __close = function()
      uvjobs.protect(uvjobs.sleep, 0.01)
      closed = closed + 1
    end })
    uvjobs.sleep(60)
  end)
  uvjobs.yield()
  job:cancel()
  local ok, err = pcall(job.wait, job)
  return ok, uvjobs.code(err), closed, tostring(err)
end, equals(false, "cancelled", 1))

add_run("close and kill", function()
  local jobs <close> = quiet { close_timeout = 0.5 }
  local closed = 0
  local job = jobs:spawn(function()
    local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
    while true do pcall(uvjobs.protect, uvjobs.sleep, 60) end
  end)
  uvjobs.yield()
  local ok, err = pcall(job.close, job)
  return ok, uvjobs.code(err), job.state, closed
end, equals(false, "timeout", "killed", 1))

add_run("deadlines", function()
  local ok, err = pcall(uvjobs.timeout, 1, uvjobs.sleep, 5)
  local jobs <close> = quiet()
  local job = jobs:spawn({ timeout = 1 }, uvjobs.sleep, 5)
  local ok2, err2 = pcall(job.wait, job)
  local waited, why = pcall(function() return jobs:spawn(uvjobs.sleep, 9):wait(1) end)
  return ok, uvjobs.code(err), ok2, uvjobs.code(err2), waited, uvjobs.code(why)
end, equals(false, "timeout", false, "timeout", false, "timeout"))

add_run("blocked spawns", function()
  local jobs = quiet { limit = 1, pending_limit = 0 }
  local others <close> = quiet()
  jobs:spawn(uvjobs.sleep, 1)
  local first = others:spawn(function() return jobs:spawn(uvjobs.sleep, 1) end)
  local second = others:spawn({ timeout = 0.5 }, function() jobs:spawn(uvjobs.sleep, 1) end)
  uvjobs.sleep(2)
  jobs:close()
  return first.state, second.state, (jobs:try_spawn(nobody))
end)

add_run("shield", function()
  local jobs <close> = quiet()
  local done
  local job = jobs:spawn(function()
    return jobs:shield(function() uvjobs.sleep(1) done = true return "kept" end)
  end)
  uvjobs.yield()
  job:cancel()
  job:join()
  uvjobs.sleep(2)
  return done, job.state
end, equals(true, "cancelled"))

add_run("closing and waiting for schedulers", function()
  local jobs = quiet { wait_timeout = 1 }
  for i = 1, 3 do jobs:spawn(uvjobs.sleep, i) end
  local others <close> = quiet()
  others:spawn(jobs.close, jobs)
  jobs:wait_and_close()
  return jobs.closed, #jobs
end, equals(true, 0))

add_run("a nursery", function()
  local ok, err = pcall(function()
    local jobs <close> = quiet { on_error = "cancel" }
    jobs:spawn(uvjobs.sleep, 60)
    jobs:spawn(error, "first")
    jobs:wait_and_close()
  end)
  return ok, err
end, equals(false, "first"))

add_run("all", function()
  local list = uvjobs.all { function() return 1 end, function() uvjobs.sleep(1) return 2 end }
  local ok = pcall(uvjobs.all, { uvjobs.yield, error })
  return #list, list[2], ok
end, equals(2, 2, false))

add_run("race and map", function()
  local _, first = uvjobs.race { function() uvjobs.sleep(9) end, function() return "b" end }
  local squares = uvjobs.map({ 1, 2, 3 }, function(x) uvjobs.sleep(x) return x * x end)
  return first, squares[3]
end)

add_run("queues", function()
  local queue = uvjobs.queue(1)
  local sum = 0
  uvjobs.all {
    function()
      for i = 1, 4 do queue:put(i) end
      queue:close()
    end,
    function() for value in queue:items() do sum = sum + value end end,
    function() pcall(queue.put, queue, 0, 0.001) end,
  }
  return sum, #queue, queue:try_get()
end, equals(10, 0))

add_run("a queue that grows", function()
  local queue = uvjobs.queue()
  for i = 1, 100 do queue:put(i) end
  local sum = 0
  for _ = 1, 100 do sum = sum + queue:get() end
  return sum
end, equals(5050))

add_run("events, semaphores and mutexes", function()
  local event, semaphore, mutex = uvjobs.event(), uvjobs.semaphore(1), uvjobs.mutex()
  local log = 0
  uvjobs.all {
    function() event:wait() log = log + 1 end,
    function()
      semaphore:with(uvjobs.sleep, 1)
      mutex:with(uvjobs.sleep, 1)
      event:set()
    end,
    function()
      local _ <close> = semaphore:permit()
      local _ <close> = mutex:permit()
      log = log + 1
    end,
  }
  return log, semaphore.count, mutex:try_lock(), mutex:unlock()
end, equals(2, 1, true))

add_run("context", function()
  local jobs <close> = quiet()
  uvjobs.context.user = "me"
  local inner = jobs:spawn(function()
    uvjobs.context.request = 5
    return uvjobs.context.user
  end):wait()
  uvjobs.context.user = nil
  return inner
end, equals "me")

add_run("await", function()
  local value = uvjobs.await(function(wake)
    local jobs = quiet()
    jobs:spawn(function() uvjobs.sleep(1) wake("woken") end)
    jobs:spawn(function() uvjobs.sleep(2) wake("late") end)
  end)
  return value
end, equals "woken")

add_run("a coroutine", function()
  local coroutine = require "uvjobs.coroutine"
  local next_value = coroutine.wrap(function()
    for i = 1, 3 do
      uvjobs.sleep(1)
      coroutine.yield(i)
    end
  end)
  return next_value() + next_value()
end, equals(3))

add_run("a busy job", function()
  local jobs <close> = quiet { timeslice = 0.001, close_timeout = 0.05 }
  local job = jobs:spawn({ timeout = 0.02 }, function() while true do end end)
  local other = jobs:spawn(function() return "went on" end)
  job:join()
  return job.state, other:wait()
end, equals("failed", "went on"))

add("a busy job in real time", function()
  return uvjobs.run({ timeslice = 0.001, slow = 0.001 }, function()
    local jobs <close> = quiet { timeslice = 0.001, close_timeout = 0.01 }
    local job = jobs:spawn({ timeout = 0.003 }, function() while true do end end)
    job:join()
    return job.state == "failed" or job.state == "killed"
  end)
end, equals(true))

add("a stuck run", function()
  local ok, err = pcall(uvjobs.run, { clock = "virtual" }, function()
    local jobs <close> = quiet()
    local event = uvjobs.event()
    jobs:spawn(event.wait, event)
    event:wait()
  end)
  if not ok and tostring(err):find "memory" then error(err, 0) end
  return ok
end, equals(false))

add_run("stats and texts", function()
  local jobs <close> = quiet { name = "named" }
  local job = jobs:spawn({ name = "sleeper" }, uvjobs.sleep, 1)
  uvjobs.yield()
  local texts = tostring(job) .. tostring(jobs) .. job:traceback()
  return uvjobs.stats().live, #texts > 20, #jobs, jobs.name
end, equals(2, true, 1, "named"))

add("start and step", function()
  local job
  local _ <close> = setmetatable({}, { __close = function()
    while job and not job.closed do pcall(uvjobs.step) end
  end })
  job = uvjobs.start({ name = "started" }, function()
    uvjobs.yield()
    return "done"
  end)
  assert(uvjobs.fd() >= 0)
  for _ = 1, 100 do
    if job.closed then break end
    uvjobs.step()
  end
  return job:wait(), uvjobs.next_timeout()
end, equals("done", nil))

add("work", function()
  return uvjobs.run(function()
    return uvjobs.work(function(list, text) return #list, text:upper() end, { 1, 2, 3 }, "x")
  end)
end, equals(3, "X"))

add("work that fails, and work that is left", function()
  return uvjobs.run(function()
    local ok, err = pcall(uvjobs.work, error, "in the thread")
    local jobs <close> = quiet()
    local job = jobs:spawn(uvjobs.work, function() while true do end end)
    uvjobs.sleep(0.001)
    job:cancel()
    job:join()
    return ok, err ~= nil, job.state
  end)
end, equals(false, true, "cancelled"))

-- A retry takes the lack of memory for a failure of the function, so it may succeed in the end.
add_run("policies", function()
  local calls = 0
  local all = policy.compose {
    policy.timeout(60),
    policy.retry { attempts = 4, budget = 1, backoff = { base = 1 } },
    policy.breaker { minimum = 20 },
    policy.hedge { after = "p95", initial = 1 },
  }
  local result = all:call(function(x)
    calls = calls + 1
    if calls == 1 then error("the first", 0) end
    uvjobs.sleep(calls % 2 == 0 and 3 or 1)
    return x
  end, "x")
  local ok, err = pcall(uvjobs.retry, { attempts = 2, backoff = 0 }, function() error("y", 0) end)
  return result, ok, err
end, equals("x", false, "y"))

add_run("errors between jobs", function()
  local jobs <close> = quiet()
  local failing = jobs:spawn(function()
    local _ <close> = setmetatable({}, { __close = function() error "in close" end })
    error "in the function"
  end)
  local ok = pcall(failing.wait, failing)
  local deep = jobs:spawn(function()
    local function f(n) if n > 0 then return 1 + f(n - 1) end uvjobs.yield() return 0 end
    return f(150)
  end)
  return ok, deep:wait()
end, equals(false, 150))

add("nothing is collected too early, and all in the end", function()
  return uvjobs.run({ clock = "virtual" }, function()
    local jobs <close> = quiet()
    for _ = 1, 20 do
      jobs:spawn(function() uvjobs.sleep(1) end)
      collectgarbage "step"
    end
    local weak = setmetatable({}, { __mode = "v" })
    weak[1] = jobs:spawn(nobody)
    jobs:wait_and_close()
    collectgarbage()
    return weak[1] == nil
  end)
end)

add_run("a random order", function() return 1 end)

dofile "spec/starve/schedule_scenarios.lua"(add_run, quiet, equals)
dofile "spec/starve/priorities_scenarios.lua"(add_run, quiet, equals)
dofile "spec/starve/policy_scenarios.lua"(add_run, quiet, equals)
dofile "spec/starve/supervisor_scenarios.lua"(add_run, equals)
dofile "spec/starve/channel_scenarios.lua"(add_run, quiet, equals)

return scenarios
