-- Memory: what the process needs at its peak for N jobs that are asleep at once,
-- per job in bytes. It is the growth of the peak of the resident set, so memory
-- of Lua and of C, and what the allocator loses, all count. Every side makes a
-- closure for each job.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

math.randomseed(1)

--- Runs the function and returns the growth of the peak per job.
local function growth(n, fn)
  local before = common.memory("VmRSS")
  fn()
  return ("%.0f"):format((common.memory("VmHWM") - before) / n)
end

common.main(100000, {
  uvjobs = function(n)
    local uvjobs = require "uvjobs"
    return function()
      return growth(n, function()
        uvjobs.run(function()
          local jobs <close> = uvjobs.scheduler { limit = math.huge }
          for _ = 1, n do
            local seconds = 0.5 + math.random() / 2
            jobs:spawn(function() uvjobs.sleep(seconds) end)
          end
        end)
      end)
    end
  end,

  -- They are suspended for ever; somebody has to keep them, so they are in a
  -- table (about 20 bytes each at its peak).
  bare = function(n)
    return function()
      return growth(n, function()
        local kept = {}
        for i = 1, n do
          local seconds = 0.5 + math.random() / 2
          local co = coroutine.create(function() coroutine.yield(seconds) end)
          coroutine.resume(co)
          kept[i] = co
        end
        assert(#kept == n)
      end)
    end
  end,

  luv = function(n)
    local uv = require "luv"
    return function()
      return growth(n, function()
        for _ = 1, n do
          local seconds = 0.5 + math.random() / 2
          coroutine.resume(coroutine.create(function()
            local self = coroutine.running()
            local timer = uv.new_timer()
            timer:start(math.ceil(seconds * 1000), 0, function()
              timer:close()
              coroutine.resume(self)
            end)
            coroutine.yield()
          end))
        end
        uv.run()
      end)
    end
  end,

  cqueues = function(n)
    local cqueues = require "cqueues"
    local queue = cqueues.new()
    return function()
      return growth(n, function()
        for _ = 1, n do
          local seconds = 0.5 + math.random() / 2
          queue:wrap(function() cqueues.sleep(seconds) end)
        end
        assert(queue:loop())
      end)
    end
  end,
})
