-- Calls of a store are cancelled and killed wherever they suspend (D28).

pcall(require, "uvjobs.store.sqlite")
pcall(require, "uvjobs.store.postgres")
require "uvjobs.schedule"

local base = require "spec.helper"
local core = require "uvjobs.core"
local durable = require "uvjobs.durable"
local spec = require "spec.durable.helper"
local stores = require "spec.durable.stores"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local every = require "uvjobs.schedule".every

-- ---- calls one by one --------------------------------------------------------------

-- All that a program calls, in a store that is open and has no worker, so nothing runs but these
-- calls.
local function call_all(store, kind)
  local id = store:enqueue("step", 1)
  store:enqueue("step", 2, { key = "k", on_key = "replace" })
  store:enqueue("step", 3, { key = "k", on_key = "debounce", delay = 60 })
  store:enqueue_all { { "step", 2 }, { "step", 3, { delay = 10 } } }
  store:transaction(function(tx)
    tx:enqueue("step", 4)
    if kind.name ~= "memory" then tx:execute "SELECT 1" end
    uvjobs.yield()
    tx:enqueue("step", 5)
  end)
  if kind.name ~= "memory" then store:sql_for("step", 1) end
  store:schedule("often", every(3600), "step")
  store:schedules()
  store:unschedule "often"
  store:wait(id, 0.01)
  for task in store:tasks { limit = 3 } do store:get(task.id) end
  store:pause "default"
  store:resume "default"
  store:cancel(id)
  store:retry(id)
  store:prune()
  store:stats()
end

-- The store goes on: it is not in a transaction, and does what it is asked for.
local function check(store)
  local id, is_new = store:enqueue "step"
  assert.is_true(is_new)
  assert.equal("ready", store:get(id).state)
  store:transaction(function(tx) tx:enqueue "step" end)
end

local function open_with_kind(place)
  local store = durable.open(place.where, place.options)
  store:define("step", function() end)
  store:schedule("always", every(3600), "step") -- what looks after schedules lives from now on
  return store
end

-- ---- all together ------------------------------------------------------------------

-- All that a program does with a store, from opening to closing, with a worker.
local function use(kind, place)
  local unit = spec.unit(kind)
  local store <close> = durable.open(place.where, place.options)
  store:define("step", { backoff = 0 }, function(task)
    task:save { task.attempt }
    uvjobs.sleep(unit)
    if task.attempt < 2 then error "again" end
  end)
  local id = store:enqueue("step", 1)
  store:enqueue_all { { "step", 2 }, { "step", 3, { delay = 10 } } }
  store:transaction(function(tx)
    tx:enqueue("step", 4)
    uvjobs.sleep(unit / 10)
    tx:enqueue("step", 5)
  end)
  do
    local _ <close> = store:work {
      queues = { default = 2 }, wait_timeout = unit, exception_handler = base.ignore,
    }
    store:wait(id)
    for task in store:tasks() do store:get(task.id) end
    store:cancel(3)
    uvjobs.sleep(unit)
  end
  store:prune()
end

-- As testing.cancel_everywhere() kills, but for what a job that is killed leaves behind: it cannot
-- suspend, so the store and its worker close by themselves. That ends, and is waited for.
local function kill_everywhere(fn, ...)
  local n, is_killed = 0
  repeat
    n = n + 1
    local contexts = {}
    local jobs = uvjobs.scheduler {
      close_timeout = 20, exception_handler = base.recorder(contexts, "message"),
    }
    local job = jobs:spawn(fn, ...)
    core.inject(job, n, true)
    job:join()
    is_killed = core.injected() ~= nil
    jobs:close()
    if not is_killed then job:wait() end
    while #testing.leaks() > 0 do uvjobs.sleep(0.01) end
    for _, message in ipairs(contexts) do assert.equal("Job closing timed out", message) end
  until not is_killed
  return n - 1
end

-- Calls fn() in a run, with a new place.
local function with_place(kind, fn)
  return function()
    local place = kind.new()
    uvjobs.run({ clock = kind.virtual and "virtual" or "real" }, fn, place)
    place.remove()
  end
end

for _, kind in ipairs(stores) do
  describe("the calls of a store, " .. kind.name .. ",", function()
    after_each(base.check_clean)

    for by, what in pairs { cancel = "cancelled", kill = "killed" } do
      it(("are %s wherever they suspend, and the store goes on #M5 #M6 #D28"):format(what),
        with_place(kind, function(place)
          local store <close> = open_with_kind(place)
          local count = testing.cancel_everywhere({
            by = by, close_timeout = 20, check = function() check(store) end,
          }, function() call_all(store, kind) end)
          assert.is_true(count >= (kind.virtual and 2 or 20), count)
        end))

      it(("are %s wherever they suspend: task:save() #M5 #M6 #D17 #D28"):format(what),
        with_place(kind, function(place)
          local store <close> = durable.open(place.where, place.options)
          local count, saved
          store:define("step", { keep_done = 3600 }, function(task)
            count = testing.cancel_everywhere({ by = by, close_timeout = 20 }, function()
              task:save "all of it"
            end)
            saved = store:get(task.id).saved
          end)
          local id = store:enqueue "step"
          local _ <close> = store:work()
          assert.equal("done", store:wait(id))
          assert.equal("all of it", saved)
          assert.is_true(count >= (kind.virtual and 0 or 1), count)
        end))
    end

    it("are cancelled from opening to closing, and leave nothing #M5 #M6 #D28", with_place(kind,
      function(place)
        local count = testing.cancel_everywhere({ close_timeout = 20 },
          function() use(kind, place) end)
        assert.is_true(count >= (kind.virtual and 3 or 10), count)
      end))

    it("are killed from opening to closing, and what is left ends #M5 #M6 #D28", with_place(kind,
      function(place)
        assert.is_true(kill_everywhere(use, kind, place) >= (kind.virtual and 3 or 10))
      end))
  end)
end
