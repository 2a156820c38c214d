-- Sleep: N jobs, all asleep at once, each for a random time within a second. CPU
-- time of the process: making them, putting them to sleep, waking, ending.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

math.randomseed(1)

common.main(100000, {
  uvjobs = function(n)
    local uvjobs = require "uvjobs"
    local function nap() uvjobs.sleep(math.random()) end
    return function()
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler { limit = math.huge }
        for _ = 1, n do jobs:spawn(nap) end
      end)
    end
  end,

  luv = function(n)
    local uv = require "luv"
    local function nap()
      local self = coroutine.running()
      local timer = uv.new_timer()
      timer:start(math.ceil(math.random() * 1000), 0, function()
        timer:close()
        coroutine.resume(self)
      end)
      coroutine.yield()
    end
    return function()
      for _ = 1, n do coroutine.resume(coroutine.create(nap)) end
      uv.run()
    end
  end,

  cqueues = function(n)
    local cqueues = require "cqueues"
    local queue = cqueues.new()
    local function nap() cqueues.sleep(math.random()) end
    return function()
      for _ = 1, n do queue:wrap(nap) end
      assert(queue:loop())
    end
  end,
})
