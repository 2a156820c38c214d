--- Policies around a function that does nothing: the time of a call. Run by bench/policies;
--- each side is `SIDE N` and prints nanoseconds.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")
local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"

local function nothing() end

-- N calls of a policy, one after the other, in one job.
local function calls(new_policy)
  return function(n)
    local one = new_policy()
    return function()
      uvjobs.run(function()
        for _ = 1, n do one:call(nothing) end
      end)
    end
  end
end

local function breaker() return policy.breaker { ratio = 0.5, minimum = 20, window = 10 } end

-- N times `try` of a rate that never refuses.
local function tries(n)
  local rate = policy.rate { rate = 1e9, burst = 1000000000 }
  return function()
    for _ = 1, n do rate:try() end
  end
end

-- N jobs, all of which call at once a limit of 16; each call gives way once.
local function queued(n)
  return function()
    uvjobs.run(function()
      local limit = policy.limit { limit = 16 }
      local jobs <close> = uvjobs.scheduler { limit = math.huge }
      for _ = 1, n do jobs:spawn(limit.call, limit, uvjobs.yield) end
    end)
  end
end

-- N jobs with priorities, all spawned before the first one starts, in a scheduler with a
-- limit of 16; each gives way once.
local function priorities(n)
  return function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler { limit = 16, pending_limit = math.huge }
      for i = 1, n do jobs:spawn({ priority = i * 7 % 10 }, uvjobs.yield) end
    end)
  end
end

common.main(1000000, {
  retry = calls(function() return policy.retry { attempts = 5 } end),
  breaker = calls(breaker),
  both = calls(function() return policy.compose { policy.retry { attempts = 5 }, breaker() } end),
  timeout = calls(function() return policy.timeout(5) end),
  rate = calls(function() return policy.rate { rate = 1e9, burst = 1000000000 } end),
  limit = calls(function() return policy.limit { limit = 16 } end),
  try = tries,
  queued = queued,
  priorities = priorities,
  hedge = calls(function() return policy.hedge { after = 5 } end),
})
