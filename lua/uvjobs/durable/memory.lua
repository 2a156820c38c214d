-- The store in memory: an engine that forgets everything when it is closed. It is for tests,
-- and it is the plainest form of what docs/durable-stores.md asks of an engine.

local lineup = require "uvjobs.durable.lineup"
local rules = require "uvjobs.durable.rules"

local READY <const>, RUNNING <const> = rules.READY, rules.RUNNING
local SCHEDULED <const> = rules.SCHEDULED
local is_live <const> = rules.is_live

local Engine = {}
Engine.__index = Engine

local operations = {}

local function misuse(message)
  error({ code = "misuse", message = message }, 0)
end

-- ---- tasks -------------------------------------------------------------------------

-- A row that stands in a line, or that a process has been given, never changes but for what its
-- claim and `save` write into it: other changes make a new row of the task, and the old one, whose
-- state is nil then, is skipped where it still stands. So a claim need not copy.
local function copy_of(row)
  return {
    id = row.id, state = row.state, kind = row.kind, queue = row.queue, args = row.args,
    priority = row.priority, due = row.due, key = row.key, attempt = row.attempt,
    attempts = row.attempts, crashes = row.crashes, most_crashes = row.most_crashes,
    keep_done = row.keep_done, keep_dead = row.keep_dead, process = row.process, lease = row.lease,
    cancelling = row.cancelling, saved = row.saved, errors = row.errors, reason = row.reason,
    enqueued = row.enqueued, started = row.started, ended = row.ended, expires = row.expires,
    meta = row.meta,
  }
end

local function line_of(self, queue)
  local line = self.lines[queue]
  if not line then
    line = lineup.new()
    self.lines[queue] = line
  end
  return line
end

-- A task of a key that is live, by kind and key.
local function holder_of(self, kind, key)
  local of_kind = self.keys[kind]
  return of_kind and of_kind[key]
end

local function hold_key(self, row)
  if not row.key then return end
  local of_kind = self.keys[row.kind] or {}
  self.keys[row.kind] = of_kind
  of_kind[row.key] = row
end

local function release_key(self, row)
  if row.key and holder_of(self, row.kind, row.key) == row then
    self.keys[row.kind][row.key] = nil
  end
end

-- The tasks that a process runs.
local function leave_process(self, row)
  local process = row.process and self.processes[row.process]
  if process then process.tasks[row.id] = nil end
end

local function stand_in_line(self, row)
  if row.state == READY then
    lineup.add(line_of(self, row.queue), row)
  elseif row.state == SCHEDULED then
    lineup.add_scheduled(line_of(self, row.queue), row)
  end
end

local function delete(self, row)
  if row.state == RUNNING then leave_process(self, row) end
  release_key(self, row)
  self.tasks[row.id], row.state = nil, nil
end

-- Changes a task as a rule says; nil deletes it.
local function change(self, row, changes)
  if not changes then
    delete(self, row)
    return
  end
  local new = copy_of(row)
  delete(self, row)
  for field, value in pairs(changes) do new[field] = value or nil end
  new.cancelling = new.cancelling or false
  self.tasks[new.id] = new
  if is_live(new.state) then
    hold_key(self, new)
    stand_in_line(self, new)
  else
    lineup.heap_add(self.ended, { new.expires, new.id, new })
  end
end

-- ---- tasks come --------------------------------------------------------------------

local function insert(self, task, now, tx)
  local id = self.last_id + 1
  self.last_id = id
  local row = {
    id = id, kind = task.kind, queue = task.queue, args = task.args, priority = task.priority,
    key = task.key, attempt = 0, attempts = task.attempts, crashes = 0,
    most_crashes = task.most_crashes, keep_done = task.keep_done, keep_dead = task.keep_dead,
    lease = 0, cancelling = false, enqueued = now, tx = tx, meta = task.meta,
  }
  row.state, row.due = rules.first_due(task, now)
  self.tasks[id] = row
  hold_key(self, row)
  if not tx then stand_in_line(self, row) end
  return row
end

-- What becomes of the live task of the same key.
local function merge(self, row, task, now)
  if task.on_key == "keep" or not is_live(row.state) or row.state == RUNNING then return end
  local changes = { state = row.state, due = row.due, args = task.args, priority = task.priority }
  if task.on_key == "debounce" then changes.state, changes.due = rules.first_due(task, now) end
  change(self, row, changes)
end

local function enqueue_one(self, task, now, tx)
  local row = task.key and holder_of(self, task.kind, task.key)
  if not row then
    row = insert(self, task, now, tx and tx.number)
    if tx then tx.rows[#tx.rows + 1] = row end
    return { row.id, true }
  end
  if tx then
    tx.merges[#tx.merges + 1] = { row.id, task }
  elseif not row.tx then
    merge(self, row, task, now)
  end
  return { row.id, false }
end

local function transaction(self, number)
  local tx = self.transactions[number]
  if not tx then
    error({ code = "unavailable", message = "the transaction is over" }, 0)
  end
  return tx
end

function operations.enqueue(self, request)
  local now, ids = self.clock.date(), {}
  local tx = request.tx and transaction(self, request.tx)
  for i, task in ipairs(request.tasks) do ids[i] = enqueue_one(self, task, now, tx) end
  return ids
end

function operations.sql()
  misuse "the store in memory has no SQL"
end

-- ---- transactions ------------------------------------------------------------------

function operations.begin(self)
  self.last_transaction = self.last_transaction + 1
  self.transactions[self.last_transaction] =
    { number = self.last_transaction, rows = {}, merges = {} }
  return self.last_transaction
end

function operations.execute()
  misuse "the store in memory has no SQL"
end

function operations.commit(self, request)
  local tx = transaction(self, request.tx)
  local now = self.clock.date()
  self.transactions[request.tx] = nil
  for _, row in ipairs(tx.rows) do
    row.tx = nil
    stand_in_line(self, row)
  end
  for _, pair in ipairs(tx.merges) do
    local row = self.tasks[pair[1]]
    if row then merge(self, row, pair[2], now) end
  end
end

function operations.rollback(self, request)
  local tx = self.transactions[request.tx]
  self.transactions[request.tx] = nil
  for _, row in ipairs(tx and tx.rows or {}) do delete(self, row) end
end

-- ---- processes ---------------------------------------------------------------------

function operations.join(self)
  self.last_process = self.last_process + 1
  self.processes[self.last_process] = { tasks = {} }
  return self.last_process
end

function operations.beat(self, request)
  local process = self.processes[request.process]
  if not process then return { alive = false, cancelling = {} } end
  local cancelling = {}
  for id, row in pairs(process.tasks) do
    if row.cancelling then cancelling[#cancelling + 1] = id end
  end
  table.sort(cancelling)
  return { alive = true, cancelling = cancelling }
end

-- The ids of the tasks of a process, in order, so that runs are the same each time.
local function ids_of(process)
  local ids = {}
  for id in pairs(process.tasks) do ids[#ids + 1] = id end
  table.sort(ids)
  return ids
end

function operations.leave(self, request)
  local process = self.processes[request.process]
  if not process then return end
  local now = self.clock.date()
  for _, id in ipairs(ids_of(process)) do
    local row = process.tasks[id]
    change(self, row, rules.settle(row, { outcome = "release" }, now))
  end
  self.processes[request.process] = nil
end

--- For specs: a process of the store dies, as by SIGKILL.
function operations.die(self, request)
  local process = self.processes[request.process]
  local now = self.clock.date()
  for _, id in ipairs(process and ids_of(process) or {}) do
    local row = process.tasks[id]
    change(self, row, rules.crash(row, now))
  end
  self.processes[request.process] = nil
end

-- ---- tasks run ---------------------------------------------------------------------

local DONE <const> = { outcome = "done" }

-- The task that a process runs, if the fence holds.
local function fenced(self, number, id, lease)
  local process = self.processes[number]
  local row = process and process.tasks[id]
  if row and row.lease == lease then return row end
end

function operations.finish(self, request)
  local now, lost, done = self.clock.date(), {}, request.done
  for i = 1, #done, 2 do
    local row = fenced(self, request.process, done[i], done[i + 1])
    if not row then
      lost[#lost + 1] = done[i]
    elseif row.keep_done <= 0 then
      delete(self, row)
    else
      change(self, row, rules.settle(row, DONE, now))
    end
  end
  return lost
end

function operations.settle(self, request)
  local now, held = self.clock.date(), {}
  for i, how in ipairs(request.list) do
    local row = fenced(self, request.process, how.id, how.lease)
    held[i] = row ~= nil
    if row then change(self, row, rules.settle(row, how, now)) end
  end
  return held
end

local function wake_due(line, now)
  while true do
    local row, due = lineup.take_due(line, now)
    if not row then return due end
    row.state = READY
    lineup.add(line, row)
  end
end

local function claim_one(process, number, row, now)
  row.state, row.process, row.lease = RUNNING, number, row.lease + 1
  row.attempt, row.started, row.cancelling = row.attempt + 1, now, false
  process.tasks[row.id] = row
  return row
end

local function candidates(line, want, now)
  if not want.aging then return lineup.plain(line) end
  return lineup.aged(line, function(row)
    return rules.level(row.priority, row.due, want.aging, now)
  end)
end

-- Takes from one queue what it wants. `claim` has what all queues share.
local function claim_from(line, want, claim)
  local keys, n = {}, 0
  for key, count in pairs(want.keys or {}) do keys[key] = count end
  for row in candidates(line, want, claim.now) do
    local of_key = row.key and keys[row.key] or 0
    local is_suspect = row.crashes > 0
    if claim.kinds[row.kind] and (not is_suspect or claim.suspects > 0) and
      not (row.key and want.key_limit and of_key >= want.key_limit) then
      if is_suspect then claim.suspects = claim.suspects - 1 end
      if row.key then keys[row.key] = of_key + 1 end
      claim.tasks[#claim.tasks + 1] = claim_one(claim.process, claim.number, row, claim.now)
      n = n + 1
      if n == want.n then return end
    end
  end
end

function operations.claim(self, request)
  local process = self.processes[request.process]
  local lost = request.done and operations.finish(self, request)
  if not process then return { alive = false, lost = lost, tasks = {} } end
  local claim = {
    process = process, number = request.process, now = self.clock.date(), kinds = {},
    suspects = request.suspects, tasks = {},
  }
  for _, kind in ipairs(request.kinds) do claim.kinds[kind] = true end
  local next_due
  for _, want in ipairs(request.wants) do
    local line = line_of(self, want.queue)
    local due = wake_due(line, claim.now)
    if due and (not next_due or due < next_due) then next_due = due end
    if not self.paused[want.queue] then claim_from(line, want, claim) end
  end
  return {
    alive = true, renewed = true, lost = lost, tasks = claim.tasks,
    delay = next_due and next_due - claim.now or nil,
  }
end

function operations.save(self, request)
  local row = fenced(self, request.process, request.id, request.lease)
  if row then row.saved = request.saved end
  return row ~= nil
end

-- ---- looking and changing ----------------------------------------------------------

local function visible(self, id)
  local row = self.tasks[id]
  return row and not row.tx and row or nil
end

function operations.get(self, request)
  local row = visible(self, request.id)
  if row then return copy_of(row) end
  if request.id >= 1 and request.id <= self.last_id then return false end
end

local function matches(row, filter, kind_pattern)
  return (not filter.state or row.state == filter.state) and
    (not filter.queue or row.queue == filter.queue) and
    (not filter.key or row.key == filter.key) and
    (not kind_pattern or row.kind:find(kind_pattern) ~= nil)
end

function operations.list(self, request)
  local filter, found = request.filter, {}
  local kind_pattern = filter.kind and rules.pattern(filter.kind)
  for id = request.after + 1, self.last_id do
    if #found == request.limit then break end
    local row = visible(self, id)
    if row and matches(row, filter, kind_pattern) then found[#found + 1] = copy_of(row) end
  end
  return found
end

function operations.cancel(self, request)
  local row = visible(self, request.id)
  if not row then return nil end
  local before = row.state
  if before == RUNNING then
    row.cancelling = true
  elseif is_live(before) then
    change(self, row, rules.cancel(row, self.clock.date()))
  end
  return before
end

function operations.retry(self, request)
  local row = visible(self, request.id)
  if not row then return nil end
  local before = row.state
  if before == RUNNING or before == READY then return before end
  if not is_live(before) and row.key and holder_of(self, row.kind, row.key) then return false end
  change(self, row, rules.retry(self.clock.date()))
  return before
end

function operations.pause(self, request)
  local before = self.paused[request.queue] or false
  self.paused[request.queue] = request.paused or nil
  return before
end

function operations.stats(self)
  local queues, now = {}, self.clock.date()
  for _, row in pairs(self.tasks) do
    if not row.tx then
      local of_queue, name = rules.counts_of(queues, row.queue), rules.names[row.state]
      of_queue[name] = of_queue[name] + 1
      if is_live(row.state) then of_queue.kinds[row.kind] = true end
      if row.state == READY then
        of_queue.oldest = math.max(of_queue.oldest or 0, now - row.due)
      end
    end
  end
  for name in pairs(self.paused) do rules.counts_of(queues, name).paused = true end
  local processes = 0
  for _ in pairs(self.processes) do processes = processes + 1 end
  return { queues = queues, processes = processes }
end

function operations.prune(self, request)
  local now, count, heap = self.clock.date(), 0, self.ended
  while count < request.most and heap[1] and heap[1][1] <= now do
    local entry = lineup.heap_pop(heap)
    local row = entry[3]
    if row.state then
      delete(self, row)
      count = count + 1
    end
  end
  return count
end

-- ---- schedules ---------------------------------------------------------------------

function operations.schedule(self, request)
  local before = self.schedules[request.name]
  local next_date = request.next
  if before and before.spec == request.spec then next_date = before.next end
  self.schedules[request.name] = {
    name = request.name, spec = request.spec, task = request.task, next = next_date,
    last = before and before.last,
  }
  return before and { spec = before.spec, last = before.last, next = before.next } or false
end

function operations.schedules(self)
  local found, now = {}, self.clock.date()
  for _, schedule in pairs(self.schedules) do
    found[#found + 1] = {
      name = schedule.name, spec = schedule.spec, task = schedule.task, last = schedule.last,
      next = schedule.next, delay = schedule.next and schedule.next - now,
    }
  end
  table.sort(found, function(a, b) return a.name < b.name end)
  return found
end

function operations.fire(self, request)
  local schedule = self.schedules[request.name]
  if not schedule or schedule.next ~= request.expected then return false end
  schedule.last, schedule.next = request.last, request.next
  return operations.enqueue(self, { tasks = request.tasks })
end

function operations.unschedule(self, request)
  local before = self.schedules[request.name]
  self.schedules[request.name] = nil
  return before ~= nil
end

-- ---- the engine --------------------------------------------------------------------

local function perform_one(self, request)
  local ok, value = pcall(operations[request.op], self, request)
  if ok then return { value = value } end
  if type(value) == "table" and value.code then return value end
  error(value, 0)
end

function Engine:perform(requests)
  local answers = {}
  for i, request in ipairs(requests) do answers[i] = perform_one(self, request) end
  return answers
end

function Engine.fd() end
function Engine.transaction() end
function Engine.hear() end
function Engine.idle() end

function Engine:close()
  self.tasks = {}
end

local function open(location, _, clock)
  if location ~= "" then
    error({ code = "misuse", message = "nothing can follow 'memory:'" }, 0)
  end
  return setmetatable({
    clock = clock, tasks = {}, lines = {}, keys = {}, processes = {}, paused = {}, ended = {},
    schedules = {}, transactions = {}, last_id = 0, last_process = 0, last_transaction = 0,
  }, Engine)
end

return { open = open, options = {}, threaded = false, virtual = true, shared = false }
