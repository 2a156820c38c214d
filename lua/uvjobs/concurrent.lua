-- all, race and map: they call functions as children of the current job. The children
-- live in a nursery that is closed when the call ends, however it ends: so none of
-- them outlives the call.

local arguments = require "uvjobs.arguments"
local defer = require "uvjobs.defer"
local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

local fail, unexpected = arguments.fail, arguments.unexpected
local expect = arguments.expect

local DEFAULT_LIMIT <const> = 100 -- calls of map() at once
local MAP_OPTIONS <const> = { limit = expect.count(1) }

-- These blame the caller of the public function that calls them.

local function check_functions(fns, name, least)
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

local function check_map(list, fn, options)
  if type(list) ~= "table" and type(list) ~= "function" then
    fail(3, 1, "map", unexpected("list or iterator function", list))
  end
  arguments.check_function(3, 2, "map", fn)
  local problem = options ~= nil and arguments.problem_of_options(options, MAP_OPTIONS)
  if problem then fail(3, 3, "map", problem) end
end

-- The nursery of a call. What is reported besides the first error goes where the
-- reports of the current job's scheduler go.
local function nursery(limit)
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

-- Each child of all() and map() has the guard as a to-be-closed variable. A nursery
-- takes no note of a child that fails while a sibling waits for it, nor of one that
-- was cancelled or killed by somebody else; the guard does: it closes the nursery,
-- and keeps the first such child, whose error the call raises.
-- Children start in order, `started` is the number of the last one. `unstarted` has
-- those with higher numbers: a child that never starts has no guard.
local function new_guard(children)
  local guard = { failed = nil, started = 0, unstarted = {} }
  function guard.__close(_, err)
    if err == nil then return end
    guard.failed = guard.failed or uvjobs.current()
    if not children.closed then core.begin_close(children) end
  end
  return setmetatable(guard, guard)
end

local function note_spawned(guard, i, job)
  if i > guard.started then guard.unstarted[i] = job end
end

local function note_started(guard, i)
  guard.started, guard.unstarted[i] = i, nil
end

local function wait_for_all(children, guard)
  core.wait_and_leave(children)
  local _, unstarted = next(guard.unstarted)
  local failed = guard.failed or unstarted
  if failed then failed:wait() end -- raises its error
end

local function run_one(guard, fn, i, results, packed)
  local _ <close> = guard
  note_started(guard, i)
  local values = table.pack(fn())
  results[i], packed[i] = values[1], values
end

--- Calls all functions as children of the current job. Suspends.
--- Errors: misuse; the first error of a function, when the other children have been
--- cancelled and have ended; `cancelled`, `timeout` and `killed` of the current job.
---@param fns function[]
---@return { n: integer, [integer]: any } results the first result of each
---@return table[] packed all results of each, from table.pack
function uvjobs.all(fns)
  check_functions(fns, "all", 0)
  core.check_suspend("all", 2)
  local results, packed = { n = #fns }, {}
  local children <close> = nursery(math.huge)
  local guard = new_guard(children)
  for i = 1, #fns do
    note_spawned(guard, i,
      children:spawn(run_one, guard, fns[i], i, results, packed))
  end
  wait_for_all(children, guard)
  return results, packed
end

-- A child of race(): the first that ends, with or without an error, decides.
local function compete(fn, i, outcome, children)
  local _ <close> = defer(function()
    outcome.first = outcome.first or i
    core.wake_idle(children)
  end)
  local values = table.pack(fn())
  if not outcome.first then outcome.values = values end
end

--- Calls the functions as children of the current job until one has ended, and
--- cancels the others. Suspends.
--- Errors: misuse; the error of the function that ended first; `cancelled`,
--- `timeout` and `killed` of the current job.
---@param fns function[] at least one
---@return integer index of the function that ended first
---@return any ... all its results
function uvjobs.race(fns)
  check_functions(fns, "race", 1)
  core.check_suspend("race", 2)
  local jobs, outcome = {}, {}
  local children <close> = nursery(math.huge)
  for i = 1, #fns do
    jobs[i] = children:spawn(compete, fns[i], i, outcome, children)
  end
  core.wait_until_idle(children)
  core.close_quietly(children)
  local values = outcome.values
  if not values then
    children:wait_and_close()
    jobs[outcome.first or 1]:wait()
  end
  core.report_failed(children)
  return outcome.first, table.unpack(values, 1, values.n)
end

-- Returns an iterator over the indices and items of a list, or of what a function
-- returns until it returns nil.
local function items_of(list)
  local i = 0
  if type(list) == "table" then
    local n = #list
    return function()
      i = i + 1
      if i <= n then return i, list[i] end
    end
  end
  return function()
    local item = list()
    i = i + 1
    if item ~= nil then return i, item end
  end
end

local function map_one(guard, fn, i, item, results)
  local _ <close> = guard
  note_started(guard, i)
  results[i] = fn(item, i)
end

-- Returns nil when the nursery was closed, because a child failed or was cancelled.
local function try_spawn(children, ...)
  local ok, job = pcall(children.spawn, children, ...)
  if ok then return job end
  if uvjobs.code(job) ~= "closed" then error(job, 0) end
end

--- Calls `fn(item, index)` for each item, in children of the current job, at most
--- `limit` of them at a time. An item is taken when there is room for its child; none
--- is taken after an error. Suspends.
--- Errors: misuse; the first error of a call or of the iterator, when the other
--- children have been cancelled and have ended; `cancelled`, `timeout` and `killed`
--- of the current job.
---@param list any[]|fun(): any a list, or a function that returns nil at the end
---@param fn fun(item: any, index: integer): any
---@param options? uvjobs.MapOptions
---@return { n: integer, [integer]: any } results the first result of each, in order
function uvjobs.map(list, fn, options)
  check_map(list, fn, options)
  core.check_suspend("map", 2)
  local results = { n = 0 }
  local children <close> = nursery(options and options.limit or DEFAULT_LIMIT)
  local guard = new_guard(children)
  for i, item in items_of(list) do
    results.n = i
    local job = try_spawn(children, map_one, guard, fn, i, item, results)
    if not job then break end
    note_spawned(guard, i, job)
  end
  wait_for_all(children, guard)
  return results
end
