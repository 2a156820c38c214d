-- Insight: what it costs that the times of jobs are measured (`stats`), and that
-- a trace is written (`trace`), all of which is kept; and what it costs when both
-- are over (`after`).

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

local function nothing() end

--- The kinds of work: each is called in a job, with its number of operations.
local WORK = {
  ["spawn-wait"] = function(uvjobs, n)
    local jobs <close> = uvjobs.scheduler { limit = 100 }
    for _ = 1, n do jobs:spawn(nothing):wait() end
  end,

  switch = common.exchange,
}

--- The CPU time of the calling thread, as Linux tells it.
local function thread_ns()
  local file <close> = assert(io.open "/proc/thread-self/schedstat")
  return tonumber(file:read "n")
end

local MODES = {
  off = function(uvjobs, work, n) uvjobs.run(work, uvjobs, n) end,

  stats = function(uvjobs, work, n) uvjobs.run({ stats = true }, work, uvjobs, n) end,

  -- A thread of its own writes the file: the first number is the time of this one, the second that
  -- of both.
  trace = function(uvjobs, work, n)
    local began, both = thread_ns(), os.clock()
    uvjobs.run(function()
      local path = os.tmpname()
      local trace = require "uvjobs.insight".trace { file = path, limit = math.huge }
      work(uvjobs, n)
      trace:close()
      os.remove(path)
    end)
    return (thread_ns() - began) / n, (os.clock() - both) * 1e9 / n
  end,

  after = function(uvjobs, work, n)
    uvjobs.run(function()
      local insight = require "uvjobs.insight"
      insight.measure(true)
      work(uvjobs, 1000)
      insight.measure(false)
      local path = os.tmpname()
      local trace = insight.trace { file = path }
      work(uvjobs, 1000)
      trace:close()
      os.remove(path)
      work(uvjobs, n)
    end)
  end,
}

local sides = {}
for kind, work in pairs(WORK) do
  for name, mode in pairs(MODES) do
    sides[kind .. "-" .. name] = function(n)
      local uvjobs = require "uvjobs"
      require "uvjobs.insight" -- loading it is not what is measured
      return function() return mode(uvjobs, work, n) end
    end
  end
end

common.main(1000000, sides)
