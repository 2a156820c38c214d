local base = require "spec.helper"
local durable = require "spec.durable.helper"
local uvjobs = require "uvjobs"

return function(kind)
  it("runs every task once when nothing fails #D6", durable.with_store(kind, function(store)
    local runs = {}
    store:define("count", function(_, n) runs[n] = (runs[n] or 0) + 1 end)
    local last
    for n = 1, 200 do last = store:enqueue("count", n) end
    local _ <close> = durable.work(store, { queues = { default = 7 } })
    store:wait(last)
    while store:stats().queues.default do uvjobs.sleep(0.01) end
    for n = 1, 200 do assert.equal(1, runs[n]) end
  end))

  it("starts a task that comes while the worker is idle #D14", durable.with_store(kind,
    function(store)
      local ran = uvjobs.event()
      store:define("set", function() ran:set() end)
      local _ <close> = durable.work(store)
      uvjobs.sleep(durable.unit(kind))
      store:enqueue("set")
      assert.is_true(ran:wait(60))
    end))

  it("never runs more than the limit of a queue #D15", durable.with_store(kind, function(store)
    local running, most, left = { a = 0, b = 0 }, { a = 0, b = 0 }, 40
    local done = uvjobs.event()
    store:define("busy", function(task)
      running[task.queue] = running[task.queue] + 1
      most[task.queue] = math.max(most[task.queue], running[task.queue])
      uvjobs.sleep(0.001)
      running[task.queue] = running[task.queue] - 1
      left = left - 1
      if left == 0 then done:set() end
    end)
    for i = 1, 40 do store:enqueue("busy", nil, { queue = i % 2 == 0 and "a" or "b" }) end
    local _ <close> = durable.work(store, { queues = { a = 3, b = { limit = 2 } } })
    done:wait()
    assert.same({ a = 3, b = 2 }, most)
  end))

  it("rests when a task is due and its queue is full, until another has ended #D14 #D15",
    durable.with_store(kind, function(store)
      local unit, order = durable.unit(kind), {}
      store:define("note", function(_, name)
        order[#order + 1] = name
        uvjobs.sleep(name == "first" and 4 * unit or 0)
      end)
      local first = store:enqueue("note", "first")
      local second = store:enqueue("note", "second", { delay = unit })
      local _ <close> = durable.work(store, { queues = { default = 1 } })
      assert.equal("done", store:wait(first))
      assert.equal("done", store:wait(second))
      assert.same({ "first", "second" }, order)
    end))

  it("never runs more than the limit of a key #D15", durable.with_store(kind, function(store)
    local running, most, left, done = {}, 0, 24, uvjobs.event()
    local function call(task)
      running[task.key] = (running[task.key] or 0) + 1
      most = math.max(most, running[task.key])
      uvjobs.sleep(0.001)
      running[task.key] = running[task.key] - 1
      left = left - 1
      if left == 0 then done:set() end
    end
    for i = 1, 12 do -- a kind has one live task of a key
      store:define("call " .. i, call)
      store:enqueue("call " .. i, nil, { key = "a" })
      store:enqueue("call " .. i, nil, { key = "b" })
    end
    local _ <close> = durable.work(store, { queues = { default = { limit = 20, key_limit = 2 } } })
    done:wait()
    assert.equal(2, most)
  end))

  it("sees what was saved in the next attempt #D17", durable.with_store(kind, function(store)
    local seen = {}
    store:define("steps", { backoff = 0, keep_done = 60 }, function(task)
      seen[#seen + 1] = task.saved or "nothing"
      if #seen < 3 then
        task:save { step = #seen }
        assert.equal(#seen, task.saved.step)
        error "again"
      end
    end)
    local id = store:enqueue "steps"
    local _ <close> = durable.work(store)
    assert.equal("done", store:wait(id))
    assert.same({ "nothing", { step = 1 }, { step = 2 } }, seen)
    assert.same({ step = 2 }, store:get(id).saved)
  end))

  it("runs a snoozed task later, which is no attempt #D11", durable.with_store(kind,
    function(store)
      local attempts, times, unit = {}, {}, durable.unit(kind)
      store:define("busy", { attempts = 1, keep_done = 60 }, function(task)
        attempts[#attempts + 1], times[#times + 1] = task.attempt, uvjobs.time()
        if #attempts < 3 then return task:snooze(unit) end
      end)
      local id = store:enqueue "busy"
      local _ <close> = durable.work(store)
      assert.equal("done", store:wait(id))
      assert.same({ 1, 1, 1 }, attempts)
      assert.is_true(times[3] - times[1] >= 2 * unit - 0.001)
      assert.same({}, store:get(id).errors)
    end))

  it("cancels the job of a task that runs #D16 #M5", durable.with_store(kind, function(store)
    local begun, codes = uvjobs.event(), {}
    store:define("long", function()
      begun:set()
      for _ = 1, 2 do
        local _, err = pcall(uvjobs.sleep, 3600)
        codes[#codes + 1] = uvjobs.code(err)
      end
      uvjobs.sleep(3600)
    end)
    local id = store:enqueue "long"
    local _ <close> = durable.work(store)
    begun:wait()
    assert.is_true(store:cancel(id))
    assert.equal("cancelled", store:wait(id))
    assert.same({ "cancelled", "cancelled" }, codes)
    assert.is_false(store:cancel(id))
  end))

  it("cancels a task that waits, at once #D16", durable.with_store(kind, function(store)
    store:define("never", function() error "it ran" end)
    local ready, scheduled = store:enqueue "never", store:enqueue("never", nil, { delay = 60 })
    assert.is_true(store:cancel(ready))
    assert.is_true(store:cancel(scheduled))
    assert.equal("cancelled", store:get(ready).state)
    assert.equal("cancelled", store:get(scheduled).state)
    assert.is_false(store:cancel(ready))
    local _ <close> = durable.work(store)
    assert.equal("cancelled", store:wait(scheduled))
  end))

  it("lets a task be done that heeds its cancellation by returning #D16", durable.with_store(kind,
    function(store)
      local begun = uvjobs.event()
      store:define("polite", { keep_done = 60 }, function()
        begun:set()
        pcall(uvjobs.sleep, 3600)
      end)
      local id = store:enqueue "polite"
      local _ <close> = durable.work(store)
      begun:wait()
      store:cancel(id)
      assert.equal("done", store:wait(id))
    end))

  it("claims nothing of a queue that is paused, until it goes on", durable.with_store(kind,
    function(store)
      local ran = uvjobs.event()
      store:define("set", function() ran:set() end)
      assert.is_false(store:pause "default")
      assert.is_true(store:pause "default")
      local empty = store:stats().queues.default
      assert.same({ true, 0 }, { empty.paused, empty.ready })
      store:enqueue "set"
      local _ <close> = durable.work(store)
      assert.is_nil((ran:wait(2 * durable.unit(kind))))
      assert.is_true(store:stats().queues.default.paused)
      assert.is_true(store:resume "default")
      assert.is_true(ran:wait())
    end))

  it("leaves a task alone whose kind it does not know, and counts it", durable.with_store(kind,
    function(store)
      local ran = uvjobs.event()
      store:define("known", function() ran:set() end)
      local id = store:enqueue("foreign", 1, { remote = true })
      store:enqueue "known"
      local _ <close> = durable.work(store)
      ran:wait()
      assert.equal("ready", store:get(id).state)
      assert.same({ "foreign" }, store:stats().queues.default.unknown)
      local begun = uvjobs.event()
      store:define("foreign", function() begun:set() end) -- a worker claims new kinds, too
      assert.is_true(begun:wait())
    end))

  it("is waited for by any number of jobs", durable.with_store(kind, function(store)
    store:define("short", { keep_done = 60 }, function() uvjobs.sleep(durable.unit(kind)) end)
    local id = store:enqueue "short"
    local _ <close> = durable.work(store)
    local states = uvjobs.map({ 1, 2, 3 }, function() return store:wait(id) end)
    assert.same({ "done", "done", "done", n = 3 }, states)
    assert.same({ "done" }, { store:wait(id, 0) })
    assert.has_error(function() store:wait(10000000) end)
  end))

  it("returns from wait() when the time has passed", durable.with_store(kind, function(store)
    store:define("any", print)
    local id = store:enqueue "any"
    local state, why = store:wait(id, durable.unit(kind))
    assert.is_nil(state)
    assert.equal("timeout", why)
    base.raises("timeout", uvjobs.timeout, durable.unit(kind), store.wait, store, id)
  end))
end
