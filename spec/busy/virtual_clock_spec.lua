-- Busy jobs under the virtual clock, where slices are counted in instructions;
-- and what happens to jobs that were preempted.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, raises = helper.virtual, helper.raises

local SLICE <const> = 1e-5 -- 1000 instructions

local closing, forever = helper.closing, helper.forever

local function spin(n)
  for _ = 1, n do end
end

local function near(expected, actual)
  assert.is_true(math.abs(expected - actual) < 1e-8, ("%.9f is not %.9f"):format(actual, expected))
end

describe("a time slice under the virtual clock", function()
  after_each(helper.check_clean)

  it("moves the clock by its length when it ends, and only then #M16", function()
    virtual(function()
      for _, slice in ipairs { 1e-5, 3e-5, 0.0025 } do
        local jobs, start = uvjobs.scheduler { timeslice = slice }, uvjobs.now()
        local job = jobs:spawn(function()
          local me, looked = uvjobs.current(), 0
          for _ = 1, 50000 do
            local before, now = me.preemptions, uvjobs.now() - start
            if before == me.preemptions then -- not preempted in between
              assert(math.abs(before * slice - now) < 1e-8)
              looked = looked + 1
            end
          end
          assert(looked > 10000)
        end)
        job:wait()
        assert.is_true(job.preemptions > 0)
        near(job.preemptions * slice, uvjobs.now() - start)
        spin(100000)
        near(job.preemptions * slice, uvjobs.now() - start)
        jobs:close()
      end
    end)
  end)

  it("lasts as many instructions as it has units of 10 nanoseconds", function()
    virtual(function()
      for _, case in ipairs { { 1e-5, 1000 }, { 1e-4, 100 }, { 0.001, 10 }, { 0.01, 1 } } do
        local jobs = uvjobs.scheduler { timeslice = case[1] }
        -- An empty loop has one instruction for each time round.
        local job = jobs:spawn(spin, 1000500)
        job:wait()
        assert.equal(case[2], job.preemptions)
        jobs:close()
      end
    end)
  end)

  it("ends at the same instructions every time #M16", function()
    local function trace(seed)
      math.randomseed(seed)
      local log, jobs_of = helper.log(), {}
      virtual(function()
        local event, mutex = uvjobs.event(), uvjobs.mutex()
        for i = 1, 3 do jobs_of[i] = uvjobs.scheduler { timeslice = SLICE * i, limit = 3 } end
        jobs_of[4] = uvjobs.scheduler()
        local all, shared = {}, 0
        local acts = {
          function(i) for _ = 1, math.random(4000) do shared = (shared * 3 + i) % 10007 end end,
          function(i) for _ = 1, math.random(4000) do shared = (shared * 7 + i) % 10009 end end,
          function() uvjobs.sleep(math.random(5) * SLICE) end,
          function() uvjobs.yield() end,
          function() mutex:with(function() spin(math.random(3000)) end) end,
          function() event:wait(SLICE) event:set() event:clear() end,
          function() pcall(uvjobs.timeout, 3 * SLICE, spin, math.random(9000)) end,
          function() all[math.random(#all)]:cancel() end,
        }
        for i = 1, 16 do
          all[i] = jobs_of[i % 4 + 1]:spawn(function()
            for _ = 1, 6 do
              local act = math.random(#acts)
              local ok = pcall(acts[act], i)
              log:add(("%d %d %s %d %.9f"):format(i, act, ok, shared, uvjobs.now()))
            end
          end)
        end
        for i = 1, 4 do jobs_of[i]:wait_and_close() end
        for i, job in ipairs(all) do
          log:add(("%d %s %d %d"):format(i, job.state, job.preemptions, job.resumes))
        end
      end)
      return log
    end
    local before = uvjobs.stats().preemptions
    for seed = 1, 12 do
      local first = trace(seed)
      assert.same(first, trace(seed), "seed " .. seed)
      assert.is_true(#first >= 16 * 2)
    end
    assert.is_true(uvjobs.stats().preemptions - before > 1000)
  end)

  it("lets a busy job see its deadline in virtual time", function()
    virtual(function()
      local jobs = uvjobs.scheduler { timeslice = 1e-4 }
      local start, seen = uvjobs.now(), nil
      local job = jobs:spawn({ timeout = 0.005 }, function()
        local _ <close> = closing(function(_, err)
          seen = { uvjobs.code(err), uvjobs.now() - start }
        end)
        forever()
      end)
      assert.equal("timeout", uvjobs.code(select(2, pcall(job.wait, job))))
      assert.equal("timeout", seen[1])
      assert.is_true(seen[2] >= 0.005 - 1e-9 and seen[2] <= 0.0051 + 1e-9)
      assert.is_true(job.preemptions >= 49 and job.preemptions <= 51)
      local inner = jobs:spawn(function()
        local begun = uvjobs.now()
        local ok, err = pcall(uvjobs.timeout, 0.003, forever)
        return ok, uvjobs.code(err), uvjobs.now() - begun
      end)
      local ok, code, took = inner:wait()
      assert.same({ false, "timeout" }, { ok, code })
      assert.is_true(took >= 0.003 - 1e-9 and took <= 0.0031 + 1e-9)
      jobs:close()
    end)
  end)

  it("lets the sleepers wake at their times while it computes #M10", function()
    virtual(function()
      local jobs = uvjobs.scheduler { timeslice = 1e-4 }
      local done = false
      local busy = jobs:spawn(function() while not done do end end)
      for i = 1, 20 do
        local start = uvjobs.now()
        uvjobs.sleep(i / 10000)
        local late = uvjobs.now() - start - i / 10000
        assert.is_true(late >= -1e-9 and late <= 1e-4 + 1e-9)
      end
      done = true
      busy:wait()
      jobs:close()
    end)
  end)

  it("is not kept where nothing interrupts", function()
    uvjobs.run({ clock = "virtual", interrupt = "none" }, function()
      local jobs <close> = uvjobs.scheduler { timeslice = SLICE }
      local job = jobs:spawn(spin, 100000)
      job:wait()
      assert.equal(0, job.preemptions)
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("is the same where instructions are counted anyway #M16", function()
    local function count(interrupt)
      return uvjobs.run({ clock = "virtual", interrupt = interrupt }, function()
        local jobs <close> = uvjobs.scheduler { timeslice = SLICE }
        local a, b = jobs:spawn(spin, 54321), jobs:spawn(pcall, spin, 65432)
        jobs:wait_and_close()
        return ("%d %d %.9f"):format(a.preemptions, b.preemptions, uvjobs.now())
      end)
    end
    assert.equal(count("SIGURG"), count("count"))
    assert.matches("^54 65 ", count("count"))
  end)
end)

describe("a busy job without a slice, under the virtual clock,", function()
  after_each(helper.check_clean)

  it("is ended at its deadline after a second of real time", function()
    virtual(function()
      local jobs, log = uvjobs.scheduler { close_timeout = 2 }, helper.log()
      local sleeper = jobs:spawn(function() uvjobs.sleep(3600) log:add("slept") end)
      local job = jobs:spawn({ timeout = 60 }, function()
        local _ <close> = closing(function(_, err) log:add(uvjobs.code(err)) end)
        local _, err = pcall(forever)
        log:add(uvjobs.code(err))
        near(60, uvjobs.now())
        error(err)
      end)
      assert.equal("timeout", uvjobs.code(select(2, pcall(job.wait, job))))
      assert.same({ "timeout", "timeout" }, log)
      near(60, uvjobs.now())
      assert.equal(0, job.preemptions)
      sleeper:close()
      jobs:close()
    end)
  end)
end)

describe("a job that is preempted", function()
  after_each(helper.check_clean)

  -- Preempts jobs on a scheduler with these options.
  local function preempted(options, ...)
    options.timeslice = SLICE
    local jobs, list = uvjobs.scheduler(options), {}
    for i = 1, select("#", ...) do list[i] = jobs:spawn((select(i, ...))) end
    helper.yield(20)
    for _, job in ipairs(list) do assert(job.preemptions > 0) end
    return jobs, table.unpack(list)
  end

  it("gets the error when it is cancelled, once", function()
    virtual(function()
      local jobs, job = preempted({}, function()
        local ok, err = pcall(forever)
        for _ = 1, 3000 do end
        local again, err2 = pcall(uvjobs.yield)
        return ok, err.code, again, err2.code
      end)
      job:cancel()
      assert.same({ false, "cancelled", false, "cancelled" }, { job:wait() })
      assert.equal("done", job.state)
      jobs:close()
    end)
  end)

  it("runs its clean-up when it is closed; when it goes on it is killed #M7 #M8", function()
    virtual(function()
      local log, reports = helper.log(), helper.log()
      local function note(name)
        return closing(function(_, err) log:add(name .. " " .. uvjobs.code(err)) end)
      end
      local jobs, obedient, stubborn = preempted({
        close_timeout = 0.05,
        exception_handler = helper.recorder(reports, "message"),
      }, function()
        local _ <close> = note("obedient")
        forever()
      end, function()
        local _ <close> = note("stubborn")
        while true do pcall(forever) end
      end)
      jobs:close()
      assert.equal("obedient cancelled, stubborn killed", table.concat(log, ", "))
      assert.same({ "Job closing timed out" }, reports)
      assert.same({ "cancelled", "killed" }, { obedient.state, stubborn.state })
    end)
  end)

  it("is closed when the time has passed that somebody waits for it", function()
    virtual(function()
      local jobs, job, other = preempted({}, forever, forever)
      assert.is_false(job:join(0.01))
      assert.equal("active", job.state)
      assert.equal(job, raises("timeout", job.wait, job, 0.01).job)
      assert.equal("cancelled", job.state)
      assert.equal("active", other.state)
      raises("timeout", uvjobs.timeout, 0.01, other.wait, other)
      assert.equal("active", other.state)
      other:close()
      assert.equal("cancelled", other.state)
      jobs:close()
    end)
  end)

  it("is closed with its scheduler, and when the run ends", function()
    local log, job = helper.log(), nil
    local function note() return closing(function(_, err) log:add(uvjobs.code(err)) end) end
    local function busy()
      local _ <close> = note()
      forever()
    end
    virtual(function()
      local _
      _, job = preempted({}, busy)
      assert.equal("boom", select(2, pcall(function()
        local _ <close> = preempted({}, busy, busy)
        error("boom", 0)
      end)))
      assert.same({ "cancelled", "cancelled" }, log)
      assert.equal("active", job.state)
    end)
    assert.same({ "cancelled", "cancelled", "cancelled" }, log)
    assert.equal("cancelled", job.state)
  end)

  it("keeps a mutex, so that updates stay whole", function()
    local function count(lock)
      return virtual(function()
        local n = 0
        local jobs <close> = uvjobs.scheduler { timeslice = SLICE }
        for _ = 1, 5 do
          jobs:spawn(function()
            for i = 1, 10 do
              lock(function()
                local before = n
                for _ = 1, 97 * i do end
                n = before + 1
              end)
            end
          end)
        end
        jobs:wait_and_close()
        return n
      end)
    end
    assert.is_true(count(pcall) < 50) -- else nobody was preempted in an update
    local mutex, semaphore = uvjobs.mutex(), uvjobs.semaphore(1)
    assert.equal(50, count(function(fn) mutex:with(fn) end))
    assert.equal(50, count(function(fn) semaphore:with(fn) end))
    assert.equal("uvjobs.Mutex: free", tostring(mutex))
    assert.equal(1, semaphore.count)
  end)

  it("puts into queues and gets from them what others put, in order", function()
    virtual(function()
      local queue, done = uvjobs.queue(3), uvjobs.event()
      local last, got = {}, 0
      local jobs <close> = uvjobs.scheduler { timeslice = SLICE }
      for name = 1, 3 do
        jobs:spawn(function()
          for i = 1, 40 do
            for _ = 1, 50 * name do end
            queue:put { name, i }
          end
          assert(uvjobs.current().preemptions > 0)
        end)
      end
      local consumer = jobs:spawn(function()
        for item in queue:items() do
          for _ = 1, 150 do end
          assert(item[2] == (last[item[1]] or 0) + 1)
          last[item[1]], got = item[2], got + 1
          if got == 120 then done:set() end
        end
      end)
      assert.is_true(done:wait(1))
      queue:close()
      consumer:wait()
      assert.same({ 40, 40, 40 }, last)
    end)
  end)

  it("lets others run in a function that table.sort calls, and after it", function()
    virtual(function()
      local ticks, done = 0, false
      local jobs <close> = uvjobs.scheduler { timeslice = SLICE }
      jobs:spawn(function() while not done do ticks = ticks + 1 end end)
      jobs:spawn(function()
        while ticks == 0 do end
        local start, list, runs = ticks, { 5, 3, 8, 1, 9, 2, 7 }, 0
        table.sort(list, function(a, b)
          for _ = 1, 3000 do end
          if ticks > start then runs = runs + 1 end
          start = ticks
          return a < b
        end)
        assert.equal("1 2 3 5 7 8 9", table.concat(list, " "))
        assert.is_true(runs > 10)
        while ticks == start do end
        done = true
      end):wait()
    end)
  end)

  it("keeps what it has from the garbage collector", function()
    virtual(function()
      local jobs = uvjobs.scheduler { timeslice = SLICE, limit = math.huge }
      local list = {}
      for i = 1, 60 do
        list[i] = jobs:spawn(function(...)
          local text, parts = "job " .. i, table.pack(...)
          local get = setmetatable({}, { __index = function(_, k)
            local made = { k .. text }
            for n = 1, 600 do made[n % 9 + 2] = { n } end
            return made[1] .. #parts
          end })
          return get["a" .. i] .. get["b"], { get["c"] }, ...
        end, {}, i, {})
      end
      jobs:spawn(function()
        for i = 1, 10 do
          for _ = 1, 80 do uvjobs.yield() end
          collectgarbage(i % 2 == 0 and "collect" or "step")
        end
      end):wait()
      for i = 1, 60 do
        local text, made, first, second, third = list[i]:wait()
        assert.is_true(list[i].preemptions > 2)
        assert.equal(("a%djob %d3bjob %d3"):format(i, i, i), text)
        assert.equal("cjob " .. i .. "3", made[1])
        assert.same({ {}, i, {} }, { first, second, third })
      end
      jobs:close()
    end)
  end)
end)
