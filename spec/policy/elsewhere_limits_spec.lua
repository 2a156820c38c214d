-- What users of other libraries have reported about rates, limits and breakers, in our terms:
-- bottleneck 142, 152, 185 and its doExpire (work that is queued for ever, and a place that
-- is lost), golang/go 56924 and 69419 (what a cancelled reservation gives back), p-queue 126,
-- 177, 231 and 251 (too many starts, idle windows, changing limits), cockatiel 73 and 91,
-- opossum 119, 613 and 819, resilience4j 343, Polly 717 and safe-client-gateway 3442 (too
-- many probes, and a breaker that never leaves its state).
local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local outcome, quiet, raises, virtual = helper.outcome, helper.quiet, helper.raises, helper.virtual

describe("a limit", function()
  after_each(helper.check_clean)

  it("never has all queued and none running, however those ahead have ended #P9", function()
    virtual(function()
      local limit = policy.limit { limit = 2 }
      for round = 1, 20 do
        local jobs, callers, ran = quiet { limit = math.huge }, {}, 0
        for i = 1, 12 do
          callers[i] = jobs:spawn({ report = false, timeout = i % 5 == 0 and 2.5 or nil },
            limit.call, limit, function()
              ran = ran + 1
              uvjobs.sleep(1)
              if i % 3 == 0 then error "failed" end
            end)
        end
        uvjobs.sleep(round / 10)
        callers[1]:cancel()
        callers[2]:cancel()
        pcall(callers[4].close, callers[4], 0)
        jobs:wait_and_close()
        assert.is_true(ran >= 6)
        assert.same({ running = 0, waiting = 0, refused = 0 }, limit:stats())
      end
    end)
  end)

  it("gets the place back of a call that is cut off while it runs", function()
    virtual(function()
      local limit = policy.limit { limit = 1 }
      for _ = 1, 100 do
        assert.equal("timeout", (outcome(uvjobs.timeout, 1, limit.call, limit, uvjobs.sleep, 9)))
      end
      limit:call(helper.ignore)
    end)
  end)

  it("goes on when it is changed while calls run and wait #P17", function()
    virtual(function()
      local limit, jobs = policy.limit { limit = 3 }, quiet { limit = math.huge }
      local running, most, done = 0, 0, 0
      for _ = 1, 60 do
        jobs:spawn(limit.call, limit, function()
          running = running + 1
          most = math.max(most, running)
          uvjobs.sleep(1)
          running, done = running - 1, done + 1
        end)
      end
      for i = 1, 40 do
        uvjobs.sleep(0.3)
        limit:set { limit = i % 3 + 1 }
      end
      limit:set { limit = 1 } -- as after a 429
      jobs:wait_and_close()
      assert.equal(60, done)
      assert.is_true(most <= 3)
    end)
  end)
end)

describe("a rate", function()
  after_each(helper.check_clean)

  it("is what it was when all who waited have left #P7", function()
    virtual(function()
      local rate, jobs = policy.rate { rate = 1, burst = 10 }, quiet { limit = math.huge }
      for _ = 1, 10 do assert.is_true(rate:try()) end
      for _ = 1, 3 do
        local callers = {}
        for i = 1, 20 do callers[i] = jobs:spawn(rate.call, rate, print) end
        uvjobs.sleep(0.25)
        for i = 20, 1, -1 do callers[i]:cancel() end -- the last first, then the first
        uvjobs.yield()
      end
      uvjobs.sleep(0.25)
      assert.is_true(rate:try())
      local _, after = rate:try()
      assert.equal(1, after)
      jobs:close()
    end)
  end)

  it("does not start too many after a pause, nor on the border of two windows #P6", function()
    virtual(function()
      local rate, jobs, starts = policy.rate { rate = 10, burst = 10 }, quiet { limit = 1e6 }, {}
      for i = 1, 6 do
        for _ = 1, 25 do
          jobs:spawn(rate.call, rate, function() starts[#starts + 1] = uvjobs.now() end)
        end
        uvjobs.sleep(i == 3 and 100 or 0.95)
      end
      jobs:wait_and_close()
      assert.equal(150, #starts)
      for i = 1, #starts - 20 do -- in no second are there more than 20 starts
        assert.is_true(starts[i + 20] - starts[i] >= 1 - 1e-9, i)
      end
    end)
  end)

  it("goes down when a server says that it was too much, and up again when it does not #P17",
    function()
      virtual(function()
        local rate, at, allowed = policy.rate { rate = 10 }, {}, 2 -- calls a second
        local polite = policy.compose { policy.retry { attempts = 5, backoff = 1 }, rate }
        for _ = 1, 20 do
          polite:call(function()
            local now = uvjobs.now()
            if #at > 0 and now - at[#at] < 1 / allowed - 1e-6 then
              rate:set { rate = allowed } -- as the reply says
              error "429"
            end
            at[#at + 1] = now
          end)
        end
        for i = 2, #at do assert.is_true(at[i] - at[i - 1] >= 1 / allowed - 1e-6) end
        assert.is_true(uvjobs.now() < 20 / allowed + 2)
      end)
    end)

  it("is neither stuck nor emptied by changes while calls wait #P17", function()
    virtual(function()
      local rate, jobs, done = policy.rate { rate = 5 }, quiet { limit = math.huge }, 0
      for _ = 1, 50 do jobs:spawn(rate.call, rate, function() done = done + 1 end) end
      for i = 1, 100 do
        uvjobs.sleep(0.1)
        rate:set { rate = i % 2 == 0 and 5 or 6, burst = i % 3 + 1 }
      end
      jobs:wait_and_close()
      assert.equal(50, done)
      assert.is_true(uvjobs.now() < 11)
    end)
  end)
end)

describe("a step of the date", function()
  it("moves neither a rate, a breaker nor the wait of a retry", function()
    virtual(function()
      local rate = policy.rate { rate = 1 }
      local breaker = policy.breaker { minimum = 1, open = 5 }
      pcall(breaker.call, breaker, error)
      rate:call(helper.ignore)
      local jobs <close>, at = quiet(), nil
      jobs:spawn(uvjobs.retry, { backoff = 3 }, function()
        at = uvjobs.now()
        if at == 0 then error "no" end
      end)
      for _, step in ipairs { 3600, -7200 } do
        testing.set_date(uvjobs.time() + step)
        assert.same({ false, 1.0 }, { rate:try() })
        assert.equal(5.0, raises("open", breaker.call, breaker, helper.ignore).retry_after)
      end
      rate:call(helper.ignore)
      assert.equal(1.0, uvjobs.now())
      uvjobs.sleep(4)
      assert.same({ "half_open", 3.0 }, { breaker:state(), at })
    end)
  end)
end)

describe("a breaker", function()
  after_each(helper.check_clean)

  it("lets `probes` through when a crowd comes in the turn in which it is half open #P10",
    function()
      virtual(function()
        local breaker = policy.breaker { minimum = 1, open = 1, probes = 1 }
        pcall(breaker.call, breaker, error)
        local jobs, calls = quiet { limit = math.huge }, 0
        for _ = 1, 1000 do
          jobs:spawn({ report = false }, function()
            uvjobs.sleep(1)
            breaker:call(function()
              calls = calls + 1
              uvjobs.sleep(1)
            end)
          end)
        end
        uvjobs.sleep(1.5)
        assert.equal(1, calls)
        jobs:wait_and_close()
      end)
    end)

  it("that is tried by a crowd during a long outage makes one call for each time #P10", function()
    virtual(function()
      local breaker = policy.breaker { minimum = 10, open = 1, probes = 1 }
      local jobs <close> = quiet { limit = math.huge }
      local calls = 0
      for i = 1, 100 do
        jobs:spawn({ report = false }, function()
          uvjobs.sleep(i / 1000)
          for _ = 1, 100 do
            pcall(breaker.call, breaker, function()
              calls = calls + 1
              uvjobs.sleep(0.5)
              error "down"
            end)
            uvjobs.sleep(0.1)
          end
        end)
      end
      jobs:wait_and_close()
      -- all are under way when it opens for the first time; then there is one at a time
      assert.is_true(calls <= 100 + uvjobs.now() / 1.5 + 1, calls)
    end)
  end)

  it("leaves each of its states, also when probes were cancelled #P10 #P11", function()
    virtual(function()
      local breaker, jobs = policy.breaker { minimum = 1, open = 1, probes = 2 }, quiet()
      for _ = 1, 5 do
        pcall(breaker.call, breaker, error)
        raises("open", breaker.call, breaker, print)
        uvjobs.sleep(1)
        for _ = 1, 5 do
          local probe = jobs:spawn(breaker.call, breaker, uvjobs.sleep, 60)
          uvjobs.yield()
          probe:cancel()
          probe:join()
        end
        assert.equal("half_open", breaker:state())
        breaker:call(helper.ignore)
        breaker:call(helper.ignore)
        assert.equal("closed", breaker:state())
      end
      jobs:close()
    end)
  end)
end)
