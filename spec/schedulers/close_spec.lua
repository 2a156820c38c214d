-- close of a scheduler.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, raises = helper.virtual, helper.raises
local quiet, stubborn = helper.quiet, helper.stubborn

describe("close", function()
  after_each(helper.check_clean)

  it("drops the pending jobs without running them and cancels the active ones #M9", function()
    virtual(function()
      local log = helper.log()
      local jobs = uvjobs.scheduler { limit = 1 }
      local active = jobs:spawn(function()
        log:add("active")
        local ok, err = pcall(uvjobs.sleep, 10)
        log:add(ok or uvjobs.code(err))
        error(err, 0)
      end)
      local pending = jobs:spawn(log.add, log, "pending")
      uvjobs.yield()
      jobs:close()
      assert.same({ "active", "cancelled" }, log)
      assert.equal("cancelled", active.state)
      assert.equal("cancelled", pending.state)
      assert.equal(0, uvjobs.now())
      assert.equal(0, #jobs)
    end)
  end)

  it("never runs a job that had not started #M9", function()
    virtual(function()
      local log = helper.log()
      local jobs = uvjobs.scheduler()
      local job = jobs:spawn(log.add, log, "ran")
      jobs:close()
      uvjobs.yield()
      assert.same({}, log)
      assert.equal("cancelled", job.state)
    end)
  end)

  it("runs nothing any more when a job spawns in its clean-up #M9", function()
    virtual(function()
      local log = helper.log()
      local jobs = uvjobs.scheduler()
      jobs:spawn(function()
        pcall(uvjobs.sleep, 10)
        log:add(tostring(select(2, jobs:try_spawn(log.add, log, "ran"))))
      end)
      uvjobs.yield()
      jobs:close()
      uvjobs.yield()
      assert.same({ "closed" }, log)
    end)
  end)

  it("does nothing on a closed scheduler", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      for _ = 1, 3 do assert.same({ n = 0 }, table.pack(jobs:close())) end
      assert.is_true(jobs.closed)
    end)
  end)

  it("returns to concurrent callers when all have ended #M4", function()
    virtual(function()
      local jobs, others <close> = uvjobs.scheduler { close_timeout = 9 }, uvjobs.scheduler()
      local job = jobs:spawn(function()
        pcall(uvjobs.sleep, 100)
        uvjobs.protect(uvjobs.sleep, 2)
      end)
      uvjobs.yield()
      local seen = helper.log()
      for i = 1, 3 do
        others:spawn(function()
          uvjobs.sleep(i / 2)
          jobs:close()
          seen:add(("%g %s"):format(uvjobs.now(), job.state))
        end)
      end
      others:wait_and_close()
      assert.same({ "2.5 done", "2.5 done", "2.5 done" }, seen)
    end)
  end)

  it("returns within close_timeout when jobs hide in protect #M8", function()
    virtual(function()
      local jobs = quiet { close_timeout = 0.5 }
      for _ = 1, 5 do jobs:spawn(stubborn) end
      jobs:spawn(uvjobs.protect, uvjobs.sleep, 1000)
      uvjobs.sleep(0.25)
      jobs:close()
      assert.equal(0.75, uvjobs.now())
      assert.equal(0, #jobs)
    end)
  end)

  -- The job gives up after many rounds, so that the spec ends also when closing fails.
  it("returns when jobs swallow their cancellation under the virtual clock #M8", function()
    local rounds = 0
    virtual(function()
      local jobs = quiet { close_timeout = 0.5 }
      local job = jobs:spawn(function()
        while rounds < 50000 do
          rounds = rounds + 1
          pcall(uvjobs.sleep, 10)
        end
      end)
      uvjobs.yield()
      jobs:close()
      assert.equal("killed", job.state)
      assert.equal(0.5, uvjobs.now())
    end)
    assert.is_true(rounds < 50000)
  end)

  it("returns within close_timeout when jobs swallow their cancellation #M8", function()
    local took
    uvjobs.run(function()
      local jobs = quiet { close_timeout = 0.05 }
      local swallowed = {}
      for i = 1, 3 do
        swallowed[i] = 0
        jobs:spawn(function()
          while true do
            if not pcall(uvjobs.sleep, 10) then swallowed[i] = swallowed[i] + 1 end
          end
        end)
      end
      uvjobs.yield()
      local start = uvjobs.now()
      jobs:close()
      took = uvjobs.now() - start
      for i = 1, 3 do assert.is_true(swallowed[i] > 1) end
      assert.equal(0, #jobs)
    end)
    assert.is_true(took >= 0.05)
  end)

  it("returns within close_timeout when a job gives way for ever #M8", function()
    local took
    uvjobs.run(function()
      local jobs = quiet { close_timeout = 0.05 }
      local job = jobs:spawn(function() while true do pcall(uvjobs.yield) end end)
      uvjobs.yield()
      local start = uvjobs.now()
      jobs:close()
      took = uvjobs.now() - start
      assert.equal("killed", job.state)
    end)
    assert.is_true(took >= 0.05)
  end)

  it("with close_timeout = 0 still lets a job see its cancellation", function()
    virtual(function()
      local log = helper.log()
      local jobs = quiet { close_timeout = 0 }
      local job = jobs:spawn(function()
        local _ <close> = setmetatable({}, { __close = function() log:add("closed") end })
        uvjobs.sleep(10)
      end)
      uvjobs.yield()
      jobs:close()
      assert.same({ "closed" }, log)
      assert.is_true(job.closed)
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("raises 'cancelled' when its caller is cancelled; the closing goes on", function()
    virtual(function()
      local jobs, others <close> = quiet { close_timeout = 5 }, uvjobs.scheduler()
      local job = jobs:spawn(stubborn)
      uvjobs.yield()
      local closer = others:spawn(jobs.close, jobs)
      uvjobs.yield()
      closer:cancel()
      raises("cancelled", closer.wait, closer)
      assert.is_true(jobs.closed)
      job:join()
      assert.equal("killed", job.state)
      assert.equal(5, uvjobs.now())
    end)
  end)

  describe("called by a job of the scheduler itself", function()
    it("cancels and awaits the others, then the caller gets 'cancelled'", function()
      virtual(function()
        local log = helper.log()
        local jobs = uvjobs.scheduler { close_timeout = 5 }
        local other = jobs:spawn(function()
          pcall(uvjobs.sleep, 100)
          uvjobs.protect(uvjobs.sleep, 1)
          log:add("other")
        end)
        local caller = jobs:spawn(function()
          uvjobs.yield()
          local err = raises("cancelled", jobs.close, jobs)
          assert.equal(uvjobs.current(), err.job)
          log:add("caller " .. other.state)
          raises("cancelled", uvjobs.sleep, 1)
          error(err, 0)
        end)
        caller:join()
        assert.same({ "other", "caller done" }, log)
        assert.equal("cancelled", caller.state)
        assert.is_true(jobs.closed)
        assert.equal(0, #jobs)
      end)
    end)

    it("works when it is the only job", function()
      virtual(function()
        local jobs = uvjobs.scheduler()
        local job = jobs:spawn(jobs.close, jobs)
        local err = raises("cancelled", job.wait, job)
        assert.equal(job, err.job)
        assert.equal("cancelled", job.state)
      end)
    end)

    it("does not wait for itself when several jobs do it", function()
      virtual(function()
        local jobs = uvjobs.scheduler()
        local callers = {}
        for i = 1, 3 do callers[i] = jobs:spawn(jobs.close, jobs) end
        for i = 1, 3 do callers[i]:join() end
        assert.equal(0, uvjobs.now())
        for i = 1, 3 do assert.equal("cancelled", callers[i].state) end
      end)
    end)

    it("kills the others that outstay close_timeout first #M8", function()
      virtual(function()
        local jobs = quiet { close_timeout = 2 }
        local other, at = jobs:spawn(stubborn), nil
        local caller = jobs:spawn(function()
          uvjobs.yield()
          pcall(jobs.close, jobs)
          at = uvjobs.now()
        end)
        caller:join()
        assert.equal(2, at)
        assert.equal("killed", other.state)
      end)
    end)
  end)

  describe("outside a run", function()
    it("drops jobs that never started", function()
      local jobs = uvjobs.scheduler { limit = 1 }
      local active, pending = jobs:spawn(function() end), jobs:spawn(function() end)
      jobs:close()
      assert.equal("cancelled", active.state)
      assert.equal("cancelled", pending.state)
      assert.is_true(jobs.closed)
    end)
  end)
end)
