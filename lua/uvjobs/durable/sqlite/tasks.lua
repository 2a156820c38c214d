-- The operations of the store in SQLite on tasks. Statements are short, find rows by index or
-- by rowid, and return none from changes: RETURNING and sub-queries would allocate a page cache
-- for each call, which costs ten times the rest.

local mend = require "uvjobs.durable.mend"
local rules = require "uvjobs.durable.rules"

local READY <const>, RUNNING <const> = rules.READY, rules.RUNNING

local operations = {}

-- ---- rows --------------------------------------------------------------------------

local FIELDS <const> = {
  "id", "state", "queue", "kind", "priority", "due", "lease", "process", "attempt", "attempts",
  "crashes", "most_crashes", "cancelling", "key", "keep_done", "keep_dead", "enqueued", "started",
  "ended", "reason", "args", "saved", "errors", "meta",
}
local COLUMNS <const> = table.concat(FIELDS, ", ")

-- The columns of a step as a row; nil without one.
local function row_of(id, state, queue, kind, priority, due, lease, process, attempt, attempts,
  crashes, most_crashes, cancelling, key, keep_done, keep_dead, enqueued, started, ended, reason,
  args, saved, errors, meta)
  if id == nil then return nil end
  return {
    id = id, state = state, queue = queue, kind = kind, priority = priority, due = due,
    lease = lease, process = process, attempt = attempt, attempts = attempts, crashes = crashes,
    most_crashes = most_crashes, cancelling = cancelling ~= 0, key = key, keep_done = keep_done,
    keep_dead = keep_dead, enqueued = enqueued, started = started, ended = ended, reason = reason,
    args = args, saved = saved, errors = errors, meta = meta,
  }
end

local function find(self, id)
  return row_of(self:sql("SELECT " .. COLUMNS .. " FROM uvjobs_task WHERE id = ?"):first(id))
end

-- The statement that sets these fields, which are sorted, so there are few of them.
local function update_of(changes)
  local names = {}
  for name in pairs(changes) do names[#names + 1] = name end
  table.sort(names)
  return names, "UPDATE uvjobs_task SET " .. table.concat(names, " = ?, ") .. " = ? WHERE id = ?"
end

local function value_for_sql(name, value)
  if name == "cancelling" then return value and 1 or 0 end
  return value or nil
end

-- Changes a task as a rule says; nil deletes it.
local function change(self, id, changes)
  if not changes then
    self:sql("DELETE FROM uvjobs_task WHERE id = ?"):run(id)
    return
  end
  local names, text = update_of(changes)
  local values = {}
  for i, name in ipairs(names) do values[i] = value_for_sql(name, changes[name]) end
  values[#names + 1] = id
  self:sql(text):run(table.unpack(values, 1, #names + 1))
end

operations.change, operations.row_of, operations.columns = change, row_of, COLUMNS

-- ---- tasks come --------------------------------------------------------------------

local INSERT <const> = [[
INSERT INTO uvjobs_task (state, queue, kind, priority, due, attempts, most_crashes, key, keep_done,
  keep_dead, enqueued, args, meta) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)]]

-- The live task of a kind and key.
local function holder_of(self, kind, key)
  return row_of(self:sql("SELECT " .. COLUMNS .. [[ FROM uvjobs_task
    WHERE kind = ? AND key = ? AND key IS NOT NULL AND state <= 2]]):first(kind, key))
end

-- What becomes of the live task of the same key.
local function merge(self, row, task, now)
  if task.on_key == "keep" or row.state == RUNNING then return end
  local changes = { args = task.args, priority = task.priority }
  if task.on_key == "debounce" then changes.state, changes.due = rules.first_due(task, now) end
  change(self, row.id, changes)
end

local function enqueue_one(self, task, now)
  local holder = task.key and holder_of(self, task.kind, task.key)
  if holder then
    merge(self, holder, task, now)
    return { holder.id, false }
  end
  local state, due = rules.first_due(task, now)
  self:sql(INSERT):run(state, task.queue, task.kind, task.priority, due, task.attempts,
    task.most_crashes, task.key, task.keep_done, task.keep_dead, now, task.args, task.meta)
  return { self.db:last_id(), true }
end

function operations.enqueue(self, request)
  local now, ids = self.clock.date(), {}
  for i, task in ipairs(request.tasks) do ids[i] = enqueue_one(self, task, now) end
  return ids
end

-- What SQLite's own clock says, for another connection.
local NOW <const> = "(CAST(strftime('%s', 'now') AS INTEGER) * 1000000)"

function operations.sql(_, request)
  local task = request.task
  local delayed = (task.delay or 0) > 0 or task.date ~= nil
  local due = task.date and "?" or NOW .. " + ?"
  return {
    text = ([[INSERT INTO uvjobs_task (state, queue, kind, priority, due, attempts, most_crashes,
key, keep_done, keep_dead, enqueued, args, meta)
VALUES (%d, ?, ?, ?, %s, ?, ?, ?, ?, ?, %s, ?, ?)%s]]):format(
      delayed and rules.SCHEDULED or READY, due, NOW, task.key and " ON CONFLICT DO NOTHING" or ""),
    parameters = {
      task.queue, task.kind, task.priority, task.date or task.delay or 0, task.attempts,
      task.most_crashes, task.key, task.keep_done, task.keep_dead, task.args, task.meta, n = 11,
    },
  }
end

-- ---- settling ----------------------------------------------------------------------

local FENCE <const> = " WHERE id = ? AND lease = ? AND process = ? AND state = 2"
local DONE <const> = "DELETE FROM uvjobs_task" .. FENCE .. " AND keep_done = 0"

local function settle_one(self, process, how, now)
  local row = row_of(self:sql("SELECT " .. COLUMNS .. " FROM uvjobs_task" .. FENCE):first(
    how.id, how.lease, process))
  if not row then return false end
  change(self, row.id, rules.settle(row, how, now))
  return true
end

function operations.settle(self, request)
  local now, held = self.clock.date(), {}
  for i, how in ipairs(request.list) do
    held[i] = settle_one(self, request.process, how, now)
  end
  return held
end

local IS_DONE <const> = { outcome = "done" }

-- A task that is not kept is deleted without being read.
function operations.finish(self, request)
  local now, lost, done, process = self.clock.date(), {}, request.done, request.process
  local delete = self:sql(DONE)
  for i = 1, #done, 2 do
    local id, lease = done[i], done[i + 1]
    if delete:run(id, lease, process) == 0 then
      IS_DONE.id, IS_DONE.lease = id, lease
      if not settle_one(self, process, IS_DONE, now) then lost[#lost + 1] = id end
    end
  end
  return lost
end

-- ---- claiming ----------------------------------------------------------------------

local MOST_WOKEN <const> = 1000

-- Makes tasks ready that are due; returns when the next one is.
local function wake_due(self, queue, now)
  local next_due
  repeat
    local ids = {}
    local statement = self:sql [[SELECT id, due FROM uvjobs_task
      WHERE state = 0 AND queue = ? ORDER BY due LIMIT 1000]]
    statement:bind(queue)
    while true do
      local id, due = statement:step()
      if not id then break end
      if due > now then
        next_due = due
        break
      end
      ids[#ids + 1] = id
    end
    statement:reset()
    local update = self:sql "UPDATE uvjobs_task SET state = 1 WHERE id = ?"
    for _, id in ipairs(ids) do update:run(id) end
  until #ids < MOST_WOKEN
  return next_due
end

-- What the worker needs of a task: each field is copied between two Lua states.
local OF_CLAIM <const> = "id, queue, kind, priority, due, lease, attempt, attempts, crashes, " ..
  "key, enqueued, args, saved, errors, meta"

local function claimed(id, queue, kind, priority, due, lease, attempt, attempts, crashes, key,
  enqueued, args, saved, errors, meta)
  if id == nil then return nil end
  return {
    id = id, queue = queue, kind = kind, priority = priority, due = due, lease = lease,
    attempt = attempt, attempts = attempts, crashes = crashes, key = key, enqueued = enqueued,
    args = args, saved = saved, errors = errors, meta = meta,
  }
end

-- Many tasks may be there of kinds that nobody here knows, and many whose process has died: most of
-- them are passed over before they are read. A list behind IN would cost a table for each claim; a
-- text of the names costs none.
local MAY_TAKE <const> = "instr(?, char(31) || kind || char(31)) AND (crashes = 0 OR ?)"

local function bind(statement, queue, claim)
  statement:bind(queue, claim.names, claim.suspects)
end

local IN_ORDER <const> = "SELECT " .. OF_CLAIM .. [[ FROM uvjobs_task
  WHERE state = 1 AND queue = ? AND ]] .. MAY_TAKE .. " ORDER BY priority, due, id"

local function plain(self, queue, claim)
  local statement = self:sql(IN_ORDER)
  bind(statement, queue, claim)
  return function() return claimed(statement:step()) end, statement
end

-- The text is another one for each level, so each has a statement.
local function level_statement(self, level)
  return self:sql("SELECT " .. OF_CLAIM .. (" FROM uvjobs_task WHERE state = 1 AND queue = ? " ..
    "AND %s AND priority = %d ORDER BY due, id"):format(MAY_TAKE, level))
end

-- The first of each level are compared.
local function aged(self, queue, aging, claim)
  local statements, heads = {}, {}
  for level = 0, 9 do
    statements[level] = level_statement(self, level)
    bind(statements[level], queue, claim)
    heads[level] = claimed(statements[level]:step())
  end
  local function step()
    local best, best_rank
    for level = 0, 9 do
      local row = heads[level]
      local rank = row and rules.level(level, row.due, aging, claim.now)
      if row and (not best or rank < best_rank or rank == best_rank and
        (row.due < best.due or row.due == best.due and row.id < best.id)) then
        best, best_rank = row, rank
      end
    end
    if best then heads[best.priority] = claimed(statements[best.priority]:step()) end
    return best
  end
  return step, { reset = function()
    for level = 0, 9 do statements[level]:reset() end
  end }
end

-- The tasks that one queue gives.
local function pick(self, want, claim)
  local keys, picked = {}, {}
  for key, count in pairs(want.keys or {}) do keys[key] = count end
  local step, statement
  if want.aging then
    step, statement = aged(self, want.queue, want.aging, claim)
  else
    step, statement = plain(self, want.queue, claim)
  end
  while #picked < want.n do
    local row = step()
    if not row then break end
    local of_key = row.key and keys[row.key] or 0
    local is_suspect = row.crashes > 0
    if claim.kinds[row.kind] and (not is_suspect or claim.suspects > 0) and
      not (row.key and want.key_limit and of_key >= want.key_limit) then
      if is_suspect then claim.suspects = claim.suspects - 1 end
      if row.key then keys[row.key] = of_key + 1 end
      picked[#picked + 1] = row
    end
  end
  statement:reset()
  return picked
end

local TAKE <const> = [[UPDATE uvjobs_task SET state = 2, process = ?, lease = lease + 1,
  attempt = attempt + 1, started = ?, cancelling = 0 WHERE id = ?]]

local function take(self, row, process, now)
  self:sql(TAKE):run(process, now, row.id)
  row.process, row.lease, row.attempt = process, row.lease + 1, row.attempt + 1
end

local function is_paused(self, queue)
  return self:sql("SELECT paused FROM uvjobs_queue WHERE name = ?"):first(queue) == 1
end

function operations.claim(self, request)
  local lost = request.done and operations.finish(self, request)
  local renewed = self:renew(request.process, request.lease)
  if renewed == nil then return { alive = false, lost = lost, tasks = {} } end
  local claim = {
    now = self.clock.date(), kinds = {}, suspects = request.suspects, tasks = {},
  }
  for _, kind in ipairs(request.kinds) do claim.kinds[kind] = true end
  claim.names = "\31" .. table.concat(request.kinds, "\31") .. "\31"
  local next_due
  for _, want in ipairs(request.wants) do
    local due = wake_due(self, want.queue, claim.now)
    if due and (not next_due or due < next_due) then next_due = due end
    if want.n > 0 and not is_paused(self, want.queue) then
      for _, row in ipairs(pick(self, want, claim)) do
        take(self, row, request.process, claim.now)
        claim.tasks[#claim.tasks + 1] = row
      end
    end
  end
  return {
    alive = true, renewed = renewed, lost = lost, tasks = claim.tasks,
    delay = next_due and next_due - claim.now or nil,
  }
end

function operations.save(self, request)
  return self:sql("UPDATE uvjobs_task SET saved = ?" .. FENCE):run(
    request.saved, request.id, request.lease, request.process) == 1
end

-- ---- looking -----------------------------------------------------------------------

-- Somebody else may have written the state.
local function checked(row)
  mend.check_state(row.state, rules.names[row.state])
  return row
end

function operations.get(self, request)
  local row = find(self, request.id)
  if row then return checked(row) end
  local last = self:sql("SELECT seq FROM sqlite_sequence WHERE name = 'uvjobs_task'"):first()
  if request.id >= 1 and request.id <= (last or 0) then return false end
end

-- GLOB knows [...] besides * and ?.
local function glob(text)
  return (text:gsub("%[", "[[]"))
end

function operations.list(self, request)
  local filter, conditions, values = request.filter, { "id > ?" }, { request.after }
  for _, name in ipairs { "state", "queue", "kind", "key" } do
    if filter[name] ~= nil then
      conditions[#conditions + 1] = name == "kind" and "kind GLOB ?" or name .. " = ?"
      values[#values + 1] = name == "kind" and glob(filter.kind) or filter[name]
    end
  end
  values[#values + 1] = request.limit
  local statement = self:sql("SELECT " .. COLUMNS .. " FROM uvjobs_task WHERE " ..
    table.concat(conditions, " AND ") .. " ORDER BY id LIMIT ?")
  local found = {}
  statement:bind(table.unpack(values))
  while true do
    local row = row_of(statement:step())
    if not row then break end
    found[#found + 1] = checked(row)
  end
  statement:reset()
  return found
end

function operations.stats(self)
  local queues, now = {}, self.clock.date()
  local counts = self:sql [[SELECT queue, state, kind, count(*), min(due) FROM uvjobs_task
    GROUP BY queue, state, kind]]
  for _, row in ipairs(counts:rows()) do
    local queue, state, kind, count, oldest = table.unpack(row, 1, 5)
    local of_queue = rules.counts_of(queues, queue)
    local name = rules.names[state]
    mend.check_state(state, name)
    of_queue[name] = of_queue[name] + count
    if rules.is_live(state) then of_queue.kinds[kind] = true end
    if state == READY then of_queue.oldest = math.max(of_queue.oldest or 0, now - oldest) end
  end
  for _, row in ipairs(self:sql("SELECT name FROM uvjobs_queue WHERE paused = 1"):rows()) do
    rules.counts_of(queues, row[1]).paused = true
  end
  return {
    queues = queues,
    processes = self:sql("SELECT count(*) FROM uvjobs_process"):first(),
  }
end

-- ---- changing ----------------------------------------------------------------------

function operations.cancel(self, request)
  local row = find(self, request.id)
  if not row then return nil end
  if row.state == RUNNING then
    change(self, row.id, { cancelling = true })
  elseif rules.is_live(row.state) then
    change(self, row.id, rules.cancel(row, self.clock.date()))
  end
  return row.state
end

function operations.retry(self, request)
  local row = find(self, request.id)
  if not row then return nil end
  if row.state == RUNNING or row.state == READY then return row.state end
  if not rules.is_live(row.state) and row.key and holder_of(self, row.kind, row.key) then
    return false
  end
  change(self, row.id, rules.retry(self.clock.date()))
  return row.state
end

function operations.pause(self, request)
  local before = is_paused(self, request.queue)
  self:sql [[INSERT INTO uvjobs_queue (name, paused) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET paused = excluded.paused]]:run(request.queue, request.paused)
  return before
end

local MOST_PRUNED <const> = 1000

function operations.prune(self, request)
  local ids = self:sql [[SELECT id FROM uvjobs_task WHERE state >= 3 AND expires <= ?
    ORDER BY expires LIMIT ?]]:rows(self.clock.date(), math.min(request.most, MOST_PRUNED))
  local delete = self:sql "DELETE FROM uvjobs_task WHERE id = ?"
  for _, row in ipairs(ids) do delete:run(row[1]) end
  return #ids
end

return operations
