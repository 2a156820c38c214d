-- A year under the virtual clock runs what between() lists, in zones of every kind (#R14).

local schedule = require "uvjobs.schedule"
local uvjobs = require "uvjobs"

-- Each with a year in which its clocks do something; the year begins at 00:00 UTC.
local ZONES <const> = {
  { "UTC", 2026 }, { "Europe/Berlin", 2026 }, { "Europe/Dublin", 2026 },
  { "America/New_York", 2026 }, { "America/St_Johns", 2006 }, { "America/Sao_Paulo", 2018 },
  { "America/Santiago", 2026 }, { "America/Havana", 2026 }, { "America/Nuuk", 2023 },
  { "America/Caracas", 2016 }, { "Africa/Casablanca", 2026 }, { "Africa/Cairo", 2014 },
  { "Antarctica/Troll", 2026 }, { "Asia/Gaza", 2026 }, { "Asia/Tehran", 2021 },
  { "Asia/Kolkata", 2026 }, { "Asia/Pyongyang", 2015 }, { "Australia/Lord_Howe", 2026 },
  { "Pacific/Apia", 2011 }, { "Pacific/Chatham", 2038 },
}

--- Schedules of every kind, by what they are.
local function schedules_in(zone, from)
  local made = {
    interval = schedule.cron("20 */3 * * *", { zone = zone }),
    every = schedule.every(40000, { anchor = from, phase = 123 }),
    at = schedule.at(from + 100 * 86400.5),
  }
  for _, gap in ipairs { "run", "skip" } do
    for _, fold in ipairs { "first", "second", "both" } do
      made[gap .. " " .. fold] = schedule.cron("0,30 0,1,2,3 * * *", {
        zone = zone, gap = gap, fold = fold,
      })
    end
  end
  made.any = schedule.any { made["run first"], made.every, made.at }
  made.except = made.any:except(schedule.cron("* * * * SUN", { zone = zone }))
  return made
end

local function list(iterator)
  local times = {}
  for time in iterator do times[#times + 1] = time end
  return times
end

describe("a virtual year", function()
  for _, case in ipairs(ZONES) do
    local zone, year = table.unpack(case)
    it(("in %s runs the times that between() lists #R14"):format(zone), function()
      local from = schedule.at(("%d-01-01T00:00Z"):format(year)):next(0)
      local to = schedule.at(("%d-01-01T00:00Z"):format(year + 1)):next(0)
      local schedules, ran = schedules_in(zone, from), {}
      uvjobs.run({ clock = "virtual", date = from }, function()
        local jobs = uvjobs.scheduler { limit = math.huge }
        for name, made in pairs(schedules) do
          ran[name] = {}
          jobs:repeating(made, { overlap = "allow" }, function(occurrence)
            table.insert(ran[name], occurrence.time)
          end)
        end
        uvjobs.sleep(to - from - 0.5)
        jobs:close()
      end)
      for name, made in pairs(schedules) do
        assert.same(list(made:between(from + 0.5, to)), ran[name], name)
      end
    end)
  end
end)
