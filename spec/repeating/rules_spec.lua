-- The rules of a repetition, and how it ends. spec/repeat/test_repeat.c has more of them.

local helper = require "spec.helper"
local repetition = require "spec.repeating.helper"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local START <const> = repetition.START
local plain_it, it = it, repetition.from_start(it)

describe("overlap", function()
  -- Runs occurrences of 12 s every 5 s for 24 s; returns when they began and ended.
  local function play(overlap)
    local log = {}
    local jobs <close> = helper.quiet { close_timeout = 2 }
    local repeating = jobs:every(5, { overlap = overlap }, function(occurrence)
      local _ <close> = setmetatable({}, { __close = function()
        log[#log + 1] = ("%g-%g"):format(occurrence.time - START, uvjobs.now())
      end })
      uvjobs.sleep(12)
    end)
    uvjobs.sleep(24)
    repeating:stop()
    local skipped, waiting = repeating.skipped, repeating.waiting
    repeating:wait()
    return table.concat(log, " "), skipped, waiting
  end

  it("skip drops what comes while one runs #R7", function()
    local log, skipped = play "skip"
    assert.equal("5-17 20-32", log)
    assert.equal(2, skipped)
  end)

  it("one lets one wait #R7", function()
    local log, skipped = play "one"
    assert.equal("5-17 10-29", log)
    assert.equal(1, skipped)
  end)

  it("all lets all wait; stopping drops what waits #R7", function()
    local log, skipped = play "all"
    assert.equal("5-17 10-29", log)
    assert.equal(0, skipped)
  end)

  it("cancel closes what runs, and then starts #R7", function()
    local log, skipped = play "cancel"
    assert.equal("5-10 10-15 15-20 20-32", log)
    assert.equal(0, skipped)
  end)

  it("cancel kills what does not end #R7", function()
    local jobs <close> = helper.quiet { close_timeout = 2 }
    local starts = {}
    jobs:every(5, { overlap = "cancel" }, function()
      starts[#starts + 1] = uvjobs.now()
      helper.stubborn()
    end)
    uvjobs.sleep(14)
    assert.same({ 5, 12 }, starts)
    jobs:close()
  end)

  it("allow runs them side by side #R7", function()
    assert.equal("5-17 10-22 15-27 20-32", (play "allow"))
  end)

  it("tells the exception handler of the first of each row #R7", function()
    local contexts = {}
    local jobs <close> = uvjobs.scheduler { exception_handler = helper.recorder(contexts) }
    jobs:every(5, function() uvjobs.sleep(17) end)
    uvjobs.sleep(49)
    jobs:close()
    assert.equal(2, #contexts)
    assert.equal("overlap", contexts[1].reason)
    assert.equal(START + 10, contexts[1].time)
    assert.equal(START + 30, contexts[2].time)
  end)
end)

describe("a step of the date", function()
  -- Every minute; after 90 s the date is set 10 minutes ahead.
  local function leap(options)
    testing.set_date(START)
    local jobs <close> = helper.quiet()
    local times = {}
    local repeating = jobs:every(60, options, function(occurrence)
      times[#times + 1] = (occurrence.time - START) // 60
    end)
    uvjobs.sleep(90)
    testing.set_date(uvjobs.time() + 600)
    testing.settle()
    return times, repeating, repeating.next
  end

  it("forward runs the latest of the missed, and is seen in one turn #R8 #R10", function()
    local times, repeating, next_time = leap { misfire = "latest" }
    assert.same({ 1, 11 }, times)
    assert.equal(9, repeating.missed)
    assert.equal(90, uvjobs.now())
    assert.equal(START + 720, next_time)
  end)

  it("forward runs none of the missed with skip #R8", function()
    local times, repeating = leap { misfire = "skip" }
    assert.same({ 1 }, times)
    assert.equal(10, repeating.missed)
  end)

  it("forward runs all of them, in order, within the bounds #R8", function()
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 }, (leap { misfire = "all" }))
    assert.same({ 1, 9, 10, 11 }, (leap { misfire = "all", misfire_limit = 3 }))
    assert.same({ 1, 10, 11 }, (leap { misfire = "all", misfire_grace = 100 }))
  end)

  it("back runs nothing twice #R6", function()
    local jobs <close> = uvjobs.scheduler()
    local times = {}
    local repeating = jobs:every(60, function(occurrence)
      times[#times + 1] = occurrence.time - START
    end)
    uvjobs.sleep(125)
    testing.set_date(START)
    uvjobs.sleep(185)
    assert.same({ 60, 120, 180 }, times)
    assert.equal(0, repeating.missed)
  end)

  it("of a year in both directions costs no time and loses no count #R8", function()
    local jobs <close> = helper.quiet()
    local repeating = jobs:every(1, helper.ignore)
    testing.set_date(START + 31536000.5)
    testing.settle()
    assert.equal(31535999, repeating.missed)
    testing.set_date(START)
    uvjobs.sleep(1000)
    assert.equal(1, repeating.runs)
  end)
end)

describe("a repetition", function()
  it("pauses, resumes, and is triggered", function()
    local jobs <close> = uvjobs.scheduler()
    local times = {}
    local repeating = jobs:every(10, function(occurrence)
      times[#times + 1] = occurrence.time - START
    end)
    uvjobs.sleep(15)
    repeating:pause()
    uvjobs.sleep(30)
    assert.equal("active", repeating:trigger().state)
    uvjobs.sleep(3)
    repeating:resume()
    uvjobs.sleep(4)
    assert.same({ 10, 45, 50 }, times)
    assert.equal(START + 50, repeating.last)
    assert.equal(0, repeating.missed + repeating.skipped)
  end)

  it("says why a trigger starts nothing", function()
    local jobs <close> = helper.quiet()
    local repeating = jobs:every(10, function() uvjobs.sleep(1) end)
    repeating:trigger()
    assert.same({ nil, "overlap" }, { repeating:trigger() })
    repeating:stop()
    assert.same({ nil, "closed" }, { repeating:trigger() })
  end)

  it("that is stopped starts nothing, and what runs goes on #R11", function()
    local jobs <close> = uvjobs.scheduler()
    local ended = false
    local repeating = jobs:every(5, function() uvjobs.sleep(3) ended = true end)
    uvjobs.sleep(6)
    repeating:stop()
    assert.is_true(repeating:wait())
    assert.is_true(ended)
    assert.equal(8, uvjobs.now())
    uvjobs.sleep(20)
    assert.equal(1, repeating.runs)
  end)

  it("that is closed closes what runs, by force if need be #R11 #M8", function()
    local jobs <close> = helper.quiet { close_timeout = 2 }
    local repeating = jobs:every(5, { overlap = "allow" }, helper.stubborn)
    uvjobs.sleep(11)
    assert.equal(2, repeating.running)
    repeating:close()
    assert.equal(13, uvjobs.now())
    assert.equal(0, repeating.running)
    repeating:close()
    assert.equal(2, repeating.runs)
  end)

  it("can be closed by its occurrence, which goes on", function()
    local jobs <close> = uvjobs.scheduler()
    local ended
    jobs:every(5, function(occurrence)
      occurrence.repeating:close()
      uvjobs.sleep(1)
      ended = uvjobs.now()
    end):wait()
    assert.equal(6, ended)
  end)

  it("cannot be waited for by its occurrence", function()
    local jobs <close> = uvjobs.scheduler()
    local message
    jobs:every(5, function(occurrence)
      message = helper.message(occurrence.repeating.wait, occurrence.repeating)
    end)
    uvjobs.sleep(6)
    assert.equal("a job cannot wait for its own repetition", message)
  end)

  it("ends with its scheduler, however that ends #R11", function()
    for _, name in ipairs { "close", "wait_and_close" } do
      local jobs = uvjobs.scheduler()
      local ended = 0
      local repeating = jobs:every(5, function() uvjobs.sleep(3) ended = ended + 1 end)
      uvjobs.sleep(6)
      jobs[name](jobs)
      assert.is_true(repeating.closed)
      assert.equal(name == "close" and 0 or 1, ended)
      uvjobs.sleep(20)
      assert.equal(1, repeating.runs)
      helper.raises("closed", jobs.every, jobs, 5, helper.ignore)
    end
  end)

  it("wait gives up after its timeout", function()
    local jobs <close> = uvjobs.scheduler()
    assert.same({ nil, "timeout" }, { jobs:every(60, helper.ignore):wait(7) })
    assert.equal(7, uvjobs.now())
  end)

  it("goes on although nobody refers to it, and is collected when it is over", function()
    local weak = setmetatable({}, { __mode = "k" })
    local runs = 0
    do
      local jobs = uvjobs.scheduler()
      weak[jobs:every(5, function() runs = runs + 1 end)] = jobs
    end
    collectgarbage()
    uvjobs.sleep(11)
    assert.equal(2, runs)
    select(2, next(weak)):close()
    uvjobs.yield()
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)

  it("costs one timer, whatever their number, and at most 1 KB each #R13", function()
    local jobs <close> = uvjobs.scheduler()
    local before = helper.kilobytes()
    for _ = 1, 1000 do jobs:cron("0 0 1 1 *", { zone = "UTC" }, helper.ignore) end
    assert.is_true(helper.kilobytes() - before < 1000)
    assert.equal(1, uvjobs.stats().timers)
  end)

  it("survives a handler that closes it", function()
    local repeating
    local jobs <close> = uvjobs.scheduler {
      exception_handler = function() repeating:stop() end,
    }
    repeating = jobs:every(5, function() uvjobs.sleep(20) end)
    uvjobs.sleep(60)
    assert.equal(1, repeating.runs)
    assert.equal(1, repeating.skipped)
  end)

  plain_it("ends cleanly wherever its owner is cancelled or killed", function()
    for _, by in ipairs { "cancel", "kill" } do
      testing.cancel_everywhere({ by = by }, function()
        local jobs <close> = uvjobs.scheduler()
        local repeating = jobs:every(5, function() uvjobs.sleep(1) end)
        uvjobs.sleep(12)
        repeating:wait(3)
        repeating:close()
        jobs:at(uvjobs.time() + 5, helper.ignore):wait()
      end)
    end
  end)
end)

describe("repeating", function()
  it("refuses bad arguments", function()
    local jobs <close> = uvjobs.scheduler()
    local function message(name, ...)
      return helper.message(jobs[name], jobs, ...)
    end
    for _, case in ipairs {
      { "#1 to 'cron' (minute: 61 is not in 0-59, at character 1)", "cron", "61 * * * *", print },
      { "#2 to 'cron' (unknown option 'zon', did you mean 'zone'?)", "cron", "* * * * *",
        { zon = "UTC" }, print },
      { "#2 to 'every' (unknown option 'zone', known: anchor, jitter, key, misfire, "
        .. "misfire_grace, misfire_limit, name, on_error, overlap, phase, priority, timeout)",
        "every", 5,
        { zone = "UTC" }, print },
      { "#2 to 'every' (option 'overlap': 'skip', 'one', 'all', 'cancel' or 'allow' expected, " ..
        "got 'x')", "every", 5, { overlap = "x" }, print },
      { "#2 to 'every' (option 'jitter': seconds >= 0 expected, got -1)", "every", 5,
        { jitter = -1 }, print },
      { "#2 to 'every' (option 'jitter': seconds >= 0 expected, got nan)", "every", 5,
        { jitter = 0 / 0 }, print },
      { "#2 to 'every' (option 'misfire_limit': integer from 1 to 10000 expected, got 0)",
        "every", 5, { misfire_limit = 0 }, print },
      { "#1 to 'every' (seconds >= 0.001 expected, got 0)", "every", 0, print },
      { "#3 to 'every' (function expected, got nil)", "every", 5, {} },
      { "#2 to 'every' (function or table of options expected, got nil)", "every", 5 },
      { "#1 to 'repeating' (seconds >= 0.001 expected, got -1)", "repeating", -1, print },
      { "#1 to 'repeating' (uvjobs.Schedule or seconds expected, got string)", "repeating", "x",
        print },
      { "#2 to 'at' (option 'zone': a date needs one, such as 'UTC', 'local' or " ..
        "'Europe/Berlin')", "at", "2026-01-01 00:00", print },
    } do
      assert.equal("bad argument " .. case[1], message(table.unpack(case, 2, 5)))
    end
    assert.equal("bad self to 'every' (uvjobs.Scheduler expected, got table)",
      helper.message(jobs.every, {}, 5, print))
    local ok, err = pcall(function() jobs:cron("x", print) end)
    assert.is_false(ok)
    assert.truthy(err:find("rules_spec.lua:%d+: bad argument #1 to 'cron'"))
  end)

  it("has properties that are read only", function()
    local jobs <close> = uvjobs.scheduler()
    local repeating = jobs:every(5, { name = "poll" }, helper.ignore)
    assert.equal("poll", repeating.name)
    assert.equal(jobs, repeating.scheduler)
    assert.equal('uvjobs.Repeating: "poll" 0 runs', tostring(repeating))
    assert.equal("cannot set 'name' of a uvjobs.Repeating (read only)",
      helper.message(function() repeating.name = "x" end))
  end)
end)
