local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local message, raises, virtual = helper.message, helper.raises, helper.virtual

describe("policy.timeout", function()
  it("gives each call a deadline #P1", function()
    virtual(function()
      local one = policy.timeout(2)
      assert.same({ 1, 2 }, { one:call(function(...) uvjobs.sleep(1) return ... end, 1, 2) })
      raises("timeout", one.call, one, uvjobs.sleep, 3)
      assert.equal(3, uvjobs.now())
      raises("timeout", one.call, one, uvjobs.sleep, 3)
      assert.same({ calls = 3, timeouts = 2 }, one:stats())
    end)
  end)

  it("is what the function within knows as its deadline #P4", function()
    virtual(function()
      policy.timeout(2):call(function() assert.equal(2, uvjobs.remaining()) end)
      local calls = 0
      local both = policy.compose {
        policy.timeout(2), policy.retry { attempts = 9, backoff = 0.75 },
      }
      assert.equal("no", message(function()
        both:call(function() calls = calls + 1 error("no", 0) end)
      end))
      assert.equal(3, calls)
    end)
  end)

  it("does not count a deadline around it, nor a cancellation #P2", function()
    virtual(function()
      local jobs <close> = helper.quiet()
      local one = policy.timeout { seconds = 5, name = "slow" }
      raises("timeout", uvjobs.timeout, 1, one.call, one, uvjobs.sleep, 9)
      local job = jobs:spawn(one.call, one, uvjobs.sleep, 9)
      uvjobs.sleep(1)
      job:close()
      assert.equal("cancelled", job.state)
      assert.same({ calls = 2, timeouts = 0 }, one:stats())
      assert.equal('uvjobs.Policy: timeout "slow"', tostring(one))
    end)
  end)

  it("can be without a limit, or let nothing wait", function()
    virtual(function()
      policy.timeout(math.huge):call(uvjobs.sleep, 1e6)
      assert.equal(7, policy.timeout(0):call(function() return 7 end))
      raises("timeout", function() policy.timeout(0):call(uvjobs.yield) end)
    end)
  end)

  it("is clean wherever its job is ended", function()
    for _, by in ipairs { "cancel", "kill" } do
      assert.equal(2, testing.cancel_everywhere({ by = by }, function()
        policy.timeout(9):call(function() uvjobs.sleep(1) uvjobs.sleep(1) end)
      end))
    end
  end)

  it("refuses bad options", function()
    for _, case in ipairs {
      { nil, "(seconds or table expected, got nil)" },
      { "5", "(seconds or table expected, got string)" },
      { -1, "(seconds >= 0 or math.huge expected, got -1)" },
      { 0 / 0, "(seconds >= 0 or math.huge expected, got nan)" },
      { {}, "(option 'seconds' is missing)" },
      { { seconds = "1" }, "(option 'seconds': seconds >= 0 or math.huge expected, got '1')" },
      { { second = 1 }, "(unknown option 'second', did you mean 'seconds'?)" },
    } do
      assert.equal("bad argument #1 to 'timeout' " .. case[2],
        message(function() policy.timeout(case[1]) end))
    end
    assert.equal("bad argument #1 to 'timeout' (seconds or table expected, got nil)",
      message(function() policy.timeout() end))
  end)
end)
