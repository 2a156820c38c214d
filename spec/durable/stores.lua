--- The stores that the conformance suite runs with: those that are there. Each is a table of
---   name
---   virtual: whether it runs under the virtual clock
---   new(): a place for a new store: a table of `where`, `options`, and `remove()`
---   die(store, process): makes a process of a store dead, as its death would, and has that noticed
local uvjobs = require "uvjobs"

local stores = {}

-- A process that says nothing more is dead when its lease is over; another one notices.
local function die_by_lease(store)
  local other = store:_call { op = "join", lease = 60000000 }
  uvjobs.sleep(2.5)
  store:_call { op = "beat", process = other, lease = 60000000 }
  store:_call { op = "leave", process = other }
end

stores.LEASE = 2000000 -- microseconds, of processes that are to die

stores[#stores + 1] = {
  name = "memory", virtual = true,
  new = function() return { where = "memory:", remove = function() end } end,
  die = function(store, process) store:_call { op = "die", process = process } end,
}

if package.searchpath("uvjobs.store.sqlite", package.cpath) then
  stores[#stores + 1] = {
    name = "sqlite", virtual = true,
    new = function()
      local path = os.tmpname()
      os.remove(path)
      return {
        where = "sqlite:" .. path, path = path,
        remove = function()
          for _, ending in ipairs { "", "-wal", "-shm", "-lock" } do os.remove(path .. ending) end
        end,
      }
    end,
    die = die_by_lease,
  }
end

return stores
