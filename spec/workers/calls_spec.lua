-- What is built on jobs of workers: calls, map and each, tracebacks; and the limit of memory.

local base = require "spec.helper"
local guard = require "spec.guard"
local uvjobs = require "uvjobs"
local warm_up = require "spec.workers.warm_up"

local in_run = base.in_run

describe("workers", function()
  guard.install(warm_up)

  it("call a function and return its results, or raise its error", in_run(function()
    local workers <close> = uvjobs.workers { threads = 1 }
    assert.same({ 3, nil, "x" }, { workers:call(function(a, b) return a + b, nil, "x" end, 1, 2) })
    assert.same({ false, "no" }, { pcall(workers.call, workers, function() error("no", 0) end) })
  end))

  it("end a call that is left early, and leave its clean-up time #W5", in_run(function()
    local workers <close> = uvjobs.workers { threads = 1, close_timeout = 5 }
    local channel = uvjobs.channel(1)
    local job = uvjobs.current().scheduler:spawn(function()
      workers:call(function(out)
        local inner = require "uvjobs"
        out:put "runs"
        local _ <close> = setmetatable({}, { __close = function()
          inner.protect(inner.sleep, 0.001)
          inner.protect(out.put, out, "clean")
        end })
        while true do local _ = {} end
      end, channel)
    end)
    assert.equal("runs", channel:get())
    job:cancel()
    base.raises("cancelled", job.wait, job)
    assert.equal("clean", channel:get())
    assert.equal(0, #workers)
  end))

  it("are where map and each call their function", in_run(function()
    local workers <close> = uvjobs.workers { threads = 2 }
    local results = uvjobs.map({ 10, 20, 30 }, function(n, i) return n + i end, { on = workers })
    assert.same({ 11, 22, 33, n = 3 }, results)
    local sum = 0
    local count = uvjobs.each({ 1, 2, 3 }, function(n) return n, n * n end, {
      on = workers, on_result = function(_, _, square) sum = sum + square end,
    })
    assert.same({ 3, 14 }, { count, sum })
    assert.same({ false, "no" }, { pcall(uvjobs.map, { 1 }, function() error("no", 0) end,
      { on = workers }) })
    assert.equal(0, #workers)
  end))

  it("tell where a job stands in its thread", in_run(function()
    local workers <close> = uvjobs.workers { threads = 1 }
    local channel = uvjobs.channel(1)
    local job = workers:spawn({ name = "deep" }, function(out)
      local function deep()
        out:put(true)
        require "uvjobs".sleep(60)
      end
      deep()
    end, channel)
    channel:get()
    assert.matches('"deep".*calls_spec%.lua:%d+: in', workers:traceback(job))
    job:cancel()
    job:join()
    assert.is_nil(workers:traceback(job))
    assert.is_nil(workers:traceback(uvjobs.current()))
  end))

  it("end a job that needs too much memory, and no other #W11", in_run(function()
    local workers <close> = uvjobs.workers { threads = 1, memory_limit = 4 << 20 }
    local channel = uvjobs.channel(1)
    local other = workers:spawn(function(go_on)
      go_on:get()
      local list = {}
      for i = 1, 10000 do list[i] = { i } end
      return #list
    end, channel)
    for _ = 1, 3 do
      local greedy = workers:spawn({ report = false }, function()
        local list = {}
        for i = 1, math.huge do list[i] = { i } end
        return #list
      end)
      base.raises("memory", greedy.wait, greedy)
      assert.equal("failed", greedy.state)
    end
    local huge = workers:spawn({ report = false }, function() return ("x"):rep(1 << 27) end)
    base.raises("memory", huge.wait, huge)
    channel:put(true)
    assert.equal(10000, other:wait())
    assert.is_true(workers:stats().threads[1].memory <= (4 << 20) + (1 << 20))
  end))

  it("give garbage back before a job fails for lack of memory #W11", in_run(function()
    local workers <close> = uvjobs.workers { threads = 1, memory_limit = 4 << 20 }
    assert.equal("done", workers:call(function()
      for _ = 1, 200 do
        local list = {}
        for i = 1, 5000 do list[i] = { i } end
        assert(#list == 5000)
      end
      return "done"
    end))
  end))
end)
