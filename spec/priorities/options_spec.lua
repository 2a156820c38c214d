-- What is refused of the options on priorities, keys and rates, and what properties say.
local uvjobs = require "uvjobs"
require "uvjobs.schedule" -- before the helper, because it registers types
local helper = require "spec.helper"

local virtual, message = helper.virtual, helper.message

describe("the options of spawn on priority and key", function()
  after_each(helper.check_clean)

  local function refused(options)
    local jobs <close> = uvjobs.scheduler()
    local text = message(jobs.spawn, jobs, options, helper.ignore)
    assert.equal(text:gsub("'spawn'", "'try_spawn'", 1),
                 message(jobs.try_spawn, jobs, options, helper.ignore))
    return text
  end

  it("are refused when they are wrong", function()
    virtual(function()
      local text = "bad argument #1 to 'spawn' (option 'priority': integer from 0 to 9 expected, "
      assert.equal(text .. "got 10)", refused { priority = 10 })
      assert.equal(text .. "got -1)", refused { priority = -1 })
      assert.equal(text .. "got 1.5)", refused { priority = 1.5 })
      assert.equal(text .. "got nan)", refused { priority = 0 / 0 })
      assert.equal(text .. "got inf)", refused { priority = math.huge })
      assert.equal(text .. "got '5')", refused { priority = "5" })
      text = "bad argument #1 to 'spawn' (option 'key': string or number expected, "
      assert.equal(text .. "got nan)", refused { key = 0 / 0 })
      assert.equal(text .. "got table)", refused { key = {} })
      assert.equal(text .. "got boolean)", refused { key = false })
      assert.equal("bad argument #1 to 'spawn' (option 'unique': boolean expected, got 1)",
                   refused { unique = 1, key = 1 })
      assert.equal("bad argument #1 to 'spawn' (option 'unique' needs the option 'key')",
                   refused { unique = true })
      assert.equal("bad argument #2 to 'spawn' (function expected, got no value)",
                   message(uvjobs.scheduler().spawn, uvjobs.scheduler(), { priority = 1 }))
      assert.truthy(refused { prioritty = 1 }:find("did you mean 'priority'?", 1, true))
    end)
  end)

  it("make no job when they are refused, nor anything else", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1 }
      jobs:spawn({ key = "k", unique = true }, uvjobs.sleep, 1)
      assert.equal("bad argument #2 to 'spawn' (function expected, got number)",
                   message(jobs.spawn, jobs, { key = "k", unique = true }, 5))
      assert.equal("bad argument #1 to 'spawn' (option 'priority': integer from 0 to 9 " ..
                   "expected, got 11)",
                   message(jobs.spawn, jobs, { key = "k", unique = true, priority = 11 }, print))
      assert.equal(1, #jobs)
    end)
  end)

  it("take a float that is an integer", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      assert.equal(3, jobs:spawn({ priority = 3.0 }, helper.ignore).priority)
    end)
  end)

  it("can be read from the job, also when it has ended", function()
    virtual(function()
      local ended
      local jobs <close> = uvjobs.scheduler { on_end = function(job) ended = job.key end }
      local plain = jobs:spawn(helper.ignore)
      assert.same({ 5 }, { plain.priority, plain.key })
      local job = jobs:spawn({ priority = 2, key = "k" }, helper.ignore)
      assert.same({ 2, "k" }, { job.priority, job.key })
      job:wait()
      assert.same({ 2, "k" }, { job.priority, job.key })
      assert.equal("k", ended)
      assert.same({ 5 }, { plain.priority, plain.key })
    end)
  end)
end)

describe("the options of a scheduler on its order", function()
  after_each(helper.check_clean)

  local function refused(options) return message(uvjobs.scheduler, options) end

  it("are refused when they are wrong", function()
    local bad <const> = {
      aging = { "seconds > 0 or math.huge", 0, -1, 0 / 0, "1", false },
      fair = { "boolean", 1, "yes" },
      key_limit = { "integer >= 1 or math.huge", 0, -1, 1.5, 0 / 0, "1" },
      start_rate = { "number > 0 or math.huge", 0, -1, 0 / 0, "1", {} },
    }
    for name, values in pairs(bad) do
      for i = 2, #values do
        local text = ("bad argument #1 to 'scheduler' (option '%s': %s expected, got "):format(
          name, values[1])
        assert.equal(text, refused({ [name] = values[i] }):sub(1, #text))
      end
    end
    for _, burst in ipairs { 0, -1, 1.5, math.huge, "1" } do
      assert.truthy(refused { start_rate = 1, start_burst = burst }
        :find("option 'start_burst': integer >= 1 expected, got", 1, true))
    end
    assert.equal("bad argument #1 to 'scheduler' (option 'start_burst' needs the option " ..
                 "'start_rate')", refused { start_burst = 2 })
  end)

  it("can be read, and the limits can be set", function()
    local jobs = uvjobs.scheduler { aging = 2.5, fair = true, key_limit = 3, start_rate = 0.5,
                                    start_burst = 4 }
    assert.same({ 2.5, true, 3, 0.5, 4 },
                { jobs.aging, jobs.fair, jobs.key_limit, jobs.start_rate, jobs.start_burst })
    jobs.key_limit, jobs.start_rate = math.huge, 2
    assert.same({ math.huge, 2.0, 4 }, { jobs.key_limit, jobs.start_rate, jobs.start_burst })
    local plain = uvjobs.scheduler()
    assert.same({ math.huge, false, math.huge, math.huge, 1 },
                { plain.aging, plain.fair, plain.key_limit, plain.start_rate,
                  plain.start_burst })
  end)

  it("are refused, too, when the limits are set", function()
    local jobs = uvjobs.scheduler()
    local function set(name, value)
      return message(function() jobs[name] = value end)
    end
    assert.equal("bad value for 'key_limit' (integer >= 1 or math.huge expected, got 0)",
                 set("key_limit", 0))
    assert.equal("bad value for 'start_rate' (number > 0 or math.huge expected, got nan)",
                 set("start_rate", 0 / 0))
    for _, name in ipairs { "aging", "fair", "start_burst" } do
      assert.truthy(set(name, 1):find("cannot set '" .. name .. "'", 1, true))
    end
  end)

  it("are those of a nursery, too", function()
    virtual(function()
      local log = helper.log()
      uvjobs.nursery({ limit = 1, fair = true }, function(jobs)
        jobs:spawn(uvjobs.sleep, 1)
        jobs:spawn({ priority = 9 }, log.add, log, "idle")
        jobs:spawn({ priority = 1 }, log.add, log, "urgent")
      end)
      assert.same({ "urgent", "idle" }, log)
    end)
  end)
end)

describe("an occurrence", function()
  after_each(helper.check_clean)

  it("has the priority and the key of its repetition", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, key_limit = 1 }
      local log = helper.log()
      jobs:every(10, { priority = 0, key = "tick" }, function()
        log:add(uvjobs.current().key .. uvjobs.current().priority)
      end)
      uvjobs.sleep(9.5)
      jobs:spawn(uvjobs.sleep, 1)
      jobs:spawn({ priority = 3 }, log.add, log, "3")
      jobs:spawn({ priority = 0 }, log.add, log, "0")
      uvjobs.sleep(3)
      assert.same({ "0", "tick0", "3" }, log)
      jobs:close()
    end)
  end)

  it("is refused a priority or a key that is wrong", function()
    local jobs = uvjobs.scheduler()
    assert.truthy(message(jobs.every, jobs, 1, { priority = 10 }, print)
      :find("option 'priority': integer from 0 to 9 expected, got 10", 1, true))
    assert.truthy(message(jobs.every, jobs, 1, { key = {} }, print)
      :find("option 'key': string or number expected, got table", 1, true))
  end)
end)
