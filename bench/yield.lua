-- Yield: 1,000 jobs that give way in turn, N times altogether.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

local JOBS = 1000

--- What every job does with the function that gives way.
local function body(yield, n)
  return function()
    for _ = 1, n // JOBS do yield() end
  end
end

common.main(2000000, {
  uvjobs = function(n)
    local uvjobs = require "uvjobs"
    local fn = body(uvjobs.yield, n)
    return function()
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler { limit = JOBS }
        for _ = 1, JOBS do jobs:spawn(fn) end
      end)
    end
  end,

  bare = function(n)
    local fn = body(coroutine.yield, n)
    return function()
      local all, resume = {}, coroutine.resume
      for i = 1, JOBS do all[i] = coroutine.create(fn) end
      for _ = 1, n // JOBS + 1 do
        for i = 1, JOBS do resume(all[i]) end
      end
    end
  end,

  luv = function(n)
    local ready = dofile(common.dir .. "peers/ready.lua")
    local function yield()
      ready.add(coroutine.running())
      coroutine.yield()
    end
    local fn = body(yield, n)
    return function()
      ready.run(function()
        for _ = 1, JOBS do ready.add(coroutine.create(fn)) end
      end)
    end
  end,

  cqueues = function(n)
    local cqueues = require "cqueues"
    local queue = cqueues.new()
    local fn = body(function() cqueues.sleep(0) end, n)
    return function()
      for _ = 1, JOBS do queue:wrap(fn) end
      assert(queue:loop())
    end
  end,
})
