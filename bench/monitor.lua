-- Monitor: what it costs that busy jobs can be interrupted. Three kinds of work,
-- each without the monitor (`none`), with it (`off`: no time slices), and with
-- time slices of 10 ms in addition (`on`): as usual, and in every scheduler.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

local MODES = {
  none = { interrupt = "none" },
  off = {},
  on = { timeslice = 0.01 },
}

local function nothing() end

--- The kinds of work: each is called in a job, with its number of operations.
local WORK = {
  spawn = function(uvjobs, n, timeslice)
    local jobs <close> = uvjobs.scheduler { limit = 100, timeslice = timeslice }
    for _ = 1, n do jobs:spawn(nothing) end
  end,

  switch = function(uvjobs, n, timeslice)
    common.exchange(uvjobs, n, { timeslice = timeslice })
  end,

  -- Operations are 100 rounds of a loop that calls a function.
  busy = function(uvjobs, n, timeslice)
    local function add(a, b) return a + b end
    local jobs <close> = uvjobs.scheduler { timeslice = timeslice }
    jobs:spawn(function()
      local sum = 0
      for i = 1, n * 100 do sum = add(sum, i) end
      return sum
    end)
  end,
}

local sides = {}
for kind, work in pairs(WORK) do
  for name, options in pairs(MODES) do
    sides[kind .. "-" .. name] = function(n)
      local uvjobs = require "uvjobs"
      return function()
        uvjobs.run(options, work, uvjobs, n, options.timeslice or math.huge)
      end
    end
  end
end

common.main(1000000, sides)
