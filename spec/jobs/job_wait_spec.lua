-- Waiting for jobs: wait, join; and that ended jobs leave no memory behind.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, raises, message, quiet = helper.virtual, helper.raises, helper.message, helper.quiet

describe("wait", function()
  after_each(helper.check_clean)

  it("returns all results, nils included", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      local function give(...) uvjobs.sleep(1) return ... end
      for _, values in ipairs {
        table.pack(), table.pack(nil), table.pack(1), table.pack(nil, nil), table.pack(false),
        table.pack(1, nil, "x", nil), table.pack(table.unpack({}, 1, 200)),
      } do
        local job = jobs:spawn(give, table.unpack(values, 1, values.n))
        assert.same(values, table.pack(job:wait()))
        assert.same(values, table.pack(job:wait()))
      end
      jobs:close()
    end)
  end)

  it("raises the error of the job, the same value, every time #M12", function()
    virtual(function()
      local jobs = quiet()
      for _, value in ipairs { "text", 42, {}, io.stdout, print, true } do
        local job = jobs:spawn(function() uvjobs.yield() error(value, 0) end)
        for _ = 1, 3 do
          local r = table.pack(pcall(job.wait, job))
          assert.equal(2, r.n)
          assert.is_false(r[1])
          assert.is_true(rawequal(value, r[2]))
        end
        assert.equal("failed", job.state)
      end
      local none = jobs:spawn(error)
      assert.same({ n = 2, false, helper.NIL_ERROR }, table.pack(pcall(none.wait, none)))
      jobs:close()
    end)
  end)

  it("answers at once after the end, also after the run and outside a job", function()
    local done, failed, cancelled, boom = nil, nil, nil, {}
    virtual(function()
      local jobs = quiet()
      done = jobs:spawn(function() return 1, nil, 3 end)
      failed = jobs:spawn(error, boom)
      cancelled = jobs:spawn(uvjobs.sleep, 9)
      uvjobs.yield()
      jobs:close()
      assert.same({ n = 3, 1, [3] = 3 }, table.pack(done:wait()))
    end)
    for _ = 1, 2 do
      assert.same({ n = 3, 1, [3] = 3 }, table.pack(done:wait()))
      assert.is_true(rawequal(boom, select(2, pcall(failed.wait, failed))))
      assert.equal(cancelled, raises("cancelled", cancelled.wait, cancelled).job)
      assert.is_true(cancelled:join())
    end
  end)

  it("wakes every waiter once, in the order in which they came #M4", function()
    virtual(function()
      local log = helper.log()
      local jobs <close> = uvjobs.scheduler()
      local job = jobs:spawn(function() uvjobs.sleep(1) return "r" end)
      for i = 1, 5 do jobs:spawn(function() log:add(i .. job:wait()) end) end
      uvjobs.sleep(2)
      assert.same({ "1r", "2r", "3r", "4r", "5r" }, log)
    end)
  end)

  it("leaves the job alone when the waiter is cancelled", function()
    virtual(function()
      local jobs, others = uvjobs.scheduler(), uvjobs.scheduler()
      local job = jobs:spawn(function() uvjobs.sleep(3) return "fine" end)
      local waiter = others:spawn(job.wait, job)
      uvjobs.sleep(1)
      waiter:cancel()
      assert.equal(waiter, raises("cancelled", waiter.wait, waiter).job)
      assert.equal("active", job.state)
      assert.equal("fine", job:wait())
    end)
  end)

  it("gives the waiter of a cancelled job 'cancelled' with that job in err.job", function()
    virtual(function()
      local jobs, others = quiet { limit = 1 }, quiet()
      local active, pending = jobs:spawn(uvjobs.sleep, 9), jobs:spawn(uvjobs.sleep, 9)
      local waiters = {}
      for i, job in ipairs { active, pending } do
        waiters[i] = others:spawn(function() return job, raises("cancelled", job.wait, job) end)
      end
      uvjobs.yield()
      jobs:close()
      for i = 1, 2 do
        local job, err = waiters[i]:wait()
        assert.equal(job, err.job)
        assert.equal("cancelled", err.code)
        assert.equal(("job #%d was cancelled"):format(job.id), err.message)
        assert.equal(err.message, tostring(err))
      end
    end)
  end)

  it("gives all waiters of a killed job the same 'killed' error", function()
    virtual(function()
      local jobs, others = quiet { close_timeout = 1 }, quiet()
      local job = jobs:spawn(uvjobs.protect, uvjobs.sleep, 99)
      local a = others:spawn(function() return raises("killed", job.wait, job) end)
      local b = others:spawn(function() return raises("killed", job.wait, job) end)
      uvjobs.yield()
      jobs:close()
      local err = a:wait()
      assert.equal(job, err.job)
      assert.equal(err, b:wait())
      assert.equal(err, raises("killed", job.wait, job))
    end)
  end)

  describe("with a timeout", function()
    it("returns the results of a job that ends in time", function()
      virtual(function()
        local jobs = uvjobs.scheduler()
        local job = jobs:spawn(function() uvjobs.sleep(1) return 7 end)
        assert.equal(7, job:wait(2))
        assert.equal(1, uvjobs.now())
        assert.equal(7, job:wait(0))
        jobs:close()
      end)
    end)

    it("closes the job when it passes, and raises 'timeout' naming it", function()
      virtual(function()
        local jobs = uvjobs.scheduler { close_timeout = 9 }
        local job = jobs:spawn(function()
          pcall(uvjobs.sleep, 99)
          uvjobs.protect(uvjobs.sleep, 1)
          error("not asked for", 0)
        end)
        local err = raises("timeout", job.wait, job, 2)
        assert.equal(job, err.job)
        assert.equal(3, uvjobs.now())
        assert.equal("failed", job.state)
        local reports = helper.take_reports()
        assert.equal(1, #reports)
        assert.equal("not asked for", reports[1].exception)
        jobs:close()
      end)
    end)

    it("kills a job that does not end then #M8", function()
      virtual(function()
        local jobs = quiet { close_timeout = 3 }
        local job = jobs:spawn(uvjobs.protect, uvjobs.sleep, 99)
        raises("timeout", job.wait, job, 2)
        assert.equal(5, uvjobs.now())
        assert.equal("killed", job.state)
        jobs:close()
      end)
    end)

    it("drops a pending job when it passes", function()
      virtual(function()
        local jobs = uvjobs.scheduler { limit = 1 }
        jobs:spawn(uvjobs.sleep, 9)
        local job = jobs:spawn(error, "ran")
        raises("timeout", job.wait, job, 1)
        assert.equal(1, uvjobs.now())
        assert.equal("cancelled", job.state)
        jobs:close()
      end)
    end)
  end)

  it("for itself is an error", function()
    virtual(function()
      local self = uvjobs.current()
      assert.equal("a job cannot wait for itself", message(self.wait, self))
      assert.equal("a job cannot wait for itself", message(self.wait, self, 1))
    end)
  end)
end)

describe("join", function()
  after_each(helper.check_clean)

  it("is true when the job ended, however, without raising its error", function()
    virtual(function()
      local jobs = quiet { close_timeout = 1 }
      local list = { jobs:spawn(uvjobs.now), jobs:spawn(error, "boom"), jobs:spawn(uvjobs.sleep, 9),
                     jobs:spawn(uvjobs.protect, uvjobs.sleep, 99) }
      uvjobs.yield()
      local others <close> = uvjobs.scheduler()
      others:spawn(jobs.close, jobs)
      for i = 1, 4 do
        assert.same({ n = 1, true }, table.pack(list[i]:join()))
        assert.same({ n = 1, true }, table.pack(list[i]:join(0)))
      end
    end)
  end)

  it("is false when the time passed, and the job goes on", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      local job = jobs:spawn(uvjobs.sleep, 5)
      assert.same({ n = 1, false }, table.pack(job:join(2)))
      assert.equal(2, uvjobs.now())
      assert.equal("active", job.state)
      assert.is_true(job:join(4))
      assert.equal(5, uvjobs.now())
      assert.is_false(jobs:spawn(uvjobs.sleep, 1):join(0))
      jobs:close()
    end)
  end)

  it("for itself is an error", function()
    virtual(function()
      local self = uvjobs.current()
      assert.equal("a job cannot join itself", message(self.join, self))
    end)
  end)
end)

describe("a job that ended", function()
  after_each(helper.check_clean)

  it("is collectable as soon as nobody refers to it #M13", function()
    virtual(function()
      local jobs = quiet { limit = 2 }
      local weak = setmetatable({}, { __mode = "k" })
      local count = 0
      for i = 1, 50 do
        local value = {}
        local job = jobs:spawn(function(v)
          if i % 3 == 0 then error(v) end
          uvjobs.sleep(i % 2)
          return v
        end, value)
        weak[job], weak[value] = "job", "value"
        if i % 5 == 0 then job:cancel() end
      end
      uvjobs.sleep(100)
      assert.equal(0, #jobs)
      collectgarbage()
      collectgarbage()
      for _ in pairs(weak) do count = count + 1 end
      assert.equal(0, count)
      jobs:close()
    end)
  end)

  it("that was killed, shielded, blocked or dropped is collectable #M13", function()
    virtual(function()
      local weak = setmetatable({}, { __mode = "k" })
      local others = quiet()
      do
        local jobs = quiet { limit = 1, pending_limit = 1, close_timeout = 1 }
        weak[jobs] = true
        weak[jobs:spawn(uvjobs.protect, uvjobs.sleep, 99)] = true
        weak[jobs:spawn(uvjobs.sleep, 99)] = true
        weak[others:spawn(jobs.spawn, jobs, uvjobs.sleep, 99)] = true
        weak[others:spawn(jobs.shield, jobs, uvjobs.sleep, 99)] = true
        uvjobs.yield()
        jobs:close()
      end
      uvjobs.sleep(1)
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
      others:close()
    end)
  end)

  it("leaves memory as it was, 100,000 times #M13", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 50 }
      local function round(n)
        for i = 1, n do
          local job = jobs:spawn(uvjobs.sleep, i % 3)
          if i % 1000 == 0 then job:join() end
        end
        while #jobs > 0 do uvjobs.sleep(1) end
        collectgarbage()
        collectgarbage()
        return collectgarbage("count")
      end
      round(10000)
      local before = round(10000)
      local after = round(100000)
      assert.is_true(after - before < 64,
                     ("grew from %.0f to %.0f KB"):format(before, after))
      jobs:close()
    end)
  end)

  it("many at once give their memory back #M13", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = math.huge }
      local function peak(n)
        for _ = 1, n do jobs:spawn(uvjobs.sleep, 1) end
        uvjobs.sleep(2)
        assert.equal(0, #jobs)
        uvjobs.sleep(1)
        collectgarbage()
        collectgarbage()
        return collectgarbage("count")
      end
      local before = peak(1000)
      local after = peak(50000)
      assert.is_true(after - before < 8192,
                     ("grew from %.0f to %.0f KB"):format(before, after))
      jobs:close()
    end)
  end)
end)
