-- luv's handles with methods that suspend. They are luv's own userdata, and its
-- types are given further methods. Those that luv has already do what they do in
-- luv, unless the handle was made by uvjobs.uv: then it is managed.

local luv = require "luv"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local calls = require "uvjobs.uv.calls"

core.own_source()

local handles = {}

local registry = debug.getregistry()

--- What is known of a managed handle. Each part of uvjobs.uv has its own fields.
---@class uvjobs.uv.State
---@field source? string where it was made, in debug mode
---@field queue? table what has come and was not taken: a Queue
---@field err? string the code of the error after which the queue was closed
---@field closed? table an Event, from when the handle is being closed
---@type table<userdata, uvjobs.uv.State>
local states = setmetatable({}, { __mode = "k" })

local TYPES <const> = {
  "async", "check", "fs_event", "fs_poll", "idle", "pipe", "poll", "prepare",
  "process", "signal", "tcp", "timer", "tty", "udp",
}

local is_type = {}
for _, name in ipairs(TYPES) do
  local meta = registry["uv_" .. name]
  if meta then is_type[meta] = name end
end

local function type_of(value)
  return type(value) == "userdata" and is_type[debug.getmetatable(value)] or nil
end

--- The handle's state; it is managed from now on.
function handles.manage(handle)
  local state = states[handle]
  if not state then
    state = { source = core.here() }
    states[handle] = state
  end
  return state
end

local manage = handles.manage

--- The state of a managed handle, or nil.
function handles.state(handle)
  return states[handle]
end

local function bad_self(self, name, expected, level)
  error(("bad self to '%s' (%s expected, got %s)"):format(
    name, expected, core.typename(self)), level + 1)
end

--- Raises unless `self` is a handle of one of these types, a set; it blames the
--- caller at that level.
function handles.check(self, name, types, level)
  local kind = type_of(self)
  if kind and types[kind] then return end
  bad_self(self, name, "uv_" .. (types.tcp and "tcp" or (next(types))), level + 1)
end

-- ---- methods -------------------------------------------------------------------

--- Adds a method to types: what `method` does, under its name.
function handles.add(types, name, method)
  for _, kind in ipairs(types) do
    registry["uv_" .. kind].__index[name] = method
  end
end

--- Replaces a method that luv has: managed handles get `method`, others luv's
--- own. `fn` is the name of the function of luv, and of ours in the table `uv`,
--- for which every handle is a managed one.
function handles.replace(uv, types, name, fn, method)
  local original = luv[fn]
  if not original then return end
  local of_type = {}
  for _, kind in ipairs(types) do of_type[kind] = true end
  handles.add(types, name, function(self, ...)
    if states[self] then return method(self, ...) end
    if not of_type[type_of(self)] then bad_self(self, name, "uv_" .. types[1], 2) end
    return original(self, ...)
  end)
  uv[fn] = function(self, ...)
    if not of_type[type_of(self)] then bad_self(self, fn, "uv_" .. types[1], 2) end
    manage(self)
    return method(self, ...)
  end
end

-- ---- taking what comes -----------------------------------------------------------

--- Ends the queue of a handle: with the code of an error, or without one.
function handles.finish(state, err)
  local queue = state.queue
  if not queue or queue.closed then return end
  state.err = err
  queue:close()
end

--- What to return when the queue of the handle gave nothing: nil at the end; nil
--- and "timeout"; or nil, a message and a code. `finish` decided which.
function handles.why_not(state, why)
  if why == "timeout" then return nil, why end
  if state.err then return calls.results(state.err) end
  return nil
end

-- ---- closing -----------------------------------------------------------------------

local luv_close = luv.close

-- Whoever waits for something of the handle gets nothing any more. Returns
-- luv's callback for the end.
local function end_waits(state)
  local closed = uvjobs.event()
  state.closed = closed
  handles.finish(state, state.on_read and "ECANCELED" or nil)
  if state.wake then state.wake() end
  return function() closed:set() end
end

handles.end_waits = end_waits

local function begin_close(self, state)
  if state.closed then return end
  local on_close = end_waits(state)
  if luv.is_closing(self) then on_close() else luv_close(self, on_close) end
end

--- Closes the handle without waiting; once.
function handles.close(self)
  begin_close(self, manage(self))
end

local function close(self, callback)
  local state = states[self]
  if callback ~= nil then
    if not calls.is_callable(callback) then
      error(("bad argument #1 to 'close' (function expected, got %s)"):format(
        core.typename(callback)), 2)
    elseif luv.is_closing(self) then
      error("the handle is closed already", 2)
    end
    local on_close = end_waits(state)
    callback = calls.guard(callback)
    return luv_close(self, function()
      on_close()
      callback()
    end)
  end
  begin_close(self, state)
  if uvjobs.current() and core.can_suspend() and not core.interrupted() then
    state.closed:wait()
  end
end

-- Leaving the block of a `<close>` variable, of any handle of luv.
local function leave(self)
  if luv.is_closing(self) then return end
  begin_close(self, manage(self))
end

-- ---- making them ---------------------------------------------------------------------

local function managed(handle, ...)
  if type_of(handle) then manage(handle) end
  return handle, ...
end

handles.managed = managed

--- Adds what all handles have to the table `uv`.
function handles.add_common(uv)
  for _, kind in ipairs(TYPES) do
    local meta, new = registry["uv_" .. kind], luv["new_" .. kind]
    if meta then meta.__close = leave end
    if new then uv["new_" .. kind] = function(...) return managed(new(...)) end end
  end
  uv.new_socket_poll = function(...) return managed(luv.new_socket_poll(...)) end
  handles.replace(uv, TYPES, "close", "close", close)
end

--- A call on a handle, see calls.new: when the job leaves it early, the handle is
--- closed, because nobody can know how much was done.
function handles.call(name, fn, at)
  return { name = name, fn = luv[fn], at = at, abandon = handles.close }
end

return handles
