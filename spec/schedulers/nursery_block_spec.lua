-- uvjobs.nursery: a block that is cancelled when a job of it fails.
local uvjobs = require "uvjobs"
local coroutine = require "uvjobs.coroutine"
local testing = require "uvjobs.testing"
local helper = require "spec.helper"

local virtual, raises, message = helper.virtual, helper.raises, helper.message

-- Spawns a job that fails after so many seconds.
local function fail_in(jobs, seconds, err)
  return jobs:spawn(function()
    uvjobs.sleep(seconds)
    error(err or "broken", 0)
  end)
end

describe("uvjobs.nursery", function()
  after_each(helper.check_clean)

  it("returns the results of the function, when the jobs have finished", function()
    virtual(function()
      local job
      local function block(jobs)
        job = jobs:spawn(uvjobs.sleep, 1e6)
        return 1, nil, 3, nil
      end
      assert.same({ 1, nil, 3, nil, n = 4 }, table.pack(uvjobs.nursery(block)))
      assert.equal("done", job.state)
      assert.equal(1e6, uvjobs.now())
      assert.same({ n = 0 }, table.pack(uvjobs.nursery(helper.ignore)))
    end)
  end)

  it("makes a scheduler with the options", function()
    virtual(function()
      uvjobs.nursery({ limit = 3, name = "parts", close_timeout = 7 }, function(jobs)
        assert.same({ 3, "parts", 7 }, { jobs.limit, jobs.name, jobs.close_timeout })
      end)
    end)
  end)

  it("interrupts the block in whatever it waits when a job fails, and raises the error", function()
    virtual(function()
      local boom = {}
      local event, queue = uvjobs.event(), uvjobs.queue()
      for _, wait in ipairs {
        function() uvjobs.sleep(60) end, function() event:wait() end, function() queue:get() end,
        function(jobs) jobs:spawn(uvjobs.sleep, 60) jobs:wait_and_close() end,
        function() uvjobs.all { function() uvjobs.sleep(60) end } end,
        function() local s <close> = uvjobs.scheduler() s:spawn(uvjobs.sleep, 60) end,
        function(jobs) jobs:spawn(uvjobs.sleep, 60):wait() end,
      } do
        local before, caught = uvjobs.now(), nil
        local ok, err = pcall(uvjobs.nursery, function(jobs)
          fail_in(jobs, 1, boom)
          local _, inner = pcall(wait, jobs)
          caught = inner
          raises("cancelled", uvjobs.yield)
          raises("cancelled", queue.get, queue)
          error(inner, 0)
        end)
        assert.is_false(ok)
        assert.equal(boom, err)
        assert.equal("cancelled", uvjobs.code(caught))
        assert.is_true(caught.job == nil or caught.job ~= uvjobs.current())
        assert.equal(before + 1, uvjobs.now())
      end
      uvjobs.sleep(1) -- nothing is left of it
    end)
  end)

  it("raises the error of the job also when the block swallows its cancellation", function()
    virtual(function()
      assert.equal("broken", message(uvjobs.nursery, function(jobs)
        fail_in(jobs, 1)
        pcall(uvjobs.sleep, 60)
        return "fine"
      end))
    end)
  end)

  it("cancels the other jobs, and leaves nothing", function()
    virtual(function()
      local other, own
      assert.equal("broken", message(uvjobs.nursery, function(jobs)
        own = jobs
        fail_in(jobs, 1)
        other = jobs:spawn(uvjobs.sleep, 60)
      end))
      assert.equal("cancelled", other.state)
      assert.is_true(own.closed)
      assert.equal(0, #own)
    end)
  end)

  it("closes the jobs when the block fails, whose error is raised", function()
    virtual(function()
      local job
      local boom = {}
      local _, err = pcall(uvjobs.nursery, function(jobs)
        job = jobs:spawn(uvjobs.sleep, 60)
        uvjobs.yield()
        error(boom)
      end)
      assert.equal(boom, err)
      assert.equal("cancelled", job.state)
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("closes the jobs when its caller is cancelled, or a deadline passes", function()
    virtual(function()
      local job
      local function block(jobs)
        job = jobs:spawn(uvjobs.sleep, 60)
        uvjobs.sleep(60)
      end
      local others <close> = uvjobs.scheduler()
      local caller = others:spawn(uvjobs.nursery, block)
      helper.yield(2)
      caller:cancel()
      assert.equal(caller, raises("cancelled", caller.wait, caller).job)
      assert.equal("cancelled", job.state)
      for _, fn in ipairs { block, function(jobs) job = jobs:spawn(uvjobs.sleep, 60) end } do
        raises("timeout", uvjobs.timeout, 1, uvjobs.nursery, fn)
        assert.equal("cancelled", job.state)
      end
    end)
  end)

  it("reports what fails after the first error, once", function()
    virtual(function()
      local contexts = {}
      local options = { exception_handler = helper.recorder(contexts) }
      assert.equal("first", message(uvjobs.nursery, options, function(jobs)
        jobs:spawn(function()
          pcall(uvjobs.sleep, 60)
          error("second", 0)
        end)
        fail_in(jobs, 1, "first")
        pcall(uvjobs.sleep, 60)
        error("third", 0)
      end))
      assert.equal(2, #contexts)
      local seen = { [contexts[1].exception] = true, [contexts[2].exception] = true }
      assert.same({ second = true, third = true }, seen)
    end)
  end)

  it("does not interrupt a block whose job fails while somebody waits for it", function()
    virtual(function()
      assert.equal("handled", uvjobs.nursery(function(jobs)
        local job = fail_in(jobs, 1)
        pcall(job.wait, job)
        uvjobs.sleep(1)
        return "handled"
      end))
      assert.equal(2, uvjobs.now())
    end)
  end)

  it("nests with deadlines inside: the cancellation wins, before and after they pass", function()
    virtual(function()
      local codes = {}
      local function note(fn, ...)
        local code = helper.outcome(fn, ...)
        table.insert(codes, code)
      end
      pcall(uvjobs.nursery, function(jobs)
        fail_in(jobs, 2)
        note(uvjobs.timeout, 1, uvjobs.sleep, 60) -- passes before
        note(uvjobs.timeout, 60, function()
          note(uvjobs.sleep, 60)
          note(uvjobs.timeout, 0, uvjobs.sleep, 60)
          uvjobs.yield()
        end)
        note(uvjobs.yield)
      end)
      assert.same({ "timeout", "cancelled", "cancelled", "cancelled", "cancelled" }, codes)
      uvjobs.yield()
    end)
  end)

  it("nests in a deadline, which is raised again when the block has been left", function()
    virtual(function()
      local raised
      raises("timeout", uvjobs.timeout, 5, function()
        local _, err = pcall(uvjobs.nursery, function(jobs)
          fail_in(jobs, 1)
          pcall(uvjobs.sleep, 60)
          uvjobs.protect(uvjobs.sleep, 6)
          raised = helper.outcome(uvjobs.yield)
        end)
        assert.equal("broken", err)
        uvjobs.yield()
      end)
      assert.equal("cancelled", raised)
    end)
  end)

  it("is held off by protect, and heard after it", function()
    virtual(function()
      local code
      assert.equal("broken", message(uvjobs.nursery, function(jobs)
        fail_in(jobs, 1)
        uvjobs.protect(uvjobs.sleep, 3)
        uvjobs.protect(uvjobs.timeout, 9, uvjobs.sleep, 3)
        raises("timeout", uvjobs.protect, uvjobs.timeout, 1, uvjobs.sleep, 3)
        code = helper.outcome(uvjobs.yield)
      end))
      assert.equal("cancelled", code)
      assert.equal(7, uvjobs.now())
    end)
  end)

  it("nests in another one: the inner error cancels what is around it", function()
    virtual(function()
      local outer
      assert.equal("broken", message(uvjobs.nursery, function(jobs)
        outer = jobs:spawn(uvjobs.sleep, 60)
        uvjobs.nursery(function(inner)
          fail_in(inner, 1)
          uvjobs.sleep(60)
        end)
      end))
      assert.equal("cancelled", outer.state)
      assert.equal("outer", message(uvjobs.nursery, function(jobs)
        fail_in(jobs, 1, "outer")
        uvjobs.nursery(function(inner)
          outer = inner:spawn(uvjobs.sleep, 60)
          uvjobs.sleep(60)
        end)
      end))
      assert.equal("cancelled", outer.state)
    end)
  end)

  it("reaches a block that waits in a coroutine of the job", function()
    virtual(function()
      local code
      assert.equal("broken", message(uvjobs.nursery, function(jobs)
        fail_in(jobs, 1)
        coroutine.wrap(function()
          code = helper.outcome(uvjobs.timeout, 50, uvjobs.sleep, 60)
        end)()
      end))
      assert.equal("cancelled", code)
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("in a coroutine that yields out of it holds only while the coroutine runs", function()
    virtual(function()
      local codes = {}
      local co = coroutine.create(function()
        return uvjobs.nursery(function(jobs)
          fail_in(jobs, 1)
          uvjobs.timeout(50, coroutine.yield)
          codes[#codes + 1] = helper.outcome(uvjobs.yield)
        end)
      end)
      coroutine.resume(co)
      uvjobs.sleep(2) -- is not interrupted
      local ok, err = coroutine.resume(co)
      assert.is_false(ok)
      assert.equal("broken", err)
      assert.same({ "cancelled" }, codes)
      uvjobs.timeout(9, uvjobs.sleep, 1)
    end)
  end)

  it("survives a coroutine that is dropped in it, or closed", function()
    virtual(function()
      for _, close in ipairs { false, true } do
        local jobs
        local co = coroutine.create(function()
          uvjobs.nursery({ exception_handler = helper.ignore }, function(own)
            jobs = own
            fail_in(own, 1)
            coroutine.yield()
          end)
        end)
        coroutine.resume(co)
        if close then coroutine.close(co) end
        co = nil -- luacheck: ignore
        collectgarbage()
        collectgarbage()
        uvjobs.sleep(2)
        jobs:close()
      end
    end)
  end)

  it("interrupts a busy block once", function()
    uvjobs.run(function()
      local caught = 0
      local busy <close> = uvjobs.scheduler { timeslice = 0.001 }
      busy:spawn(function()
        local ok, err = pcall(uvjobs.nursery, function(jobs)
          fail_in(jobs, 0.005)
          local _, interruption = pcall(function() while true do end end)
          assert.equal("cancelled", uvjobs.code(interruption))
          assert.is_nil(interruption.job)
          caught = caught + 1
          local start = uvjobs.now()
          while uvjobs.now() < start + 0.03 do caught = caught + 0 end
        end)
        assert.is_false(ok)
        assert.equal("broken", err)
      end):wait()
      assert.equal(1, caught)
    end)
  end)

  it("leaves nothing wherever it is cancelled or killed", function()
    for _, by in ipairs { "cancel", "kill" } do
      testing.cancel_everywhere({ by = by }, function()
        pcall(uvjobs.nursery, { exception_handler = helper.ignore }, function(jobs)
          fail_in(jobs, 2)
          jobs:spawn(function() uvjobs.protect(uvjobs.sleep, 0.01) uvjobs.sleep(1) end)
          uvjobs.timeout(9, uvjobs.sleep, 1)
          uvjobs.protect(uvjobs.sleep, 0.01)
          uvjobs.sleep(5)
        end)
        uvjobs.nursery(function(jobs) jobs:spawn(uvjobs.sleep, 1) end)
      end)
    end
  end)

  it("is told of misuse", function()
    virtual(function()
      for expected, args in pairs {
        ["bad argument #1 to 'nursery' (function or table expected, got nil)"] = { nil },
        ["bad argument #1 to 'nursery' (function or table expected, got number)"] = { 1 },
        ["bad argument #2 to 'nursery' (function expected, got nil)"] = { {} },
        ["bad argument #2 to 'nursery' (function expected, got number)"] = { {}, 1 },
        ["bad argument #1 to 'nursery' (option 'on_error' is always 'cancel' here)"] =
          { { on_error = "cancel" }, helper.ignore },
        ["bad argument #1 to 'nursery' (unknown option 'limt', did you mean 'limit'?)"] =
          { { limt = 1 }, helper.ignore },
      } do
        assert.equal(expected, message(uvjobs.nursery, table.unpack(args, 1, 2)))
      end
    end)
    assert.equal("'nursery' must be called in a job: use uvjobs.run",
      message(uvjobs.nursery, helper.ignore))
  end)
end)
