-- Deleting tasks that have ended and been kept long enough: a few at a time, so that nobody waits
-- for it (D22).

local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

local prune = {}

local MOST <const> = 1000  -- tasks at once
local PAUSE <const> = 0.05 -- seconds between them
local PERIOD <const> = 60  -- seconds

--- Deletes all that there is to delete. Suspends.
---@param store table
---@param patience? table as for the port
---@return integer count
function prune.all(store, patience)
  local count = 0
  while true do
    local n = store:_call({ op = "prune", most = MOST }, patience)
    count = count + n
    if n < MOST then return count end
    uvjobs.sleep(PAUSE)
  end
end

--- Does so for ever. Under the virtual clock only after something has ended: so years pass in no
--- time.
---@param work table of worker.lua
function prune.go_on(work)
  while true do
    if core.is_virtual() then
      work._has_ended:wait()
      work._has_ended:clear()
    end
    uvjobs.sleep(PERIOD * (0.9 + 0.2 * core.random()))
    local ok, err = pcall(prune.all, work._store, work._patience)
    if not ok and (core.interrupted() or uvjobs.code(err) ~= "unavailable") then error(err, 0) end
  end
end

return prune
