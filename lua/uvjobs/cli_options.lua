-- The options of the command `uvjobs`: what its command line asks for.
local core = require "uvjobs.core"

core.own_source()

local cli_options = {}

-- ---- the values of run's options ---------------------------------------------------------

-- Each of these returns the value that run() takes, or nil and what was expected. run()
-- checks it further.

local function seconds(text)
  local value = text == "inf" and math.huge or tonumber(text)
  if value then return value end
  return nil, "seconds"
end

local function slow(text)
  if text == "false" then return false end
  local value = seconds(text)
  if value then return value end
  return nil, "seconds or 'false'"
end

local function integer(text)
  local value = math.tointeger(tonumber(text))
  if value then return value end
  return nil, "integer"
end

local function number(text)
  local value = tonumber(text)
  if value then return value end
  return nil, "seconds since 1970"
end

local function word(text) return text end

--- "SIGINT,SIGTERM", or "none".
local function signals(text)
  if text == "none" then return false end
  local list = {}
  for name in (text .. ","):gmatch "(.-)," do list[#list + 1] = name end
  return list
end

--- "SIGQUIT", or "none".
local function dump(text)
  return text ~= "none" and text
end

--- "control,values,socket", "demand" or "none".
local function inspect(text)
  if text == "none" then return false end
  if text == "demand" then return text end
  local options = {}
  for name in (text .. ","):gmatch "(.-)," do options[name] = true end
  return options
end

local OF_RUN <const> = {
  ["--clock"] = { "clock", word },
  ["--close-timeout"] = { "close_timeout", seconds },
  ["--date"] = { "date", number },
  ["--dump"] = { "dump", dump },
  ["--inspect"] = { "inspect", inspect },
  ["--interrupt"] = { "interrupt", word },
  ["--seed"] = { "seed", integer },
  ["--shuffle"] = { "shuffle", integer },
  ["--signals"] = { "signals", signals },
  ["--slow"] = { "slow", slow },
  ["--timeslice"] = { "timeslice", seconds },
  ["--work-threads"] = { "work_threads", integer },
}

local WITHOUT_VALUE <const> = {
  ["-h"] = "help", ["--help"] = "help", ["-v"] = "version", ["--version"] = "version",
  ["--stats"] = "stats",
}

local ALL <const> = {} -- for core.nearest()
for name in pairs(OF_RUN) do ALL[name] = true end
for name in pairs(WITHOUT_VALUE) do ALL[name] = true end

--- Says what run() has said of an option, in the words of the command line.
---@param message string the error of run()
---@return string? problem nil if it was not about an option
function cli_options.translate(message)
  local problem = message:match "^bad argument #1 to 'run' %((.*)%)$"
  if not problem then return nil end
  return (problem:gsub("^option '([%a_]+)'", function(name)
    return ("option '--%s'"):format((name:gsub("_", "-")))
  end))
end

-- ---- the command line ------------------------------------------------------------------------

local function unknown(name)
  local nearest = name:find "^%-%-" and core.nearest(name, ALL)
  if nearest then
    return ("unknown option '%s', did you mean '%s'?"):format(name, nearest)
  end
  return ("unknown option '%s'"):format(name)
end

--- Takes an option that has a value, as "--name=value". Returns what is wrong, or nil.
local function take_value(given, text)
  local name, value = text:match "^(%-%-[%w-]+)=(.*)$"
  local option = OF_RUN[name or text]
  if WITHOUT_VALUE[name] then return ("option '%s' takes no value"):format(name) end
  if not option then return unknown(name or text) end
  if not name then return ("option '%s' needs a value: '%s=...'"):format(text, text) end
  local expected
  given.run[option[1]], expected = option[2](value)
  if expected then
    return ("option '%s': %s expected, got '%s'"):format(name, expected, value)
  end
end

--- Reads the options. Returns a table of
--- - `run`: options for uvjobs.run()
--- - `help`, `version`, `stats`: true when they were given
--- - `code`: the text of -e, or nil
--- - `index`: where the script is in `args`, or the code; nil when there is neither
--- or nil and what is wrong.
---@param args string[] the command line
---@return table? given
---@return string? problem
function cli_options.read(args)
  local given, i = { run = {} }, 1
  while args[i] and args[i]:find "^%-." do
    local option, problem = args[i], nil
    if option == "--" then
      i = i + 1
      break
    elseif option == "-e" then
      given.code = args[i + 1]
      if not given.code then return nil, "option '-e' needs Lua code" end
      i = i + 1
      break
    elseif WITHOUT_VALUE[option] then
      given[WITHOUT_VALUE[option]] = true
    else
      problem = take_value(given, option)
    end
    if problem then return nil, problem end
    i = i + 1
  end
  if args[i] then given.index = i end
  return given
end

return cli_options
