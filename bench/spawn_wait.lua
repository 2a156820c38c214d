-- Spawn, run, end, and wait for each job by its handle. The reference is
-- `spawn.lua bare`.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

local LIMIT = 100

local function nothing() end

common.main(1000000, {
  -- One after the other: the waiting job is suspended for every one.
  uvjobs = function(n)
    local uvjobs = require "uvjobs"
    return function()
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler { limit = LIMIT }
        for _ = 1, n do jobs:spawn(nothing):wait() end
      end)
    end
  end,

  -- A handle and a protected call, and no scheduler: see peers/handle.c.
  handle = function(n)
    local run = common.require_built "handle"
    return function()
      run(function(queue)
        for _ = 1, n do queue:spawn(nothing):wait() end
      end)
    end
  end,

  -- The same where the handle has properties, too.
  ["handle-found"] = function(n)
    local run = common.require_built "handle"
    return function()
      run(function(queue)
        for _ = 1, n do queue:spawn(nothing):wait() end
      end, "handle.Found")
    end
  end,

  -- A hundred at a time: only the first wait of them suspends.
  ["uvjobs-batch"] = function(n)
    local uvjobs = require "uvjobs"
    return function()
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler { limit = LIMIT }
        local handles = {}
        for _ = 1, n // LIMIT do
          for i = 1, LIMIT do handles[i] = jobs:spawn(nothing) end
          for i = 1, LIMIT do handles[i]:wait() end
        end
      end)
    end
  end,
})
