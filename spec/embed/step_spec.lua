-- start, step, fd and next_timeout: jobs in the loop of another program, which here waits in
-- poll(2).
local luv = require "luv"
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local embed = require "spec.embed.helper"

local message, raises = helper.message, helper.raises
local readable, drive, settle = embed.readable, embed.drive, embed.settle
local start, step, next_timeout = uvjobs.start, uvjobs.step, uvjobs.next_timeout

describe("a program with a loop of its own", function()
  embed.install_guard()

  -- ---- start ---------------------------------------------------------------

  it("gets a job at once, which runs in a step and not before #M1", function()
    local ran = false
    local job = start(function() ran = true end)
    assert.equal("active", job.state)
    assert.is_false(ran)
    assert.equal("main", job.name)
    assert.equal("main", job.scheduler.name)
    assert.equal(math.huge, job.scheduler.limit)
    assert.is_false(step())
    assert.is_true(ran)
    assert.equal("done", job.state)
  end)

  it("passes arguments, and gets all results from the job", function()
    local job = start(function(...) return select("#", ...), ... end, 1, nil, "x", nil)
    step()
    assert.same({ 4, 1, nil, "x", nil, n = 5 }, table.pack(job:wait()))
    assert.is_true(job:join())
  end)

  it("starts many jobs, which run in order, each on a scheduler of its own", function()
    local log, seen = helper.log(), {}
    for i = 1, 300 do
      local job = start(log.add, log, i)
      assert.is_nil(seen[job.scheduler])
      seen[job.scheduler] = true
    end
    assert.equal(300, uvjobs.stats().live)
    step()
    assert.equal(300, #log)
    for i = 1, 300 do assert.equal(i, log[i]) end
  end)

  it("runs what a started job starts or spawns at a later turn #M1", function()
    local log = helper.log()
    local inner
    start(function()
      inner = start(log.add, log, "started")
      uvjobs.current().scheduler:spawn(log.add, log, "spawned")
      log:add "first"
    end)
    assert.is_true(step())
    assert.same({ "first" }, log)
    assert.is_false(step())
    assert.same({ "first", "started", "spawned" }, log)
    assert.equal("done", inner.state)
  end)

  it("runs jobs that are spawned on any scheduler from outside", function()
    local scheduler = uvjobs.scheduler { limit = 1 }
    local log = helper.log()
    for i = 1, 3 do scheduler:spawn(log.add, log, i) end
    settle()
    assert.same({ 1, 2, 3 }, log)
    assert.is_false(scheduler.closed)
  end)

  it("leaves the scheduler of a started job open when that ends", function()
    local job = start(function() end)
    settle()
    assert.is_false(job.scheduler.closed)
    local later = job.scheduler:spawn(function() return "later" end)
    settle()
    assert.equal("later", later:wait())
  end)

  for _, case in ipairs {
    { "#1 to 'start' (function expected, got no value)" },
    { "#1 to 'start' (function expected, got number)", 5 },
    { "#2 to 'start' (function expected, got no value)", {} },
    { "#1 to 'start' (unknown option 'nam', did you mean 'name'?)", { nam = "x" }, print },
    { "#1 to 'start' (unknown option 'signals', known: name, timeout, timeslice, slow, stats, "
      .. "interrupt, shuffle, inspect)",
      { signals = true }, print },
    { "#1 to 'start' (option 'name': string expected, got 1)", { name = 1 }, print },
    { "#1 to 'start' (option 'timeout': seconds >= 0 or math.huge expected, got -1)",
      { timeout = -1 }, print },
    { "#1 to 'start' (option 'timeslice': seconds > 0 or math.huge expected, got 0)",
      { timeslice = 0 }, print },
    { "#1 to 'start' (option 'slow': seconds >= 0 or false expected, got 'x')",
      { slow = "x" }, print },
    { "#1 to 'start' (option 'stats': boolean expected, got 1)", { stats = 1 }, print },
    { "#1 to 'start' (option 'interrupt': the name of a signal like 'SIGURG', 'count' or "
      .. "'none' expected, got 'x')", { interrupt = "x" }, print },
  } do
    it("is told of misuse: " .. case[1], function()
      assert.equal("bad argument " .. case[1], message(start, table.unpack(case, 2)))
      assert.equal(0, uvjobs.stats().live)
    end)
  end

  it("can pass 240 arguments and no more", function()
    local job = start(select, "#", table.unpack({}, 1, 239))
    local text = message(start, print, table.unpack({}, 1, 241))
    assert.matches("^too many arguments to 'start'", text)
    settle()
    assert.equal(239, job:wait())
  end)

  it("names a job, and gives it a deadline", function()
    local job = start({ name = "guest", timeout = 0.01 }, function()
      return uvjobs.code(select(2, pcall(uvjobs.sleep, 60)))
    end)
    assert.equal("guest", job.name)
    drive(job)
    assert.equal("timeout", job:wait())
  end)

  it("measures with stats, from then on", function()
    uvjobs.run({ stats = true }, function() end) -- the longest is that since the last such run
    local job = start({ stats = true }, helper.burn, 0.002)
    settle()
    assert.is_true(job.cpu_time >= 0.002)
    -- The main job of that run has a longer one only if the machine paused it.
    local stats = uvjobs.stats()
    if stats.longest == job.cpu_time then
      assert.equal(job, stats.longest_job)
    else
      assert.is_true(stats.longest > job.cpu_time)
    end
    local unmeasured = start({ stats = false }, helper.burn, 0.002)
    settle()
    assert.is_nil(unmeasured.cpu_time)
  end)

  -- ---- step ------------------------------------------------------------------

  it("learns from step whether more is ready", function()
    assert.is_false(step())
    local job = start(function()
      uvjobs.yield()
      uvjobs.sleep(0.001)
    end)
    assert.is_true(step())
    assert.is_false(step())
    drive(job)
    assert.is_false(step())
  end)

  it("runs one turn in a step", function()
    local turns = 0
    local job = start(function()
      for _ = 1, 5 do
        turns = turns + 1
        uvjobs.yield()
      end
    end)
    for i = 1, 5 do
      assert.is_true(step())
      assert.equal(i, turns)
    end
    assert.is_false(step())
    assert.equal("done", job.state)
  end)

  it("may call step from a coroutine of its own", function()
    local job = start(function() return "ran" end)
    assert.is_false(coroutine.wrap(step)())
    assert.equal("ran", job:wait())
  end)

  it("must not call step in a job, an exception handler or a callback of luv", function()
    local expected = "'step' cannot be called while the loop runs"
    local texts = helper.log()
    local scheduler = uvjobs.scheduler {
      exception_handler = function() texts:add(message(step)) end,
    }
    scheduler:spawn(error, "fails")
    local job = start(function()
      texts:add(message(step))
      uvjobs.await(function(resume)
        local timer = luv.new_timer()
        timer:start(1, 0, function()
          timer:close()
          texts:add(message(step))
          resume()
        end)
      end)
    end)
    drive(job)
    assert.same({ expected, expected, expected }, texts)
    assert.equal(expected, uvjobs.run(function() return message(step) end))
    assert.is_false(step())
  end)

  it("cannot wait outside jobs, but may cancel", function()
    local job = start(uvjobs.sleep, 60)
    step()
    for _, name in ipairs { "wait", "join", "close" } do
      assert.equal(("'%s' must be called in a job: use uvjobs.run"):format(name),
        message(job[name], job))
    end
    job:cancel()
    settle()
    assert.equal("cancelled", job.state)
    assert.equal(job, raises("cancelled", job.wait, job).job)
  end)

  -- ---- the descriptor -----------------------------------------------------------

  it("has one descriptor for all time", function()
    local fd = uvjobs.fd()
    assert.equal("integer", math.type(fd))
    drive(start(uvjobs.sleep, 0.001))
    uvjobs.run(uvjobs.sleep, 0.001)
    assert.equal(fd, uvjobs.fd())
  end)

  it("has nothing to do, and no time to come back, while no job lives", function()
    assert.is_nil(next_timeout())
    assert.is_false(readable())
    step()
    assert.is_nil(next_timeout())
    assert.is_false(readable())
  end)

  it("is wanted at once while a job is ready", function()
    local job = start(uvjobs.yield)
    for _ = 1, 2 do
      assert.is_true(readable())
      assert.equal(0, next_timeout())
      step()
    end
    assert.equal("done", job.state)
    assert.is_false(readable())
    assert.is_nil(next_timeout())
  end)

  it("is wanted at the earliest deadline of all", function()
    local jobs = {}
    for i, seconds in ipairs { 3000, 2000, 1000 } do
      jobs[i] = start(i == 2 and uvjobs.timeout or uvjobs.sleep, seconds, uvjobs.sleep, 5000)
      step()
      local left = next_timeout()
      assert.is_true(left <= seconds and left > seconds - 1000, left)
      assert.is_false(readable())
    end
    for i = 3, 1, -1 do
      local left = next_timeout()
      assert.is_true(left <= 4000 - i * 1000 and left > 3000 - i * 1000, left)
      jobs[i]:cancel()
      settle()
    end
    assert.is_nil(next_timeout())
  end)

  it("is woken by a sleep when it is over, not before, and by nothing else #M10", function()
    for i = 1, 30 do
      local seconds = i * 0.00037
      local due = uvjobs.now() + seconds
      local job = start(uvjobs.sleep, seconds)
      step()
      assert.is_true(readable(60))
      local woken = uvjobs.now()
      assert.is_true(woken >= due, ("%.7f s early"):format(due - woken))
      assert.equal(0, next_timeout())
      step()
      assert.equal("done", job.state)
    end
  end)

  it("lets no sleep return early, however often it steps #M10", function()
    local jobs = {}
    for i = 1, 50 do
      jobs[i] = start(function()
        local due = uvjobs.now() + i * 0.0004
        uvjobs.sleep(i * 0.0004)
        return uvjobs.now() - due
      end)
    end
    while uvjobs.stats().live > 0 do step() end
    for _, job in ipairs(jobs) do assert.is_true(job:wait() >= 0) end
  end)

  local wakers = {
    ["event:set"] = function()
      local event = uvjobs.event()
      return function() event:wait() end, function() event:set() end
    end,
    ["queue:try_put"] = function()
      local queue = uvjobs.queue()
      return function() queue:get() end, function() queue:try_put "value" end
    end,
    ["queue:close"] = function()
      local queue = uvjobs.queue()
      return function() queue:get() end, function() queue:close() end
    end,
    ["semaphore:release"] = function()
      local semaphore = uvjobs.semaphore(1)
      assert(semaphore:try_acquire())
      return function() semaphore:acquire() end, function() semaphore:release() end
    end,
    ["the resume of await"] = function()
      local go
      return function() uvjobs.await(function(resume) go = resume end) end,
        function() go() end
    end,
    ["job:cancel"] = function()
      local event = uvjobs.event()
      return function() pcall(event.wait, event) end, function(job) job:cancel() end
    end,
    ["scheduler:spawn"] = function()
      local event = uvjobs.event()
      return function() event:wait() end,
        function(job) job.scheduler:spawn(event.set, event) end
    end,
    start = function()
      local event = uvjobs.event()
      return function() event:wait() end, function() start(event.set, event) end
    end,
  }
  for name, make in pairs(wakers) do
    it("is woken between two steps by " .. name, function()
      local fn, wake = make()
      local job = start(fn)
      settle()
      assert.is_false(readable())
      assert.is_nil(next_timeout())
      wake(job)
      assert.is_true(readable())
      assert.equal(0, next_timeout())
      settle()
      assert.equal("done", job.state)
      assert.is_false(readable())
    end)
  end
end)
