-- `require "uvjobs.coroutine"`: takes the place of Lua's own `coroutine`. A coroutine that a
-- job resumes by these functions acts for the job: in it the job may sleep, wait, be
-- preempted and be killed. Outside of jobs they do the same as Lua's own.

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
