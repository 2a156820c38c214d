-- Spawn, run and end: N jobs that return at once, from a loop in one job.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

local LIMIT = 100

local function nothing() end

local function uvjobs_with(options)
  return function(n)
    local uvjobs = require "uvjobs"
    return function()
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler(options)
        for _ = 1, n do jobs:spawn(nothing) end
      end)
    end
  end
end

common.main(1000000, {
  uvjobs = uvjobs_with { limit = LIMIT },

  -- Without a pending queue: the loop stops after every 100 jobs.
  ["uvjobs-unqueued"] = uvjobs_with { limit = LIMIT, pending_limit = 0 },

  -- Without a limit: all jobs are there before the first one runs.
  ["uvjobs-unlimited"] = uvjobs_with { limit = math.huge },

  bare = function(n)
    local create, resume = coroutine.create, coroutine.resume
    return function()
      for _ = 1, n do resume(create(nothing)) end
    end
  end,

  -- A handle and a protected call, and no scheduler: see peers/handle.c.
  handle = function(n)
    local run = common.require_built "handle"
    return function()
      run(function(queue)
        for _ = 1, n do queue:spawn(nothing) end
      end)
    end
  end,

  luv = function(n)
    local ready = dofile(common.dir .. "peers/ready.lua")
    local create, yield = coroutine.create, coroutine.yield
    return function()
      ready.run(function()
        local self = coroutine.running()
        for i = 1, n do
          ready.add(create(nothing))
          if i % LIMIT == 0 then
            ready.add(self)
            yield()
          end
        end
      end)
    end
  end,

  cqueues = function(n)
    local queue = require("cqueues").new()
    return function()
      for i = 1, n do
        queue:wrap(nothing)
        if i % LIMIT == 0 then assert(queue:loop()) end
      end
      assert(queue:loop())
    end
  end,
})
