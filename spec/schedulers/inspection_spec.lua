-- Looking at a scheduler: iteration, membership, counts, properties, text.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, message = helper.virtual, helper.message

-- A scheduler for callers of shield, which fail when the shielded function is cancelled.
local function quiet()
  return helper.quiet()
end

local function collect(jobs)
  local list = {}
  for job in jobs:jobs() do list[#list + 1] = job end
  return list
end

describe("jobs()", function()
  after_each(helper.check_clean)

  it("iterates over the active and the pending jobs in the order of spawning", function()
    local jobs = uvjobs.scheduler { limit = 2 }
    local made = {}
    for i = 1, 4 do made[i] = jobs:spawn(function() end) end
    local found = collect(jobs)
    assert.equal(4, #found)
    for i = 1, 4 do assert.equal(made[i], found[i]) end
    jobs:close()
    assert.same({}, collect(jobs))
  end)

  it("does not give jobs that have ended, nor shielded functions", function()
    virtual(function()
      local jobs, others = uvjobs.scheduler(), quiet()
      local short, long = jobs:spawn(function() end), jobs:spawn(uvjobs.sleep, 5)
      others:spawn(jobs.shield, jobs, uvjobs.sleep, 5)
      helper.yield(3)
      assert.equal("done", short.state)
      local found = collect(jobs)
      assert.equal(1, #found)
      assert.equal(long, found[1])
      jobs:close()
    end)
  end)

  it("is safe while jobs end and are spawned", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      local made, seen = {}, 0
      for i = 1, 10 do made[i] = jobs:spawn(uvjobs.sleep, 100) end
      uvjobs.yield()
      for job in jobs:jobs() do
        seen = seen + 1
        assert.is_true(job.active)
        for i = 1, 10 do
          if made[i] ~= job and i % 2 == 0 then made[i]:close() end
        end
        jobs:spawn(uvjobs.sleep, 1)
        if seen > 100 then break end
        uvjobs.yield()
      end
      assert.equal(5, seen)
      jobs:close()
    end)
  end)

  it("closes every job when the loop does so", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 2 }
      for _ = 1, 6 do jobs:spawn(uvjobs.sleep, 100) end
      uvjobs.yield()
      for job in jobs:jobs() do job:close() end
      assert.equal(0, uvjobs.now())
      assert.equal(0, #jobs)
      assert.is_false(jobs.closed)
      jobs:close()
    end)
  end)
end)

describe("a scheduler", function()
  after_each(helper.check_clean)

  it("counts its live jobs with #, not the shielded functions", function()
    virtual(function()
      local jobs, others = uvjobs.scheduler { limit = 2 }, quiet()
      assert.equal(0, #jobs)
      for _ = 1, 3 do jobs:spawn(uvjobs.sleep, 5) end
      others:spawn(jobs.shield, jobs, uvjobs.sleep, 9)
      helper.yield(3)
      assert.equal(3, #jobs)
      assert.equal(2, jobs.active_count)
      assert.equal(1, jobs.pending_count)
      uvjobs.sleep(7)
      assert.equal(1, #jobs)
      assert.equal(1, jobs.active_count)
      assert.equal(0, jobs.pending_count)
      jobs:close()
      assert.equal(0, #jobs)
      assert.equal(0, jobs.active_count)
    end)
  end)

  it("knows with has() the jobs that are its own and live", function()
    virtual(function()
      local jobs, others = uvjobs.scheduler { limit = 1 }, uvjobs.scheduler()
      local active, pending = jobs:spawn(uvjobs.sleep, 1), jobs:spawn(function() end)
      local foreign = others:spawn(function() end)
      assert.is_true(jobs:has(active))
      assert.is_true(jobs:has(pending))
      assert.is_false(jobs:has(foreign))
      assert.is_false(jobs:has(uvjobs.current()))
      active:wait()
      assert.is_false(jobs:has(active))
      pending:wait()
      assert.is_false(jobs:has(pending))
    end)
  end)

  it("does not count a shielded function as its job", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      assert.is_false(jobs:shield(function() return jobs:has(uvjobs.current()) end))
      jobs:close()
    end)
  end)

  it("has the options as properties, and defaults", function()
    local function handler() end
    local jobs = uvjobs.scheduler {
      name = "crawl", limit = 7, pending_limit = 0, close_timeout = 0.25, wait_timeout = 3,
      exception_handler = handler,
    }
    assert.equal("crawl", jobs.name)
    assert.equal(7, jobs.limit)
    assert.equal("integer", math.type(jobs.limit))
    assert.equal(0, jobs.pending_limit)
    assert.equal(0.25, jobs.close_timeout)
    assert.equal(3, jobs.wait_timeout)
    assert.equal(handler, jobs.exception_handler)
    assert.is_false(jobs.closed)
    local defaults = uvjobs.scheduler()
    assert.is_nil(defaults.name)
    assert.equal(100, defaults.limit)
    assert.equal(10000, defaults.pending_limit)
    assert.equal(0.1, defaults.close_timeout)
    assert.equal(math.huge, defaults.wait_timeout)
    assert.is_nil(defaults.exception_handler)
    local unlimited = uvjobs.scheduler { limit = math.huge, pending_limit = math.huge }
    assert.equal(math.huge, unlimited.limit)
    assert.equal(math.huge, unlimited.pending_limit)
    assert.equal(3, uvjobs.scheduler({ limit = 3.0 }).limit)
  end)

  it("is closed as soon as it admits nothing more", function()
    virtual(function()
      local jobs, others <close> = uvjobs.scheduler { close_timeout = 5 }, uvjobs.scheduler()
      jobs:spawn(uvjobs.protect, uvjobs.sleep, 2)
      uvjobs.yield()
      local closer = others:spawn(jobs.close, jobs)
      uvjobs.yield()
      assert.is_true(jobs.closed)
      assert.equal(1, #jobs)
      closer:wait()
      assert.equal(2, uvjobs.now())
    end)
  end)

  it("has properties that are read only", function()
    local jobs = uvjobs.scheduler { limit = 3 }
    for _, key in ipairs { "close_timeout", "wait_timeout", "name", "closed", "active_count",
                           "pending_count", "exception_handler", "on_start", "on_end", "paused",
                           "spawn" } do
      assert.equal(("cannot set '%s' of a uvjobs.Scheduler (only 'limit', 'pending_limit', " ..
                    "'key_limit' and 'start_rate' can be set)"):format(key),
                   message(function() jobs[key] = 1 end))
    end
    assert.equal(3, jobs.limit)
  end)

  it("says as text how many jobs it has, or that it is closed", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 2 }
      assert.equal("uvjobs.Scheduler: 0 jobs", tostring(jobs))
      jobs:spawn(uvjobs.sleep, 1)
      assert.equal("uvjobs.Scheduler: 1 job", tostring(jobs))
      jobs:spawn(uvjobs.sleep, 1)
      jobs:spawn(uvjobs.sleep, 1)
      assert.equal("uvjobs.Scheduler: 3 jobs", tostring(jobs))
      jobs:close()
      assert.equal("uvjobs.Scheduler: closed", tostring(jobs))
      assert.matches("crawl", tostring(uvjobs.scheduler { name = "crawl" }), 1, true)
    end)
  end)

  it("of the main job is called main and has no limit", function()
    virtual(function()
      local main = uvjobs.current().scheduler
      assert.equal("main", main.name)
      assert.equal(math.huge, main.limit)
      assert.equal(1, #main)
      assert.is_true(main:has(uvjobs.current()))
    end)
  end)
end)

describe("a close timeout that is past the end of time", function()
  after_each(helper.check_clean)

  it("reads back as math.huge", function()
    assert.equal(math.huge, uvjobs.scheduler { close_timeout = 1e18 }.close_timeout)
    assert.equal(1e9, uvjobs.scheduler { close_timeout = 1e9 }.close_timeout)
  end)
end)
