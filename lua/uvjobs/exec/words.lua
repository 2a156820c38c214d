-- What uvjobs.exec says of a child that did not end well: every message names the
-- command.

local luv = require "luv"
local core = require "uvjobs.core"

core.own_source()

local words = {}

-- Second names, and names without a signal of their own.
local NO_NAMES <const> = { SIGIOT = true, SIGPOLL = true, SIGCLD = true, SIGRTMIN = true }

local signal_names = {}
for name, number in pairs(luv.constants) do
  if name:find "^SIG%u" and not NO_NAMES[name] then signal_names[number] = name end
end

-- How the process ended, as the end of a sentence.
local function end_of(code, signal)
  if code then return ("ended with status %d"):format(code) end
  local name = signal_names[signal]
  return ("was ended by signal %d%s"):format(signal, name and (" (%s)"):format(name) or "")
end

--- What a child did that ended by itself; nil after success.
---@param command string
---@param code? integer
---@param signal integer
---@return string? message
function words.of_end(command, code, signal)
  if code == 0 then return nil end
  return ("'%s' %s"):format(command, end_of(code, signal))
end

--- What the child did that was stopped, and how it ended.
---@param command string
---@param child uvjobs.exec.Child
---@return string message
function words.of_stop(command, child)
  local code, signal = child:status()
  local how = end_of(code, signal)
  if not child:has_ended() then
    how = "has not ended" .. (child.kill_problem and (": " .. child.kill_problem) or " since")
  end
  return ("'%s' %s, and %s"):format(command, child.stop_text, how)
end

--- What a child did that was not done when its time limit passed.
---@param child uvjobs.exec.Child
---@param seconds number
---@return string text for Child:give_up()
function words.of_timeout(child, seconds)
  if not child:has_ended() then return ("did not end within %.14g seconds"):format(seconds) end
  return ("left its output open for more than %.14g seconds, or it was not read to its end")
    :format(seconds)
end

-- Whether a process can run in the directory. What luv says of a directory and of a
-- command is the same.
local function is_usable(directory)
  local stat = luv.fs_stat(directory)
  return stat and stat.type == "directory" and luv.fs_access(directory, "X")
end

-- The option with a descriptor that is not open.
local function closed_option(options)
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    local fd = options[name]
    if math.type(fd) == "integer" and not luv.fs_fstat(fd) then return name, fd end
  end
end

--- Why the child could not be started.
---@param options table with defaults
---@param message string luv's
---@param code string
---@return string message
function words.of_spawn(command, options, message, code)
  local where, hint = "", ""
  if options.cwd and not is_usable(options.cwd) then
    where = (" in the directory '%s'"):format(options.cwd)
  elseif code == "EBADF" then
    local name, fd = closed_option(options)
    if name then where = (" with %s = %d"):format(name, fd) end
  elseif code == "ENOENT" and command:find "%S%s+%S" then
    hint = " (no shell is involved: the arguments are a list of their own)"
  end
  return ("cannot start '%s'%s: %s%s"):format(command, where, message, hint)
end

return words
