-- A drop-in for Lua's own `coroutine`. What a coroutine does that a job resumes
-- by these functions, the job does: it may sleep, wait, be preempted and be
-- stopped there. Elsewhere they do what Lua's own do.

local core = require "uvjobs.core"

return {
  close = core.coroutine.close,
  create = coroutine.create,
  isyieldable = coroutine.isyieldable,
  resume = core.coroutine.resume,
  running = coroutine.running,
  status = core.coroutine.status,
  wrap = core.coroutine.wrap,
  yield = coroutine.yield,
}
