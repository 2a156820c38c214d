-- How long a child waits before it is started again: the waits of uvjobs.policy.backoff. A
-- number as jitter spreads them to both sides here, so that their mean is what the options
-- say.

local backoff = require "uvjobs.policy.backoff"
local core = require "uvjobs.core"

core.own_source()

local random = core.random

--- The wait before the k-th restart in a row, in seconds.
---@param options table from backoff.complete()
---@param k integer > 0
---@param previous? number the wait before the one before
---@return number
return function(options, k, previous)
  local jitter, base = options.jitter, options.base
  if type(jitter) ~= "number" then return backoff.delay(options, k, previous) end
  local mean = base > 0 and math.min(options.max, base * options.factor ^ (k - 1)) or 0
  return mean * (1 + jitter * (2 * random() - 1))
end
