-- A scheduler runs 100 jobs at once; after 5 seconds those that are still
-- asleep are cancelled, and the scheduler waits until they have ended.
--
--   script/run examples/01_quickstart.lua
--   uvjobs examples/01_quickstart.lua       -- with the rock installed

local uvjobs = require "uvjobs"

--- Returns how many of the jobs are in this state.
local function count(jobs, state)
  local n = 0
  for _, job in ipairs(jobs) do
    if job.state == state then n = n + 1 end
  end
  return n
end

local function main()
  local scheduler <close> = uvjobs.scheduler { limit = 100 }
  local jobs = {}
  for i = 0, 99 do
    jobs[#jobs + 1] = scheduler:spawn(uvjobs.sleep, i / 10)
  end
  print(#scheduler .. " jobs spawned")

  uvjobs.sleep(5)
  print(("after 5 s: %d done, %d still asleep"):format(count(jobs, "done"), #scheduler))

  scheduler:close()
  print(("closed: %d done, %d cancelled, %d failed, %d left"):format(count(jobs, "done"),
    count(jobs, "cancelled"), count(jobs, "failed"), #scheduler))
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
