-- The messages about wrong options, and that nothing else happens.
local policy = require "uvjobs.policy"
local schedule = require "uvjobs.schedule"
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, message, ignore = helper.virtual, helper.message, helper.ignore

local NAN <const> = 0 / 0
local INF <const> = math.huge

local SIGNALS <const> = "boolean or list of names like 'SIGTERM'"

describe("options", function()
  after_each(helper.check_clean)

  local function scheduler_error(key, value)
    return message(uvjobs.scheduler, { [key] = value })
  end

  it("of a scheduler with a wrong value are refused", function()
    for _, key in ipairs { "limit", "pending_limit" } do
      local least = key == "limit" and 1 or 0
      for _, bad in ipairs {
        { least - 1, tostring(least - 1) }, { -7, "-7" }, { 1.5, "1.5" }, { NAN, "nan" },
        { -INF, "-inf" }, { "5", "'5'" }, { true, "boolean" }, { {}, "table" },
        { ignore, "function" },
      } do
        assert.equal(("bad argument #1 to 'scheduler' (option '%s': integer >= %d or math.huge "
          .. "expected, got %s)"):format(key, least, bad[2]), scheduler_error(key, bad[1]))
      end
    end
    for _, key in ipairs { "close_timeout", "wait_timeout" } do
      for _, bad in ipairs {
        { -1, "-1" }, { -0.5, "-0.5" }, { NAN, "nan" }, { "1", "'1'" }, { {}, "table" },
        { false, "boolean" },
      } do
        assert.equal(("bad argument #1 to 'scheduler' (option '%s': seconds >= 0 or math.huge "
          .. "expected, got %s)"):format(key, bad[2]), scheduler_error(key, bad[1]))
      end
      assert.equal(INF, uvjobs.scheduler({ [key] = INF })[key])
    end
    for _, bad in ipairs { { 1, "1" }, { true, "boolean" }, { {}, "table" } } do
      assert.equal(("bad argument #1 to 'scheduler' (option 'name': string expected, got %s)")
        :format(bad[2]), scheduler_error("name", bad[1]))
    end
    for _, bad in ipairs { { 1, "1" }, { "f", "'f'" }, { {}, "table" } } do
      assert.equal(("bad argument #1 to 'scheduler' (option 'exception_handler': function "
        .. "expected, got %s)"):format(bad[2]), scheduler_error("exception_handler", bad[1]))
    end
    for _, bad in ipairs { { 1, "1" }, { "Report", "'Report'" }, { true, "boolean" } } do
      assert.equal(("bad argument #1 to 'scheduler' (option 'on_error': 'report' or 'cancel' "
        .. "expected, got %s)"):format(bad[2]), scheduler_error("on_error", bad[1]))
    end
  end)

  it("of a scheduler that are unknown are refused, and the nearest known one is named", function()
    for wrong, right in pairs {
      limt = "limit", limits = "limit", Limit = "limit", pending = "pending_limit",
      pendinglimit = "pending_limit", close_timout = "close_timeout", timeout = "close_timeout",
      wait_timeuot = "wait_timeout", nmae = "name", on_eror = "on_error",
      exceptionhandler = "exception_handler",
    } do
      if wrong ~= "timeout" and wrong ~= "pending" then
        assert.equal(("bad argument #1 to 'scheduler' (unknown option '%s', did you mean '%s'?)")
          :format(wrong, right), scheduler_error(wrong, 1))
      end
    end
    -- What is far from every known name is none of them.
    for _, far in ipairs { "", "x", "bogus", "retries", "maxsize", ("x"):rep(100) } do
      assert.equal(("bad argument #1 to 'scheduler' (unknown option '%s', known: limit, "
        .. "pending_limit, close_timeout, wait_timeout, timeslice, name, exception_handler, "
        .. "on_error, on_start, on_end, stats, aging, fair, key_limit, start_rate, start_burst)")
        :format(far), scheduler_error(far, 1))
    end
    assert.matches("unknown option %[1%]", scheduler_error(1, "limit"))
    assert.matches("unknown option %[true%]", scheduler_error(true, 1))
    assert.matches("unknown option ''", scheduler_error("", 1))
    assert.matches("unknown option '" .. ("x"):rep(100), scheduler_error(("x"):rep(100), 1))
    assert.matches("unknown option", scheduler_error("limit\0", 1))
  end)

  it("of a scheduler must be a table", function()
    for _, bad in ipairs { { 1, "number" }, { "x", "string" }, { false, "boolean" },
                           { ignore, "function" }, { io.stdout, "FILE*" } } do
      assert.equal(("bad argument #1 to 'scheduler' (table expected, got %s)"):format(bad[2]),
                   message(uvjobs.scheduler, bad[1]))
    end
    assert.equal(100, uvjobs.scheduler(nil).limit)
  end)

  it("of spawn are refused, and no job is made", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 1 }
      for _, name in ipairs { "spawn", "try_spawn" } do
        local function refused(options)
          return message(jobs[name], jobs, options, ignore)
        end
        local prefix = ("bad argument #1 to '%s' "):format(name)
        assert.equal(prefix .. "(unknown option 'timout', did you mean 'timeout'?)",
                     refused { timout = 1 })
        assert.equal(prefix .. "(unknown option 'Name', did you mean 'name'?)",
                     refused { Name = "x" })
        assert.equal(prefix .. "(option 'timeout': seconds >= 0 or math.huge expected, got -1)",
                     refused { timeout = -1 })
        assert.equal(prefix .. "(option 'timeout': seconds >= 0 or math.huge expected, got nan)",
                     refused { timeout = NAN })
        assert.equal(prefix .. "(option 'timeout': seconds >= 0 or math.huge expected, got '1')",
                     refused { timeout = "1" })
        assert.equal(prefix .. "(option 'report': boolean expected, got 1)", refused { report = 1 })
        assert.equal(prefix .. "(option 'name': string expected, got 7)", refused { name = 7 })
      end
      assert.equal(0, #jobs)
      assert.equal(0, jobs.active_count)
      assert.equal("fine", jobs:spawn(function() return "fine" end):wait())
      jobs:close()
    end)
  end)

  it("of run are refused, and nothing runs", function()
    local function refused(options) return message(uvjobs.run, options, error, "ran") end
    assert.equal("bad argument #1 to 'run' (unknown option 'signal', did you mean 'signals'?)",
                 refused { signal = true })
    local bad_signals = "bad argument #1 to 'run' (option 'signals': " .. SIGNALS
    assert.equal(bad_signals .. " expected, got 1)", refused { signals = 1 })
    assert.equal(bad_signals .. " expected, got 'yes')", refused { signals = "yes" })
    assert.equal("bad argument #1 to 'run' (option 'clock': 'real' or 'virtual' expected, got 'x')",
                 refused { clock = "x" })
    assert.equal("bad argument #1 to 'run' (option 'clock': 'real' or 'virtual' expected, got "
      .. "boolean)", refused { clock = true })
    assert.equal(1, uvjobs.run(function() return 1 end))
  end)

  -- A __pairs that returns nonsense would be blamed on uvjobs, which would have called it.
  it("are read as they are in the table, whatever its metatable says", function()
    local function odd(options) return setmetatable(options, { __pairs = ignore }) end
    virtual(function()
      assert.equal(2, uvjobs.scheduler(odd { limit = 2 }).limit)
      local retry = policy.retry(odd { attempts = 1 })
      assert.equal("x", uvjobs.nursery(odd { limit = 1 }, function() return retry:call(function()
        return "x"
      end) end))
      assert.is_true(select(2, uvjobs.select(odd { uvjobs.start(ignore), timeout = 1 })))
      assert.equal("y", policy.compose(odd { retry }):call(function() return "y" end))
      local service = uvjobs.supervisor(odd { backoff = odd { max = 9 }, period = 3 })
      local jobs <close> = uvjobs.scheduler()
      local repeating = jobs:repeating(schedule.every(5), odd { name = "odd" }, ignore)
      assert.equal("odd", repeating.name)
      service:close()
      assert.equal("bad argument #1 to 'retry' (unknown option 'atempts', did you mean "
        .. "'attempts'?)", message(policy.retry, odd { atempts = 1 }))
    end)
  end)
end)
