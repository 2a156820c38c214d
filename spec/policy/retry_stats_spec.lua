local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"

local virtual = helper.virtual

-- The statistics of a retry after a call that has raised.
local function after_failure(options, fn, ...)
  local retry = policy.retry(options)
  assert.is_false((pcall(retry.call, retry, fn, ...)))
  return retry:stats()
end

describe("the statistics of a retry", function()
  it("count a call as failed whose last error is nil or false", function()
    virtual(function()
      for _, attempts in ipairs { 1, 2 } do
        local options = { attempts = attempts, backoff = 1 }
        assert.equal(1, after_failure(options, error).failed)
        assert.equal(1, after_failure(options, error, false).failed)
        assert.equal(1, after_failure(options, error, "x").failed)
      end
    end)
  end)

  it("count a call as failed when a function of the user fails", function()
    virtual(function()
      assert.equal(1, after_failure({ when = error }, error).failed)
      assert.equal(1, after_failure({ when = function() uvjobs.sleep(1) end }, error).failed)
      assert.equal(1, after_failure({ delay = error }, error).failed)
      assert.equal(1, after_failure({ delay = function() return "x" end }, error).failed)
    end)
  end)

  it("do not count a call whose job is to end #P2", function()
    virtual(function()
      local retry = policy.retry { attempts = 2, backoff = 1 }
      local jobs <close> = uvjobs.scheduler()
      for seconds = 0, 3 do
        local job = jobs:spawn({ report = false }, retry.call, retry, function()
          uvjobs.sleep(1)
          error("no")
        end)
        uvjobs.sleep(seconds + 0.5)
        job:close()
      end
      -- The last one has failed by itself.
      assert.same({ calls = 4, failed = 1, retried = 2, out_of_time = 0, out_of_budget = 0 },
        retry:stats())
    end)
  end)

  it("do not count a call that has succeeded in the end", function()
    virtual(function()
      local retry = policy.retry { attempts = 3, backoff = 1 }
      for fails = 0, 2 do
        local n = 0
        retry:call(function()
          n = n + 1
          if n <= fails then error() end
        end)
      end
      assert.same({ calls = 3, failed = 0, retried = 3, out_of_time = 0, out_of_budget = 0 },
        retry:stats())
    end)
  end)
end)
