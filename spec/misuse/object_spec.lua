-- How methods and properties of our userdata are found. An object gets a metatable of its own after
-- a thousand calls of methods, and no program may notice that.

local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local OFTEN <const> = 2500

--- An object of each type that has methods and properties, with a method that changes nothing,
--- a property with its value, and one with its value after `change(object)`.
local function objects()
  return {
    Scheduler = {
      object = uvjobs.scheduler { limit = 7, name = "it" },
      ask = function(jobs) return jobs:has(uvjobs.start(print)) end, answer = false,
      property = "limit", value = 7,
      change = function(jobs) jobs:close() end, changed = "closed", now = true,
    },
    Queue = {
      object = uvjobs.queue(3),
      ask = function(queue) return queue:try_get() end, answer = nil,
      property = "capacity", value = 3,
      change = function(queue) queue:close() end, changed = "closed", now = true,
    },
    Semaphore = {
      object = uvjobs.semaphore(2),
      ask = function(semaphore) return semaphore:try_acquire() and semaphore:release() end,
      answer = nil,
      property = "count", value = 2,
      change = function(semaphore) semaphore:try_acquire() end, changed = "count", now = 1,
    },
  }
end

local function ask_often(case)
  for _ = 1, OFTEN do assert.equal(case.answer, (case.ask(case.object))) end
end

-- What is raised when a property is read.
local function complaint(object, key)
  return helper.message(function() return object[key] end)
end

for name, case in pairs(objects()) do
  describe("a " .. name .. " that is asked often", function()
    local object = case.object
    local before = getmetatable(object)

    it("answers as before", function()
      uvjobs.run(ask_often, case)
      assert.equal(case.value, object[case.property])
      local tag = "' of a uvjobs." .. name
      assert.matches("unknown property 'nothing" .. tag, complaint(object, "nothing"), 1, true)
      assert.matches("unknown property [1] of a ", complaint(object, 1), 1, true)
      assert.matches("unknown property [table: 0x", complaint(object, {}), 1, true)
      assert.equal(before, getmetatable(object))
      assert.match("^uvjobs%." .. name .. ": ", tostring(object))
    end)

    it("shows its properties as they are now", function()
      case.change(object)
      assert.equal(case.now, object[case.changed])
    end)

    it("cannot be changed", function()
      assert.is_false(pcall(function() object.closed = 1 end))
      assert.is_false(pcall(function() object.close = print end))
      assert.is_false((pcall(setmetatable, object, {})))
    end)

    it("has the methods of the others", function()
      local other = objects()[name].object
      for key in pairs(debug.getmetatable(object).__index) do
        assert.equal(other[key], object[key])
      end
    end)
  end)
end

describe("an object that is asked often", function()
  it("tells what it is not, and is checked", function()
    local jobs = uvjobs.scheduler()
    local queue = uvjobs.queue()
    for _ = 1, OFTEN do assert(#jobs == 0 and not queue:try_get() and not jobs:jobs()()) end
    local ok, message = pcall(jobs.jobs, queue)
    assert.is_false(ok)
    assert.match("bad self to 'jobs' %(uvjobs.Scheduler expected, got uvjobs.Queue%)", message)
    assert.match("uvjobs.Queue expected", select(2, pcall(queue.try_get, jobs)))
    assert.match("uvjobs.Queue expected", select(2, pcall(queue.try_get)))
    assert.match("uvjobs.Queue expected", select(2, pcall(queue.try_get, io.stdout)))
  end)

  it("is collected with all that it has", function()
    local seen = setmetatable({}, { __mode = "k" })
    for _, case in pairs(objects()) do
      uvjobs.run(ask_often, case)
      seen[case.object] = true
      seen[debug.getmetatable(case.object)] = true
    end
    collectgarbage()
    collectgarbage()
    local left = {}
    for value in pairs(seen) do left[#left + 1] = tostring(value) end
    assert.same({}, left)
  end)

  it("finds its properties when a job is spawned by the way", function()
    local jobs = uvjobs.scheduler { limit = 3 }
    local sum = uvjobs.run(function()
      local sum = 0
      for i = 1, OFTEN do
        jobs:spawn(function() sum = sum + jobs.limit end)
        if i % 3 == 0 then uvjobs.yield() end
      end
      jobs:wait_and_close()
      return sum
    end)
    assert.equal(3 * OFTEN, sum)
    assert.is_true(jobs.closed)
  end)
end)
