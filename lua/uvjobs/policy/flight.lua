-- A flight is a run of a function for several callers: a job of its own that lives until
-- it has ended or the last of its callers has left. Each caller waits for the job, so it
-- gets its results or its error; one that is cancelled leaves, and the others do not
-- notice.

local core = require "uvjobs.core"
local frame = require "uvjobs.policy.frame"

core.own_source()

local uvjobs = core.public

local flight = {}
flight.__index = flight

-- The scheduler of all flights of a policy. The run closes it when it ends, and the next
-- one needs another.
local function scheduler_of(owner, name)
  local jobs = owner.jobs
  if not jobs or jobs.closed then
    jobs = uvjobs.scheduler { name = name, limit = math.huge }
    owner.jobs = jobs
  end
  return jobs
end

--- Begins a flight. `owner` is a table that the policy keeps; fn(...) is what the job runs.
function flight.new(owner, name, fn, ...)
  local self = setmetatable({ callers = 0, is_left = false }, flight)
  local jobs, options = scheduler_of(owner, name), { name = name, report = false }
  if select("#", ...) <= frame.MOST_ARGUMENTS then
    self.job = jobs:spawn(options, fn, ...)
  else
    self.job = jobs:spawn(options, frame.with_arguments(fn, ...))
  end
  return self
end

--- Whether one can still come aboard.
function flight:is_open()
  return not self.is_left and not self.job.closed
end

-- The last caller has left while the job runs: it is closed. Whoever leaves waits until it
-- has ended, because the next caller may begin another one.
local function close(job, timeout)
  pcall(job.close, job, timeout)
end

-- A caller leaves.
function flight:__close()
  self.callers = self.callers - 1
  if self.callers > 0 or self.job.closed then return end
  self.is_left = true
  if core.can_suspend() then
    uvjobs.protect(close, self.job, uvjobs.current().scheduler.close_timeout)
  else
    self.job:cancel()
  end
end

--- Waits in the current job for the results.
function flight:wait()
  self.callers = self.callers + 1
  local _ <close> = self
  return self.job:wait()
end

--- Raises what a call that can suspend raises in a job that is to end. Nothing was begun
--- then.
function flight.check()
  if core.interrupted() then uvjobs.yield() end
end

return flight
