-- The process that uvjobs.exec runs, and our ends of its pipes. A Child is a to-be-closed
-- value: however exec() is left, nothing of it stays.

local luv = require "luv"
local core = require "uvjobs.core"
local uv = require "uvjobs.uv"
local handles = require "uvjobs.uv.handles"
local defer = require "uvjobs.defer"
local doing = require "uvjobs.insight.doing"

core.own_source()

local uvjobs = core.public

-- Where nobody closes the job, a process has at least so many seconds after SIGTERM.
local LEAST_PATIENCE <const> = 1

-- A process that got SIGKILL ends as soon as the system is done with it: after so many
-- seconds we leave it to the system.
local AFTER_KILL <const> = 10

---@class uvjobs.exec.Child
---@field process userdata luv's handle
---@field pid integer
---@field group? boolean the child leads a process group of its own
---@field pipes (userdata|false)[] our ends of its stdin, stdout and stderr, where we have one
---@field patience number seconds from SIGTERM to SIGKILL, where the job has as many
---@field kill_at? number when it is to get SIGKILL; nil as long as it did not get SIGTERM
---@field kill_problem? string why it could not get SIGKILL
---@field did? string what the job was said to do before
---@field decided uvjobs.Event is set when the child is done, or is to be stopped
---@field stop_reason? string "timeout" or "limit", when we stop it
---@field stop_text? string what the child did to be stopped, in words
local Child = {}
Child.__index = Child

-- ---- starting --------------------------------------------------------------------------

-- Returns the environment of the child, which is ours with the changes, as a list for
-- luv; or nil, with which luv takes ours.
local function environment(changes)
  if not changes then return nil end
  local list = {}
  for name, text in pairs(luv.os_environ()) do
    if changes[name] == nil then list[#list + 1] = name .. "=" .. text end
  end
  for name, text in next, changes do
    if text then list[#list + 1] = name .. "=" .. text end
  end
  return list
end

-- Makes one pipe for both output streams, so that what the child writes stays in order.
-- Returns our end, and the child's end as a descriptor, which the caller closes; or nil, a
-- message and a code.
local function new_merged_pipe()
  local ends, message, code = luv.pipe({ nonblock = true }, {})
  if not ends then return nil, message, code end
  local pipe = uv.new_pipe(false)
  local ok
  ok, message, code = luv.pipe_open(pipe, ends.read)
  if ok then return pipe, ends.write end
  luv.fs_close(ends.read)
  luv.fs_close(ends.write)
  handles.close(pipe)
  return nil, message, code
end

-- Returns our ends of the child's standard streams, with false for those that we neither
-- write nor read, its ends as luv's `stdio`, and a descriptor to close when it has
-- started, if there is one; or nil, a message and a code.
local function open_streams(options)
  local merged = options.stderr == "stdout"
  local input = options.input and uv.new_pipe(false)
  local output, error_output, fd, code
  if options.stdout then
    error_output = not options.stderr and uv.new_pipe(false)
  elseif merged then
    output, fd, code = new_merged_pipe()
    if not output then
      if input then handles.close(input) end
      return nil, fd, code
    end
  else
    output, error_output = uv.new_pipe(false), not options.stderr and uv.new_pipe(false)
  end
  local out = fd or output or options.stdout
  return { input or false, output or false, error_output or false },
    { input or options.stdin, out, merged and out or error_output or options.stderr },
    fd
end

local function new_child(options, pipes)
  return setmetatable({
    pipes = pipes,
    group = options.group,
    patience = options.kill_timeout or
      math.max(uvjobs.current().scheduler.close_timeout, LEAST_PATIENCE),
    decided = uvjobs.event(),
  }, Child)
end

--- Returns a running child; or nil, luv's message and its code.
---@param options table with defaults
---@return uvjobs.exec.Child? child
---@return string? message
---@return string? code
function Child.spawn(command, args, options)
  local pipes, stdio, fd = open_streams(options)
  if not pipes then return nil, stdio, fd end
  local child = new_child(options, pipes)
  local process, pid, code = uv.spawn(command, {
    args = args,
    stdio = stdio,
    env = environment(options.env),
    cwd = options.cwd,
    detached = options.group,
  })
  if fd then luv.fs_close(fd) end
  if process then
    child.process, child.pid = process, pid -- the pid is also the number of its group
    if options.group then core.tie_group(pid) end
    child.did, child.did_in_brief = doing.set(
      ("it runs the command %q, process %d"):format(command, pid),
      ("it runs a command, process %d"):format(pid))
    return child
  end
  child:close_pipes()
  return nil, pid, code
end

-- ---- ending ----------------------------------------------------------------------------

function Child:close_pipes()
  for i = 1, 3 do
    if self.pipes[i] then handles.close(self.pipes[i]) end
  end
end

function Child:has_ended()
  return handles.state(self.process).status ~= nil
end

--- The exit status, nil after a signal; and the number of the signal, or 0. A child that
--- does not end has neither.
---@return integer? code
---@return integer signal
function Child:status()
  local status = handles.state(self.process).status
  if not status then return nil, 0 end
  local code, signal = status[1], status[2]
  if signal ~= 0 then return nil, signal end
  return code, 0
end

-- This signals the process by its number, because luv's handle may be gone already
-- when the Lua state closes. Returns true; or nil and a message.
function Child:kill(signal)
  if self.group then return luv.kill(-self.pid, signal) end
  if self:has_ended() then return true end
  return luv.kill(self.pid, signal)
end

local function ignore() end

--- Reads what comes from one of the pipes, and forgets it: a child that writes does not
--- wait for us.
function Child:discard(i)
  local pipe = self.pipes[i]
  if not pipe or handles.state(pipe).closed then return end
  luv.read_stop(pipe)
  luv.read_start(pipe, ignore)
end

--- Has the child stopped by the job that waits for `decided`. The first reason counts.
---@param reason string "timeout" or "limit"
---@param text string what the child did, in words
function Child:give_up(reason, text)
  if not self.stop_reason then self.stop_reason, self.stop_text = reason, text end
  self.decided:set()
end

--- Sends SIGTERM, after a while SIGKILL, and waits until the child has ended. A job that
--- is to end itself waits so long only as it has time. When a job leaves this early, the
--- next call goes on with what is left of the patience.
function Child:stop()
  if not self.kill_at then
    self.kill_at = uvjobs.now() + self.patience
    self:kill "sigterm"
  end
  if not self:has_ended() then
    local left = core.grace(math.min(math.max(0, self.kill_at - uvjobs.now()), 1e9))
    self.process:wait(left)
  end
  if self:has_ended() and not self.group then return end
  local sent, message = self:kill "sigkill"
  if self:has_ended() then return end
  self.kill_problem = not sent and message or nil
  self.process:wait(core.grace(sent and AFTER_KILL or 0))
end

--- Leaves nothing of the child, without waiting. It calls by pcall, because when the Lua
--- state closes luv's handles may be gone already.
function Child:release()
  if not self:has_ended() then self:kill "sigkill" end
  if self.group then core.untie_group(self.pid) end
  pcall(self.close_pipes, self)
  pcall(handles.close_at_exit, self.process)
end

-- Ends the child when exec() is left early: a group also when its first process has
-- ended already. A job that is being killed cannot wait: there release() sends SIGKILL. When
-- the Lua state closes, all that follows on release() raises errors, which nobody gets.
function Child:__close(err)
  local _ <close> = defer(function()
    self:release()
    doing.set(self.did, self.did_in_brief)
  end)
  if self:has_ended() then
    if err ~= nil and self.group then self:kill "sigkill" end
    return
  end
  if self.stop_reason and err == nil then return end -- it was stopped, in vain
  local ok, can_suspend = pcall(core.can_suspend)
  if not ok or not can_suspend then return end
  self:discard(2)
  self:discard(3)
  pcall(uvjobs.protect, self.stop, self)
end

return Child
