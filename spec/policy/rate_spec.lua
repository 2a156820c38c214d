local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local message, outcome, quiet = helper.message, helper.outcome, helper.quiet
local raises, virtual = helper.raises, helper.virtual

-- Spawns a job that calls the policy, and notes in the log when the call has started.
local function caller(jobs, rate, log, name, ...)
  return jobs:spawn(rate.call, rate, function()
    log:add(("%s %.9g"):format(name, uvjobs.now()))
  end, ...)
end

local function starts(log)
  return table.concat(log, ", ")
end

describe("a rate", function()
  after_each(helper.check_clean)

  it("lets a burst start at once, and then one call for each token #P6", function()
    virtual(function()
      local rate, jobs, log = policy.rate { rate = 50, burst = 2 }, quiet(), helper.log()
      for i = 1, 5 do caller(jobs, rate, log, i) end
      jobs:wait_and_close()
      assert.equal("1 0, 2 0, 3 0.02, 4 0.04, 5 0.06", starts(log))
    end)
  end)

  it("returns what the function returns, and leaves its error alone #P1", function()
    virtual(function()
      local rate, err = policy.rate { rate = 1, burst = 9 }, {}
      assert.same({ n = 3, 1, nil, 3 },
        table.pack(rate:call(function(...) return ... end, 1, nil, 3)))
      local ok, got = pcall(rate.call, rate, error, err)
      assert.is_false(ok)
      assert.equal(err, got)
      assert.equal(4, rate:wrap(function(x) return x + 1 end)(3))
    end)
  end)

  it("wakes by the theoretical time, so late ones do not shift those that follow", function()
    virtual(function()
      local rate, jobs, log = policy.rate { rate = 1, burst = 3 }, quiet(), helper.log()
      for i = 1, 3 do caller(jobs, rate, log, i) end
      uvjobs.sleep(0.25)
      for i = 4, 6 do caller(jobs, rate, log, i) end
      jobs:wait_and_close()
      assert.equal("1 0, 2 0, 3 0, 4 1, 5 2, 6 3", starts(log))
    end)
  end)

  it("has rates that are no whole number of nanoseconds apart without losing any", function()
    virtual(function()
      local rate, jobs = policy.rate { rate = 3, burst = 2 }, quiet()
      local last
      for _ = 1, 3002 do
        jobs:spawn(rate.call, rate, function() last = uvjobs.now() end)
      end
      jobs:wait_and_close()
      assert.equal(1000, last)
    end)
  end)

  it("has no limit with math.huge", function()
    virtual(function()
      local rate = policy.rate { rate = math.huge }
      for _ = 1, 1000 do assert.is_true(rate:try()) end
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("is taken from by a waiter only when that is woken: one that leaves has taken nothing #P7",
    function()
      for _, by in ipairs { "cancel", "kill" } do
        virtual(function()
          local rate, jobs, log = policy.rate { rate = 1 }, quiet(), helper.log()
          assert.is_true(rate:try())
          local gone = caller(jobs, rate, log, "gone")
          caller(jobs, rate, log, "next")
          uvjobs.sleep(0.5)
          if by == "kill" then pcall(gone.close, gone, 0) else gone:cancel() end
          jobs:wait_and_close()
          assert.equal("next 1", starts(log))
          assert.equal(0, rate:stats().waiting)
        end)
      end
    end)

  it("is taken from by nobody whose deadline passes while it waits #P7", function()
    virtual(function()
      local rate, jobs, log = policy.rate { rate = 1 }, quiet(), helper.log()
      assert.is_true(rate:try())
      local gone = jobs:spawn(function()
        return outcome(uvjobs.timeout, 1.2, rate.call, rate, print)
      end)
      uvjobs.yield()
      caller(jobs, rate, log, "next")
      uvjobs.sleep(0.5)
      rate:set { rate = 0.5 } -- the token comes at 1.5 now, which the first did not know
      assert.equal("timeout", gone:wait())
      assert.equal(1.2, uvjobs.now())
      jobs:wait_and_close()
      assert.equal("next 1.5", (starts(log):gsub("00+1$", "")))
    end)
  end)

  it("has taken nothing for one that is cancelled in the turn in which its token is there #P7",
    function()
      virtual(function()
        local rate, jobs, log = policy.rate { rate = 1 }, quiet(), helper.log()
        assert.is_true(rate:try())
        local first
        jobs:spawn(function()
          uvjobs.sleep(1) -- its timer goes off before the alarm of the rate
          first:cancel()
        end)
        first = caller(jobs, rate, log, "first")
        caller(jobs, rate, log, "second")
        jobs:wait_and_close()
        -- the first was woken with its token before it was cancelled: that is its own (M6)
        assert.equal("first 1, second 2", starts(log))
      end)
    end)

  it("counts nobody who has left, also before that has run #P7 #P8", function()
    virtual(function()
      local rate, jobs = policy.rate { rate = 1, most_wait = 1 }, quiet()
      assert.is_true(rate:try())
      local first = jobs:spawn(rate.call, rate, print)
      uvjobs.yield()
      assert.equal("limited", (outcome(rate.call, rate, print)))
      first:cancel()
      rate:call(function() assert.equal(1, uvjobs.now()) end)
      jobs:wait_and_close()
    end)
  end)

  it("serves first come, first served, and lets nobody pass by try()", function()
    virtual(function()
      local rate, jobs, log = policy.rate { rate = 1 }, quiet(), helper.log()
      assert.is_true(rate:try())
      for i = 1, 3 do caller(jobs, rate, log, i) end
      uvjobs.sleep(1)
      local taken, after = rate:try()
      assert.is_false(taken)
      assert.equal(3, after)
      jobs:wait_and_close()
      assert.equal("1 1, 2 2, 3 3", starts(log))
    end)
  end)

  it("refuses at once what would pass the deadline, and says when it could start #P8", function()
    virtual(function()
      local rate = policy.rate { rate = 2 }
      assert.is_true(rate:try())
      local err = raises("limited", uvjobs.timeout, 0.4, rate.call, rate, print)
      assert.equal(0.5, err.retry_after)
      assert.equal("the rate refuses the call: it could start in 0.5 s", tostring(err))
      assert.equal(0, uvjobs.now())
      raises("limited", uvjobs.timeout, 0.5, rate.call, rate, print)
      uvjobs.timeout(0.6, rate.call, rate, function() assert.equal(0.5, uvjobs.now()) end)
    end)
  end)

  it("refuses at once what would wait longer than most_wait #P8", function()
    virtual(function()
      local rate = policy.rate { rate = 2, most_wait = 0.5, name = "api" }
      local jobs = quiet()
      assert.is_true(rate:try())
      jobs:spawn(rate.call, rate, helper.ignore)
      uvjobs.yield()
      local err = raises("limited", rate.call, rate, print)
      assert.equal(1, err.retry_after)
      assert.truthy(tostring(err):find('^the rate "api" refuses'))
      jobs:wait_and_close()
      assert.same({ taken = 2, waited = 1, refused = 1, waiting = 0 }, rate:stats())
      rate:set { most_wait = 0 }
      raises("limited", rate.call, rate, print)
    end)
  end)

  it("raises in a job that is cancelled, and takes nothing", function()
    virtual(function()
      local rate, jobs, code = policy.rate { rate = 1 }, quiet(), nil
      local job = jobs:spawn(function()
        pcall(uvjobs.sleep, 9)
        code = outcome(rate.call, rate, print)
      end)
      uvjobs.yield()
      job:cancel()
      job:join()
      assert.equal("cancelled", code)
      assert.is_true(rate:try())
      jobs:wait_and_close()
    end)
  end)

  it("says in a traceback what its waiters wait for", function()
    virtual(function()
      local rate, jobs = policy.rate { rate = 1 }, quiet()
      rate:try()
      local job = jobs:spawn(rate.call, rate, print)
      uvjobs.yield()
      assert.truthy(job:traceback():find("waiting for a rate", 1, true))
      jobs:close()
    end)
  end)

  it("is a part of a composition", function()
    virtual(function()
      local both = policy.compose {
        policy.rate { rate = 1, key = function(x) return x end },
        policy.rate { rate = 2 },
      }
      local log = {}
      for _, x in ipairs { "a", "b", "a" } do
        both:call(function(y) log[#log + 1] = y .. uvjobs.now() end, x)
      end
      assert.same({ "a0.0", "b0.5", "a1.0" }, log)
    end)
  end)

  it("survives a wait of a job that is the last of its run", function()
    local rate = policy.rate { rate = 1 }
    for _ = 1, 3 do
      virtual(function() -- each has a clock of its own: the bucket is full again
        local jobs = quiet()
        assert.is_true(rate:try())
        jobs:spawn(rate.call, rate, print)
        uvjobs.yield()
        jobs:close()
      end)
    end
  end)

  it("goes on with the real clock outside of runs", function()
    local rate = policy.rate { rate = 0.001 }
    assert.is_true(rate:try())
    assert.is_false((rate:try()))
    virtual(function() assert.is_true(rate:try()) end)
  end)
end)

describe("a rate that is changed", function()
  after_each(helper.check_clean)

  it("wakes in the same turn those for whom there is a token now #P17", function()
    virtual(function()
      local rate, jobs, log = policy.rate { rate = 1, burst = 1 }, quiet(), helper.log()
      assert.is_true(rate:try())
      for i = 1, 4 do caller(jobs, rate, log, i) end
      uvjobs.sleep(0.5)
      rate:set { burst = 3 }
      uvjobs.yield()
      assert.equal("1 0.5, 2 0.5", starts(log))
      jobs:wait_and_close()
      assert.equal("1 0.5, 2 0.5, 3 1, 4 2", starts(log))
    end)
  end)

  it("keeps what is missing, in tokens", function()
    virtual(function()
      local rate = policy.rate { rate = 1, burst = 4 }
      for _ = 1, 4 do assert.is_true(rate:try()) end
      rate:set { rate = 10 }
      local _, after = rate:try()
      assert.is_true(math.abs(after - 0.1) < 1e-8)
      uvjobs.sleep(0.201)
      assert.is_true(rate:try())
      assert.is_true(rate:try())
      assert.is_false((rate:try()))
    end)
  end)

  it("takes nothing from those who wait when it is lowered #P17", function()
    virtual(function()
      local rate, jobs, log = policy.rate { rate = 10 }, quiet(), helper.log()
      assert.is_true(rate:try())
      for i = 1, 2 do caller(jobs, rate, log, i) end
      uvjobs.sleep(0.05)
      rate:set { rate = 1 }
      jobs:wait_and_close()
      assert.equal(2, #log)
      assert.equal("1 0.55", (log[1]:gsub("00+1$", "")))
    end)
  end)

  it("changes all keys", function()
    virtual(function()
      local rate = policy.rate { rate = 1, key = function(x) return x end }
      local jobs, log = quiet(), helper.log()
      for _, key in ipairs { "a", "b" } do
        assert.is_true(rate:try(key))
        caller(jobs, rate, log, key, key)
      end
      uvjobs.sleep(0.5)
      rate:set { burst = 2 }
      uvjobs.yield()
      assert.equal("a 0.5, b 0.5", starts(log))
      jobs:wait_and_close()
    end)
  end)
end)

describe("cancelling everywhere", function()
  it("leaves no waiter and no token behind in a rate #P7", function()
    for _, by in ipairs { "cancel", "kill" } do
      local places = testing.cancel_everywhere({
        by = by,
        setup = function() return policy.rate { rate = 10 } end,
        check = function(rate) assert.equal(0, rate:stats().waiting) end,
      }, function(rate)
        local jobs <close> = uvjobs.scheduler()
        for _ = 1, 3 do jobs:spawn({ report = false }, rate.call, rate, uvjobs.sleep, 0.2) end
        for _ = 1, 3 do rate:call(uvjobs.yield) end
      end)
      assert.is_true(places >= 5)
    end
  end)
end)

describe("bad input of a rate", function()
  it("is refused with what was expected", function()
    for _, case in ipairs {
      { {}, "option 'rate': number > 0 expected, got nil" },
      { { rate = 0 }, "option 'rate': number > 0 expected, got 0" },
      { { rate = -1 }, "option 'rate': number > 0 expected, got -1" },
      { { rate = 0 / 0 }, "option 'rate': number > 0 expected, got nan" },
      { { rate = "1" }, "option 'rate': number > 0 expected, got '1'" },
      { { rate = 1, burst = 0 }, "option 'burst': integer >= 1 expected, got 0" },
      { { rate = 1, burst = 1.5 }, "option 'burst': integer >= 1 expected, got 1.5" },
      { { rate = 1, burst = math.huge }, "option 'burst': integer >= 1 expected, got inf" },
      { { rate = 1, brst = 1 }, "unknown option 'brst', did you mean 'burst'?" },
      { { rate = 1, most_wait = -1 },
        "option 'most_wait': seconds >= 0 or math.huge expected, got -1" },
      { { rate = 1, key = "tenant" }, "option 'key': function expected, got 'tenant'" },
      { { rate = 1, keys = 5 }, "option 'keys' needs the option 'key'" },
      { { rate = 1e-9, burst = 10 },
        "a bucket of 10 would take 1e+10 s to fill, and must take less than 4e+09 s" },
    } do
      assert.equal("bad argument #1 to 'rate' (" .. case[2] .. ")",
        message(policy.rate, case[1]))
    end
    local rate = policy.rate { rate = 1 }
    assert.equal("bad argument #1 to 'set' (option 'rate': number > 0 expected, got 0)",
      message(rate.set, rate, { rate = 0 }))
    assert.equal("bad argument #1 to 'set' (table expected, got nil)",
      message(rate.set, rate))
    assert.equal("bad self to 'try' (uvjobs.Policy of the kind 'rate' expected, got one of the " ..
      "kind 'limit')", message(rate.try, policy.limit { limit = 1 }))
  end)

  it("is found in the key when it is called", function()
    virtual(function()
      local rate = policy.rate { rate = 1, name = "api", key = function(x) return x end }
      assert.equal('the key function of the rate "api" returned nil',
        message(function() rate:call(print) end))
      assert.equal('the key function of the rate "api" returned nan',
        message(function() rate:try(0 / 0) end))
      rate = policy.rate { rate = 1, key = function() uvjobs.sleep(1) end }
      assert.equal("'sleep' cannot suspend across a C call",
        message(function() rate:call(print) end))
      assert.equal(0, rate:stats().taken)
    end)
  end)
end)
