-- The store in PostgreSQL while its server is restarted, ends connections at random, or does not
-- answer. script/postgres gives the server.
if not os.getenv "UVJOBS_POSTGRES" or not os.getenv "UVJOBS_POSTGRES_CONTROL" or
  not package.searchpath("uvjobs.store.postgres", package.cpath) then return end

require "uvjobs.store.postgres"

local base = require "spec.helper"
local durable = require "spec.durable.helper"
local server = require "spec.durable.postgres.server"
local uvjobs = require "uvjobs"

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

-- Stores tasks and runs them, while `disturb(n)` is called before the n-th; returns how often each
-- has run.
local function run_disturbed(store, count, disturb)
  local runs = {}
  store:define("count", { backoff = 0, attempts = 1000, most_crashes = 1000 }, function(_, n)
    runs[n] = (runs[n] or 0) + 1
  end)
  local _ <close> = durable.work(store, { queues = { default = 8 }, lease = 2 })
  for n = 1, count do
    disturb(n)
    insist(store.enqueue, store, "count", n, { key = tostring(n) })
  end
  while insist(store.stats, store).queues.default do uvjobs.sleep(0.02) end
  return runs
end

local function check_runs(runs, count)
  for n = 1, count do assert.is_true((runs[n] or 0) >= 1, n) end
end

describe("the store in PostgreSQL", function()
  after_each(base.check_clean)

  it("loses no task when connections are ended at random #D6 #D24", durable.with_store(kind,
    function(store)
      local runs = run_disturbed(store, 200, function(n)
        if n % 20 == 0 then server.end_connections(n % 40 == 0 and 1 or 100) end
      end)
      check_runs(runs, 200)
    end))

  for _, how in ipairs { "fast", "immediate" } do
    it("loses no task when the server is restarted (" .. how .. ") #D1 #D24",
      durable.with_store(kind, function(store)
        local runs = run_disturbed(store, 60, function(n)
          if n == 30 then server.control("-m " .. how .. " restart") end
        end)
        check_runs(runs, 60)
      end))
  end

  it("ends a worker in time when the server does not answer #D12", durable.with_store(kind,
    function(store)
      local begun = uvjobs.event()
      store:define("long", function()
        begun:set()
        uvjobs.sleep(3600)
      end)
      store:enqueue "long"
      local work = durable.work(store, { wait_timeout = 0.1, close_timeout = 0.1 })
      begun:wait()
      local frozen <close> = server.freeze()
      assert.is_true(frozen.count > 0)
      uvjobs.sleep(1.2) -- something has been asked by now
      local since = uvjobs.now()
      work:close()
      -- That is 0.1 s, 0.1 s and 1 s, and what a slow machine needs besides. Whoever waits for the
      -- server takes 5 s and more.
      assert.is_true(uvjobs.now() - since < 4, "it took longer")
      since = uvjobs.now()
      store:close()
      assert.is_true(uvjobs.now() - since < 4, "the store took longer")
    end))

  it("gives up a server that does not answer, and comes back to it #D3 #D24",
    durable.with_store(kind, function(store)
      store:define("any", print)
      do
        local _ <close> = server.freeze()
        local _, err = pcall(uvjobs.timeout, 0.2, store.enqueue, store, "any")
        assert.equal("unknown", err.stored)
        base.raises("unavailable", store.stats, store)
      end
      insist(store.enqueue, store, "any")
      assert.is_true(store:stats().queues.default.ready >= 1)
    end))

  it("ends its jobs before the lease is over when the server does not answer #D9",
    durable.with_store(kind, function(store)
      local begun, ended = uvjobs.event(), uvjobs.event()
      local at
      store:define("long", { most_crashes = 100 }, function()
        local _ <close> = base.closing(function()
          at = uvjobs.now()
          ended:set()
        end)
        begun:set()
        uvjobs.sleep(3600)
      end)
      store:enqueue "long"
      local work <close> = durable.work(store, { lease = 2, wait_timeout = 0, close_timeout = 0.1 })
      begun:wait()
      local since = work._renewed
      do
        local _ <close> = server.freeze()
        ended:wait()
        since = math.max(since, work._renewed)
        assert.is_true(at - since < 20, "it lived longer than its lease")
      end
      assert.is_true(at >= since)
    end))
end)
