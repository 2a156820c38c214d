-- uvjobs: a scheduler for jobs that are coroutines. The interface is described
-- in docs/api.md; what is hot is in the C module, what is policy is here.

local core = require "uvjobs.core"

local uvjobs = {
  _VERSION = "uvjobs 0.1.0",
  await = core.await,
  code = core.code,
  current = core.current,
  debug = core.debug,
  event = core.event,
  now = core.now,
  protect = core.protect,
  run = core.run,
  scheduler = core.scheduler,
  sleep = core.sleep,
  timeout = core.timeout,
  yield = core.yield,
}

-- Leaving the block of `local s <close>`: when all is well the jobs may finish;
-- when the block is left by an error, and when the job is cancelled while it
-- waits, they are closed, and that cannot be interrupted.
function core.Scheduler.__close(scheduler, err)
  local failure
  if err == nil then
    local ok
    ok, failure = pcall(scheduler.wait_and_close, scheduler)
    if ok then return end
  end
  if uvjobs.current() then
    uvjobs.protect(scheduler.close, scheduler)
  else
    scheduler:close()
  end
  if failure ~= nil then error(failure, 0) end
end

return uvjobs
