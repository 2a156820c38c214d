-- The Open Cron Pattern Specification, section by section: each rule of 1.0 to 1.4 and each of
-- its examples. Two recommendations are not followed; the last describe says which.
-- https://github.com/open-source-cron/ocps

local helper = require "spec.helper"
local schedule = require "uvjobs.schedule"

local UTC <const> = { zone = "UTC" }

-- 2025-07-01 00:00:00 UTC, a Tuesday, is 1751328000; times are asked for from a second before.
local JULY_2025 <const> = 1751328000

--- The first times of a pattern from July 2025 on, as "YYYY-MM-DD hh:mm:ss, ...".
local function times(pattern, count)
  local made, time, texts = schedule.cron(pattern, UTC), JULY_2025 - 1, {}
  for i = 1, count do
    time = made:next(time)
    if not time then break end
    texts[i] = schedule.format(time, "UTC"):sub(1, -5)
  end
  return table.concat(texts, ", ")
end

--- Checks pattern by pattern: { pattern, times as texts }.
local function fires(cases)
  for _, case in ipairs(cases) do
    local _, commas = case[2]:gsub(",", "")
    assert.equal(case[2], times(case[1], commas + 1), case[1])
  end
end

--- Checks that two patterns mean the same.
local function same(cases)
  for _, case in ipairs(cases) do
    assert.equal(times(case[2], 40), times(case[1], 40), case[1])
  end
end

local function refused(patterns)
  for _, pattern in ipairs(patterns) do
    assert.truthy(helper.message(schedule.cron, pattern, UTC)
      :find("^bad argument #1 to 'cron' %(.+%)$"), pattern)
  end
end

describe("OCPS 1.0", function()
  it("4.1: has five fields, with white space around and between them", function()
    same {
      { "  30 2 * * *  ", "30 2 * * *" }, { "\t30\t 2 *\t\t* *\t", "30 2 * * *" },
    }
    refused { "", " ", "* * * *", "30", "* * * * * * * *" }
  end)

  it("4.1, 4.3: refuses characters that it does not know", function()
    refused {
      "5x * * * *", "* * * * MON!", "* * * * $", "* * * * %", "*\n* * * *", "* * * * *;",
      "* * * * \u{2217}", "1.5 * * * *", "-1 * * * *", "~ * * * *", "1_0 * * * *", "* * * * M-ON",
      "0x1 * * * *", "\u{ff11} * * * *", "H * * * *",
    }
  end)

  it("4.2: takes the values of each field, and no other", function()
    fires {
      { "0 0 1 1 0", "2026-01-01 00:00:00, 2026-01-04 00:00:00" },
      { "59 23 31 12 *", "2025-12-31 23:59:00" },
    }
    refused {
      "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *", "* * * * 8",
      "0-60 * * * *", "* 0-24 * * *", "* * 0-5 * *", "* * 1-32 * *", "* * * 0-3 *", "* * * 1-13 *",
      "* * * * 0-8", "1,60 * * * *", "99999999999999999999 * * * *",
    }
  end)

  it("4.2: has names for months and days, in any case", function()
    local months = { "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV",
      "DEC" }
    for number, name in ipairs(months) do
      local mixed = name:sub(1, 1) .. name:sub(2):lower()
      for _, text in ipairs { name, name:lower(), mixed } do
        same { { "0 0 1 " .. text .. " *", ("0 0 1 %d *"):format(number) } }
      end
    end
    for number, name in ipairs { "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT" } do
      local mixed = name:sub(1, 2):lower() .. name:sub(3)
      for _, text in ipairs { name, name:lower(), mixed } do
        same { { "0 0 * * " .. text, ("0 0 * * %d"):format(number - 1) } }
      end
    end
    same {
      { "0 0 1 JAN,jul *", "0 0 1 1,7 *" }, { "0 0 1 FEB-APR *", "0 0 1 2-4 *" },
      { "0 0 * * mon-FRI", "0 0 * * 1-5" }, { "0 0 1 JAN-DEC/3 *", "0 0 1 */3 *" },
    }
    refused { "0 0 1 JANUARY *", "0 0 1 MON *", "0 0 * * JAN", "JAN * * * *", "0 0 * * SUNDAY" }
  end)

  it("4.2: 0 and 7 are Sunday", function()
    same { { "0 0 * * 7", "0 0 * * 0" }, { "0 0 * * SUN", "0 0 * * 7" },
      { "0 0 * * 5-7", "0 0 * * 0,5,6" }, { "0 0 * * 0-7", "0 0 * * *" } }
    fires { { "0 0 * * 7", "2025-07-06 00:00:00, 2025-07-13 00:00:00" } }
  end)

  it("5: has a wildcard, lists, ranges and steps", function()
    fires {
      { "* * * * *", "2025-07-01 00:00:00, 2025-07-01 00:01:00, 2025-07-01 00:02:00" },
      { "0,15,30,45 * * * *", "2025-07-01 00:00:00, 2025-07-01 00:15:00, 2025-07-01 00:30:00, " ..
        "2025-07-01 00:45:00, 2025-07-01 01:00:00" },
      { "0 9-17 * * *", "2025-07-01 09:00:00, 2025-07-01 10:00:00, 2025-07-01 11:00:00, " ..
        "2025-07-01 12:00:00, 2025-07-01 13:00:00, 2025-07-01 14:00:00, 2025-07-01 15:00:00, " ..
        "2025-07-01 16:00:00, 2025-07-01 17:00:00, 2025-07-02 09:00:00" },
      { "5-59/15 * * * *", "2025-07-01 00:05:00, 2025-07-01 00:20:00, 2025-07-01 00:35:00, " ..
        "2025-07-01 00:50:00, 2025-07-01 01:05:00" },
    }
  end)

  it("5.1: makes lists last, and steps of ranges and wildcards first", function()
    same {
      { "1,2-4,50-59/3 * * * *", "1,2,3,4,50,53,56,59 * * * *" },
      { "*/20 * * * *", "0-59/20 * * * *" }, { "0 */7 * * *", "0 0,7,14,21 * * *" },
      { "0 0 */10 * *", "0 0 1,11,21,31 * *" }, { "0 0 1 */5 *", "0 0 1 1,6,11 *" },
      { "*/15,7 * * * *", "0,7,15,30,45 * * * *" }, { "1-10/100 * * * *", "1 * * * *" },
      { "5,5,5 * * * *", "5 * * * *" }, { "7-7 * * * *", "7 * * * *" },
    }
  end)

  it("6.1: joins the two fields of days by or when neither is *", function()
    -- 1 July 2025 is a Tuesday.
    fires { { "0 12 1 * MON", "2025-07-01 12:00:00, 2025-07-07 12:00:00, 2025-07-14 12:00:00, " ..
      "2025-07-21 12:00:00, 2025-07-28 12:00:00, 2025-08-01 12:00:00" } }
    fires {
      { "0 12 15 * *", "2025-07-15 12:00:00, 2025-08-15 12:00:00" },
      { "0 12 * * FRI", "2025-07-04 12:00:00, 2025-07-11 12:00:00" },
    }
  end)

  it("6.2: refuses ranges that end before they begin", function()
    refused { "30-10 * * * *", "* 20-4 * * *", "0 0 * DEC-JAN *", "0 0 * * FRI-MON", "0 0 * * 7-1" }
  end)

  it("6.2: refuses steps of 0, and steps of what is no range", function()
    refused { "*/0 * * * *", "0-30/0 * * * *", "/30 * * * *", "0/15 * * * *", "10/10 * * * *",
      "*/ * * * *", "*/-1 * * * *", "*/x * * * *", "0-/5 * * * *", "-30/5 * * * *", "*//2 * * * *" }
  end)

  it("6.2: refuses what is not complete", function()
    refused { ", * * * *", "1, * * * *", ",1 * * * *", "1,,2 * * * *", "1- * * * *", "- * * * *",
      "*-5 * * * *", "1-2-3 * * * *", "** * * * *", "*5 * * * *" }
  end)
end)

describe("OCPS 1.1", function()
  it("4.1: has nicknames", function()
    same {
      { "@yearly", "0 0 1 1 *" }, { "@annually", "0 0 1 1 *" }, { "@monthly", "0 0 1 * *" },
      { "@weekly", "0 0 * * 0" }, { "@daily", "0 0 * * *" }, { "@midnight", "0 0 * * *" },
      { "@hourly", "0 * * * *" }, { "  @daily ", "@daily" },
    }
  end)

  it("4.1: nicknames have small letters and stand alone", function()
    refused { "@Daily", "@DAILY", "@daily * * * *", "0 @daily", "@", "@fortnightly", "daily" }
  end)

  it("4.2: knows @reboot, and says that it cannot be had", function()
    assert.equal("bad argument #1 to 'cron' (@reboot is not supported: it names no time)",
      helper.message(schedule.cron, "@reboot", UTC))
  end)
end)

describe("OCPS 1.2", function()
  it("4.1: has seconds in front of five fields", function()
    fires {
      { "* * * * * *", "2025-07-01 00:00:00, 2025-07-01 00:00:01, 2025-07-01 00:00:02" },
      { "15-45/15 59 23 * * *", "2025-07-01 23:59:15, 2025-07-01 23:59:30, 2025-07-01 23:59:45, " ..
        "2025-07-02 23:59:15" },
      { "30 2 * * *", "2025-07-01 02:30:00" },
    }
    same { { "0 30 2 * * *", "30 2 * * *" }, { "@daily", "0 0 0 * * *" } }
    refused { "60 * * * * *", "*/0 * * * * *", "L * * * * *" }
  end)

  it("4.2: has years behind them", function()
    fires {
      { "0 15 10 * * * 2025", "2025-07-01 10:15:00, 2025-07-02 10:15:00" },
      { "0 0 12 1 1 * 2025-2030", "2026-01-01 12:00:00, 2027-01-01 12:00:00, " ..
        "2028-01-01 12:00:00, 2029-01-01 12:00:00, 2030-01-01 12:00:00" },
      { "0 0 0 1 1 * */2", "2026-01-01 00:00:00, 2028-01-01 00:00:00" },
      { "0 0 0 1 1 * 1971-2199/2", "2027-01-01 00:00:00, 2029-01-01 00:00:00" },
      { "0 0 0 1 1 * 2025,2027", "2027-01-01 00:00:00" },
    }
    assert.equal("2025-12-31 10:15:00", schedule.format(
      schedule.cron("0 15 10 * * * 2025", UTC):previous(7e9), "UTC"):sub(1, -5))
    assert.is_nil(schedule.cron("0 0 12 1 1 * 2025-2030", UTC):next(1893499200))
    same { { "0 30 2 * * * *", "30 2 * * *" }, { "* * * * * * *", "* * * * * *" } }
  end)

  it("4.3: knows the years 1970 to 2199", function()
    local all = schedule.cron("0 0 0 1 1 * *", UTC)
    assert.equal("1970-01-01 00:00:00 UTC", schedule.format(all:next(-1), "UTC"))
    assert.equal("2199-01-01 00:00:00 UTC", schedule.format(all:previous(1e10), "UTC"))
    assert.equal("2198-01-01 00:00:00 UTC",
      schedule.format(schedule.cron("0 0 0 1 1 * */2", UTC):previous(1e10), "UTC"))
    refused { "0 0 0 1 1 * 1969", "0 0 0 1 1 * 2200", "0 0 0 1 1 * 2030-2200", "* * * * * * 25" }
  end)
end)

describe("OCPS 1.3", function()
  it("4.1: has L for the last day of the month", function()
    fires {
      { "0 0 L * *", "2025-07-31 00:00:00, 2025-08-31 00:00:00, 2025-09-30 00:00:00" },
      { "0 0 L 2 *", "2026-02-28 00:00:00, 2027-02-28 00:00:00, 2028-02-29 00:00:00" },
      { "0 0 1,L * *", "2025-07-01 00:00:00, 2025-07-31 00:00:00, 2025-08-01 00:00:00" },
    }
  end)

  it("4.1: has L for the last weekday of the month", function()
    fires {
      { "0 0 * * 5L", "2025-07-25 00:00:00, 2025-08-29 00:00:00, 2025-09-26 00:00:00" },
      { "0 0 * * 7L", "2025-07-27 00:00:00, 2025-08-31 00:00:00" },
    }
    same { { "0 0 * * FRI#L", "0 0 * * 5L" }, { "0 0 * * 5#L", "0 0 * * 5L" },
      { "0 0 * * friL", "0 0 * * 5L" }, { "0 0 * * 0#L", "0 0 * * 7L" } }
  end)

  it("4.2: has # for the n-th weekday of the month", function()
    fires {
      { "0 0 * * 2#3", "2025-07-15 00:00:00, 2025-08-19 00:00:00, 2025-09-16 00:00:00" },
      { "0 0 * * MON#1", "2025-07-07 00:00:00, 2025-08-04 00:00:00, 2025-09-01 00:00:00" },
      { "0 0 * * 2#5", "2025-07-29 00:00:00, 2025-09-30 00:00:00, 2025-12-30 00:00:00" },
      { "0 0 * * MON#1,WED#2", "2025-07-07 00:00:00, 2025-07-09 00:00:00, 2025-08-04 00:00:00" },
    }
    same { { "0 0 * * 7#2", "0 0 * * 0#2" } }
    refused { "0 0 * * 2#0", "0 0 * * 2#6", "0 0 * * 2#", "0 0 * * #2", "0 0 * * 8#1",
      "0 0 * * 1-3#2", "0 0 2#2 * *", "0 0 * * *#2" }
  end)

  it("4.3: has W for the weekday that is closest to a day", function()
    fires {
      -- The 15th is a Tuesday in July, a Friday in August, a Monday in September, ..., a
      -- Saturday in November 2025, and a Sunday in February 2026.
      { "0 12 15W * *", "2025-07-15 12:00:00, 2025-08-15 12:00:00, 2025-09-15 12:00:00, " ..
        "2025-10-15 12:00:00, 2025-11-14 12:00:00, 2025-12-15 12:00:00, 2026-01-15 12:00:00, " ..
        "2026-02-16 12:00:00" },
      { "0 12 1W 11 *", "2025-11-03 12:00:00, 2026-11-02 12:00:00" }, -- Saturday, Sunday
      { "0 12 31W 8 *", "2025-08-29 12:00:00" },                      -- Sunday, the last day
      { "0 12 30W 11 *", "2025-11-28 12:00:00" },                     -- Sunday, the last day
      { "0 12 31W * *", "2025-07-31 12:00:00, 2025-08-29 12:00:00, 2025-10-31 12:00:00" },
    }
    refused { "0 12 1-15W * *", "0 12 1,15W * *", "0 12 15W,1 * *", "0 12 W * *", "0 12 0W * *",
      "0 12 32W * *", "0 12 * * 3W", "0 12 LW * *", "0 12 15W/2 * *" }
  end)

  it("4: takes L and W as capital letters only, where they belong", function()
    refused { "0 0 l * *", "0 0 15w * *", "0 0 * * 5l", "0 0 * * FRI#l", "L * * * *", "0 L * * *",
      "0 0 1 L *", "0 0 * * L" }
  end)
end)

describe("OCPS 1.4", function()
  it("4.1.1: joins days by or", function()
    fires { { "0 12 1 * TUE", "2025-07-01 12:00:00, 2025-07-08 12:00:00, 2025-07-15 12:00:00" } }
  end)

  it("4.1.2: joins days by and, after a + in front of the day of the week", function()
    fires {
      { "0 12 1 * +MON", "2025-09-01 12:00:00, 2025-12-01 12:00:00, 2026-06-01 12:00:00" },
      { "0 12 1-7 * +MON-FRI/4", "2025-07-04 12:00:00, 2025-07-07 12:00:00" },
      { "0 0 13 * +FRI", "2026-02-13 00:00:00, 2026-03-13 00:00:00, 2026-11-13 00:00:00" },
      { "0 0 L * +FRI#L", "2025-10-31 00:00:00" },
    }
    same { { "0 12 * * +MON", "0 12 * * MON" }, { "0 12 1 * +*", "0 12 1 * *" } }
    refused { "0 12 +1 * MON", "0 12 1 * MON+", "0 12 1 * MON,+TUE", "+0 12 1 * MON",
      "0 12 1 +1 MON", "0 12 1 * ++MON", "0 12 1 * +", "0 0 12 1 * MON +2030" }
  end)

  it("4.2: takes ? for *, in the fields of days only", function()
    same { { "0 0 ? * MON", "0 0 * * MON" }, { "0 0 1 * ?", "0 0 1 * *" },
      { "0 0 ? * ?", "0 0 * * *" } }
    refused { "? * * * *", "* ? * * *", "* * * ? *", "? * * * * *", "0 0 0 1 1 * ?" }
  end)

  it("4.3.1: runs a time that occurs twice once, at its first occurrence", function()
    local made = schedule.cron("30 2 * * *", { zone = "Europe/Berlin" })
    local time = made:next(1792879200)
    assert.equal("2026-10-25 02:30:00 CEST", schedule.format(time, "Europe/Berlin"))
    assert.equal("2026-10-26 02:30:00 CET", schedule.format(made:next(time), "Europe/Berlin"))
  end)

  it("4.3.2: counts by the Gregorian calendar, before and after leap days", function()
    local leap = schedule.cron("0 0 29 2 *", UTC)
    local years, time = {}, schedule.at("2090-01-01T00:00Z"):next(0)
    for i = 1, 4 do
      time = leap:next(time)
      years[i] = schedule.format(time, "UTC"):sub(1, 4)
    end
    assert.same({ "2092", "2096", "2104", "2108" }, years) -- 2100 has none
    assert.equal("2038-01-19 03:14:08 UTC",
      schedule.format(schedule.cron("8 14 3 19 1 *", UTC):next(2147483647), "UTC"))
    assert.equal("2199-12-31 23:59:59 UTC",
      schedule.format(schedule.cron("* * * * * *", UTC):previous(1e10), "UTC"))
  end)

  it("4.3.2: has no time outside of its years", function()
    assert.is_nil(schedule.cron("* * * * *", UTC):next(7258118399))
    assert.is_nil(schedule.cron("* * * * *", UTC):previous(0))
  end)
end)

describe("what OCPS recommends and uvjobs does otherwise", function()
  it("a date that never comes is refused when the pattern is made (1.0, 6.2) #R16", function()
    for _, pattern in ipairs { "* * 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *",
      "0 0 0 29 2 * 2025-2027" } do
      assert.equal("bad argument #1 to 'cron' (never matches before 2200)",
        helper.message(schedule.cron, pattern, UTC))
    end
  end)

  it("a time in a gap runs after it, unless gap is skip (1.4, 4.3.1) #R3", function()
    local options = { zone = "Europe/Berlin", gap = "run" }
    local function next_of() return schedule.format(
      schedule.cron("30 2 * * *", options):next(1774738800), "Europe/Berlin") end
    assert.equal("2026-03-29 03:00:00 CEST", next_of())
    options.gap = nil
    assert.equal("2026-03-29 03:00:00 CEST", next_of())
    options.gap = "skip"
    assert.equal("2026-03-30 02:30:00 CEST", next_of())
  end)
end)
