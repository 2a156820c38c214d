-- Handles with events: changed files, signals, ticks. luv calls a function for each event;
-- here a job waits for the next one. A handle that was started without a callback keeps
-- its events until jobs take them; of events that are alike it keeps one.

local luv = require "luv"
local core = require "uvjobs.core"
local defer = require "uvjobs.defer"
local calls = require "uvjobs.uv.calls"
local errors = require "uvjobs.uv.errors"
local handles = require "uvjobs.uv.handles"

core.own_source()

local uvjobs = core.public

-- ---- events that nobody has taken ------------------------------------------------

-- An event is a list of what next() returns, packed; or a table with the code of an error
-- as `err`. Events with the same `key` are alike. `state.queue` has the events, and
-- `state.untaken` those with keys, by key.

local function merge_nothing() end

-- Adds an event. When one with this key was not taken yet, merge() may bring that up to
-- date instead.
local function add_event(state, key, event, merge)
  local untaken = state.untaken[key]
  if untaken then return merge(untaken, event) end
  event.key = key
  if not state.queue:try_put(event) then return end
  state.untaken[key] = event
  event.handed_over = #state.queue == 0 -- to a job that waits, and takes it when it runs
end

-- Prepares the handle for events, if it is not.
local function open_queue(state)
  if state.queue and not state.queue.closed then return end
  state.queue = uvjobs.queue()
  state.untaken = {}
  state.err = nil
end

-- A job that is killed never takes the event that was handed over to it: without this,
-- events that are like it would never be added again.
local function forget_handed_over(state)
  for key, event in pairs(state.untaken) do
    if event.handed_over then state.untaken[key] = nil end
  end
end

local function get(state, timeout)
  local _ <close> = defer(function(_, err)
    if err ~= nil then forget_handed_over(state) end
  end)
  return state.queue:get(timeout)
end

-- Waits for an event, and returns what next() returns.
local function take_event(state, timeout)
  local event, reason = get(state, timeout)
  if not event then return handles.results_without_value(state, reason) end
  if event.key then state.untaken[event.key] = nil end
  if event.err then return errors.results_of(event.err) end
  return table.unpack(event, 1, event.n)
end

-- ---- handles that are started ------------------------------------------------------

---@class uvjobs.uv.Start
---@field fn string the name of luv's function
---@field at integer the place of the callback among the arguments
---@field event fun(...: any): any, table makes a key and an event of what the callback gets
---@field merge? fun(event: table, newer: table) see add_event()

---@type table<string, uvjobs.uv.Start> by type of handle
local STARTS <const> = {
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

local START_ONESHOT <const> = {
  fn = "signal_start_oneshot", at = 3, event = STARTS.signal.event,
}

-- Values of arguments before the callback that may be left out, by their places.
local DEFAULTS <const> = {
  fs_event_start = { [3] = {} },
  timer_start = { [3] = 0 },
}

-- Makes the method start() of a type.
local function new_start(start)
  local original, at = luv[start.fn], start.at
  local defaults = DEFAULTS[start.fn] or {}
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
    open_queue(state)
    args[at] = function(...)
      local key, event = start.event(...)
      add_event(state, key, event, start.merge or merge_nothing)
    end
    return original(table.unpack(args, 1, at))
  end
end

-- Makes the method next() of a type whose handles have to be started first.
local function next_of_started(type_name)
  local types = { [type_name] = true }
  return function(self, timeout)
    local state = handles.check_wait(2, self, "next", types, timeout)
    if not state.queue then
      error("'next' needs a handle that was started without a callback", 2)
    end
    return take_event(state, timeout)
  end
end

-- ---- handles that run only while somebody waits --------------------------------------

-- Makes the method next() of a type. The handle runs only while jobs wait, because it
-- would keep the loop from sleeping. All the jobs that wait get the same event.
---@param start fun(self: userdata, state: table, on_event: function): any, string?, string?
---@param stop fun(self: userdata)
local function next_while_waiting(type_name, start, stop)
  local types = { [type_name] = true }
  return function(self, timeout)
    local state = handles.check_wait(2, self, "next", types, timeout)
    open_queue(state)
    state.waiters = state.waiters or {}
    local waiter <close> = defer(function(waiter)
      if not state.waiters[waiter] then return end -- the event has come
      state.waiters[waiter] = nil
      if next(state.waiters) == nil and not luv.is_closing(self) then stop(self) end
    end)
    state.waiters[waiter] = true
    local ok, message, code = start(self, state, function(err, ...)
      stop(self)
      for _ in pairs(state.waiters) do
        state.queue:try_put(err and { err = err } or table.pack(...))
      end
      state.waiters = {}
    end)
    if not ok then return nil, message, code end
    return take_event(state, timeout)
  end
end

-- Makes the method next() of idle, prepare and check handles.
local function next_of_loop_handle(type_name)
  local start, stop = luv[type_name .. "_start"], luv[type_name .. "_stop"]
  return next_while_waiting(type_name, function(self, _, on_event)
    return start(self, function() on_event(nil, true) end)
  end, stop)
end

-- The method start() of poll handles. Without a callback it only notes the events for
-- which next() will wait.
local function poll_start(self, events, callback)
  if callback ~= nil then
    return luv.poll_start(self, events, calls.guard(callback))
  end
  handles.manage(self).events = events or "r"
  return 0
end

local next_poll = next_while_waiting("poll", function(self, state, on_event)
  return luv.poll_start(self, state.events or "r", on_event)
end, luv.poll_stop)

-- ---- handles that are active from the beginning ------------------------------------------

local function new_async(callback)
  if callback ~= nil then return handles.managed(luv.new_async(calls.guard(callback))) end
  local state, sent = nil, 0
  local handle, message, code = luv.new_async(function(...)
    sent = sent + 1
    add_event(state, sent, table.pack(...)) -- each has a key of its own: none are alike
  end)
  if not handle then return nil, message, code end
  state = handles.manage(handle)
  open_queue(state)
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

--- Closes the handle of a process when the process has ended. A handle that is closed
--- before would leave a zombie behind.
local function close_at_exit(process)
  local state = handles.manage(process)
  if state.status then return handles.close(process) end
  state.close_at_exit = true
end

local IS_PROCESS <const> = { process = true }

--- Suspends until the child process has ended. When it has ended already it returns at
--- once.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return integer|nil status its exit status; nil also when the handle was closed
---@return integer|string|nil signal that killed it, or 0; or "timeout"
local function wait(self, timeout)
  local state = handles.check_wait(2, self, "wait", IS_PROCESS, timeout)
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
  for type_name, start in pairs(STARTS) do
    handles.add({ type_name }, "next", next_of_started(type_name))
    handles.replace(uv, { type_name }, "start", start.fn, new_start(start))
  end
  handles.replace(uv, { "signal" }, "start_oneshot", START_ONESHOT.fn,
    new_start(START_ONESHOT))
  for _, type_name in ipairs { "idle", "prepare", "check" } do
    handles.add({ type_name }, "next", next_of_loop_handle(type_name))
    local start = luv[type_name .. "_start"]
    handles.replace(uv, { type_name }, "start", type_name .. "_start",
      function(self, callback) return start(self, calls.guard(callback)) end)
  end
  handles.add({ "poll" }, "next", next_poll)
  handles.replace(uv, { "poll" }, "start", "poll_start", poll_start)
  handles.add({ "async" }, "next", next_of_started "async")
  handles.add({ "process" }, "wait", wait)
  uv.new_async, uv.spawn = new_async, spawn
  handles.close_at_exit = close_at_exit
end
