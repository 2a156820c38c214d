local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local message, outcome, quiet = helper.message, helper.outcome, helper.quiet
local raises, virtual = helper.raises, helper.virtual

describe("a limit", function()
  after_each(helper.check_clean)

  it("never lets more than `limit` run, and serves the others in order #P9", function()
    virtual(function()
      local limit, jobs, log = policy.limit { limit = 3 }, quiet(), helper.log()
      local running, most = 0, 0
      for i = 1, 10 do
        jobs:spawn(limit.call, limit, function()
          running = running + 1
          most = math.max(most, running)
          log:add(i)
          uvjobs.sleep(1)
          running = running - 1
        end)
      end
      uvjobs.yield()
      assert.same({ running = 3, waiting = 7, refused = 0 }, limit:stats())
      jobs:wait_and_close()
      assert.equal(3, most)
      assert.equal("1 2 3 4 5 6 7 8 9 10", table.concat(log, " "))
      assert.equal(4, uvjobs.now())
      assert.same({ running = 0, waiting = 0, refused = 0 }, limit:stats())
    end)
  end)

  it("raises full at once when `pending_limit` wait #P9", function()
    virtual(function()
      local limit = policy.limit { limit = 1, pending_limit = 1, name = "db" }
      local jobs = quiet()
      for _ = 1, 2 do jobs:spawn(limit.call, limit, uvjobs.sleep, 1) end
      uvjobs.yield()
      local err = raises("full", limit.call, limit, print)
      assert.equal('the limit "db" is full: 1 run, 1 wait', tostring(err))
      assert.is_nil(err.retry_after)
      assert.equal(1, limit:stats().refused)
      jobs:wait_and_close()
      local none = policy.limit { limit = 1, pending_limit = 0 }
      none:call(function() raises("full", none.call, none, print) end)
    end)
  end)

  it("raises full when a call has waited for `most_wait` seconds #P9", function()
    virtual(function()
      for _, key in ipairs { false, function() return "k" end } do
        local limit = policy.limit { limit = 1, most_wait = 1, key = key or nil }
        local jobs, began = quiet(), uvjobs.now()
        jobs:spawn(limit.call, limit, uvjobs.sleep, 2.5)
        uvjobs.yield()
        raises("full", limit.call, limit, print)
        assert.equal(began + 1, uvjobs.now())
        raises("timeout", uvjobs.timeout, 0.25, limit.call, limit, print)
        local last = jobs:spawn(limit.call, limit, uvjobs.now)
        uvjobs.sleep(0.5)
        limit:set { most_wait = 0 } -- those that wait already go on doing so
        raises("full", limit.call, limit, print)
        limit:set { most_wait = math.huge }
        assert.equal(1, limit:stats().waiting)
        raises("full", last.wait, last)
        assert.equal(began + 2.25, uvjobs.now())
        assert.equal(began + 2.5, limit:call(uvjobs.now))
        assert.same({ running = 0, waiting = 0, refused = 3, keys = key and 0 or nil },
          limit:stats())
        jobs:wait_and_close()
      end
      assert.equal("bad argument #1 to 'limit' (option 'most_wait': seconds >= 0 or math.huge " ..
        "expected, got -1)", message(policy.limit, { limit = 1, most_wait = -1 }))
    end)
  end)

  it("gives a place to the next when one gives up in the same turn #P9", function()
    virtual(function()
      local limit = policy.limit { limit = 1, most_wait = 1 }
      local jobs = quiet()
      jobs:spawn(limit.call, limit, uvjobs.sleep, 1)
      uvjobs.yield()
      local first = jobs:spawn({ report = false }, limit.call, limit, uvjobs.now)
      uvjobs.sleep(0.5)
      local second = jobs:spawn(limit.call, limit, uvjobs.now)
      second:join()
      assert.equal("done", second.state)
      first:join()
      assert.equal(1.0, second:wait())
      assert.equal(0, limit:stats().running)
    end)
  end)

  it("gives a place back however the call ends", function()
    virtual(function()
      local limit, jobs = policy.limit { limit = 1 }, quiet()
      assert.is_false((pcall(limit.call, limit, error, "x")))
      assert.same({ n = 2, 1, 2 }, table.pack(limit:call(function() return 1, 2 end)))
      local job = jobs:spawn(limit.call, limit, uvjobs.protect, uvjobs.sleep, 9)
      uvjobs.yield()
      pcall(job.close, job, 0)
      assert.equal("killed", job.state)
      limit:call(helper.ignore)
      assert.equal(0, limit:stats().running)
      jobs:close()
    end)
  end)

  it("counts nobody who has left, also before that has run #P9", function()
    virtual(function()
      local limit, jobs = policy.limit { limit = 1, pending_limit = 1 }, quiet()
      jobs:spawn(limit.call, limit, uvjobs.sleep, 1)
      local second = jobs:spawn(limit.call, limit, print)
      uvjobs.yield()
      assert.equal("full", (outcome(limit.call, limit, print)))
      second:cancel()
      limit:call(function() assert.equal(1, uvjobs.now()) end)
      jobs:wait_and_close()
    end)
  end)

  it("hands a place over, which a later cancellation does not lose #M6", function()
    virtual(function()
      local limit, jobs = policy.limit { limit = 1 }, quiet()
      local second, ran
      jobs:spawn(limit.call, limit, uvjobs.yield)
      second = jobs:spawn(limit.call, limit, function()
        ran = true
        uvjobs.sleep(1)
      end)
      uvjobs.yield()
      uvjobs.yield()
      second:cancel()
      jobs:wait_and_close()
      assert.equal(0, limit:stats().running)
      assert.is_true(ran == nil or ran)
      limit:call(helper.ignore)
    end)
  end)

  it("gives a place up that waits for its deadline", function()
    virtual(function()
      local limit, jobs = policy.limit { limit = 1 }, quiet()
      jobs:spawn(limit.call, limit, uvjobs.sleep, 5)
      uvjobs.yield()
      assert.equal("timeout", (outcome(uvjobs.timeout, 1, limit.call, limit, print)))
      assert.equal(0, limit:stats().waiting)
      jobs:wait_and_close()
    end)
  end)

  it("has limits that can be changed: raising wakes in the same turn #P17", function()
    virtual(function()
      local limit, jobs, started = policy.limit { limit = 1 }, quiet(), 0
      for _ = 1, 5 do
        jobs:spawn(limit.call, limit, function()
          started = started + 1
          uvjobs.sleep(1)
        end)
      end
      uvjobs.yield()
      limit:set { limit = 3 }
      uvjobs.yield()
      assert.equal(3, started)
      limit:set { limit = 1, pending_limit = 0 } -- takes nothing from those who run
      assert.equal(3, limit:stats().running)
      assert.equal("full", (outcome(limit.call, limit, print)))
      uvjobs.sleep(1)
      uvjobs.yield()
      assert.equal(4, started) -- one, when the last of the three has left
      jobs:wait_and_close()
      assert.equal(3, uvjobs.now())
      limit:set { limit = math.huge, pending_limit = math.huge }
    end)
  end)

  it("can have a limit for each key, which is forgotten when nobody is within", function()
    virtual(function()
      local limit = policy.limit { limit = 1, pending_limit = 1, key = function(x) return x end }
      local jobs, log = quiet(), helper.log()
      for _, key in ipairs { "a", "a", "b" } do
        jobs:spawn(limit.call, limit, function()
          log:add(key .. uvjobs.now())
          uvjobs.sleep(1)
        end, key)
      end
      uvjobs.yield()
      assert.equal("full", (outcome(limit.call, limit, print, "a")))
      assert.same({ running = 2, waiting = 1, refused = 1, keys = 2 }, limit:stats())
      limit:set { limit = 2 }
      uvjobs.yield()
      assert.equal("a0.0 b0.0 a0.0", table.concat(log, " "))
      jobs:wait_and_close()
      assert.equal(0, limit:stats().keys)
      local job = quiet():spawn(function()
        pcall(uvjobs.sleep, 9)
        return outcome(limit.call, limit, print, "c")
      end)
      uvjobs.yield()
      job:cancel()
      assert.equal("cancelled", job:wait())
      assert.equal(0, limit:stats().keys)
    end)
  end)

  it("limits what is within it in a composition, by key, too", function()
    virtual(function()
      local both = policy.compose {
        policy.limit { limit = 1, key = function(x) return x end },
        policy.limit { limit = 2 },
      }
      local jobs, log = quiet(), helper.log()
      for i, key in ipairs { "a", "a", "b", "c" } do
        jobs:spawn(both.call, both, function(x)
          log:add(x .. i .. "@" .. math.tointeger(uvjobs.now()))
          uvjobs.sleep(1)
        end, key)
      end
      jobs:wait_and_close()
      assert.equal("a1@0 b3@0 c4@1 a2@1", table.concat(log, " "))
    end)
  end)

  it("holds a hundred thousand waiters, which may all be cancelled", function()
    virtual(function()
      local limit, jobs = policy.limit { limit = 1 }, quiet { limit = math.huge }
      jobs:spawn(limit.call, limit, uvjobs.sleep, 1)
      for _ = 1, 100000 do jobs:spawn(limit.call, limit, print) end
      uvjobs.yield()
      assert.equal(100000, limit:stats().waiting)
      jobs:close()
      uvjobs.yield()
      assert.same({ running = 0, waiting = 0, refused = 0 }, limit:stats())
    end)
  end)
end)

describe("cancelling everywhere", function()
  it("leaves no place taken in a limit", function()
    for _, by in ipairs { "cancel", "kill" } do
      testing.cancel_everywhere({
        by = by,
        setup = function() return policy.limit { limit = 2, key = function(_, x) return x end } end,
        check = function(limit) assert.same(0, limit:stats().keys) end,
      }, function(limit)
        local jobs <close> = uvjobs.scheduler()
        for _ = 1, 4 do jobs:spawn({ report = false }, limit.call, limit, uvjobs.sleep, 0.2, 1) end
        for _ = 1, 3 do limit:call(uvjobs.sleep, 0.1, 1) end
      end)
    end
  end)
end)

describe("bad input of a limit", function()
  it("is refused with what was expected", function()
    for _, case in ipairs {
      { {}, "option 'limit': integer >= 1 or math.huge expected, got nil" },
      { { limit = 0 }, "option 'limit': integer >= 1 or math.huge expected, got 0" },
      { { limit = 1.5 }, "option 'limit': integer >= 1 or math.huge expected, got 1.5" },
      { { limit = 1, pending_limit = -1 },
        "option 'pending_limit': integer >= 0 or math.huge expected, got -1" },
      { { limits = 1 }, "unknown option 'limits', did you mean 'limit'?" },
    } do
      assert.equal("bad argument #1 to 'limit' (" .. case[2] .. ")",
        message(policy.limit, case[1]))
    end
    local limit = policy.limit { limit = 1 }
    assert.equal("bad argument #1 to 'set' (option 'limit': integer >= 1 or math.huge " ..
      "expected, got 0)", message(limit.set, limit, { limit = 0 }))
  end)

  it("is found in the key when it is called", function()
    virtual(function()
      local limit = policy.limit { limit = 1, key = helper.ignore }
      assert.equal("the key function of the limit returned nil",
        message(function() limit:call(print) end))
      for _, one in ipairs { limit, policy.compose { policy.retry { attempts = 1 }, limit },
        policy.breaker { key = helper.ignore },
        policy.debounce { wait = 1, key = helper.ignore } } do
        local _, err = pcall(function() one:call(print) end)
        assert.matches("^spec/policy/limit_spec.lua:%d+: the key function of the %l+ returned",
          err)
      end
    end)
  end)
end)
