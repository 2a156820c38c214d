-- An attempt: a task that this process has claimed, and the job in which its function runs.

local backoff = require "uvjobs.policy.backoff"
local core = require "uvjobs.core"
local options = require "uvjobs.durable.options"
local task = require "uvjobs.durable.task"

core.own_source()

local uvjobs = core.public

local attempt = {}

-- Why the job of an attempt was told to end.
attempt.CANCEL, attempt.CLOSE, attempt.LOST = "cancel", "close", "lost"

--- Makes an attempt.
---@param work table of worker.lua
---@param row table from the store
---@param queue table of that work
---@param kind table of options.lua
function attempt.new(work, row, queue, kind)
  return {
    work = work, row = row, queue = queue, kind = kind, over = false, job = false, stop = false,
    snooze = false,
  }
end

--- Whether the function has returned, and there is no more to say of it.
---@param job uvjobs.Job which has ended
function attempt.is_done(self, job)
  return job.state == "done" and self.stop ~= attempt.LOST and not self.snooze
end

local function dead(self, reason, err, traceback)
  return {
    outcome = "dead", reason = reason,
    error = task.error_line(err, traceback, self.row.attempt),
  }
end

-- After how many microseconds it is tried again.
local function delay_of(kind, row, err)
  local delay = backoff.delay(kind.backoff, row.attempt)
  local least = uvjobs.code(err) and err.retry_after or 0
  return options.microseconds(least + delay)
end

local function failed(self, kind, err, traceback)
  local row = self.row
  if row.attempt >= row.attempts then return dead(self, "failed", err, traceback) end
  return {
    outcome = "retry", delay = delay_of(kind, row, err),
    error = task.error_line(err, traceback, row.attempt),
  }
end

local function told(self, how)
  how.id, how.lease = self.row.id, self.row.lease
  return how
end

--- What a store is told when the job has ended and is not done; nil when it is not to be told.
---@param job uvjobs.Job which has ended
---@return table? element of the list of `settle`
---@return any err of the job, if it failed
function attempt.outcome(self, job)
  if self.stop == attempt.LOST then return nil end
  if job.state == "done" then
    return told(self, { outcome = "snooze", delay = options.microseconds(self.snooze) })
  elseif self.stop == attempt.CANCEL then
    return told(self, { outcome = "cancelled" })
  elseif self.stop == attempt.CLOSE then
    return told(self, { outcome = "release" })
  end
  local _, err = job:result()
  return told(self, failed(self, self.kind, err, job:traceback())), err
end

local function is_integer(value, least, most)
  return math.type(value) == "integer" and value >= least and value <= most
end

--- Whether a task can be run: somebody else may have written it.
function attempt.is_sound(row)
  return is_integer(row.priority, 0, 9) and math.type(row.attempt) == "integer" and
    math.type(row.attempts) == "integer"
end

--- What a store is told of a task that cannot be run, or whose arguments cannot be read.
function attempt.corrupt(self, problem)
  return told(self, dead(self, "corrupt", problem))
end

--- What a store is told of a task that is not begun.
function attempt.release(self)
  return told(self, { outcome = "release" })
end

return attempt
