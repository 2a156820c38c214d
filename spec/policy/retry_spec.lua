local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local message, raises, virtual = helper.message, helper.raises, helper.virtual

-- A function that fails so many times, and then returns its arguments; and the times at
-- which it was called.
local function failing(times, err, seconds)
  local at = {}
  return function(...)
    at[#at + 1] = uvjobs.now()
    if seconds then uvjobs.sleep(seconds) end
    if #at <= times then error(err, 0) end
    return ...
  end, at
end

local function exact(options)
  options.backoff = options.backoff or { base = 1, jitter = "none", max = 100 }
  return policy.retry(options)
end

describe("policy.retry", function()
  it("calls again until the function succeeds, with the same arguments #P3", function()
    virtual(function()
      local fn, at = failing(3, "no")
      local results = table.pack(exact { attempts = 4 }:call(fn, 1, nil, 3, nil))
      assert.same({ n = 4, 1, nil, 3, nil }, results)
      assert.same({ 0.0, 1.0, 3.0, 7.0 }, at)
    end)
  end)

  it("raises the last error when no attempt is left #P1 #P3", function()
    virtual(function()
      local errors = { {}, {}, {} }
      local n = 0
      local ok, err = pcall(exact({ attempts = 3 }).call, exact { attempts = 3 }, function()
        n = n + 1
        error(errors[n])
      end)
      assert.is_false(ok)
      assert.equal(errors[3], err)
      assert.equal(3, n)
    end)
  end)

  it("has three attempts when it is not told how many", function()
    virtual(function()
      local fn, at = failing(99, "no")
      assert.equal("no", message(function() policy.retry():call(fn) end))
      assert.equal(3, #at)
    end)
  end)

  it("can have one attempt, or any number", function()
    virtual(function()
      local fn, at = failing(99, "no")
      assert.equal("no", message(function() exact({ attempts = 1 }):call(fn) end))
      assert.equal(1, #at)
      fn, at = failing(50, "no")
      exact({ attempts = math.huge, backoff = 1 }):call(fn)
      assert.equal(51, #at)
    end)
  end)

  it("retries an error that is nil or false", function()
    virtual(function()
      for _, err in ipairs { "nil", "false" } do
        local n = 0
        exact({}):call(function()
          n = n + 1
          if n < 3 then
            if err == "nil" then error() end
            error(false)
          end
        end)
        assert.equal(3, n)
      end
    end)
  end)

  it("waits as the back-off says, a new time for each wait #P3", function()
    virtual(function()
      local one = policy.retry { attempts = 6, backoff = { base = 1, factor = 3, max = 10 } }
      local seen = {}
      for _ = 1, 20 do
        local fn, at = failing(5, "no")
        one:call(fn)
        for k = 2, 6 do
          local wait = at[k] - at[k - 1]
          assert.is_true(wait >= 0 and wait <= math.min(10, 3 ^ (k - 2)))
          assert.is_nil(seen[wait])
          seen[wait] = true
        end
      end
    end)
  end)

  it("remembers the last wait for a decorrelated back-off", function()
    virtual(function()
      local one = policy.retry { attempts = 40, backoff = {
        base = 1, max = 1e6, jitter = "decorrelated",
      } }
      local fn, at = failing(39, "no")
      one:call(fn)
      local longest = 0
      for k = 2, 40 do longest = math.max(longest, at[k] - at[k - 1]) end
      assert.is_true(longest > 30)
    end)
  end)

  it("does the same each time under the virtual clock #P18", function()
    local function times(seed)
      local fn, at = failing(4, "no")
      uvjobs.run({ clock = "virtual", seed = seed }, function()
        policy.retry({ attempts = 5 }):call(fn)
      end)
      return at
    end
    assert.same(times(), times())
    assert.same(times(), times(0))
    assert.same(times(7), times(7))
    assert.are_not.same(times(7), times(8))
  end)

  it("does not sleep when the deadline would pass meanwhile #P4", function()
    virtual(function()
      local fn, at = failing(99, "no")
      local ok, err = pcall(uvjobs.timeout, 5, function() exact({ attempts = 9 }):call(fn) end)
      assert.same({ false, "no" }, { ok, err })
      assert.same({ 0.0, 1.0, 3.0 }, at)
      assert.equal(3, uvjobs.now())
      fn, at = failing(99, "no") -- a wait that ends with the deadline
      ok, err = pcall(uvjobs.timeout, 3, function() exact({ attempts = 9 }):call(fn) end)
      assert.same({ false, "no", 2 }, { ok, err, #at })
    end)
  end)

  it("lets the timeout of a deadline around it through at once", function()
    virtual(function()
      local fn, at = failing(99, "no", 2)
      raises("timeout", uvjobs.timeout, 1, function() exact({}):call(fn) end)
      assert.equal(1, #at)
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("retries after a timeout of the function itself", function()
    virtual(function()
      local n = 0
      local function fn() n = n + 1 uvjobs.timeout(1, uvjobs.sleep, n < 3 and 2 or 0) end
      exact({}):call(fn)
      assert.equal(3, n)
    end)
  end)

  it("lets cancelled and killed of the caller through at once #P2", function()
    virtual(function()
      local jobs <close> = helper.quiet()
      local one = exact { attempts = 9 }
      for _, kill in ipairs { false, true } do
        for _, moment in ipairs { 0.5, 1.5 } do -- in the function, in the sleep
          local fn, at = failing(99, "no", 1)
          local job = jobs:spawn(one.call, one, fn)
          uvjobs.sleep(moment)
          local started = uvjobs.now()
          pcall(job.close, job, kill and 0 or 9)
          assert.truthy(job.state == (kill and "killed" or "cancelled")
            or job.state == "cancelled", job.state)
          assert.equal(started, uvjobs.now())
          assert.equal(1, #at)
        end
      end
      assert.equal(0, one:stats().failed)
    end)
  end)

  it("does not go on in a job that has swallowed its cancellation #P2", function()
    virtual(function()
      local jobs <close> = helper.quiet()
      local n = 0
      local job = jobs:spawn(function()
        exact({}):call(function()
          n = n + 1
          pcall(uvjobs.sleep, 9)
          error("mine", 0)
        end)
      end)
      uvjobs.yield()
      job:cancel()
      local ok, err = pcall(job.wait, job)
      assert.same({ false, "mine", 1 }, { ok, err, n })
    end)
  end)

  it("retries when another job was cancelled that the function waits for", function()
    virtual(function()
      local jobs <close> = helper.quiet()
      local n = 0
      exact({}):call(function()
        n = n + 1
        local other = jobs:spawn(uvjobs.sleep, 9)
        if n < 3 then other:cancel() else other = jobs:spawn(print) end
        if n < 3 then other:wait() end
      end)
      assert.equal(3, n)
    end)
  end)

  it("asks when() whether to retry, with the error and the attempt", function()
    virtual(function()
      local seen = {}
      local one = exact { attempts = 9, when = function(err, attempt)
        seen[#seen + 1] = { err, attempt }
        return attempt < 3
      end }
      local fn, at = failing(99, "no")
      assert.equal("no", message(function() one:call(fn) end))
      assert.same({ { "no", 1 }, { "no", 2 }, { "no", 3 } }, seen)
      assert.equal(3, #at)
    end)
  end)

  it("waits as long as delay() says, or leaves it to the back-off for nil #P3", function()
    virtual(function()
      local fn, at = failing(3, { retry_after = 7 })
      exact({ attempts = 9, delay = function(err, attempt)
        if attempt ~= 2 then return err.retry_after end
      end }):call(fn)
      assert.same({ 0.0, 7.0, 9.0, 16.0 }, at)
      for _, never in ipairs { math.huge, 1e300, 2 ^ 63 / 1e9 } do
        fn, at = failing(9, "no")
        assert.equal("no", message(function()
          exact({ delay = function() return never end }):call(fn)
        end))
        assert.equal(1, #at)
      end
    end)
  end)

  it("refuses what is no delay", function()
    virtual(function()
      for _, case in ipairs { { "1", "'1'" }, { -1, "-1" }, { 0 / 0, "nan" }, { {}, "table" } } do
        assert.equal("'delay' of a retry must return seconds >= 0 or nil, got " .. case[2],
          message(function()
            exact({ delay = function() return case[1] end }):call(error, "no")
          end))
      end
    end)
  end)

  it("waits out what an error of another policy says, and the back-off on top", function()
    virtual(function()
      local frame = require "uvjobs.policy.frame"
      local n = 0
      exact({}):call(function()
        n = n + 1
        if n < 3 then frame.raise("open", "it is open", 10) end
      end)
      assert.equal(23, uvjobs.now())
    end)
  end)

  it("refuses to suspend in when() and delay()", function()
    virtual(function()
      for _, name in ipairs { "when", "delay" } do
        local text = message(function()
          exact({ [name] = function() uvjobs.sleep(1) end }):call(error, "no")
        end)
        assert.equal("'sleep' cannot suspend across a C call", text)
      end
    end)
  end)

  it("counts calls, retries, and what has come of them", function()
    virtual(function()
      local one = exact { attempts = 2, budget = 0 }
      one:call(failing(1, "no"))
      pcall(one.call, one, error, "no")
      pcall(uvjobs.timeout, 0.5, one.call, one, error, "no")
      pcall(one.call, one, uvjobs.timeout, 0.5, uvjobs.sleep, 1)
      assert.same({ calls = 4, retried = 3, failed = 3, out_of_time = 1, out_of_budget = 0 },
        one:stats())
    end)
  end)

  it("keeps a budget: so many retries for each call, and ten in ten seconds #P5", function()
    virtual(function()
      local one = exact { attempts = 100, backoff = 0.01, budget = 0.5 }
      assert.equal("no", message(function() one:call(error, "no") end))
      assert.equal(10, one:stats().retried)
      for _ = 1, 20 do pcall(one.call, one, error, "no") end
      assert.equal(20, one:stats().retried)
      assert.equal(21, one:stats().out_of_budget)
      uvjobs.sleep(10.1)
      pcall(one.call, one, error, "no")
      assert.equal(30, one:stats().retried)
    end)
  end)

  it("shows in a traceback where the last attempt has failed #M12", function()
    virtual(function()
      local reports = {}
      local jobs <close> = uvjobs.scheduler { exception_handler = helper.recorder(reports) }
      local function culprit() error("no") end
      for _, attempts in ipairs { 1, 2 } do
        local one = exact { attempts = attempts }
        jobs:spawn(function() one:call(culprit) end)
      end
      jobs:wait_idle()
      local place = ("%s:%d: in"):format(debug.getinfo(culprit).short_src,
        debug.getinfo(culprit).linedefined)
      for _, context in ipairs(reports) do
        assert.truthy(context.traceback:find(place, 1, true), context.traceback)
      end
      assert.equal(2, #reports)
    end)
  end)

  it("is clean wherever its job is ended", function()
    for _, by in ipairs { "cancel", "kill" } do
      local count = testing.cancel_everywhere({ by = by }, function()
        exact({ attempts = 4, budget = 1 }):call(failing(3, "no", 1))
      end)
      assert.equal(7, count)
    end
  end)

  it("refuses bad options", function()
    local function refusal(options)
      return message(function() policy.retry(options) end):gsub("^bad argument #1 to 'retry' ", "")
    end
    local attempts = "(option 'attempts': integer >= 1 or math.huge expected, got "
    for _, case in ipairs {
      { 5, "(table expected, got number)" },
      { { attempts = 0 }, attempts .. "0)" },
      { { attempts = 1.5 }, attempts .. "1.5)" },
      { { attempts = -3 }, attempts .. "-3)" },
      { { attempts = 0 / 0 }, attempts .. "nan)" },
      { { attempts = "3" }, attempts .. "'3')" },
      { { budget = -1 }, "(option 'budget': number >= 0 expected, got -1)" },
      { { budget = 0 / 0 }, "(option 'budget': number >= 0 expected, got nan)" },
      { { when = true }, "(option 'when': function expected, got boolean)" },
      { { delay = 5 }, "(option 'delay': function expected, got 5)" },
      { { backof = 5 }, "(unknown option 'backof', did you mean 'backoff'?)" },
      { { backoff = "x" }, "(option 'backoff': table or seconds >= 0 expected, got 'x')" },
      { { backoff = math.huge }, "(option 'backoff': table or seconds >= 0 expected, got inf)" },
      { { backoff = { maximum = 1 } },
        "(option 'backoff': unknown option 'maximum', did you mean 'max'?)" },
      { { backoff = { jitter = "ful" } }, "(option 'backoff': option 'jitter': 'full', 'none', "
        .. "'equal', 'decorrelated' or a number from 0 to 1 expected, got 'ful')" },
      { { backoff = { jitter = 2 } }, "(option 'backoff': option 'jitter': 'full', 'none', "
        .. "'equal', 'decorrelated' or a number from 0 to 1 expected, got 2)" },
      { { backoff = { factor = 0.5 } },
        "(option 'backoff': option 'factor': number >= 1 expected, got 0.5)" },
    } do
      assert.equal(case[2], (refusal(case[1])))
    end
  end)
end)

describe("uvjobs.retry", function()
  it("is a retry for one call, with or without options", function()
    virtual(function()
      local fn, at = failing(2, "no")
      assert.same({ n = 2, 1, nil },
        table.pack(uvjobs.retry({ backoff = 1 }, fn, 1, nil)))
      assert.same({ 0.0, 1.0, 2.0 }, at)
      fn = failing(2, "no")
      assert.same({ n = 2, nil, 5 }, table.pack(uvjobs.retry(fn, nil, 5)))
      assert.same({ n = 0 }, table.pack(uvjobs.retry(function(...) return ... end)))
    end)
  end)

  it("refuses bad arguments, and blames its caller", function()
    virtual(function()
      local _, err = pcall(function() uvjobs.retry() end)
      assert.matches("retry_spec.lua:%d+: bad argument #1 to 'retry' " ..
        "%(table or function expected, got nil%)", err)
      assert.equal("bad argument #2 to 'retry' (function expected, got nil)",
        message(function() uvjobs.retry {} end))
      assert.equal("bad argument #1 to 'retry' (option 'budget' is one of uvjobs.policy.retry, " ..
        "as it is about many calls)", message(function() uvjobs.retry({ budget = 1 }, print) end))
      assert.equal("bad argument #1 to 'retry' (unknown option 'name', known: attempts, " ..
        "backoff, delay, when)",
        message(function() uvjobs.retry({ name = "x" }, print) end))
    end)
    assert.equal("'retry' must be called in a job: use uvjobs.run",
      message(function() uvjobs.retry(print) end))
    assert.equal("'retry' must be called in a job: use uvjobs.run",
      message(function() uvjobs.retry({}, print) end))
  end)
end)
