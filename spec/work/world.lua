--- What the specs of work share: functions for other threads, which must have
--- no upvalues, and files by which they meet the jobs.
local uvjobs = require "uvjobs"

local world = {}

--- How many threads there are: as many as processors, and two at least.
world.threads = math.max(io.popen "nproc":read "n", 2)

--- The name of a file that does not exist.
function world.absent()
  local path = os.tmpname()
  os.remove(path)
  return path
end

function world.create(path)
  assert(io.open(path, "w")):close()
end

function world.exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- ---- what runs in the pool: functions without upvalues ----------------------

function world.nothing() end

function world.endless()
  while true do end
end

--- Creates the file `mine`, which says that it runs, and waits until the file `other` is there.
function world.meet(mine, other)
  assert(io.open(mine, "w")):close()
  while true do
    local file = io.open(other)
    if file then return file:close() end
  end
end

--- The same, but by a C function, which cannot be stopped.
function world.block(mine, other)
  os.execute(("touch %s; while [ ! -e %s ]; do sleep 0.01; done"):format(mine, other))
end

-- ---- in jobs ----------------------------------------------------------------

--- Suspends the job until the file exists.
function world.wait_for(path)
  while not world.exists(path) do uvjobs.yield() end
end

--- Suspends the job until nothing runs in the pool.
function world.drain()
  while uvjobs.stats().work > 0 do uvjobs.yield() end
end

--- Calls fn(free) while every thread of the pool is taken; free() frees them.
function world.with_full_pool(fn)
  local jobs <close> = uvjobs.scheduler { limit = math.huge }
  local gate, started = world.absent(), {}
  for i = 1, world.threads do
    started[i] = world.absent()
    jobs:spawn(uvjobs.work, world.meet, started[i], gate)
  end
  for i = 1, world.threads do
    world.wait_for(started[i])
    os.remove(started[i])
  end
  fn(function() world.create(gate) end)
  jobs:wait_and_close()
  os.remove(gate)
end

return world
