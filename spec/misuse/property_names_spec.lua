-- Properties whose names are misspelt: reading and setting them raises, with the nearest name.

local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local message = helper.message

-- Objects of all types with properties, by the names that docs/api.md has for them.
local function samples()
  local job
  uvjobs.run(function() job = uvjobs.current() end)
  return {
    job = job, scheduler = uvjobs.scheduler(), queue = uvjobs.queue(),
    semaphore = uvjobs.semaphore(1),
  }
end

-- The names of the properties in docs/api.md.
local function documented(owner)
  local names = {}
  for line in io.lines "docs/api.md" do
    names[#names + 1] = line:match("^| `" .. owner .. "%.([%w_]+)` |")
  end
  assert.is_true(#names > 0)
  return names
end

local TYPES <const> = {
  job = "uvjobs.Job", scheduler = "uvjobs.Scheduler", queue = "uvjobs.Queue",
  semaphore = "uvjobs.Semaphore",
}

describe("a misspelt property", function()
  for owner, object in pairs(samples()) do
    it("of a " .. owner .. " raises, with the nearest name", function()
      for _, name in ipairs(documented(owner)) do
        local misspelt = name .. "_x"
        local text = ("unknown property '%s' of a %s, did you mean '%s'?"):format(
          misspelt, TYPES[owner], name)
        assert.equal(text, message(function() return object[misspelt] end))
        assert.equal(text, message(function() object[misspelt] = 1 end))
      end
    end)

    it("of a " .. owner .. " may be anything", function()
      for _, key in ipairs { 1, 1.5, true, {}, print, ("x"):rep(1000), "", "a\0b" } do
        local pattern = type(key) == "string" and "^unknown property '.*' of a uvjobs%.%a+$"
          or "^unknown property %[.*%] of a "
        assert.matches(pattern, message(function() return object[key] end))
        assert.matches(pattern, message(function() object[key] = 1 end))
      end
    end)
  end

  it("names also the nearest method", function()
    local jobs = uvjobs.scheduler()
    assert.matches("did you mean 'wait_and_close'?",
      message(function() jobs:wait_and_closed() end), 1, true)
    assert.matches("did you mean 'try_get'?",
      message(function() uvjobs.queue():tryget() end), 1, true)
  end)

  it("is blamed on the line that has it", function()
    local jobs = uvjobs.scheduler()
    local line = debug.getinfo(1, "l").currentline
    local _, err = pcall(function() return jobs.actve_count end)
    assert.matches(("property_names_spec.lua:%d: unknown"):format(line + 1), err, 1, true)
    _, err = pcall(function() jobs.closed = true end)
    assert.matches(("property_names_spec.lua:%d: cannot set"):format(line + 3), err, 1, true)
  end)

  it("raises also in an object that is asked often", function()
    local queue = uvjobs.queue()
    for _ = 1, 3000 do queue:try_get() end
    assert.equal("unknown property 'capcity' of a uvjobs.Queue, did you mean 'capacity'?",
      message(function() return queue.capcity end))
    assert.equal("unknown property 'capcity' of a uvjobs.Queue, did you mean 'capacity'?",
      message(function() queue.capcity = 1 end))
    assert.equal("cannot set 'capacity' of a uvjobs.Queue (read only)",
      message(function() queue.capacity = 1 end))
    assert.equal("cannot set 'close' of a uvjobs.Queue (read only)",
      message(function() queue.close = print end))
  end)

  it("is not one that has no value", function()
    assert.is_nil(uvjobs.scheduler().name)
    assert.is_nil(uvjobs.scheduler().exception_handler)
    uvjobs.run(function() assert.is_nil(uvjobs.current().cpu_time) end)
  end)
end)
