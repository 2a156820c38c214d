-- Which of the pending jobs of a scheduler starts next.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local play = require "spec.priorities.play"

local virtual = helper.virtual

-- A scheduler with one slot, which is taken, and a function that spawns a job that logs its
-- name and takes a second.
local function busy(options)
  options = options or {}
  options.limit = options.limit or 1
  local jobs, log = uvjobs.scheduler(options), helper.log()
  for _ = 1, options.limit do jobs:spawn(uvjobs.sleep, 1) end
  local function add(name, spawn_options)
    return jobs:spawn(spawn_options or {}, function() log:add(name) uvjobs.sleep(1) end)
  end
  return jobs, log, add
end

describe("the order of pending jobs", function()
  after_each(helper.check_clean)

  it("is by urgency, and first come first served within a level #P14", function()
    virtual(function()
      local jobs, log, add = busy()
      add("5a")
      add("9", { priority = 9 })
      add("0a", { priority = 0 })
      add("5b", { priority = 5 })
      add("0b", { priority = 0, key = "k" })
      add("5c")
      jobs:wait_and_close()
      assert.same({ "0a", "0b", "5a", "5b", "5c", "9" }, log)
    end)
  end)

  it("takes jobs in that were pending before any had a priority #P14", function()
    virtual(function()
      local jobs, log, add = busy()
      for i = 1, 3 do add("old " .. i) end
      add("urgent", { priority = 4 })
      add("idle", { priority = 6 })
      add("new")
      jobs:wait_and_close()
      assert.same({ "urgent", "old 1", "old 2", "old 3", "new", "idle" }, log)
    end)
  end)

  it("does not hold back a job for which there is a slot", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 2 }
      local log = helper.log()
      jobs:spawn({ priority = 9 }, log.add, log, "idle")
      jobs:spawn({ priority = 0 }, log.add, log, "urgent")
      jobs:wait_and_close()
      assert.same({ "idle", "urgent" }, log)
    end)
  end)

  it("leaves no trace of a job that was cancelled, killed or timed out of the line", function()
    virtual(function()
      local jobs, log, add = busy { fair = true, aging = 5 }
      local gone = {}
      for i = 0, 8 do
        gone[i] = add("gone", { priority = i, key = i % 3 })
        add("stays " .. i, { priority = i, key = i % 3 })
      end
      for i = 0, 8, 3 do
        gone[i]:cancel()
        gone[i + 1]:close(0)
        helper.raises("timeout", gone[i + 2].wait, gone[i + 2], 0)
      end
      jobs:wait_and_close()
      assert.equal(9, #log)
      assert.equal("stays 0", log[1])
    end)
  end)

  it("is that of the promises, whatever is cancelled, killed and changed #P14 #P15 #P16 #P17",
    function()
      play.games(8000, 1)
      play.games(2000, os.time())
    end)

  it("is the same in every run with the same seed #P18 #M16", function()
    local function run(seed)
      local log = helper.log()
      uvjobs.run({ clock = "virtual", shuffle = seed }, function()
        local jobs <close> = uvjobs.scheduler { limit = 3, fair = true, key_limit = 2, aging = 2,
                                                start_rate = 7 }
        for i = 1, 60 do
          jobs:spawn({ priority = i % 10, key = i % 4 }, function()
            log:add(("%d at %s"):format(i, uvjobs.now()))
            uvjobs.sleep(i % 7 / 3)
          end)
        end
      end)
      return log
    end
    assert.same(run(3), run(3))
  end)

  it("is kept by a pause, which starts nobody", function()
    virtual(function()
      local jobs, log, add = busy()
      jobs:pause()
      add("5")
      add("1", { priority = 1 })
      uvjobs.sleep(5)
      assert.same({}, log)
      jobs:resume()
      jobs:wait_and_close()
      assert.same({ "1", "5" }, log)
    end)
  end)

  it("starts who is next in the turn in which a limit is raised #P17", function()
    virtual(function()
      local jobs, log, add = busy()
      add("5")
      add("8", { priority = 8 })
      add("1", { priority = 1 })
      jobs.limit = 3
      assert.equal(3, jobs.active_count)
      uvjobs.yield()
      assert.same({ "1", "5" }, log)
      jobs.limit = 1
      jobs:wait_and_close()
      assert.same({ "1", "5", "8" }, log)
    end)
  end)

  it("holds for jobs whose spawners are suspended, too", function()
    virtual(function()
      local jobs, log = uvjobs.scheduler { limit = 1, pending_limit = 0 }, helper.log()
      jobs:spawn(uvjobs.sleep, 1)
      local spawners <close> = uvjobs.scheduler()
      for i, priority in ipairs { 5, 9, 0, 5 } do
        spawners:spawn(function()
          jobs:spawn({ priority = priority }, function() log:add(i) uvjobs.sleep(1) end)
        end)
      end
      spawners:wait_idle()
      jobs:wait_and_close()
      assert.same({ 3, 1, 4, 2 }, log)
    end)
  end)

  it("does not matter to a job that has started", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 2 }
      local log = helper.log()
      for _, name in ipairs { "idle", "urgent" } do
        jobs:spawn({ priority = name == "idle" and 9 or 0 }, function()
          for _ = 1, 2 do uvjobs.yield() log:add(name) end
        end)
      end
      jobs:wait_idle()
      assert.same({ "idle", "urgent", "idle", "urgent" }, log)
    end)
  end)

  it("is not kept by anybody who closes the scheduler", function()
    virtual(function()
      local jobs, log, add = busy { start_rate = 1, key_limit = 1 }
      local pending = {}
      for i = 1, 9 do pending[i] = add("never", { priority = i, key = "k" }) end
      jobs:close()
      for _, job in ipairs(pending) do assert.equal("cancelled", job.state) end
      uvjobs.sleep(20)
      assert.same({}, log)
      assert.equal(0, #jobs)
    end)
  end)
end)

describe("aging", function()
  after_each(helper.check_clean)

  -- There is always a more urgent job, and one slot.
  local function starve(aging, priority)
    local started
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, aging = aging }
      local function urgent()
        if started then return end
        jobs:spawn({ priority = 0 }, urgent)
        uvjobs.sleep(1)
      end
      jobs:spawn({ priority = 0 }, urgent)
      jobs:spawn({ priority = priority }, function() started = uvjobs.now() end)
      jobs:wait_idle(1000)
      started = started or math.huge
      jobs:close()
    end)
    return started
  end

  it("bounds for how long a job is overtaken #P15", function()
    assert.equal(90, starve(10, 9))
    assert.equal(9, starve(1, 9))
    assert.equal(50, starve(10, 5))
    assert.equal(1, starve(10, 0))
  end)

  it("is not there unless it is asked for", function()
    assert.equal(math.huge, starve(nil, 9))
    assert.equal(math.huge, starve(math.huge, 9))
  end)

  it("counts from the beginning of a run for jobs that were spawned before", function()
    local jobs, log = uvjobs.scheduler { limit = 1, aging = 10 }, helper.log()
    jobs:spawn(uvjobs.sleep, 35)
    jobs:spawn({ priority = 6 }, log.add, log, "old")
    virtual(function()
      uvjobs.sleep(30)
      jobs:spawn({ priority = 4 }, log.add, log, "4")
      jobs:spawn({ priority = 2 }, log.add, log, "2")
      jobs:wait_and_close()
    end)
    assert.same({ "2", "old", "4" }, log)
  end)

  it("makes a job equal to those of the level that it has reached", function()
    virtual(function()
      local jobs, log, add = busy { aging = 0.6 }
      add("old", { priority = 6 })
      uvjobs.sleep(0.9)
      add("new 5", { priority = 5 })
      add("new 4", { priority = 4 })
      jobs:wait_and_close()
      assert.same({ "new 4", "old", "new 5" }, log)
    end)
  end)
end)
