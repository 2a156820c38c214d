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

--- The path of a new database, which is not there yet.
function stores.new_path()
  local path = os.tmpname()
  os.remove(path)
  return path .. ".db"
end

--- Removes a database.
function stores.remove(path)
  for _, ending in ipairs { "", "-wal", "-shm", "-lock" } do os.remove(path .. ending) end
end

stores.LEASE = 2000000 -- microseconds, of processes that are to die

stores[#stores + 1] = {
  name = "memory", virtual = true,
  new = function() return { where = "memory:", remove = function() end } end,
  die = function(store, process) store:_call { op = "die", process = process } end,
}

local function new_file()
  local path = stores.new_path()
  return {
    where = "sqlite:" .. path, path = path, remove = function() stores.remove(path) end,
  }
end

-- By the real clock its engine is in a thread.
if package.searchpath("uvjobs.store.sqlite", package.cpath) then
  stores[#stores + 1] = { name = "sqlite", virtual = true, new = new_file, die = die_by_lease }
  stores[#stores + 1] = {
    name = "sqlite in a thread", virtual = false, new = new_file, die = die_by_lease,
  }
end

-- A schema of its own on the server that UVJOBS_POSTGRES names.
if os.getenv "UVJOBS_POSTGRES" and
  package.searchpath("uvjobs.store.postgres", package.cpath) then
  stores[#stores + 1] = {
    name = "postgres", virtual = false, new = require "spec.durable.postgres.server".new_place,
    die = die_by_lease,
  }
end

return stores
