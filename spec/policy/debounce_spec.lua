local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local message, outcome, quiet = helper.message, helper.outcome, helper.quiet
local virtual = helper.virtual

-- Calls the policy at each of the times, in jobs of their own, with the index. Returns the
-- jobs, and the log to which each run adds its index and its time.
local function call_at(jobs, debounce, times)
  local log, callers = helper.log(), {}
  for i, time in ipairs(times) do
    callers[i] = jobs:spawn({ report = false }, function()
      uvjobs.sleep(time)
      return debounce:call(function(x)
        log:add(("%d@%.9g"):format(x, uvjobs.now()))
        return x
      end, i)
    end)
  end
  return callers, log
end

describe("a debounce", function()
  after_each(helper.check_clean)

  it("runs the last of calls that are closer than `wait`, once #P13", function()
    virtual(function()
      local debounce, jobs = policy.debounce { wait = 0.3 }, quiet()
      local callers, log = call_at(jobs, debounce, { 0, 0.2, 0.4, 1, 1.25, 2 })
      jobs:wait_and_close()
      assert.equal("3@0.7 5@1.55 6@2.3", table.concat(log, " "))
      for i, result in ipairs { 3, 3, 3, 5, 5, 6 } do assert.equal(result, callers[i]:wait()) end
      assert.same({ calls = 6, runs = 3 }, debounce:stats())
    end)
  end)

  it("runs not later than `most` after the first #P13", function()
    virtual(function()
      local debounce, jobs = policy.debounce { wait = 0.3, most = 1 }, quiet()
      local times = {}
      for i = 1, 9 do times[i] = i * 0.25 end
      local _, log = call_at(jobs, debounce, times)
      jobs:wait_and_close()
      assert.equal("5@1.25 9@2.5", table.concat(log, " "))
    end)
  end)

  it("gives the error of the run to all callers of the burst #P1", function()
    virtual(function()
      local debounce, jobs, err = policy.debounce { wait = 1 }, quiet(), {}
      local callers = {}
      for i = 1, 3 do
        callers[i] = jobs:spawn({ report = false }, debounce.call, debounce, error, err)
      end
      for i = 1, 3 do
        local _, got = pcall(callers[i].wait, callers[i])
        assert.equal(err, got)
      end
      jobs:wait_and_close()
    end)
  end)

  it("takes a caller that leaves for one that has never come #P13", function()
    virtual(function()
      local debounce, jobs = policy.debounce { wait = 1 }, quiet()
      local callers, log = call_at(jobs, debounce, { 0, 0.5, 0.75 })
      uvjobs.sleep(0.8)
      callers[3]:cancel()
      uvjobs.sleep(0.45)
      callers[2]:cancel() -- the first is left, which would have run at 1
      jobs:wait_and_close()
      assert.equal("1@1.25", table.concat(log, " "))
      assert.equal(1, callers[1]:wait())
    end)
  end)

  it("runs nothing when all have left", function()
    virtual(function()
      local debounce, jobs = policy.debounce { wait = 1 }, quiet()
      local callers, log = call_at(jobs, debounce, { 0, 0 })
      uvjobs.sleep(0.5)
      for _, caller in ipairs(callers) do caller:cancel() end
      uvjobs.sleep(2)
      assert.equal(0, #log)
      local _, more = call_at(jobs, debounce, { 0 })
      jobs:wait_and_close()
      assert.equal("1@3.5", table.concat(more, " "))
      assert.same({ calls = 3, runs = 1 }, debounce:stats())
    end)
  end)

  it("does not end a run with the caller that made it, but with the last", function()
    virtual(function()
      local debounce, jobs, log = policy.debounce { wait = 0 }, quiet(), helper.log()
      local callers = {}
      for i = 1, 2 do
        callers[i] = jobs:spawn({ report = false }, debounce.call, debounce, function()
          local _ <close> = helper.closing(function() log:add(uvjobs.now()) end)
          uvjobs.sleep(9)
        end)
      end
      uvjobs.sleep(1)
      callers[2]:cancel()
      uvjobs.sleep(1)
      assert.equal(0, #log)
      callers[1]:cancel()
      jobs:wait_and_close()
      assert.equal(2, log[1])
    end)
  end)

  it("begins a new burst while the last one runs", function()
    virtual(function()
      local debounce, jobs, log = policy.debounce { wait = 1 }, quiet(), helper.log()
      local function save(x)
        log:add(x .. uvjobs.now())
        uvjobs.sleep(5)
      end
      jobs:spawn(debounce.call, debounce, save, "a")
      uvjobs.sleep(2)
      jobs:spawn(debounce.call, debounce, save, "b")
      jobs:wait_and_close()
      assert.equal("a1.0 b3.0", table.concat(log, " "))
    end)
  end)

  it("can have bursts for each key, also in a composition", function()
    virtual(function()
      local debounce = policy.compose {
        policy.debounce { wait = 1, key = function(x) return x end }, policy.limit { limit = 9 },
      }
      local jobs, log = quiet(), helper.log()
      for i, key in ipairs { "a", "b", "a" } do
        jobs:spawn(debounce.call, debounce, function(x) log:add(x .. i) end, key)
      end
      jobs:wait_and_close()
      table.sort(log)
      assert.equal("a3 b2", table.concat(log, " "))
    end)
  end)

  it("passes all arguments and results on, nil too", function()
    virtual(function()
      local debounce = policy.debounce { wait = 0.1 }
      assert.same({ n = 4, nil, 1, nil, nil },
        table.pack(debounce:call(function(...) return ... end, nil, 1, nil, nil)))
    end)
  end)

  it("raises in a job that is cancelled, and runs nothing", function()
    virtual(function()
      local debounce, jobs = policy.debounce { wait = 0 }, quiet()
      local job = jobs:spawn(function()
        pcall(uvjobs.sleep, 9)
        return outcome(debounce.call, debounce, print)
      end)
      uvjobs.yield()
      job:cancel()
      assert.equal("cancelled", job:wait())
      assert.same({ calls = 0, runs = 0 }, debounce:stats())
      jobs:close()
    end)
  end)
end)

describe("cancelling everywhere", function()
  it("leaves no run behind in a debounce #P13", function()
    for _, by in ipairs { "cancel", "kill" } do
      testing.cancel_everywhere({
        by = by, setup = function() return policy.debounce { wait = 0.1 } end,
      }, function(debounce)
        local jobs <close> = uvjobs.scheduler()
        for _ = 1, 2 do jobs:spawn({ report = false }, debounce.call, debounce, uvjobs.yield) end
        for _ = 1, 2 do debounce:call(uvjobs.sleep, 0.1) end
      end)
    end
  end)
end)

describe("bad input of a debounce", function()
  it("is refused with what was expected", function()
    for _, case in ipairs {
      { {}, "option 'wait': finite seconds >= 0 expected, got nil" },
      { { wait = -1 }, "option 'wait': seconds >= 0 expected, got -1" },
      { { wait = math.huge }, "option 'wait': finite seconds >= 0 expected, got inf" },
      { { wait = 1, most = -1 },
        "option 'most': seconds >= 0 or math.huge expected, got -1" },
      { { wait = 1, mots = 1 }, "unknown option 'mots', did you mean 'most'?" },
    } do
      assert.equal("bad argument #1 to 'debounce' (" .. case[2] .. ")",
        message(policy.debounce, case[1]))
    end
  end)
end)
