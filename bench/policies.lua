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

common.main(1000000, {
  retry = calls(function() return policy.retry { attempts = 5 } end),
  breaker = calls(breaker),
  both = calls(function() return policy.compose { policy.retry { attempts = 5 }, breaker() } end),
  timeout = calls(function() return policy.timeout(5) end),
  hedge = calls(function() return policy.hedge { after = 5 } end),
})
