local helper = require "spec.helper"
local policy = require "uvjobs.policy"

local outcome, virtual = helper.outcome, helper.virtual

describe("a breaker with keys", function()
  after_each(helper.check_clean)

  it("has circuits for keys, of which it keeps at most `keys`, those that are open last", function()
    virtual(function()
      local changes = helper.log()
      local breaker = policy.breaker {
        minimum = 1, key = function(x) return x end, keys = 3,
        on_change = function(state, _, key) changes:add(key .. "=" .. state) end,
      }
      local function call(key, fn)
        return (outcome(breaker.call, breaker, fn or helper.ignore, key))
      end
      call("a", error)
      assert.equal("open", call "a")
      assert.is_true(call "b")
      for i = 1, 10 do assert.is_true(call(i)) end
      assert.equal("open", call "a")
      assert.equal(3, breaker:stats().keys)
      assert.equal("a=open", table.concat(changes, " "))
      assert.equal("open", breaker:state("a"))
      breaker:close("a")
      assert.is_true(call "a")
      breaker:open(1, "z")
      assert.equal("open", call "z")
      for i = 1, 5 do call(i, error) end -- all are open: the one goes that was used first
      assert.equal(3, breaker:stats().keys)
      assert.equal("open", call(5))
      assert.is_true(call "z")
    end)
  end)

  it("forgets nothing when it is asked about other keys", function()
    virtual(function()
      local breaker = policy.breaker {
        minimum = 1, keys = 2, key = function(host) return host end,
      }
      for _, host in ipairs { "a", "b" } do
        assert.is_false((pcall(breaker.call, breaker, error, host)))
      end
      for i = 1, 10 do
        assert.equal("closed", breaker:state(i))
        breaker:close(i)
      end
      assert.equal("open", breaker:state("a"))
      assert.equal("open", breaker:state("b"))
      assert.equal(2, breaker:stats().keys)
      -- Asking is no use: "a" is still the one that was not used for longest.
      breaker:state("a")
      breaker:open(1, "c")
      assert.equal("closed", breaker:state("a"))
      assert.equal("open", breaker:state("b"))
    end)
  end)
end)
