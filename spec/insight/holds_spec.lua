-- Why a scheduler with an order lets a job wait.
local helper = require "spec.helper"
local insight = require "uvjobs.insight"
local uvjobs = require "uvjobs"

local function virtual(fn)
  return function() helper.virtual(fn) end
end

-- The record of a job.
local function record_of(job)
  for record in insight.jobs() do
    if record.job == job then return record end
  end
end

local function said(job)
  return (record_of(job).waits_for:gsub("#%d+", "#"))
end

describe("A job that is pending in a scheduler with an order", function()
  it("is said to wait for those of its key, when that is at its limit", virtual(function()
    local jobs <close> = helper.quiet { name = "tenants", limit = 9, key_limit = 1 }
    local first = jobs:spawn({ key = "a" }, uvjobs.sleep, 5)
    jobs:spawn({ key = "b" }, uvjobs.sleep, 5)
    local held = jobs:spawn({ key = "a" }, print)
    local record = record_of(held)
    assert.same({ reason = "key", key = "a", limit = 1 }, record.hold)
    assert.same({ first, "any" }, { record.holders[1].job, record.needs })
    assert.equal(1, #record.holders)
    assert.equal('it waits for a slot of scheduler "tenants" for a job of its key, of which 1 may '
      .. "run, taken by #", said(held))
    jobs:close()
  end))

  it("is said to wait for the rate, and is in no circle for it #I4", virtual(function()
    local jobs <close> = helper.quiet { name = "rated", limit = 9, start_rate = 0.1 }
    local held
    jobs:spawn(function() held:wait() end)
    held = jobs:spawn(uvjobs.yield)
    uvjobs.sleep(1)
    local record = record_of(held)
    assert.equal("rate", record.hold.reason)
    assert.near(9, record.hold.left, 0.001)
    assert.same({ {}, "none" }, { record.holders, record.needs })
    assert.equal('it waits for a slot of scheduler "rated", which starts none for 9 s', said(held))
    assert.same({}, insight.cycles())
    jobs:close()
  end))

  it("is said to be behind more urgent ones, and to take turns with other keys", virtual(function()
    local jobs <close> = helper.quiet { name = "fair", limit = 1, fair = true }
    jobs:spawn({ key = "a" }, uvjobs.sleep, 5)
    jobs:spawn({ key = "a", priority = 1 }, print)
    local held = jobs:spawn({ key = "a", priority = 7 }, print)
    jobs:spawn({ key = "b", priority = 7 }, print)
    assert.same({ reason = "slot", urgent = 1, keys = 2 }, record_of(held).hold)
    assert.equal('it waits for a slot of scheduler "fair", behind 1 more urgent, where 2 keys take '
      .. "turns, taken by #", said(held))
    jobs:close()
  end))

  it("finds the circle of a key, though other slots are free #I4", virtual(function()
    local jobs <close> = helper.quiet { limit = 9, key_limit = 1 }
    local held
    local first = jobs:spawn({ key = "a", report = false }, function() held:wait() end)
    jobs:spawn({ key = "b" }, uvjobs.sleep, 5)
    held = jobs:spawn({ key = "a", report = false }, uvjobs.yield)
    uvjobs.sleep(1)
    local circles = insight.cycles()
    assert.equal(1, #circles)
    assert.same({ first, held }, { circles[1][1].job, circles[1][2].job })
    jobs:close()
  end))

  it("is said nothing of while the scheduler is paused, nor in one without an order",
    virtual(function()
      local jobs <close> = helper.quiet { limit = 1, key_limit = 1 }
      jobs:spawn({ key = "a" }, uvjobs.sleep, 5)
      local held = jobs:spawn({ key = "a" }, print)
      jobs:pause()
      assert.is_nil(record_of(held).hold)
      local others <close> = helper.quiet { limit = 1 }
      others:spawn(uvjobs.sleep, 5)
      assert.is_nil(record_of(others:spawn(print)).hold)
      jobs:resume()
      jobs:close()
      others:close()
    end))

  it("does not make a look slow when there are many of many keys", virtual(function()
    local jobs <close> = helper.quiet { limit = 1, fair = true, pending_limit = math.huge }
    for i = 1, 20000 do jobs:spawn({ key = i % 5000, priority = i % 10 }, print) end
    local n = 0
    for record in insight.jobs() do n = n + (record.hold and 1 or 0) end
    assert.is_true(n >= 19998)
    jobs:close()
  end))
end)
