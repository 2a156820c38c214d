-- What all, race, map and their like have in common: they call functions as children of
-- the current job. The children live in a nursery that is closed when the call ends,
-- however it ends: so none of them outlives the call.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

local fail, unexpected = arguments.fail, arguments.unexpected

local children = {}

-- This blames the caller of the public function that calls it.
function children.check_functions(fns, name, least)
  if type(fns) ~= "table" then fail(3, 1, name, unexpected("list of functions", fns)) end
  for i = 1, #fns do
    if type(fns[i]) ~= "function" then
      fail(3, 1, name, arguments.unexpected_element("function", i, fns[i]))
    end
  end
  if #fns < least then
    fail(3, 1, name, "at least one function expected, got none")
  end
end

-- The nursery of a call. What is reported besides the first error goes where the
-- reports of the current job's scheduler go.
function children.nursery(limit)
  local owner = uvjobs.current().scheduler
  return uvjobs.scheduler {
    limit = limit,
    pending_limit = 0,
    close_timeout = owner.close_timeout,
    timeslice = owner.timeslice,
    on_error = "cancel",
    exception_handler = function(_, context)
      owner:call_exception_handler(context)
    end,
  }
end

-- Each child of all(), map() and each() has the guard as a to-be-closed variable. A nursery
-- takes no note of a child that fails while a sibling waits for it, nor of one that
-- was cancelled or killed by somebody else; the guard does: it closes the nursery,
-- and keeps the first such child, whose error the call raises.
-- Children start in order, `started` is the number of the last one. `unstarted` has
-- those with higher numbers: a child that never starts has no guard.
function children.new_guard(jobs)
  local guard = { failed = nil, started = 0, unstarted = {} }
  function guard.__close(_, err)
    if err == nil then return end
    guard.failed = guard.failed or uvjobs.current()
    if not jobs.closed then core.begin_close(jobs) end
  end
  return setmetatable(guard, guard)
end

function children.note_spawned(guard, i, job)
  if i > guard.started then guard.unstarted[i] = job end
end

function children.note_started(guard, i)
  guard.started, guard.unstarted[i] = i, nil
end

function children.wait_for_all(jobs, guard)
  core.wait_and_leave(jobs)
  local _, unstarted = next(guard.unstarted)
  local failed = guard.failed or unstarted
  if failed then failed:wait() end -- raises its error
end

return children
