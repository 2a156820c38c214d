local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local message, raises, virtual = helper.message, helper.raises, helper.virtual

-- A function whose n-th call takes plan[n] seconds, and fails if that is negative. The log
-- says when each call has started and ended, and how.
local function planned(plan, log)
  local n = 0
  return function(...)
    n = n + 1
    local me = n
    log[#log + 1] = ("%g start %d"):format(uvjobs.now(), me)
    local _ <close> = setmetatable({}, { __close = function(_, err)
      log[#log + 1] = ("%g end %d%s"):format(uvjobs.now(), me,
        err == nil and "" or " " .. (uvjobs.code(err) or err))
    end })
    uvjobs.sleep(math.abs(plan[n]))
    if plan[n] < 0 then error("no " .. me, 0) end
    return me, ...
  end
end

local function play(options, plan)
  local log, results = {}, nil
  local ended
  virtual(function()
    local one = policy.hedge(options)
    results = table.pack(pcall(one.call, one, planned(plan, log), "x", nil))
    ended = uvjobs.now()
    results.stats = one:stats()
  end)
  return log, results, ended
end

describe("policy.hedge", function()
  it("calls once when that is fast enough", function()
    local log, results, ended = play({ after = 1 }, { 0.5 })
    assert.same({ "0 start 1", "0.5 end 1" }, log)
    assert.same({ true, 1, "x", nil }, { table.unpack(results, 1, results.n) })
    assert.equal(4, results.n)
    assert.equal(0.5, ended)
  end)

  it("calls a second time after a while, and the first success wins #P12", function()
    local log, results, ended = play({ after = 1 }, { 9, 3 })
    assert.same({ "0 start 1", "1 start 2", "4 end 2", "4 end 1 cancelled" }, log)
    assert.equal(2, results[2])
    assert.equal(4, ended)
    assert.same({ calls = 1, hedged = 1, won = 1, failed = 0, after = 1 }, results.stats)
    log, results = play({ after = 1 }, { 3, 9 })
    assert.same({ "0 start 1", "1 start 2", "3 end 1", "3 end 2 cancelled" }, log)
    assert.equal(1, results[2])
    assert.equal(0, results.stats.won)
  end)

  it("notices a failure whose error is nil #P12", function()
    virtual(function()
      local hedge = policy.hedge { after = math.huge }
      local n = 0
      local function second()
        n = n + 1
        if n == 1 then error() end
        return "second"
      end
      assert.equal("second", hedge:call(second))
      assert.same({ n = 2, false, helper.NIL_ERROR }, table.pack(pcall(hedge.call, hedge, error)))
      assert.equal(0.0, uvjobs.now())
      assert.equal(1, hedge:stats().failed)
    end)
  end)

  it("takes the first of two that succeed in the same turn #P12", function()
    local log, results = play({ after = 1 }, { 2, 1 })
    assert.same({ "0 start 1", "1 start 2", "2 end 1", "2 end 2" }, log)
    assert.equal(1, results[2])
    assert.equal(0, results.stats.won)
  end)

  it("has at most so many calls #P12", function()
    local log = play({ after = 1, most = 3 }, { 9, 9, 9, 1 })
    assert.same({ "0 start 1", "1 start 2", "2 start 3", "9 end 1", "9 end 2 cancelled",
      "9 end 3 cancelled" }, log)
    log = play({ after = 1, most = 1 }, { 9 })
    assert.same({ "0 start 1", "9 end 1" }, log)
    log = play({ after = 0, most = 3 }, { 2, 2, 2 })
    assert.same({ "0 start 1", "0 start 2", "0 start 3" }, table.move(log, 1, 3, 1, {}))
  end)

  it("goes on at once when a call fails, and raises the first error when all do #P12", function()
    local log, results = play({ after = 5, most = 3 }, { -1, -2, 3 })
    assert.same({ "0 start 1", "1 end 1 no 1", "1 start 2", "3 end 2 no 2", "3 start 3",
      "6 end 3" }, log)
    assert.equal(3, results[2])
    local ended
    log, results, ended = play({ after = 1 }, { -4, -2 })
    assert.same({ "0 start 1", "1 start 2", "3 end 2 no 2", "4 end 1 no 1" }, log)
    assert.same({ false, "no 2", 4 }, { results[1], results[2], ended })
    assert.same({ calls = 1, hedged = 1, won = 0, failed = 1, after = 1 }, results.stats)
  end)

  it("returns when the losers have ended, also those that take their time #P12", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { close_timeout = 5 }
      local n, open = 0, 0
      local one = policy.hedge { after = 1 }
      local at = jobs:spawn(function()
        one:call(function()
          n = n + 1
          local me = n
          open = open + 1
          local _ <close> = setmetatable({}, { __close = function()
            uvjobs.protect(uvjobs.sleep, me == 1 and 3 or 0)
            open = open - 1
          end })
          uvjobs.sleep(me == 1 and 9 or 1)
        end)
        assert.equal(0, open)
        return uvjobs.now()
      end):wait()
      assert.equal(5, at)
    end)
  end)

  it("waits for all losers, whichever of them ends first #P12", function()
    for _, is_cancelled in ipairs { false, true } do
      virtual(function()
        local jobs <close> = helper.quiet { close_timeout = 9 }
        local n, ends = 0, 0
        local job = jobs:spawn(function()
          policy.hedge({ after = 0, most = 4 }):call(function()
            n = n + 1
            local me = n
            local _ <close> = setmetatable({}, { __close = function()
              if me == 3 then uvjobs.protect(uvjobs.sleep, 2) end
              ends = ends + 1
            end })
            uvjobs.sleep(me == 4 and 1 or 9)
            if is_cancelled then error("no", 0) end
          end)
        end)
        uvjobs.sleep(1.5)
        job:cancel()
        pcall(job.wait, job)
        assert.equal(4, ends)
      end)
    end
  end)

  it("kills a loser that does not end within the close timeout", function()
    virtual(function()
      local one, n = policy.hedge { after = 1 }, 0
      one:call(function()
        n = n + 1
        if n == 1 then helper.stubborn() end
        uvjobs.sleep(1)
      end)
      assert.is_true(uvjobs.now() < 3)
    end)
  end)

  it("takes cancelled and killed of the caller to all calls #P2", function()
    for _, kill in ipairs { false, true } do
      virtual(function()
        local jobs <close> = helper.quiet()
        local log = {}
        local one = policy.hedge { after = 1, most = 3 }
        local job = jobs:spawn(one.call, one, planned({ 9, 9, 9 }, log))
        uvjobs.sleep(1.5)
        pcall(job.close, job, kill and 0 or nil)
        assert.equal(kill and "killed" or "cancelled", job.state)
        assert.equal(4, #log)
        assert.equal(1.5, uvjobs.now())
        assert.equal(0, one:stats().failed)
      end)
    end
  end)

  it("gives its calls the deadline of the caller #P4", function()
    virtual(function()
      local seen = {}
      raises("timeout", uvjobs.timeout, 3, function()
        policy.hedge({ after = 1 }):call(function()
          seen[#seen + 1] = uvjobs.remaining()
          uvjobs.sleep(9)
        end)
      end)
      assert.same({ 3.0, 2.0 }, seen)
      assert.equal(3, uvjobs.now())
    end)
  end)

  it("passes on very many arguments", function()
    virtual(function()
      local many = {}
      for i = 1, 5000 do many[i] = i end
      local results = table.pack(policy.hedge({ after = 1 }):call(function(...)
        return ...
      end, table.unpack(many)))
      assert.equal(5000, results.n)
      assert.equal(5000, results[5000])
    end)
  end)

  it("gives its calls the context of the caller", function()
    virtual(function()
      uvjobs.context.id = 7
      assert.equal(7, policy.hedge({ after = 1 }):call(function() return uvjobs.context.id end))
    end)
  end)

  it("learns how long calls take, and hedges the slowest", function()
    virtual(function()
      local one = policy.hedge { after = "p90", initial = 50 }
      assert.equal(50, one:stats().after)
      for i = 1, 20 do
        assert.equal(50, one:stats().after)
        one:call(uvjobs.sleep, i)
      end
      local after = one:stats().after
      assert.is_true(math.abs(after - 18) < 0.36, after)
      local log = {}
      one:call(planned({ 100, 1 }, log))
      assert.equal("2", log[2]:match "start (%d)")
    end)
  end)

  it("does not learn from those alone that it has not cut off", function()
    virtual(function()
      local one = policy.hedge { after = "p50", initial = 1 }
      local n = 0
      for _ = 1, 2000 do
        one:call(function() n = n + 1 uvjobs.sleep(n % 2 == 0 and 1 or 2) end)
      end
      assert.is_true(one:stats().after > 0.5)
    end)
  end)

  it("is never so eager as to call twice at once because calls are fast", function()
    virtual(function()
      local one = policy.hedge { after = "p95" }
      for _ = 1, 100 do one:call(function() end) end
      assert.equal(0.001, one:stats().after)
      assert.equal(0, one:stats().hedged)
    end)
  end)

  it("finds stuck what is stuck, when no second call is left", function()
    assert.matches("run is stuck", message(function()
      virtual(function()
        policy.hedge({ after = 1 }):call(function() uvjobs.event():wait() end)
      end)
    end))
  end)

  it("is clean wherever its job is ended", function()
    for _, by in ipairs { "cancel", "kill" } do
      local count = testing.cancel_everywhere({ by = by }, function()
        policy.hedge({ after = 1 }):call(planned({ 9, 3 }, {}))
      end)
      assert.is_true(count >= 3)
    end
  end)

  it("leaves nothing behind after very many calls", function()
    virtual(function()
      local one = policy.hedge { after = 0.5 }
      local function calls(n)
        for i = 1, n do one:call(uvjobs.sleep, i % 5 == 0 and 1 or 0.1) end
      end
      calls(1000)
      local before = helper.kilobytes()
      calls(20000)
      assert.is_true(helper.kilobytes() < before + 100)
      assert.equal(4200, one:stats().hedged)
    end)
  end)

  it("refuses bad options", function()
    local after = "(option 'after': seconds >= 0 or a quantile such as 'p95' expected, got "
    for _, case in ipairs {
      { nil, "(option 'after' is missing)" }, { 5, "(table expected, got number)" },
      { {}, "(option 'after' is missing)" }, { { after = -1 }, after .. "-1)" },
      { { after = "p0" }, after .. "'p0')" }, { { after = "p100" }, after .. "'p100')" },
      { { after = "95" }, after .. "'95')" }, { { after = 0 / 0 }, after .. "nan)" },
      { { after = 1, most = 0 }, "(option 'most': integer > 0 expected, got 0)" },
      { { after = 1, initial = -1 },
        "(option 'initial': seconds >= 0 or math.huge expected, got -1)" },
      { { afte = 1 }, "(unknown option 'afte', did you mean 'after'?)" },
    } do
      assert.equal("bad argument #1 to 'hedge' " .. case[2],
        message(function() policy.hedge(case[1]) end))
    end
  end)
end)
