--- The command `uvjobs`: runs a script as the main job.
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"

core.own_source()

local cli = {}

local USAGE = [[
usage: uvjobs [options] script.lua [args]
       uvjobs [options] - [args]

Runs a Lua script as the main job of uvjobs; "-" reads it from standard input.

options:
  -h, --help      print this text
  -v, --version   print the versions of uvjobs and Lua
  --              end of the options

exit status:
  0    the script ended normally
  1    it could not be loaded, or raised an error
  2    wrong usage
  130  interrupted (SIGINT)
  143  terminated (SIGTERM)
]]

-- The exit status of the process, and what it prints, when a signal has cancelled the
-- main job.
local SIGNALS = {
  SIGINT = { status = 130, text = "interrupted" },
  SIGTERM = { status = 143, text = "terminated" },
}

local function complain(text)
  io.stdout:flush()
  io.stderr:write("uvjobs: ", text, "\n")
end

--- Returns the entry of SIGNALS for an error that ended the script, or nil.
local function signal_of(err)
  return uvjobs.code(err) == "cancelled" and SIGNALS[err.signal] or nil
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
  if not core.main_at_work() then return signal.text end
  return debug.traceback(signal.text, level + 1)
end

--- Runs `chunk(...)` as the main job. Returns nil when it has ended normally; otherwise a
--- table with the error as `value`, and its text with a traceback as `report`, which is
--- nil for an error that was not raised in the main job.
---
--- The traceback is made inside the job, before its stack unwinds. The error itself must
--- pass unchanged: how the job ends depends on its identity.
local function run(chunk, ...)
  local reported, report
  local function handler(err)
    local signal = signal_of(err)
    report = signal and report_of_signal(signal, 2) or debug.traceback(describe(err), 2)
    reported = err
    return err
  end
  local function main(...)
    local ok, err = xpcall(chunk, handler, ...)
    if not ok then error(err, 0) end
  end
  local ok, err = pcall(uvjobs.run, main, ...)
  if ok then return nil end
  return { value = err, report = rawequal(err, reported) and report or nil }
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

local function run_script(args, index)
  local name = args[index]
  local chunk, message = loadfile(name ~= "-" and name or nil)
  if not chunk then
    complain(message)
    return 1
  end
  set_arg(args, index)
  local failure = run(chunk, table.unpack(args, index + 1))
  if not failure then return 0 end
  local signal = signal_of(failure.value)
  complain(failure.report or signal and signal.text or describe(failure.value))
  return signal and signal.status or 1
end

local function usage_error(text)
  complain(text .. "\nTry 'uvjobs --help'.")
  return 2
end

local function print_help()
  io.stdout:write(USAGE)
  return 0
end

local function print_version()
  io.stdout:write(uvjobs._VERSION, " (", _VERSION, ")\n")
  return 0
end

local OPTIONS = {
  ["-h"] = print_help, ["--help"] = print_help,
  ["-v"] = print_version, ["--version"] = print_version,
}

--- Runs the command. It blocks until the script has ended. Errors are printed, and
--- raised to nobody.
---@param args string[] the command line, a table like the global `arg`
---@return integer status what the process should exit with
function cli.main(args)
  local first, index = args[1], 1
  if OPTIONS[first] then return OPTIONS[first]() end
  if first == "--" then
    index = 2
  elseif first and first:find("^%-.") then
    return usage_error(("unknown option '%s'"):format(first))
  end
  if not args[index] then
    io.stderr:write(USAGE)
    return 2
  end
  return run_script(args, index)
end

return cli
