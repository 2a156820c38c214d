-- Objects of all types say that they do not have what is asked of them, whether they are userdata
-- or tables, and whether they have properties or only methods.

local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local schedule = require "uvjobs.schedule"
local uvjobs = require "uvjobs"

local message = helper.message

-- Each with a misspelt method, and what it should have been.
local SAMPLES <const> = {
  { "Event", "wiat", "wait", function() return uvjobs.event() end },
  { "Mutex", "lokc", "lock", function() return uvjobs.mutex() end },
  { "Permit", "releese", "release", function() return uvjobs.semaphore(1):permit() end },
  { "Semaphore", "aquire", "acquire", function() return uvjobs.semaphore(1) end },
  { "Queue", "try_gett", "try_get", function() return uvjobs.queue() end },
  { "Channel", "try_gett", "try_get", function() return uvjobs.channel() end },
  { "Blob", "strnig", "string", function() return uvjobs.blob "x" end },
  { "Job", "wiat", "wait", function() return uvjobs.current() end },
  { "Scheduler", "spwan", "spawn", function() return uvjobs.scheduler() end },
  { "Schedule", "nxet", "next", function() return schedule.every(5) end },
  { "Repeating", "stpo", "stop", function(jobs) return jobs:every(5, print) end },
  { "Policy", "cal", "call", function() return policy.retry {} end },
  { "Supervisor", "strat", "start", function() return uvjobs.supervisor {} end },
}

local TABLES <const> = { Policy = true, Supervisor = true }

describe("a name that an object does not have", function()
  for _, sample in ipairs(SAMPLES) do
    local name, misspelt, meant, new = table.unpack(sample)

    it("raises in a " .. name .. ", with the nearest name", function()
      helper.virtual(function()
        local jobs <close> = helper.quiet()
        local object = new(jobs)
        local expected = ("unknown property '%s' of a uvjobs.%s, did you mean '%s'?"):format(
          misspelt, name, meant)
        assert.equal(expected, message(function() return object[misspelt] end))
        assert.equal(("unknown property '?' of a uvjobs.%s"):format(name),
          message(function() return object["?"] end))
        for _, key in ipairs { 1, 1.5, true, {}, print, "x\0" } do
          assert.matches("^unknown property .* of a uvjobs%." .. name .. "$",
            message(function() return object[key] end))
        end
        if not TABLES[name] then
          assert.equal(expected, message(function() object[misspelt] = 1 end))
          assert.matches("^cannot set '" .. meant .. "' of a uvjobs%." .. name,
            message(function() object[meant] = print end))
        end
        jobs:close()
      end)
    end)
  end

  it("is blamed on the line that has it", function()
    local event = uvjobs.event()
    local line = debug.getinfo(1, "l").currentline
    local _, err = pcall(function() return event.wiat end)
    assert.matches(("unknown_property_spec.lua:%d: unknown"):format(line + 1), err, 1, true)
    local _, told = pcall(function() return schedule.every(5).nxet end)
    assert.matches(("unknown_property_spec.lua:%d: unknown"):format(line + 3), told, 1, true)
  end)

  it("gives nil in an error, which handlers ask for what only some errors have", function()
    helper.virtual(function()
      local _, timeout = pcall(uvjobs.timeout, 1, uvjobs.sleep, 2)
      assert.is_nil(timeout.errno)
      assert.is_nil(timeout[1])
    end)
  end)
end)
