-- The error of a job comes to light exactly once: its waiter gets it, or it is reported. It is also
-- reported when the waiter gives up in the turn in which the job fails, and in a nursery.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

-- Calls fn(jobs) in a run; returns how many errors were reported.
local function reports_of(fn)
  local reports = 0
  uvjobs.run({ clock = "virtual" }, function()
    local jobs <close> = uvjobs.scheduler {
      exception_handler = function() reports = reports + 1 end,
    }
    fn(jobs)
  end)
  return reports
end

local function fails_after(event)
  return function()
    event:wait()
    error("not lost", 0)
  end
end

describe("an error that its waiter does not get any more is reported", function()
  after_each(helper.check_clean)

  it("when the waiter is cancelled while the job is ready", function()
    assert.equal(1, reports_of(function(jobs)
      local go = uvjobs.event()
      local failing = jobs:spawn(fails_after(go))
      local waiter = jobs:spawn(function() failing:wait() end)
      uvjobs.sleep(1)
      go:set()
      waiter:cancel()
    end))
  end)

  it("when a cancelled job calls wait, which is refused", function()
    assert.equal(1, reports_of(function(jobs)
      local failing
      jobs:spawn(function()
        uvjobs.current():cancel()
        failing:wait()
      end)
      failing = jobs:spawn(function()
        uvjobs.yield()
        error("not lost", 0)
      end)
    end))
  end)

  it("when the waiter's deadline passes in that turn", function()
    assert.equal(1, reports_of(function(jobs)
      local failing = jobs:spawn(function()
        uvjobs.sleep(1)
        error("not lost", 0)
      end)
      jobs:spawn(function() pcall(uvjobs.timeout, 1, failing.wait, failing) end)
    end))
  end)

  it("when the waiter for a shield is cancelled", function()
    assert.equal(1, reports_of(function(jobs)
      local go = uvjobs.event()
      local waiter = jobs:spawn(jobs.shield, jobs, fails_after(go))
      uvjobs.sleep(1)
      go:set()
      waiter:cancel()
    end))
  end)

  it("when the one that closes it is cancelled", function()
    assert.equal(1, reports_of(function(jobs)
      local go = uvjobs.event()
      local failing = jobs:spawn(uvjobs.protect, fails_after(go))
      local closer = jobs:spawn(failing.close, failing, 10)
      uvjobs.sleep(0.05)
      go:set()
      closer:cancel()
    end))
  end)
end)

describe("an error that its waiter gets", function()
  after_each(helper.check_clean)

  it("is not reported, also when the waiter is cancelled before it runs", function()
    assert.equal(0, reports_of(function(jobs)
      local go, waiter = uvjobs.event(), nil
      local failing = jobs:spawn(function()
        go:wait()
        uvjobs.scheduler():spawn(function() waiter:cancel() end) -- runs when it has failed
        error("told", 0)
      end)
      waiter = jobs:spawn(function()
        helper.raises("told", failing.wait, failing)
      end)
      uvjobs.sleep(1)
      go:set()
    end))
  end)
end)

describe("a nursery", function()
  after_each(helper.check_clean)

  it("raises also an error that is nil", function()
    helper.virtual(function()
      local reached = false
      local ok, err = pcall(function()
        do
          local nursery <close> = uvjobs.scheduler { on_error = "cancel" }
          nursery:spawn(function() error() end)
          nursery:spawn(uvjobs.sleep, 100)
        end
        reached = true
      end)
      assert.same({ false, helper.NIL_ERROR, false }, { ok, err, reached })
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("reports the error that made it fail when it is closed", function()
    helper.virtual(function()
      local reports = {}
      local nursery = uvjobs.scheduler {
        on_error = "cancel",
        exception_handler = helper.recorder(reports, "exception"),
      }
      nursery:spawn(function() error("failed", 0) end)
      uvjobs.yield()
      uvjobs.yield()
      assert.same({}, reports)
      nursery:close()
      assert.same({ "failed" }, reports)
      nursery:close()
      nursery:wait_and_close()
      assert.same({ "failed" }, reports)
    end)
  end)
end)
