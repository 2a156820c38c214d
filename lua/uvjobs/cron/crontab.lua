-- Crontabs as texts: lines of a pattern, options, and a command. docs/schedule.md
-- describes the form. Nothing here starts anything.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local repeating_options = require "uvjobs.repeating_options"
local schedule = require "uvjobs.schedule"

core.own_source()

local crontab = {}

---@class uvjobs.cron.Entry a line that names a command
---@field line integer its number
---@field key string entries with the same key do the same
---@field name string for people
---@field schedule uvjobs.Schedule
---@field options table of scheduler:repeating()
---@field timeout? number seconds, of a command
---@field command string for the shell
---@field env table<string, string> what is changed in the environment of the command

-- ---- words -------------------------------------------------------------------------

local UNITS <const> = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400, w = 604800 }

--- The seconds of a text such as "90", "30s", "1h30m"; or nil.
---@param text string
---@return number?
function crontab.duration(text)
  local number = text:find "^[%d.]+$" and tonumber(text)
  if number then return number end
  local seconds, rest = 0, text
  repeat
    local amount, unit, after = rest:match "^(%d+%.?%d*)(%l+)(.*)$"
    if not amount or not UNITS[unit] then return nil end
    seconds, rest = seconds + tonumber(amount) * UNITS[unit], after
  until rest == ""
  return seconds
end

local NAMES <const> = {}
for name in ("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC SUN MON TUE WED THU FRI SAT")
  :gmatch "%a+" do
  NAMES[name] = ""
end

-- Whether a word can be a field of a pattern: it consists of numbers, names and the
-- characters that patterns have, and no command does.
local function is_field(word)
  local rest = word:gsub("%a%a%a", function(name) return NAMES[name:upper()] end)
  return rest:find "^[%d*?,/#+LW-]*$" ~= nil
end

local FEWEST_FIELDS <const>, MOST_FIELDS <const> = 5, 7

-- Whether the last of these fields is the command: a name such as `sat`, in small letters,
-- behind which there is no other command.
local function is_command(fields, rest)
  return #fields > FEWEST_FIELDS and fields[#fields]:find "^%l%l%l$" and
    (rest == "" or rest:find "^%-")
end

-- Splits a line into its pattern and what comes behind: "@every 30s", another nickname,
-- or 5 to 7 fields.
local function split_pattern(line)
  local pattern, rest = line:match "^(@every%s+%S+)%s*(.*)$"
  if not pattern then pattern, rest = line:match "^(@%S*)%s*(.*)$" end
  if pattern then return pattern, rest end
  local fields
  fields, rest = {}, line
  while #fields < MOST_FIELDS do
    local word, after = rest:match "^(%S+)%s*(.*)$"
    if not word or not is_field(word) then break end
    fields[#fields + 1], rest = word, after
  end
  if is_command(fields, rest) then
    rest = ("%s %s"):format(table.remove(fields), rest):match "^(.-)%s*$"
  end
  return table.concat(fields, " "), rest
end

-- ---- options -----------------------------------------------------------------------

local function integer(text)
  return math.tointeger(tonumber(text)), "integer"
end

local function seconds(text)
  return crontab.duration(text), "seconds, or a text such as '1h30m',"
end

-- How the values of options are read that are no words.
local READ <const> = {
  anchor = function(text) return tonumber(text), "seconds since 1970" end,
  jitter = seconds,
  misfire_grace = seconds,
  misfire_limit = integer,
  phase = seconds,
  timeout = seconds,
}

-- Takes the options from the front of a text. Returns them and the rest; or nil and what
-- is wrong.
local function split_options(text)
  local options = {}
  while true do
    local name, value, rest = text:match '^(%l[%l_]*)="([^"]*)"%s*(.*)$'
    if not name then name, value, rest = text:match "^(%l[%l_]*)=(%S*)%s*(.*)$" end
    if not name then return options, text end
    if READ[name] then
      local made, expected = READ[name](value)
      if not made then
        return nil, ("option '%s': %s expected, got '%s'"):format(name, expected, value)
      end
      value = made
    end
    options[name], text = value, rest
  end
end

-- Calls a function of uvjobs.schedule; returns what it returns, or nil and what it says of
-- the argument.
local function try(fn, ...)
  local ok, made = pcall(fn, ...)
  if ok then return made end
  local problem = tostring(made):match "bad argument #%d+ to '%w+' (%b())$"
  return nil, problem and problem:sub(2, -2) or tostring(made)
end

--- A schedule for what a crontab has in front of a command: a pattern of uvjobs.schedule,
--- or "@every 30s", which is counted from `now`; or nil and what is wrong.
---@param pattern string
---@param options table those of an entry
---@param zone? string
---@param now number seconds since 1970
---@return uvjobs.Schedule? schedule
---@return string? problem
function crontab.schedule(pattern, options, zone, now)
  if pattern == "@every" then return nil, "a time is missing behind '@every', such as '30s'" end
  local period = pattern:match "^@every%s+(%S+)$"
  local known = repeating_options.known[period and "every" or "cron"]
  local problem = arguments.problem_of_options(options, known)
  if problem then return nil, problem end
  local of_schedule = repeating_options.schedule(options) or {}
  if not period then
    of_schedule.zone = of_schedule.zone or zone
    return try(schedule.cron, pattern, of_schedule)
  end
  local every = crontab.duration(period)
  if not every then
    return nil, ("a time such as '30s' or '1h30m' expected, got '%s'"):format(period)
  end
  of_schedule.anchor = of_schedule.anchor or now
  return try(schedule.every, every, of_schedule)
end

-- ---- lines -------------------------------------------------------------------------

-- The options that repeating() takes: those of the schedule are in it already, and a
-- command has its time limit from exec().
local function options_of_repeating(options)
  local known, kept = repeating_options.known.repeating, {}
  for name, value in pairs(options) do
    if known[name] then kept[name] = value end
  end
  kept.timeout = nil
  return kept
end

-- A text that is the same for entries that do the same.
local function key_of(...)
  local parts = { ... }
  for i, part in ipairs(parts) do
    if type(part) == "table" then
      local texts = {}
      for name, value in pairs(part) do texts[#texts + 1] = ("%s=%s"):format(name, value) end
      table.sort(texts)
      parts[i] = table.concat(texts, "\1")
    end
  end
  return table.concat(parts, "\0")
end

local LONGEST_NAME <const> = 40 -- characters of a command that stand for its name

local function name_of(options, command)
  if options.name then return options.name end
  if #command <= LONGEST_NAME then return command end
  return command:sub(1, LONGEST_NAME) .. ".."
end

-- What the lines so far have set.
local function new_settings(now)
  return { env = {}, shell = "/bin/sh", now = now }
end

-- Takes a line "NAME=value"; returns whether it is one, or nil and what is wrong.
local function take_setting(settings, line)
  local name, value = line:match "^([%a_][%w_]*)%s*=%s*(.-)$"
  if not name then return false end
  value = value:match '^"(.*)"$' or value:match "^'(.*)'$" or value
  if name == "CRON_TZ" then
    local _, problem = try(schedule.format, 0, value)
    if problem then return nil, "CRON_TZ: " .. problem end
    settings.zone = value
    return true
  end
  if name == "SHELL" then settings.shell = value end
  local env = { [name] = value } -- entries above keep the table that they have
  for other, text in pairs(settings.env) do env[other] = env[other] or text end
  settings.env = env
  return true
end

-- The entry that a line is; or nil and what is wrong.
local function read_entry(settings, number, line)
  local pattern, rest = split_pattern(line)
  local options, command = split_options(rest)
  if not options then return nil, command end
  local made, problem = crontab.schedule(pattern, options, settings.zone, settings.now)
  if not made then return nil, problem end
  if command == "" then return nil, "there is no command" end
  return {
    line = number,
    key = key_of(pattern, options, settings.zone or "", settings.shell, settings.env, command),
    name = name_of(options, command),
    schedule = made,
    options = options_of_repeating(options),
    timeout = options.timeout,
    shell = settings.shell,
    command = command,
    env = settings.env,
  }
end

--- Reads a crontab.
---@param text string
---@param now number seconds since 1970, from which "@every" is counted
---@return uvjobs.cron.Entry[] entries
---@return { line: integer, text: string }[] problems empty when all is well
function crontab.read(text, now)
  local settings, entries, problems, number = new_settings(now), {}, {}, 0
  for raw in (text .. "\n"):gmatch "(.-)\r?\n" do
    number = number + 1
    local line = raw:match "^%s*(.-)%s*$"
    if line ~= "" and not line:find "^#" then
      local entry
      local taken, problem = take_setting(settings, line)
      if taken == false then entry, problem = read_entry(settings, number, line) end
      if problem then problems[#problems + 1] = { line = number, text = problem } end
      entries[#entries + 1] = entry
    end
  end
  return entries, problems
end

return crontab
