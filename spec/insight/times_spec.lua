-- How long jobs wait, are ready and run, and the histograms of schedulers.

local helper = require "spec.helper"
local insight = require "uvjobs.insight"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local function measured(options, fn)
  options.stats = true
  return uvjobs.run(options, fn)
end

local function virtual(fn) return measured({ clock = "virtual" }, fn) end

--- Keeps the processor busy for so many seconds, at least.
local function burn(seconds)
  local over = uvjobs.now() + seconds
  while uvjobs.now() < over do end
end

local function sum(times) return times.waited + times.ready + times.ran end

local function is_near(expected, got, by)
  assert.is_true(math.abs(got - expected) <= by, ("%.9f is not near %.9f"):format(got, expected))
end

describe("the times of a job", function()
  after_each(helper.check_clean)

  it("are those of the virtual clock, where computing takes no time #I9", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1 }
      jobs:spawn(uvjobs.sleep, 3)
      local job = jobs:spawn(function() uvjobs.sleep(4) end)
      uvjobs.sleep(5)
      is_near(5, job.times.waited, 1e-9)
      assert.same({ 0.0, 0.0 }, { job.times.ready, job.times.ran })
      job:join()
      is_near(7, job.times.waited, 1e-9)
      uvjobs.sleep(1)
      is_near(7, sum(job.times), 1e-9)
    end)
  end)

  it("add up to its age #I9", function()
    measured({}, function()
      local born, jobs, last, ended = {}, {}, {}, {}
      local scheduler <close> = uvjobs.scheduler {
        limit = 3, on_end = function(job) ended[job] = uvjobs.now() end }
      local event = uvjobs.event()
      for i = 1, 40 do
        local before = uvjobs.now()
        local job = scheduler:spawn(function()
          burn(i % 4 * 0.0002)
          if i % 3 == 0 then uvjobs.yield() else uvjobs.sleep(i % 5 * 0.0005) end
          if i % 7 == 0 then event:set() end
          burn(0.0001)
          last[i] = uvjobs.now()
        end)
        born[job], jobs[i] = { before, uvjobs.now() }, job
      end
      scheduler:wait_idle()
      for i, job in ipairs(jobs) do
        local slack = 1e-6 * (job.resumes + 1) + 1e-6
        local age = sum(job.times)
        assert.is_true(age <= ended[job] - born[job][1] + slack)
        assert.is_true(age >= last[i] - born[job][2] - slack)
      end
    end)
  end)

  it("tell who waits, who is ready and who runs", function()
    measured({}, function()
      local jobs <close> = uvjobs.scheduler()
      local event = uvjobs.event()
      local ready = jobs:spawn(function() end)
      local waiting = jobs:spawn(event.wait, event)
      local busy = jobs:spawn(burn, 0.02)
      burn(0.02)
      assert.is_true(ready.times.ready >= 0.02)
      ready:join()
      busy:join()
      assert.is_true(busy.times.ran >= 0.02)
      assert.is_true(busy.times.ready >= 0.02)
      assert.is_true(waiting.times.waited >= 0.02)
      event:set()
      waiting:join()
      assert.is_true(ready.times.ran < busy.times.ran)
      assert.equal(busy.cpu_time, busy.times.ran)
    end)
  end)

  it("count a sleeper as ready from its time on, however late it is noticed", function()
    measured({}, function()
      local jobs <close> = uvjobs.scheduler()
      local sleeper = jobs:spawn(uvjobs.sleep, 0.002)
      uvjobs.yield()
      burn(0.03)
      sleeper:join()
      assert.is_true(sleeper.times.ready >= 0.02)
      assert.is_true(jobs:stats().lateness.max >= 0.02)
    end)
  end)

  it("include the present stretch of the job that asks", function()
    measured({}, function()
      local before = uvjobs.current().times.ran
      burn(0.002)
      assert.is_true(uvjobs.current().times.ran >= before + 0.002)
    end)
  end)

  it("add up the slices of a job that is preempted", function()
    measured({}, function()
      local jobs <close> = uvjobs.scheduler { timeslice = 0.001 }
      local over = false
      local busy = jobs:spawn(function() while not over do end end)
      while busy.preemptions < 3 do uvjobs.yield() end
      over = true
      busy:join()
      assert.is_true(busy.times.ran >= 0.003)
    end)
  end)

  it("of jobs that never started are waiting", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 1, close_timeout = 1 }
      jobs:spawn(uvjobs.sleep, 60)
      local pending = jobs:spawn(print, "never")
      uvjobs.sleep(2)
      pending:cancel()
      is_near(2, pending.times.waited, 1e-9)
      assert.equal(0.0, pending.times.ran)
      jobs:close()
    end)
  end)

  it("are of jobs with priorities, too, and of those that are killed", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 1, fair = true, close_timeout = 1,
        exception_handler = helper.ignore }
      local stubborn = jobs:spawn({ key = "a" }, function()
        while true do pcall(uvjobs.sleep, 60) end
      end)
      local other = jobs:spawn({ key = "b", priority = 2 }, function() end)
      uvjobs.sleep(3)
      is_near(3, other.times.waited, 1e-9)
      jobs:close()
      assert.equal("killed", stubborn.state)
      is_near(4, sum(stubborn.times), 1e-4)
      assert.equal(2, other.priority)
    end)
  end)

  it("are nil unless they are measured, and in the records of insight.jobs if so", function()
    local function times_of_main()
      for record in insight.jobs() do
        if record.job == uvjobs.current() then return record.times end
      end
    end
    uvjobs.run(function()
      assert.is_nil(uvjobs.current().times)
      assert.is_nil(times_of_main())
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(function() end):join()
      assert.is_nil(jobs:stats().waited)
    end)
    virtual(function()
      uvjobs.sleep(1)
      assert.same({ waited = 1.0, ready = 0.0, ran = 0.0 }, times_of_main())
    end)
  end)
end)

describe("insight.measure", function()
  after_each(helper.check_clean)

  it("begins while jobs run: those that live already have only `ran`", function()
    uvjobs.run(function()
      assert.is_false(insight.measure(true))
      local jobs <close> = uvjobs.scheduler()
      burn(0.001)
      uvjobs.yield() -- this stretch began before, so it is not counted
      burn(0.002)
      uvjobs.yield()
      local times = uvjobs.current().times
      assert.is_nil(times.waited or times.ready)
      assert.is_true(times.ran >= 0.002)
      local job = jobs:spawn(function() end)
      job:join()
      assert.is_true(job.times.ready > 0)
      assert.equal(1, jobs:stats().ran.count)
      assert.is_true(insight.measure())
      assert.is_true(insight.measure(false))
      jobs:spawn(function() end):join()
      assert.equal(1, jobs:stats().ran.count)
      assert.is_false(insight.measure())
    end)
    uvjobs.run(function() assert.is_false(insight.measure()) end)
  end)

  it("can be switched at any moment", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler { limit = 5 }
      for i = 1, 200 do
        jobs:spawn(function()
          insight.measure(i % 3 == 0)
          uvjobs.sleep(0.0001 * (i % 4))
        end)
      end
      jobs:wait_idle()
      for job in jobs:jobs() do assert.is_true(sum(job.times) >= 0) end
    end)
  end)

  it("refuses anything but a boolean", function()
    for _, value in ipairs { 1, "on", {} } do
      assert.matches("bad argument #1 to 'measure' %(boolean or nil expected, got %w+%)",
        helper.message(insight.measure, value))
    end
  end)
end)

describe("the histograms of a scheduler", function()
  after_each(helper.check_clean)

  it("have how long its jobs waited for their start #I8", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, pending_limit = 1000 }
      for _ = 1, 100 do jobs:spawn(uvjobs.sleep, 1) end
      jobs:wait_idle()
      local waited = jobs:stats().waited
      assert.equal(100, waited.count)
      is_near(99, waited.max, 1e-9)
      is_near(99 * 50, waited.sum, 1e-6)
      for _, q in ipairs { 0.1, 0.5, 0.9, 0.99 } do
        is_near(100 * q - 1, waited:quantile(q), 2 * q)
      end
      assert.is_true(waited:size() <= 8192)
    end)
  end)

  it("have how long those ran that have ended, and how late they woke", function()
    measured({}, function()
      local jobs <close> = uvjobs.scheduler()
      for _ = 1, 3 do jobs:spawn(burn, 0.003) end
      local sleeper = jobs:spawn(uvjobs.sleep, 60)
      uvjobs.sleep(0.001)
      jobs:spawn(uvjobs.sleep, 0.001):join()
      local stats = jobs:stats()
      assert.equal(4, stats.ran.count)
      assert.is_true(stats.ran.max >= 0.003 and stats.ran:quantile(0.9) >= 0.0029)
      assert.equal(1, stats.lateness.count)
      sleeper:close()
    end)
  end)

  it("are copies", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(function() end):join()
      local before = jobs:stats().waited
      jobs:spawn(function() end):join()
      assert.same({ 1, 2 }, { before.count, jobs:stats().waited.count })
      assert.is_false(pcall(function() return before.counts end))
    end)
  end)
end)

describe("the counters of a scheduler", function()
  after_each(helper.check_clean)

  it("agree at every moment, and never fall #I10", function()
    for seed = 1, 5 do
      virtual(function()
        math.randomseed(seed)
        local jobs <close> = helper.quiet { limit = 3, pending_limit = 4 }
        local last = { spawned = 0, ended = 0 }
        local function look()
          local now = jobs:stats()
          assert.equal(now.spawned, now.ended + now.live, "seed " .. seed)
          assert.equal(now.ended, now.done + now.failed + now.cancelled + now.killed)
          assert.is_true(now.spawned >= last.spawned and now.ended >= last.ended)
          last = now
        end
        for _ = 1, 300 do
          local job = jobs:try_spawn(function()
            look()
            uvjobs.sleep(math.random(0, 3))
            look()
            if math.random() < 0.3 then error "no" end
          end)
          look()
          if job and math.random() < 0.3 then job:cancel() end
          look()
          if math.random() < 0.5 then uvjobs.yield() end
        end
      end)
    end
  end)

  it("agree wherever a job is cancelled or killed #I9 #I10", function()
    for _, way in ipairs { "cancel", "kill" } do
      testing.cancel_everywhere({ by = way }, function()
        insight.measure(true)
        local jobs <close> = helper.quiet { limit = 2 }
        for _ = 1, 4 do
          jobs:spawn(function() uvjobs.sleep(1) uvjobs.yield() end)
        end
        jobs:wait_idle()
        local stats = jobs:stats()
        assert(stats.spawned == stats.ended + stats.live)
        assert(stats.ran.count <= stats.ended)
      end)
    end
  end)
end)
