local durable = require "spec.durable.helper"
local uvjobs = require "uvjobs"

local function ids_of(store, filter)
  local ids = {}
  for task in store:tasks(filter) do ids[#ids + 1] = task.id end
  return ids
end

return function(kind)
  it("tells of a task", durable.with_store(kind, function(store)
    store:define("mail.send", print)
    local before = uvjobs.time()
    local id = store:enqueue("mail.send", { 1 }, {
      priority = 2, key = "k", queue = "mail", attempts = 7,
    })
    local task = store:get(id)
    assert.same({ id, "mail.send", "mail", "ready", { 1 }, 2, "k", 0, 7, 0, {} },
      { task.id, task.kind, task.queue, task.state, task.args, task.priority, task.key,
        task.attempt, task.attempts, task.crashes, task.errors })
    assert.is_true(task.enqueued >= before - 1 and task.enqueued <= uvjobs.time() + 1)
    assert.is_nil(task.started)
    assert.is_nil(store:get(12345678))
  end))

  it("lists tasks by state, queue, kind and key", durable.with_store(kind, function(store)
    for _, name in ipairs { "mail.send", "mail.read", "mailxsend", "other%" } do
      store:define(name, print)
    end
    store:enqueue("mail.send", nil, { key = "a" })
    store:enqueue("mail.read", nil, { queue = "slow" })
    store:enqueue("mailxsend", nil, { delay = 3600 })
    store:enqueue("other%", nil, { key = "a" })
    assert.same({ 1, 2, 3, 4 }, ids_of(store))
    assert.same({ 1, 2 }, ids_of(store, { kind = "mail.*" }))
    assert.same({ 1, 3 }, ids_of(store, { kind = "mail?send" }))
    assert.same({ 4 }, ids_of(store, { kind = "*%" }))
    assert.same({ 3 }, ids_of(store, { state = "scheduled" }))
    assert.same({ 2 }, ids_of(store, { queue = "slow" }))
    assert.same({ 1, 4 }, ids_of(store, { key = "a" }))
    assert.same({ 4 }, ids_of(store, { key = "a", after = 1 }))
    assert.same({}, ids_of(store, { state = "done" }))
  end))

  it("lists many tasks page by page", durable.with_store(kind, function(store)
    store:define("any", print)
    local list = {}
    for i = 1, 250 do list[i] = { "any", i } end
    store:enqueue_all(list)
    assert.equal(250, #ids_of(store))
    assert.equal(101, #ids_of(store, { limit = 101 }))
    assert.equal(100, #ids_of(store, { limit = 100 }))
    assert.same({}, ids_of(store, { limit = 0 }))
    assert.same({ 250 }, ids_of(store, { after = 249 }))
  end))

  it("counts tasks by queue and state", durable.with_store(kind, function(store)
    store:define("any", print)
    store:enqueue "any"
    store:enqueue("any", nil, { delay = 3600 })
    store:enqueue("any", nil, { queue = "other" })
    store:cancel(3)
    local stats = store:stats()
    local default, other = stats.queues.default, stats.queues.other
    assert.same({ 1, 1, 0, 0, 0, 0 }, { default.ready, default.scheduled, default.running,
      default.done, default.dead, default.cancelled })
    assert.is_true(default.oldest >= 0)
    assert.equal(1, other.cancelled)
    assert.is_nil(other.oldest)
    assert.is_false(default.paused)
    assert.equal(0, stats.processes)
  end))

  it("deletes what has ended when its time is over, and nothing that is live #D22",
    durable.with_store(kind, function(store)
      local unit = durable.unit(kind)
      local short, long = unit * 1000000 // 1 | 0, 3600000000
      local process = durable.join(store)
      for i = 1, 6 do
        durable.put(store, {
          keep_done = i <= 3 and short or long, keep_dead = i <= 5 and short or long, attempts = 1,
        })
      end
      durable.put(store, { delay = long })
      local rows = durable.claim(store, process, 6)
      for i, row in ipairs(rows) do
        durable.settle(store, row, i <= 4 and "done" or "dead", { reason = "failed" })
      end
      assert.equal(0, store:_call { op = "prune", most = 10 })
      uvjobs.sleep(2 * unit)
      assert.equal(2, store:_call { op = "prune", most = 2 })
      assert.equal(2, store:_call { op = "prune", most = 10 })
      assert.same({ 4, 6, 7 }, ids_of(store))
      store:_call { op = "leave", process = process }
    end))

  it("keeps nothing of a task that is done, unless it is asked to", durable.with_store(kind,
    function(store)
      store:define("any", function() end)
      local id = store:enqueue "any"
      local _ <close> = durable.work(store)
      assert.equal("done", store:wait(id))
      assert.is_nil(store:get(id))
    end))
end
