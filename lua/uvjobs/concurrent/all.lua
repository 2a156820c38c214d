-- all and settled: every function of a list, and what becomes of each.

local children = require "uvjobs.concurrent.children"
local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

local function run_one(guard, fn, i, results, packed)
  local _ <close> = guard
  children.note_started(guard, i)
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
  children.check_functions(fns, "all", 0)
  core.check_suspend("all", 2)
  local results, packed = { n = #fns }, {}
  local jobs <close> = children.nursery(math.huge)
  local guard = children.new_guard(jobs)
  for i = 1, #fns do
    children.note_spawned(guard, i,
      jobs:spawn(run_one, guard, fns[i], i, results, packed))
  end
  children.wait_for_all(jobs, guard)
  return results, packed
end

local function outcome_of(ok, ...)
  if not ok then return { ok = false, error = (...) } end
  local outcome = table.pack(...)
  outcome.ok = true
  return outcome
end

--- Calls all functions as children of the current job, and tells what has become of each.
--- Suspends.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job. The errors of
--- the functions are in the list, and are neither raised nor reported.
---@param fns function[]
---@return { n: integer, [integer]: uvjobs.Outcome } outcomes
function uvjobs.settled(fns)
  children.check_functions(fns, "settled", 0)
  core.check_suspend("settled", 2)
  local list, outcomes = {}, { n = #fns }
  local jobs <close> = children.nursery(math.huge)
  for i = 1, #fns do
    list[i] = jobs:spawn({ report = false }, fns[i])
  end
  core.wait_and_leave(jobs)
  for i, job in ipairs(list) do
    outcomes[i] = outcome_of(job:result())
  end
  return outcomes
end
