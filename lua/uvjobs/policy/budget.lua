-- A budget of retries: in any 10 seconds there are at most `part` retries for each first
-- call, and ALLOWANCE besides (P5).
--
-- With X = retries - part * first calls, counted from the beginning, this says that X must
-- not rise by more than ALLOWANCE over any 10 seconds. So a retry is allowed when X is
-- then not above the least X of the last 10 seconds by more than that. X falls by first
-- calls and rises by retries only; so its least values stand directly before retries, and
-- only these are noted, those alone that no later one is below. A first call costs an
-- addition.

local core = require "uvjobs.core"

core.own_source()

local budget = {}

local ALLOWANCE <const> = 10 -- retries
local SPAN <const> = 10      -- seconds
local ERROR <const> = 1e-6   -- of the sums, which are no integers

--- Makes a budget.
---@param part number >= 0 of the first calls
---@return table budget
function budget.new(part)
  -- `times` and `levels` are a queue, from `first` to `last`: when a retry began, and X
  -- directly before it. Both rise.
  return { part = part, retries = 0, first = 1, last = 0, times = {}, levels = {} }
end

-- Forgets what is over, and returns X.
local function look(self, now, calls)
  local times, first = self.times, self.first
  while first <= self.last and times[first] < now - SPAN do
    times[first], self.levels[first] = nil, nil
    first = first + 1
  end
  self.first = first
  return self.retries - self.part * calls
end

--- Whether a retry is allowed now.
---@param self table
---@param now number seconds
---@param calls integer how many first calls there have been
---@return boolean
function budget.allows(self, now, calls)
  local level = look(self, now, calls)
  local least = level
  if self.first <= self.last then least = math.min(least, self.levels[self.first]) end
  return level + 1 - least <= ALLOWANCE + ERROR
end

--- Notes that a retry begins now, which is allowed.
---@param self table
---@param now number seconds
---@param calls integer how many first calls there have been
function budget.take(self, now, calls)
  local level, last = look(self, now, calls), self.last
  local times, levels = self.times, self.levels
  while last >= self.first and levels[last] >= level do
    times[last], levels[last] = nil, nil
    last = last - 1
  end
  last = last + 1
  times[last], levels[last] = now, level
  self.last = last
  self.retries = self.retries + 1
end

return budget
