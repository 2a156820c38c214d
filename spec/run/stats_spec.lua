-- uvjobs.stats(), and what a job's cpu_time and run{ stats = true } measure.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, message = helper.virtual, helper.message

-- What has been counted since `before` was taken.
local function difference(before)
  local now, diff = uvjobs.stats(), {}
  for _, field in ipairs { "turns", "spawned", "resumes", "preemptions" } do
    diff[field] = now[field] - before[field]
  end
  return diff
end

local function holding(now)
  return { live = now.live, ready = now.ready, timers = now.timers }
end

local function spin(seconds)
  local start = uvjobs.now()
  while uvjobs.now() - start < seconds do end
end

describe("stats", function()
  after_each(helper.check_clean)

  it("counts jobs, resumes and preemptions exactly", function()
    virtual(function()
      local before = uvjobs.stats()
      local jobs = uvjobs.scheduler()
      local a = jobs:spawn(helper.yield, 3)
      local b = jobs:spawn(uvjobs.sleep, 5)
      local c = jobs:spawn(function() end)
      jobs:wait_and_close()
      assert.equal(4, a.resumes)
      assert.equal(2, b.resumes)
      assert.equal(1, c.resumes)
      local diff = difference(before)
      diff.turns = nil
      assert.same({ spawned = 3, resumes = 4 + 2 + 1 + 1, preemptions = 0 }, diff)
    end)
  end)

  it("counts the preemptions that the jobs count", function()
    virtual(function()
      local before, expected, resumes = uvjobs.stats(), 0, 0
      local jobs = uvjobs.scheduler { timeslice = 1e-5 }
      local all = {}
      for i = 1, 5 do all[i] = jobs:spawn(function() for _ = 1, 9000 * i do end end) end
      jobs:wait_and_close()
      for i = 1, 5 do
        assert.is_true(all[i].preemptions >= 5 * i)
        assert.equal(all[i].preemptions + 1, all[i].resumes)
        expected, resumes = expected + all[i].preemptions, resumes + all[i].resumes
      end
      local diff = difference(before)
      assert.equal(5, diff.spawned)
      assert.equal(expected, diff.preemptions)
      assert.equal(resumes + 1, diff.resumes) -- the main job went on once
      assert.is_true(diff.turns >= expected)
    end)
  end)

  it("counts main jobs and shielded functions as spawned", function()
    local before = uvjobs.stats()
    virtual(function() end)
    assert.equal(1, difference(before).spawned)
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      jobs:shield(function() end)
    end)
    assert.equal(3, difference(before).spawned)
  end)

  it("does not count what was refused, but what was dropped later", function()
    virtual(function()
      local before = uvjobs.stats()
      local jobs = uvjobs.scheduler { limit = 1, pending_limit = 1 }
      jobs:spawn(uvjobs.sleep, 9)
      local pending = jobs:spawn(print, "a dropped job ran")
      assert.same({ nil, "full" }, { jobs:try_spawn(print) })
      pending:cancel()
      jobs:close()
      assert.same({ nil, "closed" }, { jobs:try_spawn(print) })
      assert.equal(2, difference(before).spawned)
    end)
  end)

  it("tells what is live, ready and waiting for a time", function()
    virtual(function()
      assert.same({ live = 1, ready = 0, timers = 0 }, holding(uvjobs.stats()))
      local event = uvjobs.event()
      local jobs = uvjobs.scheduler { limit = 5 }
      for _ = 1, 2 do jobs:spawn(uvjobs.sleep, 60) end
      jobs:spawn(event.wait, event)
      jobs:spawn(event.wait, event, 30)
      jobs:spawn({ timeout = 20 }, event.wait, event)
      for _ = 1, 3 do jobs:spawn(event.wait, event) end -- pending
      assert.same({ live = 9, ready = 5, timers = 0 }, holding(uvjobs.stats()))
      uvjobs.yield()
      assert.same({ live = 9, ready = 0, timers = 4 }, holding(uvjobs.stats()))
      event:set()
      assert.same({ live = 9, ready = 3, timers = 2 }, holding(uvjobs.stats()))
      jobs:close()
      assert.same({ live = 1, ready = 0, timers = 0 }, holding(uvjobs.stats()))
    end)
    assert.same({ live = 0, ready = 0, timers = 0 }, holding(uvjobs.stats()))
  end)

  it("counts jobs that are preempted as ready", function()
    virtual(function()
      local jobs = uvjobs.scheduler { timeslice = 1e-5 }
      local done = false
      for _ = 1, 7 do jobs:spawn(function() while not done do end end) end
      helper.yield(30)
      assert.same({ live = 8, ready = 7, timers = 0 }, holding(uvjobs.stats()))
      done = true
      jobs:wait_and_close()
      assert.same({ live = 1, ready = 0, timers = 0 }, holding(uvjobs.stats()))
    end)
  end)

  it("counts a turn for each time that a job gives way to itself alone", function()
    virtual(function()
      local before = uvjobs.stats()
      helper.yield(100)
      assert.same({ turns = 100, spawned = 0, resumes = 100, preemptions = 0 },
                  difference(before))
    end)
  end)

  it("goes on counting from run to run, and the same work costs the same #M16", function()
    local function work()
      local jobs <close> = uvjobs.scheduler { timeslice = 2e-5 }
      for i = 1, 4 do
        jobs:spawn(function() for _ = 1, 3000 * i do end uvjobs.sleep(i) end)
      end
    end
    local start = uvjobs.stats()
    virtual(work)
    local first, middle = difference(start), uvjobs.stats()
    assert.is_true(first.preemptions > 0)
    assert.same({ turns = 0, spawned = 0, resumes = 0, preemptions = 0 }, difference(middle))
    virtual(work)
    assert.same(first, difference(middle))
    assert.equal(2 * first.turns, difference(start).turns)
    assert.equal(10, difference(start).spawned)
  end)

  it("is a new table each time, of integers", function()
    local stats = uvjobs.stats()
    assert.are_not.equal(stats, uvjobs.stats())
    for _, field in ipairs { "turns", "spawned", "resumes", "preemptions", "live", "ready",
                             "timers" } do
      assert.equal("integer", math.type(stats[field]), field)
    end
  end)
end)

describe("run{ stats = true }", function()
  after_each(helper.check_clean)

  it("measures how long each job held the loop", function()
    uvjobs.run({ stats = true }, function()
      local jobs <close> = uvjobs.scheduler()
      local short = jobs:spawn(spin, 0.002)
      local long = jobs:spawn(spin, 0.01)
      assert.equal(0, short.cpu_time)
      short:join()
      long:join()
      assert.equal("float", math.type(short.cpu_time))
      assert.is_true(short.cpu_time >= 0.002)
      assert.is_true(long.cpu_time >= 0.01)
    end)
  end)

  it("adds up stretches, and does not count the one that is not over", function()
    uvjobs.run({ stats = true }, function()
      local me = uvjobs.current()
      local last = me.cpu_time
      for _ = 1, 5 do
        spin(0.001)
        assert.equal(last, me.cpu_time)
        uvjobs.yield()
        assert.is_true(me.cpu_time >= last + 0.001)
        last = me.cpu_time
      end
    end)
  end)

  it("adds up the slices of jobs that are preempted", function()
    uvjobs.run({ stats = true }, function()
      local jobs <close> = uvjobs.scheduler { timeslice = 0.001 }
      local flag = false
      local busy = jobs:spawn(function() while not flag do end end)
      local seen = 0
      while busy.preemptions < 5 do
        uvjobs.yield()
        assert.is_true(busy.cpu_time >= busy.preemptions * 0.001)
        assert.is_true(busy.cpu_time >= seen)
        seen = busy.cpu_time
      end
      flag = true
    end)
  end)

  it("does not count the time that a job waits", function()
    uvjobs.run({ stats = true, clock = "virtual" }, function()
      local jobs <close> = uvjobs.scheduler { wait_timeout = 1e6 }
      local sleeper = jobs:spawn(uvjobs.sleep, 36000)
      sleeper:join()
      assert.equal(36000, uvjobs.now())
      assert.is_true(sleeper.cpu_time < 36000)
    end)
  end)

  it("names the longest time and its job", function()
    uvjobs.run({ stats = true }, function()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(function() end)
      local greedy = jobs:spawn(spin, 0.02)
      greedy:join()
      local stats = uvjobs.stats()
      assert.is_true(stats.longest >= 0.02)
      -- The job ran in one stretch. Another job has a longer one only if the machine paused it.
      if stats.longest == greedy.cpu_time then
        assert.equal(greedy, stats.longest_job)
      else
        assert.is_true(stats.longest > greedy.cpu_time)
        assert.is_true(stats.longest_job.cpu_time >= stats.longest)
      end
      spin(0.03)
      uvjobs.yield()
      local later = uvjobs.stats()
      assert.is_true(later.longest >= 0.03)
      assert.is_true(later.longest_job.cpu_time >= later.longest)
    end)
  end)

  it("keeps the longest after the run, and begins anew with the next one", function()
    local greedy = uvjobs.run({ stats = true }, function()
      spin(0.02)
      return uvjobs.current()
    end)
    local stats = uvjobs.stats()
    assert.is_true(stats.longest >= 0.02)
    assert.equal(greedy, stats.longest_job)
    assert.is_true(greedy.cpu_time >= stats.longest)
    local next_one = uvjobs.run({ stats = true }, function()
      assert.is_nil(uvjobs.stats().longest_job)
      assert.is_nil(uvjobs.stats().longest)
      return uvjobs.current()
    end)
    assert.equal(next_one, uvjobs.stats().longest_job)
    assert.equal(next_one.cpu_time, uvjobs.stats().longest)
  end)

  it("is off unless asked for", function()
    for _, options in ipairs { {}, { stats = false } } do
      uvjobs.run({ stats = true }, function() end)
      local longest = uvjobs.stats().longest
      local job = uvjobs.run(options, function()
        assert.is_nil(uvjobs.current().cpu_time)
        spin(0.002)
        uvjobs.yield()
        assert.is_nil(uvjobs.current().cpu_time)
        return uvjobs.current()
      end)
      assert.is_nil(job.cpu_time)
      assert.equal(longest, uvjobs.stats().longest)
    end
  end)

  it("and its other options refuse wrong values, and nothing runs", function()
    local function refused(options)
      return (message(uvjobs.run, options, error, "ran")
        :gsub("^bad argument #1 to 'run' ", ""))
    end
    local function wrong(key, value) return refused { [key] = value } end
    assert.equal("(option 'stats': boolean expected, got 1)", wrong("stats", 1))
    assert.equal("(option 'slow': seconds >= 0 expected, got -1)", wrong("slow", -1))
    assert.equal("(option 'slow': seconds >= 0 or false expected, got boolean)",
                 wrong("slow", true))
    assert.equal("(option 'slow': seconds >= 0 or false expected, got '1')", wrong("slow", "1"))
    assert.matches("finite", wrong("slow", math.huge))
    for _, bad in ipairs { { "SIGINT", "'SIGINT'" }, { "sigurg", "'sigurg'" }, { "", "''" },
                           { 1, "1" }, { true, "boolean" } } do
      assert.equal("(option 'interrupt': the name of a signal like 'SIGURG', 'count' or 'none' "
        .. "expected, got " .. bad[2] .. ")", wrong("interrupt", bad[1]))
    end
    assert.matches("unknown option 'interupt', did you mean 'interrupt'?",
                   wrong("interupt", "none"), 1, true)
    assert.matches("unknown option 'slower', did you mean 'slow'?", wrong("slower", 1), 1, true)
  end)

  it("and scheduler refuse slices that are no time", function()
    for _, bad in ipairs { { 0, "0" }, { -1, "-1" }, { "1", "'1'" }, { 0 / 0, "nan" },
                           { -math.huge, "-inf" }, { true, "boolean" }, { {}, "table" } } do
      local text = ("(option 'timeslice': seconds > 0 or math.huge expected, got %s)")
        :format(bad[2])
      local options = { timeslice = bad[1] }
      assert.equal("bad argument #1 to 'run' " .. text,
                   (message(uvjobs.run, options, error, "ran"):gsub("%-nan", "nan")))
      assert.equal("bad argument #1 to 'scheduler' " .. text,
                   (message(uvjobs.scheduler, options):gsub("%-nan", "nan")))
    end
    assert.matches("did you mean 'timeslice'?", message(uvjobs.scheduler, { timeslise = 1 }), 1,
                   true)
  end)
end)
