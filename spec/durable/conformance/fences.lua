local base = require "spec.helper"
local durable = require "spec.durable.helper"
local stores = require "spec.durable.stores"

return function(kind)
  it("refuses what a process says of a task that another one has #D7", durable.with_store(kind,
    function(store)
      local zombie = durable.join(store, stores.LEASE)
      local id = durable.put(store)
      local old = durable.claim(store, zombie, 1, { lease = stores.LEASE })[1]
      kind.die(store, zombie)
      local process = durable.join(store)
      local row = durable.claim(store, process)[1]
      assert.equal(id, row.id)
      assert.is_true(row.lease > old.lease)
      for _, outcome in ipairs { "done", "retry", "dead", "cancelled", "snooze", "release" } do
        assert.is_false(durable.settle(store, old, outcome, { reason = "failed" }))
      end
      assert.is_false(store:_call {
        op = "save", process = zombie, id = id, lease = old.lease, saved = "1",
      })
      -- Nor with the number of the new process, or of the new lease.
      for _, wrong in ipairs {
        { id = id, lease = old.lease, process = process },
        { id = id, lease = row.lease, process = zombie },
      } do
        assert.is_false(durable.settle(store, wrong, "done"))
      end
      assert.equal("running", store:get(id).state)
      assert.is_nil(store:get(id).saved)
      assert.is_true(durable.settle(store, row, "done"))
      store:_call { op = "leave", process = process }
    end))

  it("tells a process that it has been declared dead #D9", durable.with_store(kind, function(store)
    local zombie = durable.join(store, stores.LEASE)
    kind.die(store, zombie)
    durable.put(store)
    local rows, result = durable.claim(store, zombie)
    assert.same({}, rows)
    assert.is_false(result.alive)
    assert.is_false(store:_call({ op = "beat", process = zombie, lease = 60000000 }).alive)
    assert.not_equal(zombie, durable.join(store))
  end))

  it("takes an outcome once #D6", durable.with_store(kind, function(store)
    local process = durable.join(store)
    durable.put(store)
    local row = durable.claim(store, process)[1]
    assert.is_true(durable.settle(store, row, "retry", { delay = 0, error = "{}" }))
    assert.is_false(durable.settle(store, row, "retry", { delay = 0, error = "{}" }))
    assert.equal(1, #store:get(row.id).errors)
    row = durable.claim(store, process)[1]
    assert.is_true(durable.settle(store, row, "done"))
    assert.is_false(durable.settle(store, row, "done"))
    store:_call { op = "leave", process = process }
  end))

  it("gives a lease a greater number each time, also after a snooze #D7", durable.with_store(kind,
    function(store)
      local process, last = durable.join(store), 0
      durable.put(store)
      for _, outcome in ipairs { "snooze", "release", "retry", "snooze" } do
        local row = durable.claim(store, process)[1]
        assert.is_true(row.lease > last)
        last = row.lease
        durable.settle(store, row, outcome, { delay = 0 })
      end
      local row = durable.claim(store, process)[1]
      assert.equal(2, row.attempt)
      store:_call { op = "leave", process = process }
    end))

  it("settles many tasks at once, each by its own fence #D7", durable.with_store(kind,
    function(store)
      local process = durable.join(store)
      for _ = 1, 5 do durable.put(store) end
      local rows, list = durable.claim(store, process, 5), {}
      for i, row in ipairs(rows) do
        list[i] = { id = row.id, lease = row.lease + i % 2, outcome = "done" }
      end
      local held = store:_call { op = "settle", process = process, list = list }
      assert.same({ false, true, false, true, false }, held)
      assert.same({}, store:_call { op = "settle", process = process, list = {} })
      store:_call { op = "leave", process = process }
    end))

  it("raises 'lost' in a job that saves when its task is gone #D7", durable.with_store(kind,
    function(store)
      local code, work, reports = nil, nil, {}
      store:define("saves", function(task)
        store:_call { op = "leave", process = work._process }
        code = base.outcome(task.save, task, 1)
      end)
      local id = store:enqueue "saves"
      do
        local closing <close> = durable.work(store, { wait_timeout = 0 }, reports)
        work = closing
        while not code do require "uvjobs".sleep(0.01) end
      end
      assert.equal("lost", code)
      assert.equal("A task is lost", reports[1].message)
      assert.equal("lost", require "uvjobs".code(reports[1].exception))
      assert.equal("ready", store:get(id).state)
    end))
end
