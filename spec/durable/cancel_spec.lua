-- Calls of a store are cancelled wherever they suspend.

pcall(require, "uvjobs.store.sqlite")

local base = require "spec.helper"
local durable = require "uvjobs.durable"
local stores = require "spec.durable.stores"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

-- All that a program does with a store.
local function use(where)
  local store <close> = durable.open(where)
  store:define("step", { backoff = 0 }, function(task)
    task:save { task.attempt }
    uvjobs.sleep(1)
    if task.attempt < 2 then error "again" end
  end)
  local id = store:enqueue("step", 1)
  store:enqueue_all { { "step", 2 }, { "step", 3, { delay = 10 } } }
  store:transaction(function(tx)
    tx:enqueue("step", 4)
    uvjobs.sleep(0.5)
    tx:enqueue("step", 5)
  end)
  do
    local _ <close> = store:work { queues = { default = 2 }, exception_handler = base.ignore }
    store:wait(id)
    for task in store:tasks() do store:get(task.id) end
    store:pause "default"
    store:resume "default"
    store:cancel(3)
    store:retry(3)
    uvjobs.sleep(5)
  end
  store:prune()
  store:stats()
end

describe("the calls of a store", function()
  after_each(base.check_clean)

  for _, kind in ipairs(stores) do
    if kind.virtual then
      it(("are cancelled wherever they suspend, and leave nothing: %s #M5 #M6 #D28")
        :format(kind.name), function()
        local place = kind.new()
        local count = testing.cancel_everywhere({
          close_timeout = 20, setup = function() place.remove() end,
        }, function() use(place.where) end)
        assert.is_true(count >= 4)
        place.remove()
      end)
    end
  end
end)
