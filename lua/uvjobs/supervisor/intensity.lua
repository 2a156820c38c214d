-- How often a supervisor may restart children: at most so many times within any period.
-- The time in which the supervisor itself waits for children to close does not count:
-- otherwise children that take longer to close than the period would hide a storm.

local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

---@class uvjobs.Intensity
local Intensity = {}
Intensity.__index = Intensity

--- The restarts of a supervisor: `limit` within `period` seconds.
function Intensity.new(limit, period)
  return setmetatable({
    limit = limit, period = period,
    first = 1, last = 0, -- the restarts that may count are self[first] to self[last]
    nclosing = 0,        -- how many closings are waited for
    stopped = 0,         -- when the clock stopped, if so
    passed = 0,          -- for how long it has stood still, up to then
    started = 0,         -- when it has gone on the last time
  }, Intensity)
end

-- When the clock stops, if it does now: a child that is being closed because a limit of it was
-- over has stopped it before.
local function stop_time(self, held_since)
  local now = uvjobs.now()
  return held_since and math.min(now, math.max(held_since, self.started)) or now
end

--- The supervisor begins to wait for a child to close.
---@param held_since? number since when a limit closes a child, of which it hears later
function Intensity:stop_clock(held_since)
  if self.nclosing == 0 then self.stopped = stop_time(self, held_since) end
  self.nclosing = self.nclosing + 1
end

--- It has closed.
function Intensity:start_clock()
  self.nclosing = self.nclosing - 1
  if self.nclosing == 0 then
    self.started = uvjobs.now()
    self.passed = self.passed + self.started - self.stopped
  end
end

--- The supervisor has waited for a child to close, since then and until now, as it learns now.
function Intensity:stood_since(time)
  time = math.max(time, self.started)
  if self.nclosing > 0 then
    self.stopped = math.min(self.stopped, time)
  else
    self.started = uvjobs.now()
    self.passed = self.passed + math.max(self.started - time, 0)
  end
end

--- Counts a restart. Returns whether there are too many now.
---@param held_since? number as for stop_clock()
function Intensity:add(held_since)
  if self.limit == math.huge then return false end
  local now = (self.nclosing > 0 and self.stopped or stop_time(self, held_since)) - self.passed
  self.last = self.last + 1
  self[self.last] = now
  while self[self.first] < now - self.period do
    self[self.first] = nil
    self.first = self.first + 1
  end
  return self.last - self.first + 1 > self.limit
end

return Intensity
