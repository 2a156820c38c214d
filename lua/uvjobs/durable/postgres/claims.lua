-- How tasks are taken in PostgreSQL. SKIP LOCKED lets processes take different tasks at the same
-- time; MATERIALIZED keeps the planner from looking for them twice.

local processes = require "uvjobs.durable.postgres.processes"
local rows = require "uvjobs.durable.postgres.rows"
local rules = require "uvjobs.durable.rules"
local plans = require "uvjobs.durable.postgres.tasks"

local claims = {}

local RENEW <const> = [[UPDATE @process SET expires = @NOW + $2::bigint
  WHERE number = $1::bigint AND expires >= @NOW AND expires < @NOW + $2::bigint * 2 / 3
  RETURNING number]]
local ALIVE <const> = [[SELECT number FROM @process WHERE number = $1::bigint AND expires >= @NOW
  FOR KEY SHARE]]

local WAKE <const> = [[UPDATE @task SET state = 1 WHERE id = ANY (ARRAY(
  SELECT id FROM @task WHERE state = 0 AND queue = $1 AND due <= @NOW ORDER BY due LIMIT 1000
  FOR UPDATE SKIP LOCKED)) AND state = 0]]
local NEXT <const> = "SELECT min(due) - @NOW FROM @task WHERE state = 0 AND queue = $1"

local MAY <const> = [[EXISTS (SELECT 1 FROM @process WHERE number = $2::bigint AND expires >= @NOW)
  AND NOT EXISTS (SELECT 1 FROM @queue WHERE name = $1 AND paused)]]

local TAKE <const> = [[UPDATE @task t SET state = 2, process = $2::bigint, lease = t.lease + 1,
  attempt = t.attempt + 1, started = @NOW, cancelling = false
  WHERE t.id = ANY (ARRAY(SELECT id FROM picked)) AND t.state = 1 AND ]] .. MAY ..
  " RETURNING " .. rows.of_claim

-- Those whose process has died are few, and at most one of them is taken by a transaction: rows
-- that it has written have its number.
local CLAIM <const> = [[
WITH suspect AS MATERIALIZED (
  SELECT id, priority, due FROM @task WHERE state = 1 AND crashes > 0 AND queue = $1
    AND kind = ANY ($3::text[]) ORDER BY priority, due, id
  LIMIT CASE WHEN EXISTS (SELECT 1 FROM @task WHERE state = 2 AND process = $2::bigint
    AND crashes > 0 AND xmin::text::bigint = txid_current() % 4294967296)
    THEN 0 ELSE $5::bigint END FOR UPDATE SKIP LOCKED),
sound AS MATERIALIZED (
  SELECT id, priority, due FROM @task WHERE state = 1 AND crashes = 0 AND queue = $1
    AND kind = ANY ($3::text[]) ORDER BY priority, due, id LIMIT $4::bigint
  FOR UPDATE SKIP LOCKED),
picked AS MATERIALIZED (
  SELECT id FROM (SELECT * FROM suspect UNION ALL SELECT * FROM sound) u
  ORDER BY priority, due, id LIMIT $4::bigint)
]] .. TAKE
-- Without any, the look for one is left out.
local CLAIM_SOUND <const> = [[
WITH picked AS MATERIALIZED (
  SELECT id FROM @task WHERE state = 1 AND crashes = 0 AND queue = $1
    AND kind = ANY ($3::text[]) ORDER BY priority, due, id LIMIT $4::bigint
  FOR UPDATE SKIP LOCKED)
]] .. TAKE

local function list_of(values)
  local list = { n = #values }
  for i = 1, #values do list[i] = values[i] end
  return list
end

local function claim_query(request, want)
  if request.suspects == 0 then
    return { CLAIM_SOUND, want.queue, request.process, list_of(request.kinds), want.n, n = 4 }
  end
  return {
    CLAIM, want.queue, request.process, list_of(request.kinds), want.n, request.suspects, n = 5,
  }
end

local function least(a, b)
  if a and b then return math.min(a, b) end
  return a or b
end

-- Adds tasks to an answer, in their order.
local function add(answer, result)
  local taken = rows.claimed(result)
  table.sort(taken, rows.before)
  table.move(taken, 1, #taken, #answer.tasks + 1, answer.tasks)
end

-- The answer of the first two queries.
local function answer_of(results)
  if results[2].n == 0 then return { alive = false, tasks = {} } end
  return { alive = true, renewed = results[1].n == 1, tasks = {} }
end

local function beginning(request)
  return {
    { RENEW, request.process, request.lease, n = 2 }, { ALIVE, request.process, n = 1 },
  }
end

-- ---- by the index ------------------------------------------------------------------

local PER_WANT <const> = 3

-- What is done is sent on the same way.
local function add_done(queries, request)
  if not request.done then return nil end
  local finish, lost_of = plans.finish(request)
  queries[#queries + 1] = finish[1]
  return #queries, lost_of
end

--- Whether the order of the index is that in which tasks are taken.
function claims.is_plain(request)
  for _, want in ipairs(request.wants) do
    if want.aging or want.key_limit then return false end
  end
  return true
end

--- The plan of such a claim.
function claims.plan(request)
  local queries = beginning(request)
  for _, want in ipairs(request.wants) do
    queries[#queries + 1] = { WAKE, want.queue, n = 1 }
    queries[#queries + 1] = claim_query(request, want)
    queries[#queries + 1] = { NEXT, want.queue, n = 1 }
  end
  local at_done, lost_of = add_done(queries, request)
  return queries, function(results)
    local answer = answer_of(results)
    if lost_of then answer.lost = lost_of { results[at_done] } end
    for i = 1, answer.alive and #request.wants or 0 do
      local at = 2 + (i - 1) * PER_WANT
      add(answer, results[at + 2])
      answer.delay = least(answer.delay, results[at + 3][1][1])
    end
    return answer
  end
end

-- ---- in another order --------------------------------------------------------------

-- The first of each level, so that those which have waited can be compared with the urgent. Those
-- whose process has died have an index of their own, so there are two lists.
local OF_LEVEL <const> = [[(SELECT id, priority, due, key, crashes FROM @task
  WHERE state = 1 AND %s AND queue = $1 AND priority = level AND kind = ANY ($2::text[])
  ORDER BY due, id LIMIT $3::bigint)]]
local CANDIDATES <const> = [[
SELECT c.id, c.priority, c.due, c.key, c.crashes, @NOW FROM generate_series(0, 9) AS level,
LATERAL (]] .. OF_LEVEL:format "crashes = 0" .. " UNION ALL " ..
  OF_LEVEL:format "crashes > 0" .. ") c"

local TAKE_THESE <const> = [[
WITH picked AS MATERIALIZED (
  SELECT id FROM @task WHERE id = ANY ($3::bigint[]) AND state = 1 FOR UPDATE SKIP LOCKED)
]] .. TAKE

local LOOK <const>, MOST <const> = 100, 100000 -- candidates of a level

-- The candidates in the order in which they are to be taken; and whether there may be more.
local function candidates(self, request, want, limit)
  local result = self:ask(CANDIDATES, want.queue, list_of(request.kinds), limit)
  local found, of_level, has_more = {}, {}, false
  for i, row in ipairs(result) do
    local priority, due = row[2], row[3]
    of_level[priority] = (of_level[priority] or 0) + 1
    has_more = has_more or of_level[priority] == limit
    found[i] = {
      id = row[1], priority = rules.level(priority, due, want.aging, row[6]), due = due,
      key = row[4], is_suspect = row[5] > 0,
    }
  end
  table.sort(found, rows.before)
  return found, has_more
end

-- Those of the candidates that the limits allow, as a list of ids, and their places.
local function choose(found, want, claim, n)
  local keys, ids, place, suspects = {}, {}, {}, claim.suspects
  for key, count in pairs(claim.keys) do keys[key] = count end
  for i, one in ipairs(found) do
    if #ids == n then break end
    local of_key = one.key and keys[one.key] or 0
    local is_too_many = one.key and want.key_limit and of_key >= want.key_limit
    if not is_too_many and not (one.is_suspect and suspects == 0) and not claim.tried[one.id] then
      if one.is_suspect then suspects = suspects - 1 end
      if one.key then keys[one.key] = of_key + 1 end
      ids[#ids + 1], place[one.id], claim.tried[one.id] = one.id, i, true
    end
  end
  return list_of(ids), place
end

local function note(claim, task)
  if task.crashes > 0 then claim.suspects = claim.suspects - 1 end
  if task.key then claim.keys[task.key] = (claim.keys[task.key] or 0) + 1 end
end

-- Takes what it can of a queue. Others may be faster: then it looks again.
local function claim_from(self, request, want, claim)
  local limit, taken = LOOK + want.n, {}
  claim.keys, claim.tried = {}, {}
  for key, count in pairs(want.keys or {}) do claim.keys[key] = count end
  while true do
    local found, has_more = candidates(self, request, want, limit)
    local ids, place = choose(found, want, claim, want.n - #taken)
    local tasks = rows.claimed(self:ask(TAKE_THESE, want.queue, request.process, ids))
    table.sort(tasks, function(a, b) return place[a.id] < place[b.id] end)
    for _, task in ipairs(tasks) do
      note(claim, task)
      taken[#taken + 1] = task
    end
    if #taken >= want.n or ids.n == 0 and (not has_more or limit >= MOST) then return taken end
    if ids.n == 0 then limit = limit * 10 end
    if ids.n > 0 and #tasks == 0 then return taken end
  end
end

--- A claim that is done step by step.
function claims.step(self, request)
  local queries = beginning(request)
  local at_done, lost_of = add_done(queries, request)
  local results = self:round(queries)
  local answer = answer_of(results)
  if lost_of then answer.lost = lost_of { results[at_done] } end
  local claim = { suspects = request.suspects }
  for _, want in ipairs(answer.alive and request.wants or {}) do
    self:ask(WAKE, want.queue)
    for _, task in ipairs(claim_from(self, request, want, claim)) do
      answer.tasks[#answer.tasks + 1] = task
    end
    answer.delay = least(answer.delay, self:ask(NEXT, want.queue)[1][1])
  end
  return answer
end

-- ---- when the answer was lost ------------------------------------------------------

--- Gives back what a process may have taken without being told.
function claims.recover(self, process)
  local ids = {}
  for id in pairs(self.running[process] or {}) do ids[#ids + 1] = id end
  for _, row in ipairs(self:round { processes.release_others(process, list_of(ids)) }[1]) do
    self:tell(row[1])
  end
end

return claims
