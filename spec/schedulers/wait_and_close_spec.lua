-- wait_and_close of a scheduler.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, raises, message = helper.virtual, helper.raises, helper.message

-- A job that does not end when it is cancelled.
local function stubborn()
  while true do uvjobs.protect(uvjobs.sleep, 1) end
end

local function quiet(opts)
  opts = opts or {}
  opts.exception_handler = function() end
  return uvjobs.scheduler(opts)
end

describe("wait_and_close", function()
  after_each(helper.check_clean)

  it("waits for all jobs, pending ones included, then closes", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 2 }
      local done = 0
      for _ = 1, 7 do jobs:spawn(function() uvjobs.sleep(1) done = done + 1 end) end
      assert.same({ n = 0 }, table.pack(jobs:wait_and_close()))
      assert.equal(7, done)
      assert.equal(4, uvjobs.now())
      assert.is_true(jobs.closed)
    end)
  end)

  it("waits for the jobs that are spawned meanwhile", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      local log = helper.log()
      local function chain(n)
        uvjobs.sleep(1)
        log:add(n)
        if n > 1 then jobs:spawn(chain, n - 1) end
      end
      jobs:spawn(chain, 4)
      jobs:wait_and_close()
      assert.same({ 4, 3, 2, 1 }, log)
    end)
  end)

  it("waits for a job that another waiter of the same end spawns first", function()
    virtual(function()
      local jobs, others <close> = uvjobs.scheduler(), uvjobs.scheduler()
      local first, late = jobs:spawn(uvjobs.sleep, 1), nil
      others:spawn(function()
        first:wait()
        late = jobs:spawn(uvjobs.sleep, 1)
      end)
      uvjobs.yield()
      jobs:wait_and_close()
      assert.equal("done", late.state)
      assert.equal(2, uvjobs.now())
    end)
  end)

  it("cancels what is left after its timeout", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      local short, long = jobs:spawn(uvjobs.sleep, 1), jobs:spawn(uvjobs.sleep, 100)
      jobs:wait_and_close(5)
      assert.equal(5, uvjobs.now())
      assert.equal("done", short.state)
      assert.equal("cancelled", long.state)
    end)
  end)

  it("uses wait_timeout without an argument", function()
    virtual(function()
      local jobs = uvjobs.scheduler { wait_timeout = 7 }
      jobs:spawn(uvjobs.sleep, 100)
      jobs:wait_and_close()
      assert.equal(7, uvjobs.now())
      local defaults = uvjobs.scheduler()
      defaults:spawn(uvjobs.sleep, 100)
      defaults:wait_and_close()
      assert.equal(67, uvjobs.now())
    end)
  end)

  it("with a timeout of 0 closes at once", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      local job = jobs:spawn(uvjobs.sleep, 1)
      uvjobs.yield()
      jobs:wait_and_close(0)
      assert.equal(0, uvjobs.now())
      assert.equal("cancelled", job.state)
    end)
  end)

  it("gives a job that is left a close timeout, then kills it #M8", function()
    virtual(function()
      local jobs = quiet { close_timeout = 3 }
      local job = jobs:spawn(stubborn)
      jobs:wait_and_close(5)
      assert.equal(8, uvjobs.now())
      assert.equal("killed", job.state)
    end)
  end)

  it("waits for shielded functions", function()
    virtual(function()
      local jobs, others <close> = uvjobs.scheduler(), uvjobs.scheduler()
      local ended
      local caller = others:spawn(function()
        jobs:shield(function() uvjobs.sleep(4) ended = uvjobs.now() end)
      end)
      uvjobs.yield()
      caller:cancel()
      jobs:wait_and_close()
      assert.equal(4, ended)
    end)
  end)

  it("is an error in a job of the scheduler, which would wait for itself", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      local job = jobs:spawn(function() return message(jobs.wait_and_close, jobs) end)
      assert.equal("a job cannot wait for its own scheduler", job:wait())
      assert.is_false(jobs.closed)
      jobs:close()
    end)
  end)

  it("is an error in a shielded function of the scheduler", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      assert.equal("a job cannot wait for its own scheduler",
                   jobs:shield(message, jobs.wait_and_close, jobs))
      jobs:close()
    end)
  end)

  it("leaves the scheduler open when its waiter is cancelled #M6", function()
    virtual(function()
      local jobs, others <close> = uvjobs.scheduler(), uvjobs.scheduler()
      local job = jobs:spawn(uvjobs.sleep, 5)
      local waiter = others:spawn(jobs.wait_and_close, jobs)
      uvjobs.yield()
      waiter:cancel()
      raises("cancelled", waiter.wait, waiter)
      assert.is_false(jobs.closed)
      assert.equal("active", job.state)
      assert.truthy(jobs:spawn(function() end))
      jobs:close()
    end)
  end)

  it("leaves the scheduler open when its waiter's deadline passes #M6", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      jobs:spawn(uvjobs.sleep, 5)
      raises("timeout", uvjobs.timeout, 1, jobs.wait_and_close, jobs)
      assert.equal(1, uvjobs.now())
      assert.is_false(jobs.closed)
      jobs:close()
    end)
  end)

  it("returns to all that wait, and at once afterwards #M4", function()
    virtual(function()
      local jobs, others <close> = uvjobs.scheduler(), uvjobs.scheduler()
      jobs:spawn(uvjobs.sleep, 2)
      local ends = helper.log()
      for _ = 1, 3 do
        others:spawn(function() jobs:wait_and_close() ends:add(uvjobs.now()) end)
      end
      others:wait_and_close()
      assert.same({ 2, 2, 2 }, ends)
      jobs:wait_and_close()
      assert.equal(2, uvjobs.now())
    end)
  end)

  it("without jobs closes at once, also outside a run", function()
    local jobs = uvjobs.scheduler()
    jobs:wait_and_close()
    assert.is_true(jobs.closed)
  end)
end)
