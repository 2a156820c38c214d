-- spawn and try_spawn: options, closed schedulers, cancelled callers.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, raises, message = helper.virtual, helper.raises, helper.message
local ignore = helper.ignore

describe("spawn", function()
  after_each(helper.check_clean)

  it("takes a name", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      assert.equal("import", jobs:spawn({ name = "import" }, ignore).name)
      assert.is_nil(jobs:spawn({}, function() end).name)
    end)
  end)

  it("takes a timeout, which counts from the start of the job", function()
    virtual(function()
      local jobs <close> = helper.quiet { limit = 1 }
      jobs:spawn(uvjobs.sleep, 100)
      local job = jobs:spawn({ timeout = 5 }, uvjobs.sleep, 50)
      raises("timeout", job.wait, job)
      assert.equal(105, uvjobs.now())
      assert.equal("failed", job.state)
    end)
  end)

  it("does not touch a job that ends within its timeout", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local job = jobs:spawn({ timeout = 5 }, function()
        uvjobs.sleep(4)
        return "fine"
      end)
      assert.equal("fine", job:wait())
      uvjobs.sleep(10)
      assert.equal("done", job.state)
    end)
  end)

  it("kills a job that hides from its timeout, after a close timeout more", function()
    virtual(function()
      local seen
      local jobs <close> = uvjobs.scheduler {
        close_timeout = 2, exception_handler = function(_, context) seen = context end,
      }
      local job = jobs:spawn({ timeout = 5 }, function()
        while true do uvjobs.protect(uvjobs.sleep, 1) end
      end)
      job:join()
      assert.equal("killed", job.state)
      assert.equal(7, uvjobs.now())
      assert.equal("Job closing timed out", seen.message)
    end)
  end)

  it("raises 'closed' on a closed scheduler #M9", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      jobs:close()
      raises("closed", jobs.spawn, jobs, ignore)
      assert.same({ n = 2, [2] = "closed" }, table.pack(jobs:try_spawn(ignore)))
      assert.equal(0, #jobs)
    end)
  end)

  it("raises 'closed' to a caller that was suspended in it #M9", function()
    virtual(function()
      local log = helper.log()
      local jobs = uvjobs.scheduler { limit = 1, pending_limit = 0 }
      local others <close> = uvjobs.scheduler()
      jobs:spawn(uvjobs.sleep, 10)
      for i = 1, 3 do
        others:spawn(function()
          raises("closed", jobs.spawn, jobs, log.add, log, "ran")
          log:add(i)
        end)
      end
      uvjobs.yield()
      jobs:close()
      others:wait_and_close()
      assert.same({ 1, 2, 3 }, log)
    end)
  end)

  it("that was blocked in a scheduler when it was closed harms no job #M9", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 1, pending_limit = 0 }
      local others <close> = uvjobs.scheduler()
      jobs:spawn(uvjobs.sleep, 10)
      for _ = 1, 10 do others:spawn(pcall, jobs.spawn, jobs, ignore) end
      uvjobs.yield()
      jobs:close()
      uvjobs.yield()
      local alive = {}
      for i = 1, 100 do alive[i] = others:spawn(function() uvjobs.sleep(1) return i end) end
      uvjobs.yield()
      collectgarbage()
      local result = {}
      for i = 1, 100 do result[i] = alive[i]:wait() end
      for i = 1, 100 do assert.equal(i, result[i]) end
    end)
  end)

  it("raises 'cancelled' in a cancelled job even when there is room #M5", function()
    virtual(function()
      local log = helper.log()
      local jobs, others <close> = uvjobs.scheduler(), uvjobs.scheduler()
      local job = others:spawn(function()
        uvjobs.current():cancel()
        log:add((pcall(jobs.spawn, jobs, log.add, log, "ran")))
      end)
      job:join()
      jobs:wait_and_close()
      assert.same({ false }, log)
    end)
  end)

  it("does not take a name from a value that is no function", function()
    local jobs = uvjobs.scheduler()
    assert.equal("bad argument #1 to 'spawn' (function expected, got string)",
                 message(jobs.spawn, jobs, "import"))
    assert.equal(0, #jobs)
  end)
end)

describe("try_spawn", function()
  after_each(helper.check_clean)

  it("spawns as spawn does, with options too #M1", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1 }
      local a = jobs:try_spawn(function(...) return ... end, 1, nil, 3)
      local b = jobs:try_spawn({ name = "b" }, uvjobs.now)
      assert.equal("active", a.state)
      assert.equal("pending", b.state)
      assert.equal("b", b.name)
      assert.same({ n = 3, 1, [3] = 3 }, table.pack(a:wait()))
    end)
  end)

  it("does not raise in a cancelled job", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local others <close> = uvjobs.scheduler()
      local spawned
      local job = others:spawn(function()
        uvjobs.current():cancel()
        spawned = jobs:try_spawn(uvjobs.now)
      end)
      job:join()
      assert.equal("done", job.state)
      assert.equal(0, spawned:wait())
    end)
  end)
end)
