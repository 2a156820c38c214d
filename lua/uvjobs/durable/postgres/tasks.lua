-- The operations of the store in PostgreSQL on tasks. Each is a *plan*: a list of queries that can
-- be sent together with those of others, and a function that makes the value out of their results.
-- What needs to look at a result before it goes on is in steps.lua.

local mend = require "uvjobs.durable.mend"
local rows = require "uvjobs.durable.postgres.rows"
local rules = require "uvjobs.durable.rules"

local plans = {}

-- ---- tasks come --------------------------------------------------------------------

local INSERT <const> = [[
INSERT INTO @task (state, queue, kind, priority, due, attempts, most_crashes, keep_done, keep_dead,
  enqueued, args, meta)
SELECT CASE WHEN n.due > @NOW THEN 0 ELSE 1 END, n.queue, n.kind, n.priority, n.due, n.attempts,
  n.most_crashes, n.keep_done, n.keep_dead, @NOW, n.args, n.meta
FROM (SELECT u.*, coalesce(u.date, @NOW + coalesce(u.delay, 0)) AS due
  FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[],
    $7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::text[]) WITH ORDINALITY
  AS u (queue, kind, priority, delay, date, attempts, most_crashes, keep_done, keep_dead, args,
    meta, place)
) n ORDER BY n.place RETURNING id]]

local COLUMNS <const> = {
  "queue", "kind", "priority", "delay", "date", "attempts", "most_crashes", "keep_done",
  "keep_dead", "args", "meta",
}

--- The query that stores tasks without keys; it returns their ids in order.
function plans.insertion(tasks)
  local query = { INSERT, n = #COLUMNS }
  for place, name in ipairs(COLUMNS) do
    local values = { n = #tasks }
    for i, task in ipairs(tasks) do values[i] = task[name] end
    query[place + 1] = values
  end
  return query
end

-- The server's clock, for another connection, which has no other way to know it.
local DUE <const> = { date = "%s", delay = "@NOW + %s" }

--- SQL that stores a task.
function plans.statement(task, write)
  local parameters, n = {}, 0
  local function place(value, kind)
    n = n + 1
    parameters[n] = value
    return ("$%d::%s"):format(n, kind)
  end
  local due = place(task.date or task.delay or 0, "bigint")
  due = (task.date and DUE.date or DUE.delay):format(due)
  local text = ([[INSERT INTO @task (state, queue, kind, priority, due, attempts, most_crashes,
keep_done, keep_dead, enqueued, args, key, meta)
SELECT CASE WHEN n.due > @NOW THEN 0 ELSE 1 END, %s, %s, %s, n.due, %s, %s, %s, %s, @NOW, %s, %s, %s
FROM (SELECT %s AS due) n ON CONFLICT DO NOTHING]]):format(
    place(task.queue, "text"), place(task.kind, "text"), place(task.priority, "smallint"),
    place(task.attempts, "bigint"), place(task.most_crashes, "bigint"),
    place(task.keep_done, "bigint"), place(task.keep_dead, "bigint"), place(task.args, "text"),
    task.key and place(task.key, "text") or "NULL",
    task.meta and place(task.meta, "text") or "NULL", due)
  parameters.n = n
  return { text = write(text), parameters = parameters }
end

-- ---- settling ----------------------------------------------------------------------

local OUTCOMES <const> = {
  done = 1, retry = 2, dead = 3, cancelled = 4, snooze = 5, release = 6,
}

local SETTLE <const> = [[
WITH how AS (
  SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::smallint[], $5::bigint[], $6::text[],
    $7::text[]) WITH ORDINALITY AS u (id, lease, outcome, delay, reason, error, place)),
held AS MATERIALIZED (
  SELECT t.id, how.place, how.delay, how.reason, how.error, t.keep_done, t.keep_dead,
    CASE WHEN how.outcome = 1 THEN 3 WHEN how.outcome = 3 THEN 4
      WHEN how.outcome = 4 OR t.cancelling THEN 5
      WHEN how.outcome <> 6 AND coalesce(how.delay, 0) > 0 THEN 0 ELSE 1 END AS state,
    CASE WHEN how.outcome NOT IN (2, 5) OR t.cancelling THEN t.due END AS due,
    CASE WHEN how.outcome IN (5, 6) THEN -1 ELSE 0 END AS attempt, 0 AS crashes
  FROM how JOIN @task t ON t.id = how.id
  WHERE t.id = ANY ($2::bigint[]) AND t.lease = how.lease AND t.process = $1 AND t.state = 2
  FOR UPDATE OF t)]] ..
  rows.change_held .. "SELECT place FROM held"

function plans.settle(request)
  local ids, leases, outcomes, delays, reasons, errors = {}, {}, {}, {}, {}, {}
  for i, how in ipairs(request.list) do
    ids[i], leases[i], outcomes[i] = how.id, how.lease, OUTCOMES[how.outcome]
    delays[i], reasons[i], errors[i] = how.delay or 0, how.reason, how.error
  end
  for _, list in ipairs { ids, leases, outcomes, delays, reasons, errors } do
    list.n = #request.list
  end
  return { { SETTLE, request.process, ids, leases, outcomes, delays, reasons, errors, n = 7 } },
    function(results)
      local held = {}
      for i = 1, #request.list do held[i] = false end
      for _, row in ipairs(results[1]) do held[row[1]] = true end
      return held
    end
end

-- Rows are not locked first, which would be written to the WAL for each. They are looked for by a
-- list of ids, because for a join the planner may read the whole table. With IS TRUE the fences are
-- looked up in a hash table, not compared each with each.
local FINISH <const> = [[
WITH how AS MATERIALIZED (SELECT * FROM unnest($2::bigint[], $3::bigint[]) AS u (id, lease)),
deleted AS (
  DELETE FROM @task t WHERE t.id = ANY ($2::bigint[]) AND t.process IS NOT DISTINCT FROM $1
    AND t.state = 2 AND t.keep_done <= 0
    AND ((t.id, t.lease) IN (SELECT id, lease FROM how)) IS TRUE RETURNING t.id),
changed AS (
  UPDATE @task t SET state = 3, process = NULL, cancelling = false, ended = @NOW,
    expires = @NOW + t.keep_done
  WHERE t.id = ANY ($2::bigint[]) AND t.process IS NOT DISTINCT FROM $1
    AND t.state = 2 AND t.keep_done > 0
    AND ((t.id, t.lease) IN (SELECT id, lease FROM how)) IS TRUE RETURNING t.id)
SELECT id FROM how
EXCEPT (SELECT id FROM deleted UNION ALL SELECT id FROM changed)]]

function plans.finish(request)
  local done, ids, leases, n = request.done, {}, {}, #request.done // 2
  for i = 1, n do ids[i], leases[i] = done[2 * i - 1], done[2 * i] end
  ids.n, leases.n = n, n
  return { { FINISH, request.process, ids, leases, n = 3 } }, function(results)
    local lost = {}
    for i, row in ipairs(results[1]) do lost[i] = row[1] end
    return lost
  end
end

local SAVE <const> = [[UPDATE @task SET saved = $1 WHERE id = $2::bigint AND lease = $3::bigint
  AND process = $4::bigint AND state = 2]]

function plans.save(request)
  return { { SAVE, request.saved, request.id, request.lease, request.process, n = 4 } },
    function(results) return results[1].changes == 1 end
end

-- ---- looking -----------------------------------------------------------------------

-- Somebody else may have written the state.
local function checked(task)
  mend.check_state(task.state, rules.names[task.state])
  return task
end

function plans.get(request)
  return {
    { "SELECT " .. rows.columns .. " FROM @task t WHERE t.id = $1::bigint", request.id, n = 1 },
    { "SELECT last_value, is_called FROM @task_id_seq", n = 0 },
  }, function(results)
    if results[1].n == 1 then return checked(rows.task(results[1][1])) end
    local last, is_called = results[2][1][1], results[2][1][2]
    if is_called and request.id >= 1 and request.id <= last then return false end
  end
end

-- A pattern with * and ? for LIKE.
local function pattern_of(text)
  return (text:gsub("[\\%%_]", "\\%0"):gsub("%*", "%%"):gsub("%?", "_"))
end

local CONDITIONS <const> = {
  { "state", "t.state = $%d::smallint" }, { "queue", "t.queue = $%d::text" },
  { "kind", "t.kind LIKE $%d::text" }, { "key", "t.key = $%d::text" },
}

function plans.list(request)
  local query = { "", request.after, request.limit, n = 2 }
  local conditions = { "t.id > $1::bigint" }
  for _, pair in ipairs(CONDITIONS) do
    local name, condition = pair[1], pair[2]
    local value = request.filter[name]
    if value ~= nil then
      query.n = query.n + 1
      query[query.n + 1] = name == "kind" and pattern_of(value) or value
      conditions[#conditions + 1] = condition:format(query.n)
    end
  end
  query[1] = "SELECT " .. rows.columns .. " FROM @task t WHERE " ..
    table.concat(conditions, " AND ") .. " ORDER BY t.id LIMIT $2::bigint"
  return { query }, function(results)
    local found = rows.tasks(results[1])
    for i = 1, #found do checked(found[i]) end
    return found
  end
end

local function count_row(queues, queue, state, kind, count, oldest)
  local of_queue, name = rules.counts_of(queues, queue), rules.names[state]
  mend.check_state(state, name)
  of_queue[name] = of_queue[name] + count
  if rules.is_live(state) then of_queue.kinds[kind] = true end
  if state == rules.READY then of_queue.oldest = math.max(of_queue.oldest or 0, oldest) end
end

function plans.stats()
  return {
    { [[SELECT queue, state, kind, count(*), @NOW - min(due) FROM @task
      GROUP BY queue, state, kind]], n = 0 },
    { "SELECT name FROM @queue WHERE paused", n = 0 },
    { "SELECT count(*) FROM @process", n = 0 },
  }, function(results)
    local queues = {}
    for _, row in ipairs(results[1]) do count_row(queues, table.unpack(row, 1, 5)) end
    for _, row in ipairs(results[2]) do rules.counts_of(queues, row[1]).paused = true end
    return { queues = queues, processes = results[3][1][1] }
  end
end

-- ---- changing ----------------------------------------------------------------------

local CANCEL <const> = [[
WITH found AS MATERIALIZED (
  SELECT id, state, keep_dead FROM @task WHERE id = $1::bigint FOR UPDATE),
deleted AS (
  DELETE FROM @task t USING found f WHERE t.id = f.id AND f.state < 2 AND f.keep_dead <= 0),
changed AS (
  UPDATE @task t SET state = CASE WHEN f.state = 2 THEN 2 ELSE 5 END, cancelling = f.state = 2,
    ended = CASE WHEN f.state < 2 THEN @NOW END,
    expires = CASE WHEN f.state < 2 THEN @NOW + f.keep_dead END
  FROM found f WHERE t.id = f.id AND (f.state = 2 OR f.state < 2 AND f.keep_dead > 0))
SELECT state FROM found]]

function plans.cancel(request)
  return { { CANCEL, request.id, n = 1 } }, function(results)
    return results[1][1] and results[1][1][1]
  end
end

function plans.pause(request)
  return {
    { "SELECT paused FROM @queue WHERE name = $1 FOR UPDATE", request.queue, n = 1 },
    { [[INSERT INTO @queue (name, paused) VALUES ($1, $2::boolean)
      ON CONFLICT (name) DO UPDATE SET paused = excluded.paused]], request.queue,
      request.paused and true or false, n = 2 },
  }, function(results) return results[1][1] ~= nil and results[1][1][1] end
end

local MOST_PRUNED <const> = 1000

local PRUNE <const> = [[DELETE FROM @task WHERE id = ANY (ARRAY(
  SELECT id FROM @task WHERE state >= 3 AND expires <= @NOW ORDER BY expires LIMIT $1::bigint
  FOR UPDATE SKIP LOCKED)) AND state >= 3]]

function plans.prune(request)
  return { { PRUNE, math.min(request.most, MOST_PRUNED), n = 1 } },
    function(results) return results[1].changes end
end

return plans
