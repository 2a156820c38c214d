-- The commands that look into other processes: `uvjobs ps`, `tree`, `why`, `top`, `web` and
-- `trace` and `profile`.

local ask = require "uvjobs.inspect.ask"
local core = require "uvjobs.core"
local json = require "uvjobs.inspect.json"
local object = require "uvjobs.inspect.object"
local overview = require "uvjobs.inspect.overview"
local processes = require "uvjobs.inspect.processes"
local top = require "uvjobs.inspect.top"
local tree = require "uvjobs.inspect.tree"
local why = require "uvjobs.inspect.why"
local shown = require("uvjobs.inspect.words").shown

core.own_source()

local command = {}

local USAGE <const> = {
  ps = [[
usage: uvjobs ps [--json] [PID...]

Lists the processes with uvjobs in them that you may ask, or these: how many jobs they
have, and what they do. Sockets are removed that processes have left behind which were ended by
force.
]],
  tree = [[
usage: uvjobs tree [--all] [--ascii] [--json] PID

Shows the jobs of a process, each below the one that has spawned it: its state, its age,
what it waits for and who holds that, and where it stands. It works also while a job
computes without end, or is in a function of C that does not return.

options:
  --all     a line for each job, also when many of them do the same at the same place
  --ascii   draw the tree in ASCII
  --json    print all that is known, as JSON
]],
  why = [[
usage: uvjobs why PID JOB

Says why a job does not go on: who holds what it waits for, what that one waits for, and
so on. JOB is the number of a job, like '#93' or 93, or its name; '2#93' is in the second of
several loops.
]],
  top = [[
usage: uvjobs top [--once] PID

Shows the jobs of a process, once a second, until you press q. The oldest come first, or
those that have run most often, or that have run or were ready to for longest, if
run{ stats = true } measures that. w says why the selected job does not go on. c cancels
it, after a question, if the program allows that: run{ inspect = { control = true } }.
Where the output is no terminal it shows them once.

options:
  --once    show them once
]],
  web = [[
usage: uvjobs web [--port=N] [PID...]

Serves a page that shows the processes that you may ask, or these, and their jobs. It
prints the address, with a token that nobody else knows. Only this machine can open it. It
needs lua-http.

options:
  --port=N  the port; one that is free otherwise
]],
  trace = [[
usage: uvjobs trace [-s SECONDS] [-o FILE] PID

Has a process write a trace of what its jobs do, for ui.perfetto.dev and chrome://tracing. A
switch between two jobs takes more than twice as long meanwhile. Control-C ends the trace
before its time. It has 64 MiB at most.

options:
  -s, --seconds=SECONDS   for how long (5)
  -o, --output=FILE       the file, which is emptied (trace.json)
]],
  profile = [[
usage: uvjobs profile [-s SECONDS] [-o FILE] PID

Has a process write where its jobs compute, by a hundred samples a second, for flamegraph.pl,
speedscope.app and others. Control-C ends the profile before its time.

options:
  -s, --seconds=SECONDS   for how long (10)
  -o, --output=FILE       the file, which is emptied (profile.txt)
]],
}

local EXIT <const> = [[

exit status:
  0        the process has answered
  1        it could not be asked, or has no such job
  2        wrong usage
]]

-- ---- the command line --------------------------------------------------------------------

local OPTIONS <const> = {
  ps = { ["--json"] = true },
  tree = { ["--all"] = true, ["--ascii"] = true, ["--json"] = true },
  why = {},
  top = { ["--once"] = true },
  web = { ["--port"] = true },
  trace = { ["--seconds"] = true, ["--output"] = true },
  profile = { ["--seconds"] = true, ["--output"] = true },
}
local WORDS <const> = {
  ps = {}, tree = { "PID" }, why = { "PID", "JOB" }, top = { "PID" }, web = {},
  trace = { "PID" }, profile = { "PID" },
}

-- What a terminal shows of a text of several lines.
local function show(text)
  return (text:gsub("[^\n]+", shown))
end

local function complain(text)
  pcall(io.stdout.flush, io.stdout)
  io.stderr:write("uvjobs: ", show(text), "\n")
  return 1
end

local function usage_error(name, text)
  complain(("%s\nTry 'uvjobs %s --help'."):format(text, name))
  return 2
end

local function unknown(name, option)
  local nearest = core.nearest(option:match "^[^=]*", OPTIONS[name])
  return nearest and ("unknown option '%s', did you mean '%s'?"):format(option, nearest)
    or ("unknown option '%s'"):format(option)
end

local function to_pid(text)
  local pid = text:find "^%d+$" and math.tointeger(tonumber(text))
  return pid and pid > 0 and pid <= 0x7fffffff and pid or nil
end

local function to_port(text)
  local port = text:find "^%d+$" and math.tointeger(tonumber(text))
  return port and port <= 65535 and port or nil
end

local NO_PID <const> = "number of a process expected, got '%s'"

local function read_pids(asked)
  for i, word in ipairs(asked) do
    asked[i] = to_pid(word)
    if not asked[i] then return nil, NO_PID:format(word) end
  end
  return asked
end

local function to_seconds(text)
  local seconds = tonumber(text)
  return seconds and seconds > 0 and seconds <= 86400 and seconds or nil
end

local function to_name(text)
  return text ~= "" and not text:find "%c" and text or nil
end

-- The options with a value: what reads it, what is expected, and the option's long name.
local VALUES <const> = {
  web = { ["--port"] = { to_port, "port", "port" } },
  trace = {
    ["--seconds"] = { to_seconds, "seconds from 0 to a day", "seconds" },
    ["--output"] = { to_name, "name of a file", "output" },
  },
}
VALUES.profile = VALUES.trace
VALUES.trace["-s"], VALUES.trace["-o"] = VALUES.trace["--seconds"], VALUES.trace["--output"]

-- Takes an option with a value, as "--name=value" or as two words. Returns whether it is one, how
-- many words it takes, and what is wrong with it.
local function take_value(name, asked, word, next_word)
  local option, value = word:match "^(%-%-[%w-]+)=(.*)$"
  local known = VALUES[name] and VALUES[name][option or word]
  if not known then return false end
  value = value or next_word
  if not value then return true, 1, ("option '%s' needs a value"):format(word) end
  asked[known[3]] = known[1](value)
  if not asked[known[3]] then
    return true, 1, ("option '%s': %s expected, got '%s'"):format(option or word, known[2], value)
  end
  return true, option and 1 or 2
end

-- Takes a word that is an option. Returns how many words it takes, or nil and what is wrong.
local function take_option(name, asked, word, next_word)
  local is_known, words, problem = take_value(name, asked, word, next_word)
  if problem then return nil, problem end
  if is_known then return words end
  if word == "-h" or word == "--help" then
    asked.help = true
  elseif OPTIONS[name][word] then
    asked[word:sub(3)] = true
  else
    return nil, unknown(name, word)
  end
  return 1
end

local function check_words(name, asked)
  local wanted = WORDS[name]
  if #asked < #wanted then return nil, ("%s is missing"):format(wanted[#asked + 1]) end
  if name == "ps" or name == "web" then return read_pids(asked) end
  if #asked > #wanted then return nil, ("unexpected '%s'"):format(asked[#wanted + 1]) end
  asked.pid = to_pid(asked[1])
  if not asked.pid then return nil, NO_PID:format(asked[1]) end
  return asked
end

-- Returns the options and the words, or nil and what is wrong.
local function read(name, args)
  local asked, ended, i = {}, false, 2
  while args[i] do
    local word, words = args[i], 1
    if ended or not word:find "^%-." then
      asked[#asked + 1] = word
    elseif word == "--" then
      ended = true
    else
      local problem
      words, problem = take_option(name, asked, word, args[i + 1])
      if not words then return nil, problem end
    end
    i = i + words
  end
  if asked.help then return asked end
  return check_words(name, asked)
end

-- ---- what they print ---------------------------------------------------------------------

local function print_text(text)
  io.stdout:write(text, "\n")
  return core.flush() and 0 or 1
end

local function print_lines(lines)
  for i, line in ipairs(lines) do lines[i] = shown(line) end
  return print_text(table.concat(lines, "\n"))
end

local function has_utf8()
  local locale = os.getenv "LC_ALL" or os.getenv "LC_CTYPE" or os.getenv "LANG" or ""
  return locale:upper():find "UTF%-?8" ~= nil
end

local run = {}

function run.ps(asked)
  processes.remove_stale()
  local rows = overview.rows(#asked == 0 and processes.all() or processes.some(asked))
  if asked.json then
    local list = setmetatable({}, json.list)
    for i, row in ipairs(rows) do
      list[i] = { pid = row.process.pid, command = row.process.command, jobs = row.jobs,
        state = row.state }
    end
    return print_text(json.encode(list))
  end
  local columns = core.terminal_size(1)
  return print_lines(overview.lines(rows, columns))
end

local function print_tree(asked, process, loops)
  if asked.json then return print_text(json.encode(object.of(process, loops))) end
  local list = { ("process %d: %s"):format(process.pid, process.command) }
  for i, loop in ipairs(loops) do
    if #loops > 1 then list[#list + 1] = ("loop %d of %d"):format(i, #loops) end
    local lines = tree.lines(loop, { lines = not asked.ascii and has_utf8() })
    table.move(lines, 1, #lines, #list + 1, list)
  end
  return print_lines(list)
end

function run.tree(asked)
  local question = (asked.all or asked.json) and "look" or "tree"
  local loops, problem = ask.look_patiently(asked.pid, question)
  if not loops then return complain(problem) end
  local process = processes.get(asked.pid) or { pid = asked.pid, command = "it has ended" }
  return print_tree(asked, process, loops)
end

function run.why(asked)
  local loops, problem = ask.look(asked.pid)
  if not loops then return complain(problem) end
  local job, loop = why.find(loops, asked[2])
  if not job then return complain(("process %d: %s"):format(asked.pid, loop)) end
  return print_lines(why.lines(loop, job))
end

function run.top(asked)
  local view = top.view(asked.pid)
  local ok, problem = top.look(view)
  if not ok then return complain(problem) end
  local width, height = core.terminal_size(1)
  if asked.once or not width or not core.is_interactive() then
    return print_lines(top.once(view, width or 80, height or 24))
  end
  problem = top.run(view)
  return problem and complain(problem) or 0
end

function run.web(asked)
  local uvjobs = require "uvjobs"
  local ok, web = pcall(require, "uvjobs.inspect.web")
  if not ok then return complain(web) end
  local served, problem = pcall(uvjobs.run, web.serve, asked.port or 0, asked, function(url)
    io.stdout:write(url, "\n")
    core.flush()
  end)
  local code = not served and uvjobs.code(problem)
  if served or code == "cancelled" or code == "killed" then return 0 end
  return complain(tostring(problem))
end

local function write(what, asked, path, seconds)
  path, seconds = asked.output or path, asked.seconds or seconds
  local ok, problem = require("uvjobs.inspect.tracing").write(what, asked.pid, path, seconds)
  if not ok then return complain(problem) end
  return print_lines { path }
end

function run.trace(asked) return write("trace", asked, "trace.json", 5) end

function run.profile(asked) return write("profile", asked, "profile.txt", 10) end

--- Runs a command. It blocks, and must be called outside of `run`.
---@param args string[] the command line, whose first word is the command
---@return integer status what the process should exit with
function command.main(args)
  local name = args[1]
  local asked, problem = read(name, args)
  if not asked then return usage_error(name, problem) end
  if asked.help then
    io.stdout:write(USAGE[name], EXIT)
    return core.flush() and 0 or 1
  end
  if not processes.can_be_read() then return complain "this system has no /proc to look into" end
  return run[name](asked)
end

return command
