-- Repetition on a scheduler: when occurrences start, and what they are.

local helper = require "spec.helper"
local repetition = require "spec.repeating.helper"
local schedule = require "uvjobs.schedule"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local START <const> = repetition.START
local plain_it, it = it, repetition.from_start(it)

-- Without debug mode, which is slow for many jobs.
local function in_2026(fn)
  return function() uvjobs.run({ clock = "virtual", date = START }, fn) end
end

-- A function that notes the times of its occurrences, since START.
local function recorder(list)
  return function(occurrence) list[#list + 1] = occurrence.time - START end
end

describe("scheduler:every", function()
  it("calls a function every so many seconds, from now on", function()
    local jobs <close> = uvjobs.scheduler()
    local times = {}
    jobs:every(5, recorder(times))
    uvjobs.sleep(22)
    assert.same({ 5, 10, 15, 20 }, times)
  end)

  plain_it("does not drift, after any number #R5", in_2026(function()
    local jobs <close> = uvjobs.scheduler()
    local last
    local repeating = jobs:every(0.1, function(occurrence) last = occurrence end)
    uvjobs.sleep(1000.05)
    assert.equal(10000, repeating.runs)
    assert.equal(START + 10000 * 0.1, last.time)
  end))

  it("takes the anchor and phase of the schedule", function()
    local jobs <close> = uvjobs.scheduler()
    local times = {}
    jobs:every(60, { anchor = START - 20, phase = 5 }, recorder(times))
    uvjobs.sleep(120)
    assert.same({ 45, 105 }, times)
  end)

  it("passes arguments on, nil too", function()
    local jobs <close> = uvjobs.scheduler()
    local got
    jobs:every(5, function(...) got = table.pack(...) end, 1, nil, 3, nil)
    uvjobs.sleep(6)
    assert.equal(5, got.n)
    assert.same({ 1, nil, 3 }, { table.unpack(got, 2, 4) })
  end)
end)

describe("scheduler:cron", function()
  it("calls a function at the times of a pattern, in a zone", function()
    local jobs <close> = uvjobs.scheduler()
    local texts = {}
    jobs:cron("30 2 * * MON-FRI", { zone = "Europe/Berlin" }, function(occurrence)
      texts[#texts + 1] = schedule.format(occurrence.time, "Europe/Berlin")
    end)
    uvjobs.sleep(86400 * 6)
    assert.same({
      "2026-01-01 02:30:00 CET", "2026-01-02 02:30:00 CET", "2026-01-05 02:30:00 CET",
      "2026-01-06 02:30:00 CET",
    }, texts)
  end)

  for _, zone in ipairs {
    "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata",
    "Australia/Lord_Howe", "Pacific/Chatham", "America/St_Johns", "Africa/Casablanca",
    "Asia/Beirut", "America/Santiago", "Pacific/Auckland", "Asia/Tehran", "Europe/London",
    "Africa/Cairo", "Antarctica/Troll", "Asia/Gaza", "America/Havana", "Europe/Dublin",
    "Pacific/Apia",
  } do
    plain_it("runs in a year what between lists, in " .. zone .. " #R14", in_2026(function()
      for _, pattern in ipairs { "30 2 * * *", "*/30 0 * * SUN#L", "0 0 L * *", "15 */3 * * *" } do
        local jobs <close> = uvjobs.scheduler()
        local times, expected = {}, {}
        local from = uvjobs.time()
        local repeating = jobs:cron(pattern, { zone = zone, fold = "both" },
          function(occurrence)
            if occurrence.time ~= uvjobs.time() then error "not at its time" end
            times[#times + 1] = occurrence.time
          end)
        uvjobs.sleep(86400 * 365)
        testing.settle()
        for time in repeating.schedule:between(from + 0.001, uvjobs.time() + 1) do
          expected[#expected + 1] = time
        end
        assert.is_true(#expected > 10)
        assert.equal(table.concat(expected, "\n"), table.concat(times, "\n"))
      end
    end))
  end
end)

describe("scheduler:at", function()
  it("calls a function once, and is over then", function()
    local jobs <close> = uvjobs.scheduler()
    local times = {}
    local once = jobs:at("2026-01-02 12:00", { zone = "UTC" }, recorder(times))
    assert.equal(START + 129600, once.next)
    assert.is_true(once:wait())
    assert.same({ 129600 }, times)
    assert.is_true(once.closed)
    assert.is_nil(once.next)
  end)

  it("calls it at once when the time has passed, unless misfire says no", function()
    local jobs <close> = helper.quiet()
    local times = {}
    local late
    jobs:at(START - 100, function(occurrence) late = occurrence.late end):wait()
    assert.equal(100, late)
    local skipped = jobs:at(START - 100, { misfire = "skip" }, recorder(times))
    skipped:wait()
    local graced = jobs:at(START - 100, { misfire_grace = 99 }, recorder(times))
    graced:wait()
    assert.same({}, times)
    assert.equal(1, skipped.missed)
    assert.equal(1, graced.missed)
  end)
end)

describe("scheduler:repeating", function()
  it("takes any schedule, and a number of seconds", function()
    local jobs <close> = uvjobs.scheduler()
    local times = {}
    local both = schedule.any { schedule.at(START + 7), schedule.every(10) }
    jobs:repeating(both, recorder(times))
    jobs:repeating(4, recorder(times))
    uvjobs.sleep(11)
    assert.same({ 4, 7, 8, 10 }, times)
  end)

  plain_it("does not hold virtual time back for a job that computes", in_2026(function()
    local jobs <close> = uvjobs.scheduler { exception_handler = helper.ignore }
    local n = 0
    jobs:every(1, function() n = n + 1 end)
    local function compute() while true do end end
    helper.raises("timeout", uvjobs.timeout, 86400, compute)
    assert.equal(86400, uvjobs.now())
    uvjobs.sleep(0.5)
    assert.equal(1, n)
    uvjobs.sleep(2)
    assert.equal(3, n)
  end))

  it("is over at once when the schedule has no more times", function()
    local jobs <close> = uvjobs.scheduler()
    local repeating = jobs:cron("0 0 0 1 1 * 2000", helper.ignore)
    assert.is_true(repeating.closed)
    assert.is_true(repeating:wait())
  end)
end)

describe("an occurrence", function()
  it("is a job under the limits of the scheduler, and the repetition takes no slot #R13",
    function()
      local jobs <close> = uvjobs.scheduler { limit = 1 }
      local times = {}
      jobs:every(5, function() times[#times + 1] = uvjobs.now() end)
      assert.equal(0, #jobs)
      jobs:spawn(uvjobs.sleep, 7)
      uvjobs.sleep(6)
      assert.equal(2, #jobs)
      assert.equal(1, jobs.pending_count)
      uvjobs.sleep(5)
      assert.same({ 7, 10 }, times)
    end)

  it("is told its time, how late it is, and its repetition", function()
    local jobs <close> = uvjobs.scheduler()
    local got
    local repeating = jobs:every(5, function(occurrence) got = occurrence end)
    uvjobs.sleep(5)
    testing.settle()
    assert.same({ time = START + 5, late = 0.0, repeating = repeating }, got)
  end)

  it("has the name and the timeout of the options", function()
    local jobs <close> = helper.quiet()
    local name, remaining
    jobs:every(5, { name = "poll", timeout = 3 }, function()
      name, remaining = uvjobs.current().name, uvjobs.remaining()
    end)
    uvjobs.sleep(6)
    assert.equal("poll", name)
    assert.equal(3, remaining)
  end)

  it("that fails is reported, and changes nothing else #R12", function()
    local errors = {}
    local jobs <close> = uvjobs.scheduler {
      exception_handler = helper.recorder(errors, "exception"),
    }
    local repeating = jobs:every(5, function() error("bad", 0) end)
    uvjobs.sleep(16)
    assert.same({ "bad", "bad", "bad" }, errors)
    assert.is_false(repeating.paused)
  end)

  it("that fails pauses the repetition when on_error says so #R12", function()
    local jobs <close> = helper.quiet()
    local repeating = jobs:every(5, { on_error = "pause" }, function() error "bad" end)
    uvjobs.sleep(60)
    assert.is_true(repeating.paused)
    assert.equal(1, repeating.runs)
    assert.is_nil(repeating.next)
    repeating:resume()
    assert.equal(START + 65, repeating.next)
  end)

  it("is dropped when the scheduler is full", function()
    local contexts = {}
    local jobs <close> = uvjobs.scheduler {
      limit = 1, pending_limit = 0, exception_handler = helper.recorder(contexts),
    }
    jobs:spawn(uvjobs.sleep, 12)
    local repeating = jobs:every(5, helper.ignore)
    uvjobs.sleep(16)
    assert.equal(2, repeating.skipped)
    assert.equal(1, repeating.runs)
    assert.equal(1, #contexts)
    assert.equal("Occurrence skipped", contexts[1].message)
    assert.equal("full", contexts[1].reason)
    assert.equal(START + 5, contexts[1].time)
    assert.equal(repeating, contexts[1].repeating)
  end)

  it("that waits for a slot and is cancelled has ended", function()
    local jobs <close> = uvjobs.scheduler { limit = 1 }
    local repeating = jobs:every(5, { overlap = "one" }, helper.ignore)
    jobs:spawn(uvjobs.sleep, 12)
    uvjobs.sleep(6)
    for job in jobs:jobs() do if job.pending then job:cancel() end end
    assert.equal(0, repeating.running)
    uvjobs.sleep(10)
    assert.equal(3, repeating.runs)
  end)
end)

describe("jitter", function()
  plain_it("delays each start by less than it, the same in each virtual run #R9", function()
    local function starts(options)
      return uvjobs.run(options, function()
        local jobs <close> = uvjobs.scheduler()
        local list = {}
        jobs:every(60, { jitter = 20 }, function(occurrence)
          assert.is_true(occurrence.late >= 0 and occurrence.late < 20)
          list[#list + 1] = occurrence.late
        end)
        uvjobs.sleep(60 * 50)
        return list
      end)
    end
    local first = starts { clock = "virtual" }
    assert.is_true(#first >= 49)
    assert.is_true(math.max(table.unpack(first)) > 10)
    assert.same(first, starts { clock = "virtual", seed = 0 })
    assert.not_same(first, starts { clock = "virtual", seed = 1 })
  end)
end)
