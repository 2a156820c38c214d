-- Histograms as Lua sees them; spec/measure/test_histogram.c has what they measure.
local core = require "uvjobs.core"
local helper = require "spec.helper"

local message = helper.message

local function is_near(got, expected)
  return math.abs(got - expected) <= 0.02 * expected
end

describe("a histogram", function()
  it("agrees with a sorted list, however it is filled and merged", function()
    for seed = 1, 20 do
      math.randomseed(seed)
      local parts, list, sum = {}, {}, 0
      for i = 1, 4 do parts[i] = core.histogram() end
      for i = 1, 2000 do
        local seconds = 1e-6 * 3.6e9 ^ (math.random() * seed / 20)
        parts[math.random(4)]:record(seconds)
        list[i], sum = seconds, sum + seconds
      end
      for i = 2, 4 do parts[1]:merge(parts[i]) end
      table.sort(list)
      local all = parts[1]
      assert.equal(2000, all.count)
      assert.equal(list[2000], all.max)
      assert.equal(list[2000], all:quantile(1))
      assert.is_true(is_near(all.mean, sum / 2000))
      for rank = 1, 2000, 37 do
        assert.is_true(is_near(all:quantile(rank / 2000), list[rank]), "seed " .. seed)
      end
      assert.is_true(all:size() <= 8192)
    end
  end)

  it("is empty at first", function()
    local empty = core.histogram()
    assert.same({ 0, 0.0, 0.0, 0.0 },
      { empty.count, empty.mean, empty.max, empty:quantile(0.5) })
    assert.is_true(empty:size() < 100)
  end)

  it("takes any duration and nothing else", function()
    local one = core.histogram()
    for _, seconds in ipairs { 0, 1, 1e-300, 1e300, math.huge } do one:record(seconds) end
    assert.equal(5, one.count)
    for value, expected in pairs {
      [-1] = "seconds >= 0 expected, got -1", ["1"] = "seconds >= 0 expected, got string",
      [true] = "seconds >= 0 expected, got boolean",
    } do
      assert.equal(("bad argument #1 to 'record' (%s)"):format(expected),
        message(one.record, one, value))
    end
    assert.equal("bad argument #1 to 'record' (seconds >= 0 expected, got nan)",
      message(one.record, one, 0 / 0))
    assert.equal("bad argument #1 to 'quantile' (number from 0 to 1 expected, got no value)",
      message(one.quantile, one))
    assert.equal("bad argument #1 to 'merge' (uvjobs.Histogram expected, got table)",
      message(one.merge, one, {}))
    assert.equal("bad self to 'record' (uvjobs.Histogram expected, got no value)",
      message(one.record))
    assert.equal(5, one.count)
  end)

  it("gives its memory back, also by the thousand", function()
    local before = helper.kilobytes()
    for i = 1, 10000 do core.histogram():record(i) end
    assert.is_true(helper.kilobytes() < before + 200)
  end)
end)
