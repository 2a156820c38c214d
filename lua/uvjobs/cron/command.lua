-- The command `uvjobs cron`: runs a crontab, or says when a pattern fires.

local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local crontab = require "uvjobs.cron.crontab"
local daemon = require "uvjobs.cron.daemon"
local schedule = require "uvjobs.schedule"

core.own_source()

local command = {}

local USAGE = [[
usage: uvjobs cron [options] FILE
       uvjobs cron --check FILE
       uvjobs cron --next N [options] PATTERN

Runs the commands of a crontab at their times, until SIGINT or SIGTERM. Then nothing
begins any more, and what runs may finish. On SIGHUP the file is read again; what runs
goes on. A line is a pattern and a command, with options between them:

  CRON_TZ=Europe/Berlin
  30 2 * * MON-FRI  overlap=skip timeout=1h  backup --all
  @every 30s        name=poll                curl -sf http://localhost/health

options:
  --limit=N           at most N commands at a time
  --close-timeout=SECONDS
                      how long commands may go on after the signal (10)
  --verbose           say what begins and what has ended
  --check             only say what is wrong with the file
  --next=N            print the next N times of a pattern
  --zone=ZONE         in this zone, such as Europe/Berlin or UTC; the system's otherwise
  --gap=run|skip, --fold=first|second|both
                      what becomes of a local time that does not exist, or occurs twice
  --from=DATE         times after this one, such as '2027-03-27 12:00'; now otherwise
  -h, --help          print this text

exit status:
  0        ended by a signal, and all commands have ended by themselves
  1        the file has mistakes; there is no next time; commands had to be terminated
  2        wrong usage
]]

local function complain(text)
  pcall(io.stdout.flush, io.stdout)
  io.stderr:write("uvjobs: ", text, "\n")
end

local function usage_error(text)
  complain(text .. "\nTry 'uvjobs cron --help'.")
  return 2
end

-- ---- the command line --------------------------------------------------------------

local function text(value) return value, "text" end

local function count(value)
  local n = math.tointeger(tonumber(value))
  return n and n >= 1 and n or nil, "integer > 0"
end

local function seconds(value)
  local n = value == "inf" and math.huge or tonumber(value)
  return n and n >= 0 and n or nil, "seconds >= 0"
end

local WITH_VALUE <const> = {
  ["--next"] = count, ["--zone"] = text, ["--gap"] = text, ["--fold"] = text,
  ["--from"] = text, ["--limit"] = count, ["--close-timeout"] = seconds,
}

local WITHOUT_VALUE <const> = {
  ["--check"] = true, ["--verbose"] = true, ["--help"] = true,
}

local ALL <const> = {} -- for core.nearest()
for name in pairs(WITH_VALUE) do ALL[name] = true end
for name in pairs(WITHOUT_VALUE) do ALL[name] = true end

-- The options that make no sense without the one that they go with.
local GO_WITH_NEXT <const> = { "--zone", "--gap", "--fold", "--from" }
local GO_WITHOUT_NEXT <const> = { "--check", "--verbose", "--limit", "--close-timeout" }

-- Reads an option at args[i]; returns the index of its last word, or nil and what is wrong.
local function take_option(given, args, i)
  local word = args[i] == "-h" and "--help" or args[i]
  if WITHOUT_VALUE[word] then
    given[word] = true
    return i
  end
  local name, value = word:match "^(%-%-[%w-]+)=(.*)$"
  name = name or word
  if not WITH_VALUE[name] then
    return nil, ("unknown option '%s', did you mean '%s'?"):format(name, core.nearest(name, ALL))
  end
  if not value then
    i = i + 1
    value = args[i]
    if not value then return nil, ("option '%s' needs a value"):format(name) end
  end
  local made, expected = WITH_VALUE[name](value)
  if made == nil then
    return nil, ("option '%s': %s expected, got '%s'"):format(name, expected, value)
  end
  given[name] = made
  return i
end

-- Options may stand before and behind the pattern or the file. Returns a table of the
-- options by their names, with the other word as [1]; or nil and what is wrong.
local function read_options(args)
  local given, i, ended = {}, 2, false
  while args[i] do
    local problem
    if ended or not args[i]:find "^%-." then
      given[#given + 1] = args[i]
    elseif args[i] == "--" then
      ended = true
    else
      i, problem = take_option(given, args, i)
      if problem then return nil, problem end
    end
    i = i + 1
  end
  return given
end

-- What is wrong with the options together, or nil.
local function conflict_of(given)
  local is_next = given["--next"] ~= nil
  for _, name in ipairs(is_next and GO_WITHOUT_NEXT or GO_WITH_NEXT) do
    if given[name] then
      return ("option '%s' does not go %s '--next'"):format(name, is_next and "with" or "without")
    end
  end
  local wanted = is_next and "pattern, in quotes," or "crontab"
  if #given == 0 then return ("a %s is missing"):format(wanted) end
  if #given > 1 then return ("one %s expected, got %d words"):format(wanted, #given) end
end

-- ---- what is done ------------------------------------------------------------------

-- The time of --from; or nil and what is wrong.
local function begin_of(given)
  local from = given["--from"]
  if not from then return uvjobs.time() end
  local ok, made = pcall(schedule.at, from, { zone = given["--zone"] or "local" })
  if ok then return made:next(-1e12) end
  local said = tostring(made):match "%((.*)%)$" or tostring(made)
  return nil, said:find "^option 'zone'" and said or "option '--from': " .. said
end

local function print_next(given)
  local options = { gap = given["--gap"], fold = given["--fold"] }
  local zone = given["--zone"] or "local"
  local from, problem = begin_of(given)
  local made
  if from then made, problem = crontab.schedule(given[1], options, zone, from) end
  if not made then return usage_error((problem:gsub("^option '(%l+)'", "option '--%1'"))) end
  local printed = 0
  for _ = 1, given["--next"] do
    from = made:next(from)
    if not from then break end
    print(schedule.format(from, zone))
    printed = printed + 1
  end
  if printed > 0 then return core.flush() and 0 or 1 end
  complain("there is no next time")
  return 1
end

local function run_file(given)
  local path = given[1]
  if given["--check"] then return daemon.load(path) and 0 or 1 end
  local options = {
    close_timeout = given["--close-timeout"] or 10,
    limit = given["--limit"] or math.huge,
    verbose = given["--verbose"],
  }
  local ok, status = pcall(uvjobs.run, { close_timeout = options.close_timeout }, daemon.run,
    path, options)
  if ok then return status end
  complain(tostring(status))
  return 1
end

--- Runs the command. It blocks until it is done. Errors are printed, and raised to nobody.
---@param args string[] the command line, of which "cron" is the first word
---@return integer status what the process should exit with
function command.main(args)
  local given, problem = read_options(args)
  if given and given["--help"] then
    io.stdout:write(USAGE)
    return core.flush() and 0 or 1
  end
  problem = problem or conflict_of(given)
  if problem then return usage_error(problem) end
  if given["--next"] then return print_next(given) end
  return run_file(given)
end

return command
