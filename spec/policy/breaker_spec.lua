local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local message, outcome, quiet = helper.message, helper.outcome, helper.quiet
local raises, virtual = helper.raises, helper.virtual

local function fail(breaker, n)
  for _ = 1, n or 1 do
    local ok, err = pcall(breaker.call, breaker, error, "down", 0)
    assert.is_false(ok)
    assert.equal("down", err)
  end
end

local function succeed(breaker, n)
  for _ = 1, n or 1 do assert.equal("up", breaker:call(function() return "up" end)) end
end

-- A breaker that has just opened.
local function opened(options)
  options.minimum = options.minimum or 2
  local breaker = policy.breaker(options)
  fail(breaker, options.minimum)
  assert.equal("open", breaker:state())
  return breaker
end

describe("a breaker", function()
  after_each(helper.check_clean)

  it("opens when enough of the calls failed in the window, and not before #P10", function()
    virtual(function()
      local breaker = policy.breaker { ratio = 0.5, minimum = 4, window = 10 }
      fail(breaker, 3)
      assert.equal("closed", breaker:state())
      fail(breaker)
      assert.equal("open", breaker:state())

      breaker = policy.breaker { ratio = 0.5, minimum = 4 }
      succeed(breaker, 4)
      fail(breaker, 3)
      assert.equal("closed", breaker:state()) -- 3 of 7
      fail(breaker)
      assert.equal("open", breaker:state())

      breaker = policy.breaker { ratio = 0.5, minimum = 4 }
      fail(breaker, 2)
      succeed(breaker)
      assert.equal("closed", breaker:state())
      succeed(breaker) -- the fourth call: 2 of 4 have failed
      assert.equal("open", breaker:state())
    end)
  end)

  it("counts what ended in the last `window` seconds only #P10", function()
    virtual(function()
      local breaker = policy.breaker { ratio = 1, minimum = 2, window = 10 }
      fail(breaker)
      uvjobs.sleep(10)
      fail(breaker)
      assert.equal("closed", breaker:state())
      uvjobs.sleep(9)
      fail(breaker)
      assert.equal("open", breaker:state())
    end)
  end)

  it("refuses every call while it is open, and says for how long #P10", function()
    virtual(function()
      local breaker = opened { open = 5, name = "billing" }
      local err = raises("open", breaker.call, breaker, print)
      assert.equal(5, err.retry_after)
      assert.equal('the breaker "billing" is open: it lets a call through in 5 s', tostring(err))
      uvjobs.sleep(4.75)
      assert.equal(0.25, raises("open", breaker.call, breaker, print).retry_after)
      assert.same({ state = "open", refused = 2, opened = 1, closed = 0, probing = 0 },
        breaker:stats())
    end)
  end)

  it("lets probes through then, and closes when `probes` have succeeded #P10", function()
    virtual(function()
      local breaker = opened { open = 5, probes = 3 }
      uvjobs.sleep(5)
      assert.equal("half_open", breaker:state())
      succeed(breaker, 2)
      assert.equal("half_open", breaker:state())
      succeed(breaker)
      assert.equal("closed", breaker:state())
      fail(breaker) -- nothing is left of what was counted before
      assert.equal("closed", breaker:state())
    end)
  end)

  it("opens again when a probe fails #P10", function()
    virtual(function()
      local breaker = opened { open = 5, probes = 3 }
      uvjobs.sleep(5)
      succeed(breaker, 2)
      fail(breaker)
      assert.equal("open", breaker:state())
      assert.equal(5, raises("open", breaker.call, breaker, print).retry_after)
    end)
  end)

  it("never has more than `probes` probes under way #P10", function()
    virtual(function()
      local breaker, jobs = opened { open = 1, probes = 2 }, quiet()
      uvjobs.sleep(1)
      for _ = 1, 10 do jobs:spawn({ report = false }, breaker.call, breaker, uvjobs.sleep, 1) end
      uvjobs.yield()
      assert.equal(2, breaker:stats().probing)
      assert.equal(8, breaker:stats().refused)
      assert.is_nil(raises("open", breaker.call, breaker, print).retry_after)
      uvjobs.sleep(1)
      assert.equal("closed", breaker:state())
      jobs:wait_and_close()
    end)
  end)

  it("counts probes of an earlier period for that bound, but hears nothing from them", function()
    virtual(function()
      local breaker, jobs = opened { open = 1, probes = 2 }, quiet()
      uvjobs.sleep(1)
      local slow = jobs:spawn(breaker.call, breaker, uvjobs.sleep, 100)
      uvjobs.yield()
      fail(breaker)
      uvjobs.sleep(1)
      assert.equal("half_open", breaker:state())
      local second = jobs:spawn(breaker.call, breaker, uvjobs.sleep, 50)
      uvjobs.yield()
      raises("open", breaker.call, breaker, print)
      second:wait()
      assert.equal("half_open", breaker:state()) -- one of two has succeeded
      slow:wait()
      assert.equal("half_open", breaker:state()) -- this was not one of them
      succeed(breaker)
      assert.equal("closed", breaker:state())
      jobs:close()
    end)
  end)

  it("frees the place of a probe in the turn in which it is cancelled or killed #P11", function()
    virtual(function()
      for _, by in ipairs { "cancel", "kill" } do
        local breaker, jobs = opened { open = 1, probes = 1 }, quiet()
        uvjobs.sleep(1)
        local probe = jobs:spawn(breaker.call, breaker, uvjobs.sleep, 100)
        uvjobs.yield()
        raises("open", breaker.call, breaker, print)
        if by == "cancel" then
          probe:cancel()
          probe:join()
        else
          pcall(probe.close, probe, 0)
        end
        assert.equal("half_open", breaker:state())
        succeed(breaker)
        assert.equal("closed", breaker:state())
        jobs:close()
      end
    end)
  end)

  it("counts a call that was cancelled or killed as nothing #P2", function()
    virtual(function()
      local breaker, jobs = policy.breaker { minimum = 1, ratio = 0.01 }, quiet()
      local job = jobs:spawn(breaker.call, breaker, uvjobs.sleep, 9)
      local other = jobs:spawn(breaker.call, breaker, uvjobs.protect, uvjobs.sleep, 9)
      uvjobs.yield()
      job:cancel()
      pcall(other.close, other, 0)
      assert.equal("closed", breaker:state())
      pcall(uvjobs.nursery, function(nursery)
        nursery:spawn(error, "x")
        breaker:call(uvjobs.sleep, 9) -- is cancelled by the nursery
      end)
      assert.equal("closed", breaker:state())
      jobs:close()
    end)
  end)

  it("counts the cancellation of another job, and a deadline, as failures", function()
    virtual(function()
      local breaker, jobs = policy.breaker { minimum = 1 }, quiet()
      local job = jobs:spawn(uvjobs.sleep, 9)
      uvjobs.yield()
      job:cancel()
      assert.equal("cancelled", (outcome(breaker.call, breaker, job.wait, job)))
      assert.equal("open", breaker:state())
      breaker:close()
      assert.equal("timeout", (outcome(uvjobs.timeout, 1, breaker.call, breaker, uvjobs.sleep, 9)))
      assert.equal("open", breaker:state())
      jobs:close()
    end)
  end)

  it("does not hear in a later state of a call that began in an earlier one", function()
    virtual(function()
      local breaker, jobs = policy.breaker { minimum = 2, open = 1 }, quiet()
      local late = jobs:spawn({ report = false }, breaker.call, breaker, function()
        uvjobs.sleep(1.5)
        error "late"
      end)
      uvjobs.yield()
      fail(breaker, 2)
      uvjobs.sleep(1)
      local probe = jobs:spawn(breaker.call, breaker, uvjobs.sleep, 1)
      late:join()
      assert.equal("half_open", breaker:state())
      probe:wait()
      assert.equal("closed", breaker:state())
      jobs:wait_and_close()
    end)
  end)

  it("counts the error nil, too", function()
    virtual(function()
      local breaker = policy.breaker { minimum = 2, open = 1 }
      for _ = 1, 2 do
        assert.same({ false, helper.NIL_ERROR }, { pcall(breaker.call, breaker, error) })
      end
      assert.equal("open", breaker:state())
      uvjobs.sleep(1)
      pcall(breaker.call, breaker, error)
      assert.equal("open", breaker:state())
    end)
  end)

  it("asks `when` which errors are failures; the others are answers", function()
    virtual(function()
      local breaker = policy.breaker {
        minimum = 2, when = function(err) return err ~= "not found" end, open = 1,
      }
      for _ = 1, 5 do
        assert.equal("not found", (outcome(breaker.call, breaker, error, "not found", 0)))
      end
      assert.equal("closed", breaker:state())
      fail(breaker, 5)
      assert.equal("open", breaker:state())
      uvjobs.sleep(1)
      outcome(breaker.call, breaker, error, "not found", 0)
      assert.equal("closed", breaker:state())

      breaker = policy.breaker { minimum = 1, when = function() error("no idea", 0) end }
      assert.equal("no idea", (outcome(breaker.call, breaker, error, "x")))
      assert.equal("open", breaker:state())
      breaker = policy.breaker { minimum = 1, when = function() uvjobs.sleep(1) end }
      assert.equal("'sleep' cannot suspend across a C call",
        (outcome(breaker.call, breaker, error, "x"):gsub("^.-:%d+: ", "")))
    end)
  end)

  it("counts calls that take longer than `slow` as failed", function()
    virtual(function()
      local breaker = policy.breaker { minimum = 2, slow = 1, open = 1 }
      breaker:call(uvjobs.sleep, 1)
      breaker:call(uvjobs.sleep, 1.5)
      assert.equal("open", breaker:state())
      uvjobs.sleep(1)
      breaker:call(uvjobs.sleep, 2)
      assert.equal("open", breaker:state())
      uvjobs.sleep(1)
      breaker:call(uvjobs.sleep, 0.5)
      assert.equal("closed", breaker:state())
    end)
  end)

  it("is opened and closed by hand", function()
    virtual(function()
      local breaker = policy.breaker { minimum = 1 }
      breaker:open()
      local err = raises("open", breaker.call, breaker, print)
      assert.is_nil(err.retry_after)
      uvjobs.sleep(1e6)
      raises("open", breaker.call, breaker, print)
      breaker:close()
      succeed(breaker)
      breaker:open(2)
      assert.equal(2, raises("open", breaker.call, breaker, print).retry_after)
      uvjobs.sleep(2)
      succeed(breaker)
      assert.equal("closed", breaker:state())
    end)
  end)

  it("tells on_change what it has become, and what it was", function()
    virtual(function()
      local log = helper.log()
      local breaker = opened { open = 1, on_change = function(state, before)
        log:add(before .. ">" .. state)
      end }
      uvjobs.sleep(1)
      fail(breaker)
      uvjobs.sleep(1)
      succeed(breaker)
      breaker:close()
      breaker:open()
      assert.equal("closed>open open>half_open half_open>open open>half_open half_open>closed " ..
        "closed>open", table.concat(log, " "))
    end)
  end)

  it("does not let an error of on_change take the place of what a call returns #P1", function()
    virtual(function()
      local reports = {}
      local jobs = quiet { exception_handler = helper.recorder(reports, "message") }
      jobs:spawn(function()
        local breaker = policy.breaker { minimum = 1, on_change = error }
        fail(breaker)
        assert.equal("open", breaker:state())
      end):wait()
      assert.same({ "Function on_change of a breaker failed" }, reports)
      jobs:close()
    end)
  end)

  it("forgets what it counted with the clock of a run", function()
    local breaker = policy.breaker { minimum = 1, open = 1e6 }
    for _ = 1, 2 do
      virtual(function()
        succeed(breaker)
        fail(breaker)
        raises("open", breaker.call, breaker, print)
      end)
    end
    virtual(function() assert.equal("closed", breaker:state()) end)
  end)
end)

describe("cancelling everywhere", function()
  it("leaves no probe under way in a breaker #P11", function()
    for _, by in ipairs { "cancel", "kill" } do
      testing.cancel_everywhere({
        by = by,
        setup = function()
          local breaker = opened { open = 1, probes = 2 }
          uvjobs.sleep(1)
          return breaker
        end,
        check = function(breaker) assert.equal(0, breaker:stats().probing) end,
      }, function(breaker)
        for _ = 1, 4 do breaker:call(uvjobs.sleep, 0.1) end
      end)
    end
  end)
end)

describe("bad input of a breaker", function()
  it("is refused with what was expected", function()
    for _, case in ipairs {
      { { ratio = 0 }, "option 'ratio': number > 0 and <= 1 expected, got 0" },
      { { ratio = 1.1 }, "option 'ratio': number > 0 and <= 1 expected, got 1.1" },
      { { ratio = 0 / 0 }, "option 'ratio': number > 0 and <= 1 expected, got nan" },
      { { window = 0 }, "option 'window': finite seconds > 0 expected, got 0" },
      { { open = math.huge }, "option 'open': finite seconds > 0 expected, got inf" },
      { { minimum = 0 }, "option 'minimum': integer >= 1 expected, got 0" },
      { { probes = 0.5 }, "option 'probes': integer >= 1 expected, got 0.5" },
      { { keys = 1 }, "option 'keys' needs the option 'key'" },
      { { prob = 1 }, "unknown option 'prob', did you mean 'probes'?" },
      { 7, "table expected, got number" },
    } do
      assert.equal("bad argument #1 to 'breaker' (" .. case[2] .. ")",
        message(policy.breaker, case[1]))
    end
    local breaker = policy.breaker()
    assert.equal("bad argument #1 to 'open' (seconds > 0 or math.huge expected, got 0)",
      message(breaker.open, breaker, 0))
    assert.equal("bad argument #2 to 'open' (the breaker has no keys)",
      message(breaker.open, breaker, 1, "x"))
    breaker = policy.breaker { key = print }
    assert.equal("bad argument #1 to 'state' (the breaker has a circuit for each key: key " ..
      "expected, got nil)", message(breaker.state, breaker))
  end)
end)
