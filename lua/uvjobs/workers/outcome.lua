-- How a call in another thread has ended, as a value that can be copied: a list of a state
-- and what belongs to it.
--   "done", n, the results
--   "failed", the error, its code or false, retry_after or false, traceback or false
--   "cancelled"
--   "killed"

local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

local NO_MEMORY <const> = "not enough memory" -- what Lua says

local outcome = {
  is_limited = false, -- the memory of this Lua state is
}

outcome.DONE = { "done", 0 }
outcome.CANCELLED = { "cancelled" }
outcome.KILLED = { "killed" }

-- Errors of uvjobs keep their code and text. Others are copied, or become a text.
local function failed(err, traceback)
  if outcome.is_limited and err == NO_MEMORY then
    return { "failed", "the memory limit of the thread is reached", "memory", false, false }
  end
  local code = uvjobs.code(err)
  if code then
    return { "failed", err.message, code, err.retry_after or false, traceback or false }
  end
  if not pcall(core.pack, err) then err = tostring(err) end
  return { "failed", err, false, false, traceback or false }
end

--- What an error becomes.
---@param err any
---@param traceback? string
function outcome.failed(err, traceback)
  return failed(err, traceback)
end

local function done(_, ...)
  local n = select("#", ...)
  local packable, problem = pcall(core.pack, { ... })
  if packable then return { "done", n, ... } end
  for i = 1, n do
    local ok, reason = pcall(core.pack, (select(i, ...)))
    if not ok then problem = ("result #%d cannot be copied (%s)"):format(i, reason) break end
  end
  return failed(problem)
end

--- How a job has ended.
---@param job uvjobs.Job
function outcome.of(job)
  local state = job.state
  if state == "done" then return done(job:result()) end
  if state == "cancelled" then return outcome.CANCELLED end
  if state == "killed" then return outcome.KILLED end
  local _, err = job:result()
  return failed(err, job:traceback())
end

--- The error of a call that has failed, and where it was raised.
---@param value table
---@return any err
---@return string? traceback
function outcome.error_of(value)
  local err, code, retry_after, traceback = value[2], value[3], value[4], value[5]
  if code then err = core.make_error(code, err, retry_after or nil) end
  return err, traceback or nil
end

--- Raises the error of a call that has failed, where it was called.
---@param value table
function outcome.raise(value)
  core.raise_beyond(outcome.error_of(value))
end

return outcome
