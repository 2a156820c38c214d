-- The options of the methods of schedulers that repeat, and of which kinds they are. What
-- they are when nobody gives them is in src/lua/repeating/repeating.c.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"

core.own_source()

local expect <const> = arguments.expect

local MOST_MISFIRES <const> = 10000 -- as many as C lets wait

local repeating_options = {}

-- One of some words.
local function one_of(...)
  local words, known = { ... }, {}
  for i, word in ipairs(words) do
    known[word] = true
    words[i] = ("'%s'"):format(word)
  end
  local last = table.remove(words)
  return arguments.kind(function(value) return known[value] ~= nil end,
    table.concat(words, ", ") .. " or " .. last)
end

-- For options that the module of schedules checks.
local function is_of_schedule() end

local function is_limit(value)
  local integer = math.type(value) == "integer" and value
  return integer and integer >= 1 and integer <= MOST_MISFIRES
end

local function is_priority(value)
  local integer = math.type(value) and math.tointeger(value)
  return integer ~= nil and integer >= 0 and integer <= 9
end

local function is_key(value)
  return type(value) == "string" or type(value) == "number" and value == value
end

local OPTIONS <const> = {
  name = expect.string,
  priority = arguments.kind(is_priority, "integer from 0 to 9"),
  key = arguments.kind(is_key, "string or number"),
  jitter = expect.seconds,
  timeout = expect.seconds_or_forever,
  overlap = one_of("skip", "one", "all", "cancel", "allow"),
  misfire = one_of("skip", "latest", "all"),
  misfire_limit = arguments.kind(is_limit, ("integer from 1 to %d"):format(MOST_MISFIRES)),
  misfire_grace = expect.seconds_or_forever,
  on_error = one_of("continue", "pause"),
}

-- The options of a method: those above, and those of its schedule.
local function with_options_of_schedule(...)
  local known = {}
  for name, kind in pairs(OPTIONS) do known[name] = kind end
  for _, name in ipairs { ... } do known[name] = is_of_schedule end
  return known
end

--- The options of each method, for arguments.problem_of_options().
repeating_options.known = {
  repeating = OPTIONS,
  every = with_options_of_schedule("anchor", "phase"),
  cron = with_options_of_schedule("zone", "gap", "fold"),
  at = with_options_of_schedule("zone", "gap", "fold"),
}

--- The options of the schedule that are among them; nil without any.
---@param options table
---@return table?
function repeating_options.schedule(options)
  local others
  for name, value in next, options do
    if not OPTIONS[name] then
      others = others or {}
      others[name] = value
    end
  end
  return others
end

return repeating_options
