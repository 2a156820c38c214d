--- The command `uvjobs`: runs a script as the main job.
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local cli_options = require "uvjobs.cli_options"

core.own_source()

local cli = {}

local USAGE = [[
usage: uvjobs [options] [script.lua | -] [args]
       uvjobs [options] -e CODE [args]
       uvjobs cron FILE
       uvjobs cron --next N PATTERN
       uvjobs queue STORE
       uvjobs ps
       uvjobs tree PID
       uvjobs why PID JOB
       uvjobs top PID
       uvjobs web
       uvjobs trace PID
       uvjobs profile PID

Runs a Lua script as the main job of uvjobs; "-" reads it from standard input, and so
does the command without a script unless standard input is a terminal. With "cron" it
runs a crontab: see "uvjobs cron --help". With "queue" it looks at the tasks of durable
jobs: see "uvjobs queue --help". With "ps", "tree", "why", "top" and "web" it
looks into a process that runs: see "uvjobs tree --help".

options:
  -e CODE             run this text
  --stats             print what the loop has done, at the end
  --slow=SECONDS      report jobs that hold the loop for so long
  --timeslice=SECONDS preempt the main job after so long
  --clock=virtual     let the clock jump to the next deadline
  --date=SECONDS      the date at which that begins, in seconds since 1970
  --interrupt=HOW     how busy jobs are reached: a signal, "count" or "none"
  --seed=NUMBER       the seed of random numbers
  --shuffle=SEED      run ready jobs in a random order
  --dump=NAME         which signal asks for a dump of all jobs (SIGQUIT), or "none"
  --inspect=LIST      what other processes of yours may do: "control", "values" or
                      "socket"; or "none" to be left alone
  --signals=LIST      which signals end the script, like SIGINT,SIGTERM; or "none"
  --close-timeout=SECONDS
                      how long the script has to end after one (10)
  --work-threads=N    how many functions of work run at once
  -h, --help          print this text
  -v, --version       print the versions of uvjobs and Lua
  --                  end of the options

exit status:
  the integer from 0 to 255 that the script returns, or
  0        the script ended normally
  1        it could not be loaded, raised an error, or could not print
  2        wrong usage
  128 + N  signal N ended it: 130 SIGINT, 143 SIGTERM, 129 SIGHUP
]]

-- The exit status of the process, and what it prints, when a signal has ended the script.
-- A broken pipe is not worth a word: it is how `uvjobs script.lua | head` ends.
local SIGNALS <const> = {
  SIGINT = { status = 130, text = "interrupted" },
  SIGTERM = { status = 143, text = "terminated" },
  SIGHUP = { status = 129, text = "hung up" },
  SIGQUIT = { status = 131, text = "quit" },
  SIGUSR1 = { status = 138, text = "ended by SIGUSR1" },
  SIGUSR2 = { status = 140, text = "ended by SIGUSR2" },
  SIGPIPE = { status = 141 },
}

local MAX_STATUS <const> = 255

-- The commands that look into other processes.
local INSPECTS <const> = {
  ps = true, tree = true, why = true, top = true, web = true, trace = true,
  profile = true,
}

local function complain(text)
  pcall(io.stdout.flush, io.stdout)
  io.stderr:write("uvjobs: ", text, "\n")
end

--- Returns the entry of SIGNALS for an error that ended the script, or nil.
local function signal_of(err)
  local code = uvjobs.code(err)
  return (code == "cancelled" or code == "killed") and SIGNALS[err.signal] or nil
end

--- Returns an error as text. A value that tostring() has no text for is described in the
--- words of the plain interpreter.
local function describe(err)
  if type(err) == "string" or type(err) == "number" then
    return tostring(err)
  end
  local meta = debug.getmetatable(err)
  if type(meta) == "table" and meta.__tostring then
    local ok, text = pcall(tostring, err)
    if ok then return text end
  end
  return ("(error object is a %s value)"):format(type(err))
end

--- Returns the report of a script that a signal has ended. It has a traceback only when
--- the script was computing: where it was waiting is of no use to the user.
local function report_of_signal(signal, level)
  if not core.main_at_work() or not signal.text then return signal.text end
  return debug.traceback(signal.text, level + 1)
end

-- ---- running -------------------------------------------------------------------------

--- Runs `chunk(...)` as the main job. Returns a table: `ok` and the first `result`;
--- otherwise the error as `value`, whether the main job had `begun`, and as `report` the
--- error's text with a traceback, which is nil for one that was not raised in the main job.
---
--- The traceback is made inside the job, before its stack unwinds. The error itself must
--- pass unchanged: how the job ends depends on its identity.
local function run(options, chunk, ...)
  local reported, report
  local outcome = {}
  local function handler(err)
    local signal = signal_of(err)
    if signal then
      report = report_of_signal(signal, 2)
    else
      report = debug.traceback(describe(err), 2)
    end
    reported = err
    return err
  end
  local function main(...)
    outcome.begun = true
    local ok, result = xpcall(chunk, handler, ...)
    if not ok then error(result, 0) end
    return result
  end
  local ok, result = pcall(uvjobs.run, options, main, ...)
  outcome.ok = ok
  if ok then
    outcome.result = result
  else
    outcome.value = result
    outcome.report = rawequal(result, reported) and report or nil
  end
  return outcome
end

local function usage_error(text)
  complain(text .. "\nTry 'uvjobs --help'.")
  return 2
end

--- Returns the exit status of a script that has failed, and says why.
local function fail(outcome)
  local signal = signal_of(outcome.value)
  local misuse = not outcome.begun and type(outcome.value) == "string"
    and cli_options.translate(outcome.value)
  if misuse then return usage_error(misuse) end
  local text = outcome.report or signal and signal.text
  if text or not signal then complain(text or describe(outcome.value)) end
  return signal and signal.status or 1
end

--- Returns the exit status for what a script has returned.
local function status_of(result)
  if math.type(result) ~= "integer" then return 0 end
  if result >= 0 and result <= MAX_STATUS then return result end
  complain(("the script returned %d, which is no exit status (0 to 255)"):format(result))
  return 1
end

--- Writes out what was printed. When that cannot be written, as on a full disk, a script
--- that thinks it has succeeded has not.
local function flush(status)
  if io.type(io.stdout) ~= "file" or core.flush() or status ~= 0 then return status end
  io.stderr:write("uvjobs: not all output could be written to standard output\n")
  return 1
end

local function print_stats()
  local stats, names = uvjobs.stats(), {}
  for name in pairs(stats) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    io.stderr:write(("uvjobs: %s %s\n"):format(name, tostring(stats[name])))
  end
end

--- Sets the global `arg` as the plain interpreter would for the script, which is at
--- `index` in `args`: the arguments before it get negative indices.
local function set_arg(args, index)
  local shifted = {}
  for i, v in pairs(args) do
    if math.type(i) == "integer" then shifted[i - index] = v end
  end
  _G.arg = shifted
end

local function load_script(given, name)
  if given.code then return load(given.code, "=(command line)") end
  return loadfile(name ~= "-" and name or nil)
end

-- Whether the options use the signal for something else than a dump.
local function takes(options, name)
  for _, taken in ipairs(options.signals or {}) do
    if taken == name then return true end
  end
  return options.interrupt == name
end

--- Completes the options of run(). A terminal that is closed ends what it has started.
local function options_of(given)
  local options = given.run
  options.stats = given.stats
  if options.signals == nil and core.is_interactive() then
    options.signals = { "SIGINT", "SIGTERM", "SIGHUP" }
  end
  if options.dump == nil and not takes(options, "SIGQUIT") then options.dump = "SIGQUIT" end
  return options
end

local function run_script(given, args, index)
  local chunk, message = load_script(given, args[index])
  if not chunk then
    complain(message)
    return 1
  end
  set_arg(args, index)
  local outcome = run(options_of(given), chunk, table.unpack(args, index + 1))
  local status = outcome.ok and flush(status_of(outcome.result)) or fail(outcome)
  if given.stats and outcome.begun then print_stats() end
  return status
end

local function print_help()
  io.stdout:write(USAGE)
  return flush(0)
end

local function print_version()
  io.stdout:write(uvjobs._VERSION, " (", _VERSION, ")\n")
  return flush(0)
end

--- Runs the command. It blocks until the script has ended. Errors are printed, and
--- raised to nobody.
---@param args string[] the command line, a table like the global `arg`
---@return integer status what the process should exit with
function cli.main(args)
  if args[1] == "cron" then return require("uvjobs.cron.command").main(args) end
  if args[1] == "queue" then return require("uvjobs.durable.command").main(args) end
  if INSPECTS[args[1]] then return require("uvjobs.inspect.command").main(args) end
  local given, problem = cli_options.read(args)
  if not given then return usage_error(problem) end
  if given.help then return print_help() end
  if given.version then return print_version() end
  if given.index then return run_script(given, args, given.index) end
  if core.is_interactive() then
    io.stderr:write(USAGE)
    return 2
  end
  local index = #args + 1
  args[index] = "-"
  return run_script(given, args, index)
end

return cli
