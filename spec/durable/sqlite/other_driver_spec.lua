-- store:sql_for with another driver of SQLite, LuaSQL, which has no parameters: a program writes
-- them into the text. Without the driver there is nothing to see.

if not pcall(require, "uvjobs.store.sqlite") then return end
local found, luasql = pcall(require, "luasql.sqlite3")
if not found then return end

local base = require "spec.helper"
local durable = require "spec.durable.helper"
local stores = require "spec.durable.stores"
local uvjobs = require "uvjobs"

-- The text with its parameters as literals.
local function literal(connection, sql, parameters)
  local i = 0
  return (sql:gsub("%?", function()
    i = i + 1
    local value = parameters[i]
    if type(value) == "string" then return "'" .. connection:escape(value) .. "'" end
    return value == nil and "NULL" or tostring(value)
  end))
end

-- fn(store, connection): the driver has a connection of its own.
local function with_driver(fn)
  return function()
    local path = stores.new_path()
    uvjobs.run(function()
      local store <close> = require "uvjobs.durable".open("sqlite:" .. path)
      store:define("order", { keep_done = 3600 }, function() end)
      local environment = luasql.sqlite3()
      local connection = environment:connect(path)
      connection:execute("PRAGMA busy_timeout = 600000"):close() -- the store may write just now
      fn(store, connection)
      connection:close()
      environment:close()
    end)
    stores.remove(path)
  end
end

describe("sql_for of a store in a file", function()
  after_each(base.check_clean)

  it("stores a task with the rows of another driver's transaction, or not at all #D2", with_driver(
    function(store, connection)
      local got, args = {}, { id = 7, text = "it's a ? and ü", price = 1.0, n = 3 }
      store:define("order", { keep_done = 3600 }, function(_, what) got[#got + 1] = what end)
      local statement = literal(connection, store:sql_for("order", args, { key = "it's" }))
      assert(connection:execute "CREATE TABLE orders (id INTEGER)")
      for _, ending in ipairs { "ROLLBACK", "COMMIT" } do
        assert(connection:execute "BEGIN IMMEDIATE")
        assert(connection:execute "INSERT INTO orders VALUES (7)")
        assert(connection:execute(statement))
        assert(connection:execute(ending))
      end
      local _ <close> = durable.work(store)
      while #got == 0 do uvjobs.sleep(0.01) end
      assert.same({ args }, got)
      assert.equal("float", math.type(got[1].price))
      assert.equal("integer", math.type(got[1].n))
    end))

  it("stores no second live task of a key, and none before its time #D5 #D14", with_driver(
    function(store, connection)
      local statement = literal(connection, store:sql_for("order", 1, { key = "k", delay = 3600 }))
      for _ = 1, 2 do assert(connection:execute(statement)) end
      local counts = store:stats().queues.default
      assert.same({ 1, 0 }, { counts.scheduled, counts.ready })
    end))
end)
