-- map and each: one function for every item of a list, a few calls at a time.

local arguments = require "uvjobs.arguments"
local children = require "uvjobs.concurrent.children"
local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

local fail, unexpected = arguments.fail, arguments.unexpected
local expect = arguments.expect

local DEFAULT_LIMIT <const> = 100 -- calls at once
local MAP_OPTIONS <const> = {
  limit = expect.count(1), progress = expect.progress, on = expect.workers,
}
local EACH_OPTIONS <const> = {
  limit = expect.count(1), progress = expect.progress, on_result = expect.func,
  on = expect.workers,
}

-- These blame the caller of the public function.

local function check_items(list, name)
  if type(list) ~= "table" and type(list) ~= "function" then
    fail(4, 1, name, unexpected("list or iterator function", list))
  end
end

-- Checks the arguments; returns the options, if there are any. The errors blame the caller.
local function check(list, fn, options, name, known)
  check_items(list, name)
  arguments.check_function(3, 2, name, fn)
  local problem = options ~= nil and arguments.problem_of_options(options, known)
  if problem then fail(3, 3, name, problem) end
  return arguments.raw(options)
end

-- With the option `on` the function is called in a thread of these workers.
local function placed(fn, options, name)
  local workers = options and options.on
  if not workers then return fn end
  require "uvjobs.workers.fn".check(3, 2, name, fn)
  return function(item, i) return workers:call(fn, item, i) end
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

-- The progress that the options ask for, or nil. It gets the number of items as its total,
-- if it has none.
local function progress_of(options, list)
  local progress = options and options.progress
  if progress and not progress.total and type(list) == "table" then
    progress:set_total(progress.count + #list)
  end
  return progress
end

local function map_one(guard, fn, i, item, results, progress)
  local _ <close> = guard
  children.note_started(guard, i)
  results[i] = fn(item, i)
  if progress then progress:add() end
end

-- Returns nil when the nursery was closed, because a child failed or was cancelled.
local function try_spawn(jobs, ...)
  local ok, job = pcall(jobs.spawn, jobs, ...)
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
  options = check(list, fn, options, "map", MAP_OPTIONS)
  core.check_suspend("map", 2)
  fn = placed(fn, options, "map")
  local results, progress = { n = 0 }, progress_of(options, list)
  local jobs <close> = children.nursery(options and options.limit or DEFAULT_LIMIT)
  local guard = children.new_guard(jobs)
  for i, item in items_of(list) do
    results.n = i
    local job = try_spawn(jobs, map_one, guard, fn, i, item, results, progress)
    if not job then break end
    children.note_spawned(guard, i, job)
  end
  children.wait_for_all(jobs, guard)
  return results
end

-- A child of each(): it notes that its call has ended, and wakes the calling job.
local function each_one(guard, fn, i, item, ended, jobs, progress)
  local _ <close> = guard
  children.note_started(guard, i)
  local values = table.pack(fn(item, i))
  if progress then progress:add() end
  if ended.wanted then
    ended.last = ended.last + 1
    ended[ended.last], values.index = values, i
  end
  core.wake_idle(jobs)
end

-- Calls on_result for the first call that has ended and whose results it has not got. The
-- results are dropped before, because on_result may take long.
local function deliver_one(ended, on_result)
  local values = ended[ended.first]
  ended[ended.first] = nil
  ended.first = ended.first + 1
  on_result(values.index, table.unpack(values, 1, values.n))
end

local function undelivered(ended)
  return ended.last - ended.first + 1
end

-- Starts calls until `limit` of them run or wait for on_result. Returns the number of items
-- so far, and whether there may be more. A slot is free when its job is gone: a job that
-- is cancelled before it starts cannot say so itself.
local function start_calls(jobs, limit, ended, next_item, start)
  while not jobs.closed and #jobs + undelivered(ended) < limit do
    local i, item = next_item()
    if i == nil then return false end
    start(i, item)
    if ended.wanted and undelivered(ended) > 0 then return true end
  end
  return not jobs.closed
end

--- Calls `fn(item, index)` for each item as map() does, but keeps no results: each goes to
--- `on_result(index, ...)`, which is called in the current job, one call at a time, in the
--- order in which the calls end. Suspends.
--- Errors: misuse; the first error of a call, of the iterator or of `on_result`, when the
--- other children have been cancelled and have ended; `cancelled`, `timeout` and `killed`
--- of the current job.
---@param list any[]|fun(): any a list, or a function that returns nil at the end
---@param fn fun(item: any, index: integer): ...: any
---@param options? uvjobs.EachOptions
---@return integer count how many items there were
function uvjobs.each(list, fn, options)
  options = check(list, fn, options, "each", EACH_OPTIONS)
  core.check_suspend("each", 2)
  fn = placed(fn, options, "each")
  local limit = options and options.limit or DEFAULT_LIMIT
  local on_result = options and options.on_result
  local progress = progress_of(options, list)
  local ended = { first = 1, last = 0, wanted = on_result ~= nil }
  local jobs <close> = children.nursery(math.huge)
  local guard = children.new_guard(jobs)
  local count, more, next_item = 0, true, items_of(list)
  local function start(i, item)
    count = i
    local job = try_spawn(jobs, each_one, guard, fn, i, item, ended, jobs, progress)
    if job then children.note_spawned(guard, i, job) end
  end
  repeat
    more = more and start_calls(jobs, limit, ended, next_item, start)
    if undelivered(ended) == 0 then
      core.wait_until_idle(jobs)
    elseif not jobs.closed then
      deliver_one(ended, on_result)
    end
  until jobs.closed or not more and #jobs == 0 and undelivered(ended) == 0
  children.wait_for_all(jobs, guard)
  return count
end
