--- Cron patterns in time zones, against a second reading of both: the changes of the zones
--- come from Python's zoneinfo, and the times of the patterns from a walk over every second of
--- local time around each change. Patterns and zones here share no code with src/calendar.

local schedule = require "uvjobs.schedule"

local oracle = {}

local DAY <const> = 86400
local AROUND <const> = 5400 -- seconds before a change, and after it and its jump

-- In a pattern, {H} is the hour in which the jump of the clock begins, {I} the next one, and
-- {M} the minute in which it begins.
oracle.PATTERNS = {
  "0 * * * *", "*/15 * * * *", "30 {H} * * *", "0 {H} * * *", "{M} {H} * * *", "59 {H} * * *",
  "0 {I} * * *", "30 {I} * * *", "{M} {I} * * *", "0,30 {H},{I} * * *", "*/20 {H} * * *",
  "0 {H}-{I} * * *", "30 */2 * * *", "0 0 * * *", "30 0 * * *", "0 1 * * *", "30 1 * * *",
  "30 2 * * *", "15 3 * * *", "0 23 * * *", "59 23 * * *", "0 {H} * * SUN",
  "30 {H} 25-31 3,10 *", "0 0 * * MON-FRI", "15,45 1,2,3 * * *", "*/10 0 {H} * * *",
  "59 59 {H} * * *", "0,59 0,59 {H},{I} * * *", "30 {M} {H} L * *", "1 0 * * * *",
}

-- ---- a pattern, read in another way ------------------------------------------------

local NAMES <const> = { SUN = 0, MON = 1, FRI = 5 }

local RANGES <const> = { { 0, 59 }, { 0, 59 }, { 0, 23 }, { 1, 31 }, { 1, 12 }, { 0, 6 } }

local function value_of(text)
  return NAMES[text] or math.tointeger(tonumber(text))
end

--- The values of a field as keys; and whether it has a `*`, a range or a step.
local function read_field(text, range)
  local values, spread = {}, false
  for part in text:gmatch "[^,]+" do
    local base, step = part:match "^(.-)/(%d+)$"
    local low, high = (base or part):match "^(%w+)%-(%w+)$"
    if (base or part) == "*" then
      low, high = range[1], range[2]
    elseif low then
      low, high = value_of(low), value_of(high)
    end
    if low then
      spread = true
      for value = low, high, math.tointeger(tonumber(step or 1)) do values[value] = true end
    elseif part == "L" then
      values.last = true
    else
      values[value_of(part)] = true
    end
  end
  return values, spread
end

local function read_pattern(text)
  local fields, spread = {}, {}
  for field in text:gmatch "%S+" do fields[#fields + 1] = field end
  if #fields == 5 then table.insert(fields, 1, "0") end
  local pattern = { any_day = fields[4] == "*", any_weekday = fields[6] == "*" }
  for i, field in ipairs(fields) do
    pattern[i], spread[i] = read_field(field, RANGES[i])
  end
  pattern.is_interval = spread[3]
  return pattern
end

local function matches_day(pattern, local_time)
  local date = os.date("!*t", local_time)
  local is_last = os.date("!*t", local_time + DAY).day == 1
  local by_day = pattern[4][date.day] or (pattern[4].last and is_last) or false
  local by_weekday = pattern[6][date.wday - 1] or false
  if not pattern[5][date.month] then return false end
  if pattern.any_day or pattern.any_weekday then return by_day and by_weekday end
  return by_day or by_weekday
end

--- The local seconds from `from` on and before `to` that a pattern matches: every second is
--- looked at in the minutes, hours and days that match.
local function walk(pattern, from, to)
  local found, day, in_day = {}, nil, false
  for minute = from // 60 * 60, to - 1, 60 do
    if minute // DAY ~= day then
      day = minute // DAY
      in_day = matches_day(pattern, day * DAY)
    end
    if in_day and pattern[3][minute % DAY // 3600] and pattern[2][minute % 3600 // 60] then
      for second = 0, 59 do
        local time = minute + second
        if pattern[1][second] and time >= from and time < to then found[#found + 1] = time end
      end
    end
  end
  return found
end

-- ---- a zone, as Python has it ------------------------------------------------------

--- Spans of equal offset: the changes of a zone, and what is before the first one.
local function spans_of(changes)
  local spans = { { begin = -math.huge, offset = changes[1].before } }
  for _, change in ipairs(changes) do
    spans[#spans].stop = change.at
    spans[#spans + 1] = { begin = change.at, offset = change.after }
  end
  spans[#spans].stop = math.huge
  return spans
end

--- The instants of a local time, in order, among some spans; without any, the end of the gap
--- that it is in.
local function instants_of(spans, first, last, local_time)
  local found, gap_end = {}, nil
  for i = first, last do
    local span, instant = spans[i], local_time - spans[i].offset
    if instant >= span.begin and instant < span.stop then found[#found + 1] = instant end
    local before = spans[i - 1]
    if before and local_time >= span.begin + before.offset and
      local_time < span.begin + span.offset then
      gap_end = gap_end or span.begin
    end
  end
  return found, gap_end
end

-- ---- what is to be expected --------------------------------------------------------

--- The instants at which a pattern fires, sorted, each once.
local function expected_of(pattern, matched, zone, policy, from, to)
  local seen, list = {}, {}
  local function add(instant)
    if instant and instant >= from and instant < to and not seen[instant] then
      seen[instant] = true
      list[#list + 1] = instant
    end
  end
  for _, local_time in ipairs(matched) do
    local instants, gap_end = instants_of(zone.spans, zone.first, zone.last, local_time)
    if pattern.is_interval then
      for _, instant in ipairs(instants) do add(instant) end
    elseif #instants == 0 then
      if policy.gap == "run" then add(gap_end) end
    else
      if policy.fold ~= "second" then add(instants[1]) end
      if policy.fold ~= "first" then add(instants[#instants]) end
    end
  end
  table.sort(list)
  return list
end

local function fail(what, made, zone, time, got, expected)
  error(("%s of %s at %s: got %s, expected %s"):format(what, tostring(made), time,
    got and schedule.format(got, zone), expected and schedule.format(expected, zone)), 0)
end

--- Asks a schedule for all times of a span, forwards and backwards.
local function check(made, name, list, from, to)
  local time = from - 1
  for _, expected in ipairs(list) do
    local got = made:next(time)
    if got ~= expected then fail("next", made, name, time, got, expected) end
    if made:next(got - 1) ~= got then fail("next", made, name, got - 1, nil, got) end
    time = got
  end
  local after = made:next(time)
  if after and after < to then fail("next", made, name, time, after) end
  time = to
  for i = #list, 1, -1 do
    local got = made:previous(time)
    if got ~= list[i] then fail("previous", made, name, time, got, list[i]) end
    time = got
  end
  local before = made:previous(time)
  if before and before >= from then fail("previous", made, name, time, before) end
end

local POLICIES <const> = {}
for _, gap in ipairs { "run", "skip" } do
  for _, fold in ipairs { "first", "second", "both" } do
    POLICIES[#POLICIES + 1] = { gap = gap, fold = fold }
  end
end

--- The pattern for a change, by the place where the clock jumps.
local function complete(template, change)
  local jump = change.at + math.min(change.before, change.after)
  local hour = jump // 3600
  local values = { H = hour % 24, I = (hour + 1) % 24, M = jump // 60 % 60 }
  return (template:gsub("{(%u)}", values))
end

-- A range must not end before it begins.
local function is_wanted(text)
  local low, high = text:match "(%d+)%-(%d+)"
  return not low or tonumber(low) <= tonumber(high)
end

local read = setmetatable({}, { __index = function(self, text)
  self[text] = read_pattern(text)
  return self[text]
end })

--- Checks all patterns and policies around one change of a zone. `made` keeps schedules.
--- Returns how many were checked.
local function check_change(zone, changes, i, made)
  local change, count = changes[i], 0
  local jump = math.abs(change.after - change.before)
  local from, to = change.at - AROUND - jump, change.at + AROUND + jump
  local low = from + math.min(change.before, change.after) - 2 * jump
  local high = to + math.max(change.before, change.after) + 2 * jump
  zone.first, zone.last = math.max(i - 2, 1), math.min(i + 3, #zone.spans)
  for _, template in ipairs(oracle.PATTERNS) do
    local text = complete(template, change)
    if is_wanted(text) then
      local pattern = read[text]
      local matched = walk(pattern, low, high)
      for p, policy in ipairs(POLICIES) do
        local key = text .. p
        made[key] = made[key] or schedule.cron(text, {
          zone = zone.name, gap = policy.gap, fold = policy.fold,
        })
        check(made[key], zone.name, expected_of(pattern, matched, zone, policy, from, to), from,
          to)
        count = count + 1
      end
    end
  end
  return count
end

--- Checks zones whose changes an iterator gives as lines of transitions.py. Raises what is
--- wrong. Returns how many zones, changes, and schedules around them it has checked.
function oracle.check(lines)
  local zones, all_changes, count = 0, 0, 0
  local name, changes
  local function finish()
    if not name then return end
    local zone, made = { name = name, spans = spans_of(changes) }, {}
    for i = 1, #changes do count = count + check_change(zone, changes, i, made) end
    zones, all_changes = zones + 1, all_changes + #changes
  end
  for line in lines do
    local of, at, before, after = line:match "^(%S+) (%-?%d+) (%-?%d+) (%-?%d+)$"
    if of ~= name then
      finish()
      name, changes = of, {}
    end
    changes[#changes + 1] = {
      at = math.tointeger(at), before = math.tointeger(before), after = math.tointeger(after),
    }
  end
  finish()
  return zones, all_changes, count
end

return oracle
