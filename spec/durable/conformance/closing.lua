local base = require "spec.helper"
local durable = require "spec.durable.helper"
local uvjobs = require "uvjobs"

return function(kind)
  it("lets tasks end that do so in time #D12", durable.with_store(kind, function(store)
    local begun, unit = uvjobs.event(), durable.unit(kind)
    store:define("short", { keep_done = 60 }, function()
      begun:set()
      uvjobs.sleep(unit)
    end)
    local id = store:enqueue "short"
    local work = durable.work(store, { wait_timeout = 60 })
    begun:wait()
    work:close()
    assert.equal("done", store:get(id).state)
    assert.equal(0, store:stats().processes)
  end))

  it("gives back what does not end in time, without an attempt or a crash #D12",
    durable.with_store(kind, function(store)
      local begun, closed = uvjobs.event(), 0
      store:define("long", function()
        local _ <close> = base.closing(function() closed = closed + 1 end)
        begun:set()
        uvjobs.sleep(3600)
      end)
      local id = store:enqueue "long"
      local work = durable.work(store, { wait_timeout = 0.01, close_timeout = 0.01 })
      begun:wait()
      work:close()
      local task = store:get(id)
      assert.same({ "ready", 0, 0, {}, 1 },
        { task.state, task.attempt, task.crashes, task.errors, closed })
      work:close()
    end))

  it("kills what does not end at all, and gives it back #D12", durable.with_store(kind,
    function(store)
      local begun = uvjobs.event()
      store:define("stubborn", function()
        begun:set()
        base.stubborn()
      end)
      local id = store:enqueue "stubborn"
      local work = durable.work(store, { wait_timeout = 0, close_timeout = 0.01 })
      begun:wait()
      work:close()
      assert.equal("ready", store:get(id).state)
    end))

  it("claims nothing more from the beginning of its end #D12", durable.with_store(kind,
    function(store)
      local begun, runs = uvjobs.event(), 0
      store:define("any", function()
        runs = runs + 1
        begun:set()
        uvjobs.sleep(durable.unit(kind))
      end)
      for _ = 1, 5 do store:enqueue "any" end
      local work = durable.work(store, { queues = { default = 1 }, wait_timeout = 60 })
      begun:wait()
      work:close()
      assert.equal(1, runs)
      assert.equal(4, store:stats().queues.default.ready)
    end))

  it("closes its workers with the store, also when its job is cancelled #D12", function()
    local place = kind.new()
    local begun, released = uvjobs.event(), nil
    uvjobs.run({ clock = kind.virtual and "virtual" or "real" }, function()
      local scheduler <close> = base.quiet { close_timeout = 60 }
      local job = scheduler:spawn(function()
        local store <close> = require "uvjobs.durable".open(place.where, place.options)
        store:define("long", function()
          begun:set()
          uvjobs.sleep(3600)
        end)
        store:enqueue "long"
        local _ <close> = base.closing(function()
          uvjobs.protect(function() released = store:get(1) end)
        end)
        local _ <close> = durable.work(store, { wait_timeout = 0.01, close_timeout = 0.01 })
        uvjobs.sleep(3600)
      end)
      begun:wait()
      job:cancel()
      job:join()
    end)
    place.remove()
    assert.same({ "ready", 0 }, { released.state, released.attempt })
  end)

  it("goes on closing by itself when its job is killed #D12", function()
    local place = kind.new()
    local begun = uvjobs.event()
    uvjobs.run({ clock = kind.virtual and "virtual" or "real" }, function()
      local open = require "uvjobs.durable".open
      local scheduler <close> = base.quiet { close_timeout = 0.01 }
      local kept
      local job = scheduler:spawn(function()
        local store <close> = open(place.where, place.options)
        kept = store
        store:define("long", function()
          begun:set()
          uvjobs.sleep(3600)
        end)
        store:enqueue "long"
        local _ <close> = durable.work(store, { wait_timeout = 0.01, close_timeout = 0.01 })
        base.stubborn()
      end)
      begun:wait()
      pcall(job.close, job)
      assert.equal("killed", job.state)
      while not kept._is_closed do uvjobs.sleep(0.01) end
      if kind.name ~= "memory" then
        local store <close> = open(place.where, place.options)
        assert.same({ "ready", 0, 0 },
          { store:get(1).state, store:get(1).attempt, store:get(1).crashes })
      end
    end)
    place.remove()
  end)

  it("raises 'closed' when the store is closed", durable.with_store(kind, function(store)
    store:define("any", print)
    store:close()
    store:close()
    base.raises("closed", store.enqueue, store, "any")
    base.raises("closed", store.get, store, 1)
    base.raises("closed", store.work, store)
  end))

  it("can have many workers at once #D7", durable.with_store(kind, function(store)
    local runs, left, done = {}, 50, uvjobs.event()
    store:define("count", function(_, n)
      runs[n] = (runs[n] or 0) + 1
      uvjobs.sleep(0.001)
      left = left - 1
      if left == 0 then done:set() end
    end)
    local first <close> = durable.work(store, { queues = { default = 2 } })
    local second <close> = durable.work(store, { queues = { default = 2 } })
    for n = 1, 50 do store:enqueue("count", n) end
    done:wait()
    for n = 1, 50 do assert.equal(1, runs[n]) end
    assert.not_equal(first._process, second._process)
  end))
end
