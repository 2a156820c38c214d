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
local function look_after(one, job, watcher, settle)
  local more = one[MORE]
  local _, err = pcall(job.wait, job, one[KIND].start_timeout)
  if one[JOB] ~= job or more.watcher ~= watcher then return end
  more.watcher, watcher.is_over = nil, true
  if job.closed then
    if uvjobs.code(err) == "timeout" then more.closed_at = watcher.due end
    fault.attempt(one[KIND].supervisor, settle, one, job, job.state, false, err)
  end
end

-- ---- the times that are watched ----------------------------------------------------

-- The watchers of children with the same start_timeout stand in a line, self[timeout], the earliest
-- first: from `first` to `last`. One that is over stays in it until it is the first, so that none
-- has to be searched for, however many children start at once. An empty line is taken away.

local function first_of(line)
  while line.first <= line.last and line[line.first].is_over do
    line[line.first] = nil
    line.first = line.first + 1
  end
  return line[line.first]
end

local function append(self, timeout, watcher)
  local line = self[timeout]
  if not line then
    line = { first = 1, last = 0 }
    self[timeout] = line
  end
  first_of(line)
  line.last = line.last + 1
  line[line.last] = watcher
end

-- ---- for the rules -----------------------------------------------------------------

--- Begins to watch the run of a child.
---@param settle function see rules.lua: is called when the run has ended meanwhile
function watch.begin(self, one, settle)
  local timeout = one[KIND].start_timeout
  if timeout == math.huge then return end
  self._watchers = self._watchers
    or uvjobs.scheduler { limit = math.huge, close_timeout = self._options.close_timeout }
  local watcher = { due = now() + timeout, is_over = false }
  watcher.job = self._watchers:try_spawn({ report = false }, look_after, one, one[JOB], watcher,
    settle)
  if not watcher.job then return end
  append(self._watched, timeout, watcher)
  child.more(one).watcher = watcher
end

--- Ends that, if it is going on.
function watch.finish(one)
  local more = one[MORE]
  if more and more.watcher then
    local watcher = more.watcher
    more.watcher, watcher.is_over = nil, true
    watcher.job:cancel()
  end
end

--- Since when a child is being closed because a limit of it was over, or nil. The rules hear of
--- that only when it has ended.
---@return number?
function watch.held_since(self)
  local since, time = core.held_since(self._inner), now()
  for timeout, line in next, self._watched do
    local watcher = first_of(line)
    if not watcher then
      self._watched[timeout] = nil
    elseif watcher.due <= time then
      since = math.min(since or watcher.due, watcher.due)
    end
  end
  return since
end

return watch
