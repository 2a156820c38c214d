local durable = require "spec.durable.helper"

return function(kind)
  it("has at most one live task of a kind and key #D5", durable.with_store(kind, function(store)
    store:define("welcome", print)
    store:define("other", print)
    local id, new = store:enqueue("welcome", 1, { key = "7" })
    assert.is_true(new)
    local again, is_new = store:enqueue("welcome", 2, { key = "7" })
    assert.equal(id, again)
    assert.is_false(is_new)
    assert.equal(1, store:get(id).args)
    assert.is_true(select(2, store:enqueue("welcome", 2, { key = "8" })))
    assert.is_true(select(2, store:enqueue("other", 2, { key = "7" })))
    assert.is_true(select(2, store:enqueue("welcome", 2)))
  end))

  it("lets a key be used again when its task has ended #D5", durable.with_store(kind,
    function(store)
      store:define("welcome", { keep_done = 60 }, function() end)
      local id = store:enqueue("welcome", nil, { key = "7" })
      local _ <close> = durable.work(store)
      store:wait(id)
      local again, new = store:enqueue("welcome", nil, { key = "7" })
      assert.is_true(new)
      assert.not_equal(id, again)
      store:wait(again)
    end))

  it("replaces the arguments and the priority of a task that waits #D5", durable.with_store(kind,
    function(store)
      store:define("welcome", print)
      local id = store:enqueue("welcome", 1, { key = "7", delay = 100 })
      local due = store:get(id).due
      local _, new = store:enqueue("welcome", 2, { key = "7", on_key = "replace", priority = 1 })
      assert.is_false(new)
      local task = store:get(id)
      assert.same({ 2, 1, due, "scheduled" }, { task.args, task.priority, task.due, task.state })
    end))

  it("moves the time of a task that waits with 'debounce' #D5", durable.with_store(kind,
    function(store)
      store:define("index", print)
      local id = store:enqueue("index", 1, { key = "7", delay = 100 })
      local due = store:get(id).due
      store:enqueue("index", 2, { key = "7", on_key = "debounce", delay = 500 })
      assert.equal(2, store:get(id).args)
      assert.is_true(store:get(id).due >= due + 300)
      store:enqueue("index", 3, { key = "7", on_key = "debounce" })
      assert.equal("ready", store:get(id).state)
    end))

  it("changes nothing about a task that runs #D5", durable.with_store(kind, function(store)
    local process = durable.join(store)
    local id = durable.put(store, { key = "7", args = "1" })
    durable.claim(store, process)
    for _, on_key in ipairs { "keep", "replace", "debounce" } do
      local again, new = durable.put(store, { key = "7", args = "2", on_key = on_key })
      assert.equal(id, again)
      assert.is_false(new)
    end
    assert.equal(1, store:get(id).args)
    store:_call { op = "leave", process = process }
  end))

  it("refuses to retry a task whose key another one has #D5", durable.with_store(kind,
    function(store)
      store:define("welcome", print)
      local id = store:enqueue("welcome", 1, { key = "7" })
      store:cancel(id)
      local other = store:enqueue("welcome", 2, { key = "7" })
      local ok, why = store:retry(id)
      assert.is_nil(ok)
      assert.equal("duplicate", why)
      store:cancel(other)
      assert.is_true(store:retry(id))
      assert.is_false((select(2, store:enqueue("welcome", 3, { key = "7" }))))
    end))
end
