-- The store in PostgreSQL behind a network that is cut, on a server that only reads, without
-- notifications, and while somebody else holds its table. script/postgres gives the server.
if not os.getenv "UVJOBS_POSTGRES" or not os.getenv "UVJOBS_POSTGRES_CONTROL" or
  not package.searchpath("uvjobs.store.postgres", package.cpath) then return end

require "uvjobs.store.postgres"

local base = require "spec.helper"
local durable = require "spec.durable.helper"
local proxy = require "spec.durable.postgres.proxy"
local server = require "spec.durable.postgres.server"
local uvjobs = require "uvjobs"

local open = require "uvjobs.durable".open

local kind = { name = "postgres", virtual = false, new = server.new_place }

-- Calls fn() until the store can be reached.
local function insist(fn, ...)
  while true do
    local ok, a, b = pcall(fn, ...)
    if ok then return a, b end
    assert(uvjobs.code(a) == "unavailable", a)
    uvjobs.sleep(0.02)
  end
end

describe("the store in PostgreSQL behind a network that is cut", function()
  local way

  setup(function() way = proxy.start() end)
  teardown(function() way.stop() end)
  after_each(base.check_clean)

  -- A store that goes by the network, beside one that does not.
  local function with_both(fn)
    return durable.with_store(kind, function(store, _, place)
      local behind <close> = open(way.where, place.options)
      local _ <close> = base.closing(way.mend) -- also when the spec fails
      fn(behind, store)
    end)
  end

  it("runs a task elsewhere when the one that ran it has ended it #D7 #D9 #D24", with_both(
    function(behind, store)
      local events, begun = {}, uvjobs.event()
      behind:define("long", { keep_done = 3600, most_crashes = 100 }, function()
        local _ <close> = base.closing(function() events[#events + 1] = "ended" end)
        begun:set()
        uvjobs.sleep(3600)
      end)
      local id = behind:enqueue "long"
      local _ <close> = durable.work(behind, { lease = 3, close_timeout = 0.1 })
      begun:wait()
      way.cut()
      store:define("long", { keep_done = 3600, most_crashes = 100 }, function()
        events[#events + 1] = "again"
      end)
      local _ <close> = durable.work(store, { lease = 60 })
      assert.equal("done", store:wait(id))
      assert.same({ "ended", "again" }, events)
      way.mend()
      behind:define("long", { keep_done = 3600 }, function() events[#events + 1] = "more" end)
      assert.equal("done", store:wait((insist(behind.enqueue, behind, "long"))))
      assert.equal(3, #events)
    end))

  it("is closed in time #D12", with_both(function(behind)
    local begun = uvjobs.event()
    behind:define("long", function()
      begun:set()
      uvjobs.sleep(3600)
    end)
    behind:enqueue "long"
    local work = durable.work(behind, { wait_timeout = 0.1, close_timeout = 0.1 })
    begun:wait()
    way.cut()
    uvjobs.sleep(1.2) -- something has been asked by now
    local since = uvjobs.now()
    work:close()
    behind:close()
    -- That is 0.1 s, 0.1 s and 1 s, and what a slow machine needs besides. Whoever waits for the
    -- server takes 5 s and more.
    assert.is_true(uvjobs.now() - since < 4.5, "it took longer")
  end))
end)

describe("the store in PostgreSQL", function()
  after_each(base.check_clean)

  it("says that a server which only reads is unavailable, and goes on when it writes #D1 #D24",
    durable.with_store(kind, function(store)
      local runs = 0
      store:define("count", { most_crashes = 1000 }, function() runs = runs + 1 end)
      local _ <close> = durable.work(store, { lease = 60 })
      insist(store.enqueue, store, "count", 1)
      do
        server.run "COPY (SELECT '') TO PROGRAM 'cat > standby.signal'"
        server.control "-m fast restart"
        local _ <close> = base.closing(function() server.control "promote" end)
        insist(store.stats, store) -- it reads
        local ok, err
        repeat
          ok, err = pcall(store.enqueue, store, "count", 2)
          assert.is_false(ok)
          assert.equal("unavailable", uvjobs.code(err))
        until tostring(err):find "read%-only"
        assert.is_nil(err.stored)
      end
      insist(store.enqueue, store, "count", 3)
      while insist(store.stats, store).queues.default do uvjobs.sleep(0.02) end
      assert.is_true(runs >= 2)
    end))

  it("finds tasks when every notification is lost #D14", durable.with_store(kind,
    function(store, _, place)
      local ran = uvjobs.event()
      store._hear = function() end
      store:define("any", function() ran:set() end)
      local _ <close> = durable.work(store)
      local other <close> = open(place.where, place.options)
      other:define("any", print)
      uvjobs.sleep(0.2)
      other:enqueue "any"
      ran:wait()
    end))

  it("waits for nobody who holds its table, and goes on behind him #D6 #D24",
    durable.with_store(kind, function(store, _, place)
      local runs = 0
      store:define("count", { most_crashes = 1000 }, function() runs = runs + 1 end)
      local holder = require "uvjobs.durable.postgres.link".open(server.where, {
        censor = function(message) return message end, timeout = 10,
      })
      holder:simple "BEGIN"
      holder:simple("LOCK TABLE " .. place.schema .. ".task IN ACCESS EXCLUSIVE MODE")
      local _, err = pcall(store.enqueue, store, "count", 1)
      assert.equal("unavailable", uvjobs.code(err))
      holder:simple "COMMIT"
      holder:close()
      local _ <close> = durable.work(store, { lease = 60 })
      for n = 1, 5 do insist(store.enqueue, store, "count", n) end
      while insist(store.stats, store).queues.default do uvjobs.sleep(0.02) end
      assert.equal(5, runs)
    end))
end)
