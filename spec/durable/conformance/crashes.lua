local durable = require "spec.durable.helper"
local stores = require "spec.durable.stores"

-- Claims one task by a process that then dies; returns the task.
local function crash(kind, store, want)
  local process = durable.join(store, stores.LEASE)
  want = want or {}
  want.lease = stores.LEASE
  local row = durable.claim(store, process, 1, want)[1]
  kind.die(store, process)
  return row
end

return function(kind)
  it("makes the tasks of a dead process ready, and counts the crash #D8", durable.with_store(kind,
    function(store)
      local id = durable.put(store)
      crash(kind, store)
      local task = store:get(id)
      assert.same({ "ready", 1, 1 }, { task.state, task.crashes, task.attempt })
      assert.equal("its process died", task.errors[1].message)
      assert.is_true(task.errors[1].crashed)
      assert.is_nil(task.process)
    end))

  it("keeps the place of a task whose process has died #D8 #D13", durable.with_store(kind,
    function(store)
      local first = durable.put(store)
      durable.put(store)
      crash(kind, store)
      local process = durable.join(store)
      assert.equal(first, durable.claim(store, process)[1].id)
      store:_call { op = "leave", process = process }
    end))

  it("takes a task for dead whose process has died too often #D8", durable.with_store(kind,
    function(store)
      local id = durable.put(store, { most_crashes = 2, attempts = 100 })
      crash(kind, store)
      assert.equal("ready", store:get(id).state)
      crash(kind, store)
      local task = store:get(id)
      assert.same({ "dead", "crashed", 2, 2 },
        { task.state, task.reason, task.crashes, #task.errors })
      assert.is_true(store:retry(id))
      assert.equal(0, store:get(id).crashes)
    end))

  it("cancels a task whose process has died while it was being cancelled #D16",
    durable.with_store(kind, function(store)
      local id = durable.put(store)
      local process = durable.join(store, stores.LEASE)
      durable.claim(store, process, 1, { lease = stores.LEASE })
      assert.is_true(store:cancel(id))
      assert.same({ id }, store:_call({
        op = "beat", process = process, lease = stores.LEASE,
      }).cancelling)
      kind.die(store, process)
      assert.equal("cancelled", store:get(id).state)
    end))

  it("claims one task with crashes at a time #D8", durable.with_store(kind, function(store)
    local ids = { durable.put(store), durable.put(store) }
    local process = durable.join(store, stores.LEASE)
    durable.claim(store, process, 2, { lease = stores.LEASE })
    kind.die(store, process)
    ids[3] = durable.put(store)
    process = durable.join(store)
    assert.same({ ids[1], ids[3] }, durable.ids(durable.claim(store, process, 10)))
    assert.same({}, durable.ids(durable.claim(store, process, 10, { suspects = 0 })))
    assert.same({ ids[2] }, durable.ids(durable.claim(store, process, 10)))
    store:_call { op = "leave", process = process }
  end))

  it("runs all of them in the end #D8", durable.with_store(kind, function(store)
    for _ = 1, 5 do durable.put(store) end
    local process = durable.join(store, stores.LEASE)
    durable.claim(store, process, 5, { lease = stores.LEASE })
    kind.die(store, process)
    local running, most = 0, 0
    store:define("kind", function()
      running = running + 1
      most = math.max(most, running)
      require "uvjobs".sleep(0.01)
      running = running - 1
    end)
    local _ <close> = durable.work(store)
    for id = 1, 5 do assert.equal("done", store:wait(id)) end
    assert.equal(1, most)
  end))
end
