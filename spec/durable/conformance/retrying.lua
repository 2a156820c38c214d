local durable = require "spec.durable.helper"
local uvjobs = require "uvjobs"

return function(kind)
  it("tries again what fails, and at most so many times in all #D11", durable.with_store(kind,
    function(store)
      local attempts, reports = {}, {}
      store:define("fails", { attempts = 4, backoff = 0 }, function(task)
        attempts[#attempts + 1] = task.attempt
        error({ n = #attempts }, 0)
      end)
      local id = store:enqueue "fails"
      local _ <close> = durable.work(store, {}, reports)
      assert.equal("dead", store:wait(id))
      assert.same({ 1, 2, 3, 4 }, attempts)
      local task = store:get(id)
      assert.same({ "failed", 4, 4 }, { task.reason, task.attempt, #task.errors })
      assert.equal(1, #reports)
      assert.equal("A task is dead", reports[1].message)
      assert.equal(4, reports[1].exception.n)
    end))

  it("waits at least the back-off before the next attempt #D11", durable.with_store(kind,
    function(store)
      local times, unit = {}, durable.unit(kind)
      store:define("fails", {
        attempts = 3, backoff = { base = unit, factor = 2, jitter = "none" },
      }, function()
        times[#times + 1] = uvjobs.time()
        error "no"
      end)
      local id = store:enqueue "fails"
      local _ <close> = durable.work(store)
      store:wait(id)
      assert.is_true(times[2] - times[1] >= unit - 0.001)
      assert.is_true(times[3] - times[2] >= 2 * unit - 0.001)
    end))

  it("keeps the last ten errors with their tracebacks #D11", durable.with_store(kind,
    function(store)
      store:define("fails", { attempts = 13, backoff = 0 }, function(task)
        error("attempt " .. task.attempt .. " \xff\n.")
      end)
      local id = store:enqueue "fails"
      local _ <close> = durable.work(store)
      store:wait(id)
      local errors = store:get(id).errors
      assert.equal(10, #errors)
      for i, err in ipairs(errors) do
        assert.equal(i + 3, err.attempt)
        assert.truthy(err.message:find("attempt " .. i + 3 .. " ?\n.", 1, true))
        assert.truthy(err.traceback:find "conformance/retrying")
        assert.is_number(err.at)
      end
    end))

  it("gives each attempt its errors #D11", durable.with_store(kind, function(store)
    local seen
    store:define("fails", { attempts = 3, backoff = 0 }, function(task)
      seen = #task.errors
      if task.attempt < 3 then error "no" end
    end)
    local id = store:enqueue "fails"
    local _ <close> = durable.work(store)
    assert.equal("done", store:wait(id))
    assert.equal(2, seen)
  end))

  it("fails an attempt that takes longer than its timeout #D11", durable.with_store(kind,
    function(store)
      store:define("long", { attempts = 2, backoff = 0, timeout = durable.unit(kind) }, function()
        uvjobs.sleep(3600)
      end)
      local id = store:enqueue "long"
      local _ <close> = durable.work(store)
      assert.equal("dead", store:wait(id))
      assert.equal("timeout", store:get(id).errors[2].code)
    end))

  it("never runs a task again that is done, dead or cancelled #D6", durable.with_store(kind,
    function(store)
      local runs = 0
      store:define("once", { attempts = 1, keep_done = 600 }, function(_, what)
        runs = runs + 1
        if what == "fail" then error "no" end
      end)
      local ids = { store:enqueue("once", "do"), store:enqueue("once", "fail") }
      ids[3] = store:enqueue("once", nil, { delay = 3600 })
      store:cancel(ids[3])
      local _ <close> = durable.work(store)
      for _, id in ipairs(ids) do store:wait(id) end
      uvjobs.sleep(3 * durable.unit(kind))
      assert.equal(2, runs)
    end))

  it("runs a dead task again when it is asked to, with all attempts #D11", durable.with_store(kind,
    function(store)
      local runs = 0
      store:define("fails", { attempts = 2, backoff = 0 }, function()
        runs = runs + 1
        if runs < 4 then error "no" end
      end)
      local id = store:enqueue "fails"
      local _ <close> = durable.work(store)
      assert.equal("dead", store:wait(id))
      assert.is_true(store:retry(id))
      assert.equal("done", store:wait(id))
      assert.equal(4, runs)
      local ok, why = store:retry(id) -- it is not kept
      assert.is_nil(ok)
      assert.equal("gone", why)
    end))

  it("takes a task whose arguments cannot be read for dead, and goes on", durable.with_store(kind,
    function(store)
      local ran = uvjobs.event()
      store:define("kind", function() ran:set() end)
      local id = durable.put(store, { args = '{"a":' })
      durable.put(store)
      local _ <close> = durable.work(store)
      assert.equal("dead", store:wait(id))
      assert.equal("corrupt", store:get(id).reason)
      assert.truthy(store:get(id).errors[1].message:find "cannot be read")
      assert.is_true(ran:wait())
    end))
end
