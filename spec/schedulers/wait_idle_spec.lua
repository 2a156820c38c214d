-- wait_idle of a scheduler.
local uvjobs = require "uvjobs"
local testing = require "uvjobs.testing"
local helper = require "spec.helper"

local virtual, raises, message = helper.virtual, helper.raises, helper.message

describe("wait_idle", function()
  after_each(helper.check_clean)

  it("returns true when no job is left, and leaves the scheduler open", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 2 }
      assert.same({ true, n = 1 }, table.pack(jobs:wait_idle()))
      for _ = 1, 4 do jobs:spawn(uvjobs.sleep, 1) end
      assert.same({ true, n = 1 }, table.pack(jobs:wait_idle()))
      assert.equal(2, uvjobs.now())
      assert.is_false(jobs.closed)
      assert.equal("active", jobs:spawn(uvjobs.sleep, 1).state)
    end)
  end)

  it("returns nil and timeout after so many seconds, and ends nobody #M6", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local job = jobs:spawn(uvjobs.sleep, 10)
      assert.same({ nil, "timeout", n = 2 }, table.pack(jobs:wait_idle(3)))
      assert.equal(3, uvjobs.now())
      assert.same({ nil, "timeout", n = 2 }, table.pack(jobs:wait_idle(0)))
      assert.equal("active", job.state)
      assert.is_true(jobs:wait_idle(7))
      assert.equal("done", job.state)
    end)
  end)

  it("waits for shielded functions, and for jobs that are spawned meanwhile", function()
    virtual(function()
      local jobs, others <close> = uvjobs.scheduler(), uvjobs.scheduler()
      others:spawn(jobs.shield, jobs, uvjobs.sleep, 2)
      local first = jobs:spawn(uvjobs.sleep, 1)
      others:spawn(function() first:wait() jobs:spawn(uvjobs.sleep, 4) end)
      uvjobs.yield()
      jobs:wait_idle()
      assert.equal(5, uvjobs.now())
      local last = jobs:spawn(uvjobs.sleep, 1)
      others:spawn(function() last:wait() jobs:spawn(uvjobs.sleep, 1) end)
      uvjobs.yield()
      jobs:wait_idle()
      assert.equal(7, uvjobs.now())
    end)
  end)

  it("raises cancelled and timeout even when nothing is to be waited for #M5", function()
    virtual(function()
      local jobs, others <close> = uvjobs.scheduler(), uvjobs.scheduler()
      others:spawn(function()
        uvjobs.current():cancel()
        raises("cancelled", jobs.wait_idle, jobs)
        raises("cancelled", jobs.wait_idle, jobs, 1)
      end):wait()
      raises("timeout", uvjobs.timeout, 0, jobs.wait_idle, jobs)
    end)
  end)

  it("lets the jobs go on when it is cancelled #M6", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local others <close> = uvjobs.scheduler()
      local job = jobs:spawn(uvjobs.sleep, 2)
      local waiter = others:spawn(jobs.wait_idle, jobs, 60)
      uvjobs.yield()
      waiter:close()
      assert.equal("cancelled", waiter.state)
      assert.equal("active", job.state)
      assert.is_false(jobs.closed)
    end)
  end)

  it("returns when the scheduler is closed meanwhile", function()
    virtual(function()
      local jobs, others <close> = uvjobs.scheduler(), uvjobs.scheduler()
      jobs:spawn(uvjobs.sleep, 60)
      local waiter = others:spawn(jobs.wait_idle, jobs)
      uvjobs.yield()
      jobs:close()
      assert.is_true(waiter:wait())
      assert.is_true(jobs:wait_idle())
    end)
  end)

  it("can be left everywhere, by cancelling and by killing #M6", function()
    for _, by in ipairs { "cancel", "kill" } do
      testing.cancel_everywhere({ by = by }, function()
        local jobs <close> = uvjobs.scheduler()
        jobs:spawn(uvjobs.sleep, 1)
        jobs:wait_idle(0.5)
        jobs:wait_idle()
      end)
    end
  end)

  it("refuses a job of the scheduler, a call outside of jobs, and bad limits", function()
    local jobs = uvjobs.scheduler()
    assert.equal("'wait_idle' must be called in a job: use uvjobs.run",
      message(jobs.wait_idle, jobs))
    virtual(function()
      local inside = message(function()
        jobs:spawn(jobs.wait_idle, jobs):wait()
      end)
      assert.equal("a job cannot wait for its own scheduler", inside)
      for _, value in ipairs { -1, 0 / 0, "x", {} } do
        assert.matches("bad argument #1 to 'wait_idle'", message(jobs.wait_idle, jobs, value), 1,
                       true)
      end
      assert.matches("bad self to 'wait_idle'", message(jobs.wait_idle, 7), 1, true)
    end)
  end)
end)
