-- Ticker: a job sleeps 1 ms N times beside four jobs that compute and have time
-- slices of 5 ms. Prints how late it woke: the median, the 99th percentile, and
-- the least, in milliseconds. It wants an idle machine.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

local SECONDS <const> = 0.001
local BUSY <const> = 4

--- Sleeps n times; returns how late it was each time.
local function sample(uvjobs, n)
  local samples = {}
  for i = 1, n do
    local began = uvjobs.now()
    uvjobs.sleep(SECONDS)
    samples[i] = uvjobs.now() - began - SECONDS
  end
  return samples
end

common.main(500, {
  uvjobs = function(n)
    local uvjobs = require "uvjobs"
    return function()
      return common.percentiles(uvjobs.run(function()
        local done = false
        local jobs <close> = uvjobs.scheduler { timeslice = 0.005 }
        for _ = 1, BUSY do
          jobs:spawn(function()
            while not done do end
          end)
        end
        local samples = sample(uvjobs, n)
        done = true
        return samples
      end))
    end
  end,
})
