-- How long to wait before something is tried again: longer each time, and at random, so
-- that those who failed together do not come back together. It is a value of options; the
-- kinds of jitter are those of Marc Brooker: Exponential Backoff And Jitter (AWS
-- Architecture Blog, 2015).

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"

core.own_source()

local random = core.random

local backoff = {}

local expect <const> = arguments.expect
local LONGEST <const> = 1e9 -- seconds, 31 years, that a wait has at most

local JITTERS <const> = { full = true, none = true, equal = true, decorrelated = true }

local OPTIONS <const> = {
  base = expect.finite_seconds,
  factor = arguments.kind(function(value)
    return type(value) == "number" and value >= 1 and value < math.huge
  end, "number >= 1"),
  max = expect.seconds_or_forever,
  jitter = arguments.kind(function(value)
    if type(value) == "number" then return value >= 0 and value <= 1 end
    return JITTERS[value] ~= nil
  end, "'full', 'none', 'equal', 'decorrelated' or a number from 0 to 1"),
}

--- The kind of values that the option can have: a table, or a number of seconds, which is
--- the same each time.
---@type uvjobs.Kind
function backoff.kind(value)
  if type(value) == "table" then
    return nil, nil, arguments.problem_of_options(value, OPTIONS)
  elseif type(value) ~= "number" or expect.finite_seconds(value) then
    return "table or seconds >= 0"
  end
end

--- The option, with all its values.
---@param value nil|number|table of the kind above
---@param max number seconds, for the case that the option has none
---@return { base: number, factor: number, max: number, jitter: string|number } complete
function backoff.complete(value, max)
  if type(value) == "number" then
    return { base = value, factor = 1, max = math.min(value, LONGEST), jitter = "none" }
  end
  value = arguments.raw(value) or {}
  return {
    base = value.base or 0.1,
    factor = value.factor or 2,
    max = math.min(value.max or max, LONGEST),
    jitter = value.jitter or "full",
  }
end

-- From the latest wait but one, "decorrelated" comes to the next without counting.
local function decorrelated(self, previous)
  local least = math.min(self.base, self.max)
  return math.min(self.max, least + random() * math.max(0, 3 * (previous or least) - least))
end

--- How long to wait before the n-th new attempt: a new random number each time.
---@param self table from backoff.complete()
---@param n integer > 0
---@param previous? number what this has returned for the one before
---@return number seconds
function backoff.delay(self, n, previous)
  local jitter = self.jitter
  if jitter == "decorrelated" then return decorrelated(self, previous) end
  local base = self.base
  local longest = base > 0 and math.min(self.max, base * self.factor ^ (n - 1)) or 0
  if jitter == "full" then return longest * random() end
  if jitter == "none" then return longest end
  if jitter == "equal" then return longest * (0.5 + 0.5 * random()) end
  return longest * (1 - jitter * random())
end

return backoff
