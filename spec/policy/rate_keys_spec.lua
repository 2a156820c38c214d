local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"

local outcome, quiet, virtual = helper.outcome, helper.quiet, helper.virtual

local function first(x) return x end

describe("a rate with keys", function()
  after_each(helper.check_clean)

  it("has a bucket for each key, of any type", function()
    virtual(function()
      local rate = policy.rate { rate = 1, key = first }
      local keys = { "", "a", ("long"):rep(100), 1, 2.5, -0.0, true, false, {}, print, rate,
                     math.mininteger, math.huge }
      for _, key in ipairs(keys) do
        assert.is_true(rate:try(key), tostring(key))
        assert.is_false((rate:try(key)), tostring(key))
      end
      assert.is_false((rate:try(1.0))) -- equal to 1
      assert.is_false((rate:try(0)))   -- equal to -0.0
      assert.is_false((rate:try(("long"):rep(100))))
      assert.equal(#keys, rate:stats().keys)
    end)
  end)

  it("keeps the lines of its keys apart", function()
    virtual(function()
      local rate, jobs, log = policy.rate { rate = 1, key = first }, quiet(), helper.log()
      for _, key in ipairs { "a", "a", "a", "b", "b" } do
        jobs:spawn(rate.call, rate, function() log:add(key .. uvjobs.now()) end, key)
      end
      jobs:wait_and_close()
      assert.equal("a0.0 b0.0 a1.0 b1.0 a2.0", table.concat(log, " "))
    end)
  end)

  it("keeps at most `keys`, and drops those first that are full again", function()
    virtual(function()
      local rate = policy.rate { rate = 1, burst = 2, key = first, keys = 3 }
      assert.is_true(rate:try("a"))
      assert.is_true(rate:try("b"))
      assert.is_true(rate:try("b"))
      uvjobs.sleep(1.5) -- a is full again, b is not
      assert.is_true(rate:try("c"))
      assert.is_true(rate:try("c"))
      assert.is_true(rate:try("d"))
      assert.is_true(rate:try("d"))
      assert.equal(3, rate:stats().keys)
      assert.is_true(rate:try("b"))
      assert.is_false((rate:try("b"))) -- it was not forgotten
      assert.is_false((rate:try("c")))
      assert.is_false((rate:try("d")))
    end)
  end)

  it("gives nobody more than it may have by dropping it #P6", function()
    virtual(function()
      local rate, taken = policy.rate { rate = 1, burst = 5, key = first, keys = 4 }, {}
      for round = 1, 200 do
        local key = (round * 7) % 11
        if rate:try(key) then taken[key] = (taken[key] or 0) + 1 end
        uvjobs.sleep(0.01)
        assert.is_true(rate:stats().keys <= 4)
      end
      for key, n in pairs(taken) do assert.is_true(n <= 5 + 2, key .. ": " .. n) end
    end)
  end)

  it("goes on with its keys, and with new ones, when it is changed or has another clock", function()
    local rate = policy.rate { rate = 1, key = first, keys = 3 }
    for round = 1, 3 do
      virtual(function()
        for i = 1, 20 do
          rate:try(round .. "/" .. i)
          rate:set { rate = i % 2 == 0 and 5 or 50 }
          uvjobs.sleep(i % 3 == 0 and 1 or 0.01)
          assert.is_true(rate:stats().keys <= 3)
        end
        uvjobs.sleep(60)
        for i = 1, 3 do assert.is_true(rate:try(i)) end
      end)
    end
  end)

  it("does not drop a key for which somebody waits", function()
    virtual(function()
      local rate, jobs = policy.rate { rate = 1, key = first, keys = 2 }, quiet()
      for _, key in ipairs { "a", "b" } do
        assert.is_true(rate:try(key))
        jobs:spawn(rate.call, rate, helper.ignore, key)
      end
      uvjobs.yield()
      local taken, after = rate:try("c")
      assert.is_false(taken)
      assert.equal(1, after)
      assert.equal("limited", (outcome(rate.call, rate, print, "c")))
      jobs:wait_and_close()
      assert.equal(2, rate:stats().keys)
      uvjobs.sleep(2)
      assert.is_true(rate:try("c"))
    end)
  end)

  it("forgets keys that are not used any more, two for each new one", function()
    virtual(function()
      local rate = policy.rate { rate = 1, key = first, keys = 100000 }
      for i = 1, 1000 do assert.is_true(rate:try(i)) end
      uvjobs.sleep(2)
      for i = 1001, 2000 do assert.is_true(rate:try(i)) end
      assert.is_true(rate:stats().keys <= 1000)
    end)
  end)

  it("takes at most 64 bytes for a key, besides the key", function()
    virtual(function()
      local keys, n = {}, 20000
      local rate = policy.rate { rate = 1e-3, key = first, keys = n }
      for i = 1, n do keys[i] = "key" .. i end
      local before = helper.kilobytes()
      for i = 1, n do rate:try(keys[i]) end
      local bytes = (helper.kilobytes() - before) * 1024 / n
      assert.is_true(bytes <= 64, ("%.1f bytes"):format(bytes))
      assert.equal(n, rate:stats().keys)
    end)
  end)

  it("frees all of it when it is collected", function()
    virtual(function()
      local before = helper.kilobytes()
      local rate = policy.rate { rate = 1, key = first, keys = 100000 }
      for i = 1, 100000 do rate:try(i) end
      rate = nil -- luacheck: ignore 311
      assert.is_true(helper.kilobytes() - before < 100)
    end)
  end)

  it("can be used by a finalizer that runs while a key is added", function()
    virtual(function()
      local rate = policy.rate { rate = 1, burst = 1, key = first, keys = 100000 }
      local taken = 0
      for i = 1, 5000 do
        setmetatable({}, { __gc = function() rate:try(i) rate:try("x") end })
        if rate:try(i) then taken = taken + 1 end
      end
      collectgarbage()
      assert.is_true(taken >= 2500)
      assert.equal(5001, rate:stats().keys)
    end)
  end)
end)
