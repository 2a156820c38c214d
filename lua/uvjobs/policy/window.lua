-- How many calls ended in the last seconds, and how many of them failed.
--
-- The calls are kept in runs: of calls that ended in the same nanosecond, as long as a
-- thousand runs are enough. Then runs are merged that are closer than a 512th of the
-- window, and what is counted may miss calls that are older than 511 512ths of it. It never
-- counts one that is older than the window. So the memory has a bound, whatever the number
-- of calls; and what is counted is exact for up to a thousand of them.
--
-- Times are integers, in nanoseconds.

local core = require "uvjobs.core"

core.own_source()

local window = {}

local MOST_RUNS <const> = 1024
local SLICES <const> = 512

function window.new(length)
  return {
    length = length, grain = 0, first = 1, last = 0, total = 0, failed = 0,
    at = {}, totals = {}, failures = {}, -- of each run, from `first` to `last`
  }
end

function window.clear(self)
  self.grain, self.first, self.last, self.total, self.failed = 0, 1, 0, 0, 0
  self.at, self.totals, self.failures = {}, {}, {}
end

-- Drops the runs that are too old.
local function expire(self, now)
  local at, first, oldest = self.at, self.first, now - self.length
  while first <= self.last and at[first] <= oldest do
    self.total = self.total - self.totals[first]
    self.failed = self.failed - self.failures[first]
    first = first + 1
  end
  self.first = first
  if first > self.last then self.first, self.last, self.grain = 1, 0, 0 end
end

-- Moves the runs to the beginning of their arrays, and merges those that are closer to
-- each other than `grain`.
local function compact(self)
  local at, totals, failures, grain = self.at, self.totals, self.failures, self.grain
  local n = 0
  for i = self.first, self.last do
    if n > 0 and at[i] - at[n] < grain then
      totals[n], failures[n] = totals[n] + totals[i], failures[n] + failures[i]
    else
      n = n + 1
      at[n], totals[n], failures[n] = at[i], totals[i], failures[i]
    end
  end
  self.first, self.last = 1, n
end

-- Adds a run.
local function append(self, now, failure)
  if self.last - self.first + 1 >= MOST_RUNS then
    self.grain = self.length // SLICES
    compact(self)
  elseif self.last >= 2 * MOST_RUNS then
    compact(self)
  end
  local last = self.last + 1
  self.last = last
  self.at[last], self.totals[last], self.failures[last] = now, 1, failure
end

--- Adds a call that ended now.
---@param now integer nanoseconds; never less than before
---@param failure integer 1 for a call that failed, otherwise 0
function window.add(self, now, failure)
  local at, last = self.at, self.last
  if last > 0 and at[self.first] <= now - self.length then
    expire(self, now)
    last = self.last
  end
  self.total, self.failed = self.total + 1, self.failed + failure
  if last > 0 and (now - at[last] < self.grain or now == at[last]) then
    self.totals[last] = self.totals[last] + 1
    self.failures[last] = self.failures[last] + failure
  else
    append(self, now, failure)
  end
end

return window
