-- A worker: it claims tasks from a store, runs each in a job of its own, and tells the store
-- what has become of them. Some jobs do that beside those of the tasks: one claims, one settles,
-- one deletes what is old, and, where other processes share the store, one says that this process
-- is alive and one ends everything when it could not say so for too long (lease.lua).

local arguments = require "uvjobs.arguments"
local attempt = require "uvjobs.durable.attempt"
local backoff = require "uvjobs.policy.backoff"
local core = require "uvjobs.core"
local lease = require "uvjobs.durable.lease"
local options = require "uvjobs.durable.options"
local prune = require "uvjobs.durable.prune"
local spans = require "uvjobs.durable.spans"
local task = require "uvjobs.durable.task"

core.own_source()

local uvjobs = core.public

local worker = {}

local TYPE <const> = "uvjobs.Work"
local MOST_CLAIMED <const> = 200 -- tasks of a queue at once
local DEFAULT <const> = 5        -- the priority of jobs, too
local POLL <const> = 1           -- seconds; a tenth more or less, so that processes spread
local FLUSH_TIMEOUT <const> = 0.9 -- seconds, of the one that closing may take besides (D12)
local AGAIN <const> = backoff.complete({ base = 0.1, max = 5, jitter = "equal" }, 5)

---@class uvjobs.Work
local Work = { __name = TYPE, __metatable = TYPE }
Work.__index = Work

local function report(self, message, err, of)
  self._jobs:call_exception_handler {
    message = message, exception = err, task = of and ("%s #%d"):format(of.kind, of.id),
  }
end

-- Asks the store until it answers.
local function insist(self, request)
  local n = 0
  while true do
    local ok, value = pcall(self._store._call, self._store, request, self._patience)
    if ok then return value end
    if core.interrupted() then error(value, 0) end
    if n == 0 then report(self, "The store does not answer", value) end
    n = n + 1
    uvjobs.sleep(backoff.delay(AGAIN, n))
  end
end

-- ---- queues ------------------------------------------------------------------------

-- A queue is hungry when a claim may find something.
local function wake(self, name)
  for _, queue in ipairs(self._queues) do
    if name == true or queue.name == name then queue.hungry = true end
  end
  self._wake:set()
end

--- Tasks may have come to these queues, or to any.
function Work:_hint(names)
  if type(names) == "table" then
    for _, name in ipairs(names) do wake(self, name) end
  else
    wake(self, names)
  end
end

local function wants_of(self)
  local wants = {}
  for _, queue in ipairs(self._queues) do
    local n = math.min(queue.limit - queue.running, MOST_CLAIMED)
    if queue.hungry and n > 0 then
      wants[#wants + 1] = {
        queue = queue.name, n = math.tointeger(n), aging = queue.aging,
        key_limit = queue.key_limit, keys = queue.key_limit and queue.keys or nil,
      }
    end
  end
  return wants
end

local function take_slot(queue, row)
  queue.running = queue.running + 1
  if row.key then queue.keys[row.key] = (queue.keys[row.key] or 0) + 1 end
end

local function free_slot(self, queue, row)
  queue.running = queue.running - 1
  local key = row.key
  if key then
    local n = queue.keys[key] - 1
    queue.keys[key] = n > 0 and n or nil
  end
  if queue.held_back then queue.hungry = true end
  if queue.hungry then self._wake:set() end
end

-- ---- attempts ----------------------------------------------------------------------

local function settle_later(self, how, row)
  local outcomes = self._outcomes
  outcomes[#outcomes + 1] = how
  self._settling[#self._settling + 1] = row
  self._ended:set()
end

local function finish_later(self, row)
  local n = #self._done + 1
  self._done[n] = row
  if n == 1 then self._ended:set() end
end

local function is_suspect(row) return row.crashes > 0 end

local function settle_end(self, one, job)
  local how, err = attempt.outcome(one, job)
  if how then settle_later(self, how, one.row) end
  if how and how.outcome == "dead" then report(self, "A task is dead", err, one.row) end
end

-- The job of an attempt has ended, or was dropped before it began.
local function end_attempt(self, one, job)
  if one.over then return end
  one.over = true
  local row = one.row
  self._attempts[row.id] = nil
  self._of_job[job] = nil
  self._running = self._running - 1
  if is_suspect(row) then self._suspects = self._suspects - 1 end
  free_slot(self, one.queue, row)
  if self._running == 0 then self._busy:clear() end
  if attempt.is_done(one, job) then
    finish_later(self, row)
  else
    settle_end(self, one, job)
  end
  if self._closing then self._idle:set() end
end

local function begin(self, one, args)
  local row, kind, given = one.row, one.kind, self._spawn
  given.name = row.kind .. " #" .. row.id
  given.timeout, given.priority = kind.timeout, row.priority ~= DEFAULT and row.priority or nil
  local job = self._jobs:try_spawn(given, spans.of_run(row, kind.fn), task.new(one), args)
  one.job = job
  self._attempts[row.id] = one
  self._of_job[job] = one
  self._running = self._running + 1
  if self._running == 1 then self._busy:set() end
end

local function start(self, queue, row)
  local one = attempt.new(self, row, queue, self._store._kinds[row.kind])
  local args, problem = core.decode(row.args)
  if args == nil and problem then problem = "its arguments cannot be read: " .. problem end
  if not attempt.is_sound(row) then problem = "its row has values that no store writes" end
  if problem then
    settle_later(self, attempt.corrupt(one, problem), row)
    report(self, "A task is dead", problem, row)
    return
  end
  take_slot(queue, row)
  if is_suspect(row) then self._suspects = self._suspects + 1 end
  begin(self, one, args)
end

-- Closes a job, and kills it when it does not end in time.
local function close_job(self, one, timeout)
  local ok, err = pcall(one.job.close, one.job, timeout)
  if not ok and core.interrupted() then error(err, 0) end
  end_attempt(self, one, one.job) -- on_end is not called for one that had not begun
end

-- Ends an attempt for a reason.
local function stop(self, one, why, timeout)
  if one.over or one.stop == attempt.LOST or one.stop == why then return end
  one.stop = why
  self._service:try_spawn({ report = false }, close_job, self, one, timeout)
end

local function report_lost(self, row, text)
  report(self, "A task is lost", core.make_error("lost",
    ("%s #%d %s"):format(row.kind, row.id, text)), row)
end

--- The task has been taken away: its job has so many seconds to end.
function Work:_lose(one, timeout)
  if one.over or one.stop == attempt.LOST then return end
  stop(self, one, attempt.LOST, math.min(self._options.close_timeout, timeout))
  report_lost(self, one.row, "is not this process's any more")
end

--- All tasks have been.
function Work:_lose_all(timeout)
  for _, one in pairs(self._attempts) do self:_lose(one, timeout) end
end

--- The store says something that people should know.
function Work:_warn(text)
  report(self, "The store warns", text)
end

--- Somebody has cancelled a task that may run here.
function Work:_cancel(id)
  local one = self._attempts[id]
  if one then stop(self, one, attempt.CANCEL) end
end

-- ---- settling ----------------------------------------------------------------------

local IS_LIVE <const> = { release = true, retry = true, snooze = true }

local function report_not_held(self, row)
  report_lost(self, row, "has ended, but another process has it")
end

-- The store has answered whether the fence of a task held.
local function settled(self, row, how, held)
  if not held then
    report_not_held(self, row)
  elseif IS_LIVE[how.outcome] then
    self._store:_hint { row.queue }
  else
    self._store:_notify(row.id)
    self._has_ended:set()
  end
end

-- Takes the outcomes that there are; those of a process that has been lost have no fence.
local function take_outcomes(self)
  local outcomes, all = self._outcomes, self._settling
  local list, rows = {}, {}
  self._outcomes, self._settling = {}, {}
  for i, row in ipairs(all) do
    if row.process == self._process then
      list[#list + 1], rows[#rows + 1] = outcomes[i], row
    else
      settled(self, row, outcomes[i], false)
    end
  end
  return list, rows
end

-- Tells the store of all outcomes that there are.
local function settle_outcomes(self)
  local list, rows = take_outcomes(self)
  self._in_flight = self._in_flight + #list
  local held = insist(self, { op = "settle", process = self._process, list = list })
  self._in_flight = self._in_flight - #list
  for i, row in ipairs(rows) do settled(self, row, list[i], held[i]) end
  self._idle:set()
end

-- Takes the tasks that are done: their rows, and what the store is told of them, a list of an id,
-- its lease, the next id and so on. Nil when there are none.
local function take_done(self)
  local all, rows, list = self._done, {}, {}
  if #all == 0 then return nil end
  self._done = {}
  for i = 1, #all do
    local row = all[i]
    if row.process == self._process then
      local n = #rows
      rows[n + 1], list[2 * n + 1], list[2 * n + 2] = row, row.id, row.lease
    else
      report_not_held(self, row)
    end
  end
  self._in_flight = self._in_flight + #rows
  return rows, list
end

-- The store could not be told: somebody else has to.
local function give_back_done(self, rows)
  self._in_flight = self._in_flight - #rows
  for _, row in ipairs(rows) do finish_later(self, row) end
end

-- The store has answered whose fence did not hold.
local function finished(self, rows, lost)
  local is_lost = {}
  for _, id in ipairs(lost) do is_lost[id] = true end
  self._in_flight = self._in_flight - #rows
  for i = 1, #rows do
    local row = rows[i]
    if is_lost[row.id] then report_not_held(self, row) else self._store:_notify(row.id) end
  end
  self._has_ended:set()
  self._idle:set()
end

local function finish(self)
  local rows, list = take_done(self)
  if rows then
    finished(self, rows, insist(self, { op = "finish", process = self._process, done = list }))
  end
end

local function settle(self)
  while true do
    self._ended:wait()
    self._ended:clear()
    if #self._outcomes > 0 then settle_outcomes(self) end
    finish(self)
  end
end

-- Whether nothing runs and everything is told.
local function is_idle(self)
  return self._running == 0 and #self._outcomes == 0 and #self._done == 0 and self._in_flight == 0
end

-- ---- claiming ----------------------------------------------------------------------

-- Becomes a process. One that has lost its tasks by itself gives them back first, when their jobs
-- have ended.
local function join(self)
  if self._left then
    self._jobs:wait_idle()
    insist(self, { op = "leave", process = self._left })
    self._left = nil
  end
  local sent = uvjobs.now()
  self._process = insist(self, lease.join_request(self))
  self._renewed = sent
end

-- The store is told of what is done on the same way. When that is not to be known any more,
-- because the worker closes, the job that settles tells it again.
local function claim(self, wants)
  local sent = uvjobs.now()
  local rows, list = take_done(self)
  local ok, result = pcall(insist, self, {
    op = "claim", process = self._process, lease = options.microseconds(self._options.lease),
    kinds = self._store:_kind_names(), suspects = self._suspects == 0 and 1 or 0, wants = wants,
    done = list,
  })
  if not ok then
    if rows then give_back_done(self, rows) end
    error(result, 0)
  end
  if rows then finished(self, rows, result.lost) end
  if result.renewed and self._process then lease.renewed(self, sent) end
  return result
end

-- Begins the tasks of a claim. One that comes while the worker closes is given back. When the
-- answer has taken so long that the process is given up, nobody says any more that it is alive:
-- then what it got is not begun, and goes back when the process leaves.
local function start_all(self, process, wants, result)
  local is_held = lease.holds(self, process)
  local asked, got = {}, {}
  for _, want in ipairs(wants) do asked[want.queue], got[want.queue] = want.n, 0 end
  for _, row in ipairs(result.tasks) do
    got[row.queue] = got[row.queue] + 1
    if self._closing then
      settle_later(self, attempt.release { row = row }, row)
    elseif is_held then
      start(self, self._by_name[row.queue], row)
    end
  end
  for name, n in pairs(asked) do
    local queue = self._by_name[name]
    queue.hungry = queue.hungry or got[name] == n
    queue.held_back = queue.key_limit ~= nil or self._suspects > 0
  end
end

-- Waits until a claim may find something: `due` is when the next scheduled task is, or nil. Returns
-- it when that has not come. When it has, and the task's queue is full, there is nothing to claim
-- before a task ends, so it is forgotten.
local function rest(self, due)
  local timeout = self._store._polls and POLL * (0.9 + 0.2 * core.random()) or nil
  local delay = due and math.max(due - uvjobs.now(), 0)
  if delay and (not timeout or delay < timeout) then timeout = delay end
  local is_woken = self._wake:wait(timeout)
  local is_due = due and due <= uvjobs.now()
  if not is_woken or is_due then wake(self, true) end
  self._wake:clear()
  return not is_due and due or nil
end

local function claim_all(self)
  local due
  while not self._closing do
    local wants = wants_of(self)
    if #wants == 0 or next(self._store._kinds) == nil then
      due = rest(self, due)
    else
      if not self._process then join(self) end
      for _, want in ipairs(wants) do self._by_name[want.queue].hungry = false end
      local process = self._process
      local result = claim(self, wants)
      if not result.alive then
        if process == self._process then lease.lost(self) end
        wake(self, true)
      else
        due = result.delay and uvjobs.now() + result.delay / 1e6
        start_all(self, process, wants, result)
      end
    end
  end
end

-- ---- the end -----------------------------------------------------------------------

-- Closes the jobs of all tasks that still run.
local function close_attempts(self)
  local closing <close> = uvjobs.scheduler { limit = math.huge }
  for _, one in pairs(self._attempts) do
    one.stop = one.stop or attempt.CLOSE
    closing:spawn({ report = false }, close_job, self, one)
  end
end

local function wait_until_idle(self)
  while not is_idle(self) do
    self._idle:clear()
    self._idle:wait()
  end
end

-- Tells the store that the process is going, if that can be done in time.
local function leave(self)
  self._claimer:join()
  wait_until_idle(self)
  local process = self._process or self._left
  if process then self._store:_call({ op = "leave", process = process }, { seconds = 0 }) end
end

local function close(self)
  self._patience.seconds = FLUSH_TIMEOUT
  self._claimer:cancel() -- what it is being given comes all the same, and is given back
  if next(self._attempts) then self._jobs:wait_idle(self._options.wait_timeout) end
  close_attempts(self)
  local ok, err = pcall(uvjobs.timeout, FLUSH_TIMEOUT, leave, self)
  if not ok then report(self, "Closing a worker failed", err) end
  self._patience.seconds = 0
  self._service:close()
  self._jobs:close()
  self._store._works[self] = nil
  self._process = nil
  self._closed:set()
end

local function begin_close(self)
  if self._closing then return end
  self._closing = true
  self._closer:try_spawn({ report = false }, close, self)
end

--- Ends the worker: nothing is claimed any more; what runs has its wait_timeout to end, is
--- closed then, and becomes ready again, without an attempt or a crash. Suspends until that
--- is done. It may be called more than once.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job, and then closing
--- goes on.
function Work:close()
  if getmetatable(self) ~= TYPE then arguments.fail_self(2, "close", TYPE, self) end
  core.check_suspend("close", 2)
  begin_close(self)
  self._closed:wait()
end

-- In a job that is being killed, closing only begins; it goes on by itself.
function Work.__close(self)
  if core.can_suspend() then
    uvjobs.protect(self.close, self)
  else
    begin_close(self)
  end
end

function Work.__tostring(self)
  local n = 0
  for _, queue in ipairs(self._queues) do n = n + queue.running end
  return ("%s: %d %s%s"):format(TYPE, n, n == 1 and "task" or "tasks",
    self._closing and ", closed" or "")
end

arguments.refuse_others(TYPE, Work)

-- ---- the beginning -----------------------------------------------------------------

--- Where a task is stored, for task:save().
function Work:_save(row, text)
  return self._process == row.process and self._store:_call {
    op = "save", process = self._process, id = row.id, lease = row.lease, saved = text,
  }
end

local function new_schedulers(self, given)
  self._jobs = uvjobs.scheduler {
    name = "tasks", limit = math.huge, close_timeout = given.close_timeout,
    timeslice = given.timeslice, exception_handler = given.exception_handler,
    on_end = function(job)
      local one = self._of_job[job]
      if one then end_attempt(self, one, job) end
    end,
  }
  self._service = uvjobs.scheduler {
    name = "worker", limit = math.huge, exception_handler = given.exception_handler,
  }
  self._closer = uvjobs.scheduler { name = "worker's end", close_timeout = 1 }
end

--- Makes a worker and starts it. Does not suspend.
---@param store table
---@param given table from options.work()
---@return uvjobs.Work
function worker.new(store, given)
  local self = setmetatable({
    _store = store, _options = given, _queues = given.queues, _by_name = {}, _attempts = {},
    _of_job = {}, _running = 0, _done = {}, _outcomes = {}, _settling = {}, _in_flight = 0,
    _suspects = 0, _closing = false, _spawn = { report = false },
    _patience = {}, _wake = uvjobs.event(), _ended = uvjobs.event(), _idle = uvjobs.event(),
    _closed = uvjobs.event(), _busy = uvjobs.event(), _has_ended = uvjobs.event(),
  }, Work)
  for _, queue in ipairs(self._queues) do
    queue.running, queue.keys, queue.hungry = 0, {}, true
    self._by_name[queue.name] = queue
  end
  new_schedulers(self, given)
  store._works[self] = true
  self._claimer = self._service:try_spawn({ name = "claims tasks" }, claim_all, self)
  self._service:try_spawn({ name = "settles tasks" }, settle, self)
  self._service:try_spawn({ name = "deletes old tasks" }, prune.go_on, self)
  lease.start(self)
  return self
end

return worker
