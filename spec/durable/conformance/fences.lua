local base = require "spec.helper"
local durable = require "spec.durable.helper"
local stores = require "spec.durable.stores"
local uvjobs = require "uvjobs"

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

  -- Of five tasks that a process runs, every second is kept when it is done.
  local function five(store)
    local process = durable.join(store)
    for i = 1, 5 do durable.put(store, { keep_done = i % 2 * 60000000 }) end
    return process, durable.claim(store, process, 5)
  end

  local function done_of(rows, change)
    local done = {}
    for i, row in ipairs(rows) do
      done[#done + 1], done[#done + 2] = row.id, row.lease + (change and i % 2 or 0)
    end
    return done
  end

  it("finishes many tasks at once, and names those whose fence did not hold #D7",
    durable.with_store(kind, function(store)
      local process, rows = five(store)
      local function finish(list)
        return store:_call { op = "finish", process = process, done = list }
      end
      local lost = finish(done_of(rows, true))
      table.sort(lost)
      assert.same({ rows[1].id, rows[3].id, rows[5].id }, lost)
      assert.same({}, finish(done_of { rows[1], rows[3] }))
      assert.same({ rows[2].id }, finish(done_of { rows[2] }))
      assert.same({}, finish {})
      local kept, gone = store:get(rows[1].id), store:get(rows[2].id)
      assert.equal("done", kept.state)
      assert.is_nil(kept.process)
      assert.is_true(kept.ended >= kept.started)
      assert.is_nil(gone)
      assert.equal("running", store:get(rows[5].id).state)
      store:_call { op = "leave", process = process }
    end))

  it("finishes tasks on the way of a claim, also when that finds nothing #D6",
    durable.with_store(kind, function(store)
      local process, rows = five(store)
      local function claim(list, of)
        return store:_call {
          op = "claim", process = of or process, lease = 60000000, kinds = { "kind" },
          suspects = 1, wants = { { queue = "default", n = 5 } }, done = list,
        }
      end
      local result = claim(done_of { rows[1], rows[2] })
      assert.same({}, result.lost)
      assert.same({}, result.tasks)
      durable.put(store)
      result = claim(done_of { rows[2], rows[3] })
      assert.same({ rows[2].id }, result.lost)
      assert.equal(1, #result.tasks)
      result = claim(done_of { rows[4] }, 1000000)
      assert.is_false(result.alive)
      assert.same({ rows[4].id }, result.lost)
      assert.equal("running", store:get(rows[4].id).state)
      store:_call { op = "leave", process = process }
    end))

  it("raises 'lost' in a job that saves when its task is gone #D7", durable.with_store(kind,
    function(store)
      local code, work, reports = nil, nil, {}
      store:define("saves", function(task)
        -- Both are on their way at once, so that nobody else finds in between that it is lost.
        local leaving <close> = uvjobs.scheduler()
        leaving:spawn(store._call, store, { op = "leave", process = work._process })
        uvjobs.sleep(0)
        code = base.outcome(task.save, task, 1)
      end)
      local id = store:enqueue "saves"
      do
        local closing <close> = durable.work(store, { wait_timeout = 0 }, reports)
        work = closing
        while not code do uvjobs.sleep(0.01) end
      end
      assert.equal("lost", code)
      assert.equal("A task is lost", reports[1].message)
      assert.equal("lost", uvjobs.code(reports[1].exception))
      assert.equal("ready", store:get(id).state)
    end))
end
