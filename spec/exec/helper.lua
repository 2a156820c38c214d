--- What the specs of uvjobs.exec share: processes that are hard to end, and what the
--- system knows of one.
local assert = require "luassert"
local luv = require "luv"
local uvjobs = require "uvjobs"

local helper = {}

--- A script for sh that prints its process number, ignores SIGTERM and never ends.
helper.STUBBORN = "trap '' TERM; echo $$; while :; do sleep 0.05; done"

--- Whether the system knows the process. It does so also after the end of a child of ours, until
--- we have read its status.
function helper.exists(pid)
  return luv.kill(pid, 0) == 0
end

--- Whether the process runs. One that has ended is known until its parent has read its status.
function helper.runs(pid)
  local file = io.open(("/proc/%d/stat"):format(pid))
  if not file then return false end
  local state = file:read("a"):match "%) (%a)"
  file:close()
  return state ~= "Z" and state ~= "X"
end

--- Suspends the job until condition(...) holds.
function helper.wait_until(condition, ...)
  for _ = 1, 6000 do
    if condition(...) then return end
    uvjobs.sleep(0.005)
  end
  assert.is_true(false, "half a minute was not enough")
end

return helper
