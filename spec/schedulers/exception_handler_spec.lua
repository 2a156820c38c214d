-- What happens to the error of a job that nobody waits for.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, raises, message = helper.virtual, helper.raises, helper.message

local function keys(t)
  local list = {}
  for key in pairs(t) do list[#list + 1] = key end
  table.sort(list)
  return list
end

describe("the exception handler", function()
  after_each(helper.check_clean)

  -- A scheduler, and the list of the calls of its handler.
  local function recording(opts)
    local calls = {}
    opts = opts or {}
    opts.exception_handler = function(...) calls[#calls + 1] = table.pack(...) end
    return uvjobs.scheduler(opts), calls
  end

  it("gets the scheduler and the context of a job that failed", function()
    virtual(function()
      local jobs, calls = recording()
      local boom = {}
      local function fails() error(boom) end
      local job = jobs:spawn(function() fails() return 1 end)
      jobs:wait_and_close()
      assert.equal(1, #calls)
      assert.equal(2, calls[1].n)
      assert.equal(jobs, calls[1][1])
      local context = calls[1][2]
      assert.same({ "exception", "job", "message", "traceback" }, keys(context))
      assert.equal("Job processing failed", context.message)
      assert.equal(job, context.job)
      assert.equal(boom, context.exception)
      assert.matches("^stack traceback:\n", context.traceback)
      assert.matches("exception_handler_spec.lua:%d+: in .*'fails'", context.traceback)
    end)
  end)

  it("gets the very value that was raised, whatever it is #M12", function()
    virtual(function()
      local jobs, calls = recording()
      local values = { "text", 42, true, {}, io.stdout, print, coroutine.create(print) }
      for _, v in ipairs(values) do jobs:spawn(error, v, 0) end
      jobs:spawn(error)
      jobs:wait_and_close()
      assert.equal(#values + 1, #calls)
      for i, v in ipairs(values) do assert.equal(v, calls[i][2].exception) end
      assert.equal(helper.NIL_ERROR, calls[#values + 1][2].exception)
    end)
  end)

  it("has the traceback of where it was raised, not of where it was rethrown #M12", function()
    virtual(function()
      local jobs, calls = recording()
      local function deepest() error("deep") end
      local function middle() deepest() return 1 end
      jobs:spawn(function() middle() return 1 end)
      jobs:wait_and_close()
      assert.matches("in .*deepest.*in .*middle", calls[1][2].traceback)
    end)
  end)

  it("is not called for a job that is done or cancelled", function()
    virtual(function()
      local jobs, calls = recording { limit = 1 }
      jobs:spawn(uvjobs.now)
      jobs:spawn(uvjobs.sleep, 9):cancel()
      jobs:spawn(uvjobs.sleep, 9)
      jobs:spawn(uvjobs.sleep, 9)
      uvjobs.sleep(1)
      jobs:close()
      assert.same({}, calls)
    end)
  end)

  it("is not called when somebody waits for the job", function()
    virtual(function()
      local jobs, calls = recording()
      local job = jobs:spawn(error, "boom", 0)
      assert.same({ false, "boom" }, { pcall(job.wait, job) })
      jobs:wait_and_close()
      assert.same({}, calls)
    end)
  end)

  it("is not called when somebody closed the job", function()
    virtual(function()
      local jobs, calls = recording()
      local job = jobs:spawn(function()
        pcall(uvjobs.sleep, 9)
        error("in clean-up", 0)
      end)
      uvjobs.yield()
      assert.same({ false, "in clean-up" }, { pcall(job.close, job) })
      jobs:wait_and_close()
      assert.same({}, calls)
    end)
  end)

  it("is called when the job was only joined, or its scheduler closed", function()
    virtual(function()
      local jobs, calls = recording()
      jobs:spawn(error, "joined", 0):join()
      jobs:spawn(function()
        pcall(uvjobs.sleep, 9)
        error("closed", 0)
      end)
      uvjobs.yield()
      jobs:close()
      assert.equal(2, #calls)
      assert.equal("joined", calls[1][2].exception)
      assert.equal("closed", calls[2][2].exception)
    end)
  end)

  it("is called once, even when the job is waited for afterwards", function()
    virtual(function()
      local jobs, calls = recording()
      local job = jobs:spawn(error, "boom", 0)
      job:join()
      assert.equal(1, #calls)
      for _ = 1, 3 do assert.is_false(pcall(job.wait, job)) end
      jobs:close()
      assert.equal(1, #calls)
    end)
  end)

  it("is told of a job that had to be killed, with the error that its waiters get", function()
    virtual(function()
      local jobs, calls = recording { close_timeout = 1 }
      local function hides() uvjobs.protect(uvjobs.sleep, 99) end
      local job = jobs:spawn(function() hides() return 1 end)
      uvjobs.yield()
      jobs:close()
      assert.equal(1, #calls)
      local context = calls[1][2]
      assert.same({ "exception", "job", "message", "traceback" }, keys(context))
      assert.equal("Job closing timed out", context.message)
      assert.equal(job, context.job)
      assert.equal(raises("killed", job.wait, job), context.exception)
      assert.equal(job, context.exception.job)
      assert.matches("hides", context.traceback)
    end)
  end)

  it("is not told of a killed job when whoever closed it gets `timeout` for it", function()
    virtual(function()
      local jobs, calls = recording()
      for _, close in ipairs { "close", "wait" } do
        local job = jobs:spawn(uvjobs.protect, uvjobs.sleep, 99)
        uvjobs.yield()
        assert.equal(job, raises("timeout", job[close], job, 1).job)
        assert.equal("killed", job.state)
      end
      assert.equal(0, #calls)
      jobs:close()
    end)
  end)

  it("is told of a killed job when whoever closed it has left before", function()
    virtual(function()
      for _, close in ipairs { "close", "wait" } do
        for _, leave in ipairs { "cancel", "close" } do
          local jobs, calls = recording()
          local others <close> = helper.quiet { close_timeout = 0 }
          local job = jobs:spawn(uvjobs.protect, uvjobs.sleep, 99)
          local closer = others:spawn(function() job[close](job, close == "close" and 5 or 0) end)
          helper.yield(3)
          assert.equal("closing", job.state)
          closer[leave](closer)
          jobs:close()
          assert.equal("killed", job.state)
          assert.same({ close, leave, 1 }, { close, leave, #calls })
          assert.equal("Job closing timed out", calls[1][2].message)
        end
      end
    end)
  end)

  it("sees the job in its last state, and can use the module", function()
    virtual(function()
      local state, current, text, count
      local jobs
      jobs = uvjobs.scheduler {
        exception_handler = function(s, context)
          state, current = context.job.state, uvjobs.current()
          text = message(uvjobs.sleep, 1)
          count = #s
          s:spawn(uvjobs.sleep, 1)
        end,
      }
      jobs:spawn(error, "boom")
      jobs:wait_and_close()
      assert.equal("failed", state)
      assert.is_nil(current)
      assert.equal("'sleep' must be called in a job", text)
      assert.equal(0, count)
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("that raises is reported on standard error and changes nothing else", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        local jobs = uvjobs.scheduler { exception_handler = function() error("in handler") end }
        local job = jobs:spawn(error, "boom", 0)
        local other = jobs:spawn(function() uvjobs.yield() return "fine" end)
        print(other:wait())
        print(pcall(job.wait, job))
        jobs:wait_and_close()
      end)
    ]]
    assert.equal("fine\nfalse\tboom\n", r.out)
    assert.matches("in handler", r.err, 1, true)
    assert.equal(0, r.status)
  end)
end)

describe("the default report", function()
  after_each(helper.check_clean)

  it("writes the message, the job and the traceback to standard error", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      local function fails() error("boom") end
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler()
        jobs:spawn({ name = "import" }, function() fails() return 1 end)
      end)
    ]]
    assert.equal(0, r.status)
    assert.equal("", r.out)
    assert.matches("^Job processing failed\n", r.err)
    assert.matches('uvjobs.Job: #%d+ "import" failed', r.err)
    assert.matches(":2: boom", r.err)
    assert.matches("stack traceback:.*fails", r.err)
  end)

  it("copes with errors that are no text", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler()
        jobs:spawn(error)
        jobs:spawn(error, {})
        jobs:spawn(error, setmetatable({}, { __tostring = function() return "an object" end }))
        jobs:spawn(error, setmetatable({}, { __tostring = function() error("worse") end }))
      end)
      print("alive")
    ]]
    assert.equal("alive\n", r.out)
    assert.equal(0, r.status)
    assert.matches("an object", r.err, 1, true)
    assert.equal(4, select(2, r.err:gsub("Job processing failed", "")))
  end)
end)

describe("call_exception_handler", function()
  after_each(helper.check_clean)

  it("calls the handler with the context as it is", function()
    local seen
    local jobs = uvjobs.scheduler { exception_handler = function(...) seen = table.pack(...) end }
    local context = { message = "mine", anything = 1 }
    jobs:call_exception_handler(context)
    assert.equal(2, seen.n)
    assert.equal(jobs, seen[1])
    assert.equal(context, seen[2])
  end)

  it("writes the default report without a handler", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      uvjobs.scheduler():call_exception_handler { message = "mine", exception = "boom" }
      uvjobs.scheduler():call_exception_handler {}
    ]]
    assert.equal(0, r.status)
    assert.matches("mine.*boom", r.err)
  end)
end)

describe("debug mode", function()
  after_each(function()
    uvjobs.debug(false)
    helper.check_clean()
  end)

  local function source_of_failure()
    local source
    virtual(function()
      local jobs <close> = uvjobs.scheduler {
        exception_handler = function(_, context) source = context.source_traceback end,
      }
      local function spawns_it() return (jobs:spawn(error, "boom")) end
      assert.is_not_nil(spawns_it())
    end)
    return source
  end

  it("adds where the job was spawned", function()
    uvjobs.debug(true)
    assert.matches("spawns_it", source_of_failure())
    uvjobs.debug(false)
    assert.is_nil(source_of_failure())
  end)

  it("is switched on by the environment variable UVJOBS_DEBUG=1", function()
    local script = [[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler {
          exception_handler = function(_, context) print(context.source_traceback) end,
        }
        local function spawns_it() return (jobs:spawn(error, "boom")) end
        spawns_it()
      end)
    ]]
    assert.matches("spawns_it", helper.child(script, "UVJOBS_DEBUG=1").out)
    assert.equal("nil\n", helper.child(script).out)
    assert.equal("nil\n", helper.child(script, "UVJOBS_DEBUG=0").out)
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
