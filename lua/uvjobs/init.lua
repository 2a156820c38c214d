-- uvjobs: a scheduler for jobs that are coroutines. The interface is described
-- in docs/api.md; what is hot is in the C module, what is policy is in Lua.

local core = require "uvjobs.core"
local arguments = require "uvjobs.arguments"

core.own_source()

local uvjobs = { _VERSION = "uvjobs 0.1.0" }

for _, name in ipairs {
  "await", "code", "current", "debug", "event", "fd", "mutex", "next_timeout",
  "now", "protect", "queue", "run", "scheduler", "semaphore", "sleep", "start",
  "stats", "step", "timeout", "work", "yield",
} do
  uvjobs[name] = core[name]
  core[name] = nil -- tracebacks name a function by the module that has it
end

-- Leaving the block of `local s <close>`: when all is well the jobs may finish;
-- when the block is left by an error, and when the job is cancelled while it
-- waits, they are closed, and that cannot be interrupted; where nothing can be
-- waited for, the closing is only begun. A nursery that failed
-- raises its error when that is why the block was left.
function core.types.Scheduler.__close(scheduler, err)
  local failed, failure = false, nil
  if err == nil then
    local ok
    ok, failure = pcall(core.wait_and_leave, scheduler)
    if ok then return end
    failed = true
  end
  if core.can_suspend() then
    uvjobs.protect(core.close_quietly, scheduler)
  else
    core.begin_close(scheduler)
  end
  if uvjobs.code(err) == "closed" then core.raise_failed(scheduler) end
  core.report_failed(scheduler)
  if failed then error(failure, 0) end
end

-- Calls fn(...) with a permit, or the lock, that is given back however it ends.
local function make_with(type_name)
  return function(self, fn, ...)
    local meta = debug.getmetatable(self)
    if not meta or meta.__name ~= type_name then
      arguments.fail_self(2, "with", type_name, self)
    end
    arguments.check_function(2, 1, "with", fn)
    core.check_suspend("with", 2)
    local _ <close> = self:permit()
    return fn(...)
  end
end

core.types.Semaphore.with = make_with "uvjobs.Semaphore"
core.types.Mutex.with = make_with "uvjobs.Mutex"

local context = {}

function context.__index(_, key)
  local values = core.get_context()
  if values then return values[key] end
end

function context.__newindex(_, key, value)
  if not uvjobs.current() then
    error("'context' must be set in a job", 2)
  elseif key == nil or key ~= key then
    error(("bad key for 'context' (%s)"):format(key == nil and "nil" or "NaN"), 2)
  end
  local values = {}
  for k, v in pairs(core.get_context() or {}) do values[k] = v end
  values[key] = value
  core.set_context(values)
end

function context.__pairs()
  local copy = {}
  for k, v in pairs(core.get_context() or {}) do copy[k] = v end
  return next, copy
end

context.__metatable = false

uvjobs.context = setmetatable({}, context)

require "uvjobs.concurrent" (uvjobs, core)
require "uvjobs.attach" (uvjobs, core)
require "uvjobs.luv_loading"

-- uvjobs.exec needs luv, which may be missing: it is loaded by the first call.
function uvjobs.exec(...)
  return require "uvjobs.exec" (...)
end

return uvjobs
