-- Cancellation interrupts every operation that can suspend, also one that would not have to wait;
-- an interrupted operation has taken nothing.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, ignore = helper.virtual, helper.ignore

--- The outcome of a pcall: true, or the code of the error (without one the error) and the error.
local function outcome(ok, err)
  if ok then return true, err end
  return uvjobs.code(err) or err, err
end

-- Jobs and other things for an operation to wait for. None of them changes while a spec runs.
local function surroundings()
  local env = {
    jobs = uvjobs.scheduler { limit = math.huge, exception_handler = ignore },
    full = uvjobs.scheduler { limit = 1, pending_limit = 0 },
    busy = uvjobs.scheduler { close_timeout = 500, exception_handler = ignore },
    empty = uvjobs.scheduler(),
    event = uvjobs.event(),
    set = uvjobs.event(),
    ran = 0,
    abandoned = 0,
  }
  env.set:set()
  env.full:spawn(uvjobs.sleep, 1000)
  env.target = env.busy:spawn(uvjobs.protect, uvjobs.sleep, 1000)
  env.ended = env.jobs:spawn(ignore)
  env.ended:wait()
  env.count = function() env.ran = env.ran + 1 end
  return env
end

-- Every operation, in a state in which it suspends for long.
local blocking = {
  { "sleep", function() uvjobs.sleep(1000) end },
  { "job:wait", function(env) env.target:wait() end },
  { "job:wait with a timeout", function(env) env.target:wait(900) end },
  { "job:join", function(env) env.target:join() end },
  { "job:join with a timeout", function(env) env.target:join(900) end },
  { "job:close", function(env) env.target:close(900) end },
  { "event:wait", function(env) env.event:wait() end },
  { "event:wait with a timeout", function(env) env.event:wait(900) end },
  { "await", function(env)
    uvjobs.await(function()
      return function() env.abandoned = env.abandoned + 1 end
    end)
  end },
  { "spawn into a full scheduler", function(env) env.full:spawn(env.count) end },
  { "shield", function(env) env.busy:shield(uvjobs.sleep, 1000) end },
  { "wait_and_close", function(env) env.busy:wait_and_close() end },
  { "scheduler:close", function(env) env.busy:close() end },
  { "sleep in timeout", function() uvjobs.timeout(900, uvjobs.sleep, 1000) end },
}

-- Every operation, in a state in which it would not have to wait.
local immediate = {
  { "sleep(0)", function() uvjobs.sleep(0) end },
  { "yield", function() uvjobs.yield() end },
  { "job:wait", function(env) env.ended:wait() end },
  { "job:wait(0)", function(env) env.ended:wait(0) end },
  { "job:join", function(env) env.ended:join() end },
  { "job:close", function(env) env.ended:close() end },
  { "event:wait", function(env) env.set:wait() end },
  { "await", function(env)
    uvjobs.await(function(resume) env.ran = env.ran + 1; resume() end)
  end },
  { "spawn with a free slot", function(env) env.jobs:spawn(env.count) end },
  { "shield", function(env) env.jobs:shield(env.count) end },
  { "wait_and_close", function(env) env.empty:wait_and_close() end },
  { "scheduler:close", function(env) env.empty:close() end },
}

describe("a job that is cancelled", function()
  after_each(helper.check_clean)

  for _, case in ipairs(blocking) do
    local name, operation = case[1], case[2]
    it("gets the error where it is and at every later call: " .. name .. " #M5", function()
      virtual(function()
        local env = surroundings()
        local codes, errors, times = {}, {}, {}
        local victim = env.jobs:spawn(function()
          for i = 1, 3 do
            codes[i], errors[i] = outcome(pcall(operation, env))
            times[i] = uvjobs.now()
          end
          error(errors[3], 0)
        end)
        uvjobs.sleep(1)
        assert.same({}, codes)
        victim:cancel()
        assert.equal("closing", victim.state)
        assert.is_true(victim.active)
        assert.is_true(victim:join())
        assert.same({ "cancelled", "cancelled", "cancelled" }, codes)
        assert.same({ 1, 1, 1 }, times)
        for i = 1, 3 do assert.equal(victim, errors[i].job) end
        assert.equal("cancelled", victim.state)
        assert.equal(1, uvjobs.now())
      end)
    end)
  end

  for _, case in ipairs(immediate) do
    local name, operation = case[1], case[2]
    it("gets the error also where it need not wait: " .. name .. " #M5 #M6", function()
      virtual(function()
        local env = surroundings()
        local code, err
        local victim = env.jobs:spawn(function()
          uvjobs.current():cancel()
          code, err = outcome(pcall(operation, env))
        end)
        victim:wait()
        assert.equal("cancelled", code)
        assert.equal(victim, err.job)
        uvjobs.sleep(1)
        assert.equal(0, env.ran)
      end)
    end)
  end

  it("gets no error from calls that never suspend #M5", function()
    virtual(function()
      local env = surroundings()
      local job = env.jobs:spawn(uvjobs.sleep, 1000)
      env.jobs:spawn(function()
        uvjobs.current():cancel()
        env.event:set()
        env.event:clear()
        job:cancel()
        assert(env.jobs:try_spawn(env.count))
        assert.equal(7, uvjobs.timeout(1, function() return 7 end))
        assert.equal(8, uvjobs.protect(function() return 8 end))
        assert.equal(1, #env.full)
      end):wait()
      uvjobs.yield()
      assert.equal(1, env.ran)
      assert.equal("cancelled", job.state)
    end)
  end)

  it("keeps what it was already woken with, and gets the error at its next call #M6", function()
    virtual(function()
      local jobs, event, got = uvjobs.scheduler(), uvjobs.event(), {}
      local function waiter(name)
        got[name] = { (outcome(pcall(event.wait, event))) }
        got[name][2] = outcome(pcall(uvjobs.sleep, 0))
      end
      local first, second = jobs:spawn(waiter, "first"), jobs:spawn(waiter, "second")
      uvjobs.yield()
      event:set()
      first:cancel()
      first:join()
      second:join()
      assert.same({ first = { true, "cancelled" }, second = { true, true } }, got)
    end)
  end)

  it("keeps the result of a job that ended before the cancellation #M6", function()
    virtual(function()
      local jobs, source, got = uvjobs.scheduler(), nil, nil
      local victim = jobs:spawn(function()
        got = source:wait()
        uvjobs.yield()
        got = nil
      end)
      source = jobs:spawn(function() return "value" end)
      jobs:spawn(function() victim:cancel() end)
      victim:join()
      assert.equal("value", got)
      assert.equal("cancelled", victim.state)
    end)
  end)

  it("leaves the job that it waited for alone", function()
    for _, operation in ipairs { "wait", "join" } do
      virtual(function()
        local jobs = uvjobs.scheduler()
        local target = jobs:spawn(function() uvjobs.sleep(5); return "done" end)
        local waiter = jobs:spawn(function() target[operation](target, 3) end)
        uvjobs.sleep(1)
        waiter:cancel()
        waiter:join()
        assert.equal("cancelled", waiter.state)
        assert.equal("active", target.state)
        assert.equal("done", target:wait())
        assert.equal(5, uvjobs.now())
      end)
    end
  end)

  it("has not spawned what it was suspended with #M6", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      local full, order = uvjobs.scheduler { limit = 1, pending_limit = 0 }, {}
      full:spawn(uvjobs.sleep, 2)
      local function note(name) order[#order + 1] = name end
      local first = jobs:spawn(full.spawn, full, note, "first")
      local second = jobs:spawn(full.spawn, full, note, "second")
      uvjobs.sleep(1)
      first:cancel()
      first:join()
      second:join()
      assert.equal("cancelled", first.state)
      uvjobs.sleep(1)
      assert.same({ "second" }, order)
      assert.equal(0, #full)
    end)
  end)

  it("abandons what it awaits once, and what comes later is ignored #M6", function()
    virtual(function()
      local jobs, abandoned, resume = uvjobs.scheduler(), 0, nil
      local victim = jobs:spawn(uvjobs.await, function(r)
        resume = r
        return function() abandoned = abandoned + 1 end
      end)
      uvjobs.yield()
      victim:cancel()
      resume("too late")
      assert.equal(0, abandoned) -- no code of the user runs inside cancel
      victim:join()
      resume("still too late")
      assert.equal(1, abandoned)
      assert.equal("cancelled", victim.state)
    end)
  end)

  it("is not resumed in an await when `start` has swallowed the cancellation #M5", function()
    virtual(function()
      local jobs, begun, resume, code = uvjobs.scheduler(), false, nil, nil
      local victim = jobs:spawn(function()
        code = outcome(pcall(uvjobs.await, function(r)
          resume = r
          for _ = 1, 200 do pcall(uvjobs.sleep, 1) end
          begun = true
        end))
      end)
      uvjobs.yield()
      victim:cancel()
      repeat
        if begun then resume("too late") end
        uvjobs.sleep(1e-4)
      until victim.closed
      assert.equal("cancelled", code)
    end)
  end)

  it("leaves a shielded function running", function()
    virtual(function()
      local jobs, finished = uvjobs.scheduler(), false
      local caller = jobs:spawn(function()
        jobs:shield(function() uvjobs.sleep(5); finished = true end)
      end)
      uvjobs.sleep(1)
      caller:cancel()
      caller:join()
      assert.equal("cancelled", caller.state)
      assert.is_false(finished)
      jobs:wait_and_close()
      assert.is_true(finished)
      assert.equal(5, uvjobs.now())
    end)
  end)

  it("is told once, and disturbs nobody, when what it spawns into is closed #M4 #M9", function()
    virtual(function()
      local jobs, codes, right = uvjobs.scheduler { limit = math.huge }, {}, 0
      local full = uvjobs.scheduler { limit = 1, pending_limit = 0 }
      full:spawn(uvjobs.sleep, 1000)
      for i = 1, 5 do
        jobs:spawn(function()
          codes[i] = outcome(pcall(full.spawn, full, uvjobs.sleep, 1))
        end)
      end
      uvjobs.sleep(1)
      full:close()
      local all = {}
      for i = 1, 50 do
        all[i] = jobs:spawn(function()
          uvjobs.sleep(1)
          if uvjobs.current() == all[i] then right = right + 1 end
        end)
      end
      jobs:wait_and_close()
      assert.same({ "closed", "closed", "closed", "closed", "closed" }, codes)
      assert.equal(50, right)
      for i = 1, 50 do assert.equal("done", all[i].state) end
    end)
  end)

  it("does not hide the error of what it shielded when it is cancelled or killed", function()
    for _, way in ipairs { "cancelled", "killed" } do
      virtual(function()
        local reported
        local jobs = uvjobs.scheduler { exception_handler = ignore }
        local other = uvjobs.scheduler {
          exception_handler = function(_, context) reported = context.exception end,
        }
        local function shield()
          other:shield(function() uvjobs.sleep(5); error("late", 0) end)
        end
        local caller = jobs:spawn(function()
          if way == "killed" then uvjobs.protect(shield) else shield() end
        end)
        uvjobs.yield()
        pcall(caller.close, caller)
        assert.equal(way, caller.state)
        uvjobs.sleep(10)
        assert.equal("late", reported)
      end)
    end
  end)

  it("leaves the scheduler open whose wait_and_close it was in #M6", function()
    virtual(function()
      local env = surroundings()
      local victim = env.jobs:spawn(env.busy.wait_and_close, env.busy)
      uvjobs.sleep(1)
      victim:cancel()
      victim:join()
      assert.is_false(env.busy.closed)
      assert.equal("active", env.target.state)
      assert.equal("active", env.busy:spawn(uvjobs.sleep, 0).state)
    end)
  end)

  it("sees its own timeout and the cancellation of the same turn as a cancellation", function()
    virtual(function()
      local jobs, event, got = uvjobs.scheduler(), uvjobs.event(), {}
      local target = jobs:spawn(uvjobs.sleep, 5)
      local victims = {}
      jobs:spawn(function() -- its timer is the first to fire
        uvjobs.sleep(1)
        for _, victim in ipairs(victims) do victim:cancel() end
      end)
      uvjobs.yield()
      local operations = {
        function() return event:wait(1) end,
        function() return target:wait(1) end,
        function() return target:join(1) end,
        function() return uvjobs.timeout(1, uvjobs.sleep, 5) end,
      }
      for i, operation in ipairs(operations) do
        victims[i] = jobs:spawn(function() got[i] = outcome(pcall(operation)) end)
      end
      uvjobs.sleep(2)
      assert.same({ "cancelled", "cancelled", "cancelled", "cancelled" }, got)
      assert.equal("active", target.state)
    end)
  end)

  it("sees both when the timeout came first in the turn", function()
    virtual(function()
      local jobs, got = uvjobs.scheduler(), {}
      local victim = jobs:spawn(function()
        uvjobs.timeout(1, function()
          got[1] = outcome(pcall(uvjobs.sleep, 5))
          got[2] = outcome(pcall(uvjobs.sleep, 5))
        end)
      end)
      jobs:spawn(function() uvjobs.sleep(1); victim:cancel() end)
      assert.is_true(victim:join(1.5))
      assert.same({ "timeout", "cancelled" }, got)
      assert.equal("done", victim.state)
    end)
  end)
end)
