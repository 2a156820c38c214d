-- The store in PostgreSQL behind PgBouncer, which gives each transaction another session. Without
-- the program there is nothing to see.
if not os.getenv "UVJOBS_POSTGRES" or
  not package.searchpath("uvjobs.store.postgres", package.cpath) then return end

require "uvjobs.store.postgres"

local base = require "spec.helper"
local durable = require "spec.durable.helper"
local pooler = require "spec.durable.postgres.pooler"
local server = require "spec.durable.postgres.server"
local uvjobs = require "uvjobs"

if not pooler.is_there() then return end

describe("the store in PostgreSQL behind a pooler", function()
  local pool

  setup(function() pool = pooler.start() end)
  teardown(function() pool.stop() end)
  after_each(base.check_clean)

  local kind = { name = "postgres", virtual = false, new = function()
    local place = server.new_place()
    place.where = pool.where
    return place
  end }

  it("runs tasks, with transactions and keys, and says that it only looks #D14 #D24",
    durable.with_store(kind, function(store)
      local reports, runs = {}, 0
      store:define("count", function() runs = runs + 1 end)
      local _ <close> = durable.work(store, {}, reports)
      for i = 1, 20 do store:enqueue("count", i, { key = "k" .. i }) end
      store:transaction(function(tx)
        tx:enqueue("count", 21)
        assert.equal("x", tx:execute("SELECT $1::text", "x")[1][1])
      end)
      while store:stats().queues.default or not reports[1] do uvjobs.sleep(0.01) end
      assert.equal(21, runs)
      assert.equal("The store warns", reports[1].message)
      assert.matches("option 'listen'", tostring(reports[1].exception))
      assert.equal(1, #reports)
    end))

  it("runs tasks by one session of the server #D24", function()
    local narrow = pooler.start(1)
    local place = server.new_place()
    place.where = narrow.where
    durable.with_store({ new = function() return place end }, function(store)
      local runs = 0
      store:define("count", function() runs = runs + 1 end)
      local _ <close> = durable.work(store, { queues = { default = 4 } })
      for i = 1, 20 do store:enqueue("count", i, i % 2 == 0 and { key = "k" .. i } or nil) end
      while store:stats().queues.default do uvjobs.sleep(0.01) end
      assert.equal(20, runs)
    end)()
    narrow.stop()
  end)

  it("hears of tasks by the way that 'listen' names #D14", function()
    local place = kind.new()
    place.options.listen = server.where
    durable.with_store({ new = function() return place end }, function(store)
      local heard, hear = nil, store._hear
      store._hear = function(self, hint)
        hear(self, hint)
        heard = hint
      end
      local other <close> = require "uvjobs.durable".open(server.where, { schema = place.schema })
      other:define("any", print)
      other:enqueue "any"
      while not heard do uvjobs.sleep(0.01) end
      assert.same({ "default" }, heard)
    end)()
  end)
end)
