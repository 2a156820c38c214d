-- Jobs in the loop of another program: how they end and fail, busy jobs, run() besides step(), and
-- luv under a loop of poll(2). The simple cases are in step_spec.lua.
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local helper = require "spec.helper"
local embed = require "spec.embed.helper"

local message, raises, closing = helper.message, helper.raises, helper.closing
local readable, drive, settle = embed.readable, embed.drive, embed.settle
local start, step = uvjobs.start, uvjobs.step

describe("jobs in the loop of another program", function()
  embed.install_guard(function() drive(start(uv.fs_stat, ".")) end)

  -- ---- errors ----------------------------------------------------------------

  it("fail with the same value for whoever waits #M12", function()
    local failure = { status = 404 }
    local job
    local waiting = start(function() return pcall(job.wait, job) end)
    job = start(error, failure)
    settle()
    assert.same({ false, failure }, { waiting:wait() })
    assert.equal(failure, select(2, waiting:wait()))
    assert.equal(failure, select(2, pcall(job.wait, job)))
    assert.equal("failed", job.state)
  end)

  it("are reported by the default handler when nobody waits, and the host goes on", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      local job = uvjobs.start({ name = "guest" }, function() error("out of order", 0) end)
      local other = uvjobs.start(function() return "fine" end)
      print(uvjobs.step(), job.state, other:wait())
      print(pcall(job.wait, job))
    ]]
    assert.equal("false\tfailed\tfine\nfalse\tout of order\n", r.out)
    assert.matches("out of order", r.err, 1, true)
    assert.matches('"guest"', r.err, 1, true)
    assert.equal(0, r.status)
  end)

  it("have their spawned jobs' errors in the handler of the scheduler", function()
    local failures = helper.log()
    local scheduler = uvjobs.scheduler {
      exception_handler = function(_, context)
        assert.is_nil(uvjobs.current())
        failures:add(context.exception)
      end,
    }
    scheduler:spawn(error, "one", 0)
    start(scheduler.spawn, scheduler, error, "two", 0)
    settle()
    assert.same({ "one", "two" }, failures)
  end)

  -- ---- the end of jobs ---------------------------------------------------------

  it("run their clean-up over several steps when they are cancelled #M7", function()
    local log = helper.log()
    local job = start(function()
      local _ <close> = closing(function()
        uvjobs.protect(uvjobs.sleep, 0.002)
        log:add "cleaned up"
      end)
      uvjobs.sleep(60)
    end)
    step()
    job:cancel()
    assert.equal("closing", job.state)
    assert.same({}, log)
    drive(job)
    assert.same({ "cleaned up" }, log)
    assert.equal("cancelled", job.state)
  end)

  it("are dropped when they are cancelled before the first step", function()
    local ran = false
    local job = start(function() ran = true end)
    job:cancel()
    settle()
    assert.is_false(ran)
    assert.equal("cancelled", job.state)
  end)

  it("are killed by a step after their close timeout #M8", function()
    local messages = helper.log()
    local scheduler = uvjobs.scheduler {
      close_timeout = 0.02,
      exception_handler = helper.recorder(messages, "message"),
    }
    local stubborn = scheduler:spawn(function()
      while true do pcall(uvjobs.sleep, 60) end
    end)
    settle()
    local closer = start(function() scheduler:close() end)
    drive(closer)
    assert.equal("killed", stubborn.state)
    assert.is_true(scheduler.closed)
    assert.same({ "Job closing timed out" }, messages)
    assert.equal("closed", uvjobs.code(select(2, pcall(scheduler.spawn, scheduler, print))))
    assert.is_false(readable())
  end)

  it("may close the scheduler of a started job, their own too #M9", function()
    local sleeper = start(uvjobs.sleep, 60)
    local closer = start(function()
      sleeper.scheduler:close()
      uvjobs.current().scheduler:close()
      uvjobs.sleep(60)
    end)
    drive(closer)
    assert.equal("cancelled", sleeper.state)
    assert.equal("cancelled", closer.state)
    assert.is_true(sleeper.scheduler.closed and closer.scheduler.closed)
  end)

  it("end with the Lua state, by their clean-up #M14", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      local uv = require "uvjobs.uv"
      local function announce(name)
        return setmetatable({}, { __close = function() print(name) end })
      end
      uvjobs.start(function()
        local _ <close> = announce "sleep"
        uvjobs.sleep(60)
      end)
      uvjobs.start(function()
        local timer <close> = uv.new_timer()
        local _ <close> = announce "timer"
        timer:start(60000)
        timer:next()
      end)
      uvjobs.start(function()
        local _ <close> = announce "inner job"
        uvjobs.all { function()
          local _ <close> = announce "innermost job"
          uvjobs.event():wait()
        end }
      end)
      uvjobs.step()
      uvjobs.step()
      uvjobs.start(print, "never")
      print "end"
    ]]
    assert.equal("", r.err)
    assert.equal(0, r.status)
    for _, line in ipairs { "sleep", "timer", "inner job", "innermost job" } do
      assert.matches("\n" .. line .. "\n", r.out, 1, true)
    end
    assert.matches("^end\n", r.out)
    assert.not_matches("never", r.out)
  end)

  -- ---- busy jobs -----------------------------------------------------------------

  it("are interrupted at their deadline within a step", function()
    local job = start({ timeout = 0.02 }, pcall, helper.forever)
    step()
    local ok, err = job:wait()
    assert.is_false(ok)
    assert.equal("timeout", uvjobs.code(err))
  end)

  -- A program with a job that goes on after its deadline.
  local GOES_ON <const> = [[
    local uvjobs = require "uvjobs"
    local job = uvjobs.start({ timeout = %g }, function()
      local _ <close> = setmetatable({}, { __close = function(_, err)
        print("clean-up after", uvjobs.code(err))
      end })
      while true do
        pcall(function() while true do end end)
      end
    end)
    print(uvjobs.step())
    print(job.state, uvjobs.code(select(2, pcall(job.wait, job))))
  ]]

  -- On a slow machine the deadline can pass before the job calls pcall().
  local function check_is_killed(before)
    local r = helper.lengthen(0.01, function(seconds)
      local r = helper.child(before .. GOES_ON:format(seconds))
      return not r.out:find "after\ttimeout", r
    end)
    assert.equal("clean-up after\tkilled\nfalse\nkilled\tkilled\n", r.out)
    assert.matches("Job closing timed out", r.err, 1, true)
    assert.equal(0, r.status)
  end

  it("are killed within a step when they go on", function()
    check_is_killed ""
  end)

  it("are killed within a step after a test that has taken too long", function()
    check_is_killed [[
      require "uvjobs.testing".wrap({ timeout = 1 }, function()
        pcall(function() while true do end end)
      end)()
    ]]
  end)

  it("give way at the end of their time slice", function()
    local done = false
    local busy = start({ timeslice = 0.002 }, function()
      while not done do end
      return "was busy"
    end)
    local other = start(function() done = true end)
    assert.is_true(step())
    assert.is_true(readable())
    settle()
    assert.is_true(busy.preemptions >= 1)
    assert.equal("done", other.state)
    assert.equal("was busy", busy:wait())
  end)

  it("hold the loop with interrupt = 'none', and not with 'count'", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      local function burn()
        local stop = uvjobs.now() + 0.1
        while uvjobs.now() < stop do end
        return "to the end"
      end
      local job = uvjobs.start({ interrupt = "none", timeout = 0.01 }, burn)
      uvjobs.step()
      print(job.state, job:wait())
      job = uvjobs.start({ interrupt = "count", timeout = 0.01 }, pcall, function()
        while true do end
      end)
      uvjobs.step()
      print(uvjobs.code(select(2, job:wait())))
    ]]
    assert.same({ status = 0, out = "done\tto the end\ntimeout\n", err = "" }, r)
  end)

  it("are reported while they hold a step for longer than slow", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      local reported
      local watched = uvjobs.scheduler {
        exception_handler = function(_, context) reported = context end,
      }
      uvjobs.start({ slow = 0.01 }, function() end)
      watched:spawn({ name = "greedy" }, function()
        while not reported do end
      end)
      uvjobs.step()
      print(reported.message, reported.job.name, reported.seconds >= 0.01)
    ]]
    assert.same({ status = 0, out = "Job blocks the loop\tgreedy\ttrue\n", err = "" }, r)
  end)

  -- ---- run beside step --------------------------------------------------------------

  it("go on in run, and are closed at its end", function()
    local ticks, event = 0, uvjobs.event()
    local cleaned = false
    local job = start(function()
      local _ <close> = closing(function() cleaned = true end)
      while true do
        ticks = ticks + 1
        if ticks == 3 then event:set() end
        uvjobs.sleep(0.001)
      end
    end)
    step()
    assert.equal("main", uvjobs.run(function()
      event:wait()
      return "main"
    end))
    assert.is_true(ticks >= 3)
    assert.is_true(cleaned)
    assert.equal("cancelled", job.state)
    assert.is_true(job.scheduler.closed)
    assert.is_false(step())
    assert.is_false(readable())
  end)

  it("that were never stepped run in run, too", function()
    local job = start(function() return "ran" end)
    uvjobs.run(function() assert.equal("ran", job:wait()) end)
    assert.equal("done", job.state)
  end)

  it("may be started in run, where they run, and are closed with it", function()
    local sleeper, quick
    uvjobs.run(function()
      sleeper = start(uvjobs.sleep, 60)
      quick = start(function() return "quick" end)
      assert.equal("active", quick.state)
      assert.equal("quick", quick:wait())
    end)
    assert.equal("cancelled", sleeper.state)
  end)

  it("cannot change the options of the loop while it runs", function()
    for option, value in pairs { slow = 1, stats = true, interrupt = "none" } do
      local expected = ("bad argument #1 to 'start' (option '%s' cannot be given while the "
        .. "loop runs)"):format(option)
      uvjobs.run(function()
        assert.equal(expected, message(start, { [option] = value }, print))
      end)
      local job = start(function() return message(start, { [option] = value }, print) end)
      settle()
      assert.equal(expected, job:wait())
    end
  end)

  it("can be started and stepped again after run, and so on", function()
    for i = 1, 3 do
      local job = start(uvjobs.sleep, 0.001)
      drive(job)
      assert.equal("done", job.state)
      assert.equal(i, uvjobs.run(function()
        uvjobs.sleep(0.001)
        return i
      end))
    end
  end)

  it("keep the virtual clock from running while they wait for real time", function()
    local expected = "jobs wait for the real time that were started outside run: its clock "
      .. "cannot be virtual"
    local job = start(uvjobs.sleep, 60)
    step()
    assert.equal(expected, message(helper.virtual, print))
    assert.equal("active", job.state)
    job:cancel()
    settle()
    assert.equal(3600, helper.virtual(function()
      uvjobs.sleep(3600)
      return uvjobs.now()
    end))
    local due = uvjobs.now() + 0.002
    drive(start(uvjobs.sleep, 0.002))
    assert.is_true(uvjobs.now() >= due)
  end)

  it("let run_stuck be raised only when they cannot be woken either", function()
    local event = uvjobs.event()
    start(function()
      uvjobs.sleep(0.002)
      event:set()
    end)
    assert.is_true(uvjobs.run(function() return event:wait() end))
    start(function() pcall(event.wait, uvjobs.event()) end)
    local text = message(uvjobs.run, function() uvjobs.event():wait() end)
    assert.matches("^run is stuck", text)
    raises("timeout", uvjobs.run, uvjobs.timeout, 0.001, function() uvjobs.event():wait() end)
  end)
end)
