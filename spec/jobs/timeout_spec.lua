-- Deadlines: uvjobs.timeout, the timeout of a spawned job, and the timeouts of the
-- operations that wait.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, ignore, outcome = helper.virtual, helper.ignore, helper.outcome

describe("uvjobs.timeout", function()
  after_each(helper.check_clean)

  it("returns all results of the function, which gets all arguments", function()
    virtual(function()
      local got = table.pack(uvjobs.timeout(5, function(...)
        uvjobs.sleep(1)
        return select("#", ...), ...
      end, "a", nil, 3, nil))
      assert.same({ 4, "a", nil, 3, nil, n = 5 }, got)
      assert.equal(0, select("#", uvjobs.timeout(5, ignore)))
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("passes a thousand results", function()
    virtual(function()
      local many = {}
      for i = 1, 1000 do many[i] = i end
      local got = table.pack(uvjobs.timeout(5, function()
        uvjobs.yield()
        return table.unpack(many)
      end))
      assert.equal(1000, got.n)
      assert.equal(1000, got[1000])
    end)
  end)

  it("passes the very error that the function raises #M12", function()
    virtual(function()
      for _, problem in ipairs { { "table" }, "text", 17, io.stdout, false } do
        local ok, err = pcall(uvjobs.timeout, 5, function()
          uvjobs.yield()
          error(problem, 0)
        end)
        assert.is_false(ok)
        assert.equal(problem, err)
      end
      assert.equal(helper.NIL_ERROR, (select(2, pcall(uvjobs.timeout, 5, error, nil))))
    end)
  end)

  it("raises timeout at the deadline, not earlier or later", function()
    virtual(function()
      local err = helper.raises("timeout", uvjobs.timeout, 2.5, uvjobs.sleep, 10)
      assert.equal(2.5, uvjobs.now())
      assert.equal("timeout", err.code)
      assert.equal(err.message, tostring(err))
      assert.is_nil(err.job)
    end)
  end)

  it("is over when its function has returned or raised", function()
    virtual(function()
      uvjobs.timeout(1, uvjobs.sleep, 0.5)
      pcall(uvjobs.timeout, 1, error, "oh no")
      helper.raises("timeout", uvjobs.timeout, 1, uvjobs.sleep, 10)
      uvjobs.sleep(10)
      assert.equal(11.5, uvjobs.now())
    end)
  end)

  it("raises again at every operation in its scope, and none after it #M5", function()
    virtual(function()
      local codes = {}
      uvjobs.timeout(1, function()
        for i = 1, 4 do codes[i] = outcome(uvjobs.sleep, 10) end
        codes[5] = outcome(uvjobs.yield)
        local set = uvjobs.event()
        set:set()
        codes[6] = outcome(set.wait, set)
      end)
      assert.same({ "timeout", "timeout", "timeout", "timeout", "timeout", "timeout" }, codes)
      assert.equal(1, uvjobs.now())
      uvjobs.sleep(1)
      assert.equal(2, uvjobs.now())
    end)
  end)

  it("of zero seconds lets the function run up to its first operation", function()
    virtual(function()
      assert.equal("fine", uvjobs.timeout(0, function() return "fine" end))
      for _, operation in ipairs { uvjobs.yield, function() uvjobs.sleep(0) end } do
        local before, after = false, false
        helper.raises("timeout", uvjobs.timeout, 0, function()
          before = true
          operation()
          after = true
        end)
        assert.is_true(before)
        assert.is_false(after)
      end
      assert.equal(0, uvjobs.now())
    end)
  end)

  -- { outer, inner, when the sleep ends, what the inner call sees, what the outer sees }
  for _, case in ipairs {
    { 5, 2, 2, "timeout", true }, { 2, 5, 2, "timeout", "timeout" },
    { 3, 3, 3, "timeout", "timeout" }, { 0, 5, 0, "timeout", "timeout" },
    { 5, 0, 0, "timeout", true }, { 5, 7, 4, true, true },
  } do
    local outer, inner, ends, inside, outside = table.unpack(case)
    it(("counts the earliest deadline: %g around %g"):format(outer, inner), function()
      virtual(function()
        local seen
        local whole = outcome(uvjobs.timeout, outer, function()
          seen = outcome(uvjobs.timeout, inner, uvjobs.sleep, inside == true and ends or 10)
          assert.equal(ends, uvjobs.now())
          uvjobs.yield()
        end)
        assert.same({ inside, outside }, { seen, whole })
        assert.equal(ends, uvjobs.now())
        uvjobs.sleep(1)
      end)
    end)
  end

  it("nests deep and ends each scope on its own", function()
    virtual(function()
      local ended = {}
      local function nest(level)
        local code = outcome(uvjobs.timeout, level, level == 1 and uvjobs.sleep or nest,
          level == 1 and 1000 or level - 1)
        ended[level] = ("%s at %g"):format(code, uvjobs.now())
        uvjobs.sleep(level < 10 and 0.5 or 1.5)
      end
      nest(40)
      assert.equal("timeout at 1", ended[1])
      assert.equal("true at 1.5", ended[2]) -- the sleep after scope 1 was in scope 2
      assert.equal("true at 5", ended[9])
      assert.equal("true at 17.5", ended[18])
      assert.equal("timeout at 19", ended[19]) -- 17.5 + 1.5 is the deadline itself
      assert.equal("timeout at 40", ended[40])
    end)
  end)

  it("interrupts every operation that waits #M5", function()
    virtual(function()
      local jobs = uvjobs.scheduler { exception_handler = ignore }
      local target = jobs:spawn(uvjobs.protect, uvjobs.sleep, 90)
      local full = uvjobs.scheduler { limit = 1, pending_limit = 0 }
      full:spawn(uvjobs.sleep, 90)
      local event, ran, abandoned = uvjobs.event(), 0, 0
      local function count() ran = ran + 1 end
      local operations = {
        function() target:wait() end,
        function() target:join() end,
        function() event:wait() end,
        function() full:spawn(count) end,
        function() jobs:shield(uvjobs.sleep, 90) end,
        function() uvjobs.await(function() return function() abandoned = abandoned + 1 end end) end,
        function() jobs:wait_and_close() end,
        function() target:close(80) end,
      }
      for i, operation in ipairs(operations) do
        local start = uvjobs.now()
        helper.raises("timeout", uvjobs.timeout, 2, operation)
        assert.equal(2, uvjobs.now() - start, "operation " .. i)
        assert.is_false(jobs.closed)
      end
      assert.equal(1, abandoned)
      assert.equal("closing", target.state)
      full:wait_and_close(100)
      assert.equal(0, ran)
    end)
  end)

  it("lets go of a target, a waiter's deadline being its own affair #M6", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      local target = jobs:spawn(function() uvjobs.sleep(5); return "result" end)
      helper.raises("timeout", uvjobs.timeout, 1, target.wait, target)
      helper.raises("timeout", uvjobs.timeout, 1, target.wait, target, 1)
      assert.equal("active", target.state)
      assert.equal("result", target:wait())
    end)
  end)

  it("wins over a wake-up of the same moment, which is not lost #M6", function()
    virtual(function()
      local jobs, resume, got = uvjobs.scheduler(), nil, nil
      local target = jobs:spawn(function() uvjobs.sleep(2); return "result" end)
      uvjobs.yield()
      helper.raises("timeout", uvjobs.timeout, 2, target.wait, target)
      assert.equal("result", target:wait())
      jobs:spawn(function() uvjobs.sleep(2); resume("value") end)
      uvjobs.yield()
      helper.raises("timeout", uvjobs.timeout, 2, function()
        got = uvjobs.await(function(r) resume = r end)
      end)
      assert.is_nil(got)
      assert.equal(4, uvjobs.now())
    end)
  end)

  it("runs the <close> variables of its function when it expires #M7", function()
    virtual(function()
      local log = helper.log()
      helper.raises("timeout", uvjobs.timeout, 1, function()
        local _ <close> = setmetatable({}, { __close = function(_, err)
          log:add(uvjobs.code(err))
          log:add(outcome(uvjobs.sleep, 1))
          uvjobs.protect(uvjobs.sleep, 1)
          log:add(uvjobs.now())
        end })
        uvjobs.sleep(10)
      end)
      assert.same({ "timeout", "timeout", 2 }, { table.unpack(log) })
    end)
  end)

  it("does not reach the jobs that are spawned in it", function()
    virtual(function()
      local jobs, job = uvjobs.scheduler(), nil
      uvjobs.timeout(1, function() job = jobs:spawn(uvjobs.sleep, 5) end)
      job:wait()
      assert.equal(5, uvjobs.now())
    end)
  end)
end)

describe("a job with a timeout", function()
  after_each(helper.check_clean)

  it("fails with a timeout error at its deadline", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      local job = jobs:spawn({ timeout = 2 }, uvjobs.sleep, 10)
      local err = helper.raises("timeout", job.wait, job)
      assert.equal("failed", job.state)
      assert.equal(2, uvjobs.now())
      assert.equal(err, select(2, pcall(job.wait, job)))
    end)
  end)

  it("ends as it would when it is in time", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      local job = jobs:spawn({ timeout = 2 }, function() uvjobs.sleep(1); return 1, 2 end)
      assert.same({ 1, 2 }, { job:wait() })
      uvjobs.sleep(5)
      assert.equal("done", job.state)
    end)
  end)

  it("counts from its start: the time it was pending or blocked is free", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 1, pending_limit = 1 }
      jobs:spawn(uvjobs.sleep, 10)
      local pending = jobs:spawn({ timeout = 2 }, uvjobs.sleep, 1.5)
      local blocked = jobs:spawn({ timeout = 2 }, uvjobs.sleep, 5)
      assert.equal(10, uvjobs.now())
      pending:wait()
      assert.equal(11.5, uvjobs.now())
      helper.raises("timeout", blocked.wait, blocked)
      assert.equal(13.5, uvjobs.now())
    end)
  end)

  it("counts from the run when it was spawned before it", function()
    local jobs = uvjobs.scheduler()
    local job = jobs:spawn({ timeout = 2 }, uvjobs.sleep, 5)
    virtual(function()
      helper.raises("timeout", job.wait, job)
      assert.equal(2, uvjobs.now())
    end)
  end)

  it("of zero seconds fails at its first operation", function()
    virtual(function()
      local jobs, ran = uvjobs.scheduler(), false
      local job = jobs:spawn({ timeout = 0 }, function() ran = true; uvjobs.yield() end)
      helper.raises("timeout", job.wait, job)
      assert.is_true(ran)
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("may catch the error and clean up under protect until the close timeout #M8", function()
    virtual(function()
      local reports = {}
      local jobs = uvjobs.scheduler {
        close_timeout = 0.5, limit = math.huge,
        exception_handler = helper.recorder(reports),
      }
      local function cleanup(seconds)
        pcall(uvjobs.sleep, 10)
        uvjobs.protect(uvjobs.sleep, seconds)
        return "cleaned up"
      end
      local quick = jobs:spawn({ timeout = 2 }, cleanup, 0.25)
      local slow = jobs:spawn({ timeout = 2 }, cleanup, 5)
      assert.equal("cleaned up", quick:wait())
      assert.equal(2.25, uvjobs.now())
      local err = helper.raises("killed", slow.wait, slow)
      assert.equal(2.5, uvjobs.now())
      assert.equal("killed", slow.state)
      assert.equal(slow, err.job)
      assert.equal(1, #reports)
      assert.equal("Job closing timed out", reports[1].message)
      assert.equal(err, reports[1].exception)
    end)
  end)

  it("is reported with the frame that was interrupted when nobody waits #M12", function()
    virtual(function()
      local context
      local jobs = uvjobs.scheduler { exception_handler = function(_, c) context = c end }
      local function the_slow_part() uvjobs.sleep(10) end
      local job = jobs:spawn({ timeout = 2 }, function() the_slow_part() end)
      uvjobs.sleep(5)
      assert.equal("Job processing failed", context.message)
      assert.equal(job, context.job)
      assert.equal("timeout", uvjobs.code(context.exception))
      assert.is_string(context.traceback)
      assert.matches("the_slow_part", context.traceback, 1, true)
    end)
  end)
end)
