--- cqueues in jobs. `require "uvjobs.cqueues"` gives cqueues; once it was loaded,
--- everything of cqueues that waits suspends the job that calls it. How it works
--- is in docs/design.md.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"

core.own_source()

local POLL <const> = cqueues._POLL

-- ---- a step that does not wait -----------------------------------------------------

-- cqueues wraps its own step: in a running controller that one polls first. The
-- one below it is the upvalue that it calls.
local function upvalue(fn, wanted)
  for i = 1, debug.getinfo(fn, "u").nups do
    local name, value = debug.getupvalue(fn, i)
    if name == wanted then return value, i end
  end
end

local function find_step()
  local step = debug.getmetatable(cqueues.new()).__index.step
  while step and debug.getinfo(step, "S").what ~= "C" do step = upvalue(step, "step") end
  return step
end

local step = assert(find_step(), "this release of cqueues is not known")

-- The jobs' own controller. What is wrapped in it runs between the turns of the
-- loop.
local controller = cqueues.new()

-- The one in whose step the loop runs. It goes on for as long as the loop does, so
-- nothing can be added to it.
local outer

-- Calls go_on(...) where cqueues believes that a controller is being stepped.
local function enter(go_on, ...)
  if cqueues.running() then return go_on(...) end
  local here = cqueues.new()
  outer = here
  here:wrap(go_on, ...)
  local ok, message = step(here, 0)
  outer = nil
  here:close()
  if not ok then error(message, 0) end
end

local running = cqueues.running

function cqueues.running()
  local cq, is_thread = running()
  if cq ~= nil and cq == outer then
    core.cq_touch() -- it is asked for to have something added
    return controller, is_thread
  end
  return cq, is_thread
end

-- A job in which this module was loaded goes on outside of a step until it has
-- suspended: then cqueues' own poll would block the thread.
local original_poll = cqueues.poll

local function poll_inside(...)
  if uvjobs.current() and not running() and core.can_suspend() then uvjobs.yield() end
  return original_poll(...)
end

cqueues.poll = poll_inside

-- Sockets have kept the original if they were loaded before.
local function replace_socket_poll()
  local methods = debug.getregistry()["CQS Socket"].__index
  local timed_poll = upvalue(methods.xread, "timed_poll")
  local poll, i = upvalue(timed_poll, "poll")
  if poll == original_poll then debug.setupvalue(timed_poll, i, poll_inside) end
end

local socket_type = require "cqueues.socket".type
replace_socket_poll()

-- ---- jobs that wait ----------------------------------------------------------------

---@class uvjobs.cqueues.Wait
---@field job? userdata the job, until it has left
---@field thread thread in the controller, which waits in its place
---@field left table a condition: signalled when the job has left

local by_job, by_thread = {}, {}
local free = {} -- conditions that nobody waits for
local MAX_FREE <const> = 1000

local function forget(wait)
  by_thread[wait.thread] = nil
  if wait.job then by_job[wait.job] = nil end
  if #free < MAX_FREE then free[#free + 1] = wait.left end
end

-- The signal of a condition that has come to a job which is to end, or has left, is
-- for the next one that waits for it.
local function signal_next(wait, ...)
  for i = 1, select("#", ...) do
    local object = select(i, ...)
    if object ~= wait.left and condition.type(object) == "condition" then
      object:signal(1)
    end
  end
end

local function pass_on(wait, ...)
  local job = wait.job
  if not (job and core.cq_wake(job, ...)) then signal_next(wait, ...) end
  forget(wait)
end

-- Objects that cannot be polled end the coroutine that polls them. The errors of
-- others are nobody's.
local function fail(message, thread)
  local wait = by_thread[thread]
  if not wait then error(message, 0) end
  local job = wait.job
  forget(wait)
  if job then core.cq_fail(job, message) end
end

-- Steps the controller until there is no error left.
local function step_all()
  repeat
    local ok, message, _, thread = step(controller, 0)
    if not ok then fail(message, thread) end
  until ok
end

-- What is ready stays ready, with these: they need not be waited for at once. A
-- condition that is signalled must not be missed.
local function can_wait(objects)
  for i = 1, objects.n do
    local object = objects[i]
    if type(object) ~= "number" and socket_type(object) ~= "socket" then
      return false
    end
  end
  return true
end

-- What is wrong with an object, or nil. cqueues would raise in the middle of a step
-- for some, and never be fit for another step.
local function wrong(object)
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

-- A coroutine waits for what the job waits for, and for the job to leave. The
-- controller starts it without arguments. Who polls nothing only gives way.
local function poll(job, ...)
  local objects = table.pack(...)
  if objects.n == 0 then return core.cq_wake(job) end
  for i = 1, objects.n do
    local message = wrong(objects[i])
    if message then return core.cq_fail(job, message) end
  end
  local wait = { job = job, left = table.remove(free) or condition.new() }
  wait.thread = coroutine.create(function()
    pass_on(wait, coroutine.yield(POLL, wait.left,
      table.unpack(objects, 1, objects.n)))
  end)
  by_job[job], by_thread[wait.thread] = wait, wait
  controller:attach(wait.thread)
  if not can_wait(objects) then step_all() end
end

-- Its wait is withdrawn before the job goes on: it may close what it waited for.
local function leave(job)
  local wait = by_job[job]
  if not wait then return end
  by_job[job], wait.job = nil, nil
  wait.left:signal()
  step_all()
end

-- What the loop calls; returns when to do so again, and how many coroutines wait.
local function look()
  step_all()
  return controller:timeout(), controller:count()
end

core.cqueues_step = step
core.cq_open(POLL, controller:pollfd(), enter, poll, leave, look)

return cqueues
