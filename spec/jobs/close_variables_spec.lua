-- The to-be-closed variables of jobs: they are run however a job ends.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, ignore, quiet, outcome = helper.virtual, helper.ignore, helper.quiet, helper.outcome

--- A to-be-closed value that calls `handler` with the error.
local function closing(handler)
  return setmetatable({}, { __close = function(_, err) return handler(err) end })
end

-- How a job can end, what its handlers get then, and its last state.
local endings = {
  { "ends", ignore, ignore, function(err) return err == nil end, "done" },
  { "fails", function() error("boom", 0) end, ignore,
    function(err) return err == "boom" end, "failed" },
  { "is cancelled", function() uvjobs.sleep(100) end, function(job) job:cancel() end,
    function(err, job) return uvjobs.code(err) == "cancelled" and err.job == job end, "cancelled" },
  { "times out", function() uvjobs.timeout(1, uvjobs.sleep, 100) end, ignore,
    function(err) return uvjobs.code(err) == "timeout" end, "failed" },
  { "is killed", function() uvjobs.protect(uvjobs.sleep, 100) end,
    function(job) pcall(job.close, job, 1) end,
    function(err, job) return uvjobs.code(err) == "killed" and err.job == job end, "killed" },
}

for _, ending in ipairs(endings) do
  local title, body, act, expected, state = table.unpack(ending)

  describe("when a job " .. title .. ", its <close> variables", function()
    after_each(helper.check_clean)

    -- Runs a job with three handlers; the values in `got` are what they saw.
    local function run(handler)
      local job
      local got = helper.log()
      virtual(function()
        job = quiet():spawn(function()
          local _ <close> = closing(function(err) got:add { 1, err, handler() } end)
          local _ <close> = closing(function(err) got:add { 2, err, handler() } end)
          do
            local _ <close> = closing(function(err) got:add { 3, err, handler() } end)
            body()
          end
        end)
        uvjobs.yield()
        act(job)
        job:join()
      end)
      return job, got
    end

    it("are run once each, the last one first #M7", function()
      local job, got = run(ignore)
      assert.equal(state, job.state)
      assert.same({ 3, 2, 1 }, { got[1][1], got[2][1], got[3][1] })
      assert.equal(3, #got)
    end)

    it("get the reason #M7", function()
      local job, got = run(ignore)
      for i = 1, 3 do
        assert.is_true(expected(got[i][2], job), "got " .. tostring(got[i][2]))
      end
    end)

    it("may suspend, if need be in protect, unless the job is killed #M7", function()
      local job, got = run(function() return outcome(uvjobs.protect, uvjobs.sleep, 0.25) end)
      assert.equal(state, job.state)
      for i = 1, 3 do assert.equal(state == "killed" and "killed" or true, got[i][3]) end
    end)

    it("may not suspend outside protect once the job is to end #M5 #M7", function()
      local job, got = run(function() return outcome(uvjobs.sleep, 0.25) end)
      assert.equal(state, job.state)
      local wanted = { cancelled = "cancelled", killed = "killed" }
      for i = 1, 3 do assert.equal(wanted[state] or true, got[i][3]) end
    end)

    it("may call what does not suspend #M7", function()
      local event, jobs = uvjobs.event(), quiet()
      local job, got = run(function()
        event:set()
        local current = uvjobs.current()
        current:cancel()
        local spawned = jobs:try_spawn(ignore)
        if spawned then spawned:cancel() end
        return current, uvjobs.now()
      end)
      assert.is_true(event:is_set())
      for i = 1, 3 do
        assert.equal(job, got[i][3])
        assert.is_number(got[i][4])
      end
    end)
  end)
end

describe("a <close> variable", function()
  after_each(helper.check_clean)

  it("of a job that never started does not exist", function()
    virtual(function()
      local jobs, count = quiet { limit = 1 }, 0
      local function fn() local _ <close> = closing(function() count = count + 1 end) end
      jobs:spawn(fn):cancel()
      jobs:spawn(fn)
      jobs:spawn(fn):cancel()
      jobs:wait_and_close()
      assert.equal(1, count)
    end)
  end)

  it("whose handler raises replaces the error, and the next ones run #M7", function()
    virtual(function()
      local jobs, seen = quiet(), helper.log()
      local second = { "second" }
      local job = jobs:spawn(function()
        local _ <close> = closing(function(err) seen:add(err) end)
        local _ <close> = closing(function(err) seen:add(err); error(second) end)
        local _ <close> = closing(function(err)
          seen:add(err)
          uvjobs.yield()
          error("first", 0)
        end)
        error("boom", 0)
      end)
      assert.equal(second, select(2, pcall(job.wait, job)))
      assert.same({ "boom", "first", second }, { table.unpack(seen) })
      assert.equal("failed", job.state)
    end)
  end)

  it("whose handler raises makes a job fail that would be done or cancelled #M7", function()
    virtual(function()
      local jobs = quiet()
      local function fn(seconds)
        local _ <close> = closing(function() error("from the handler", 0) end)
        uvjobs.sleep(seconds)
      end
      local done, cancelled = jobs:spawn(fn, 0), jobs:spawn(fn, 100)
      uvjobs.sleep(1)
      cancelled:cancel()
      cancelled:join()
      for _, job in ipairs { done, cancelled } do
        assert.equal("failed", job.state)
        assert.equal("from the handler", outcome(job.wait, job))
      end
    end)
  end)

  it("whose handler raises in a killed job changes nothing else #M7", function()
    virtual(function()
      local reports, count = helper.log(), 0
      local jobs = uvjobs.scheduler {
        exception_handler = helper.recorder(reports),
      }
      local job = jobs:spawn(function()
        local _ <close> = closing(function() count = count + 1 end)
        local _ <close> = closing(function() count = count + 1; error("from the handler") end)
        local _ <close> = closing(function() count = count + 1; uvjobs.sleep(1) end)
        uvjobs.protect(uvjobs.sleep, 100)
      end)
      uvjobs.yield()
      jobs:close()
      assert.equal(3, count)
      assert.equal("killed", job.state)
      helper.raises("killed", job.wait, job)
      assert.equal(1, #reports)
      assert.equal("Job closing timed out", reports[1].message)
      assert.equal("killed", uvjobs.code(reports[1].exception))
    end)
  end)

  it("whose handler does not end is interrupted and the next one runs #M7 #M8", function()
    virtual(function()
      local jobs, order = quiet(), helper.log()
      local job = jobs:spawn(function()
        local _ <close> = closing(function() order:add("last") end)
        local _ <close> = closing(function()
          order:add("stuck")
          uvjobs.protect(uvjobs.sleep, 1000)
          order:add("not reached")
        end)
        local _ <close> = closing(function()
          uvjobs.protect(uvjobs.sleep, 0.5)
          order:add("first")
        end)
        uvjobs.sleep(1000)
      end)
      uvjobs.yield()
      helper.raises("timeout", job.close, job, 1)
      assert.is_true(uvjobs.now() >= 1 and uvjobs.now() <= 2)
      assert.same({ "first", "stuck", "last" }, { table.unpack(order) })
      assert.equal("killed", job.state)
    end)
  end)

  it("may call protect and timeout in a killed job, but they cannot suspend #M7", function()
    virtual(function()
      local jobs, got = quiet(), helper.log()
      local function suspend() got:add("called"); uvjobs.sleep(1); got:add("not reached") end
      local job = jobs:spawn(function()
        local _ <close> = closing(function()
          got:add(uvjobs.protect(function(v) return v end, "protected"))
          got:add(uvjobs.timeout(1, function(v) return v end, "timed"))
          got:add(outcome(uvjobs.protect, suspend))
          got:add(outcome(uvjobs.timeout, 1, suspend))
        end)
        uvjobs.protect(uvjobs.sleep, 1000)
      end)
      uvjobs.yield()
      helper.raises("timeout", job.close, job, 1)
      assert.same({ "protected", "timed", "called", "killed", "called", "killed" },
        { table.unpack(got) })
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("of a handler of its own is run when that is interrupted #M7", function()
    virtual(function()
      local jobs, order = quiet(), helper.log()
      local job = jobs:spawn(function()
        local _ <close> = closing(function() order:add("outer") end)
        local _ <close> = closing(function()
          local _ <close> = closing(function() order:add("inner") end)
          uvjobs.protect(uvjobs.sleep, 1000)
        end)
      end)
      uvjobs.yield()
      helper.raises("timeout", job.close, job, 1)
      assert.same({ "inner", "outer" }, { table.unpack(order) })
    end)
  end)

  it("is run in thousands, nested and in one function, in order #M7", function()
    for _, ending in ipairs(endings) do
      local _, body, act, _, state = table.unpack(ending)
      virtual(function()
        local order = {}
        local function nest(depth)
          local _ <close> = closing(function() order[#order + 1] = depth end)
          if depth == 2000 then body() else nest(depth + 1) end
        end
        local job = quiet():spawn(nest, 1)
        uvjobs.yield()
        act(job)
        job:join()
        assert.equal(state, job.state)
        assert.equal(2000, #order)
        for i = 1, 2000 do assert(order[i] == 2001 - i) end
      end)
    end
  end)

  it("is run after the stack overflowed #M7", function()
    virtual(function()
      local closed = 0
      local function overflow(...) return 1 + overflow(...) end
      local job = quiet():spawn(function()
        local _ <close> = closing(function() uvjobs.yield(); closed = closed + 1 end)
        overflow(table.unpack({}, 1, 200)) -- wide frames: few of them fill the stack
      end)
      job:join()
      assert.equal(1, closed)
      assert.equal("failed", job.state)
      assert.matches("stack overflow", outcome(job.wait, job))
    end)
  end)

  it("of a generic for loop is run too #M7", function()
    virtual(function()
      local jobs, closed = quiet(), 0
      local function each()
        return function() uvjobs.sleep(1); return true end, nil, nil,
          closing(function() closed = closed + 1 end)
      end
      local function broken() for _ in each() do if closed == 0 then break end end end
      local function endless() for _ in each() do uvjobs.yield() end end
      jobs:spawn(broken):wait()
      assert.equal(1, closed)
      helper.raises("timeout", uvjobs.timeout, 2, endless)
      assert.equal(2, closed)
      local job = jobs:spawn(endless)
      uvjobs.yield()
      job:cancel()
      job:join()
      assert.equal(3, closed)
    end)
  end)

  -- A job that is killed cannot wait for what it owns, but it lets go of it.
  it("that is a scheduler is closed with its jobs, also when its job is killed #M7 #M9", function()
    for _, ending in ipairs(endings) do
      local title, body, act, _, state = table.unpack(ending)
      virtual(function()
        local inner, child
        local job = quiet():spawn(function()
          local owned <close> = quiet { wait_timeout = 2 }
          inner, child = owned, owned:spawn(uvjobs.sleep, 1000)
          body()
        end)
        uvjobs.yield()
        act(job)
        job:join()
        assert.equal(state, job.state)
        assert.is_true(inner.closed, "it was left open when its job " .. title)
        child:join(1)
        assert.equal("cancelled", child.state)
      end)
    end
  end)

  it("that is a nursery is closed without waiting when its job is killed: what it owns has its own"
    .. " close timeout #M8", function()
    local function nursery(fn)
      uvjobs.nursery({ close_timeout = 5, exception_handler = ignore }, fn)
    end
    local function all(fn)
      uvjobs.all { function() fn(uvjobs.current().scheduler) end }
    end
    for _, own in ipairs { nursery, all } do
      virtual(function()
        local child
        local jobs = quiet { close_timeout = 5 }
        local job = jobs:spawn(uvjobs.protect, own, function(owned)
          child = owned:spawn(uvjobs.protect, uvjobs.sleep, 1000)
          child:wait()
        end)
        uvjobs.sleep(1)
        local start = uvjobs.now()
        jobs:close()
        assert.same({ 5, "killed", "closing" }, { uvjobs.now() - start, job.state, child.state })
        child:join()
        assert.same({ 10, "killed" }, { uvjobs.now() - start, child.state })
      end)
    end
  end)

  -- The job has swallowed its cancellation and computed for too long, where nothing interrupts it:
  -- so it is killed as soon as it waits, which is in the end of the block.
  it("that is a scheduler or a nursery is closed when its job is killed at the end of the block"
    .. " #M8", function()
    local function block(fn)
      local owned <close> = quiet()
      fn(owned)
    end
    local function nursery(fn)
      uvjobs.nursery({ exception_handler = ignore }, fn)
    end
    for _, own in ipairs { block, nursery } do
      uvjobs.run({ interrupt = "none", signals = false }, function()
        local child
        local jobs <close> = quiet()
        local job = jobs:spawn(own, function(owned)
          child = owned:spawn(uvjobs.sleep, 1000)
          pcall(uvjobs.sleep, 1000)
          local stop = uvjobs.now() + 0.02
          repeat until uvjobs.now() > stop
        end)
        uvjobs.yield()
        helper.raises("timeout", job.close, job, 0.01)
        assert.is_true(child.scheduler.closed)
        child:join()
        assert.same({ "killed", "cancelled" }, { job.state, child.state })
      end)
    end
  end)
end)
