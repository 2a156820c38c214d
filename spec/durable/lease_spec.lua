-- What a worker does when it cannot reach its store (D9, D12, D24). The store is one in a file,
-- under the virtual clock, whose port is cut.

if not pcall(require, "uvjobs.store.sqlite") then return end

local base = require "spec.helper"
local durable = require "spec.durable.helper"
local stores = require "spec.durable.stores"
local uvjobs = require "uvjobs"

local open = require "uvjobs.durable".open

-- fn(store, cut): `cut("raise")` makes every call raise `unavailable`, `cut("hang")` makes it wait
-- for ever, `cut("late")` lets beats fail and claims take 12 s, `cut(nil)` mends it.
local function with_cut_store(fn)
  return function()
    local path = stores.new_path()
    base.virtual(function()
      local core = require "uvjobs.core"
      local how
      local store <close> = open("sqlite:" .. path)
      local call = store._port.call
      function store._port.call(port, request)
        if how == "raise" then error(core.make_error("unavailable", "it is cut"), 0) end
        if how == "hang" then uvjobs.event():wait() end
        if how == "late" and request.op == "beat" then
          error(core.make_error("unavailable", "it is cut"), 0)
        end
        if how == "late" and request.op == "claim" then uvjobs.sleep(12) end
        return call(port, request)
      end
      fn(store, function(new) how = new end)
      how = nil
    end)
    stores.remove(path)
  end
end

describe("a worker that cannot reach its store", function()
  after_each(base.check_clean)

  for _, how in ipairs { "raise", "hang" } do
    it(("cancels its tasks at two thirds of the lease: %s #D9"):format(how), with_cut_store(
      function(store, cut)
        local ended, reports = {}, {}
        store:define("polite", function()
          local _ <close> = base.closing(function() ended.polite = uvjobs.now() end)
          uvjobs.sleep(3600)
        end)
        store:define("stubborn", function()
          local _ <close> = base.closing(function() ended.stubborn = uvjobs.now() end)
          base.stubborn()
        end)
        store:enqueue "polite"
        store:enqueue "stubborn"
        local _ <close> = durable.work(store, { lease = 15, close_timeout = 10 }, reports)
        uvjobs.sleep(1)
        local since = uvjobs.now() -- it has been renewed at 0 at the latest
        cut(how)
        uvjobs.sleep(20)
        assert.is_true(ended.polite >= since + 5 and ended.polite <= 10.2, ended.polite)
        assert.is_true(ended.stubborn < 15, ended.stubborn)
        local lost = 0
        for _, report in ipairs(reports) do
          if report.message == "A task is lost" then lost = lost + 1 end
        end
        assert.equal(2, lost)
        cut(nil)
      end))
  end

  it("takes a new number and goes on when the store is there again #D9 #D24", with_cut_store(
    function(store, cut)
      local runs = 0
      store:define("long", { keep_done = 3600 }, function()
        runs = runs + 1
        uvjobs.sleep(runs == 1 and 3600 or 0)
      end)
      local id = store:enqueue "long"
      local work <close> = durable.work(store, { lease = 15 })
      uvjobs.sleep(1)
      local before = work._process
      cut "raise"
      uvjobs.sleep(30)
      assert.equal(1, runs)
      cut(nil)
      assert.equal("done", store:wait(id))
      assert.equal(2, runs)
      assert.not_equal(before, work._process)
      assert.equal(0, store:get(id).crashes) -- it has given it back itself
    end))

  it("does not begin what a late claim brings when it has given itself up #D7 #D9",
    with_cut_store(function(store, cut)
      local begun_by, work = {}, nil
      store:define("long", { keep_done = 3600 }, function(_, name)
        begun_by[name] = begun_by[name] or {}
        table.insert(begun_by[name], work._process or "nobody")
        uvjobs.sleep(name == "first" and #begun_by.first == 1 and 3600 or 0)
      end)
      store:enqueue("long", "first")
      work = durable.work(store, { queues = { default = 2 }, lease = 15 })
      uvjobs.sleep(1)
      local before = work._process
      cut "late"
      local second = store:enqueue("long", "second") -- the store gives it to the old number
      uvjobs.sleep(11.5)
      assert.is_nil(work._process)
      cut(nil)
      assert.equal("done", store:wait(second))
      assert.same({ work._process }, begun_by.second)
      assert.not_equal(before, work._process)
      assert.same({ 1, 0 }, { store:get(second).attempt, store:get(second).crashes })
      work:close()
    end))

  it("gives everything back when it is closed after it has given itself up #D12", with_cut_store(
    function(store, cut)
      store:define("long", function() uvjobs.sleep(3600) end)
      local id = store:enqueue "long"
      local work = durable.work(store, { lease = 15 })
      uvjobs.sleep(1)
      cut "raise"
      uvjobs.sleep(11)
      assert.is_nil(work._process)
      cut(nil)
      work:close()
      local task = store:get(id)
      assert.same({ "ready", 0, 0 }, { task.state, task.attempt, task.crashes })
    end))

  it("keeps what has become of tasks, and tells it later #D24", with_cut_store(
    function(store, cut)
      store:define("short", { keep_done = 3600 }, function() uvjobs.sleep(1) end)
      local id = store:enqueue "short"
      local _ <close> = durable.work(store, { lease = 15 })
      uvjobs.sleep(0.5)
      cut "raise"
      uvjobs.sleep(3) -- it has ended, and the store does not know
      cut(nil)
      assert.equal("done", store:wait(id))
      assert.same({ 1, 0 }, { store:get(id).attempt, store:get(id).crashes })
    end))

  for _, how in ipairs { "raise", "hang" } do
    it(("is closed in time all the same: %s #D12"):format(how), with_cut_store(
      function(store, cut)
        store:define("long", function() base.stubborn() end)
        store:enqueue "long"
        local work = durable.work(store, { wait_timeout = 3, close_timeout = 2 })
        uvjobs.sleep(1)
        cut(how)
        local start = uvjobs.now()
        work:close()
        assert.is_true(uvjobs.now() - start <= 3 + 2 + 1)
        cut(nil)
      end))
  end
end)
