-- Rows that somebody has written into the tables by hand, which no store writes: what can be
-- garbage is, one value in one column after the other, and all other tasks go on.

pcall(require, "uvjobs.store.sqlite")
pcall(require, "uvjobs.store.postgres")
require "uvjobs.schedule"

local base = require "spec.helper"
local durable = require "spec.durable.helper"
local stores = require "spec.durable.stores"
local uvjobs = require "uvjobs"

-- What each column is set to. Where columns have types, only the numbers can be wrong.
local INTEGERS <const> = {
  "state", "priority", "due", "lease", "attempt", "attempts", "crashes", "most_crashes",
  "keep_done", "keep_dead", "enqueued", "started", "ended", "expires",
}
local TEXTS <const> = { "args", "saved", "errors", "meta", "reason", "key" }
local NOT_TYPED <const> = { "'text'", "X'00ff'", "''", "1.5", "1e300", "-1", "99" }
local TYPED <const> = { "-1", "99" }
local FULL <const> = "9223372036854775807" -- one more is none

local DIALECTS <const> = {
  sqlite = {
    integers = NOT_TYPED, texts = { "X'00ff'", "''", "'{'" }, is_open = true,
    task = "uvjobs_task", process = "uvjobs_process",
  },
  postgres = { integers = TYPED, texts = { "''", "'{'" }, task = "%s.task" },
}

-- Runs a statement in the transaction of the store itself.
local function run(store, text)
  store:transaction(function(tx) tx:execute(text) end)
end

local function table_of(dialect, name, place)
  return (dialect[name]:format(place.schema))
end

local function start(store, reports)
  store:define("kind", { keep_done = 3600, backoff = 0, attempts = 2 }, function(task)
    if task.attempt < 2 then error "again" end
  end)
  return durable.work(store, { wait_timeout = 0 }, reports)
end

-- All that a program sees of a store raises nothing.
local function look(store)
  for task in store:tasks() do
    assert.is_string(task.state)
    assert.same(task.state, store:get(task.id).state)
  end
  store:stats()
end

-- One task has garbage, others come before and after it.
local function try(store, task_table, column, value)
  local first = durable.put(store)
  local garbage = durable.put(store, { delay = column == "due" and 1000 or 0 })
  run(store, ("UPDATE %s SET %s = %s WHERE id = %d"):format(task_table, column, value, garbage))
  local _ <close> = start(store, {})
  assert.equal("done", store:wait(first))
  assert.equal("done", store:wait((store:enqueue "kind")))
  look(store)
  if column == "state" or column == "priority" then
    assert.same({ "dead", "corrupt" }, { store:wait(garbage), store:get(garbage).reason })
  end
end

local function each_garbage(dialect, fn)
  for _, column in ipairs(INTEGERS) do
    for _, value in ipairs(dialect.integers) do fn(column, value) end
    if column == "lease" or column == "attempt" then fn(column, FULL) end
  end
  for _, column in ipairs(TEXTS) do
    for _, value in ipairs(dialect.texts) do fn(column, value) end
  end
end

for _, kind in ipairs(stores) do
  local dialect = DIALECTS[kind.name]
  if dialect then
    describe("a row that no store writes, in " .. kind.name, function()
      after_each(base.check_clean)

      it("does not keep others from running, whatever is in which column #D6", durable.with_store(
        kind, function(store, _, place)
          each_garbage(dialect, function(column, value)
            local ok, err = pcall(try, store, table_of(dialect, "task", place), column, value)
            if not ok then error(("%s = %s: %s"):format(column, value, tostring(err)), 0) end
          end)
        end))

      it("is dead, 'corrupt', is told of, and can be retried", durable.with_store(kind,
        function(store, _, place)
          local reports = {}
          local id = durable.put(store)
          run(store, ("UPDATE %s SET priority = 77 WHERE id = %d"):format(
            table_of(dialect, "task", place), id))
          local _ <close> = start(store, reports)
          assert.equal("dead", store:wait(id))
          local task = store:get(id)
          assert.same({ "corrupt", "its row has values that no store writes" },
            { task.reason, task.errors[1].message })
          assert.same({ "A task is dead" }, { reports[1].message })
          run(store, ("UPDATE %s SET priority = 7 WHERE id = %d"):format(
            table_of(dialect, "task", place), id))
          store:retry(id)
          assert.equal("done", store:wait(id))
        end))

      it("is ready again when it runs in a process that there is not #D8", durable.with_store(
        kind, function(store, _, place)
          local id = durable.put(store)
          run(store, ("UPDATE %s SET state = 2, process = 77, attempt = 1 WHERE id = %d"):format(
            table_of(dialect, "task", place), id))
          store:prune()
          local task = store:get(id)
          assert.same({ "ready", 1, true }, { task.state, task.crashes, task.errors[1].crashed })
        end))

      if dialect.is_open then
        it("is no process, and no schedule", durable.with_store(kind, function(store, _, place)
          local every = require "uvjobs.schedule".every
          store:define("tick", { keep_done = 3600 }, function() end)
          store:schedule("tick", every(1), "tick")
          durable.join(store)
          run(store, ("UPDATE %s SET expires = 'never'"):format(
            table_of(dialect, "process", place)))
          run(store, "UPDATE uvjobs_schedule SET next = 'soon'")
          local _ <close> = start(store, {})
          assert.equal("done", store:wait((store:enqueue "kind")))
          store:schedule("tick", every(1), "tick")
          uvjobs.sleep(5)
          assert.is_true(store:stats().queues.default.done >= 4)
        end))
      end
    end)
  end
end
