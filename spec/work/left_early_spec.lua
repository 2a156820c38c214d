-- What happens to a function in another thread when its job gives up work().
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local world = require "spec.work.world"

local raises = helper.raises
local absent, create, wait_for, drain = world.absent, world.create, world.wait_for, world.drain
local block, nothing, endless = world.block, world.nothing, world.endless

describe("a job that leaves work", function()
  after_each(helper.check_clean)

  -- Starts a job that works, and waits until its function runs.
  local function working(jobs, fn, ...)
    local started = absent()
    local job = jobs:spawn(uvjobs.work, fn, started, ...)
    wait_for(started)
    os.remove(started)
    return job
  end

  it("has started nothing if it was cancelled before #M5", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler()
      local job = jobs:spawn(function()
        uvjobs.current():cancel()
        for _ = 1, 3 do
          raises("cancelled", uvjobs.work, nothing)
          assert.equal(0, uvjobs.stats().work)
        end
        uvjobs.work(nothing)
      end)
      raises("cancelled", job.wait, job)
      assert.equal("cancelled", job.state)
    end)
  end)

  it("takes its function out of the queue #M6", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler { exception_handler = nothing, close_timeout = 0 }
      local trace = absent()
      local function touch(path) assert(io.open(path, "w")):close() end
      world.with_full_pool(function(free)
        local cancelled = jobs:spawn(uvjobs.work, touch, trace)
        local late = jobs:spawn({ timeout = 0.001 }, uvjobs.work, touch, trace)
        local killed = jobs:spawn(uvjobs.protect, uvjobs.work, touch, trace)
        raises("timeout", uvjobs.timeout, 0.001, uvjobs.work, touch, trace)
        raises("timeout", late.wait, late)
        cancelled:close(60)
        raises("timeout", killed.close, killed)
        assert.same({ "cancelled", "failed", "killed" },
                    { cancelled.state, late.state, killed.state })
        free()
      end)
      drain()
      assert.is_false(world.exists(trace))
    end)
  end)

  -- Functions that resist being stopped. Each first creates a file, which says that it runs.
  local stubborn = {
    ["a loop"] = function(path)
      assert(io.open(path, "w")):close()
      while true do end
    end,
    ["pcall"] = function(path)
      assert(io.open(path, "w")):close()
      while true do pcall(function() while true do end end) end
    end,
    ["a message handler"] = function(path)
      assert(io.open(path, "w")):close()
      xpcall(function() while true do end end, function() while true do end end)
    end,
    ["a coroutine"] = function(path)
      assert(io.open(path, "w")):close()
      coroutine.wrap(function() while true do pcall(error) end end)()
    end,
    ["a coroutine that it resumes again and again"] = function(path)
      local co
      co = coroutine.create(function() while true do pcall(coroutine.yield) end end)
      assert(io.open(path, "w")):close()
      while true do pcall(coroutine.resume, co) end
    end,
    ["one that was there before"] = function(path)
      local inner = coroutine.create(function()
        coroutine.yield()
        while true do pcall(error) end
      end)
      coroutine.resume(inner)
      local outer = coroutine.create(function()
        coroutine.yield()
        while true do pcall(coroutine.resume, inner) end
      end)
      coroutine.resume(outer)
      assert(io.open(path, "w")):close()
      while true do pcall(coroutine.resume, outer) end
    end,
    ["a coroutine that is closed"] = function(path)
      local co = coroutine.create(function()
        local _ <close> = setmetatable({}, { __close = function() while true do end end })
        coroutine.yield()
      end)
      coroutine.resume(co)
      assert(io.open(path, "w")):close()
      coroutine.close(co)
    end,
    ["uvjobs where nothing happens"] = function(path)
      local inner = require "uvjobs"
      inner.run(function()
        assert(io.open(path, "w")):close()
        while true do pcall(inner.sleep, 3600) end
      end)
    end,
    ["uvjobs, in a job that computes"] = function(path)
      local inner = require "uvjobs"
      inner.run({ interrupt = "none" }, function()
        local jobs <close> = inner.scheduler()
        jobs:spawn(function()
          assert(io.open(path, "w")):close()
          while true do pcall(function() while true do end end) end
        end)
      end)
    end,
    ["a C call"] = function(path)
      assert(io.open(path, "w")):close()
      string.gsub("x", "x", function() while true do end end)
    end,
    ["a to-be-closed variable"] = function(path)
      local _ <close> = setmetatable({}, { __close = function() while true do end end })
      assert(io.open(path, "w")):close()
      while true do end
    end,
    ["uvjobs"] = function(path)
      local inner = require "uvjobs"
      assert(io.open(path, "w")):close()
      inner.run(function() while true do pcall(inner.yield) end end)
    end,
  }

  for name, fn in pairs(stubborn) do
    it("stops its function, also in " .. name, function()
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler()
        local job = working(jobs, fn)
        job:cancel()
        raises("cancelled", job.wait, job)
        drain()
        assert.equal("fine", uvjobs.work(function() return "fine" end))
      end)
    end)
  end

  it("stops its function when a deadline passes, or it is killed #M8", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler { exception_handler = nothing }
      raises("timeout", uvjobs.timeout, 0.01, uvjobs.work, endless)
      local job = jobs:spawn(uvjobs.protect, uvjobs.work, endless)
      uvjobs.yield()
      raises("timeout", job.close, job, 0.01)
      assert.equal("killed", job.state)
      drain()
    end)
  end)

  it("does not wait for a C function, and nobody gets what it returns", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler()
      local gate = absent()
      local job = working(jobs, block, gate)
      job:close(60)
      assert.equal("cancelled", job.state)
      assert.equal(1, uvjobs.stats().work)
      create(gate)
      drain()
      os.remove(gate)
    end)
  end)

  it("may do so in the turn in which the function ends", function()
    uvjobs.run(function()
      local jobs = uvjobs.scheduler { limit = math.huge, exception_handler = nothing }
      local ended = { done = 0, cancelled = 0 }
      for i = 1, 500 do
        local job = jobs:spawn(uvjobs.work, function(n) return { n } end, i)
        jobs:spawn(function()
          helper.yield(i)
          job:cancel()
          pcall(job.wait, job)
          ended[job.state] = ended[job.state] + 1
        end)
      end
      jobs:wait_and_close()
      assert.equal(500, ended.done + ended.cancelled)
      drain()
    end)
  end)

  it("leaves nothing for the next run", function()
    pcall(uvjobs.run, function()
      uvjobs.current().scheduler:spawn(uvjobs.work, endless)
      uvjobs.yield()
      error("boom")
    end)
    uvjobs.run(drain)
  end)
end)
