-- uvjobs.Child: a child of a supervisor, as programs see it. It stands for all runs of the
-- child, each of which is a job.
--
-- It is a list of eight elements, which takes less memory and less time to make than named
-- fields do, so that every name is looked up here, where it is computed or refused. What few
-- children have is in the table at MORE. `child.at` has the places:
--
--   NAME     string, or false for a child without a name
--   FN       what it runs
--   KIND     its options: a table that children with equal options share
--   STATE    what it does: see below
--   JOB      the job of its present run, or false
--   PLACE    where it stands in the order of its supervisor
--   SINCE    when its present or last run was up; false before the first
--   MORE     false, or a table of
--     arguments   what FN gets behind the child, as table.pack() makes it
--     context     the values of uvjobs.context
--     nested      the supervisor that it runs
--     value       what it was ready with
--     first       whether its first start decides about the call of start()
--     problem     the error of that start
--     watcher     what looks after its start_timeout: see watch.lua
--     pause       seconds that its run has to wait first
--     next_start  when that is over
--     streak      how many restarts in a row
--     waited      the back-off before the last one, in seconds
--     closed_at   when its run was closed because a limit of it was over
--     stops_clock whether the clock of uvjobs.supervisor.intensity waits for its end
--     restarts    how many in all
--     last_error
--     history     the last ends that were followed by a restart, the latest last
--     changed     an event for those that wait until it does something else

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local things = require "uvjobs.insight.things"

core.own_source()

local uvjobs = core.public

local TYPE <const> = "uvjobs.Child"

---@class uvjobs.Child
local Child = {}

--- The places of what is in a child.
local at <const> = core.child_places()
local NAME <const>, KIND <const>, STATE <const> = at.NAME, at.KIND, at.STATE
local JOB <const>, MORE <const> = at.JOB, at.MORE

local child = { Child = Child, at = at }

--- What a child can do.
child.states = {
  QUEUED = "queued",     -- waits for its turn to start
  WAITING = "waiting",   -- waits out its back-off
  STARTING = "starting", -- runs, but is not ready yet
  RUNNING = "running",
  DOWN = "down",         -- has ended, in a round that will start it again
  ENDED = "ended",       -- has ended for good, by itself or with its supervisor
  STOPPED = "stopped",   -- was stopped by name
  DELETED = "deleted",   -- does not belong to its supervisor any more
  -- It is being closed, by its supervisor: for what comes then.
  TO_END = "to end",
  TO_STOP = "to stop",
  TO_DELETE = "to delete",
  TO_START = "to start",
  TO_ROUND = "to round",
}

--- What a supervisor does: see rules.lua.
child.phases = { UP = "up", ROUND = "round", STOPPING = "stopping", OVER = "over",
  CLOSED = "closed" }

local S <const> = child.states

--- The states in which a child is being closed.
child.is_closing = {
  [S.TO_END] = true, [S.TO_STOP] = true, [S.TO_DELETE] = true, [S.TO_START] = true,
  [S.TO_ROUND] = true,
}

local shown = {}
for _, state in pairs(S) do
  shown[state] = child.is_closing[state] and "stopping" or state
end
shown[S.DOWN] = "queued"

-- ---- properties --------------------------------------------------------------------

-- A field of the table at MORE.
local function rare(field)
  return function(self)
    local more = self[MORE]
    if more then return more[field] end
  end
end

local properties = {
  name = function(self) return self[NAME] or nil end,
  state = function(self) return shown[self[STATE]] end,
  job = function(self)
    local job = self[JOB]
    if job and job.resumes > 0 then return job end
  end,
  restart = function(self) return self[KIND].restart end,
  restarts = function(self) return self[MORE] and self[MORE].restarts or 0 end,
  last_error = rare "last_error",
  next_start = rare "next_start",
  history = function(self)
    return table.move(self[MORE] and self[MORE].history or {}, 1, 10, 1, {})
  end,
  supervisor = function(self) return self[KIND].supervisor end,
}

local methods = {}

local known = {}

local function check_self(self, name)
  if not child.is(self) then arguments.fail_self(3, name, TYPE, self) end
end

function Child.__index(self, key)
  local method = methods[key]
  if method then return method end
  check_self(self, "index")
  local property = properties[key]
  if property then return property(self) end
  arguments.fail_property(2, TYPE, key, known)
end

function Child.__newindex(self, key)
  check_self(self, "newindex")
  error(("cannot set '%s' of a %s (read only)"):format(tostring(key), TYPE), 2)
end

function Child.__tostring(self)
  check_self(self, "tostring")
  local name = self[NAME] and ('"%s" '):format(self[NAME]) or ""
  return ("%s: %s%s"):format(TYPE, name, self.state)
end

Child.__name = TYPE
Child.__metatable = TYPE

-- ---- for the rules -----------------------------------------------------------------

--- Makes a child that belongs to nobody yet.
---@param name string|false
---@param fn function
---@param kind table its options
---@return uvjobs.Child
function child.new(name, fn, kind)
  return core.new_child(Child, name, fn, kind, S.QUEUED)
end

--- Whether a value is a child.
function child.is(value)
  return getmetatable(value) == TYPE
end

--- The whole tree that a supervisor belongs to.
function child.root_of(supervisor)
  while supervisor._parent do supervisor = supervisor._parent[KIND].supervisor end
  return supervisor
end

--- Whether a child cannot become ready any more.
function child.is_over(one)
  local state, phase = one[STATE], one[KIND].supervisor._phase
  return state == S.DELETED or state == S.ENDED and phase ~= child.phases.ROUND
    or phase == child.phases.CLOSED
end

--- The table of what few children have.
function child.more(self)
  local more = self[MORE]
  if not more then
    more = {}
    self[MORE] = more
  end
  return more
end

--- What the child is called, for messages.
function child.label(self)
  return self[NAME] and ("child '%s'"):format(self[NAME]) or "a child without a name"
end

--- Wakes those that wait until the child does something else.
function child.notify(self)
  local more = self[MORE]
  if not more then return end
  if more.changed then
    more.changed:set()
    more.changed = nil
  end
  local nested = more.nested
  for place = 1, nested and nested._places or 0 do
    local inner = nested._children[place]
    if inner then child.notify(inner) end
  end
end

--- Suspends until the child does something else, or the time is over. Returns whether it
--- does.
---@param timeout? number seconds
function child.wait_change(self, timeout)
  local more = child.more(self)
  if not more.changed then
    more.changed = uvjobs.event()
    things.know(more.changed, child.explain, self) -- see explain.lua
  end
  return more.changed:wait(timeout)
end

-- ---- methods -----------------------------------------------------------------------

--- Says that the present run of the child is ready: what follows it in the order of its
--- supervisor starts now, and `get` of the supervisor returns the value. Does not suspend.
--- It does nothing in a run that is already being ended.
--- Errors: misuse, also that the child has no option `ready`, that it is ready already,
--- and that it does not run.
---@param value? any
function methods:ready(value)
  check_self(self, "ready")
  if not self[KIND].ready or self[MORE] and self[MORE].nested then
    error(("%s has no option 'ready'"):format(child.label(self)), 2)
  elseif self[STATE] == S.RUNNING then
    error(("%s is ready already"):format(child.label(self)), 2)
  elseif child.is_closing[self[STATE]] or self[JOB] and self[JOB].state == "closing" then
    return
  elseif self[STATE] ~= S.STARTING then
    error(("%s does not run"):format(child.label(self)), 2)
  end
  child.on_ready(self, value)
end

-- What wait_ready() returns of a child that is ready.
local function ready_value(self)
  local more = self[MORE]
  if more and more.value ~= nil then return more.value end
  return true
end

--- Waits until a run of the child is ready, which may be the present one or a later one;
--- a child without the option `ready` is ready as soon as it runs. Suspends.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
---@param timeout? number seconds; nil waits for ever
---@return any value what it is ready with, or true; or nil
---@return string? why "timeout", or "closed" when it cannot become ready any more
function methods:wait_ready(timeout)
  check_self(self, "wait_ready")
  core.check_timeout(timeout, 1, "wait_ready", 2)
  core.check_suspend("wait_ready", 2)
  if core.interrupted() then uvjobs.yield() end
  local due = timeout and timeout ~= math.huge and uvjobs.now() + timeout
  while self[STATE] ~= S.RUNNING do
    if child.is_over(self) then return nil, "closed" end
    local left = due and math.max(due - uvjobs.now(), 0)
    if not child.wait_change(self, left or nil) then return nil, "timeout" end
  end
  return ready_value(self)
end

for name in pairs(methods) do known[name] = true end
for name in pairs(properties) do known[name] = true end

return child
