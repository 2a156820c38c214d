-- uvjobs.exec: runs a child process and collects its output.

local core = require "uvjobs.core"
require "uvjobs.needs" ("uvjobs.exec", "luv")
require "uvjobs.concurrent" -- for uvjobs.all and uvjobs.race
local arguments = require "uvjobs.arguments"
local Child = require "uvjobs.exec.child"
local options_of = require "uvjobs.exec.options"
local streams = require "uvjobs.exec.streams"
local words = require "uvjobs.exec.words"

core.own_source()

local uvjobs = core.public

-- When a child that was stopped has ended, what it wrote at last is still to be read. A
-- process that it leaves behind may keep the pipe open, so this takes so many seconds at
-- most.
local LAST_WORDS <const> = 0.25

-- Waits until the child is done. When its time limit passes before, or when its output is
-- too long, this stops it and returns. Else it waits for ever.
local function watch(child, options, all_read)
  if not child.decided:wait(options.timeout) then
    child:give_up("timeout", words.of_timeout(child, options.timeout))
  end
  if not child.stop_reason then uvjobs.event():wait() end
  child:stop()
  all_read:wait(LAST_WORDS)
end

-- Returns a function that calls fn() when it was called n times.
local function after(n, fn)
  return function()
    n = n - 1
    if n == 0 then fn() end
  end
end

-- Reads, writes and waits for the child's end, all at once. The child is done when it has
-- ended and its output was read: then nobody needs its input any more, and closing the
-- pipes ends the writer.
local function communicate(child, options, result, all_read)
  local note_end = after(2, function()
    child.decided:set()
    child:close_pipes()
  end)
  local note_read = after(2, function()
    all_read:set()
    note_end()
  end)
  uvjobs.all {
    function()
      streams.read(child, 2, options, "stdout", result)
      note_read()
    end,
    function()
      streams.read(child, 3, options, "stderr", result)
      note_read()
    end,
    function()
      child.process:wait()
      note_end()
    end,
    function() streams.write(child, options) end,
  }
end

-- Does that until the child is done or was stopped, whichever comes first: when it was
-- stopped, the rest is cancelled, so no function that is suspended or ignores that holds
-- up exec().
local function tend(child, options, result)
  local all_read = uvjobs.event()
  uvjobs.race {
    function() communicate(child, options, result, all_read) end,
    function() watch(child, options, all_read) end,
  }
end

-- Fills in how the child has ended.
local function complete(result, command, child)
  result.code, result.signal = child:status()
  result.ok = result.code == 0 and not child.stop_reason
  if child.stop_reason then
    result.message = words.of_stop(command, child)
  else
    result.message = words.of_end(command, result.code, result.signal)
  end
end

--- uvjobs.exec: runs a child process until it has ended. Suspends. When the job is
--- cancelled, the child is terminated, and waited for.
--- Errors: misuse; an error of on_stdout or on_stderr, or of a read or write;
--- `cancelled`, `timeout` and `killed` of the current job.
---@param command string looked up in PATH
---@param args? string[]
---@param options? uvjobs.ExecOptions
---@return uvjobs.ExecResult? result
---@return string? why "timeout", "limit" or "spawn"
---@return uvjobs.ExecResult? partial the result so far; nil after "spawn"
---@return string? message names the command
---@return string? code after "spawn": such as "ENOENT"
return function(command, args, options)
  args, options = args or {}, options or {}
  local problem, n = options_of.problem(command, args, options)
  if problem then arguments.fail(2, n, "exec", problem) end
  core.check_suspend("exec", 2)
  if core.interrupted() then uvjobs.yield() end -- raises
  options = options_of.with_defaults(options)
  local result = {}
  local child <close>, message, code = Child.spawn(command, args, options)
  if not child then
    return nil, "spawn", nil, words.of_spawn(command, options, message, code), code
  end
  tend(child, options, result)
  complete(result, command, child)
  if child.stop_reason then return nil, child.stop_reason, result, result.message end
  return result
end
