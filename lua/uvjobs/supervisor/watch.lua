-- The start_timeout of children: each run that has one is watched by a job that waits for
-- it. So a child that holds the loop is closed in time, too.

local core = require "uvjobs.core"
local child = require "uvjobs.supervisor.child"
local fault = require "uvjobs.supervisor.fault"

core.own_source()

local at <const> = child.at
local KIND <const>, JOB <const>, MORE <const> = at.KIND, at.JOB, at.MORE
local uvjobs = core.public
local now = uvjobs.now

local watch = {}

-- What such a job does. When the time is over, wait() closes the run, within the
-- close_timeout of the child, and returns when it has ended.
local function look_after(one, job, settle)
  local more, due = one[MORE], one[KIND].supervisor._watched[one]
  local _, err = pcall(job.wait, job, one[KIND].start_timeout)
  if one[JOB] ~= job or more.watcher ~= uvjobs.current() then return end
  more.watcher = nil
  one[KIND].supervisor._watched[one] = nil
  if job.closed then
    if uvjobs.code(err) == "timeout" then more.closed_at = due end
    fault.attempt(one[KIND].supervisor, settle, one, job, job.state, false, err)
  end
end

--- Begins to watch the run of a child.
---@param settle function see rules.lua: is called when the run has ended meanwhile
function watch.begin(self, one, settle)
  if one[KIND].start_timeout == math.huge then return end
  self._watchers = self._watchers
    or uvjobs.scheduler { limit = math.huge, close_timeout = self._options.close_timeout }
  self._watched[one] = now() + one[KIND].start_timeout
  child.more(one).watcher = self._watchers:try_spawn({ report = false }, look_after, one,
    one[JOB], settle)
end

--- Ends that, if it is going on.
function watch.finish(self, one)
  local more = one[MORE]
  if more and more.watcher then
    local watcher = more.watcher
    more.watcher = nil
    self._watched[one] = nil
    watcher:cancel()
  end
end

--- Since when a child is being closed because a limit of it was over, or nil. The rules hear of
--- that only when it has ended.
---@return number?
function watch.held_since(self)
  local since, time = core.held_since(self._inner), now()
  for _, due in pairs(self._watched) do
    if due <= time then since = math.min(since or due, due) end
  end
  return since
end

return watch
