-- uvjobs.schedule: when something is to happen.

local helper = require "spec.helper"
local schedule = require "uvjobs.schedule"

local BERLIN <const> = { zone = "Europe/Berlin" }
local DAY <const> = 86400

--- 2026-01-01 00:00 UTC
local NEW_YEAR <const> = 1767225600

--- The first `count` times after `from`, as texts in the zone.
local function times(self, from, count, zone)
  local texts, time = {}, from
  for _ = 1, count do
    time = self:next(time)
    texts[#texts + 1] = time and schedule.format(time, zone or "UTC") or "never"
    if not time then break end
  end
  return table.concat(texts, ", ")
end

local function utc(pattern)
  return schedule.cron(pattern, { zone = "UTC" })
end

--- Checks messages of bad arguments: a list of function, arguments, which can be nil, and message.
local function check_messages(cases)
  for _, case in ipairs(cases) do
    local last = 0
    for i in pairs(case) do last = math.max(last, i) end
    assert.equal(case[last], helper.message(case[1], table.unpack(case, 2, last - 1)))
  end
end

describe("a cron pattern", function()
  it("has a next and a previous time #R1 #R2", function()
    local daily = utc "30 2 * * *"
    assert.equal("2026-01-01 02:30:00 UTC, 2026-01-02 02:30:00 UTC", times(daily, NEW_YEAR, 2))
    assert.equal(NEW_YEAR + 9000.0, daily:next(NEW_YEAR))
    assert.equal(NEW_YEAR + 9000.0, daily:next(NEW_YEAR + 8999.5))
    assert.equal(NEW_YEAR + 9000.0 + DAY, daily:next(NEW_YEAR + 9000))
    assert.equal(NEW_YEAR + 9000.0 - DAY, daily:previous(NEW_YEAR + 9000))
    assert.equal(NEW_YEAR + 9000.0, daily:previous(NEW_YEAR + 9000.5))
    assert.equal("float", math.type(daily:next(NEW_YEAR)))
  end)

  it("ends with the year 2199 #R1", function()
    local last = utc "0 0 0 31 12 * 2199"
    assert.equal("2199-12-31 00:00:00 UTC, never", times(last, NEW_YEAR, 2))
    assert.is_nil(last:previous(NEW_YEAR))
    assert.is_nil(utc "* * * * *":next(1e12))
    assert.is_nil(utc "* * * * *":previous(-1e12))
    assert.equal(0.0, utc "* * * * *":next(-1e12))
  end)

  it("lists the times of a span, from its begin to before its end #R2", function()
    local found = {}
    for time in utc "0 */6 * * *":between(NEW_YEAR, NEW_YEAR + DAY) do
      found[#found + 1] = time - NEW_YEAR
    end
    assert.same({ 0.0, 21600.0, 43200.0, 64800.0 }, found)
    assert.is_nil(utc "0 0 * * *":between(NEW_YEAR + 1, NEW_YEAR + 2)())
  end)

  it("runs at the first instant after a gap, or not #R3", function()
    local before = 1774656000 -- 2026-03-28 01:00 in Berlin, the day before the change
    local run = schedule.cron("30 2 * * *", BERLIN)
    local skip = schedule.cron("30 2 * * *", { zone = "Europe/Berlin", gap = "skip" })
    assert.equal("2026-03-28 02:30:00 CET, 2026-03-29 03:00:00 CEST, 2026-03-30 02:30:00 CEST",
      times(run, before, 3, "Europe/Berlin"))
    assert.equal("2026-03-28 02:30:00 CET, 2026-03-30 02:30:00 CEST",
      times(skip, before, 2, "Europe/Berlin"))
    local both = schedule.cron("0,30 2,3 * * *", BERLIN)
    assert.equal("2026-03-29 03:00:00 CEST, 2026-03-29 03:30:00 CEST",
      times(both, 1774742400, 2, "Europe/Berlin"))
  end)

  it("runs at the end of a gap also when it is asked just before #R1 #R3", function()
    local gap_end = 1774746000 -- 2026-03-29 03:00 in Berlin
    local nightly = schedule.cron("30 2 * * *", BERLIN)
    for _, before in ipairs { 1e-3, 0.5, 1, 1.5, 3600 } do
      assert.equal(gap_end + 0.0, nightly:next(gap_end - before))
    end
    assert.equal(gap_end + 86400 - 1800.0, nightly:next(gap_end))
    local each_second = schedule.cron("* * 1,2 * * *", BERLIN)
    assert.equal(gap_end - 1.0, each_second:next(gap_end - 2))
    assert.equal(gap_end + 0.0, each_second:next(gap_end - 1))
    assert.equal(gap_end - 1.0, each_second:previous(gap_end))
    assert.is_nil(nightly:except(nightly):next(gap_end - 9))
  end)

  it("runs in a fold at its first time, its second, or both #R4", function()
    local before = 1792879200 -- 2026-10-25 00:00 in Berlin, the day of the change
    local expected = {
      first = "2026-10-25 02:30:00 CEST, 2026-10-26 02:30:00 CET",
      second = "2026-10-25 02:30:00 CET, 2026-10-26 02:30:00 CET",
      both = "2026-10-25 02:30:00 CEST, 2026-10-25 02:30:00 CET",
    }
    for fold, texts in pairs(expected) do
      local self = schedule.cron("30 2 * * *", { zone = "Europe/Berlin", fold = fold })
      assert.equal(texts, times(self, before, 2, "Europe/Berlin"))
    end
  end)

  it("goes on by elapsed time when its hours are an interval #R4", function()
    local hourly = schedule.cron("0 * * * *", BERLIN)
    for _, from in ipairs { 1774738800, 1792875600 } do
      for time in hourly:between(from, from + 8 * 3600) do
        assert.equal(0, (time - from) % 3600)
        assert.equal(time + 3600, hourly:next(time))
      end
    end
  end)

  it("takes midnight for a time like others, also where it does not exist #R3", function()
    -- Sao Paulo put its clocks forward at midnight, until 2018.
    local daily = schedule.cron("0 0 * * *", { zone = "America/Sao_Paulo" })
    assert.equal("2018-11-03 00:00:00 -03, 2018-11-04 01:00:00 -02, 2018-11-05 00:00:00 -02",
      times(daily, 1541200000, 3, "America/Sao_Paulo"))
  end)

  it("is refused with what is wrong, and where #R16", function()
    local cron = schedule.cron
    check_messages {
      { cron, "61 * * * *",
        "bad argument #1 to 'cron' (minute: 61 is not in 0-59, at character 1)" },
      { cron, "0 0 30 2 *", "bad argument #1 to 'cron' (never matches before 2200)" },
      { cron, "* * * *", "bad argument #1 to 'cron' (4 fields, but 5 are wanted (minute, " ..
        "hour, day of month, month, day of week), 6 with seconds, 7 with years)" },
      { cron, "@reboot",
        "bad argument #1 to 'cron' (@reboot is not supported: it names no time)" },
      { cron, 5, "bad argument #1 to 'cron' (string expected, got number)" },
      { cron, "0 0 * * *\0", "bad argument #1 to 'cron' (day of week: '?' does not belong " ..
        "here, at character 10)" },
      { cron, "@daily", { zone = "Europe/Berln" }, "bad argument #2 to 'cron' (option " ..
        "'zone': unknown zone 'Europe/Berln', did you mean 'Europe/Berlin'?)" },
      { cron, "@daily", { zone = "../localtime" }, "bad argument #2 to 'cron' (option " ..
        "'zone': '../localtime' is no name of a zone, as 'Europe/Berlin' is one)" },
      { cron, "@daily", { zone = "/etc/localtime" }, "bad argument #2 to 'cron' (option " ..
        "'zone': '/etc/localtime' is no name of a zone, as 'Europe/Berlin' is one)" },
      { cron, "@daily", { zone = "Europe" }, "bad argument #2 to 'cron' (option 'zone': " ..
        "unknown zone 'Europe')" },
      { cron, "@daily", { zoen = "UTC" }, "bad argument #2 to 'cron' (unknown option " ..
        "'zoen', did you mean 'zone'?)" },
      { cron, "@daily", { gap = "shift" }, "bad argument #2 to 'cron' (option 'gap': 'run' " ..
        "or 'skip' expected, got 'shift')" },
      { cron, "@daily", { fold = 1 }, "bad argument #2 to 'cron' (option 'fold': 'first', " ..
        "'second' or 'both' expected, got 1)" },
      { cron, "@daily", "UTC", "bad argument #2 to 'cron' (table expected, got string)" },
    }
  end)
end)

describe("a period", function()
  it("does not drift #R5", function()
    local every = schedule.every(0.1)
    for n = 1, 100 do
      assert.equal(0.0 + (17672256000 + n) * 0.1, every:next((17672256000 + n - 1) * 0.1))
    end
    assert.equal(1e9 + 0.001 * 5000000, schedule.every(0.001, { anchor = 1e9 }):next(
      1e9 + 0.001 * 4999999))
  end)

  it("is counted from an anchor and a phase", function()
    local every = schedule.every(3600, { anchor = 1800, phase = 120 })
    assert.equal(1920.0, every:next(0))
    assert.equal(1920.0 + 3600, every:next(1920))
    assert.equal(1920.0, every:previous(1921))
  end)

  it("is refused below a millisecond, and where it is no number", function()
    check_messages {
      { schedule.every, 0, "bad argument #1 to 'every' (seconds >= 0.001 expected, got 0)" },
      { schedule.every, 0 / 0,
        "bad argument #1 to 'every' (seconds >= 0.001 expected, got nan)" },
      { schedule.every, -1, "bad argument #1 to 'every' (seconds >= 0.001 expected, got -1)" },
      { schedule.every, math.huge,
        "bad argument #1 to 'every' (seconds >= 0.001 expected, got inf)" },
      { schedule.every, "1", "bad argument #1 to 'every' (seconds >= 0.001 expected, got '1')" },
      { schedule.every, 1, { anchor = math.huge }, "bad argument #2 to 'every' (option " ..
        "'anchor': seconds since 1970 expected, got inf)" },
    }
  end)
end)

describe("a single time", function()
  it("comes once", function()
    local at = schedule.at(NEW_YEAR + 0.5)
    assert.equal(NEW_YEAR + 0.5, at:next(0))
    assert.is_nil(at:next(NEW_YEAR + 0.5))
    assert.equal(NEW_YEAR + 0.5, at:previous(NEW_YEAR + 1))
    assert.is_nil(at:previous(NEW_YEAR + 0.5))
  end)

  it("is read from a date in a zone, or with an offset", function()
    local function instant(...) return schedule.at(...):next(0) end
    assert.equal(1792888200.0, instant("2026-10-25 02:30", BERLIN))
    assert.equal(1792891800.0,
      instant("2026-10-25 02:30:00", { zone = "Europe/Berlin", fold = "second" }))
    assert.equal(1774746000.0, instant("2026-03-29T02:30", BERLIN))
    assert.equal(1792895400.0, instant "2026-10-25T02:30Z")
    assert.equal(1792891800.0, instant "2026-10-25T02:30:00+01:00")
    assert.equal(1792891800.0, instant "2026-10-24 21:30-0400")
    assert.equal(951782400.0, instant("2000-02-29 00:00", { zone = "UTC" }))
  end)

  it("is refused without a zone, in a gap that is skipped, and where it is no date", function()
    local at = schedule.at
    local wanted = "a date and a time as 'YYYY-MM-DD hh:mm[:ss]' expected, got "
    check_messages {
      { at, "2026-10-25 02:30", "bad argument #2 to 'at' (option 'zone': a date needs one, " ..
        "such as 'UTC', 'local' or 'Europe/Berlin')" },
      { at, "2026-03-29 02:30", { zone = "Europe/Berlin", gap = "skip" }, "bad argument #1 " ..
        "to 'at' ('2026-03-29 02:30' does not exist in Europe/Berlin: it never happens)" },
      { at, "2026-02-29 00:00", "bad argument #1 to 'at' (" .. wanted .. "'2026-02-29 00:00')" },
      { at, "2026-01-01 24:00", "bad argument #1 to 'at' (" .. wanted .. "'2026-01-01 24:00')" },
      { at, "tomorrow", "bad argument #1 to 'at' (" .. wanted .. "'tomorrow')" },
      { at, "2026-01-01 00:00+24:00", "bad argument #1 to 'at' (" .. wanted ..
        "'2026-01-01 00:00+24:00')" },
      { at, "2026-01-01 00:00Z", { zone = "Europe/Berln" }, "bad argument #2 to 'at' (option " ..
        "'zone': unknown zone 'Europe/Berln', did you mean 'Europe/Berlin'?)" },
    }
  end)

  it("is refused where it is no time of the years 1970 to 2199", function()
    local at = schedule.at
    local wanted = "bad argument #1 to 'at' (seconds since 1970, up to the year 2199 expected, got "
    check_messages {
      { at, 0 / 0, wanted .. "nan)" },
      { at, nil, wanted .. "nil)" },
      { at, 7258204800, wanted .. "7258204800)" },
      { at, -93601, wanted .. "-93601)" },
      { at, "2200-01-02 00:00Z", wanted .. "'2200-01-02 00:00Z')" },
      { at, "0000-01-01 00:00Z", wanted .. "'0000-01-01 00:00Z')" },
    }
    assert.equal(-3600.0, at("1970-01-01 00:00", { zone = "Europe/Berlin" }):next(-1e12))
    assert.equal("2199-12-31 23:59:59 UTC", schedule.format(
      at("2199-12-31 23:59:59Z"):next(0), "UTC"))
  end)
end)

describe("a set of schedules", function()
  it("has the times of all of its parts, each once", function()
    local any = schedule.any { utc "0 0 * * *", utc "0 */12 * * *", schedule.at(NEW_YEAR + 1) }
    assert.equal("2026-01-01 00:00:00 UTC, 2026-01-01 00:00:01 UTC, 2026-01-01 12:00:00 UTC",
      times(any, NEW_YEAR - 1, 3))
    assert.equal(NEW_YEAR + 0.0, any:previous(NEW_YEAR + 1))
  end)

  it("leaves out what it excepts", function()
    local workdays = utc "0 9 * * MON-FRI"
    local closed = utc "* * 24-26 12 *"
    local open = workdays:except(closed)
    assert.equal("2026-12-23 09:00:00 UTC, 2026-12-28 09:00:00 UTC",
      times(open, 1797984000, 2))
    assert.equal("2026-12-23 09:00:00 UTC", schedule.format(open:previous(1798416000), "UTC"))
  end)

  it("has no times when it excepts all of them", function()
    local every = schedule.every(1)
    assert.is_nil(every:except(every):next(0))
    assert.is_nil(utc "0 0 1 1 *":except(utc "@daily"):next(0))
  end)

  it("of sets of sets has what they say", function()
    local quarters = utc "*/15 * * * *"
    local halves = utc "*/30 * * * *"
    local odd = quarters:except(halves:except(utc "0 * * * *")) -- 0, 15, 45
    assert.equal("2026-01-01 00:15:00 UTC, 2026-01-01 00:45:00 UTC, 2026-01-01 01:00:00 UTC",
      times(odd, NEW_YEAR, 3))
    local rest = quarters:except(schedule.any { halves, schedule.any { utc "15 * * * *" } })
    assert.equal("2026-01-01 00:45:00 UTC, 2026-01-01 01:45:00 UTC", times(rest, NEW_YEAR, 2))
    assert.equal(NEW_YEAR - 900.0, rest:previous(NEW_YEAR))
  end)

  it("ends its search after 10,000 times, however deep it is", function()
    local every = schedule.every(1)
    for _ = 1, 300 do every = every:except(schedule.every(1)) end
    assert.is_nil(every:next(0))
    assert.is_nil(every:previous(1e9))
  end)

  it("is refused when it is very deep or wide, and its text stays short", function()
    local deep, wide = schedule.every(1), schedule.every(1)
    for _ = 1, 999 do deep = deep:except(utc "@yearly") end
    assert.equal("bad argument #1 to 'except' (more than 1000 schedules in all)",
      helper.message(deep.except, deep, utc "@daily"))
    for _ = 1, 9 do wide = schedule.any { wide, wide } end
    assert.equal("bad argument #1 to 'any' (more than 1000 schedules in all)",
      helper.message(schedule.any, { wide, wide }))
    local chain = schedule.any { schedule.every(1) }
    for _ = 1, 998 do chain = schedule.any { chain } end
    assert.equal("bad argument #1 to 'any' (more than 1000 schedules in all)",
      helper.message(schedule.any, { chain }))
    assert.equal(6.0, chain:next(5))
    assert.is_true(#tostring(deep) < 300 and #tostring(wide) < 300)
    assert.equal(6.0, deep:next(5))
  end)

  it("keeps its parts", function()
    local any = schedule.any { utc "0 0 * * *":except(utc "0 0 1 * *") }
    collectgarbage()
    collectgarbage()
    assert.equal("2026-01-02 00:00:00 UTC", times(any, NEW_YEAR - 1, 1))
  end)

  it("is refused when it has no schedules", function()
    check_messages {
      { schedule.any, "bad argument #1 to 'any' (list of schedules expected, got nil)" },
      { schedule.any, {}, "bad argument #1 to 'any' (1 to 100 schedules expected, got 0)" },
      { schedule.any, { utc "@daily", 5 },
        "bad argument #1 to 'any' (uvjobs.Schedule expected as element 2, got number)" },
      { utc "@daily".except, utc "@daily", "x",
        "bad argument #1 to 'except' (uvjobs.Schedule expected, got string)" },
    }
  end)
end)

describe("explain", function()
  it("says for a day when a pattern runs, or why it does not", function()
    local nightly = schedule.cron("30 2 * * *", BERLIN)
    assert.equal("02:30 runs", nightly:explain "2026-06-01")
    assert.equal("02:30 does not exist; runs at 03:00 (gap = run)", nightly:explain "2027-03-28")
    assert.equal("02:30 occurs twice; runs the first time, in CEST (fold = first)",
      nightly:explain "2026-10-25")
    assert.equal("does not run on this day; the next that matches is 2027-03-01 00:00",
      utc "0 0 1 3 *":explain "2026-03-02")
    assert.equal("does not run on this day, nor later",
      utc "0 0 0 1 1 * 2026":explain "2026-01-02")
  end)

  it("names the policy by which a time is left out, or runs twice", function()
    local function explain(pattern, date, gap, fold)
      return schedule.cron(pattern, { zone = "Europe/Berlin", gap = gap, fold = fold })
        :explain(date)
    end
    assert.equal("02:30 does not exist; left out (gap = skip)",
      explain("30 2 * * *", "2027-03-28", "skip"))
    assert.equal("02:30 occurs twice; runs the second time, in CET (fold = second)",
      explain("30 2 * * *", "2026-10-25", nil, "second"))
    assert.equal("02:30 occurs twice; runs both times (fold = both)",
      explain("30 2 * * *", "2026-10-25", nil, "both"))
    assert.equal("01:00 runs\n02:00 does not exist; left out (the hours are an interval)\n" ..
      "03:00 runs", explain("0 1-3 * * *", "2027-03-28"))
    assert.equal("02:00 occurs twice; runs both times (the hours are an interval)",
      explain("0 2-2 * * *", "2026-10-25"))
  end)

  it("is short", function()
    local lines = select(2, utc "* * * * * *":explain "2026-01-01":gsub("\n", "\n"))
    assert.equal(24, lines)
    assert.truthy(utc "* * * * * *":explain "2026-01-01":find "\nand 86376 times more$")
    assert.equal("12:00 UTC runs", schedule.every(DAY, { phase = 43200 }):explain "2026-01-01")
    assert.equal("does not run on this day", schedule.at(0):explain "2026-01-01")
    assert.truthy(schedule.every(0.001):explain "2026-01-01"
      :find "\nand at least 100000 times more$")
  end)

  it("refuses what is no date", function()
    check_messages {
      { utc "@daily".explain, utc "@daily", "2026-02-30",
        "bad argument #1 to 'explain' (a date as 'YYYY-MM-DD' expected, got '2026-02-30')" },
      { utc "@daily".explain, utc "@daily", nil,
        "bad argument #1 to 'explain' (a date as 'YYYY-MM-DD' expected, got nil)" },
      { utc "@daily".explain, 7, "2026-02-28",
        "bad self to 'explain' (uvjobs.Schedule expected, got number)" },
    }
  end)
end)

describe("methods of schedules", function()
  it("take all times that they do not refuse", function()
    local first = schedule.any { utc "@yearly" }:between(-1e12, 1e12)()
    assert.equal(0.0, first)
    assert.is_nil(utc "@yearly":between(1e12, 1e12)())
  end)

  it("refuse what is no time, and what is no schedule", function()
    local daily = utc "@daily"
    check_messages {
      { daily.next, daily, "bad argument #1 to 'next' (number expected, got no value)" },
      { daily.next, daily, 0 / 0, "bad argument #1 to 'next' (seconds since 1970 expected)" },
      { daily.previous, daily, math.huge,
        "bad argument #1 to 'previous' (seconds since 1970 expected)" },
      { daily.next, {}, 0, "bad self to 'next' (uvjobs.Schedule expected, got table)" },
      { daily.between, daily, 0, "x",
        "bad argument #2 to 'between' (seconds since 1970 expected, got 'x')" },
      { schedule.format, 0, "Europe/Lonon", "bad argument #2 to 'format' (unknown zone " ..
        "'Europe/Lonon', did you mean 'Europe/London'?)" },
    }
  end)

  it("have a text for people", function()
    assert.equal('uvjobs.Schedule: cron "@daily" in UTC', tostring(utc "@daily"))
    assert.equal("uvjobs.Schedule: any of {every 5 s, at 0}, except every 10 s", tostring(
      schedule.any { schedule.every(5), schedule.at(0) }:except(schedule.every(10))))
  end)
end)
