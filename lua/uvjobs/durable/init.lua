-- uvjobs.durable: jobs that survive the process. docs/durable.md says what it promises (D1 to
-- D28), docs/durable-stores.md how a store is written.

local arguments = require "uvjobs.arguments"
local census = require "uvjobs.durable.census"
local core = require "uvjobs.core"
local options = require "uvjobs.durable.options"
local port = require "uvjobs.durable.port"
local prune = require "uvjobs.durable.prune"
local seen_queues = require "uvjobs.insight.queues"
local rules = require "uvjobs.durable.rules"
local schedules = require "uvjobs.durable.schedules"
local spans = require "uvjobs.durable.spans"
local task = require "uvjobs.durable.task"
local transaction = require "uvjobs.durable.transaction"
local worker = require "uvjobs.durable.worker"

core.own_source()

local uvjobs = core.public
local expect <const> = arguments.expect

local TYPE <const> = "uvjobs.Store"
local POLL <const> = 1   -- seconds between two looks at a task that is waited for
local PAGE <const> = 100 -- tasks that are read at once
local FIRST_MESSAGE <const> = "'%s' must be called in a job: use uvjobs.run"

---@class uvjobs.Store
local methods = {}
local Store = { __name = TYPE, __metatable = TYPE }

-- ---- checks ------------------------------------------------------------------------

local function check_self(self, name)
  if getmetatable(self) ~= TYPE then arguments.fail_self(3, name, TYPE, self) end
end

-- For methods that suspend: raises where they cannot, and when the store is closed.
local function enter(self, name)
  check_self(self, name)
  core.check_suspend(name, 3)
  if self._is_closed then error(core.make_error("closed", "the store is closed"), 0) end
end

local function check_id(id, name)
  if math.type(id) ~= "integer" or id < 1 then
    arguments.fail(3, 1, name, arguments.unexpected_value("id of a task", id))
  end
end

local function check_name(value, name)
  local expected = options.is_name(value)
  if expected then arguments.fail(3, 1, name, arguments.unexpected_value(expected, value)) end
end

-- ---- what the other files call -----------------------------------------------------

--- Asks the engine. Suspends. `patience` is as for the port.
function methods:_call(request, patience)
  if self._is_closed then error(core.make_error("closed", "the store is closed"), 0) end
  transaction.check_outside(self, request)
  if request.op ~= "enqueue" then return self._port:call(request, patience) end
  return spans.enqueue(request.tasks, self._port.call, self._port, request, patience)
end

--- Tasks may have come to these queues; `true` for any.
function methods:_hint(queues)
  for work in pairs(self._works) do work:_hint(queues) end
end

--- Something was heard of the engine that nobody has asked for: queues, or a warning.
function methods:_hear(hint)
  if type(hint) ~= "table" or not hint.warning then
    self:_hint(hint)
    return
  end
  for work in pairs(self._works) do work:_warn(hint.warning) end
end

--- A task has ended.
function methods:_notify(id)
  local waiting = self._waiting[id]
  if waiting then waiting:set() end
end

function methods:_kind_names()
  return self._names
end

-- ---- kinds -------------------------------------------------------------------------

--- Says what a kind of tasks does, and how it is tried. A kind that is defined again is
--- replaced. Does not suspend.
--- Errors: misuse.
---@param kind string
---@param given? uvjobs.KindOptions
---@param fn fun(task: uvjobs.Task, args: any) is called in a job of its own
function methods:define(kind, given, fn)
  check_self(self, "define")
  local of_kind = options.kind(kind, given, fn)
  if not self._kinds[kind] then
    self._names[#self._names + 1] = kind
    table.sort(self._names)
  end
  self._kinds[kind] = of_kind
  self:_hint(true)
end

-- ---- tasks come --------------------------------------------------------------------

-- Tells the workers of this process of new tasks.
local function hint_of(self, tasks)
  local queues, seen = {}, {}
  for _, one in ipairs(tasks) do
    if not seen[one.queue] then
      seen[one.queue] = true
      queues[#queues + 1] = one.queue
    end
  end
  self:_hint(queues)
end

--- Stores a task, which a worker then runs. Suspends.
--- Errors: misuse; `unavailable`, whose `stored` says "unknown" when it may be stored;
--- `cancelled`, `timeout` and `killed` of the current job: then nothing is stored, unless
--- `stored` says otherwise.
---@param kind string
---@param args any what can be stored: nil, booleans, numbers, strings in UTF-8, tables of them
---@param given? uvjobs.TaskOptions
---@return integer id
---@return boolean new false when there was a live task of this kind and key
function methods:enqueue(kind, args, given)
  enter(self, "enqueue")
  local one = options.task(self._kinds, self._args_limit, 2, "enqueue", 1, kind, args, given)
  local answer = self:_call({ op = "enqueue", tasks = { one } })[1]
  if next(self._works) then self:_hint { one.queue } end
  return answer[1], answer[2]
end

--- Stores many tasks, all or none. Suspends.
--- Errors: those of enqueue().
---@param list table[] of lists of what enqueue() takes: { kind, args, options }
---@return integer[] ids
---@return boolean[] new
function methods:enqueue_all(list)
  enter(self, "enqueue_all")
  local tasks, ids, new = transaction.tasks_of(self, list), {}, {}
  if #tasks == 0 then return ids, new end
  for i, answer in ipairs(self:_call { op = "enqueue", tasks = tasks }) do
    ids[i], new[i] = answer[1], answer[2]
  end
  hint_of(self, tasks)
  return ids, new
end

--- Calls fn(tx) in a transaction of the store: what tx:enqueue() and tx:execute() do is there
--- together or not at all. It has 5 seconds. Suspends.
--- Errors: misuse; the error of `fn`, or `timeout`, and then nothing has been done; those of
--- enqueue().
---@param fn fun(tx: uvjobs.Transaction): ...
---@return any ... what fn returns
function methods:transaction(fn)
  enter(self, "transaction")
  arguments.check_function(2, 1, "transaction", fn)
  return transaction.run(self, fn, hint_of)
end

--- SQL that stores a task when another driver runs it, in a transaction of the program's
--- own. Suspends.
--- Errors: misuse, also that the store has no SQL.
---@param kind string
---@param args any
---@param given? uvjobs.TaskOptions
---@return string sql
---@return any[] parameters
function methods:sql_for(kind, args, given)
  enter(self, "sql_for")
  local one = options.task(self._kinds, self._args_limit, 2, "sql_for", 1, kind, args, given)
  one.meta = spans.meta()
  local answer = self:_call { op = "sql", task = one }
  return answer.text, answer.parameters
end

-- ---- schedules ---------------------------------------------------------------------

--- Stores a task at each time of a schedule, once, whatever the number of processes that say
--- so. A schedule of the same name is changed; its times that have not run stay. Suspends.
--- Errors: misuse; those of enqueue().
---@param name string
---@param schedule uvjobs.Schedule
---@param kind string
---@param args any
---@param given? uvjobs.StoreScheduleOptions
function methods:schedule(name, schedule, kind, args, given)
  enter(self, "schedule")
  schedules.make(self, 2, name, schedule, kind, args, given)
end

--- Deletes a schedule. Suspends.
--- Errors: misuse; those of get().
---@param name string
---@return boolean existed
function methods:unschedule(name)
  enter(self, "unschedule")
  check_name(name, "unschedule")
  return schedules.delete(self, name)
end

--- The schedules of the store, by name. Suspends.
--- Errors: those of get().
---@return uvjobs.StoreSchedule[]
function methods:schedules()
  enter(self, "schedules")
  return schedules.list(self)
end

-- ---- tasks run ---------------------------------------------------------------------

--- Starts a worker, which runs tasks of the kinds that are defined. Does not suspend.
--- Errors: misuse.
---@param given? uvjobs.WorkOptions
---@return uvjobs.Work
function methods:work(given)
  enter(self, "work")
  return worker.new(self, options.work(given))
end

-- ---- looking -----------------------------------------------------------------------

--- A task, or nil when the store does not have it (any more). Suspends.
--- Errors: misuse; `unavailable`; `cancelled`, `timeout` and `killed` of the current job.
---@param id integer
---@return uvjobs.TaskInfo?
function methods:get(id)
  enter(self, "get")
  check_id(id, "get")
  local row = self:_call { op = "get", id = id }
  return row and task.info(row) or nil
end

local FILTERS <const> = {
  state = arguments.kind(function(value) return rules.numbers[value] ~= nil end,
    "'scheduled', 'ready', 'running', 'done', 'dead' or 'cancelled'"),
  queue = options.is_name, kind = options.is_name, key = options.is_name,
  limit = expect.count(0), after = expect.count(0),
}

--- For a `for` loop: the tasks that match, in the order of their ids. Each step may suspend.
--- Errors: misuse; those of get().
---@param filter? uvjobs.TaskFilter
---@return fun(): uvjobs.TaskInfo?
function methods:tasks(filter)
  check_self(self, "tasks")
  filter = filter == nil and {} or arguments.raw(filter)
  local problem = arguments.problem_of_options(filter, FILTERS)
  if problem then arguments.fail(2, 1, "tasks", problem) end
  local left, after, page, i = filter.limit or math.huge, filter.after or 0, {}, 0
  local wanted = {
    state = rules.numbers[filter.state], queue = filter.queue, kind = filter.kind, key = filter.key,
  }
  return function()
    if i == #page then
      if left <= 0 or i > 0 and i < PAGE then return nil end
      enter(self, "tasks")
      page, i = self:_call {
        op = "list", filter = wanted, after = after, limit = math.tointeger(math.min(left, PAGE)),
      }, 0
      if #page == 0 then
        left = 0
        return nil
      end
      left, after = left - #page, page[#page].id
    end
    i = i + 1
    return task.info(page[i])
  end
end

local function event_of(self, id)
  local event = self._waiting[id] or uvjobs.event()
  self._waiting[id] = event
  return event
end

-- The state in which a task has ended; nil while it is live.
local function end_of(self, id)
  local row = self:_call { op = "get", id = id }
  if row == nil then error(("there is no task %d"):format(id), 3) end
  if row == false then return "done" end
  return not rules.is_live(row.state) and rules.names[row.state] or nil
end

--- Waits until a task has ended. A task that the store does not have any more counts as done,
--- which it was unless it has been pruned since. Suspends.
--- Errors: misuse, also that there never was such a task; those of get().
---@param id integer
---@param timeout? number seconds; nil waits for ever
---@return "done"|"dead"|"cancelled"|nil state nil when the time has passed
---@return string? why "timeout"
function methods:wait(id, timeout)
  enter(self, "wait")
  check_id(id, "wait")
  core.check_timeout(timeout, 2, "wait", 2)
  local due = uvjobs.now() + (timeout or math.huge)
  while true do
    local event = event_of(self, id)
    event:clear()
    local state = end_of(self, id)
    if state then
      self._waiting[id] = nil
      return state
    end
    local left = due - uvjobs.now()
    if left <= 0 then return nil, "timeout" end
    local longest = self._polls and POLL or math.huge
    event:wait(math.min(left, longest) < math.huge and math.min(left, longest) or nil)
  end
end

--- How many tasks there are, by queue and state. Suspends.
--- Errors: those of get().
---@return uvjobs.StoreStats
function methods:stats()
  enter(self, "stats")
  local stats = self:_call { op = "stats" }
  for _, of_queue in pairs(stats.queues) do
    of_queue.oldest = of_queue.oldest and of_queue.oldest / 1e6
    local unknown = {}
    for kind in pairs(of_queue.kinds or {}) do
      if not self._kinds[kind] then unknown[#unknown + 1] = kind end
    end
    table.sort(unknown)
    of_queue.kinds, of_queue.unknown = nil, unknown
  end
  return stats
end

-- ---- changing ----------------------------------------------------------------------

--- Cancels a task: one that waits at once, one that runs by cancelling its job, wherever
--- that is. Suspends.
--- Errors: those of get().
---@param id integer
---@return boolean live whether there was anything to cancel
function methods:cancel(id)
  enter(self, "cancel")
  check_id(id, "cancel")
  local before = self:_call { op = "cancel", id = id }
  if before == rules.RUNNING then
    for work in pairs(self._works) do work:_cancel(id) end
  elseif before then
    self:_notify(id)
  end
  return before ~= nil and rules.is_live(before)
end

--- Makes a task ready that waits for its time, or has ended; its attempts begin anew.
--- Suspends.
--- Errors: those of get().
---@param id integer
---@return boolean? ready true, or nil
---@return string? why "gone", or "duplicate": another task of its key is live
function methods:retry(id)
  enter(self, "retry")
  check_id(id, "retry")
  local before = self:_call { op = "retry", id = id }
  if before == nil then return nil, "gone" end
  if before == false then return nil, "duplicate" end
  self:_hint(true)
  return true
end

local function set_paused(self, queue, paused)
  return self:_call { op = "pause", queue = queue, paused = paused }
end

--- From now on no process claims tasks of a queue, until resume(). What runs goes on. Suspends.
--- Errors: those of get().
---@param queue string
---@return boolean before whether it was paused before
function methods:pause(queue)
  enter(self, "pause")
  check_name(queue, "pause")
  return set_paused(self, queue, true)
end

--- Ends a pause. Suspends.
--- Errors: those of get().
---@param queue string
---@return boolean before whether it was paused before
function methods:resume(queue)
  enter(self, "resume")
  check_name(queue, "resume")
  local before = set_paused(self, queue, false)
  self:_hint { queue }
  return before
end

--- Deletes tasks that have ended and been kept long enough. Workers do it by themselves once in
--- a while. Suspends.
--- Errors: those of get().
---@return integer count
function methods:prune()
  enter(self, "prune")
  return prune.all(self)
end

-- ---- the end -----------------------------------------------------------------------

--- Closes the workers, and then the store. Suspends. It may be called more than once.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
function methods:close()
  check_self(self, "close")
  if self._is_closed then return end
  core.check_suspend("close", 2)
  local works = {}
  for work in pairs(self._works) do works[#works + 1] = work end
  local closing <close> = uvjobs.scheduler { name = "closes workers", limit = math.huge }
  for _, work in ipairs(works) do closing:spawn(work.close, work) end
  closing:wait_and_close()
  schedules.close(self)
  self._is_closed = true
  seen_queues.remove(self._census)
  self._port:close()
end

function Store.__close(self)
  if self._is_closed then return end
  if core.can_suspend() then
    uvjobs.protect(self.close, self)
  else -- a job that is being killed: it goes on by itself
    uvjobs.scheduler({ name = "closes a store", close_timeout = 10 }):try_spawn(self.close, self)
  end
end

function Store.__index(self, key)
  local method = methods[key]
  if method then return method end
  if type(key) == "string" and key:find "^_" then return rawget(self, key) end
  arguments.fail_property(2, TYPE, key, methods)
end

function Store.__newindex(self, key, value)
  if type(key) == "string" and key:find "^_" then return rawset(self, key, value) end
  error(("cannot set '%s' of a %s (read only)"):format(tostring(key), TYPE), 2)
end

function Store.__tostring(self)
  return ("%s: %s%s"):format(TYPE, self._label, self._is_closed and ", closed" or "")
end

-- ---- opening -----------------------------------------------------------------------

local durable = {}

local ENGINES <const> = {
  memory = "uvjobs.durable.memory", sqlite = "uvjobs.durable.sqlite",
  postgres = "uvjobs.durable.postgres", postgresql = "uvjobs.durable.postgres",
}

-- The module of the engine, or nil and what is wrong.
local function find_engine(where)
  local scheme, location = where:match "^(%a+):(.*)$"
  local name = scheme and ENGINES[scheme]
  if not name then
    return nil, ("'memory:', 'sqlite:PATH' or 'postgres://...' expected%s"):format(
      scheme and ", got '" .. scheme .. ":'" .. arguments.did_you_mean(scheme, ENGINES) or "")
  end
  if scheme:find "^postgres" then location = where end
  local ok, module = pcall(require, name)
  if not ok then
    return nil, ("the store '%s:' is not installed: %s"):format(scheme,
      tostring(module):match "^[^\n]*")
  end
  return { name = name, module = module, scheme = scheme, location = location }
end

local function check_options(found, given)
  local known = {}
  for name, kind in pairs(options.of_open) do known[name] = kind end
  for name in pairs(found.module.options) do known[name] = options.of_stores[name] end
  local problem = arguments.problem_of_options(given, known)
  if problem then arguments.fail(3, 2, "open", problem) end
  local of_engine = {}
  for name in pairs(found.module.options) do of_engine[name] = given[name] end
  return of_engine
end

--- Opens a store: "memory:", "sqlite:" and the path of a file, or "postgres://" and what
--- follows there. Suspends.
--- Errors: misuse; what is wrong with the file or the database; `unavailable`; `corrupt`;
--- `cancelled`, `timeout` and `killed` of the current job.
---@param where string
---@param given? uvjobs.StoreOptions
---@return uvjobs.Store
function durable.open(where, given)
  if type(where) ~= "string" then
    arguments.fail(2, 1, "open", arguments.unexpected("string", where))
  end
  given = given == nil and {} or arguments.raw(given)
  local found, problem = find_engine(where)
  if not found then arguments.fail(2, 1, "open", problem) end
  problem = found.module.problem and
    found.module.problem(found.location, arguments.did_you_mean)
  if problem then arguments.fail(2, 1, "open", problem) end
  local of_engine = check_options(found, given)
  if not uvjobs.current() then error(FIRST_MESSAGE:format "open", 2) end
  core.check_suspend("open", 2)
  if core.is_virtual() and not found.module.virtual then
    error(("the store '%s:' needs the real clock"):format(found.scheme), 2)
  end
  local self = setmetatable({
    _label = found.scheme, _schedules = {}, _kinds = {}, _names = {}, _works = {}, _waiting = {},
    _transactions = setmetatable({}, { __mode = "k" }), _is_closed = false,
    _args_limit = given.args_limit or options.ARGS_LIMIT, _shared = found.module.shared,
    _polls = found.module.shared and not core.is_virtual(),
  }, Store)
  self._port = port.open(found.name, found.module, found.location, of_engine,
    function(hint) self:_hear(hint) end)
  self._census = census.new(self, not found.module.threaded)
  seen_queues.add(self._census)
  return self
end

return durable
