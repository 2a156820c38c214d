-- uvjobs.testing.cancel_everywhere: a job is ended at each of its suspensions.
local uvjobs = require "uvjobs"
local testing = require "uvjobs.testing"
local helper = require "spec.helper"

local message = helper.message
local cancel_everywhere = testing.cancel_everywhere

-- The whole text of the error that cancel_everywhere raises.
local function complaint(...)
  local ok, text = pcall(cancel_everywhere, ...)
  assert.is_false(ok)
  return text
end

local function three_steps()
  uvjobs.sleep(1)
  uvjobs.yield()
  uvjobs.event():wait(1)
end

describe("testing.cancel_everywhere", function()
  after_each(helper.check_clean)

  it("counts the suspensions, outside a run and in one", function()
    assert.equal(3, cancel_everywhere(three_steps))
    assert.equal(0, cancel_everywhere(function() end))
    uvjobs.run({ clock = "virtual" }, function()
      assert.equal(3, cancel_everywhere(three_steps))
    end)
  end)

  it("reaches each suspension once", function()
    local reached = {}
    local function fn()
      for i = 1, 4 do
        local ok, err = pcall(uvjobs.sleep, 1)
        if not ok then
          reached[#reached + 1] = i
          error(err, 0)
        end
      end
    end
    cancel_everywhere(fn)
    assert.same({ 1, 2, 3, 4 }, reached)
    reached = {}
    assert.equal(4, cancel_everywhere({ by = "kill" }, fn))
    assert.same({ 1, 2, 3, 4 }, reached)
  end)

  it("ends waits for a lock, a queue, a permit and a job", function()
    local function user(mutex, queue, semaphore)
      mutex:with(uvjobs.sleep, 1)
      semaphore:with(function() queue:put "x" end)
      queue:put "y" -- waits for the one that takes
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(uvjobs.sleep, 1):wait()
    end
    local checks = 0
    local count = cancel_everywhere({
      setup = function()
        local mutex, queue, semaphore = uvjobs.mutex(), uvjobs.queue(1), uvjobs.semaphore(1)
        local jobs = uvjobs.scheduler()
        jobs:spawn(function()
          mutex:with(uvjobs.sleep, 1)
          semaphore:with(uvjobs.sleep, 5)
          uvjobs.sleep(1)
          queue:get(60)
          queue:get(60)
        end)
        testing.settle()
        return mutex, queue, semaphore, jobs
      end,
      check = function(mutex, queue, semaphore, jobs)
        checks = checks + 1
        jobs:wait_and_close()
        assert.is_true(mutex:try_lock())
        mutex:unlock()
        assert.equal(1, semaphore.count)
        assert.is_true(#queue <= 1)
      end,
    }, user)
    assert.equal(5, count)
    assert.equal(count + 1, checks) -- and once for the job that was left alone
  end)

  it("finds what is not given back", function()
    local function bad(semaphore)
      semaphore:acquire()
      uvjobs.sleep(1)
      semaphore:release()
    end
    local function good(semaphore)
      local _ <close> = semaphore:permit()
      uvjobs.sleep(1)
    end
    local options = {
      setup = function() return uvjobs.semaphore(1) end,
      check = function(semaphore) assert(semaphore.count == 1, "a permit is lost") end,
    }
    assert.equal(1, cancel_everywhere(options, good))
    local text = complaint(options, bad)
    assert.matches("^.-a permit is lost\nwhen suspended for the 1. time, to cancel it:\n", text)
    assert.matches("in %w+ '[%w.]*sleep'.-testing_faults_spec.lua:", text)
  end)

  it("finds jobs that are left over", function()
    local others = {}
    local text = complaint(function()
      local jobs = uvjobs.scheduler()
      others[#others + 1] = jobs
      jobs:spawn({ name = "stray" }, uvjobs.sleep, 1000)
      uvjobs.sleep(1)
      jobs:close()
    end)
    assert.matches('1 left over at the end:.-"stray".-when suspended for the 1. time', text)
  end)

  it("finds another error, a stubborn job and a lost report", function()
    assert.matches("the job has ended as failed: .-oh no.-when suspended for the 1. time",
      complaint(function()
        local ok = pcall(uvjobs.sleep, 1)
        if not ok then error "oh no" end
      end))
    assert.matches("the job has ended as killed: .-to cancel it",
      complaint(function()
        for _ = 1, 2 do pcall(uvjobs.protect, uvjobs.sleep, 1000) end
      end))
    assert.matches("Job ended holding a mutex", complaint({
      setup = uvjobs.mutex,
    }, function(mutex)
      mutex:lock()
      uvjobs.sleep(1)
      mutex:unlock()
    end))
  end)

  it("raises the error of a function that fails anyway", function()
    assert.matches("no good$", complaint(function()
      uvjobs.sleep(1)
      error "no good"
    end))
  end)

  it("lets a job end well that swallows its cancellation", function()
    assert.equal(1, cancel_everywhere(function() pcall(uvjobs.sleep, 1) end))
  end)

  it("kills: <close> variables run, and what holds off is not waited for", function()
    local closed = 0
    local function fn()
      local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
      uvjobs.protect(uvjobs.sleep, 1)
      uvjobs.sleep(1)
    end
    assert.equal(2, cancel_everywhere({ by = "kill" }, fn))
    assert.equal(3, closed)
  end)

  it("goes on with other jobs in the run", function()
    uvjobs.run({ clock = "virtual" }, function()
      local jobs <close> = uvjobs.scheduler()
      local ticks = 0
      jobs:spawn(function() while true do uvjobs.sleep(1) ticks = ticks + 1 end end)
      assert.equal(3, cancel_everywhere(three_steps))
      assert.is_true(ticks > 0)
      jobs:close()
    end)
  end)

  it("stops at the limit", function()
    local function endless() while true do uvjobs.sleep(1) end end
    assert.equal(7, cancel_everywhere({ limit = 7 }, endless))
    assert.equal(3, cancel_everywhere({ limit = 7 }, three_steps))
  end)

  it("checks its arguments", function()
    assert.equal("bad argument #1 to 'cancel_everywhere' (table expected, got nil)",
      message(cancel_everywhere))
    assert.equal("bad argument #2 to 'cancel_everywhere' (function expected, got nil)",
      message(cancel_everywhere, {}))
    assert.equal("bad argument #1 to 'cancel_everywhere' (option 'by': 'cancel' or 'kill' " ..
      "expected, got 'x')", message(cancel_everywhere, { by = "x" }, print))
  end)
end)
