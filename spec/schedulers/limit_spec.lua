-- What happens when the limit of a wait for a scheduler passes, and when nothing else can end it.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, raises, stubborn = helper.virtual, helper.raises, helper.stubborn
local recording = helper.recording

describe("the limit of wait_and_close", function()
  after_each(helper.check_clean)

  it("is told with the jobs that it cancels, and where they stood, while they live", function()
    virtual(function()
      local states
      local jobs = uvjobs.scheduler { limit = 2, exception_handler = function(_, context)
        states = { message = context.message, traceback = context.traceback }
        for i, job in ipairs(context.jobs) do states[i] = job.name .. " " .. job.state end
      end }
      local function the_slow_part() uvjobs.sleep(100) end
      jobs:spawn({ name = "short" }, uvjobs.sleep, 1)
      jobs:spawn({ name = "long" }, the_slow_part)
      jobs:spawn({ name = "second" }, uvjobs.sleep, 100)
      jobs:spawn({ name = "pending" }, uvjobs.sleep, 100)
      assert.same({ nil, "timeout", 3, n = 3 }, table.pack(jobs:wait_and_close(5)))
      assert.equal("Waiting timed out", states.message)
      assert.same({ "long active", "second active", "pending pending" },
        { table.unpack(states) })
      assert.matches("limit_spec.lua:", states.traceback, 1, true)
      assert.matches("in sleep, 95.0 s left", states.traceback, 1, true)
    end)
  end)

  it("counts shielded functions", function()
    virtual(function()
      local jobs, contexts = recording()
      local others <close> = helper.quiet()
      others:spawn(jobs.shield, jobs, uvjobs.sleep, 100)
      jobs:spawn(uvjobs.sleep, 100)
      uvjobs.yield()
      assert.same({ nil, "timeout", 2, n = 3 }, table.pack(jobs:wait_and_close(1)))
      assert.equal(2, #contexts[1].jobs)
    end)
  end)

  it("is told once: a job that it has killed is not reported besides #M8", function()
    virtual(function()
      local jobs, contexts = recording { close_timeout = 2 }
      local job = jobs:spawn(stubborn)
      assert.same({ nil, "timeout", 1, n = 3 }, table.pack(jobs:wait_and_close(5)))
      assert.equal("killed", job.state)
      assert.equal(7, uvjobs.now())
      assert.equal(1, #contexts)
    end)
  end)

  it("does not hide the error of a job that fails while it cleans up", function()
    virtual(function()
      local jobs, contexts = recording()
      jobs:spawn(function()
        pcall(uvjobs.sleep, 100)
        error("no space left", 0)
      end)
      jobs:wait_and_close(1)
      assert.equal(2, #contexts)
      assert.equal("no space left", contexts[2].exception)
    end)
  end)

  it("is told while a busy job holds the loop, and ends that", function()
    virtual(function()
      local jobs, contexts = recording { close_timeout = 0.05 }
      local function busy() while true do end end
      local job = jobs:spawn(function() while true do pcall(busy) end end)
      assert.same({ nil, "timeout", 1, n = 3 }, table.pack(jobs:wait_and_close(5)))
      assert.equal("killed", job.state)
      assert.equal(1, #contexts)
      assert.equal("Waiting timed out", contexts[1].message)
      assert.same({ job }, contexts[1].jobs)
    end)
  end)

  it("is told in a coroutine of the job, too", function()
    virtual(function()
      local jobs, contexts = recording { close_timeout = 0.05 }
      jobs:spawn(function() while true do end end)
      local coroutine = require "uvjobs.coroutine"
      assert.same({ nil, "timeout", 1, n = 3 },
        table.pack(coroutine.wrap(jobs.wait_and_close)(jobs, 5)))
      assert.equal(1, #contexts)
    end)
  end)

  it("cancels nothing, and tells nothing, when somebody has closed the scheduler before", function()
    virtual(function()
      local jobs, contexts = recording { close_timeout = 10 }
      local others <close> = uvjobs.scheduler()
      jobs:spawn(uvjobs.protect, uvjobs.sleep, 6)
      uvjobs.yield()
      others:spawn(jobs.close, jobs)
      assert.same({ nil, "timeout", 0, n = 3 }, table.pack(jobs:wait_and_close(5)))
      assert.equal(6, uvjobs.now())
      assert.same({}, contexts)
    end)
  end)

  it("gives way to the error of a nursery", function()
    virtual(function()
      local jobs = helper.quiet { on_error = "cancel", close_timeout = 10 }
      jobs:spawn(uvjobs.protect, uvjobs.sleep, 8)
      jobs:spawn(function() uvjobs.sleep(1); error("first", 0) end)
      assert.equal("first", helper.message(jobs.wait_and_close, jobs, 5))
    end)
  end)

  it("may be math.huge, which is no limit", function()
    virtual(function()
      local jobs = uvjobs.scheduler { wait_timeout = 1, close_timeout = math.huge }
      jobs:spawn(uvjobs.sleep, 1e7)
      assert.is_true(jobs:wait_and_close(math.huge))
      assert.equal(1e7, uvjobs.now())
    end)
  end)
end)

describe("a wait that nothing but its limit can end", function()
  after_each(helper.check_clean)

  it("is told at once, with all jobs, and goes on until the limit", function()
    virtual(function()
      local told
      local queue = uvjobs.queue()
      local jobs = uvjobs.scheduler { exception_handler = function(_, context)
        told = told or { uvjobs.now(), context.message, context.traceback, #context.jobs }
      end }
      jobs:spawn({ name = "consumer" }, function() for _ in queue:items() do end end)
      assert.same({ nil, "timeout", 1, n = 3 }, table.pack(jobs:wait_and_close(60)))
      assert.equal(60, uvjobs.now())
      assert.same({ 0, "Jobs are stuck", 2 }, { told[1], told[2], told[4] })
      assert.matches('"consumer" active, waiting to get from a queue', told[3], 1, true)
    end)
  end)

  it("is told once for each wait, and again for a new one", function()
    virtual(function()
      local event = uvjobs.event()
      local jobs, contexts = recording()
      jobs:spawn(function()
        local inner <close>, heard = recording { wait_timeout = 10 }
        inner:spawn(event.wait, event)
        uvjobs.sleep(1)
        assert.equal(0, #heard)
        contexts.inner = heard
      end)
      jobs:wait_and_close(20)
      assert.equal(11, uvjobs.now())
      assert.equal("Jobs are stuck", contexts[1].message)
      assert.equal(1, #contexts)
      assert.equal("Jobs are stuck", contexts.inner[1].message)
      assert.equal("Waiting timed out", contexts.inner[2].message)
      assert.equal(2, #contexts.inner)
    end)
  end)

  it("is told at the end of a block", function()
    virtual(function()
      local contexts
      do
        local jobs <close>, list = recording { wait_timeout = 3 }
        contexts = list
        jobs:spawn(uvjobs.queue().get, uvjobs.queue())
      end
      assert.equal("Jobs are stuck", contexts[1].message)
      assert.equal("Waiting timed out", contexts[2].message)
    end)
  end)

  it("goes on at once when the handler wakes or spawns somebody", function()
    virtual(function()
      local event = uvjobs.event()
      local jobs = uvjobs.scheduler { exception_handler = function() event:set() end }
      jobs:spawn(event.wait, event)
      assert.is_true(jobs:wait_and_close(60))
      assert.equal(0, uvjobs.now())
    end)
  end)

  for name, wait in pairs {
    ["a sleep"] = function() uvjobs.sleep(5) end,
    ["a get with a timeout"] = function() uvjobs.queue():get(5) end,
    ["a deadline"] = function() pcall(uvjobs.timeout, 5, function() uvjobs.queue():get() end) end,
  } do
    it("is not told while there is " .. name, function()
      virtual(function()
        local jobs, contexts = recording()
        jobs:spawn(wait)
        assert.is_true(jobs:wait_and_close(60))
        assert.same({}, contexts)
      end)
    end)
  end

  it("is told under the real clock, too", function()
    uvjobs.run(function()
      local jobs, contexts = recording()
      jobs:spawn(uvjobs.queue().get, uvjobs.queue())
      jobs:wait_and_close(0.01)
      assert.equal("Jobs are stuck", contexts[1].message)
    end)
  end)

  it("without a limit ends the run", function()
    local ok, err = pcall(virtual, function()
      local jobs <close> = helper.quiet()
      jobs:spawn({ name = "consumer" }, uvjobs.queue().get, uvjobs.queue())
    end)
    assert.is_false(ok)
    assert.matches("^run is stuck", err)
    assert.matches("consumer", err)
  end)
end)

describe("a duration that says how long something may take at most", function()
  after_each(helper.check_clean)

  it("may be math.huge", function()
    virtual(function()
      local huge = math.huge
      local queue, event, semaphore = uvjobs.queue(1), uvjobs.event(), uvjobs.semaphore(1)
      local mutex = uvjobs.mutex()
      event:set()
      assert.is_true(queue:put(1, huge))
      assert.equal(1, queue:get(huge))
      assert.is_true(event:wait(huge))
      assert.is_true(semaphore:acquire(huge))
      semaphore:release()
      semaphore:permit(huge):release()
      assert.is_true(mutex:lock(huge))
      mutex:unlock()
      mutex:permit(huge):release()
      local jobs <close> = uvjobs.scheduler { close_timeout = huge, wait_timeout = huge }
      local function one() uvjobs.sleep(1) return 1 end
      assert.equal(1, uvjobs.timeout(huge, one))
      assert.equal(1, jobs:spawn({ timeout = huge }, one):wait(huge))
      assert.is_true(jobs:spawn(one):join(huge))
      assert.same({ true, 1 }, { jobs:spawn(one):result(huge) })
      local job = jobs:spawn(uvjobs.protect, one)
      uvjobs.yield()
      job:close(huge)
      assert.equal("done", job.state)
      raises("timeout", uvjobs.timeout, 1, uvjobs.timeout, huge, uvjobs.sleep, 5)
    end)
  end)
end)
