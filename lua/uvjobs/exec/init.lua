-- uvjobs.exec: runs a child process and collects its output.

local core = require "uvjobs.core"
require "uvjobs.needs" ("uvjobs.exec", "luv")
local arguments = require "uvjobs.arguments"
local children = require "uvjobs.concurrent.children"
local defer = require "uvjobs.defer"
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

-- A function that computes keeps us from noticing that the time is over: so where there is
-- a time limit, one that has computed for so long is preempted. Seconds.
local LEAST_SLICE <const>, MOST_SLICE <const> = 0.01, 1

local function slice_of(timeout)
  if not timeout then return math.huge end
  return math.max(LEAST_SLICE, math.min(timeout, MOST_SLICE))
end

-- The jobs that tend a child. One that is killed because it does not end in spite of a
-- time limit is not reported: the caller is told.
local function new_nursery(child, options)
  local owner = uvjobs.current().scheduler
  return uvjobs.scheduler {
    limit = math.huge,
    pending_limit = 0,
    close_timeout = owner.close_timeout,
    timeslice = math.min(owner.timeslice, slice_of(options.timeout)),
    on_error = "cancel",
    exception_handler = function(_, context)
      if child.stop_reason and context.message == "Job closing timed out" then return end
      owner:call_exception_handler(context)
    end,
  }
end

-- Returns a function that calls fn() when it was called n times.
local function after(n, fn)
  return function()
    n = n - 1
    if n == 0 then fn() end
  end
end

-- What the jobs do: they read, write and wait for the child's end, all at once. The child
-- is done when it has ended and its output was read: then nobody needs its input any
-- more, and closing the pipes ends the writer.
local function parts_of(child, options, result, all_read)
  local note_end = after(2, function()
    child.decided:set()
    child:close_pipes()
  end)
  local note_read = after(2, function()
    all_read:set()
    note_end()
  end)
  return {
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

local function run_part(guard, i, child, fn)
  local done = false
  local _ <close> = guard
  local _ <close> = defer(function()
    if not done then child.decided:set() end
  end)
  children.note_started(guard, i)
  fn()
  done = true
end

-- Waits until the child is done. When its time limit passes before, or when its output is
-- too long, this stops it, and cancels what the jobs do: so no function that is suspended,
-- or ignores that, holds up exec(). When one fails, this raises its error.
local function tend(child, options, result)
  local jobs <close> = new_nursery(child, options)
  local guard, all_read = children.new_guard(jobs), uvjobs.event()
  for i, fn in ipairs(parts_of(child, options, result, all_read)) do
    children.note_spawned(guard, i, jobs:spawn(run_part, guard, i, child, fn))
  end
  if not child.decided:wait(options.timeout) then
    child:give_up("timeout", words.of_timeout(child, options.timeout))
  end
  if not child.stop_reason then return children.wait_for_all(jobs, guard) end
  child:stop()
  all_read:wait(LAST_WORDS)
  core.close_quietly(jobs)
  core.report_failed(jobs)
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
