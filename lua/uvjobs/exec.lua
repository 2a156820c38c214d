-- uvjobs.exec: runs a child process and collects its output.

local luv = require "luv"
local core = require "uvjobs.core"
require "uvjobs.concurrent" -- for uvjobs.all
local uv = require "uvjobs.uv"
local handles = require "uvjobs.uv.handles"
local arguments = require "uvjobs.arguments"
local defer = require "uvjobs.defer"

core.own_source()

local uvjobs = core.public

local expect = arguments.expect

local MAX_OUTPUT <const> = 16 * 1024 * 1024 -- bytes, of each stream

-- A job that is being closed has its scheduler's close timeout to end. This share of it
-- is how long the child may take to end after SIGTERM; then it gets SIGKILL.
local PATIENCE <const> = 0.7

-- ---- arguments ---------------------------------------------------------------------

local function is_input(value)
  if type(value) == "string" then return true end
  if type(value) ~= "table" then return false end
  for i = 1, #value do
    if type(value[i]) ~= "string" then return false end
  end
  return next(value) == nil or #value > 0
end

local function is_env(value)
  if type(value) ~= "table" then return false end
  for name, text in pairs(value) do
    if type(name) ~= "string" or name == "" or name:find "[=\0]" or
      (text ~= false and (type(text) ~= "string" or text:find "\0")) then
      return false
    end
  end
  return true
end

local function is_descriptor(value)
  return math.type(value) == "integer" and value >= 0 and value < 1 << 31
end

local descriptor = arguments.kind(is_descriptor, "descriptor")

local OPTIONS <const> = {
  input = arguments.kind(is_input, "string or list of strings"),
  env = arguments.kind(is_env, "table of names to strings or false"),
  cwd = expect.string,
  stdin = descriptor,
  stdout = descriptor,
  stderr = descriptor,
  on_stdout = expect.func,
  on_stderr = expect.func,
  group = expect.boolean,
  timeout = expect.seconds,
  max_output = expect.count(0),
}

-- These return what is wrong with an argument, or nil.

local function problem_of_command(command)
  if type(command) ~= "string" then
    return arguments.unexpected("string", command)
  elseif command:find "\0" then
    return "string without a zero byte expected"
  end
end

local function problem_of_args(args)
  if type(args) ~= "table" then
    return arguments.unexpected("list of strings", args)
  end
  for i = 1, #args do
    if type(args[i]) ~= "string" then
      return arguments.unexpected_element("string", i, args[i])
    elseif args[i]:find "\0" then
      return ("string without a zero byte expected as element %d"):format(i)
    end
  end
end

-- At most one option of each pair may be given.
local EXCLUSIVE <const> = {
  { "input", "stdin" }, { "on_stdout", "stdout" }, { "on_stderr", "stderr" },
}

local function problem_of_options(options)
  local problem = arguments.problem_of_options(options, OPTIONS)
  if problem then return problem end
  for _, pair in ipairs(EXCLUSIVE) do
    if options[pair[1]] ~= nil and options[pair[2]] ~= nil then
      return ("options '%s' and '%s' exclude each other"):format(
        pair[1], pair[2])
    end
  end
end

-- Blames the caller of exec().
local function check(n, problem)
  if problem then arguments.fail(3, n, "exec", problem) end
end

-- Returns the environment of the child, which is ours with the changes, as a list for
-- luv; or nil, with which luv takes ours.
local function environment(changes)
  if not changes then return nil end
  local list = {}
  for name, text in pairs(luv.os_environ()) do
    if changes[name] == nil then list[#list + 1] = name .. "=" .. text end
  end
  for name, text in pairs(changes) do
    if text then list[#list + 1] = name .. "=" .. text end
  end
  return list
end

-- ---- the child -----------------------------------------------------------------------

---@class uvjobs.exec.Child
---@field process userdata luv's handle
---@field pid integer
---@field group? boolean the child leads a process group of its own
---@field pipes (userdata|false)[] our ends of its stdin, stdout and stderr, where we have one
---@field stop_reason? string "timeout" or "limit", when we have stopped it
local Child = {}
Child.__index = Child

-- Returns a pipe for each standard stream that we write or read, false for the others.
local function new_pipes(options)
  return {
    options.input and uv.new_pipe(false) or false,
    not options.stdout and uv.new_pipe(false),
    not options.stderr and uv.new_pipe(false),
  }
end

-- Returns a running Child, for a to-be-closed variable; or nil, a message and a code.
local function spawn_child(command, args, options)
  local pipes = new_pipes(options)
  local child = setmetatable({ pipes = pipes }, Child)
  local process, message, code = uv.spawn(command, {
    args = args,
    stdio = {
      pipes[1] or options.stdin,
      pipes[2] or options.stdout,
      pipes[3] or options.stderr,
    },
    env = environment(options.env),
    cwd = options.cwd,
    detached = options.group,
  })
  if process then
    child.process = process
    child.pid, child.group = message, options.group -- the group's number is the pid
    return child
  end
  child:close_pipes()
  return nil, message, code
end

function Child:close_pipes()
  for i = 1, 3 do
    if self.pipes[i] then handles.close(self.pipes[i]) end
  end
end

function Child:has_ended()
  return handles.state(self.process).status ~= nil
end

-- This signals the process by its number, because luv's handle may be gone already
-- when the Lua state closes.
function Child:kill(signal)
  if self.group then return luv.kill(-self.pid, signal) end
  if not self:has_ended() then luv.kill(self.pid, signal) end
end

-- Sends SIGTERM, after a while SIGKILL, and waits until the child has ended. The
-- to-be-closed variable is for a job that is killed while it waits. It also closes the
-- pipes, which processes that the child leaves behind may keep open.
function Child:stop()
  local _ <close> = defer(function()
    if self.group or not self:has_ended() then self:kill "sigkill" end
    self:close_pipes()
  end)
  self:kill "sigterm"
  local patience = uvjobs.current().scheduler.close_timeout * PATIENCE
  if not self.process:wait(core.grace(patience)) then
    self:kill "sigkill"
    self.process:wait()
  end
end

function Child:stop_for(reason)
  if self.stop_reason then return end
  self.stop_reason = reason
  self:stop()
end

-- Leaves nothing of the child, without waiting. It calls by pcall, because when the Lua
-- state closes luv's handles may be gone already.
function Child:release()
  if not self:has_ended() then self:kill "sigkill" end
  pcall(self.close_pipes, self)
  pcall(handles.close_at_exit, self.process)
end

-- Ends the child when exec() is left early: a group also when its first process has
-- ended already. A job that is being killed cannot wait: there release() sends SIGKILL.
function Child:__close(err)
  local _ <close> = defer(function() self:release() end)
  if self:has_ended() then
    if err ~= nil and self.group then self:kill "sigkill" end
    return
  end
  local ok, can_suspend = pcall(core.can_suspend)
  if ok and can_suspend then pcall(uvjobs.protect, self.stop, self) end
end

-- ---- its input and output ------------------------------------------------------------

-- Returns an iterator over the pieces of the output, until its end or until another
-- job closes the pipe.
local function chunks_of(pipe)
  return function()
    local chunk, message, code = pipe:read_some()
    if message and code ~= "ECANCELED" then error(message, 0) end
    return chunk
  end
end

-- Collects the output as result[name], also when the job is cancelled meanwhile.
local function collect(child, pipe, options, name, result)
  local parts, room = {}, options.max_output
  local function save()
    result[name] = result[name] or table.concat(parts)
  end
  local _ <close> = defer(save)
  for chunk in chunks_of(pipe) do
    parts[#parts + 1] = chunk:sub(1, room)
    room = room - #chunk
    if room < 0 then
      save()
      return child:stop_for "limit"
    end
  end
end

-- Calls on_line with each line of the output, without its newline; the last one may
-- have none. A line that is longer than the limit stops the child.
local function each_line(child, pipe, options, on_line)
  local parts, size = {}, 0 -- of the line whose newline has not come yet
  for chunk in chunks_of(pipe) do
    local from, to = 1, chunk:find("\n", 1, true)
    while to do
      if size + to - from > options.max_output then return child:stop_for "limit" end
      parts[#parts + 1] = chunk:sub(from, to - 1)
      on_line(table.concat(parts))
      parts, size, from = {}, 0, to + 1
      to = chunk:find("\n", from, true)
    end
    if from <= #chunk then parts[#parts + 1] = chunk:sub(from) end
    size = size + #chunk - from + 1
    if size > options.max_output then return child:stop_for "limit" end
  end
  if size > 0 then on_line(table.concat(parts)) end
end

-- Reads the standard stream `i`, which is called `name`, to its end.
local function read_stream(child, i, options, name, result)
  local pipe, on_line = child.pipes[i], options["on_" .. name]
  if not pipe then return end
  if on_line then return each_line(child, pipe, options, on_line) end
  return collect(child, pipe, options, name, result)
end

-- A child that ends, or closes its standard input, before it has read everything has
-- not failed.
local function write_input(child, options)
  local pipe = child.pipes[1]
  if not pipe then return end
  local ok, message, code = pipe:write(options.input)
  if not ok and code ~= "EPIPE" and code ~= "ECANCELED" then error(message, 0) end
  handles.close(pipe)
end

-- Reads, writes and waits for the child's end, all at once.
local function communicate(child, options, result)
  local all_ended = uvjobs.event()
  local unfinished = 3
  -- Calls fn(...); the last of the three parts to return ends the others of the list
  -- below: the writer by its pipe, the time limit by the event.
  local function part(fn, ...)
    local args = table.pack(...)
    return function()
      fn(table.unpack(args, 1, args.n))
      unfinished = unfinished - 1
      if unfinished > 0 then return end
      all_ended:set()
      child:close_pipes()
    end
  end
  uvjobs.all {
    part(read_stream, child, 2, options, "stdout", result),
    part(read_stream, child, 3, options, "stderr", result),
    part(child.process.wait, child.process),
    function() write_input(child, options) end,
    function()
      if not all_ended:wait(options.timeout) then child:stop_for "timeout" end
    end,
  }
  result.code, result.signal = child.process:wait()
end

--- uvjobs.exec: runs a child process until it has ended. Suspends. When the job is
--- cancelled, the child is terminated, and waited for.
--- Errors: misuse; an error of on_stdout or on_stderr, or of a read or write;
--- `cancelled`, `timeout` and `killed` of the current job.
---@param command string looked up in PATH
---@param args? string[]
---@param options? uvjobs.ExecOptions
---@return uvjobs.ExecResult? result
---@return string? reason "timeout", "limit", or the message of what could not be started
---@return string|uvjobs.ExecResult? code of that error, or the result so far
return function(command, args, options)
  args, options = args or {}, options or {}
  check(1, problem_of_command(command))
  check(2, problem_of_args(args))
  check(3, problem_of_options(options))
  core.check_suspend("exec", 2)
  if core.interrupted() then uvjobs.yield() end -- raises
  options = setmetatable({}, { __index = options })
  options.max_output = math.min(options.max_output or MAX_OUTPUT, math.maxinteger)
  local result = {}
  local child <close>, message, code = spawn_child(command, args, options)
  if not child then return nil, message, code end
  communicate(child, options, result)
  if child.stop_reason then return nil, child.stop_reason, result end
  return result
end
