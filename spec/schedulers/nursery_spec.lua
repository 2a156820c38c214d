-- A scheduler with on_error = "cancel": no error of its jobs is lost.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual = helper.virtual

--- A nursery, and the list of the exceptions that it reports.
local function new_nursery(options)
  local reports = helper.log()
  options = options or {}
  options.on_error = "cancel"
  options.exception_handler = helper.recorder(reports, "exception")
  return uvjobs.scheduler(options), reports
end

local function raised(expected, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "nothing was raised")
  assert.equal(expected, err)
end

local function fail_after(s, err)
  uvjobs.sleep(s)
  error(err, 0)
end

local function fail_when_cancelled(err)
  pcall(uvjobs.sleep, 100)
  error(err, 0)
end

describe("a nursery", function()
  after_each(helper.check_clean)

  it("of jobs that do well is a scheduler like any other", function()
    virtual(function()
      local s, reports = new_nursery { limit = 2, pending_limit = 1 }
      local first = s:spawn(uvjobs.sleep, 1)
      for _ = 1, 5 do s:spawn(uvjobs.sleep, 1) end
      assert.equal(2, uvjobs.now())
      assert.equal("done", first.state)
      s:wait_and_close()
      assert.equal(3, uvjobs.now())
      assert.same({}, { table.unpack(reports) })
    end)
  end)

  it("cancels the others when the first job fails, and closes itself", function()
    virtual(function()
      local s = new_nursery { limit = 3 }
      local cleaned = helper.log()
      local function careful(i)
        local _ <close> = setmetatable({}, { __close = function() cleaned:add(i) end })
        uvjobs.sleep(10)
      end
      local one = s:spawn(careful, 1)
      s:spawn(fail_after, 2, "oh no")
      local two = s:spawn(careful, 2)
      local pending = s:spawn(careful, 3)
      raised("oh no", s.wait_and_close, s)
      assert.equal(2, uvjobs.now())
      assert.is_true(s.closed)
      assert.equal(0, #s)
      assert.same({ "cancelled", "cancelled", "cancelled" },
        { one.state, two.state, pending.state })
      assert.same({ 1, 2 }, { table.unpack(cleaned) })
    end)
  end)

  it("admits nothing once a job has failed, though nobody waits for it yet", function()
    virtual(function()
      local s = new_nursery()
      s:spawn(fail_after, 1, "oh no")
      uvjobs.sleep(2)
      assert.is_true(s.closed)
      helper.raises("closed", s.spawn, s, uvjobs.sleep, 1)
      assert.same({ nil, "closed", n = 2 }, table.pack(s:try_spawn(uvjobs.sleep, 1)))
      raised("oh no", s.wait_and_close, s)
    end)
  end)

  it("raises the same value at the end of its block #M12", function()
    virtual(function()
      local problem = {}
      raised(problem, function()
        local s <close> = new_nursery()
        s:spawn(fail_after, 1, problem)
        s:spawn(uvjobs.sleep, 10)
      end)
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("raises its error also when the block waits for something else then", function()
    virtual(function()
      raised("oh no", function()
        local s <close> = new_nursery()
        s:spawn(fail_after, 1, "oh no")
        uvjobs.sleep(5)
      end)
      assert.equal(5, uvjobs.now())
    end)
  end)

  it("raises its error in place of the `closed` that spawn raised", function()
    virtual(function()
      local problem, reports = {}, nil
      raised(problem, function()
        local s <close>, log = new_nursery { limit = 1, pending_limit = 0 }
        reports = log
        s:spawn(fail_after, 1, problem)
        s:spawn(uvjobs.sleep, 1) -- is suspended when the nursery closes
      end)
      assert.same({}, { table.unpack(reports) })
      raised(problem, function()
        local s <close> = new_nursery()
        s:spawn(fail_after, 1, problem)
        uvjobs.sleep(2)
        s:spawn(uvjobs.sleep, 1)
      end)
    end)
  end)

  it("raises its error once and reports it no more", function()
    local reports
    virtual(function()
      local s
      s, reports = new_nursery()
      s:spawn(fail_after, 1, "oh no")
      raised("oh no", s.wait_and_close, s)
      s:wait_and_close()
      s:close()
    end)
    assert.same({}, { table.unpack(reports) })
  end)

  it("leaves a job alone whose error somebody asked for", function()
    virtual(function()
      local s, reports = new_nursery()
      local job = s:spawn(fail_after, 1, "expected")
      local other = s:spawn(uvjobs.sleep, 3)
      raised("expected", job.wait, job)
      assert.is_true(other.active)
      s:wait_and_close()
      assert.equal("done", other.state)
      assert.same({}, { table.unpack(reports) })
    end)
  end)

  it("is not bothered by jobs that are cancelled", function()
    virtual(function()
      local s, reports = new_nursery()
      local job, other = s:spawn(uvjobs.sleep, 1), s:spawn(uvjobs.sleep, 3)
      uvjobs.yield()
      job:cancel()
      s:wait_and_close()
      assert.equal("done", other.state)
      assert.same({}, { table.unpack(reports) })
    end)
  end)

  it("fails by a job whose own deadline passes", function()
    virtual(function()
      local s = new_nursery()
      s:spawn({ timeout = 1 }, uvjobs.sleep, 5)
      local other = s:spawn(uvjobs.sleep, 5)
      helper.raises("timeout", s.wait_and_close, s)
      assert.equal(1, uvjobs.now())
      assert.equal("cancelled", other.state)
    end)
  end)

  it("fails by a shielded function whose caller has left", function()
    virtual(function()
      local s, jobs = new_nursery(), uvjobs.scheduler()
      local caller = jobs:spawn(s.shield, s, fail_after, 1, "oh no")
      helper.yield(2)
      caller:cancel()
      raised("oh no", s.wait_and_close, s)
      jobs:close()
    end)
  end)
end)

describe("the errors of a nursery", function()
  after_each(helper.check_clean)

  it("besides the first all go to the exception handler", function()
    virtual(function()
      local s, reports = new_nursery()
      for i = 1, 5 do s:spawn(fail_when_cancelled, "second " .. i) end
      s:spawn(fail_after, 1, "first")
      raised("first", s.wait_and_close, s)
      table.sort(reports)
      assert.same({ "second 1", "second 2", "second 3", "second 4", "second 5" },
        { table.unpack(reports) })
    end)
  end)

  it("are all accounted for when many jobs fail in one turn", function()
    virtual(function()
      local s, reports = new_nursery()
      for i = 1, 50 do s:spawn(function() error(i, 0) end) end
      local ok, first = pcall(s.wait_and_close, s)
      assert.is_false(ok)
      assert.equal(1, first)
      assert.same({}, { table.unpack(reports) }) -- the others never ran
    end)
  end)

  it("are all accounted for when many are woken by the same event", function()
    virtual(function()
      local s, reports = new_nursery()
      local event, seen = uvjobs.event(), {}
      for i = 1, 50 do s:spawn(function() event:wait(); error(i, 0) end) end
      uvjobs.yield()
      event:set()
      local ok, first = pcall(s.wait_and_close, s)
      assert.is_false(ok)
      seen[first] = true
      for _, err in ipairs(reports) do
        assert.is_nil(seen[err])
        seen[err] = true
      end
      assert.equal(1, first)
      assert.equal(49, #reports)
    end)
  end)

  it("of a killed job are reported, and the first is raised", function()
    virtual(function()
      local s, reports = new_nursery { close_timeout = 0.5 }
      s:spawn(uvjobs.protect, uvjobs.sleep, 100)
      s:spawn(fail_after, 1, "oh no")
      raised("oh no", s.wait_and_close, s)
      assert.equal(1.5, uvjobs.now())
      assert.equal(1, #reports)
      assert.equal("killed", uvjobs.code(reports[1]))
    end)
  end)

  it("are reported when the block is left by another error, which goes on", function()
    virtual(function()
      local reports
      raised("of the block", function()
        local s <close>, log = new_nursery()
        reports = log
        s:spawn(fail_after, 1, "of the job")
        uvjobs.sleep(2)
        error("of the block", 0)
      end)
      assert.same({ "of the job" }, { table.unpack(reports) })
    end)
  end)

  it("are reported when they come while the block is left by another error", function()
    virtual(function()
      local reports
      raised("of the block", function()
        local s <close>, log = new_nursery()
        reports = log
        s:spawn(fail_when_cancelled, "one")
        s:spawn(fail_when_cancelled, "two")
        uvjobs.yield()
        error("of the block", 0)
      end)
      table.sort(reports)
      assert.same({ "one", "two" }, { table.unpack(reports) })
    end)
  end)

  it("are reported when the waiter is cancelled in wait_and_close", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      local s, reports = new_nursery()
      local waiter = jobs:spawn(function()
        local _ <close> = s
        uvjobs.sleep(5)
      end)
      s:spawn(fail_after, 1, "of the job")
      uvjobs.sleep(2)
      waiter:cancel()
      waiter:join()
      assert.equal("cancelled", waiter.state)
      assert.same({ "of the job" }, { table.unpack(reports) })
      jobs:close()
    end)
  end)

  it("are reported when the job that has the block is killed #M7", function()
    virtual(function()
      local jobs = helper.quiet()
      local s, reports = new_nursery()
      local owner = jobs:spawn(uvjobs.protect, function()
        local _ <close> = s
        uvjobs.sleep(100)
      end)
      s:spawn(fail_when_cancelled, "second")
      s:spawn(fail_after, 1, "first")
      uvjobs.sleep(2)
      pcall(owner.close, owner, 1)
      assert.equal("killed", owner.state)
      uvjobs.sleep(1)
      table.sort(reports)
      assert.same({ "first", "second" }, { table.unpack(reports) })
      assert.equal(0, #s)
    end)
  end)

  it("are reported at the latest when run ends, if nobody collects them", function()
    local reports, weak = nil, setmetatable({}, { __mode = "k" })
    virtual(function()
      do
        local s
        s, reports = new_nursery()
        weak[s] = true
        s:spawn(fail_after, 1, "oh no")
      end
      uvjobs.sleep(2)
      collectgarbage()
      collectgarbage()
    end)
    assert.same({ "oh no" }, { table.unpack(reports) })
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)

  it("are reported when it is closed by s:close(), and nobody collects them", function()
    local reports
    virtual(function()
      local s
      s, reports = new_nursery()
      s:spawn(fail_after, 1, "first")
      s:spawn(fail_when_cancelled, "second")
      uvjobs.sleep(2)
      s:close()
    end)
    table.sort(reports)
    assert.same({ "first", "second" }, { table.unpack(reports) })
  end)

  it("are all there when nurseries nest", function()
    virtual(function()
      local outer, reports = new_nursery()
      outer:spawn(function()
        local inner <close> = new_nursery()
        inner:spawn(fail_after, 1, "inner")
        inner:spawn(uvjobs.sleep, 10)
      end)
      local sibling = outer:spawn(uvjobs.sleep, 10)
      raised("inner", outer.wait_and_close, outer)
      assert.equal(1, uvjobs.now())
      assert.equal("cancelled", sibling.state)
      assert.same({}, { table.unpack(reports) })
    end)
  end)

  it("are reported outside any job, as all others", function()
    virtual(function()
      local current = {}
      pcall(function()
        local s <close> = uvjobs.scheduler {
          on_error = "cancel", exception_handler = function() current[1] = uvjobs.current() end,
        }
        s:spawn(fail_after, 1, "of the job")
        uvjobs.sleep(2)
        error("of the block")
      end)
      assert.same({}, current)
    end)
  end)

  it("have the traceback of the job that raised when they are reported #M12", function()
    local contexts = helper.log()
    virtual(function()
      local s = uvjobs.scheduler {
        on_error = "cancel",
        exception_handler = helper.recorder(contexts),
      }
      local function deep_down() error("oh no", 0) end
      local job = s:spawn(function() deep_down() end)
      uvjobs.sleep(1)
      s:close()
      contexts.job = job
    end)
    assert.equal(1, #contexts)
    assert.equal(contexts.job, contexts[1].job)
    assert.equal("Job processing failed", contexts[1].message)
    assert.matches("deep_down", contexts[1].traceback)
  end)
end)

it("on_error is 'report' or 'cancel'", function()
  assert.equal("bad argument #1 to 'scheduler' (option 'on_error': 'report' or 'cancel' " ..
    "expected, got 'ignore')", helper.message(uvjobs.scheduler, { on_error = "ignore" }))
  assert.is_false((pcall(uvjobs.scheduler, { on_error = true })))
end)
