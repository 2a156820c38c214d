-- Tasks as the server returns them, and what all operations that end a run share.

local rows = {}

local FIELDS <const> = {
  "id", "state", "queue", "kind", "priority", "due", "lease", "process", "attempt", "attempts",
  "crashes", "most_crashes", "cancelling", "key", "keep_done", "keep_dead", "enqueued", "started",
  "ended", "reason", "args", "saved", "errors", "meta",
}

--- The columns of a task, of the table `t`.
rows.columns = "t." .. table.concat(FIELDS, ", t.")

--- A row of these columns as a task.
function rows.task(values)
  local task = {}
  for i, name in ipairs(FIELDS) do task[name] = values[i] end
  return task
end

--- All rows of a result as tasks.
function rows.tasks(result)
  local tasks = {}
  for i = 1, result.n do tasks[i] = rows.task(result[i]) end
  return tasks
end

--- What a worker needs of a task that it has claimed: the rest is not carried.
rows.of_claim = "t.id, t.queue, t.kind, t.priority, t.due, t.process, t.lease, t.attempt, " ..
  "t.attempts, t.crashes, t.key, t.enqueued, t.args, t.saved, t.errors, t.meta"

--- All rows of a result of these columns as tasks.
function rows.claimed(result)
  local tasks = {}
  for i = 1, result.n do
    local row = result[i]
    tasks[i] = {
      id = row[1], queue = row[2], kind = row[3], priority = row[4], due = row[5],
      process = row[6], lease = row[7], attempt = row[8], attempts = row[9], crashes = row[10],
      key = row[11], enqueued = row[12], args = row[13], saved = row[14], errors = row[15],
      meta = row[16],
    }
  end
  return tasks
end

--- The order in which tasks are claimed.
function rows.before(a, b)
  if a.priority ~= b.priority then return a.priority < b.priority end
  if a.due ~= b.due then return a.due < b.due end
  return a.id < b.id
end

-- The errors of a task with one more line, of which the latest ten stay.
local ERRORS <const> = [[CASE
  WHEN h.error IS NULL THEN t.errors
  WHEN coalesce(t.errors, '') = '' THEN h.error
  WHEN length(t.errors) - length(replace(t.errors, E'\n', '')) >= 9
    THEN regexp_replace(t.errors, E'^[^\n]*\n', '') || E'\n' || h.error
  ELSE t.errors || E'\n' || h.error END]]

--- The rest of a query that begins with a CTE `held`, the running tasks that change, which it has
--- locked: `id`, the new `state`, `due` (null for now and the delay), `delay`, `attempt` and
--- `crashes` (what is added to them), `reason`, `error`, `keep_done`, `keep_dead`. Tasks that are
--- not kept are deleted.
rows.change_held = [[,
deleted AS (
  DELETE FROM @task t USING held h WHERE t.id = h.id
    AND (h.state = 3 AND h.keep_done <= 0 OR h.state > 3 AND h.keep_dead <= 0)),
changed AS (
  UPDATE @task t SET state = h.state, process = NULL, cancelling = false,
    due = coalesce(h.due, @NOW + greatest(h.delay, 0)), attempt = t.attempt + h.attempt,
    crashes = t.crashes + h.crashes, ended = CASE WHEN h.state >= 3 THEN @NOW END,
    expires = CASE WHEN h.state = 3 THEN @NOW + t.keep_done
      WHEN h.state > 3 THEN @NOW + t.keep_dead END,
    reason = CASE WHEN h.state = 4 THEN h.reason END, errors = ]] .. ERRORS .. [[
  FROM held h WHERE t.id = h.id
    AND NOT (h.state = 3 AND h.keep_done <= 0 OR h.state > 3 AND h.keep_dead <= 0))
]]

return rows
