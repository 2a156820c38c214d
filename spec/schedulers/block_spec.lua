-- Leaving the block of `local jobs <close> = uvjobs.scheduler()`.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, raises = helper.virtual, helper.raises

describe("leaving the block of a scheduler", function()
  after_each(helper.check_clean)

  it("waits for the jobs", function()
    virtual(function()
      local job
      do
        local jobs <close> = uvjobs.scheduler()
        job = jobs:spawn(uvjobs.sleep, 9)
      end
      assert.equal("done", job.state)
      assert.equal(9, uvjobs.now())
    end)
  end)

  it("waits without a limit, however long the jobs take", function()
    virtual(function()
      local job
      do
        local jobs <close> = uvjobs.scheduler()
        job = jobs:spawn(uvjobs.sleep, 1e6)
      end
      assert.equal("done", job.state)
      assert.equal(1e6, uvjobs.now())
    end)
  end)

  it("waits at most wait_timeout, and tells what was cancelled for it", function()
    virtual(function()
      local job
      local contexts = {}
      do
        local jobs <close> = uvjobs.scheduler {
          wait_timeout = 3, exception_handler = helper.recorder(contexts),
        }
        job = jobs:spawn(uvjobs.sleep, 9)
      end
      assert.equal("cancelled", job.state)
      assert.equal(3, uvjobs.now())
      assert.equal(1, #contexts)
      assert.equal("Waiting timed out", contexts[1].message)
      assert.same({ job }, contexts[1].jobs)
    end)
  end)

  it("by return keeps the results", function()
    virtual(function()
      local function f()
        local jobs <close> = uvjobs.scheduler()
        jobs:spawn(uvjobs.sleep, 1)
        return 1, nil, 3
      end
      assert.same({ n = 3, 1, [3] = 3 }, table.pack(f()))
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("by an error cancels the jobs, and the error keeps its identity #M12", function()
    virtual(function()
      local job
      local boom = {}
      local ok, err = pcall(function()
        local jobs <close> = uvjobs.scheduler()
        job = jobs:spawn(uvjobs.sleep, 9)
        uvjobs.yield()
        error(boom)
      end)
      assert.is_false(ok)
      assert.equal(boom, err)
      assert.equal("cancelled", job.state)
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("while being cancelled cancels the jobs and awaits them", function()
    virtual(function()
      local log = helper.log()
      local others <close> = uvjobs.scheduler { close_timeout = 9 }
      local inner, jobs
      local outer = others:spawn(function()
        jobs = uvjobs.scheduler { close_timeout = 5 }
        local _ <close> = jobs
        inner = jobs:spawn(function()
          pcall(uvjobs.sleep, 100)
          uvjobs.protect(uvjobs.sleep, 2)
          log:add("inner")
        end)
        uvjobs.sleep(50)
      end)
      helper.yield(3)
      outer:cancel()
      raises("cancelled", outer.wait, outer)
      assert.same({ "inner" }, log)
      assert.equal("done", inner.state)
      assert.equal(2, uvjobs.now())
      assert.is_true(jobs.closed)
    end)
  end)

  it("closes it when the job is cancelled while it waits there", function()
    virtual(function()
      local others <close> = uvjobs.scheduler { close_timeout = 9 }
      local inner
      local outer = others:spawn(function()
        local jobs <close> = uvjobs.scheduler()
        inner = jobs:spawn(uvjobs.sleep, 100)
      end)
      uvjobs.sleep(3)
      assert.equal("active", outer.state)
      outer:cancel()
      local err = raises("cancelled", outer.wait, outer)
      assert.equal(outer, err.job)
      assert.equal("cancelled", inner.state)
      assert.equal("cancelled", outer.state)
    end)
  end)

  it("closes it when the deadline of the block passes while it waits there", function()
    virtual(function()
      local inner
      raises("timeout", uvjobs.timeout, 4, function()
        local jobs <close> = uvjobs.scheduler()
        inner = jobs:spawn(uvjobs.sleep, 100)
      end)
      assert.equal("cancelled", inner.state)
      assert.equal(4, uvjobs.now())
    end)
  end)

  it("closes it when the job is killed: its jobs do not go on", function()
    virtual(function()
      local ticks, inner = 0, nil
      local others = helper.quiet { close_timeout = 1 }
      others:spawn(function()
        local jobs <close> = helper.quiet()
        inner = jobs:spawn(function()
          while true do
            uvjobs.sleep(1)
            ticks = ticks + 1
          end
        end)
        while true do uvjobs.protect(uvjobs.sleep, 100) end
      end)
      helper.yield(2)
      others:close()
      assert.is_false(inner.scheduler.closed == false and inner.state == "active",
                      "the scheduler of the killed job is still open")
      local before = ticks
      uvjobs.sleep(10)
      assert.equal(before, ticks)
      assert.is_true(inner.closed)
    end)
  end)

  it("outside a run says that it cannot wait, and drops the jobs, which never started", function()
    local job
    local text = helper.message(function()
      local jobs <close> = uvjobs.scheduler()
      job = jobs:spawn(function() end)
    end)
    assert.matches("'wait_and_close' must be called in a job", text)
    assert.equal("cancelled", job.state)
  end)

  it("of a closed scheduler does nothing", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(uvjobs.sleep, 9)
      jobs:close()
    end)
    assert.is_nil(uvjobs.current())
  end)

  it("in nested blocks ends the inner scheduler first", function()
    virtual(function()
      local log = helper.log()
      do
        local outer <close> = uvjobs.scheduler()
        local inner <close> = uvjobs.scheduler()
        outer:spawn(function() uvjobs.sleep(1) log:add(inner.closed and "closed" or "open") end)
        inner:spawn(function() uvjobs.sleep(3) log:add("inner") end)
        outer:spawn(function() uvjobs.sleep(5) log:add(inner.closed and "closed" or "open") end)
      end
      assert.same({ "open", "inner", "closed" }, log)
    end)
  end)
end)

describe("leaving the block of a scheduler in a coroutine that is not a job", function()
  after_each(helper.check_clean)

  local function resume(fn, ...) return coroutine.resume(coroutine.create(fn), ...) end

  it("closes it, and raises that it cannot be waited for #M15", function()
    virtual(function()
      local scheduler, job
      local ok, err = resume(function()
        local s <close> = uvjobs.scheduler()
        scheduler, job = s, s:spawn(uvjobs.sleep, 1)
      end)
      assert.is_false(ok)
      assert.equal("'wait_and_close' must be called in a job: use uvjobs.coroutine", err)
      assert.is_true(scheduler.closed)
      job:join()
      assert.equal("cancelled", job.state)
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("by an error closes it, and raises that one", function()
    virtual(function()
      local scheduler
      local problem = {}
      local _, ok, err = resume(pcall, function()
        local s <close> = uvjobs.scheduler()
        scheduler = s
        s:spawn(uvjobs.sleep, 1)
        error(problem)
      end)
      assert.is_false(ok)
      assert.equal(problem, err)
      assert.is_true(scheduler.closed)
      uvjobs.yield()
      assert.equal(0, #scheduler)
    end)
  end)
end)
