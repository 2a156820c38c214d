-- Handles that something happens to: changed files, signals, ticks. luv calls a
-- function each time; here a job asks for the next one. Started without a
-- callback they keep what has happened until it is asked for, but never twice the
-- same.

local luv = require "luv"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local calls = require "uvjobs.uv.calls"
local handles = require "uvjobs.uv.handles"

core.own_source()

-- ---- what has happened, until it is taken ----------------------------------------

local function merge_nothing() end

-- Adds an event, unless one with this key waits to be taken: then `merge` may
-- bring that up to date.
local function keep(state, key, event, merge)
  local waiting = state.waiting[key]
  if waiting then return merge(waiting, event) end
  event.key = key
  if not state.queue:try_put(event) then return end
  state.waiting[key] = event
  event.given = #state.queue == 0 -- to a job that waits, and will run
end

local function begin(state)
  if state.queue and not state.queue.closed then return end
  state.queue = uvjobs.queue()
  state.waiting = {}
  state.err = nil
end

-- A job that is killed does not take what it was given.
local function forget_given(state, err)
  if err == nil then return end
  for key, event in pairs(state.waiting) do
    if event.given then state.waiting[key] = nil end
  end
end

local function get(state, timeout)
  local _ <close> = setmetatable({}, {
    __close = function(_, err) forget_given(state, err) end,
  })
  return state.queue:get(timeout)
end

local function take(state, timeout)
  local event, why = get(state, timeout)
  if not event then return handles.why_not(state, why) end
  if event.key then state.waiting[event.key] = nil end
  if event.err then return calls.results(event.err) end
  return table.unpack(event, 1, event.n)
end

-- ---- handles that are started ------------------------------------------------------

-- By type: luv's function, the place of its callback, and what makes an event of
-- the callback's arguments: a key, and the event.
local STARTED <const> = {
  fs_event = {
    fn = "fs_event_start", at = 4,
    event = function(err, name, changes)
      if err then return err, { err = err } end
      local kind = (changes.rename and "r" or "") .. (changes.change and "c" or "")
      return kind .. (name or ""), { name, changes, n = 2 }
    end,
  },
  fs_poll = {
    fn = "fs_poll_start", at = 4,
    event = function(err, before, now)
      if err then return err, { err = err } end
      return "changed", { before, now, n = 2 }
    end,
    merge = function(event, newer) event[2] = newer[2] or event[2] end,
  },
  signal = {
    fn = "signal_start", at = 3,
    event = function(name) return name, { name, n = 1 } end,
  },
  timer = {
    fn = "timer_start", at = 4,
    event = function() return "tick", { true, n = 1 } end,
  },
}

-- luv's oneshot is the same but for the start.
local ONESHOT <const> = {
  fn = "signal_start_oneshot", at = 3, event = STARTED.signal.event,
}

-- The arguments up to the callback, some of which may be left out.
local DEFAULTS <const> = {
  fs_event_start = { [3] = {} },
  timer_start = { [3] = 0 },
}

local function starter(kind)
  local original, at = luv[kind.fn], kind.at
  local defaults = DEFAULTS[kind.fn] or {}
  return function(self, ...)
    local args = table.pack(self, ...)
    if args[at] ~= nil then
      args[at] = calls.guard(args[at])
      return original(table.unpack(args, 1, math.max(at, args.n)))
    end
    for i, value in pairs(defaults) do
      if args[i] == nil then args[i] = value end
    end
    local state = handles.manage(self)
    begin(state)
    args[at] = function(...)
      local key, event = kind.event(...)
      keep(state, key, event, kind.merge or merge_nothing)
    end
    return original(table.unpack(args, 1, at))
  end
end

-- Blames the caller of the function that calls it.
local function check(self, name, type_name, timeout)
  handles.check(self, name, { [type_name] = true }, 3)
  core.check_timeout(timeout, 1, name, 3)
  core.check_suspend(name, 3)
  return handles.manage(self)
end

-- next() of what has to be started first.
local function next_started(type_name)
  return function(self, timeout)
    local state = check(self, "next", type_name, timeout)
    if not state.queue then
      error("'next' needs a handle that was started without a callback", 2)
    end
    return take(state, timeout)
  end
end

-- ---- handles that run only while somebody waits --------------------------------------

-- One that went on would keep the loop from sleeping. What happens is for all that
-- wait.
local function next_once(type_name, start, stop)
  return function(self, timeout)
    local state = check(self, "next", type_name, timeout)
    begin(state)
    state.askers = state.askers or {}
    local asker <close> = setmetatable({}, { __close = function(asker)
      if not state.askers[asker] then return end -- it has happened
      state.askers[asker] = nil
      if next(state.askers) == nil and not luv.is_closing(self) then stop(self) end
    end })
    state.askers[asker] = true
    local ok, message, code = start(self, state, function(err, ...)
      stop(self)
      for _ in pairs(state.askers) do
        state.queue:try_put(err and { err = err } or table.pack(...))
      end
      state.askers = {}
    end)
    if not ok then return nil, message, code end
    return take(state, timeout)
  end
end

local function loop_handle(type_name)
  local start, stop = luv[type_name .. "_start"], luv[type_name .. "_stop"]
  return next_once(type_name, function(self, _, on_event)
    return start(self, function() on_event(nil, true) end)
  end, stop)
end

-- `events` is what start() was given: it starts nothing by itself.
local function poll_start(self, events, callback)
  if callback ~= nil then
    return luv.poll_start(self, events, calls.guard(callback))
  end
  handles.manage(self).events = events or "r"
  return 0
end

local next_poll = next_once("poll", function(self, state, on_event)
  return luv.poll_start(self, state.events or "r", on_event)
end, luv.poll_stop)

-- ---- handles that come to life when they are made ---------------------------------------

local function new_async(callback)
  if callback ~= nil then return handles.managed(luv.new_async(calls.guard(callback))) end
  local state, sent = nil, 0
  local handle, message, code = luv.new_async(function(...)
    sent = sent + 1
    keep(state, sent, table.pack(...))
  end)
  if not handle then return nil, message, code end
  state = handles.manage(handle)
  begin(state)
  return handle
end

local function spawn(path, options, on_exit)
  if on_exit ~= nil then
    return handles.managed(luv.spawn(path, options, calls.guard(on_exit)))
  end
  local state, process, pid, code
  process, pid, code = luv.spawn(path, options, function(...)
    state.status = table.pack(...)
    state.ended:set()
    if state.close_at_exit then handles.close(process) end
  end)
  if not process then return nil, pid, code end
  state = handles.manage(process)
  state.ended = uvjobs.event()
  state.wake = function() state.ended:set() end
  return process, pid
end

-- Closes the handle of a process when that has ended: before, nobody would ask the
-- system for its status.
local function close_at_exit(process)
  local state = handles.manage(process)
  if state.status then return handles.close(process) end
  state.close_at_exit = true
end

--- Suspends until the child process has ended. After the end it answers at once.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return integer|nil status its exit status; nil also when the handle was closed
---@return integer|string|nil signal that killed it, or 0; or "timeout"
local function wait(self, timeout)
  local state = check(self, "wait", "process", timeout)
  if not state.ended then
    error("'wait' needs a process that was spawned without a callback", 2)
  elseif not state.ended:wait(timeout) then
    return nil, "timeout"
  elseif not state.status then
    return nil
  end
  return table.unpack(state.status, 1, state.status.n)
end

-- ---- all of it ---------------------------------------------------------------------

return function(uv)
  for type_name, kind in pairs(STARTED) do
    handles.add({ type_name }, "next", next_started(type_name))
    handles.replace(uv, { type_name }, "start", kind.fn, starter(kind))
  end
  handles.replace(uv, { "signal" }, "start_oneshot", ONESHOT.fn, starter(ONESHOT))
  for _, type_name in ipairs { "idle", "prepare", "check" } do
    handles.add({ type_name }, "next", loop_handle(type_name))
    local start = luv[type_name .. "_start"]
    handles.replace(uv, { type_name }, "start", type_name .. "_start",
      function(self, callback) return start(self, calls.guard(callback)) end)
  end
  handles.add({ "poll" }, "next", next_poll)
  handles.replace(uv, { "poll" }, "start", "poll_start", poll_start)
  handles.add({ "async" }, "next", next_started "async")
  handles.add({ "process" }, "wait", wait)
  uv.new_async, uv.spawn = new_async, spawn
  handles.close_at_exit = close_at_exit
end
