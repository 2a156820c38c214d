-- Mutexes whose owner ends, and the memory of a mutex.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, quiet = helper.virtual, helper.quiet

describe("a job that ends holding a mutex", function()
  after_each(helper.check_clean)

  -- Runs fn(mutex) as a job that ends while it holds the mutex; returns the reports.
  local function reported(expected_state, fn, ending)
    return virtual(function()
      local reports, mutex = helper.log(), uvjobs.mutex()
      local s = uvjobs.scheduler {
        exception_handler = helper.recorder(reports),
      }
      local job = s:spawn(fn, mutex)
      local others <close> = uvjobs.scheduler()
      local waiter = others:spawn(function() return mutex:lock(), mutex:unlock() end)
      uvjobs.yield()
      if ending then ending(job, s) end
      assert.is_true(waiter:wait())
      assert.equal(expected_state, job.state)
      assert.equal("uvjobs.Mutex: free", tostring(mutex))
      assert.equal("Job ended holding a mutex", reports[1].message)
      assert.equal(job, reports[1].job)
      s:wait_and_close()
      return reports
    end)
  end

  it("is reported, and the mutex passes on", function()
    assert.equal(1, #reported("done", function(mutex) mutex:lock() end))
  end)

  it("is reported when it took it by try_lock or by a permit that was not closed", function()
    assert.equal(1, #reported("done", function(mutex) mutex:try_lock() end))
    assert.equal(1, #reported("done", function(mutex) mutex:permit() end))
  end)

  it("is reported when it failed, besides its error", function()
    local reports = reported("failed", function(mutex) mutex:lock(); error("oh no", 0) end)
    assert.equal(2, #reports)
    assert.equal("Job processing failed", reports[2].message)
    assert.equal("oh no", reports[2].exception)
  end)

  it("is reported when it was cancelled", function()
    assert.equal(1, #reported("cancelled", function(mutex) mutex:lock(); uvjobs.sleep(9) end,
      function(job) job:cancel() end))
  end)

  it("is reported when it was killed, besides that", function()
    local reports = reported("killed",
      function(mutex) mutex:lock(); uvjobs.protect(uvjobs.sleep, 9) end,
      function(_, jobs) jobs:close() end)
    assert.equal(2, #reports)
    assert.equal("Job closing timed out", reports[2].message)
  end)

  it("is reported once for several mutexes, which all pass on", function()
    virtual(function()
      local reports, mutexes = 0, {}
      local s = uvjobs.scheduler { exception_handler = function() reports = reports + 1 end }
      for i = 1, 5 do mutexes[i] = uvjobs.mutex() end
      s:spawn(function() for i = 1, 5 do mutexes[i]:lock() end end):wait()
      for i = 1, 5 do assert.is_true(mutexes[i]:try_lock()); mutexes[i]:unlock() end
      assert.equal(1, reports)
      s:wait_and_close()
    end)
  end)

  it("does not give back a lock that another job has by now, by its permit", function()
    virtual(function()
      local mutex, s, permit = uvjobs.mutex(), quiet(), nil
      s:spawn(function() permit = mutex:permit() end):wait()
      mutex:lock()
      permit:release()
      assert.equal("uvjobs.Mutex: locked by job #" .. uvjobs.current().id, tostring(mutex))
      mutex:unlock()
      s:wait_and_close()
    end)
  end)
end)

describe("the memory of a mutex", function()
  after_each(helper.check_clean)

  local function collect()
    collectgarbage()
    collectgarbage()
  end

  it("is given back while it is locked, when nobody refers to it", function()
    virtual(function()
      local weak = setmetatable({}, { __mode = "k" })
      for _ = 1, 10 do
        local mutex = uvjobs.mutex()
        mutex:lock()
        weak[mutex] = true
      end
      local kept = uvjobs.mutex()
      kept:lock()
      collect()
      assert.is_nil(next(weak))
      kept:unlock() -- the list of locked ones is whole
      assert.is_true(kept:try_lock())
      kept:unlock()
    end)
  end)

  it("stays while jobs wait for it", function()
    virtual(function()
      local s, got = quiet(), 0
      do
        local mutex = uvjobs.mutex()
        local function hold() got = got + 1; uvjobs.sleep(1) end
        for _ = 1, 3 do s:spawn(mutex.with, mutex, hold) end
      end
      uvjobs.yield()
      collect()
      s:wait_and_close()
      assert.equal(3, got)
    end)
  end)

  it("is released when the state closes with it locked and waited for #M14", function()
    local child = helper.child [[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        local mutex, s = uvjobs.mutex(), uvjobs.scheduler()
        local sem = uvjobs.semaphore(1)
        for _ = 1, 3 do
          s:spawn(mutex.with, mutex, uvjobs.sleep, 10)
          s:spawn(sem.with, sem, uvjobs.sleep, 10)
        end
        uvjobs.yield()
        io.write("here")
        os.exit(7, true)
      end)]]
    assert.same({ status = 7, out = "here", err = "" }, child)
  end)
end)
