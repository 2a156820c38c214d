-- The processes of a store in PostgreSQL, by leases that the server's clock counts. Whoever takes
-- tasks holds a lock on the row of its process until its transaction is over, and whoever declares
-- it dead needs that lock: so nothing is taken by a process that is being buried.

local rows = require "uvjobs.durable.postgres.rows"
local tasks = require "uvjobs.durable.postgres.tasks"

local plans = {}
local processes = { plans = plans }

function plans.join(request)
  return { { [[INSERT INTO @process (expires, host, pid) VALUES (@NOW + $1::bigint, $2, $3::bigint)
    RETURNING number]], request.lease, request.host, request.pid, n = 3 } },
    function(results) return results[1][1][1] end
end

local BEAT <const> = [[UPDATE @process SET expires = @NOW + $2::bigint
  WHERE number = $1::bigint AND expires >= @NOW RETURNING number]]
local CANCELLING <const> = [[SELECT id FROM @task WHERE state = 2 AND process = $1::bigint
  AND cancelling ORDER BY id]]

function plans.beat(request)
  return {
    { BEAT, request.process, request.lease, n = 2 }, { CANCELLING, request.process, n = 1 },
  }, function(results)
    if results[1].n == 0 then return { alive = false, cancelling = {} } end
    local cancelling = {}
    for i, row in ipairs(results[2]) do cancelling[i] = row[1] end
    return { alive = true, cancelling = cancelling }
  end
end

local RELEASE <const> = [[
WITH held AS MATERIALIZED (
  SELECT id, queue, CASE WHEN cancelling THEN 5 ELSE 1 END AS state, due, 0::bigint AS delay,
    -1 AS attempt, 0 AS crashes, NULL::text AS reason, NULL::text AS error, keep_done, keep_dead
  FROM @task WHERE state = 2 AND process = $1::bigint AND %s FOR UPDATE)]] .. rows.change_held ..
  "SELECT DISTINCT queue FROM held"

--- The query that gives back what a process runs, but for these ids.
function processes.release_others(process, ids)
  return { RELEASE:format "NOT (id = ANY ($2::bigint[]))", process, ids, n = 2 }
end

function plans.leave(request)
  return {
    { RELEASE:format "true", request.process, n = 1 },
    { "DELETE FROM @process WHERE number = $1::bigint", request.process, n = 1 },
  }, function(results, self)
    for _, row in ipairs(results[1]) do self:tell(row[1]) end
    return nil
  end
end

-- ---- the death of a process --------------------------------------------------------

local ANY_DEAD <const> = "SELECT count(*) FROM @process WHERE expires < @NOW"
-- One that is about to take tasks, or is being buried by another, is left for the next time.
local LOCK_DEAD <const> = [[SELECT number FROM @process WHERE expires < @NOW ORDER BY number
  LIMIT 100 FOR UPDATE SKIP LOCKED]]

local CRASHED <const> = [[
WITH held AS MATERIALIZED (
  SELECT id, queue, CASE WHEN cancelling THEN 5 WHEN crashes + 1 >= most_crashes THEN 4
      ELSE 1 END AS state,
    due, 0::bigint AS delay, 0 AS attempt, 1 AS crashes, 'crashed' AS reason, keep_done, keep_dead,
    format('{"at":%s,"attempt":%s,"crashed":true,"message":"its process died"}',
      round(@NOW / 1000000.0, 6), attempt) AS error
  FROM @task t WHERE state = 2 AND WHOSE FOR UPDATE)]] .. rows.change_held ..
  "SELECT DISTINCT queue FROM held"
local CRASH <const> = (CRASHED:gsub("WHOSE", "process = ANY ($1::bigint[])"))
-- Those of a process of which nothing is known: somebody else has written into the table.
local CRASH_UNKNOWN <const> = (CRASHED:gsub("WHOSE",
  "NOT EXISTS (SELECT FROM @process p WHERE p.number = t.process)"))

--- Deletes old tasks, and looks for tasks that run nowhere.
function plans.prune(request)
  local queries, count_of = tasks.prune(request)
  queries[#queries + 1] = { CRASH_UNKNOWN, n = 0 }
  return queries, function(results, self)
    for _, row in ipairs(results[#results]) do self:tell(row[1], true) end
    return count_of(results)
  end
end

-- The tasks are looked for by a query of its own, behind the one that locks: it sees what the dead
-- process did until then.
local function bury(self)
  local locked, numbers = self:ask(LOCK_DEAD), {}
  for i, row in ipairs(locked) do numbers[i] = row[1] end
  numbers.n = #numbers
  if numbers.n == 0 then return end
  local queues = self:ask(CRASH, numbers)
  self:ask("DELETE FROM @process WHERE number = ANY ($1::bigint[])", numbers)
  for _, row in ipairs(queues) do self:tell(row[1], true) end
end

--- Gives back the tasks of processes that are dead.
function processes.bury(self)
  if self:ask(ANY_DEAD)[1][1] > 0 then self:in_transaction(bury) end
end

return processes
