-- When jobs start: order, limits, the pending queue, blocked spawners.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, raises, ignore = helper.virtual, helper.raises, helper.ignore

describe("a scheduler", function()
  after_each(helper.check_clean)

  describe("starts a job", function()
    it("on a later turn, never inside spawn #M1", function()
      virtual(function()
        local log = helper.log()
        local jobs <close> = uvjobs.scheduler()
        jobs:spawn(log.add, log, "job")
        log:add("spawner")
        uvjobs.yield()
        assert.same({ "spawner", "job" }, log)
      end)
    end)

    it("in the order of spawning, whatever scheduler it is on #M1", function()
      virtual(function()
        local log = helper.log()
        local a <close> = uvjobs.scheduler()
        local b <close> = uvjobs.scheduler()
        for i = 1, 10 do (i % 3 == 0 and a or b):spawn(log.add, log, i) end
        uvjobs.yield()
        assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, log)
      end)
    end)

    it("that was spawned by a job of this turn on the next turn #M1 #M11", function()
      virtual(function()
        local log = helper.log()
        local jobs <close> = uvjobs.scheduler()
        jobs:spawn(function()
          jobs:spawn(log.add, log, "child")
          log:add("parent")
        end)
        uvjobs.yield()
        assert.same({ "parent" }, log)
        uvjobs.yield()
        assert.same({ "parent", "child" }, log)
      end)
    end)

    it("with the arguments that were given, nils included", function()
      virtual(function()
        local jobs <close> = uvjobs.scheduler()
        local job = jobs:spawn(table.pack, nil, 2, nil, {}, nil)
        local args = job:wait()
        assert.equal(5, args.n)
        assert.equal(2, args[2])
        assert.is_nil(args[1])
        assert.same({}, args[4])
      end)
    end)

    it("with a C function that suspends", function()
      virtual(function()
        local jobs <close> = uvjobs.scheduler()
        local job = jobs:spawn(uvjobs.sleep, 3)
        job:wait()
        assert.equal(3, uvjobs.now())
      end)
    end)

    it("that was spawned before run, when the loop runs #M1", function()
      local log = helper.log()
      local jobs = uvjobs.scheduler()
      local first = jobs:spawn(log.add, log, "before 1")
      jobs:spawn(log.add, log, "before 2")
      assert.same({}, log)
      assert.equal("active", first.state)
      virtual(function()
        log:add("main")
        jobs:wait_and_close()
      end)
      assert.same({ "before 1", "before 2", "main" }, log)
      assert.equal("done", first.state)
    end)
  end)

  describe("with a limit", function()
    it("never runs more jobs than that, and is never idle with jobs pending #M2 #M3", function()
      virtual(function()
        local jobs <close> = uvjobs.scheduler { limit = 3 }
        local running, most = 0, 0
        for i = 1, 20 do
          jobs:spawn(function()
            running = running + 1
            most = math.max(most, running)
            uvjobs.sleep(i % 4)
            running = running - 1
          end)
          assert.is_true(jobs.active_count <= 3)
          assert.equal(math.min(i, 3), jobs.active_count)
          assert.equal(math.max(i - 3, 0), jobs.pending_count)
        end
        jobs:wait_and_close()
        assert.equal(3, most)
        assert.equal(0, running)
      end)
    end)

    it("starts the pending jobs in order as slots get free #M3", function()
      virtual(function()
        local log = helper.log()
        local jobs <close> = uvjobs.scheduler { limit = 2 }
        for i = 1, 6 do
          jobs:spawn(function()
            log:add(("%d at %g"):format(i, uvjobs.now()))
            uvjobs.sleep(1)
          end)
        end
        jobs:wait_and_close()
        assert.same({ "1 at 0", "2 at 0", "3 at 1", "4 at 1", "5 at 2", "6 at 2" }, log)
      end)
    end)

    it("gives the slot of a job that failed to the next #M3", function()
      virtual(function()
        local jobs <close> = helper.quiet { limit = 1 }
        jobs:spawn(error, "boom")
        local job = jobs:spawn(uvjobs.now)
        assert.equal("pending", job.state)
        assert.equal(0, job:wait())
      end)
    end)

    it("gives the slot of a job cancelled before its start to the next #M2 #M3", function()
      virtual(function()
        local log = helper.log()
        local jobs <close> = uvjobs.scheduler { limit = 1 }
        local first = jobs:spawn(log.add, log, "first")
        local second = jobs:spawn(log.add, log, "second")
        first:cancel()
        assert.equal("cancelled", first.state)
        assert.equal("active", second.state)
        assert.equal(1, jobs.active_count)
        assert.equal(0, jobs.pending_count)
        second:wait()
        assert.same({ "second" }, log)
      end)
    end)

    it("forgets a pending job that is cancelled or closed at once #M2 #M3", function()
      virtual(function()
        local log = helper.log()
        local jobs <close> = uvjobs.scheduler { limit = 1 }
        jobs:spawn(uvjobs.sleep, 1)
        local pending = {}
        for i = 1, 4 do pending[i] = jobs:spawn(log.add, log, i) end
        pending[1]:cancel()
        pending[3]:close()
        assert.equal("cancelled", pending[1].state)
        assert.equal("cancelled", pending[3].state)
        assert.equal(1, jobs.active_count)
        assert.equal(2, jobs.pending_count)
        assert.equal(3, #jobs)
        jobs:wait_and_close()
        assert.same({ 2, 4 }, log)
      end)
    end)

    it("of math.huge starts everything at once", function()
      virtual(function()
        local jobs <close> = uvjobs.scheduler { limit = math.huge }
        for _ = 1, 1000 do jobs:spawn(uvjobs.sleep, 1) end
        assert.equal(1000, jobs.active_count)
        assert.equal(0, jobs.pending_count)
        jobs:wait_and_close()
        assert.equal(1, uvjobs.now())
      end)
    end)

    it("is 100 without the option, and 10000 may wait", function()
      local jobs = uvjobs.scheduler()
      assert.equal(100, jobs.limit)
      assert.equal(10000, jobs.pending_limit)
      for _ = 1, 10100 do jobs:spawn(ignore) end
      assert.equal(100, jobs.active_count)
      assert.equal(10000, jobs.pending_count)
      raises("full", jobs.spawn, jobs, ignore)
      jobs:close()
    end)
  end)

  describe("with a full pending queue", function()
    -- One job runs for 10 s, one is pending.
    local function full_scheduler()
      local jobs = uvjobs.scheduler { limit = 1, pending_limit = 1 }
      return jobs, jobs:spawn(uvjobs.sleep, 10), jobs:spawn(uvjobs.sleep, 10)
    end

    it("makes spawn wait until there is room #M2", function()
      virtual(function()
        local jobs = full_scheduler()
        local job = jobs:spawn(uvjobs.sleep, 5)
        assert.equal(10, uvjobs.now())
        assert.equal("pending", job.state)
        assert.equal(1, jobs.active_count)
        assert.equal(1, jobs.pending_count)
        jobs:wait_and_close()
        assert.equal(25, uvjobs.now())
      end)
    end)

    it("makes room for a blocked spawn when a pending job is dropped #M2 #M3", function()
      virtual(function()
        local jobs, _, pending = full_scheduler()
        local others <close> = uvjobs.scheduler()
        local spawner = others:spawn(function() return jobs:spawn(uvjobs.sleep, 1) end)
        uvjobs.yield()
        assert.equal(2, #jobs)
        pending:cancel()
        local job = spawner:wait()
        assert.equal(0, uvjobs.now())
        assert.equal("pending", job.state)
        assert.equal(2, #jobs)
        jobs:close()
      end)
    end)

    it("admits the blocked spawners in the order in which they came #M1 #M3", function()
      virtual(function()
        local log = helper.log()
        local jobs = uvjobs.scheduler { limit = 1, pending_limit = 1 }
        local others <close> = uvjobs.scheduler()
        jobs:spawn(uvjobs.sleep, 1)
        jobs:spawn(log.add, log, "pending")
        for i = 1, 5 do
          others:spawn(function()
            local job = jobs:spawn(log.add, log, "ran " .. i)
            assert.equal(jobs, job.scheduler)
            log:add("admitted " .. i)
          end)
        end
        others:wait_and_close()
        jobs:wait_and_close()
        local ran, admitted = {}, {}
        for _, line in ipairs(log) do
          local kind, i = line:match("^(%a+) (%d)$")
          if kind == "ran" then ran[#ran + 1] = i end
          if kind == "admitted" then admitted[#admitted + 1] = i end
        end
        assert.equal("12345", table.concat(ran))
        assert.equal("12345", table.concat(admitted))
        assert.equal(11, #log)
      end)
    end)

    it("does not let a later spawn overtake a blocked one #M3", function()
      virtual(function()
        local log = helper.log()
        local jobs = uvjobs.scheduler { limit = 1, pending_limit = 0 }
        local others <close> = uvjobs.scheduler()
        local first = jobs:spawn(uvjobs.sleep, 1)
        others:spawn(function() jobs:spawn(log.add, log, "blocked") end)
        uvjobs.yield()
        first:wait()
        local late = jobs:try_spawn(log.add, log, "late")
        if not late then jobs:spawn(log.add, log, "late") end
        jobs:wait_and_close()
        assert.same({ "blocked", "late" }, log)
      end)
    end)

    it("forgets the job of a blocked spawner that is cancelled #M6", function()
      virtual(function()
        local log = helper.log()
        local jobs = full_scheduler()
        local others <close> = uvjobs.scheduler()
        local spawner = others:spawn(function() jobs:spawn(log.add, log, "ran") end)
        uvjobs.yield()
        spawner:cancel()
        raises("cancelled", spawner.wait, spawner)
        assert.equal(2, #jobs)
        jobs:wait_and_close()
        assert.same({}, log)
      end)
    end)

    it("forgets the job of a blocked spawner whose deadline passes #M6", function()
      virtual(function()
        local log = helper.log()
        local jobs = full_scheduler()
        raises("timeout", uvjobs.timeout, 2, jobs.spawn, jobs, log.add, log, "ran")
        assert.equal(2, uvjobs.now())
        assert.equal(2, #jobs)
        jobs:wait_and_close()
        assert.same({}, log)
      end)
    end)

    it("keeps its place for the others when a blocked spawner in the middle leaves #M3", function()
      virtual(function()
        local log = helper.log()
        local jobs = full_scheduler()
        local others <close> = uvjobs.scheduler()
        local spawners = {}
        for i = 1, 3 do
          spawners[i] = others:spawn(function() jobs:spawn(log.add, log, i) end)
        end
        uvjobs.yield()
        spawners[2]:cancel()
        others:wait_and_close()
        jobs:wait_and_close()
        assert.same({ 1, 3 }, log)
      end)
    end)

    it("raises 'full' outside a job, where spawn cannot wait", function()
      local jobs = uvjobs.scheduler { limit = 1, pending_limit = 1 }
      jobs:spawn(ignore)
      jobs:spawn(ignore)
      local err = raises("full", jobs.spawn, jobs, ignore)
      assert.is_nil(err.job)
      assert.equal(2, #jobs)
      jobs:close()
    end)

    it("raises 'full' in a plain coroutine of a job, where spawn cannot wait #M15", function()
      virtual(function()
        local jobs = full_scheduler()
        local co = coroutine.wrap(function() raises("full", jobs.spawn, jobs, ignore) end)
        co()
        assert.equal(2, #jobs)
        jobs:close()
      end)
    end)
  end)

  describe("with pending_limit = 0", function()
    it("has no queue: spawn waits for a slot #M2", function()
      virtual(function()
        local jobs <close> = uvjobs.scheduler { limit = 2, pending_limit = 0 }
        for i = 1, 6 do
          local job = jobs:spawn(uvjobs.sleep, 1)
          assert.equal("active", job.state)
          assert.equal((i - 1) // 2, uvjobs.now())
          assert.equal(0, jobs.pending_count)
        end
      end)
    end)

    it("makes try_spawn answer 'full' at the limit", function()
      virtual(function()
        local jobs <close> = uvjobs.scheduler { limit = 1, pending_limit = 0 }
        assert.truthy(jobs:try_spawn(uvjobs.sleep, 1))
        assert.same({ n = 2, [2] = "full" }, table.pack(jobs:try_spawn(ignore)))
        assert.equal(1, #jobs)
      end)
    end)
  end)

  it("with pending_limit = math.huge never makes spawn wait", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 1, pending_limit = math.huge }
      for _ = 1, 20000 do jobs:spawn(uvjobs.sleep, 1) end
      assert.equal(0, uvjobs.now())
      assert.equal(19999, jobs.pending_count)
      jobs:close()
    end)
  end)
end)
