-- uvjobs.supervisor: starts children in order, starts again those that end, and stops all
-- of them in reverse. docs/supervision.md says what it promises (S1 to S15); the rules are
-- in rules.lua. uvjobs loads this module when a supervisor is made for the first time.

local arguments = require "uvjobs.arguments"
local child = require "uvjobs.supervisor.child"
local core = require "uvjobs.core"
local fault = require "uvjobs.supervisor.fault"
local options = require "uvjobs.supervisor.options"
local nested = require "uvjobs.supervisor.nested"
require "uvjobs.supervisor.explain"
local rules = require "uvjobs.supervisor.rules"

core.own_source()

local at <const> = child.at
local KIND <const>, STATE <const>, JOB <const>, SINCE <const> = at.KIND, at.STATE, at.JOB, at.SINCE
local MORE <const> = at.MORE
local uvjobs = core.public
local S <const> = child.states
local Child <const>, RUNNING <const> = child.Child, S.RUNNING
local start_plain <const> = core.start_plain
local UP <const> = child.phases.UP
local STOPPING <const>, OVER <const> = child.phases.STOPPING, child.phases.OVER
local CLOSED <const> = child.phases.CLOSED

local TYPE <const> = "uvjobs.Supervisor"

---@class uvjobs.Supervisor
local methods = {}
local Supervisor = { __name = TYPE, __metatable = TYPE }

-- ---- checks ------------------------------------------------------------------------

local function check_self(self, name)
  if getmetatable(self) ~= TYPE then arguments.fail_self(3, name, TYPE, self) end
end

-- For methods that suspend: raises where they cannot, and in a job that is to end.
local function enter(name)
  core.check_suspend(name, 3)
  if core.interrupted() then uvjobs.yield() end
end

-- The child that a method was given, by its name or itself.
local function find(self, which, name)
  if type(which) == "string" then
    local one = self._names[which]
    if one then return one end
    arguments.fail(3, 1, name, ("there is no child '%s'%s"):format(
      which, arguments.did_you_mean(which, self._names)))
  elseif not child.is(which) then
    arguments.fail(3, 1, name, arguments.unexpected("string or uvjobs.Child", which))
  elseif which[KIND].supervisor ~= self then
    arguments.fail(3, 1, name, ("%s belongs to another supervisor"):format(child.label(which)))
  end
  return which
end

-- The child of a supervisor in whose run a job is, or nil.
local function containing(self, job)
  local one = core.child_of(job)
  while one and one[KIND].supervisor ~= self do
    one = one[KIND].supervisor._parent
  end
  return one
end

local function is_open(self)
  if self._phase == OVER then
    local state = self._parent[STATE]
    return state ~= S.STOPPED and state ~= S.ENDED and state ~= S.DELETED
  end
  return self._phase ~= STOPPING and self._phase ~= CLOSED
end

-- The cause is the error with which it, or one that it is in, has ended.
local function raise_closed(self)
  local cause = self._failure
  while cause == nil and self._parent do
    self = self._parent[KIND].supervisor
    cause = self._failure
  end
  error(core.make_error("closed", "the supervisor is closed", nil, cause), 0)
end

-- Raises `closed` for a child that does not start, because of itself or of its supervisor.
local function raise_ended(self, one)
  local state = one[STATE]
  if is_open(self) and (state == S.DELETED or state == S.STOPPED) then
    error(core.make_error("closed", ("%s was %s meanwhile"):format(child.label(one),
      one.state)), 0)
  end
  raise_closed(self)
end

-- ---- starting ----------------------------------------------------------------------

-- The start() of a child whose caller leaves has not happened.
local Starting = {}

function Starting.__close(starting, err)
  local one = starting.child
  if err ~= nil and one[SINCE] == false and one[STATE] ~= S.DELETED and not starting.failed then
    local self = one[KIND].supervisor
    fault.attempt(self, rules.close_one, self, one, S.TO_DELETE)
  end
end

-- Whether a child may still start: it, and the supervisors that it is in, are not over.
local function may_start(self, one)
  local state = one[STATE]
  if state == S.DELETED or state == S.STOPPED or self._is_final then return false end
  if self._parent then return may_start(self._parent[KIND].supervisor, self._parent) end
  return is_open(self)
end

-- Waits until a new child runs and, if it has to become ready, is so.
local function await_start(self, one)
  local starting <close> = setmetatable({ child = one, failed = false }, Starting)
  while not one[SINCE] do
    local more = one[MORE]
    local problem = more and more.problem
    if more and problem ~= nil then
      starting.failed = true
      local root = child.root_of(self)
      if root._failure ~= nil then nested.wait_ended(root) end
      error(problem, 0)
    elseif not may_start(self, one) then
      raise_ended(self, one)
    end
    child.wait_change(one)
  end
end

local make

-- Starts a child of which nothing is said but its name and `restart`, and whose turn it is:
-- most children are so, and this is a short way for them. Returns nil for another child, and
-- leaves what is wrong to the long way.
local function start_plainly(self, given)
  local place = self._places + 1
  local ok, one = pcall(start_plain, self._inner, given, self._names, self._plain_kinds,
    self._children, place, Child, RUNNING)
  if not ok then
    if self._children[place] then fault.fail(self, one) end -- it was begun
    error(one, 0)
  elseif one then
    self._places, self._count = place, self._count + 1
  end
  return one
end

--- Adds a child, and starts it behind those that were added before. Returns when it runs
--- and, with the option `ready`, is ready. Suspends.
--- Errors: misuse; `closed`; with `ready`, what its first start has failed with;
--- `cancelled`, `timeout` and `killed` of the current job, and then the child is taken away.
---@param given uvjobs.ChildOptions
---@return uvjobs.Child|uvjobs.Supervisor what was started; with the option `supervisor`
---  that supervisor
function methods:start(given)
  if not fault.is_supervisor(self) then arguments.fail_self(2, "start", TYPE, self) end
  if self._phase == UP and self._queued == 0
    and not (self._holder or self._due or self._parent) then
    local one = start_plainly(self, given)
    if one then return one end
  end
  enter "start"
  given = arguments.raw(given)
  local one = options.new_child(self, given)
  if not is_open(self) then raise_closed(self) end
  local started = one
  if given.supervisor then
    started = make(options.of_nested(given.supervisor, given.name, self._options), one)
    child.more(one).nested = started
  end
  fault.guard(self, rules.start, self, one)
  if not one[SINCE] then await_start(self, one) end
  return started
end

-- ---- stopping and starting by name -------------------------------------------------

-- Closes a child and waits until it has ended, or is `wanted`.
local function close_and_wait(self, one, state)
  local job = uvjobs.current()
  if containing(self, job) == one and core.child_of(job) == one then
    error(("a child cannot %s itself"):format(state == S.TO_START and "restart" or
      state == S.TO_DELETE and "delete" or "stop"), 3)
  end
  fault.guard(self, rules.close_one, self, one, state, job)
  while one[JOB] and child.is_closing[one[STATE]] do child.wait_change(one) end
end

--- Stops a child, within its close_timeout. It stays stopped until restart() is called;
--- one that is temporary, or has no name, is taken away. Suspends until it has ended.
--- Errors: misuse, also that there is no such child; `cancelled`, `timeout` and `killed` of
--- the current job, and then the child is stopped all the same.
---@param which string|uvjobs.Child
function methods:stop(which)
  check_self(self, "stop")
  local one = find(self, which, "stop")
  enter "stop"
  close_and_wait(self, one, S.TO_STOP)
end

--- Stops a child and takes it away. Suspends until it has ended.
--- Errors: those of stop().
---@param which string|uvjobs.Child
function methods:delete(which)
  check_self(self, "delete")
  local one = find(self, which, "delete")
  enter "delete"
  if one[STATE] ~= S.DELETED then close_and_wait(self, one, S.TO_DELETE) end
end

--- Stops a child if it runs, and starts it; its back-off begins anew. That is not counted
--- as a restart. Suspends until it runs and, with the option `ready`, is ready.
--- Errors: those of stop(); `closed`.
---@param which string|uvjobs.Child
function methods:restart(which)
  check_self(self, "restart")
  local one = find(self, which, "restart")
  enter "restart"
  if not is_open(self) or one[STATE] == S.DELETED then raise_ended(self, one) end
  local before = one[JOB]
  close_and_wait(self, one, S.TO_START)
  while one[STATE] ~= S.RUNNING or one[JOB] == before and before do
    if one[STATE] == S.DELETED or one[STATE] == S.STOPPED or not is_open(self) then
      raise_ended(self, one)
    elseif one[STATE] == S.ENDED then
      return
    end
    child.wait_change(one)
  end
end

-- ---- questions ---------------------------------------------------------------------

--- What a child is ready with, in its present run; nil when it is not ready, or is so
--- without a value. For a supervisor, the supervisor. Does not suspend.
--- Errors: misuse, also that there is no such child.
---@param which string|uvjobs.Child
---@return any value
function methods:get(which)
  check_self(self, "get")
  local one = find(self, which, "get")
  if one[STATE] == S.RUNNING and one[MORE] then return one[MORE].value end
end

--- The child with this name, or nil. Does not suspend.
--- Errors: misuse.
---@param name string
---@return uvjobs.Child?
function methods:child(name)
  check_self(self, "child")
  if type(name) ~= "string" then
    arguments.fail(2, 1, "child", arguments.unexpected("string", name))
  end
  return self._names[name]
end

--- For a `for` loop: the children that there are now, in their order. Does not suspend.
--- Errors: misuse.
---@return fun(): uvjobs.Child?
function methods:children()
  check_self(self, "children")
  local list, n, i = {}, 0, 0
  for place = 1, self._places do
    local one = self._children[place]
    if one then
      n = n + 1
      list[n] = one
    end
  end
  return function()
    i = i + 1
    return list[i]
  end
end

--- How many children there are, how many of them have a run, and how many are supervisors.
--- Does not suspend.
--- Errors: misuse.
---@return { specs: integer, active: integer, supervisors: integer, workers: integer }
function methods:count_children()
  check_self(self, "count_children")
  local count = { specs = self._count, active = 0, supervisors = 0, workers = 0 }
  for one in self:children() do
    if one[JOB] then count.active = count.active + 1 end
    local kind = one[MORE] and one[MORE].nested and "supervisors" or "workers"
    count[kind] = count[kind] + 1
  end
  return count
end

-- ---- its end -----------------------------------------------------------------------

--- Waits until the supervisor ends. From now on, a child that is added and fails in its
--- first start does not end the others. Suspends.
--- Errors: `intensity`, when it has given up, with `err.cause`; what a first start has
--- failed with; misuse, also in a child of it; `cancelled`, `timeout` and `killed` of the
--- current job.
---@param timeout? number seconds; nil waits for ever
---@return boolean? ended true; or nil
---@return string? why "timeout"
function methods:wait(timeout)
  check_self(self, "wait")
  core.check_timeout(timeout, 1, "wait", 2)
  enter "wait"
  if containing(self, uvjobs.current()) then
    error("a child cannot wait for its own supervisor", 2)
  end
  self._is_composed = true
  if not self._ended:wait(timeout) then return nil, "timeout" end
  if self._failure ~= nil then
    self._told = true
    error(self._failure, 0)
  end
  return true
end

-- Begins to close a supervisor. As a child of another it is stopped there, so that it is
-- not restarted.
local function begin_close(self, job)
  local parent = self._parent
  if parent and parent[JOB] and not child.is_closing[parent[STATE]] then
    parent[STATE] = S.TO_STOP
  end
  fault.attempt(self, rules.stop_all, self, nil, job, job and containing(self, job) or nil)
end

--- Stops all children in reverse, each within its close_timeout, and restarts none. It may
--- be called more than once. A child may close its own supervisor: it waits for the others,
--- and is then cancelled itself. Suspends until all have ended; only in the `<close>`
--- variables of a job that is being killed it merely begins.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job, and then closing
--- goes on.
function methods:close()
  check_self(self, "close")
  local job = uvjobs.current()
  if job and not core.can_suspend() and core.interrupted() then
    begin_close(self)
    return
  elseif self._phase == CLOSED and not job then
    return
  end
  enter "close"
  begin_close(self, job)
  if self._phase ~= CLOSED and self._phase ~= OVER then self._ended:wait() end
end

function Supervisor.__close(self, err)
  check_self(self, "close")
  nested.leave(self)
  if err == nil and self._failure ~= nil and not self._told then
    self._told = true
    error(self._failure, 0)
  end
end

-- ---- the type ----------------------------------------------------------------------

local properties = {
  name = function(self) return self._options.name end,
  strategy = function(self) return self._options.strategy end,
  closed = function(self) return not is_open(self) end,
}

local known = {}
for name in pairs(methods) do known[name] = true end
for name in pairs(properties) do known[name] = true end

function Supervisor.__index(self, key)
  local method = methods[key]
  if method then return method end
  check_self(self, "index")
  local property = properties[key]
  if property then return property(self) end
  if type(key) == "string" and key:find "^_" then return nil end
  arguments.fail_property(2, TYPE, key, known)
end

function Supervisor.__newindex(self, key, value)
  check_self(self, "newindex")
  if type(key) == "string" and key:find "^_" then return rawset(self, key, value) end
  error(("cannot set '%s' of a %s (read only)"):format(tostring(key), TYPE), 2)
end

function Supervisor.__len(self)
  check_self(self, "len")
  return self._count
end

function Supervisor.__tostring(self)
  check_self(self, "tostring")
  local name = self._options.name
  return ("%s: %s%d %s%s"):format(TYPE, name and ('"%s" '):format(name) or "", self._count,
    self._count == 1 and "child" or "children", is_open(self) and "" or ", closed")
end

-- Makes a supervisor; `parent` is the child that it is, if so.
function make(given, parent)
  local self = setmetatable({}, Supervisor)
  self._kinds = {} -- the options that children share: see options.lua
  self._plain_kinds = {} -- those of children of which nothing is said but `restart`
  rules.init(self, given, parent)
  return self
end

--- Makes a supervisor without children. Does not suspend.
--- Errors: misuse.
---@param given? uvjobs.SupervisorOptions
---@return uvjobs.Supervisor
return function(given)
  return make(options.of_supervisor(given))
end
