-- The operations of the store in PostgreSQL that look at a result before they go on. They run in a
-- transaction, and with all that one of them has done it is gone when it fails.

local claims = require "uvjobs.durable.postgres.claims"
local rules = require "uvjobs.durable.rules"
local tasks = require "uvjobs.durable.postgres.tasks"

local steps = { claim = claims.step }

-- ---- tasks with a key --------------------------------------------------------------

local PUT <const> = [[
INSERT INTO @task AS t (state, queue, kind, priority, due, attempts, most_crashes, keep_done,
  keep_dead, enqueued, args, key, meta)
SELECT CASE WHEN n.due > @NOW THEN 0 ELSE 1 END, $1, $2, $3::smallint, n.due, $6::bigint,
  $7::bigint, $8::bigint, $9::bigint, @NOW, $10, $11, $12
FROM (SELECT coalesce($5::bigint, @NOW + coalesce($4::bigint, 0)) AS due) n
ON CONFLICT (kind, key) WHERE key IS NOT NULL AND state <= 2 DO ]]

local RETURNING <const> = " RETURNING t.id, t.xmax = 0"

-- What becomes of the live task of the same kind and key, unless it runs.
local ON_KEY <const> = {
  keep = PUT .. "NOTHING" .. RETURNING,
  replace = PUT .. [[UPDATE SET args = excluded.args, priority = excluded.priority
    WHERE t.state < 2]] .. RETURNING,
  debounce = PUT .. [[UPDATE SET args = excluded.args, priority = excluded.priority,
    state = excluded.state, due = excluded.due WHERE t.state < 2]] .. RETURNING,
}

local HOLDER <const> = [[SELECT id FROM @task WHERE kind = $1 AND key = $2 AND key IS NOT NULL
  AND state <= 2]]

local MOST_TRIES <const> = 100

-- The task of the key can end between the two queries: then it is tried again.
local function put(self, task)
  local query = {
    ON_KEY[task.on_key or "keep"], task.queue, task.kind, task.priority, task.delay, task.date,
    task.attempts, task.most_crashes, task.keep_done, task.keep_dead, task.args, task.key,
    task.meta, n = 12,
  }
  for _ = 1, MOST_TRIES do
    local results = self:round { query, { HOLDER, task.kind, task.key, n = 2 } }
    local row = results[1][1]
    if row then return { row[1], row[2] } end
    if results[2][1] then return { results[2][1][1], false } end
  end
  error({ code = "unavailable", message = "the task of a key changes all the time" }, 0)
end

function steps.enqueue(self, request)
  local plain, places, answers = {}, {}, {}
  for i, task in ipairs(request.tasks) do
    if task.key then
      answers[i] = put(self, task)
    else
      plain[#plain + 1], places[#places + 1] = task, i
    end
  end
  if #plain == 0 then return answers end
  for i, row in ipairs(self:round({ tasks.insertion(plain) })[1]) do
    answers[places[i]] = { row[1], true }
  end
  return answers
end

function steps.fire(self, request)
  local moved = self:ask([[UPDATE @schedule SET last = $1::bigint, next = $2::bigint
    WHERE name = $3 AND next = $4::bigint]], request.last, request.next, request.name,
    request.expected)
  if moved.changes == 0 then return false end
  return steps.enqueue(self, request)
end

-- ---- trying again ------------------------------------------------------------------

local AGAIN <const> = [[UPDATE @task SET state = 1, due = @NOW, attempt = 0, crashes = 0,
  ended = NULL, expires = NULL, reason = NULL, cancelling = false WHERE id = $1::bigint]]

function steps.retry(self, request)
  local row = self:ask([[SELECT state, queue, kind, key FROM @task WHERE id = $1::bigint
    FOR UPDATE]], request.id)[1]
  if not row then return nil end
  local state, queue, kind, key = row[1], row[2], row[3], row[4]
  if state == rules.RUNNING or state == rules.READY then return state end
  if not rules.is_live(state) and key and self:ask(HOLDER, kind, key)[1] then return false end
  self:ask(AGAIN, request.id)
  self:tell(queue)
  return state
end

return steps
