local base = require "spec.helper"
local durable = require "spec.durable.helper"
local uvjobs = require "uvjobs"

return function(kind)
  it("shows no task of a transaction before it is committed #D2", durable.with_store(kind,
    function(store)
      local ran = 0
      store:define("order", { keep_done = 60 }, function() ran = ran + 1 end)
      local _ <close> = durable.work(store)
      local a, b, result = store:transaction(function(tx)
        local first = tx:enqueue("order", 1)
        uvjobs.sleep(0.05)
        local second, new = tx:enqueue("order", 2, { delay = 3600 })
        assert.is_true(new)
        assert.equal(0, ran)
        return first, second, "committed"
      end)
      assert.equal("committed", result)
      assert.equal("done", store:wait(a))
      assert.equal("scheduled", store:get(b).state)
    end))

  it("ends a transaction at once whose job is cancelled, and killed then #D2 #D25 #M6",
    durable.with_store(kind, function(store)
      store:define("order", print)
      local number
      local jobs <close> = base.quiet()
      local job = jobs:spawn(function()
        store:transaction(function(tx)
          number = tx._number
          tx:enqueue("order", 1)
          uvjobs.sleep(3600)
        end)
      end)
      while not number do uvjobs.sleep(0.01) end
      uvjobs.sleep(0.01)
      pcall(job.close, job, 0)
      base.raises("unavailable", store._call, store,
        { op = "enqueue", tx = number, tasks = { durable.raw() } })
      assert.same({}, store:stats().queues)
    end))

  it("leaves nothing of a transaction that fails #D2", durable.with_store(kind, function(store)
    store:define("order", print)
    local ok, err = pcall(store.transaction, store, function(tx)
      tx:enqueue("order", 1, { key = "7" })
      error("no", 0)
    end)
    assert.is_false(ok)
    assert.equal("no", err)
    assert.is_nil(next(store:stats().queues))
    assert.is_true(select(2, store:enqueue("order", 1, { key = "7" })))
  end))

  it("leaves nothing of a transaction whose job is cancelled, or killed #D2",
    durable.with_store(kind, function(store)
      store:define("order", print)
      local scheduler <close> = base.quiet { close_timeout = 0.01 }
      for _, body in ipairs { uvjobs.sleep, base.stubborn } do
        local inside = uvjobs.event()
        local job = scheduler:spawn(store.transaction, store, function(tx)
          tx:enqueue "order"
          inside:set()
          body(3600)
        end)
        inside:wait()
        pcall(job.close, job)
        assert.is_nil(next(store:stats().queues))
      end
    end))

  it("is limited to five seconds #D25", durable.with_store(kind, function(store)
    if not kind.virtual then return end
    store:define("order", print)
    base.raises("timeout", store.transaction, store, function(tx)
      tx:enqueue "order"
      uvjobs.sleep(3600)
    end)
    assert.equal(5.0, uvjobs.now())
    assert.is_nil(next(store:stats().queues))
  end))

  it("refuses calls that would wait for the transaction itself", durable.with_store(kind,
    function(store)
      store:define("order", print)
      local kept
      store:transaction(function(tx)
        kept = tx
        assert.matches("transaction", base.message(store.enqueue, store, "order"))
        assert.matches("transaction already", base.message(store.transaction, store, print))
      end)
      assert.matches("the transaction is over", base.message(kept.enqueue, kept, "order"))
    end))

  it("replaces and debounces what was there before only when it commits #D2 #D5",
    durable.with_store(kind, function(store)
      store:define("order", print)
      local id = store:enqueue("order", 1, { key = "7", delay = 3600 })
      pcall(store.transaction, store, function(tx)
        assert.same({ id, false }, { tx:enqueue("order", 2, { key = "7", on_key = "replace" }) })
        error "no"
      end)
      assert.equal(1, store:get(id).args)
      store:transaction(function(tx)
        tx:enqueue("order", 3, { key = "7", on_key = "debounce", delay = 1 })
      end)
      assert.equal(3, store:get(id).args)
    end))
end
