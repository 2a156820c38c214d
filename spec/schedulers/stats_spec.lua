-- The totals of a scheduler.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, message, quiet, stubborn = helper.virtual, helper.message, helper.quiet,
                                          helper.stubborn

describe("the totals of a scheduler", function()
  after_each(helper.check_clean)

  it("tell how many jobs were spawned, and how they ended #M4", function()
    virtual(function()
      local jobs = quiet { limit = 4 }
      assert.same({ spawned = 0, live = 0, ended = 0, done = 0, failed = 0, cancelled = 0,
          killed = 0 },
        jobs:stats())
      for _ = 1, 3 do jobs:spawn(helper.ignore) end
      jobs:wait_idle()
      for _ = 1, 2 do jobs:spawn(error, "no") end
      jobs:spawn(uvjobs.sleep, 60)
      jobs:spawn(stubborn)
      jobs:spawn(uvjobs.sleep, 60) -- is pending when it is dropped
      uvjobs.yield()
      assert.same({ spawned = 8, live = 3, ended = 5, done = 3, failed = 2, cancelled = 0,
          killed = 0 },
        jobs:stats())
      jobs:close()
      assert.same({ spawned = 8, live = 0, ended = 8, done = 3, failed = 2, cancelled = 2,
          killed = 1 },
        jobs:stats())
    end)
  end)

  it("count neither shielded functions nor jobs that were not admitted", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, pending_limit = 0 }
      jobs:shield(helper.ignore)
      jobs:spawn(uvjobs.sleep, 1)
      jobs:try_spawn(helper.ignore)
      assert.equal("timeout", helper.outcome(uvjobs.timeout, 0.5, jobs.spawn, jobs, print))
      assert.equal(1, jobs:stats().spawned)
    end)
  end)

  it("have the times that jobs were pending and active, with the option stats", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, stats = true }
      for _ = 1, 3 do jobs:spawn(uvjobs.sleep, 1) end
      uvjobs.sleep(0.5)
      local half = jobs:stats()
      assert.equal(1.0, half.waiting_time)
      assert.equal(0.5, half.running_time)
      jobs:wait_idle()
      uvjobs.sleep(10)
      local totals = jobs:stats()
      assert.equal(3.0, totals.waiting_time) -- 1 s and 2 s
      assert.equal(3.0, totals.running_time)
      assert.equal("float", math.type(totals.running_time))
    end)
  end)

  it("count the time of a job that is held by a pause as active", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, stats = true }
      jobs:spawn(helper.ignore)
      jobs:spawn(helper.ignore)
      jobs:pause()
      uvjobs.sleep(4)
      assert.equal(4.0, jobs:stats().waiting_time)
      assert.equal(4.0, jobs:stats().running_time)
      jobs:resume()
    end)
  end)

  it("have the time that jobs held the loop, with run{ stats = true }", function()
    uvjobs.run({ stats = true }, function()
      local jobs <close> = uvjobs.scheduler()
      assert.equal(0, jobs:stats().cpu_time)
      local job = jobs:spawn(helper.burn, 0.01)
      job:wait()
      assert.is_true(jobs:stats().cpu_time >= 0.009)
      assert.equal(job.cpu_time, jobs:stats().cpu_time)
    end)
    uvjobs.run(function() assert.is_nil(uvjobs.scheduler():stats().cpu_time) end)
  end)

  it("go on over the end of a run, and over a change of the clock", function()
    local jobs = uvjobs.scheduler { limit = 1, stats = true }
    jobs:spawn(uvjobs.sleep, 2)
    jobs:spawn(uvjobs.sleep, 2)
    virtual(function() jobs:wait_and_close() end)
    local totals = jobs:stats()
    assert.equal(2, totals.done)
    assert.is_true(totals.running_time >= 4 and totals.running_time < 5)
    assert.same(totals, jobs:stats())
  end)

  it("refuse what is no boolean", function()
    assert.matches("option 'stats': boolean expected, got 1",
                   message(uvjobs.scheduler, { stats = 1 }), 1, true)
  end)
end)
