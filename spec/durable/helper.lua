--- What specs of durable jobs share.
local durable = require "uvjobs.durable"
local uvjobs = require "uvjobs"

local helper = {}

--- A spec with an open store: fn(store, kind, place). `kind` is an element of stores.lua.
function helper.with_store(kind, fn, options)
  return function()
    local place = kind.new()
    uvjobs.run({ clock = kind.virtual and "virtual" or "real" }, function()
      local store <close> = durable.open(place.where, options or place.options)
      fn(store, kind, place)
    end)
    place.remove()
  end
end

--- How many seconds a unit of time is: a spec must not take long by the real clock.
function helper.unit(kind)
  return kind.virtual and 10 or 0.05
end

--- A task as the engine is given it.
function helper.raw(fields)
  local one = {
    kind = "kind", queue = "default", args = "null", priority = 5, attempts = 3,
    most_crashes = 3, keep_done = 60000000, keep_dead = 60000000,
  }
  for name, value in pairs(fields or {}) do one[name] = value end
  return one
end

--- Stores one task by the engine; returns its id and whether it is new.
function helper.put(store, fields)
  local answer = store:_call({ op = "enqueue", tasks = { helper.raw(fields) } })[1]
  return answer[1], answer[2]
end

--- A new process of a store.
function helper.join(store, lease)
  return store:_call { op = "join", lease = lease or 60000000 }
end

--- Claims tasks of the kind "kind"; returns the list, and all that the engine has answered.
function helper.claim(store, process, n, want)
  want = want or {}
  local result = store:_call {
    op = "claim", process = process, lease = want.lease or 60000000,
    kinds = want.kinds or { "kind" }, suspects = want.suspects or 1,
    wants = { { queue = want.queue or "default", n = n or 1, aging = want.aging,
      key_limit = want.key_limit, keys = want.keys } },
  }
  return result.tasks, result
end

--- Settles one task; returns whether the fence held.
function helper.settle(store, row, outcome, fields)
  local how = { id = row.id, lease = row.lease, outcome = outcome }
  for name, value in pairs(fields or {}) do how[name] = value end
  return store:_call({ op = "settle", process = row.process, list = { how } })[1]
end

--- The ids of tasks.
function helper.ids(rows)
  local ids = {}
  for i, row in ipairs(rows) do ids[i] = row.id end
  return ids
end

--- A worker whose reports are ignored, or put into a list.
function helper.work(store, options, reports)
  options = options or {}
  options.exception_handler = function(_, context)
    if reports then reports[#reports + 1] = context end
  end
  return store:work(options)
end

return helper
