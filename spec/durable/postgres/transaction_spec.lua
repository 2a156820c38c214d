-- What only PostgreSQL has: SQL of the user.
if not os.getenv "UVJOBS_POSTGRES" or
  not package.searchpath("uvjobs.store.postgres", package.cpath) then return end

require "uvjobs.store.postgres"

local base = require "spec.helper"
local durable = require "spec.durable.helper"
local server = require "spec.durable.postgres.server"
local uvjobs = require "uvjobs"

local kind = { name = "postgres", virtual = false, new = server.new_place }

describe("a transaction of PostgreSQL", function()
  after_each(base.check_clean)

  it("has rows and tasks together, or neither #D2", durable.with_store(kind,
    function(store, _, place)
      store:define("order", print)
      local orders = place.schema .. ".orders"
      store:transaction(function(tx)
        tx:execute("CREATE TABLE " .. orders .. " (id bigint, name text, total float8, paid bool)")
        local result = tx:execute("INSERT INTO " .. orders .. " VALUES ($1, $2, $3, $4)", 7, "x",
          1.5, true)
        assert.equal(1, result.changes)
        tx:enqueue("order", 7)
      end)
      pcall(store.transaction, store, function(tx)
        tx:execute("INSERT INTO " .. orders .. " VALUES (8, NULL, NULL, NULL)")
        tx:enqueue("order", 8)
        error "no"
      end)
      store:transaction(function(tx)
        local rows = tx:execute("SELECT * FROM " .. orders)
        assert.same({
          { 7, "x", 1.5, true }, names = { "id", "name", "total", "paid" }, changes = 1,
        }, rows)
      end)
      assert.equal(1, store:stats().queues.default.ready)
    end))

  it("goes on after a statement that fails, which is the caller's mistake", durable.with_store(kind,
    function(store)
      store:define("order", print)
      store:transaction(function(tx)
        tx:enqueue("order", 1)
        assert.matches("nowhere", base.message(tx.execute, tx, "SELECT * FROM nowhere"))
        assert.matches("division by zero", base.message(tx.execute, tx, "SELECT 1 / 0"))
        assert.matches("byte 0", base.message(tx.execute, tx, "SELECT $1", "a\0b"))
        for _, statement in ipairs { "COMMIT", " rollback", "COPY x FROM STDIN", "end" } do
          assert.matches("cannot be used here", base.message(tx.execute, tx, statement))
        end
        assert.matches("multiple commands", base.message(tx.execute, tx, "SELECT 1; SELECT 2"))
        tx:enqueue("order", 2)
      end)
      assert.equal(2, store:stats().queues.default.ready)
    end))

  it("lets others go on, but for what could wait for it #D24", durable.with_store(kind,
    function(store)
      store:define("order", print)
      local scheduler <close> = base.quiet()
      local inside, stay = uvjobs.event(), uvjobs.event()
      local first = scheduler:spawn(store.transaction, store, function(tx)
        tx:enqueue("order", 1, { key = "7" })
        inside:set()
        stay:wait()
      end)
      inside:wait()
      assert.is_true(select(2, store:enqueue("order", 2)))
      local second = scheduler:spawn(store.enqueue, store, "order", 3, { key = "7" })
      local third = scheduler:spawn(store.transaction, store, function(tx)
        return (tx:enqueue("order", 4, { key = "8" }))
      end)
      assert.equal(1, store:stats().queues.default.ready)
      stay:set()
      first:wait()
      local id, is_new = second:wait()
      assert.same({ 1, false }, { id, is_new })
      assert.is_number(third:wait())
      assert.equal(3, store:stats().queues.default.ready)
    end))

  it("keeps no settings for the next one", durable.with_store(kind, function(store)
    local function zone(tx) return tx:execute("SHOW timezone")[1][1] end
    local before = store:transaction(zone)
    store:transaction(function(tx) tx:execute "SET timezone = 'Asia/Tokyo'" end)
    assert.equal(before, store:transaction(zone))
  end))

  it("can be one of another driver, by SQL that stores a task", durable.with_store(kind,
    function(store)
      store:define("order", { attempts = 4 }, print)
      local sql, parameters = store:sql_for("order", { id = 7 }, { key = "k", delay = 60 })
      store:transaction(function(tx)
        for _ = 1, 2 do tx:execute(sql, table.unpack(parameters, 1, parameters.n)) end
      end)
      local task = store:get(1)
      assert.same({ "scheduled", { id = 7 }, "k", 4 },
        { task.state, task.args, task.key, task.attempts })
      assert.is_true(task.due - task.enqueued >= 59)
      assert.equal(1, store:stats().queues.default.scheduled)
    end))
end)
