local base = require "spec.helper"
local durable = require "spec.durable.helper"
local uvjobs = require "uvjobs"

local function equal_types(a, b)
  if type(a) ~= "table" then return math.type(a) == math.type(b) and a == b end
  for key, value in pairs(a) do
    if not equal_types(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

return function(kind)
  it("keeps what the program says of itself, for whoever runs the task",
    durable.with_store(kind, function(store)
      local meta = '{"traceparent":"00-\u{e4}"}'
      local given = { {}, { key = "k" }, { key = "l", on_key = "debounce" } }
      for i = 1, 3 do
        given[i].meta = meta
        -- What the program with the second one says is not kept: the task is that of the first.
        durable.put(store, given[i])
        given[i].meta = "{}"
        if given[i].key then durable.put(store, given[i]) end
      end
      durable.put(store)
      local rows = durable.claim(store, durable.join(store), 4)
      assert.equal(4, #rows)
      for i = 1, 3 do assert.equal(meta, rows[i].meta) end
      assert.is_nil(rows[4].meta)
      assert.equal(meta, store:_call({ op = "get", id = rows[1].id }).meta)
    end))

  it("returns arguments equal, integers as integers and floats as floats #D4",
    durable.with_store(kind, function(store)
      store:define("any", print)
      for _, value in ipairs {
        1, 1.0, -0.0, 0.1, 1e300, 5e-324, math.mininteger, math.maxinteger, math.huge, -math.huge,
        "", "a\0b\n\"\\\u{1F600}\x7f", true, false, {}, { 1, 2.0, { "x" } },
        { a = { b = { c = { 1 } } }, [""] = 0, ["\u{e4}"] = "\u{e4}" },
      } do
        local id = store:enqueue("any", value)
        assert.is_true(equal_types(value, store:get(id).args))
      end
      assert.is_nil(store:get(store:enqueue("any")).args)
      assert.equal("-0.0", tostring(store:get(3).args))
    end))

  it("runs a task with the arguments that it was given #D4",
    durable.with_store(kind, function(store)
      local got = uvjobs.queue()
      store:define("echo", function(task, args) got:put { task.id, args } end)
      local _ <close> = durable.work(store)
      local id = store:enqueue("echo", { 1, 2.5, { name = "x" } })
      assert.same({ id, { 1, 2.5, { name = "x" } } }, got:get())
      assert.equal("done", store:wait(id))
    end))

  it("gives each task an id of its own, in order", durable.with_store(kind, function(store)
    store:define("any", print)
    local last = 0
    for _ = 1, 20 do
      local id, new = store:enqueue("any")
      assert.is_true(math.type(id) == "integer" and id > last and new)
      last = id
    end
  end))

  it("stores many tasks at once, or none", durable.with_store(kind, function(store)
    store:define("any", print)
    local ids, new = store:enqueue_all { { "any", 1 }, { "any", 2, { delay = 60 } }, { "any" } }
    assert.equal(3, #ids)
    assert.same({ true, true, true }, new)
    assert.equal("scheduled", store:get(ids[2]).state)
    assert.has_error(function() store:enqueue_all { { "any", 1 }, { "any", print } } end)
    assert.equal(3, store:stats().queues.default.ready + store:stats().queues.default.scheduled)
    assert.same({}, (store:enqueue_all {}))
  end))

  it("stores nothing for a job that is cancelled already #D3", durable.with_store(kind,
    function(store)
      store:define("any", print)
      local scheduler <close> = base.quiet()
      local job = scheduler:spawn(function()
        pcall(uvjobs.sleep, 3600)
        return pcall(store.enqueue, store, "any")
      end)
      uvjobs.yield()
      job:cancel()
      local ok, err = job:wait()
      assert.is_false(ok)
      assert.equal("cancelled", uvjobs.code(err))
      assert.is_nil(err.stored)
      assert.is_nil(next(store:stats().queues))
    end))

  it("does not run a task before its time #D14", durable.with_store(kind, function(store)
    local unit, started = durable.unit(kind), uvjobs.queue()
    store:define("timed", function(_, args) started:put { args, uvjobs.time() } end)
    local _ <close> = durable.work(store)
    local now = uvjobs.time()
    store:enqueue("timed", 2, { delay = 2 * unit })
    store:enqueue("timed", 1, { at = now + unit })
    store:enqueue("timed", 0, { at = now - 100 })
    for i = 0, 2 do
      local got = started:get()
      assert.equal(i, got[1])
      assert.is_true(got[2] >= now + i * unit - 0.001)
    end
  end))
end
