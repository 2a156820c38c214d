-- Cancellation: who may ask for it and when, that it cannot be swallowed, and how
-- a cancelled job ends.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, ignore, outcome = helper.virtual, helper.ignore, helper.outcome

describe("a cancelled job", function()
  after_each(helper.check_clean)

  it("gets it in a loop that yields #M5", function()
    virtual(function()
      local jobs, rounds = uvjobs.scheduler(), 0
      local victim = jobs:spawn(function()
        while true do
          rounds = rounds + 1
          uvjobs.yield()
        end
      end)
      for _ = 1, 5 do uvjobs.yield() end
      local before = rounds
      victim:cancel()
      victim:join()
      assert.is_true(before > 1)
      assert.is_true(rounds <= before + 1)
      assert.equal("cancelled", victim.state)
    end)
  end)

  it("gains nothing from layers of pcall #M5", function()
    virtual(function()
      local jobs, caught = uvjobs.scheduler(), 0
      local victim = jobs:spawn(function()
        for _ = 1, 10 do
          pcall(function()
            if not pcall(uvjobs.sleep, 1) then
              caught = caught + 1
              xpcall(uvjobs.sleep, function(err) caught = caught + 1; return err end, 1)
              uvjobs.sleep(1)
            end
          end)
        end
        uvjobs.sleep(1)
      end)
      uvjobs.yield()
      victim:cancel()
      victim:join()
      assert.equal("cancelled", victim.state)
      assert.equal(20, caught)
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("ends at once and never runs when it has not started", function()
    virtual(function()
      local jobs, ran = uvjobs.scheduler { limit = 1 }, false
      local function run() ran = true end
      local ready, pending = jobs:spawn(run), jobs:spawn(run)
      assert.equal("active", ready.state)
      assert.equal("pending", pending.state)
      pending:cancel()
      assert.equal("cancelled", pending.state)
      ready:cancel()
      assert.equal("cancelled", ready.state)
      assert.equal(0, #jobs)
      local code, err = outcome(ready.wait, ready)
      assert.equal("cancelled", code)
      assert.equal(ready, err.job)
      uvjobs.sleep(1)
      assert.is_false(ran)
    end)
  end)

  it("may have cancelled itself", function()
    virtual(function()
      local jobs, reached = uvjobs.scheduler(), false
      local job = jobs:spawn(function()
        uvjobs.current():cancel()
        reached = uvjobs.current().state
        uvjobs.sleep(1)
        reached = "after the sleep"
      end)
      job:join()
      assert.equal("closing", reached)
      assert.equal("cancelled", job.state)
    end)
  end)

  it("is done, with its results, when it returns after all", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      local job = jobs:spawn(function()
        pcall(uvjobs.sleep, 10)
        return "partial", nil, 3
      end)
      uvjobs.yield()
      job:cancel()
      assert.same({ "partial", nil, 3, n = 3 }, table.pack(job:wait()))
      assert.equal("done", job.state)
    end)
  end)

  it("is failed when it raises something else while it cleans up", function()
    virtual(function()
      local jobs, problem = uvjobs.scheduler(), { "disk full" }
      local job = jobs:spawn(function()
        pcall(uvjobs.sleep, 10)
        error(problem)
      end)
      uvjobs.yield()
      job:cancel()
      local _, err = outcome(job.wait, job)
      assert.equal(problem, err)
      assert.equal("failed", job.state)
    end)
  end)

  it("is failed when it raises the cancelled error of another job", function()
    virtual(function()
      local jobs = uvjobs.scheduler { exception_handler = ignore }
      local other = jobs:spawn(uvjobs.sleep, 10)
      local follower = jobs:spawn(function() other:wait() end)
      local both = jobs:spawn(function()
        local _, err = pcall(other.wait, other)
        pcall(uvjobs.sleep, 10)
        error(err, 0)
      end)
      uvjobs.yield()
      other:cancel()
      uvjobs.sleep(1)
      both:cancel()
      uvjobs.sleep(1)
      assert.equal("cancelled", other.state)
      for _, job in ipairs { follower, both } do
        local code, err = outcome(job.wait, job)
        assert.equal("cancelled", code)
        assert.equal(other, err.job)
        assert.equal("failed", job.state)
      end
    end)
  end)

  it("is failed when it was not cancelled but raises a cancelled error", function()
    virtual(function()
      local context
      local jobs = uvjobs.scheduler { exception_handler = function(_, c) context = c end }
      local other = jobs:spawn(uvjobs.sleep, 10)
      local follower = jobs:spawn(function() other:wait() end)
      uvjobs.yield()
      other:cancel()
      uvjobs.sleep(1)
      assert.equal("Job processing failed", context.message)
      assert.equal(follower, context.job)
      assert.equal(other, context.exception.job)
    end)
  end)

  it("gives all its waiters the same error, which names it", function()
    virtual(function()
      local jobs, errors = uvjobs.scheduler { limit = math.huge }, {}
      local job = jobs:spawn(uvjobs.sleep, 10)
      for i = 1, 5 do
        jobs:spawn(function() errors[i] = select(2, pcall(job.wait, job)) end)
      end
      uvjobs.yield()
      job:cancel()
      uvjobs.sleep(1)
      errors[6] = select(2, pcall(job.wait, job))
      for i = 1, 6 do
        assert.equal("cancelled", uvjobs.code(errors[i]))
        assert.equal("cancelled", errors[i].code)
        assert.equal(job, errors[i].job)
        assert.equal(errors[1], errors[i])
        assert.equal(errors[i].message, tostring(errors[i]))
      end
    end)
  end)

  it("is not reported to the exception handler", function()
    virtual(function()
      local reports = 0
      local jobs = uvjobs.scheduler { exception_handler = function() reports = reports + 1 end }
      local job = jobs:spawn(uvjobs.sleep, 10)
      uvjobs.yield()
      job:cancel()
      uvjobs.sleep(1)
      assert.equal("cancelled", job.state)
      assert.equal(0, reports)
    end)
  end)

  it("may be cancelled again, which changes nothing", function()
    virtual(function()
      local jobs, caught = uvjobs.scheduler(), 0
      local job = jobs:spawn(function()
        if not pcall(uvjobs.sleep, 10) then caught = caught + 1 end
        uvjobs.protect(uvjobs.sleep, 3)
      end)
      uvjobs.yield()
      job:cancel()
      job:cancel()
      uvjobs.sleep(1)
      job:cancel()
      assert.equal("closing", job.state)
      job:wait()
      assert.equal(3, uvjobs.now())
      assert.equal(1, caught)
      assert.equal("done", job.state)
    end)
  end)

  it("keeps its outcome when it is cancelled after the end", function()
    virtual(function()
      local jobs = uvjobs.scheduler { exception_handler = ignore }
      local done = jobs:spawn(function() return 42 end)
      local failed = jobs:spawn(function() error("oh no", 0) end)
      uvjobs.sleep(1)
      for _, job in ipairs { done, failed } do
        job:cancel()
        assert.is_true(job.closed)
        assert.equal(0, #jobs)
      end
      assert.equal(42, done:wait())
      assert.equal("oh no", outcome(failed.wait, failed))
      assert.same({ "done", "failed" }, { done.state, failed.state })
    end)
  end)

  it("may be cancelled by an exception handler", function()
    virtual(function()
      local victim
      local jobs = uvjobs.scheduler { exception_handler = function() victim:cancel() end }
      victim = jobs:spawn(uvjobs.sleep, 10)
      local unstarted = uvjobs.scheduler {
        exception_handler = function(s) for job in s:jobs() do job:cancel() end end,
        limit = 1,
      }
      jobs:spawn(error, "trigger")
      unstarted:spawn(error, "trigger")
      local second, third = unstarted:spawn(ignore), unstarted:spawn(ignore)
      victim:join()
      uvjobs.sleep(1)
      assert.equal(1, uvjobs.now())
      assert.equal("cancelled", victim.state)
      assert.same({ "cancelled", "cancelled" }, { second.state, third.state })
      assert.equal(0, #unstarted)
    end)
  end)

  it("runs no code before cancel() has returned #M1", function()
    virtual(function()
      local jobs, order = uvjobs.scheduler(), {}
      local job = jobs:spawn(function()
        pcall(uvjobs.sleep, 10)
        order[#order + 1] = "job"
      end)
      uvjobs.yield()
      job:cancel()
      order[#order + 1] = "canceller"
      job:join()
      assert.same({ "canceller", "job" }, order)
    end)
  end)

  it("ends the run with its error when it is the main job", function()
    local main
    local code, err = outcome(virtual, function()
      main = uvjobs.current()
      local jobs = uvjobs.scheduler()
      jobs:spawn(function() main:cancel() end)
      uvjobs.sleep(10)
    end)
    assert.equal("cancelled", code)
    assert.equal(main, err.job)
    assert.is_nil(err.signal)
    assert.equal("cancelled", main.state)
  end)

  -- The loops have an end so that a failure does not hang the specs.
  local loops = {
    { "pcall", function() pcall(uvjobs.sleep, 1) end },
    { "pcall and yield", function() pcall(uvjobs.yield) end },
    { "three pcalls", function() pcall(pcall, pcall, uvjobs.sleep, 1) end },
    { "xpcall", function() xpcall(uvjobs.sleep, function() return "handled" end, 1) end },
    { "timeout", function() pcall(uvjobs.timeout, 1, uvjobs.sleep, 2) end },
    { "await", function() pcall(uvjobs.await, ignore) end },
    { "protect", function() uvjobs.protect(uvjobs.sleep, 0.01) end },
  }
  for _, case in ipairs(loops) do
    for _, clock in ipairs { "virtual", "real" } do
      it(("is killed when it loops with %s, %s clock #M5 #M8"):format(case[1], clock), function()
        local rounds = clock == "virtual" and 1e5 or 1e8
        uvjobs.run({ clock = clock }, function()
          local jobs = uvjobs.scheduler { exception_handler = ignore }
          local job = jobs:spawn(function() for _ = 1, rounds do case[2]() end end)
          uvjobs.yield()
          local start = uvjobs.now()
          local code, err = outcome(job.close, job, 0.05)
          local took = uvjobs.now() - start
          assert.equal("timeout", code)
          assert.equal(job, err.job)
          assert.is_true(took >= 0.05 and took < (clock == "real" and 30 or 0.0501), took)
          assert.equal("killed", job.state)
          assert.equal("killed", (outcome(job.wait, job)))
        end)
      end)
    end
  end

  it("does not stop the time of the others when nobody ends it", function()
    for _, clock in ipairs { "virtual", "real" } do
      uvjobs.run({ clock = clock }, function()
        local jobs, rounds = uvjobs.scheduler { exception_handler = ignore }, 0
        local function swallow()
          while rounds < (clock == "virtual" and 1e5 or 1e8) do
            pcall(uvjobs.sleep, 1)
            rounds = rounds + 1
          end
        end
        local cancelled = jobs:spawn(swallow)
        local late = jobs:spawn(uvjobs.timeout, 0, swallow)
        uvjobs.yield()
        cancelled:cancel()
        uvjobs.sleep(0.05)
        assert.same({ "closing", "active" }, { cancelled.state, late.state })
        jobs:close()
        assert.same({ "killed", "killed" }, { cancelled.state, late.state })
      end)
    end
  end)

  it("is one of 10,000 that close together, each once #M4 #M8", function()
    local count = 10000
    for _, case in ipairs {
      { uvjobs.sleep, 1000, "cancelled", 1 },
      { uvjobs.protect, uvjobs.sleep, "killed", 1.25 },
    } do
      virtual(function()
        local handled, jobs = 0, uvjobs.scheduler {
          limit = math.huge, close_timeout = 0.25, exception_handler = ignore,
        }
        local all = {}
        for i = 1, count do
          all[i] = jobs:spawn(function()
            local _ <close> = setmetatable({}, { __close = function() handled = handled + 1 end })
            case[1](case[2], 1000)
          end)
        end
        uvjobs.sleep(1)
        assert.equal(count, jobs.active_count)
        jobs:close()
        assert.equal(case[4], uvjobs.now())
        assert.equal(count, handled)
        assert.equal(0, #jobs)
        for i = 1, count do assert(all[i].state == case[3], all[i].state) end
      end)
    end
  end)

  it("leaves no trace on what 10,000 cancelled jobs waited for #M6", function()
    virtual(function()
      local jobs, woken = uvjobs.scheduler { limit = math.huge }, 0
      local event, waiters = uvjobs.event(), {}
      for i = 1, 10000 do
        waiters[i] = jobs:spawn(function() event:wait(); woken = woken + 1 end)
      end
      uvjobs.yield()
      for i = 1, 10000, 2 do waiters[i]:cancel() end
      event:set()
      jobs:wait_and_close()
      assert.equal(5000, woken)
      assert.equal("cancelled", waiters[1].state)
      assert.equal("done", waiters[2].state)
    end)
  end)
end)
