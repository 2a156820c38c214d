-- policy.hedge: a second call when the first one takes long, as J. Dean and L. A. Barroso
-- describe it: The Tail at Scale (Communications of the ACM 56.2, 2013).

local arguments = require "uvjobs.arguments"
local children = require "uvjobs.concurrent.children"
local core = require "uvjobs.core"
local frame = require "uvjobs.policy.frame"

core.own_source()

local uvjobs = core.public
local expect <const> = frame.expect

local KIND <const> = frame.kind "hedge"
local UNREPORTED <const> = { report = false }

local MOST <const> = 2
local INITIAL <const> = 1     -- seconds
local SAMPLES <const> = 20    -- that a quantile needs
local MEMORY <const> = 500    -- samples after which those before count half
local SHORTEST <const> = 0.001 -- seconds, of a quantile

-- The part of all that a word such as "p95" means, or nil.
local function part_of(word)
  local percent = type(word) == "string" and tonumber(word:match "^p(%d+%.?%d*)$")
  return percent and percent > 0 and percent < 100 and percent / 100 or nil
end

local OPTIONS <const> = {
  name = expect.string,
  after = arguments.kind(function(value)
    return part_of(value) ~= nil or type(value) == "number" and value >= 0
  end, "seconds >= 0 or a quantile such as 'p95'"),
  initial = expect.seconds_or_forever,
  most = expect.positive_integer,
}

-- ---- one call ----------------------------------------------------------------------

-- What the attempts of a call share. Each of them has it as a to-be-closed variable. An
-- error can be nil: so an attempt that returns says so, in `has_returned`, directly before
-- it is left, when nothing else can run.
local Race = {}

-- The caller waits for the event while there are more attempts to start, and then until
-- no attempt is left.
local function wake(race)
  race.event:set()
  core.wake_idle(race.jobs)
end

function Race.__close(race)
  if race.has_returned then
    race.has_returned = false
    return
  end
  race.failed = race.failed or uvjobs.current()
  if not race.values then wake(race) end
end

local function attempt(race, n, fn, ...)
  local _ <close> = race
  local values = table.pack(fn(...))
  race.ended[n] = uvjobs.now()
  race.has_returned = true
  if race.values then return end
  race.values, race.winner = values, n
  wake(race)
end

-- The attempts get the deadline of their caller, which they could not know otherwise.
local function options_of_attempt()
  local seconds = uvjobs.remaining()
  return seconds and { report = false, timeout = seconds } or UNREPORTED
end

-- Starts the next attempt, when there is one, and waits until something has happened.
local function go_on(self, race, after, fn, ...)
  local n = #race.started
  if n < self.most then
    n = n + 1
    race.started[n] = uvjobs.now()
    race.last = race.jobs:spawn(options_of_attempt(), attempt, race, n, fn, ...)
  end
  if n < self.most then
    race.event:wait(after)
    race.event:clear()
  else
    core.wait_until_idle(race.jobs)
  end
end

-- Whether another attempt can succeed.
local function can_succeed(self, race)
  return #race.started < self.most or #race.jobs > 0
end

-- ---- what is learned ---------------------------------------------------------------

local function record(self, seconds)
  self.durations:record(seconds)
  if self.durations.count % MEMORY == 0 then self.durations:halve() end
end

-- An attempt that was cancelled would have taken longer: what it has taken so far counts,
-- or else only the fast ones would be known, and the limit would fall with each call.
local function learn(self, race)
  local now = uvjobs.now()
  for n, start in ipairs(race.started) do record(self, (race.ended[n] or now) - start) end
end

local function current_limit(self)
  if not self.part then return self.after end
  if self.durations.count < SAMPLES then return self.initial end
  return math.max(SHORTEST, self.durations:quantile(self.part))
end

-- ---- calling -----------------------------------------------------------------------

local function call(self, fn, ...)
  self.calls = self.calls + 1
  local after = current_limit(self)
  local jobs <close> = children.nursery(math.huge)
  local race = setmetatable({
    jobs = jobs, event = uvjobs.event(), started = {}, ended = {}, has_returned = false,
  }, Race)
  repeat
    go_on(self, race, after, fn, ...)
  until race.values or not can_succeed(self, race)
  self.hedged = self.hedged + #race.started - 1
  local values = race.values
  if values and self.part then learn(self, race) end
  core.close_quietly(jobs)
  if not values then
    self.failed = self.failed + 1
    local job = race.failed or race.last
    job:wait() -- raises its error
  end
  if race.winner > 1 then self.won = self.won + 1 end
  return table.unpack(values, 1, values.n)
end

--- Makes a policy that calls a function a second time, beside the first, when that takes
--- long; the first success counts. Does not suspend.
--- Errors: misuse.
---@param options { after: number|string, initial?: number, most?: integer, name?: string }
---@return uvjobs.Policy
return function(options)
  options = frame.options("hedge", options or {}, OPTIONS)
  if options.after == nil then
    arguments.fail(2, 1, "hedge", "option 'after' is missing")
  end
  local part = part_of(options.after)
  local self = {
    after = options.after, part = part, durations = part and core.histogram(),
    initial = options.initial or INITIAL, most = options.most or MOST,
    calls = 0, hedged = 0, won = 0, failed = 0,
  }
  return frame.new(KIND, {
    name = options.name,
    run = function(fn, ...)
      if select("#", ...) <= frame.MOST_ARGUMENTS then return call(self, fn, ...) end
      return call(self, frame.with_arguments(fn, ...))
    end,
    stats = function()
      return {
        calls = self.calls, hedged = self.hedged, won = self.won, failed = self.failed,
        after = current_limit(self),
      }
    end,
  })
end
