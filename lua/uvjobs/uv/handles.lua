-- luv's handles with methods that suspend. The handles are luv's own userdata, and their
-- types get further methods. A handle is managed when uvjobs.uv has made it or was called
-- with it: methods that luv has, too, are ours for managed handles, and luv's for others.

local luv = require "luv"
local core = require "uvjobs.core"
local arguments = require "uvjobs.arguments"
local calls = require "uvjobs.uv.calls"
local errors = require "uvjobs.uv.errors"

core.own_source()

local uvjobs = core.public

local handles = {}

local registry = debug.getregistry()

--- What is known of a managed handle; all but the first five fields are those of one file.
---@class uvjobs.uv.State
---@field source? string where the handle was made, in debug mode
---@field queue? uvjobs.Queue what has come and nobody has taken
---@field err? string the code of the error for which the queue was closed
---@field closed? uvjobs.Event is set when the handle is closed; nil before it is closing
---@field wake? fun() wakes the jobs that wait for something other than the queue
---@type table<userdata, uvjobs.uv.State>
local states = setmetatable({}, { __mode = "k" })

-- luv's types, whose metatables are uv_tcp and so on in the registry.
local TYPES <const> = {
  "async", "check", "fs_event", "fs_poll", "idle", "pipe", "poll", "prepare",
  "process", "signal", "tcp", "timer", "tty", "udp",
}

local type_by_metatable = {}
for _, name in ipairs(TYPES) do
  local meta = registry["uv_" .. name]
  if meta then type_by_metatable[meta] = name end
end

local function type_of(value)
  return type(value) == "userdata" and type_by_metatable[debug.getmetatable(value)] or nil
end

--- Makes the handle a managed one, if it is not, and returns its state.
---@return uvjobs.uv.State
function handles.manage(handle)
  local state = states[handle]
  if not state then
    state = { source = core.here() }
    states[handle] = state
  end
  return state
end

local manage = handles.manage

--- Returns the state of a managed handle, nil for others.
---@return uvjobs.uv.State?
function handles.state(handle)
  return states[handle]
end

--- Raises unless `self` is a handle of one of the types.
---@param level integer whom the error blames, counted as for error()
---@param name string of the method
---@param types table<string, true> such as { tcp = true }
function handles.check_type(level, self, name, types)
  local found = type_of(self)
  if found and types[found] then return end
  arguments.fail_self(level + 1, name, "uv_" .. (types.tcp and "tcp" or (next(types))), self)
end

--- Checks the arguments of a method that suspends, and that it can suspend.
---@param level integer whom errors blame, counted as for error()
---@param name string of the method
---@param types table<string, true>
---@param timeout any seconds, or nil
---@param n? integer which argument the timeout is; the first unless given
---@return uvjobs.uv.State state of the handle
function handles.check_wait(level, self, name, types, timeout, n)
  handles.check_type(level + 1, self, name, types)
  core.check_timeout(timeout, n or 1, name, level + 1)
  core.check_suspend(name, level + 1)
  return manage(self)
end

-- ---- methods -------------------------------------------------------------------

--- Adds a method to handles of these types.
---@param types string[]
---@param name string
---@param method function
function handles.add(types, name, method)
  for _, type_name in ipairs(types) do
    registry["uv_" .. type_name].__index[name] = method
  end
end

--- Replaces a method of luv's for managed handles, and the function in the table `uv`,
--- which makes its handle a managed one. Does nothing where luv does not have it.
---@param uv table
---@param types string[]
---@param name string of the method
---@param fn string the name of the function
---@param method function ours
function handles.replace(uv, types, name, fn, method)
  local original = luv[fn]
  if not original then return end
  local is_of_types = {}
  for _, type_name in ipairs(types) do is_of_types[type_name] = true end
  handles.add(types, name, function(self, ...)
    if states[self] then return method(self, ...) end
    if not is_of_types[type_of(self)] then
      arguments.fail_self(2, name, "uv_" .. types[1], self)
    end
    return original(self, ...)
  end)
  uv[fn] = function(self, ...)
    if not is_of_types[type_of(self)] then
      arguments.fail_self(2, fn, "uv_" .. types[1], self)
    end
    manage(self)
    return method(self, ...)
  end
end

-- ---- the queue of a handle -------------------------------------------------------

--- Closes the queue of a handle, if there is one: nothing more will come.
---@param err? string the code of the error that is the reason
function handles.finish(state, err)
  local queue = state.queue
  if not queue or queue.closed then return end
  state.err = err
  queue:close()
end

--- Returns what a method returns when the queue of its handle has nothing: nil at the end;
--- nil and "timeout"; or nil, a message and the code that finish() was given.
---@param reason string what queue:get() has returned
function handles.results_without_value(state, reason)
  if reason == "timeout" then return nil, reason end
  if state.err then return errors.results_of(state.err) end
  return nil
end

-- ---- closing -----------------------------------------------------------------------

local luv_close = luv.close

--- Ends all waits for the handle, which is about to be closed.
---@return fun() on_close has to be called when luv has closed the handle
function handles.end_waits(state)
  local closed = uvjobs.event()
  state.closed = closed
  handles.finish(state, state.on_read and "ECANCELED" or nil)
  if state.wake then state.wake() end
  return function() closed:set() end
end

--- Closes the handle without waiting. Nothing happens the second time.
function handles.close(self)
  local state = manage(self)
  if state.closed then return end
  local on_close = handles.end_waits(state)
  if luv.is_closing(self) then on_close() else luv_close(self, on_close) end
end

-- The method close() of managed handles. With a callback it does what luv's does. Without
-- one it suspends until the handle is closed, where it can.
local function close(self, callback)
  local state = states[self]
  if callback ~= nil then
    if not calls.is_callable(callback) then
      arguments.fail(2, 1, "close", arguments.unexpected("function", callback))
    elseif luv.is_closing(self) then
      error("the handle is closed already", 2)
    end
    local on_close = handles.end_waits(state)
    callback = calls.guard(callback)
    return luv_close(self, function()
      on_close()
      callback()
    end)
  end
  handles.close(self)
  if uvjobs.current() and core.can_suspend() and not core.interrupted() then
    state.closed:wait()
  end
end

-- The end of the block of a `<close>` variable, for every handle of luv.
local function close_variable(self)
  if not luv.is_closing(self) then handles.close(self) end
end

-- ---- making them ---------------------------------------------------------------------

--- Returns its arguments. If the first is a handle, that is a managed one now.
function handles.managed(handle, ...)
  if type_of(handle) then manage(handle) end
  return handle, ...
end

local managed = handles.managed

--- Adds to the table `uv` the functions that make handles, and what all handles have.
function handles.add_common(uv)
  for _, type_name in ipairs(TYPES) do
    local meta, new = registry["uv_" .. type_name], luv["new_" .. type_name]
    if meta then meta.__close = close_variable end
    if new then uv["new_" .. type_name] = function(...) return managed(new(...)) end end
  end
  uv.new_socket_poll = function(...) return managed(luv.new_socket_poll(...)) end
  handles.replace(uv, TYPES, "close", "close", close)
end

--- Returns a call on a handle. When the job leaves the call early, the handle is closed,
--- because nobody can know how much was done.
---@param name string of the method
---@param fn string the name of luv's function
---@param at integer the place of the callback among the arguments
---@return uvjobs.uv.Call
function handles.call(name, fn, at)
  return { name = name, fn = luv[fn], at = at, abandon = handles.close }
end

return handles
