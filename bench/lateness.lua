-- Lateness: one job sleeps N times for 0.5 to 10 ms, and looks how late it woke.
-- Prints the median, the 99th percentile, and the earliest, in milliseconds; the
-- last one is negative when a sleep was too short. It wants an idle machine.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

math.randomseed(1)

--- A clock in seconds, another one than that of the loop if possible.
local function clock()
  local found, uv = pcall(require, "luv")
  if not found then return require("uvjobs").now end
  package.loaded.luv = nil -- it is not to be driven
  return function() return uv.hrtime() / 1e9 end
end

--- Sleeps n times; returns how late it was each time.
local function sample(n, now, sleep)
  local samples = {}
  for i = 1, n do
    local seconds = 0.0005 + math.random() * 0.0095
    local began = now()
    sleep(seconds)
    samples[i] = now() - began - seconds
  end
  return samples
end

common.main(500, {
  uvjobs = function(n)
    local now, uvjobs = clock(), require "uvjobs"
    return function()
      return common.percentiles(uvjobs.run(sample, n, now, uvjobs.sleep))
    end
  end,

  -- Its timers count whole milliseconds: rounded up, so as not to be early.
  luv = function(n)
    local uv = require "luv"
    local timer = uv.new_timer()
    local function sleep(seconds)
      local self = coroutine.running()
      uv.update_time()
      timer:start(math.ceil(seconds * 1000), 0, function() coroutine.resume(self) end)
      coroutine.yield()
    end
    return function()
      local samples
      coroutine.wrap(function()
        samples = sample(n, function() return uv.hrtime() / 1e9 end, sleep)
      end)()
      uv.run()
      return common.percentiles(samples)
    end
  end,

  cqueues = function(n)
    local cqueues = require "cqueues"
    local queue = cqueues.new()
    return function()
      local samples
      queue:wrap(function()
        samples = sample(n, cqueues.monotime, cqueues.sleep)
      end)
      assert(queue:loop())
      return common.percentiles(samples)
    end
  end,
})
