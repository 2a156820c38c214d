-- What a database does for each statement of a worker among many tasks that have ended: it goes by
-- an index (D20). The statements are those that the engine has run.

local has_sqlite, native = pcall(require, "uvjobs.store.sqlite")
local has_postgres = pcall(require, "uvjobs.store.postgres")

local durable = require "spec.durable.helper"
local stores = require "spec.durable.stores"

local DONE <const> = 20000 -- tasks

-- Performs one operation; returns its value.
local function perform(engine, request)
  local answer = engine:perform({ request })[1]
  assert.is_table(answer, answer)
  assert.is_nil(answer.code, answer.message)
  return answer.value
end

-- All that a worker does, and what others ask for beside it.
local function use(engine)
  local plain, later = durable.raw { keep_done = 0 }, durable.raw { delay = 1 }
  local keyed = durable.raw { key = "k", on_key = "debounce" }
  for _ = 1, 3 do perform(engine, { op = "enqueue", tasks = { plain, later, keyed } }) end
  perform(engine, { op = "enqueue", tasks = { plain } })
  local process = perform(engine, { op = "join", lease = 60000000 })
  local claim = { op = "claim", process = process, lease = 60000000, kinds = { "kind" } }
  for _, want in ipairs {
    { queue = "default", n = 1 }, { queue = "default", n = 1, key_limit = 1, keys = {} },
    { queue = "default", n = 1, aging = 1000000 },
  } do
    for suspects = 0, 1 do
      claim.wants, claim.suspects = { want }, suspects
      for _, task in ipairs(perform(engine, claim).tasks) do
        perform(engine, { op = "save", process = process, id = task.id, lease = task.lease,
          saved = "1" })
        perform(engine, suspects == 0 and
          { op = "finish", process = process, done = { task.id, task.lease } } or
          { op = "settle", process = process, list = {
            { id = task.id, lease = task.lease, outcome = "retry", delay = 1, error = "{}" },
          } })
      end
    end
  end
  perform(engine, { op = "beat", process = process, lease = 60000000 })
  local id = perform(engine, { op = "enqueue", tasks = { plain } })[1][1]
  perform(engine, { op = "get", id = id })
  perform(engine, { op = "cancel", id = id })
  perform(engine, { op = "retry", id = id })
  perform(engine, { op = "prune", most = 1000 })
  perform(engine, { op = "leave", process = process })
end

-- ---- SQLite ------------------------------------------------------------------------

local FILL <const> = [[WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
  INSERT INTO uvjobs_task (state, queue, kind, priority, due, attempts, most_crashes, keep_done,
    keep_dead, enqueued, expires, args)
  SELECT 3, 'default', 'kind', 5, i, 1, 3, 1, 1, i, 4000000000000000, '1' FROM n]]

-- The steps of the plan of a statement that read all tasks. One that goes through an index which
-- has only live tasks reads none that has ended.
local function whole_of_file(db, text)
  local found = {}
  for _, row in ipairs(db:prepare("EXPLAIN QUERY PLAN " .. text):rows()) do
    local step = row[4]
    local index = step:match "^SCAN uvjobs_task(.*)$"
    if index and not index:find "uvjobs_r[eu]" then found[#found + 1] = step end
  end
  return found
end

local function try_file()
  local path = stores.new_path()
  local engine = require "uvjobs.durable.sqlite".open(path, { durability = "normal" }, {
    date = function() return 10 ^ 15 // 1 | 0 end, now = native.monotonic,
  })
  engine.db:exec(FILL:format(DONE))
  use(engine)
  local count = 0
  for text in pairs(engine.statements) do
    if text:find "uvjobs_task" then
      count = count + 1
      assert.same({}, whole_of_file(engine.db, text), text)
    end
  end
  engine:close()
  stores.remove(path)
  return count
end

-- ---- PostgreSQL --------------------------------------------------------------------

local FILL_SCHEMA <const> = [[INSERT INTO %s.task (state, queue, kind, priority, due, attempts,
    most_crashes, keep_done, keep_dead, enqueued, expires, args)
  SELECT 3, 'default', 'kind', 5, i, 1, 3, 1, 1, i, 4000000000000000, '1'
  FROM generate_series(1, %d) i]]

-- A plan for any parameters.
local function whole_of_schema(server, query)
  local nulls = {}
  for i = 1, query.n do nulls[i] = "NULL" end
  local plan = server.run("SET plan_cache_mode = force_generic_plan",
    "PREPARE p AS " .. query.text,
    "EXPLAIN EXECUTE p" .. (query.n > 0 and "(" .. table.concat(nulls, ",") .. ")" or ""))
  local found = {}
  for _, row in ipairs(plan) do
    if row[1]:find "Seq Scan on task " then found[#found + 1] = row[1] end
  end
  return found
end

local function try_schema()
  local server = require "spec.durable.postgres.server"
  local place, queries = server.new_place(), {}
  local engine = require "uvjobs.durable.postgres".open(place.where, place.options, nil,
    function() return false end)
  server.run(FILL_SCHEMA:format(place.schema, DONE), ("ANALYZE %s.task"):format(place.schema))
  local link = engine.link
  local round = link.round
  function link.round(self, list)
    for _, query in ipairs(list) do
      if query[1]:find('".task', 1, true) then queries[query[1]] = query.n or 0 end
    end
    return round(self, list)
  end
  use(engine)
  local count = 0
  for text, n in pairs(queries) do
    count = count + 1
    assert.same({}, whole_of_schema(server, { text = text, n = n }), text)
  end
  engine:close()
  place.remove()
  return count
end

describe("among many tasks that have ended", function()
  if has_sqlite then
    it("each statement of a worker goes by an index of SQLite #D20", function()
      assert.is_true(try_file() >= 15)
    end)
  end

  if has_postgres and os.getenv "UVJOBS_POSTGRES" then
    it("each statement of a worker goes by an index of PostgreSQL #D20", function()
      assert.is_true(try_schema() >= 10)
    end)
  end
end)
