-- uvjobs.exec: runs a child process and collects what it prints.

local luv = require "luv"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local uv = require "uvjobs.uv"
local handles = require "uvjobs.uv.handles"
local wrong_table = require "uvjobs.options".wrong

core.own_source()

local MAX_OUTPUT <const> = 16 * 1024 * 1024 -- bytes, of each stream

-- A job that is being closed has its scheduler's close timeout to end. The child
-- gets the first part of it to end by itself.
local PATIENCE <const> = 0.7

-- ---- arguments ---------------------------------------------------------------------

local function is_string(value) return type(value) == "string" end
local function is_boolean(value) return type(value) == "boolean" end
local function is_function(value) return type(value) == "function" end

local function is_seconds(value)
  return type(value) == "number" and value >= 0 and value < math.huge
end

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

local function is_size(value)
  return value == math.huge or (math.type(value) == "integer" and value >= 0)
end

local function is_fd(value)
  return math.type(value) == "integer" and value >= 0 and value < 1 << 31
end

local OPTIONS <const> = {
  input = { is_input, "string or list of strings" },
  env = { is_env, "table of names to strings or false" },
  cwd = { is_string, "string" },
  stdin = { is_fd, "descriptor" },
  stdout = { is_fd, "descriptor" },
  stderr = { is_fd, "descriptor" },
  on_stdout = { is_function, "function" },
  on_stderr = { is_function, "function" },
  group = { is_boolean, "boolean" },
  timeout = { is_seconds, "seconds >= 0" },
  max_output = { is_size, "integer >= 0 or math.huge" },
}

-- What is wrong with an argument, or nil.
local function wrong_command(command)
  if type(command) ~= "string" then
    return "string expected, got " .. core.typename(command)
  elseif command:find "\0" then
    return "string without a zero byte expected"
  end
end

local function wrong_args(args)
  if type(args) ~= "table" then
    return "list of strings expected, got " .. core.typename(args)
  end
  for i = 1, #args do
    if type(args[i]) ~= "string" then
      return ("string expected as element %d, got %s"):format(
        i, core.typename(args[i]))
    elseif args[i]:find "\0" then
      return ("string without a zero byte expected as element %d"):format(i)
    end
  end
end

-- Options of which at most one can be given.
local EXCLUSIVE <const> = {
  { "input", "stdin" }, { "on_stdout", "stdout" }, { "on_stderr", "stderr" },
}

local function wrong_options(options)
  local wrong = wrong_table(options, OPTIONS)
  if wrong then return wrong end
  for _, pair in ipairs(EXCLUSIVE) do
    if options[pair[1]] ~= nil and options[pair[2]] ~= nil then
      return ("options '%s' and '%s' exclude each other"):format(
        pair[1], pair[2])
    end
  end
end

local function check(n, wrong)
  if not wrong then return end
  error(("bad argument #%d to 'exec' (%s)"):format(n, wrong), 3)
end

-- The environment of the child: ours, with the changes; nil for ours.
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
---@field process userdata
---@field pid integer
---@field group? boolean it has a process group of its own
---@field pipes (userdata|false)[] our ends of its stdin, stdout and stderr
---@field stopped? string why it was stopped: "timeout" or "limit"
local Child = {}
Child.__index = Child

-- A pipe where the standard stream `i` is ours to read or write, or false.
local function new_pipes(options)
  return {
    options.input and uv.new_pipe(false) or false,
    not options.stdout and uv.new_pipe(false),
    not options.stderr and uv.new_pipe(false),
  }
end

-- Returns a Child, for a to-be-closed variable; or nil, a message and a code.
local function start(command, args, options)
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
    child.pid, child.group = message, options.group -- a group has the same number
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

-- By its number: when the Lua state closes luv's handle may be gone before.
function Child:kill(signal)
  if self.group then return luv.kill(-self.pid, signal) end
  if not self:has_ended() then luv.kill(self.pid, signal) end
end

-- Asks it to end, then makes it; and waits for that. Processes that it leaves
-- behind may hold the pipes open. The job may be killed while it waits.
function Child:stop()
  local _ <close> = setmetatable({}, { __close = function()
    if self.group or not self:has_ended() then self:kill "sigkill" end
    self:close_pipes()
  end })
  self:kill "sigterm"
  local patience = uvjobs.current().scheduler.close_timeout * PATIENCE
  if not self.process:wait(core.grace(patience)) then
    self:kill "sigkill"
    self.process:wait()
  end
end

function Child:stop_for(reason)
  if self.stopped then return end
  self.stopped = reason
  self:stop()
end

-- Nothing of it is left, whatever happens to the job meanwhile. When the Lua state
-- closes the handles go with it.
function Child:finish()
  if not self:has_ended() then self:kill "sigkill" end
  pcall(self.close_pipes, self)
  pcall(handles.close_at_exit, self.process)
end

-- However the call is left: a group outlives no call that ended early. A job that
-- is ended by force has no time to ask, or to wait.
function Child:__close(err)
  local _ <close> = setmetatable({}, { __close = function() self:finish() end })
  if self:has_ended() then
    if err ~= nil and self.group then self:kill "sigkill" end
    return
  end
  local ok, can_suspend = pcall(core.can_suspend)
  if ok and can_suspend then pcall(uvjobs.protect, self.stop, self) end
end

-- ---- its input and output ------------------------------------------------------------

-- The pieces of a stream; it ends also when the pipe is closed under it.
local function pieces(pipe)
  return function()
    local chunk, message, code = pipe:read_some()
    if message and code ~= "ECANCELED" then error(message, 0) end
    return chunk
  end
end

local function collect(child, pipe, options, name, result)
  local parts, left = {}, options.max_output
  local function finish()
    result[name] = result[name] or table.concat(parts)
  end
  local _ <close> = setmetatable({}, { __close = finish })
  for chunk in pieces(pipe) do
    parts[#parts + 1] = chunk:sub(1, left)
    left = left - #chunk
    if left < 0 then
      finish()
      return child:stop_for "limit"
    end
  end
end

-- The lines of a stream, each without its end; the last may have none. One that
-- is longer than the limit stops the child.
local function each_line(child, pipe, options, on_line)
  local parts, size = {}, 0 -- of the line that has not ended
  for chunk in pieces(pipe) do
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

local function read(child, i, options, name, result)
  local pipe, on_line = child.pipes[i], options["on_" .. name]
  if not pipe then return end
  if on_line then return each_line(child, pipe, options, on_line) end
  return collect(child, pipe, options, name, result)
end

-- A child that does not want to read all has not failed.
local function write(child, options)
  local pipe = child.pipes[1]
  if not pipe then return end
  local ok, message, code = pipe:write(options.input)
  if not ok and code ~= "EPIPE" and code ~= "ECANCELED" then error(message, 0) end
  handles.close(pipe)
end

-- Reads, writes and waits for the end, all at once.
local function communicate(child, options, result)
  local ended, left = uvjobs.event(), 3
  local function part(fn, ...)
    local args = table.pack(...)
    return function()
      fn(table.unpack(args, 1, args.n))
      left = left - 1
      if left > 0 then return end
      ended:set()
      child:close_pipes()
    end
  end
  uvjobs.all {
    part(read, child, 2, options, "stdout", result),
    part(read, child, 3, options, "stderr", result),
    part(child.process.wait, child.process),
    function() write(child, options) end,
    function()
      if not ended:wait(options.timeout) then child:stop_for "timeout" end
    end,
  }
  result.code, result.signal = child.process:wait()
end

return function(command, args, options)
  args, options = args or {}, options or {}
  check(1, wrong_command(command))
  check(2, wrong_args(args))
  check(3, wrong_options(options))
  core.check_suspend("exec", 2)
  if core.interrupted() then uvjobs.yield() end -- raises
  options = setmetatable({}, { __index = options })
  options.max_output = math.min(options.max_output or MAX_OUTPUT, math.maxinteger)
  local result = {}
  local child <close>, message, code = start(command, args, options)
  if not child then return nil, message, code end
  communicate(child, options, result)
  if child.stopped then return nil, child.stopped, result end
  return result
end
