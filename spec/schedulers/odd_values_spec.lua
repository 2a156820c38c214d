-- Schedulers in odd places, with odd values.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual = helper.virtual

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
      assert.equal("'wait_and_close' must be called in a job", err)
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

describe("a report of what has no text", function()
  after_each(helper.check_clean)

  -- What is written to standard error about a job that raises the value.
  local function report_of(value, options)
    local r = helper.child(([[
      local uvjobs = require "uvjobs"
      local bad = setmetatable({}, { __tostring = function() error "tostring raises" end })
      uvjobs.run({ clock = "virtual" }, function()
        local s = uvjobs.scheduler { %s }
        s:spawn(error, %s)
        s:wait_and_close()
        io.write "went on"
      end)
    ]]):format(options or "", value))
    assert.equal(0, r.status)
    assert.equal("went on", r.out)
    return r.err
  end

  it("because __tostring raises says what it is, and is complete", function()
    local text = report_of "bad"
    assert.matches("^Job processing failed\n  job: uvjobs.Job: #2 failed\n"
      .. "  error: %(table without a text%)\nstack traceback:\n", text)
  end)

  it("because __tostring gives no string says so, too", function()
    local text = report_of "setmetatable({}, { __tostring = function() return {} end })"
    assert.matches("\n  error: %(table without a text%)\n", text)
  end)

  it("because an exception handler raised it says so", function()
    assert.equal("error in exception handler: (table without a text)\n",
      report_of("'x'", "exception_handler = function() error(bad) end"))
  end)

  it("does not raise out of call_exception_handler", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      local bad = setmetatable({}, { __tostring = function() error "tostring raises" end })
      local s = uvjobs.scheduler { exception_handler = function() error(bad) end }
      io.write(tostring((pcall(s.call_exception_handler, s, {}))))
      s = uvjobs.scheduler()
      io.write(tostring((pcall(s.call_exception_handler, s, { message = bad }))))
    ]]
    assert.same({
      status = 0, out = "truetrue",
      err = "error in exception handler: (table without a text)\n(table without a text)\n",
    }, r)
  end)
end)

describe("a close timeout that is past the end of time", function()
  after_each(helper.check_clean)

  it("reads back as math.huge", function()
    assert.equal(math.huge, uvjobs.scheduler { close_timeout = 1e18 }.close_timeout)
    assert.equal(1e9, uvjobs.scheduler { close_timeout = 1e9 }.close_timeout)
  end)
end)
