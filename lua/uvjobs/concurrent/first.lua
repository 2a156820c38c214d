-- race and any: the first function of a list that ends, or that succeeds.

local children = require "uvjobs.concurrent.children"
local defer = require "uvjobs.defer"
local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

-- A child of race(): the first that ends, with or without an error, decides.
local function compete(fn, i, outcome, jobs)
  local _ <close> = defer(function()
    outcome.first = outcome.first or i
    core.wake_idle(jobs)
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
  children.check_functions(fns, "race", 1)
  core.check_suspend("race", 2)
  local list, outcome = {}, {}
  local jobs <close> = children.nursery(math.huge)
  for i = 1, #fns do
    list[i] = jobs:spawn(compete, fns[i], i, outcome, jobs)
  end
  core.wait_until_idle(jobs)
  core.close_quietly(jobs)
  local values = outcome.values
  if not values then
    jobs:wait_and_close()
    list[outcome.first or 1]:wait()
  end
  core.report_failed(jobs)
  return outcome.first, table.unpack(values, 1, values.n)
end

-- A child of any(): the first that succeeds decides. `failed` is the first that has not.
local function attempt(fn, i, outcome, jobs)
  local values
  local _ <close> = defer(function()
    if not values then outcome.failed = outcome.failed or i end
  end)
  values = table.pack(fn())
  if outcome.first then return end
  outcome.first, outcome.values = i, values
  core.wake_idle(jobs)
end

--- Calls the functions as children of the current job until one has succeeded, and
--- cancels the others. Suspends.
--- Errors: misuse; when all functions fail, the error of the one that failed first;
--- `cancelled`, `timeout` and `killed` of the current job. Other errors of the functions
--- are not reported.
---@param fns function[] at least one
---@return integer index of the function that succeeded first
---@return any ... all its results
function uvjobs.any(fns)
  children.check_functions(fns, "any", 1)
  core.check_suspend("any", 2)
  local list, outcome = {}, {}
  local jobs <close> = children.nursery(math.huge)
  for i = 1, #fns do
    list[i] = jobs:spawn({ report = false }, attempt, fns[i], i, outcome, jobs)
  end
  core.wait_until_idle(jobs)
  core.close_quietly(jobs)
  local values = outcome.values
  if not values then list[outcome.failed or 1]:wait() end
  return outcome.first, table.unpack(values, 1, values.n)
end
