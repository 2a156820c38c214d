-- The timeouts that job:wait, job:join, job:close and event:wait take.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual = helper.virtual

local function ignore() end

local function scheduler(options)
  options = options or {}
  options.exception_handler = ignore
  return uvjobs.scheduler(options)
end

describe("job:wait with a timeout", function()
  after_each(helper.check_clean)

  it("returns the results of a job that is in time", function()
    virtual(function()
      local jobs = scheduler()
      local job = jobs:spawn(function() uvjobs.sleep(1); return 1, nil, 3 end)
      assert.same({ 1, nil, 3, n = 3 }, table.pack(job:wait(2)))
      assert.same({ 1, nil, 3, n = 3 }, table.pack(job:wait(0)))
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("raises the job's own error when it comes in time #M12", function()
    virtual(function()
      local problem = {}
      local job = scheduler():spawn(function() uvjobs.sleep(1); error(problem) end)
      assert.equal(problem, select(2, pcall(job.wait, job, 2)))
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("closes the job and raises timeout when the time has passed", function()
    virtual(function()
      local job = scheduler():spawn(uvjobs.sleep, 10)
      local err = helper.raises("timeout", job.wait, job, 2)
      assert.equal(job, err.job)
      assert.equal(2, uvjobs.now())
      assert.equal("cancelled", job.state)
      helper.raises("cancelled", job.wait, job)
    end)
  end)

  it("of zero seconds closes a job that is not over", function()
    virtual(function()
      local jobs = scheduler { limit = 1 }
      local running = jobs:spawn(uvjobs.sleep, 10)
      local pending = jobs:spawn(uvjobs.sleep, 10)
      helper.raises("timeout", pending.wait, pending, 0)
      helper.raises("timeout", running.wait, running, 0)
      assert.same({ "cancelled", "cancelled" }, { running.state, pending.state })
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("gives the job time to clean up before it raises", function()
    virtual(function()
      local jobs, cleaned = scheduler { close_timeout = 3 }, nil
      local job = jobs:spawn(function()
        pcall(uvjobs.sleep, 10)
        uvjobs.protect(uvjobs.sleep, 2)
        cleaned = uvjobs.now()
        error("lost in the clean-up")
      end)
      helper.raises("timeout", job.wait, job, 2)
      assert.equal(4, cleaned)
      assert.equal(4, uvjobs.now())
      assert.equal("failed", job.state)
    end)
  end)

  it("has a job killed that outstays its close timeout #M8", function()
    virtual(function()
      local jobs = scheduler { close_timeout = 0.5 }
      local job = jobs:spawn(uvjobs.protect, uvjobs.sleep, 100)
      helper.raises("timeout", job.wait, job, 2)
      assert.equal(2.5, uvjobs.now())
      assert.equal("killed", job.state)
    end)
  end)

  it("closes it for the other waiters, too #M4", function()
    virtual(function()
      local jobs, codes = scheduler(), {}
      local job = jobs:spawn(uvjobs.sleep, 10)
      for i = 1, 3 do
        jobs:spawn(function()
          local _, err = pcall(job.wait, job, i == 2 and 1 or nil)
          codes[i] = uvjobs.code(err)
        end)
      end
      uvjobs.sleep(2)
      assert.same({ "cancelled", "timeout", "cancelled" }, codes)
      assert.equal("cancelled", job.state)
    end)
  end)

  it("leaves the job closing when the waiter is cancelled meanwhile", function()
    virtual(function()
      local jobs = scheduler { close_timeout = 5 }
      local job = jobs:spawn(uvjobs.protect, uvjobs.sleep, 4)
      local waiter = jobs:spawn(function() job:wait(1) end)
      uvjobs.sleep(2)
      assert.equal("closing", job.state)
      waiter:cancel()
      waiter:join()
      assert.equal("cancelled", waiter.state)
      assert.is_true(job:join())
      assert.equal(4, uvjobs.now())
      assert.equal("done", job.state)
    end)
  end)

  it("loses no result when the job ends at the very moment #M6", function()
    virtual(function()
      local jobs = scheduler()
      local job = jobs:spawn(function() uvjobs.sleep(2); return "result" end)
      uvjobs.yield()
      pcall(job.wait, job, 2) -- which of the two is first is not promised
      assert.equal(2, uvjobs.now())
      assert.equal("done", job.state)
      assert.equal("result", job:wait())
    end)
  end)
end)

describe("job:join with a timeout", function()
  after_each(helper.check_clean)

  it("is false when the time passed, and the job goes on", function()
    virtual(function()
      local job = scheduler():spawn(function() uvjobs.sleep(5); return "result" end)
      assert.is_false(job:join(2))
      assert.is_false(job:join(0))
      assert.equal(2, uvjobs.now())
      assert.equal("active", job.state)
      assert.is_true(job:join(10))
      assert.equal(5, uvjobs.now())
      assert.is_true(job:join(0))
      assert.equal("result", job:wait())
    end)
  end)

  it("is true however the job ended, and raises nothing", function()
    virtual(function()
      local jobs = scheduler()
      local failed = jobs:spawn(error, "oh no")
      local cancelled = jobs:spawn(uvjobs.sleep, 5)
      local killed = jobs:spawn(uvjobs.protect, uvjobs.sleep, 50)
      uvjobs.yield()
      cancelled:cancel()
      pcall(killed.close, killed, 1)
      for _, job in ipairs { failed, cancelled, killed } do assert.is_true(job:join(1)) end
      assert.same({ "failed", "cancelled", "killed" },
        { failed.state, cancelled.state, killed.state })
    end)
  end)
end)

describe("job:close with a timeout", function()
  after_each(helper.check_clean)

  it("is bounded by it whatever the job's scheduler says #M8", function()
    virtual(function()
      local jobs = scheduler { close_timeout = 1 }
      for _, case in ipairs { { 0, 0 }, { 0.25, 0.25 }, { 7, 7 }, { nil, 1 } } do
        local job = jobs:spawn(uvjobs.protect, uvjobs.sleep, 100)
        uvjobs.yield()
        local start = uvjobs.now()
        local err = helper.raises("timeout", job.close, job, case[1])
        assert.equal(case[2], uvjobs.now() - start)
        assert.equal(job, err.job)
        assert.equal("killed", job.state)
      end
    end)
  end)

  it("counts the shortest of several", function()
    virtual(function()
      local jobs, codes = scheduler(), {}
      local job = jobs:spawn(uvjobs.protect, uvjobs.sleep, 100)
      for i, span in ipairs { 9, 3, 6 } do
        jobs:spawn(function()
          codes[i] = uvjobs.code(select(2, pcall(job.close, job, span)))
        end)
      end
      uvjobs.yield()
      job:join()
      assert.equal(3, uvjobs.now())
      uvjobs.yield()
      assert.same({ "timeout", "timeout", "timeout" }, codes)
    end)
  end)

  it("returns nothing when the job ends in time, and raises what it failed with", function()
    virtual(function()
      local jobs, problem = scheduler(), {}
      local obedient = jobs:spawn(uvjobs.sleep, 10)
      local stubborn = jobs:spawn(function() pcall(uvjobs.sleep, 10); return "result" end)
      local broken = jobs:spawn(function() pcall(uvjobs.sleep, 10); error(problem) end)
      uvjobs.yield()
      assert.equal(0, select("#", obedient:close(1)))
      assert.equal(0, select("#", stubborn:close(1)))
      assert.equal(problem, select(2, pcall(broken.close, broken, 1)))
      assert.equal(0, select("#", broken:close(1)))
      assert.equal("result", stubborn:wait())
      assert.equal(0, uvjobs.now())
    end)
  end)
end)

describe("event:wait with a timeout", function()
  after_each(helper.check_clean)

  it("returns nil and 'timeout' when the time has passed", function()
    virtual(function()
      local event = uvjobs.event()
      assert.same({ nil, "timeout", n = 2 }, table.pack(event:wait(2)))
      assert.equal(2, uvjobs.now())
      assert.same({ nil, "timeout", n = 2 }, table.pack(event:wait(0)))
      assert.equal(2, uvjobs.now())
    end)
  end)

  it("returns true when it is set in time, and at once when it is set", function()
    virtual(function()
      local event = uvjobs.event()
      scheduler():spawn(function() uvjobs.sleep(1); event:set() end)
      assert.is_true(event:wait(2))
      assert.equal(1, uvjobs.now())
      assert.is_true(event:wait(0))
      event:clear()
      assert.is_nil((event:wait(0)))
    end)
  end)

  it("takes the waiter out of the queue #M6", function()
    virtual(function()
      local jobs, event, woken = scheduler(), uvjobs.event(), 0
      for i = 1, 100 do
        jobs:spawn(function() if event:wait(i % 2 == 0 and 1 or 3) then woken = woken + 1 end end)
      end
      uvjobs.sleep(2)
      assert.equal(50, jobs.active_count)
      event:set()
      jobs:wait_and_close()
      assert.equal(50, woken)
      assert.equal(2, uvjobs.now())
    end)
  end)

  it("gives way to an earlier deadline of the job", function()
    virtual(function()
      local event = uvjobs.event()
      helper.raises("timeout", uvjobs.timeout, 1, event.wait, event, 2)
      local got = table.pack(uvjobs.timeout(2, event.wait, event, 1))
      assert.same({ nil, "timeout", n = 2 }, got)
      assert.equal(2, uvjobs.now())
    end)
  end)
end)
