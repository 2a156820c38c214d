-- What users of other libraries have reported about retries, in our terms: Polly 46 and 194
-- (cancelling during the wait), 177, 414 and 763 (Retry-After), 414 (one jitter for all), and
-- opendal 7376 (storms of retries).
local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"

local virtual = helper.virtual

describe("a retry", function()
  it("that waits ends in the turn in which it is cancelled, and calls no more #P2", function()
    virtual(function()
      local jobs <close> = helper.quiet()
      local calls = 0
      local job = jobs:spawn(uvjobs.retry, { attempts = 9, backoff = 3600 }, function()
        calls = calls + 1
        error "no"
      end)
      uvjobs.sleep(60)
      job:cancel()
      assert.equal("cancelled", (helper.outcome(job.wait, job)))
      assert.same({ 60.0, 1 }, { uvjobs.now(), calls })
    end)
  end)

  it("waits as long as the server says, in seconds or until a date #P3", function()
    virtual(function()
      local one = policy.retry {
        backoff = { base = 100, jitter = "none", max = 1e6 },
        delay = function(err)
          if err.retry_after then return err.retry_after end
          if err.until_date then return math.max(0, err.until_date - uvjobs.time()) end
        end,
      }
      local replies = { { retry_after = 7 }, { until_date = uvjobs.time() + 30 } }
      local at = {}
      one:call(function()
        at[#at + 1] = uvjobs.now()
        if replies[#at] then error(replies[#at]) end
      end)
      assert.same({ 0.0, 7.0 }, { at[1], at[2] })
      assert.is_true(math.abs(at[3] - 30) < 1e-6)
    end)
  end)

  it("goes on at once when the date has passed that the server said #P3", function()
    virtual(function()
      local calls = 0
      uvjobs.retry({ delay = function() return 0 end }, function()
        calls = calls + 1
        if calls < 3 then error "no" end
      end)
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("draws its jitter for each wait and each call, not once for all #P3", function()
    virtual(function()
      local one, waits = policy.retry { attempts = 3, backoff = { base = 1 } }, {}
      for _ = 1, 50 do
        local last
        pcall(one.call, one, function()
          if last then waits[uvjobs.now() - last] = true end
          last = uvjobs.now()
          error "no"
        end)
      end
      local count = 0
      for _ in pairs(waits) do count = count + 1 end
      assert.equal(100, count)
    end)
  end)

  it("does not let those come back together who have failed together #P3", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = math.huge }
      local one, per_second = policy.retry { attempts = 2, backoff = { base = 10 } }, {}
      for _ = 1, 1000 do
        jobs:spawn({ report = false }, function()
          local is_first = true
          one:call(function()
            if is_first then is_first = false error "no" end
            local second = math.floor(uvjobs.now())
            per_second[second] = (per_second[second] or 0) + 1
          end)
        end)
      end
      jobs:wait_idle()
      for second = 0, 9 do assert.is_true(per_second[second] > 60 and per_second[second] < 140) end
    end)
  end)

  it("with a budget does not turn an outage into a storm #P5", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = math.huge }
      local one = policy.retry { attempts = 5, budget = 0.1, backoff = { base = 0.05 } }
      local calls = 0
      for _ = 1, 3000 do
        jobs:spawn({ report = false }, one.call, one, function()
          calls = calls + 1
          error "down"
        end)
        uvjobs.sleep(0.01)
      end
      jobs:wait_idle()
      assert.is_true(calls >= 3290 and calls <= 3330, calls)
    end)
  end)
end)
