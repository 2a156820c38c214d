-- uvjobs.testing and time: jobs that never come to rest, and the time limit of a test.
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local testing = require "uvjobs.testing"
local helper = require "spec.helper"

local message = helper.message

-- The error of a test that fails.
local function failure(...)
  local ok, err = pcall(testing.wrap(...))
  assert.is_false(ok)
  return err
end

local function restless()
  while true do uvjobs.yield() end
end

describe("testing.advance", function()
  after_each(helper.check_clean)

  testing.it("gives up on jobs that are ready for ever", function()
    local jobs <close> = uvjobs.scheduler()
    jobs:spawn(restless)
    assert.equal("jobs are still ready after 100000 turns", message(testing.advance, 1))
    assert.equal(0, uvjobs.now())
    jobs:close()
  end)

  testing.it("gives up on jobs that are ready for ever from some time on", function()
    local jobs <close> = uvjobs.scheduler()
    jobs:spawn(function()
      uvjobs.sleep(0.5)
      restless()
    end)
    assert.equal("jobs are still ready after 100000 turns", message(testing.advance, 1))
    assert.equal(0.5, uvjobs.now())
    jobs:close()
  end)

  testing.it("does not give up on jobs that let time pass", function()
    local ticks = 0
    local jobs <close> = uvjobs.scheduler()
    jobs:spawn(function()
      while true do
        uvjobs.sleep(0.001)
        ticks = ticks + 1
      end
    end)
    testing.advance(0.1)
    testing.advance(0.2)
    assert.equal(0.3, uvjobs.now())
    assert.equal(300, ticks)
    testing.advance(99.8) -- of 100,000 turns in which no time passed it would say something
    assert.equal(100100, ticks)
    jobs:close()
  end)

  it("ends by the time limit of its test", function()
    local err = failure({ timeout = 5 }, function()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(function() while true do uvjobs.sleep(1) end end)
      testing.advance(60)
    end)
    assert.equal("timeout", uvjobs.code(err))
  end)
end)

describe("the time limit of a test", function()
  after_each(helper.check_clean)

  it("says where every job stood, also behind the end of a block", function()
    local err = failure({ timeout = 5 }, function()
      local queue = uvjobs.queue()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn({ name = "getter" }, function() queue:get() end)
      jobs:spawn({ name = "sleeper" }, function() uvjobs.sleep(60) end)
    end)
    assert.equal("timeout", uvjobs.code(err))
    assert.equal(err.message, tostring(err))
    for _, text in ipairs {
      "operation timed out\nthe test has taken longer than 5 seconds; where its jobs stood:",
      "\n\nthe main job\nstack traceback:",
      '"getter" active, waiting to get from a queue\nstack traceback:',
      '"sleeper" active, in sleep, 55.0 s left\nstack traceback:',
      "spawned at, stack traceback:",
    } do
      assert.is_truthy(tostring(err):find(text, 1, true), text)
    end
  end)

  it("says where a busy test stood", function()
    local err = failure({ timeout = 5 }, function()
      local function never_ends() while true do end end
      never_ends()
    end)
    assert.matches("stack traceback:.*in .*'never_ends'", tostring(err))
  end)

  it("says where a busy job stood, also behind the end of a block", function()
    local err = failure({ timeout = 5 }, function()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn({ name = "sleeper" }, uvjobs.sleep, 60)
      jobs:spawn({ name = "busy" }, function()
        local function never_ends() while true do end end
        never_ends()
      end)
    end)
    local text = tostring(err)
    assert.matches("\n\nthe main job\n[^\n]*waiting for a scheduler\nstack traceback:", text)
    assert.matches("\"busy\" closing, running\nstack traceback:\n[^\n]*'never_ends'", text)
    assert.matches('"sleeper" closing, in sleep', text)
  end)

  it("says it also when the test has made another error of it", function()
    local err = failure({ timeout = 5 }, function()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn({ name = "sleeper" }, uvjobs.sleep, 60)
      if not pcall(uvjobs.sleep, 60) then error("too late", 0) end
    end)
    assert.matches('^too late\nthe test has taken longer than 5 seconds.*"sleeper"', err)
  end)

  local BUSY <const> = {
    ["computes"] = function() while true do end end,
    ["computes and swallows what interrupts it"] = function()
      while true do pcall(function() while true do end end) end
    end,
    ["computes where it cannot be preempted"] = function()
      table.sort({ 3, 2, 1 }, function() while true do end end)
    end,
  }
  for _, clock in ipairs { "real", "virtual" } do
    for what, busy in pairs(BUSY) do
      it(("holds beside a job that %s, with the %s clock"):format(what, clock), function()
        local err = failure({ clock = clock, timeout = 0.05, reports = false }, function()
          local jobs <close> = uvjobs.scheduler()
          jobs:spawn({ name = "busy" }, busy)
          uvjobs.sleep(60)
        end)
        assert.equal("timeout", uvjobs.code(err))
      end)
    end

    it(("ends a busy job that the test has left, with the %s clock"):format(clock), function()
      local err = failure({ clock = clock, timeout = 0.05, reports = false }, function()
        uvjobs.scheduler():spawn({ name = "left" }, function() while true do end end)
      end)
      assert.equal("timeout", uvjobs.code(err))
      assert.matches('"left" active', tostring(err), 1, true)
    end)
  end

  it("is not blamed for another deadline", function()
    assert.equal("operation timed out",
      tostring(failure(function() uvjobs.timeout(1, uvjobs.sleep, 2) end)))
    assert.equal("operation timed out", tostring(failure({ timeout = 5 }, function()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn({ timeout = 1 }, uvjobs.sleep, 2):wait()
    end)))
  end)

  it("does not concern a test that returns", function()
    assert.equal("late", testing.wrap({ timeout = 5 }, function()
      pcall(uvjobs.sleep, 60)
      return "late"
    end)())
    uvjobs.run({ clock = "virtual" }, function()
      local _, err = pcall(uvjobs.timeout, 9, uvjobs.sleep, 10)
      assert.equal("operation timed out", tostring(err))
    end)
  end)

  it("holds beside jobs that are ready for ever", function()
    local before = core.restless_turns(20000) -- see spec/run/clock_spec.lua
    finally(function() core.restless_turns(before) end)
    local err = failure({ timeout = 5 }, function()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn({ name = "restless" }, restless)
      uvjobs.sleep(60)
    end)
    assert.equal("timeout", uvjobs.code(err))
    assert.matches('"restless" active, in yield', tostring(err))
  end)
end)
