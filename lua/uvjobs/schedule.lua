-- uvjobs.schedule: when something is to happen. A schedule is a set of times; it starts
-- nothing itself. Times are seconds since 1970, as uvjobs.time() gives them.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"

core.own_source()

local expect <const> = arguments.expect

---@class uvjobs.Schedule
local Schedule = {}

local make, meta = core.open_schedule(Schedule)

local schedule = {}

local TYPE <const> = "uvjobs.Schedule"
local DAY <const> = 86400             -- seconds
local TIME_MAX <const> = 1e12         -- seconds since 1970; what C takes
local FIRST <const>, END <const> = -93600, 7258204800 -- no schedule has times outside
local SHORTEST_PERIOD <const> = 0.001 -- seconds
local MOST_LINES <const> = 24         -- of an explanation
local MOST_COUNTED <const> = 100000   -- times of a day that an explanation counts
local LONGEST_TEXT <const> = 200      -- bytes of what a schedule was made of

-- ---- zones -------------------------------------------------------------------------

local ZONES <const> = os.getenv "TZDIR" or "/usr/share/zoneinfo"

-- The zones that are in use, by name.
local open_zones = setmetatable({}, { __mode = "v" })

-- Whether a name is one inside of the directory of zones.
local function is_zone_name(name)
  return #name <= 255 and name:find "^[%w_+%-][%w_+%-/]*$" ~= nil
end

-- All names of zones, as keys of a table; empty where the system has no list of them.
local function all_zone_names()
  local names = { UTC = true, ["local"] = true }
  local file = io.open(ZONES .. "/tzdata.zi")
  if not file then return names end
  for line in file:lines() do
    local name = line:match "^Z (%S+)" or line:match "^L %S+ (%S+)"
    if name then names[name] = true end
  end
  file:close()
  return names
end

local function open_zone(name)
  if name == "UTC" then return make.zone_utc() end
  if name == "local" then
    return make.zone_open "/etc/localtime" or make.zone_utc()
  end
  return make.zone_open(ZONES .. "/" .. name)
end

-- A zone by its name; or nil and what is wrong with the name.
local function find_zone(name)
  local zone = open_zones[name]
  if zone then return zone end
  if not is_zone_name(name) then
    return nil, ("'%s' is no name of a zone, as 'Europe/Berlin' is one"):format(name)
  end
  local problem
  zone, problem = open_zone(name)
  if problem then return nil, ("the file of zone '%s' %s"):format(name, problem) end
  if not zone then
    local nearest = core.nearest(name, all_zone_names())
    return nil, ("unknown zone '%s'%s"):format(
      name, nearest and (", did you mean '%s'?"):format(nearest) or "")
  end
  open_zones[name] = zone
  return zone
end

-- ---- dates -------------------------------------------------------------------------

-- Local times are numbers of seconds since 1970-01-01 00:00 on the clock of the zone.
-- The algorithm is days_from_civil of Howard Hinnant, "chrono-Compatible Low-Level Date
-- Algorithms".
local function days_of(year, month, day)
  local y = month <= 2 and year - 1 or year
  local era = y // 400
  local of_era = y - era * 400
  local of_year = (153 * (month + (month > 2 and -3 or 9)) + 2) // 5 + day - 1
  return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
end

-- os.date() with ! counts in UTC, as local times here are counted.
local function local_text(local_time, format)
  return os.date("!" .. format, local_time)
end

local function month_length(year, month)
  local next_year, next_month = year, month + 1
  if month == 12 then next_year, next_month = year + 1, 1 end
  return days_of(next_year, next_month, 1) - days_of(year, month, 1)
end

-- The local time of year-month-day, hour:minute:second; or nil when there is none.
local function local_time(year, month, day, hour, minute, second)
  year, month, day = math.tointeger(year), math.tointeger(month), math.tointeger(day)
  hour, minute = math.tointeger(hour), math.tointeger(minute)
  second = math.tointeger(second)
  if month < 1 or month > 12 or day < 1 or day > month_length(year, month) or hour > 23 or
    minute > 59 or second > 59 then
    return nil
  end
  return days_of(year, month, day) * DAY + hour * 3600 + minute * 60 + second
end

local DATE <const> = "(%d%d%d%d)%-(%d%d)%-(%d%d)"

-- Reads "2026-10-25 02:30", with seconds or without, with T in place of the space, and
-- with Z or an offset behind. Returns the local time, and the offset in seconds or nil;
-- or nil.
local function parse_date(text)
  local year, month, day, hour, minute, rest =
    text:match("^" .. DATE .. "[ T](%d%d):(%d%d)(.*)$")
  if not year then return nil end
  local second, offset = rest:match "^:(%d%d)(.*)$"
  local time = local_time(year, month, day, hour, minute, second or "0")
  offset = offset or rest
  if offset == "" or not time then return time end
  if offset == "Z" then return time, 0 end
  local sign, hours, minutes = offset:match "^([+-])(%d%d):?(%d%d)$"
  if not sign or hours > "23" or minutes > "59" then return nil end
  local seconds = math.tointeger(hours) * 3600 + math.tointeger(minutes) * 60
  return time, sign == "-" and -seconds or seconds
end

-- ---- arguments ---------------------------------------------------------------------

local is_gap = expect.either("run", "skip")
local is_one_fold = expect.either("first", "second")

local is_fold = arguments.kind(function(value)
  return value == "first" or value == "second" or value == "both"
end, "'first', 'second' or 'both'")

local is_time = arguments.kind(function(value)
  return type(value) == "number" and value >= -TIME_MAX and value <= TIME_MAX
end, "seconds since 1970")

-- A time that a schedule can have: from 1970 to 2199, by the clock of any zone.
local is_time_of_schedule = arguments.kind(function(value)
  return type(value) == "number" and value >= FIRST and value < END
end, "seconds since 1970, up to the year 2199")

local is_period = arguments.kind(function(value)
  return type(value) == "number" and value >= SHORTEST_PERIOD and value <= TIME_MAX
end, ("seconds >= %g"):format(SHORTEST_PERIOD))

local CRON_OPTIONS <const> = { zone = expect.string, gap = is_gap, fold = is_fold }
local AT_OPTIONS <const> = { zone = expect.string, gap = is_gap, fold = is_one_fold }
local EVERY_OPTIONS <const> = { anchor = is_time, phase = is_time }

-- Checks a table of options, or nil, which is argument 2 of `name`.
local function check_options(name, options, known)
  if options == nil then return {} end
  local problem = arguments.problem_of_options(options, known)
  if problem then arguments.fail(3, 2, name, problem) end
  return arguments.raw(options)
end

-- The zone of an option; blames the caller of the public function.
local function check_zone(name, n, zone_name, prefix)
  local zone, problem = find_zone(zone_name)
  if not zone then arguments.fail(3, n, name, (prefix or "option 'zone': ") .. problem) end
  return zone
end

local function check_schedule(level, n, name, value)
  if core.typename(value) ~= TYPE then
    arguments.fail(level + 1, n, name, arguments.unexpected(TYPE, value))
  end
end

local function check_time(n, name, value)
  local expected = is_time(value)
  if expected then arguments.fail(3, n, name, arguments.unexpected_value(expected, value)) end
end

-- ---- making schedules --------------------------------------------------------------

--- A schedule by a cron pattern, as the Open Cron Pattern Specification 1.4 has it: five
--- fields, six with seconds in front, seven with a year behind. Does not suspend.
---@param pattern string such as "30 2 * * MON-FRI"
---@param options? { zone?: string, gap?: "run"|"skip", fold?: "first"|"second"|"both" }
---  `zone` is a name such as "Europe/Berlin", "UTC", or "local" (default), which is that
---  of the system, /etc/localtime. `gap` says what becomes of a local time that does not
---  exist because the clock is put forward: it runs at the first instant after the gap,
---  or not. `fold` says at which of its two instants a local time runs that occurs twice.
---@return uvjobs.Schedule
--- Errors: misuse; what is wrong with the pattern, and at which character; a pattern that
--- never matches before 2200; an unknown zone.
function schedule.cron(pattern, options)
  if type(pattern) ~= "string" then
    arguments.fail(2, 1, "cron", arguments.unexpected("string", pattern))
  end
  options = check_options("cron", options, CRON_OPTIONS)
  local zone_name = options.zone or "local"
  local zone = check_zone("cron", 2, zone_name)
  local gap, fold = options.gap or "run", options.fold or "first"
  local made, problem = make.cron(pattern, zone, gap, fold, zone_name)
  if not made then arguments.fail(2, 1, "cron", problem) end
  return made
end

--- A schedule at anchor + phase + n * seconds, for every integer n: without drift. Does
--- not suspend.
---@param seconds number >= 0.001
---@param options? { anchor?: number, phase?: number } seconds since 1970, default 0; and
---  seconds, default 0
---@return uvjobs.Schedule
--- Errors: misuse only.
function schedule.every(seconds, options)
  local expected = is_period(seconds)
  if expected then
    arguments.fail(2, 1, "every", arguments.unexpected_value(expected, seconds))
  end
  options = check_options("every", options, EVERY_OPTIONS)
  return make.every(seconds, (options.anchor or 0) + (options.phase or 0),
    ("every %s s"):format(seconds))
end

-- The instant that a local time means; or nil when it has none.
local function instant_of(zone, time, options)
  local count, first, second = make.zone_resolve(zone, time)
  if count == 0 and options.gap == "skip" then return nil end
  return options.fold == "second" and second or first
end

--- A schedule of a single time. Does not suspend.
---@param time number|string seconds since 1970; or a date and time of day, as in
---  "2026-10-25 02:30:00", which needs a zone, or an offset as in "2026-10-25T02:30Z" and
---  "2026-10-25T02:30+01:00"
---@param options? { zone?: string, gap?: "run"|"skip", fold?: "first"|"second" } as those
---  of cron(), but that there is no default zone
---@return uvjobs.Schedule
--- Errors: misuse; a text that is no date; a time that never comes, in a gap, or that is
--- not in the years 1970 to 2199.
function schedule.at(time, options)
  options = check_options("at", options, AT_OPTIONS)
  local zone = options.zone and check_zone("at", 2, options.zone)
  local instant = time
  if type(time) == "string" then
    local at, offset = parse_date(time)
    if not at then
      arguments.fail(2, 1, "at", ("a date and a time as 'YYYY-MM-DD hh:mm[:ss]' expected, " ..
        "got '%s'"):format(time))
    end
    if offset then
      instant = at - offset
    elseif not zone then
      arguments.fail(2, 2, "at", "option 'zone': a date needs one, such as 'UTC', 'local' " ..
        "or 'Europe/Berlin'")
    else
      instant = instant_of(zone, at, options)
      if not instant then
        arguments.fail(2, 1, "at", ("'%s' does not exist in %s: it never happens"):format(
          time, options.zone))
      end
    end
  end
  local expected = is_time_of_schedule(instant)
  if expected then
    arguments.fail(2, 1, "at", arguments.unexpected_value(expected, time))
  end
  return make.at(instant, ("at %s"):format(time))
end

-- What a schedule was made of, for people.
local function text_of(self)
  local text, _, zone_name = make.origin(self)
  return zone_name and ("cron \"%s\" in %s"):format(text, zone_name) or text
end

-- The texts of several schedules, with something between them; not too long.
local function texts_of(schedules, format, between)
  local texts = {}
  for i = 1, #schedules do texts[i] = text_of(schedules[i]) end
  local text = table.concat(texts, between)
  if #text > LONGEST_TEXT then text = text:sub(1, LONGEST_TEXT) .. ".." end
  return format:format(text)
end

-- Makes a schedule of others.
local function make_of_parts(name, fn, text, ...)
  local made = fn(text, ...)
  if not made then arguments.fail(3, 1, name, "more than 1000 schedules in all") end
  return made
end

--- The times of all schedules of a list, each once. Does not suspend.
---@param schedules uvjobs.Schedule[] 1 to 100
---@return uvjobs.Schedule
--- Errors: misuse; more than 1,000 schedules within each other.
function schedule.any(schedules)
  if type(schedules) ~= "table" then
    arguments.fail(2, 1, "any", arguments.unexpected("list of schedules", schedules))
  elseif #schedules == 0 or #schedules > 100 then
    arguments.fail(2, 1, "any", ("1 to 100 schedules expected, got %d"):format(#schedules))
  end
  for i = 1, #schedules do
    if core.typename(schedules[i]) ~= TYPE then
      arguments.fail(2, 1, "any", arguments.unexpected_element(TYPE, i, schedules[i]))
    end
  end
  return (make_of_parts("any", make.any, texts_of(schedules, "any of {%s}", ", "),
    table.unpack(schedules)))
end

-- ---- methods -----------------------------------------------------------------------

-- The methods `next` and `previous` are in C: src/lua/schedule/schedule.c.

--- The times of this schedule without those of another. Does not suspend.
---@param other uvjobs.Schedule
---@return uvjobs.Schedule
--- Errors: misuse; more than 1,000 schedules within each other.
function Schedule:except(other)
  if core.typename(self) ~= TYPE then arguments.fail_self(2, "except", TYPE, self) end
  check_schedule(2, 1, "except", other)
  return (make_of_parts("except", make.except, texts_of({ self, other }, "%s", ", except "),
    self, other))
end

--- An iterator over the times from `from` on and before `to`. Does not suspend.
---@param from number seconds since 1970
---@param to number seconds since 1970
---@return fun(): number?
--- Errors: misuse only.
function Schedule:between(from, to)
  if core.typename(self) ~= TYPE then arguments.fail_self(2, "between", TYPE, self) end
  check_time(1, "between", from)
  check_time(2, "between", to)
  local before = self:previous(from) or math.max(from - 1, -TIME_MAX)
  return function()
    local time = before and self:next(before)
    before = time and time < to and time or nil
    return before
  end
end

-- ---- for people --------------------------------------------------------------------

--- A time as text, such as "2027-03-28 03:00:00 CEST". Does not suspend.
---@param time number seconds since 1970
---@param zone string
---@return string
--- Errors: misuse; an unknown zone.
function schedule.format(time, zone)
  check_time(1, "format", time)
  if type(zone) ~= "string" then
    arguments.fail(2, 2, "format", arguments.unexpected("string", zone))
  end
  local offset, name = make.zone_span(check_zone("format", 2, zone, ""), math.floor(time))
  return local_text(math.floor(time) + offset, "%Y-%m-%d %H:%M:%S ") .. name
end

-- The time of day in a zone, without seconds where they are 0.
local function clock_text(local_time_)
  return local_text(local_time_, local_time_ % 60 == 0 and "%H:%M" or "%H:%M:%S")
end

local function wall_clock(zone, instant)
  return clock_text(instant + make.zone_span(zone, instant))
end

-- What becomes of a local time that a pattern matches.
local function explain_time(self, origin, time)
  local clock = clock_text(time)
  local count, first, second = make.zone_resolve(origin.zone, time)
  local is_interval = make.is_interval(self)
  if count == 1 then return clock .. " runs" end
  if count == 0 then
    if is_interval then
      return clock .. " does not exist; left out (the hours are an interval)"
    elseif origin.gap == "skip" then
      return clock .. " does not exist; left out (gap = skip)"
    end
    return ("%s does not exist; runs at %s (gap = run)"):format(
      clock, wall_clock(origin.zone, first))
  end
  if is_interval then
    return clock .. " occurs twice; runs both times (the hours are an interval)"
  elseif origin.fold == "both" then
    return clock .. " occurs twice; runs both times (fold = both)"
  end
  local _, name = make.zone_span(origin.zone, origin.fold == "first" and first or second)
  return ("%s occurs twice; runs the %s time, in %s (fold = %s)"):format(
    clock, origin.fold, name, origin.fold)
end

local function explain_cron(self, origin, day)
  local lines, time, more = {}, make.local_match(self, day), 0
  if time and time >= day + DAY then
    return ("does not run on this day; the next that matches is %s"):format(
      local_text(time, "%Y-%m-%d %H:%M"))
  end
  while time and time < day + DAY do
    if #lines < MOST_LINES then
      lines[#lines + 1] = explain_time(self, origin, time)
    else
      more = more + 1
    end
    time = make.local_match(self, time + 1)
  end
  if #lines == 0 then return "does not run on this day, nor later" end
  if more > 0 then lines[#lines + 1] = ("and %d times more"):format(more) end
  return table.concat(lines, "\n")
end

local function explain_other(self, day)
  local lines, more = {}, 0
  for time in self:between(day, day + DAY) do
    if #lines < MOST_LINES then
      lines[#lines + 1] = clock_text(math.floor(time)) .. " UTC runs"
    else
      more = more + 1
      if more == MOST_COUNTED then break end
    end
  end
  if #lines == 0 then return "does not run on this day" end
  if more > 0 then
    lines[#lines + 1] = ("and %s%d times more"):format(
      more == MOST_COUNTED and "at least " or "", more)
  end
  return table.concat(lines, "\n")
end

--- Says for a day when the schedule runs, or why not: a line for each time. The day is
--- one of the zone of a cron pattern, of UTC for other schedules. Does not suspend.
---@param date string such as "2027-03-28"
---@return string
--- Errors: misuse; a text that is no date.
function Schedule:explain(date)
  if core.typename(self) ~= TYPE then arguments.fail_self(2, "explain", TYPE, self) end
  local year, month, day
  if type(date) == "string" then year, month, day = date:match("^" .. DATE .. "$") end
  local time = year and local_time(year, month, day, "0", "0", "0")
  if not time then
    arguments.fail(2, 1, "explain", ("a date as 'YYYY-MM-DD' expected, got %s"):format(
      type(date) == "string" and "'" .. date .. "'" or core.typename(date)))
  end
  local _, zone, _, gap, fold = make.origin(self)
  if zone then return explain_cron(self, { zone = zone, gap = gap, fold = fold }, time) end
  return explain_other(self, time)
end

arguments.refuse_others(TYPE, Schedule)

function meta:__newindex(key)
  local _ = self[key] -- which raises for a name that is not known
  error(("cannot set '%s' of a %s (read only)"):format(tostring(key), TYPE), 2)
end

function meta:__tostring()
  return ("%s: %s"):format(TYPE, text_of(self))
end

return schedule
