local backoff = require "uvjobs.policy.backoff"
local budget = require "uvjobs.policy.budget"
local helper = require "spec.helper"

-- The least and the greatest of many delays before the n-th new attempt. In a run under the
-- virtual clock they are the same each time.
local function range(self, n, previous)
  local least, greatest = math.huge, -math.huge
  helper.virtual(function()
    for _ = 1, 2000 do
      local delay = backoff.delay(self, n, previous)
      least, greatest = math.min(least, delay), math.max(greatest, delay)
    end
  end)
  return least, greatest
end

local function of(jitter)
  return backoff.complete({ base = 1, factor = 3, max = 20, jitter = jitter }, 10)
end

describe("a back-off", function()
  it("is between 0 and the longest wait, with full jitter #P3", function()
    for n, longest in ipairs { 1, 3, 9, 20, 20 } do
      local least, greatest = range(of "full", n)
      assert.is_true(least >= 0 and least < 0.01 * longest)
      assert.is_true(greatest <= longest and greatest > 0.99 * longest)
    end
  end)

  it("is the longest wait without jitter", function()
    for n, longest in ipairs { 1, 3, 9, 20, 20 } do
      assert.same({ longest, longest }, { range(of "none", n) })
    end
  end)

  it("is at least a half with equal jitter, and a part less with a number", function()
    for jitter, part in pairs { equal = 0.5, [0.2] = 0.8, [0] = 1, [1] = 0 } do
      local least, greatest = range(of(jitter), 3)
      assert.is_true(least >= 9 * part and least <= 9 * part + 0.1)
      assert.is_true(greatest <= 9 and greatest >= 8.9)
    end
  end)

  it("is up to three times the one before when decorrelated", function()
    for _, case in ipairs { { nil, 3 }, { 2, 6 }, { 6, 18 }, { 19, 20 } } do
      local least, greatest = range(of "decorrelated", 2, case[1])
      assert.is_true(least >= 1 and least <= 1.1)
      assert.is_true(greatest <= case[2] and greatest >= 0.95 * case[2])
    end
  end)

  it("stays finite, however often and however long", function()
    local self = backoff.complete({ base = 1e308, factor = 1e308, jitter = "none" }, math.huge)
    assert.equal(1e9, backoff.delay(self, 1))
    assert.equal(1e9, backoff.delay(self, 1 << 40))
    assert.equal(1e9, backoff.delay(backoff.complete(1e300, 10), 1))
    for _, jitter in ipairs { "full", "none", "equal", "decorrelated", 0.5 } do
      self = backoff.complete({ base = 0, jitter = jitter }, 10)
      assert.same({ 0, 0 }, { range(self, 5000) })
      self = backoff.complete({ max = 0, jitter = jitter }, 10)
      assert.same({ 0, 0 }, { range(self, 1) })
    end
  end)

  it("has defaults, of which its user names the longest wait", function()
    assert.same({ base = 0.1, factor = 2, max = 30, jitter = "full" },
      backoff.complete(nil, 30))
    assert.same({ base = 5, factor = 1, max = 5, jitter = "none" }, backoff.complete(5, 30))
  end)
end)

describe("a budget of retries", function()
  -- Asks at random times, and compares with all windows of ten seconds.
  local function play(seed)
    math.randomseed(seed)
    local part = ({ 0, 0.1, 0.2, 0.5, 1, 3 })[math.random(6)]
    local self, now, calls, events, refused = budget.new(part), 0, 0, {}, 0
    for _ = 1, 1500 do
      if math.random(3) == 1 then now = now + math.random() * math.random(0, 4) ^ 2 / 4 end
      if math.random(3) == 1 then
        calls = calls + 1
        events[#events + 1] = { now, -part }
      elseif budget.allows(self, now, calls) then
        budget.take(self, now, calls)
        events[#events + 1] = { now, 1 }
      else
        refused = refused + 1
      end
    end
    return events, refused, self
  end

  -- By how much the sum of the events rises in any window of ten seconds.
  local function most(events)
    local greatest = 0
    for i = 1, #events do
      local sum = 0
      for j = i, #events do
        if events[j][1] > events[i][1] + 10 then break end
        sum = sum + events[j][2]
        greatest = math.max(greatest, sum)
      end
    end
    return greatest
  end

  it("is kept in any ten seconds, and no stricter than that #P5", function()
    local total = 0
    for seed = 1, 30 do
      local events, refused, self = play(seed)
      assert.is_true(most(events) <= 10 + 1e-6, "seed " .. seed)
      if refused > 0 then assert.is_true(most(events) > 9, "seed " .. seed) end
      assert.is_true(self.last - self.first < 200)
      total = total + refused
    end
    assert.is_true(total > 100)
  end)

  it("forgets what is longer ago", function()
    local self = budget.new(0)
    for _ = 1, 10 do budget.take(self, 1, 0) end
    assert.is_false(budget.allows(self, 11, 0))
    assert.is_true(budget.allows(self, 11.01, 0))
    assert.is_nil(next(self.times))
  end)
end)
