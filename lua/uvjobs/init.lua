-- `require "uvjobs"`: a scheduler for jobs that are coroutines. docs/api.md describes the
-- interface. Functions that are called often are in the C module uvjobs.core; this
-- module adds those that are rules about several of them.

require "uvjobs.release"

local core = require "uvjobs.core"
local arguments = require "uvjobs.arguments"

core.own_source()

local uvjobs = core.public
uvjobs._VERSION = "uvjobs 0.1.0"

-- Ends the block of `local s <close>`. A block that is left without an error waits until
-- the jobs have finished. When it is left by an error, or its job is cancelled while it
-- waits, the jobs are closed, which cannot be interrupted; where the caller cannot
-- suspend, closing them is only begun. The error of a nursery that failed takes the
-- place of the `closed` that its owner has met in the block.
function core.types.Scheduler.__close(scheduler, err)
  local ok, failure = true, nil
  if err == nil then
    ok, failure = pcall(core.wait_and_leave, scheduler)
    if ok then return end
  end
  if core.can_suspend() then
    uvjobs.protect(core.close_quietly, scheduler)
  else
    core.begin_close(scheduler)
  end
  if uvjobs.code(err) == "closed" then core.raise_failed(scheduler) end
  core.report_failed(scheduler)
  if not ok then error(failure, 0) end
end

-- Makes the method with(fn, ...) of semaphores and mutexes: it calls fn(...) with a
-- permit, or with the lock, and gives that back however fn ends.
local function new_with(type_name)
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

core.types.Semaphore.with = new_with "uvjobs.Semaphore"
core.types.Mutex.with = new_with "uvjobs.Mutex"

-- uvjobs.context: the values of the current job, as a table. Jobs share the table of
-- values that they were spawned with, so setting a value makes a new one.
local context = {}

function context.__index(_, key)
  local values = core.get_context()
  if values then return values[key] end
end

local function copy_of_values()
  local copy = {}
  for key, value in pairs(core.get_context() or {}) do copy[key] = value end
  return copy
end

function context.__newindex(_, key, value)
  if not uvjobs.current() then
    error("'context' must be set in a job", 2)
  elseif key == nil or key ~= key then
    error(("bad key for 'context' (%s)"):format(key == nil and "nil" or "NaN"), 2)
  end
  local values = copy_of_values()
  values[key] = value
  core.set_context(values)
end

function context.__pairs()
  return next, copy_of_values()
end

context.__metatable = false

uvjobs.context = setmetatable({}, context)

require "uvjobs.concurrent"
require "uvjobs.nursery"
require "uvjobs.select"
require "uvjobs.attach"
require "uvjobs.luv_loading"
require "uvjobs.whole"

-- Repetition needs the module of schedules: it is loaded by the first call. The method
-- is a tail call, so that errors blame its caller.
for _, name in ipairs { "every", "cron", "at", "repeating" } do
  core.types.scheduler_methods[name] = function(...)
    return require "uvjobs.repeating"[name](...)
  end
end

function uvjobs.retry(...)
  return require "uvjobs.policy.retry".call(...)
end

-- A look at the jobs is seldom wanted: its module is loaded by the first one.
function uvjobs.dump(...)
  return require "uvjobs.insight".dump(...)
end

function uvjobs.progress(...)
  return require "uvjobs.progress" (...)
end

core.set_dump_writer(function(...) io.stderr:write(require "uvjobs.insight.dump".text(...)) end)
core.set_answerer(function(...) return require "uvjobs.inspect.answer"(...) end)
core.set_actor(function(...) return require "uvjobs.inspect.act"(...) end)
core.set_circles(function() return require "uvjobs.insight.dump".circles() end)

-- uvjobs.exec needs luv, which may be missing: it is loaded by the first call.
function uvjobs.exec(...)
  return require "uvjobs.exec" (...)
end

-- So are supervisors, which few programs have.
function uvjobs.supervisor(...)
  return require "uvjobs.supervisor" (...)
end

-- And workers: threads with a loop each.
function uvjobs.workers(...)
  local workers = require "uvjobs.workers" (...)
  return workers -- no tail call: errors blame the caller
end

return uvjobs
