--- `require "uvjobs.cqueues"`: cqueues in jobs. It returns cqueues. When it has been
--- loaded, every function of cqueues that waits suspends the job that calls it.
--- docs/design.md describes how it works.
local cqueues = require "uvjobs.needs" ("uvjobs.cqueues", "cqueues")
local condition = require "cqueues.condition"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local insides = require "uvjobs.cqueues.insides"
local noted_events = require "uvjobs.cqueues.noted_events"
require "uvjobs.cqueues.debian"
require "uvjobs.cqueues.whole"

core.own_source()

local POLL <const> = cqueues._POLL

local step, upvalue_of = insides.step, insides.upvalue_of

-- ---- controllers ---------------------------------------------------------------------

-- The controller in which coroutines wait for what jobs wait for, and in which
-- coroutines run that jobs wrap. The loop steps it between its turns.
local controller = cqueues.new()

-- The controller in whose step the loop runs. That step lasts for as long as the loop
-- runs, so nothing can be added to it.
local outer

-- Calls run_loop(...) in a step of a controller: there cqueues lets coroutines poll.
local function run_in_step(run_loop, ...)
  if cqueues.running() then return run_loop(...) end
  local new = cqueues.new()
  outer = new
  new:wrap(run_loop, ...)
  local ok, message = step(new, 0)
  outer = nil
  new:close()
  if not ok then error(message, 0) end
end

local running = cqueues.running

function cqueues.running()
  local stepped, is_thread = running()
  if stepped ~= nil and stepped == outer then
    core.cqueues.touch() -- the caller will add something, which the loop has to step
    return controller, is_thread
  end
  return stepped, is_thread
end

-- The job that has loaded this module runs outside of a step until it suspends. There
-- cqueues' own poll would block the thread.
local original_poll = cqueues.poll

local function poll_in_step(...)
  if uvjobs.current() and not running() and core.can_suspend() then
    return coroutine.yield(POLL, ...)
  end
  return original_poll(...)
end

cqueues.poll = poll_in_step

-- cqueues.socket keeps poll() in an upvalue, which has the original when cqueues.socket
-- was loaded before this module.
local function replace_socket_poll()
  local methods = debug.getregistry()["CQS Socket"].__index
  local timed_poll = upvalue_of(methods.xread, "timed_poll")
  local poll, i = upvalue_of(timed_poll, "poll")
  if poll == original_poll then debug.setupvalue(timed_poll, i, poll_in_step) end
end

local socket_type = require "cqueues.socket".type
replace_socket_poll()

-- ---- jobs that wait ----------------------------------------------------------------

---@class uvjobs.cqueues.Wait
---@field job? uvjobs.Job the job that waits; nil when it has stopped waiting
---@field thread thread a coroutine in the controller, which polls in its place
---@field withdrawn table a condition: signalled when the job has stopped waiting

local waits_by_job, waits_by_thread = {}, {}
local free_conditions = {} -- to be used by later waits
local MAX_FREE <const> = 1000

local function end_wait(wait)
  waits_by_thread[wait.thread] = nil
  if wait.job then waits_by_job[wait.job] = nil end
  if #free_conditions < MAX_FREE then
    free_conditions[#free_conditions + 1] = wait.withdrawn
  end
end

-- Signals the conditions among the objects again, for the next that waits for each: the
-- job has stopped waiting, or is to end, and has no use for the signal.
local function signal_next(wait, ...)
  for i = 1, select("#", ...) do
    local object = select(i, ...)
    if object ~= wait.withdrawn and condition.type(object) == "condition" then
      object:signal(1)
    end
  end
end

-- Wakes the job with the objects that are ready.
local function wake_job(wait, ...)
  local job = wait.job
  if not (job and core.cqueues.wake(job, ...)) then signal_next(wait, ...) end
  end_wait(wait)
end

-- Raises the error of a coroutine in the job that it polls for: cqueues ends a coroutine
-- that polls what cannot be polled. The error of a coroutine that was wrapped is no
-- job's, and is raised here.
local function raise_in_job(message, thread)
  local wait = waits_by_thread[thread]
  if not wait then error(message, 0) end
  local job = wait.job
  end_wait(wait)
  if job then core.cqueues.fail(job, message) end
end

-- Steps the controller; an error ends a step early, so it steps again after each.
local function step_all()
  repeat
    local ok, message, _, thread = step(controller, 0)
    if not ok then raise_in_job(message, thread) end
  until ok
end

-- Whether the controller may begin to poll the objects later, when the loop steps it:
-- sockets and time limits stay ready, and what a socket is polled for was noted. The signal
-- of a condition would be missed.
local function can_poll_later(objects)
  for i = 1, objects.n do
    local object = objects[i]
    if type(object) ~= "number" and socket_type(object) ~= "socket" then
      return false
    end
  end
  return true
end

-- Returns why an object cannot be polled, or nil. For some such objects cqueues would
-- raise in the middle of a step, and the controller could not be stepped any more.
local function problem_of(object)
  if type(object) == "number" or object == nil then return nil end
  local ok, fd = pcall(function()
    local _, _ = object.events, object.timeout
    local pollfd = object.pollfd
    if type(pollfd) == "function" then return pollfd(object) end
    return pollfd
  end)
  if not ok then
    return ("cannot poll %s: %s"):format(core.typename(object), tostring(fd))
  end
  if type(fd) == "number" and not math.tointeger(fd) then
    return ("cannot poll %s: its descriptor is %s"):format(core.typename(object), fd)
  end
end

-- Called when a job polls: makes a coroutine that polls the same objects in the
-- controller, and a condition by which the wait is withdrawn. A job that polls nothing
-- is woken at once: it only yields.
local function begin_wait(job, ...)
  local objects = table.pack(...)
  if objects.n == 0 then return core.cqueues.wake(job) end
  for i = 1, objects.n do
    local problem = problem_of(objects[i])
    if problem then return core.cqueues.fail(job, problem) end
  end
  local wait = { job = job, withdrawn = table.remove(free_conditions) or condition.new() }
  local later = can_poll_later(objects)
  local noted = later and noted_events.of(objects)
  -- The controller starts it without arguments, so it finds them in upvalues.
  wait.thread = coroutine.create(function()
    local sockets = noted and noted_events.restore(objects, noted)
    wake_job(wait, noted_events.originals(sockets, coroutine.yield(POLL, wait.withdrawn,
      table.unpack(objects, 1, objects.n))))
  end)
  waits_by_job[job], waits_by_thread[wait.thread] = wait, wait
  controller:attach(wait.thread)
  if not later then step_all() end
end

-- Called when a job stops waiting early. The controller must let go of the objects before
-- the job goes on, because the job may close them.
local function withdraw(job)
  local wait = waits_by_job[job]
  if not wait then return end
  waits_by_job[job], wait.job = nil, nil
  wait.withdrawn:signal()
  step_all()
end

-- Called by the loop. Returns the seconds until it has to be called again, or nil, and how
-- many coroutines the controller has.
local function step_controller()
  step_all()
  return controller:timeout(), controller:count()
end

core.cqueues.open(POLL, controller:pollfd(), run_in_step, begin_wait, withdraw,
  step_controller)

return cqueues
