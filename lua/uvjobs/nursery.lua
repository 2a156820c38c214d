-- uvjobs.nursery: a block whose jobs and whose function make sense only together.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

local Block = {}

-- Whether an error of the block need not be reported: it only says that the nursery has
-- failed, or it is one that every later call of the job that suspends raises as well.
local function is_redundant(err)
  local code = uvjobs.code(err)
  return code == "closed" or code == "timeout" and err.job == nil
    or code == "cancelled" and (err.job == nil or err.job == uvjobs.current())
end

local function report(jobs, err)
  jobs:call_exception_handler {
    message = "Nursery block failed", job = uvjobs.current(), exception = err,
  }
end

local function close(jobs)
  if core.can_suspend() then
    uvjobs.protect(core.close_quietly, jobs)
  else
    core.begin_close(jobs)
  end
end

-- The block has been left: its jobs finish, or are closed when it was left by an error.
-- The first error is raised, that of a job or that of the block; the others are reported.
function Block.__close(block, err)
  local jobs, ok, failure = block.jobs, true, nil
  local has_failed = core.has_failed(jobs) and core.can_suspend()
  if err == nil and not has_failed then
    ok, failure = pcall(core.wait_and_leave, jobs)
    if ok then return end
  end
  close(jobs)
  if has_failed then
    if err ~= nil and not is_redundant(err) then report(jobs, err) end
    core.raise_failed(jobs)
  end
  core.report_failed(jobs)
  if not ok then error(failure, 0) end
end

-- Returns the options of the scheduler; raises for the caller of nursery().
local function options_of(options)
  local all = {}
  for key, value in next, options or {} do all[key] = value end
  if all.on_error ~= nil then
    arguments.fail(3, 1, "nursery", "option 'on_error' is always 'cancel' here")
  end
  all.on_error = "cancel"
  return all
end

local function new_scheduler(options)
  local ok, jobs = pcall(uvjobs.scheduler, options)
  if ok then return jobs end
  error((tostring(jobs):gsub("^.-'scheduler'", "bad argument #1 to 'nursery'")), 3)
end

--- Calls `fn(jobs)` in the current job, with a new scheduler for jobs that belong
--- together. When one of them fails, the others are cancelled, and so is `fn`; and when
--- `fn` fails or is cancelled, all of them are. Suspends.
--- Errors: misuse; the first error of a job or of `fn`, when all have ended;
--- `cancelled`, `timeout` and `killed` of the current job.
---@overload fun(fn: fun(jobs: uvjobs.Scheduler): ...: any): ...: any
---@param options uvjobs.SchedulerOptions but `on_error`
---@param fn fun(jobs: uvjobs.Scheduler): ...: any
---@return any ... the results of `fn`, when all jobs have finished
function uvjobs.nursery(options, fn)
  local at = 2
  if fn == nil and type(options) == "function" then
    options, fn, at = nil, options, 1
  elseif type(options) ~= "table" then
    arguments.fail(2, 1, "nursery", arguments.unexpected("function or table", options))
  end
  arguments.check_function(2, at, "nursery", fn)
  options = options_of(options)
  core.check_suspend("nursery", 2)
  local jobs = new_scheduler(options)
  local _ <close> = setmetatable({ jobs = jobs }, Block)
  return core.in_nursery(jobs, fn)
end
