-- Every call of repetitions and of the date that suspends, cancelled and killed wherever it
-- does.

local helper = require "spec.helper"
local schedule = require "uvjobs.schedule"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

-- Ends a job at each of its suspensions, of which there are so many, in both ways.
local function everywhere(count, fn)
  for _, by in ipairs { "cancel", "kill" } do
    assert.equal(count, testing.cancel_everywhere({ by = by }, fn))
  end
end

local function nap() uvjobs.sleep(1) end

describe("a job that ends while it", function()
  it("sleeps until a date leaves nothing", function()
    everywhere(2, function()
      uvjobs.sleep_until(uvjobs.time() + 10)
      uvjobs.sleep_until(uvjobs.time())
    end)
  end)

  it("waits for a repetition leaves nothing, with a timeout and without", function()
    everywhere(2, function()
      local jobs <close> = uvjobs.scheduler()
      local once = jobs:at(uvjobs.time() + 5, nap)
      assert.is_nil((once:wait(2)))
      assert.is_true(once:wait())
      assert.is_true(once:wait(1))
    end)
  end)

  it("closes a repetition leaves no occurrence, also of one that does not end", function()
    for _, body in ipairs { nap, helper.stubborn } do
      for _, by in ipairs { "cancel", "kill" } do
        local repeating
        testing.cancel_everywhere({ by = by }, function()
          local jobs <close> = helper.quiet { close_timeout = 1 }
          repeating = jobs:every(5, { overlap = "allow" }, body)
          repeating:trigger()
          repeating:trigger()
          uvjobs.yield()
          repeating:close()
          assert.equal(0, repeating.running)
        end)
        assert.is_true(repeating.closed)
        assert.equal(0, repeating.running)
      end
    end
  end)

  it("leaves the block of a scheduler that repeats leaves nothing", function()
    for _, overlap in ipairs { "skip", "one", "all", "cancel", "allow" } do
      for _, by in ipairs { "cancel", "kill" } do
        testing.cancel_everywhere({ by = by }, function()
          local jobs <close> = helper.quiet { limit = 2 }
          jobs:every(2, { overlap = overlap, jitter = 1, timeout = 9 }, function()
            uvjobs.sleep(5)
          end)
          jobs:cron("* * * * *", { zone = "UTC" }, nap)
          uvjobs.sleep(70)
        end)
      end
    end
  end)

  it("spawns and ends occurrences lets the repetition go on", function()
    for _, by in ipairs { "cancel", "close" } do
      local ran = 0
      testing.cancel_everywhere(function()
        local jobs <close> = helper.quiet()
        local often = schedule.any { schedule.every(3), schedule.every(5) }
        local repeating = jobs:repeating(often, function(occurrence)
          uvjobs.sleep_until(occurrence.time + 0.5)
          ran = ran + 1
        end)
        uvjobs.sleep(3.2)
        for job in jobs:jobs() do job[by](job) end
        uvjobs.sleep(8)
        assert.is_true(repeating.runs >= 3)
      end)
      assert.is_true(ran > 0)
    end
  end)
end)
