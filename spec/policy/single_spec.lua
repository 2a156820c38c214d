local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local message, outcome, quiet = helper.message, helper.outcome, helper.quiet
local raises, virtual = helper.raises, helper.virtual

-- A function that notes when it begins and how it ends, and takes a second.
local function flying(log)
  return function(x)
    log:add("begins " .. x)
    local _ <close> = helper.closing(function(_, err)
      log:add(err == nil and "ends" or tostring(uvjobs.code(err) or err))
    end)
    uvjobs.sleep(1)
    return x, "result"
  end
end

describe("a single", function()
  after_each(helper.check_clean)

  it("runs once for all callers of a key, who all get the results #P13", function()
    virtual(function()
      local single, jobs, log = policy.single(), quiet(), helper.log()
      local fetch, callers = flying(log), {}
      for i = 1, 3 do callers[i] = jobs:spawn(single.call, single, "key", fetch, i) end
      callers[4] = jobs:spawn(single.call, single, "other", fetch, 4)
      for i = 1, 3 do assert.same({ n = 2, 1, "result" }, table.pack(callers[i]:wait())) end
      assert.equal(4, (callers[4]:wait()))
      assert.equal(1, uvjobs.now())
      assert.equal("begins 1 begins 4 ends ends", table.concat(log, " "))
      assert.same({ runs = 2, shared = 2, running = 0 }, single:stats())
      assert.equal(5, (single:call("key", fetch, 5)))
      jobs:wait_and_close()
    end)
  end)

  it("raises the same error in all of them #P1", function()
    virtual(function()
      local single, jobs, err = policy.single(), quiet(), {}
      local callers = {}
      for i = 1, 3 do
        callers[i] = jobs:spawn({ report = false }, single.call, single, "key", function()
          uvjobs.sleep(1)
          error(err)
        end)
      end
      for i = 1, 3 do
        local _, got = pcall(callers[i].wait, callers[i])
        assert.equal(err, got)
      end
      jobs:wait_and_close()
    end)
  end)

  it("is not ended by a caller that is cancelled, but by the last that leaves #P13", function()
    virtual(function()
      for _, by in ipairs { "cancel", "kill", "timeout" } do
        local single, jobs, log = policy.single(), quiet(), helper.log()
        local fetch, callers = flying(log), {}
        for i = 1, 3 do
          callers[i] = jobs:spawn({ report = false }, function()
            uvjobs.timeout(by == "timeout" and i / 10 or 60, single.call, single, "key", fetch, i)
          end)
        end
        uvjobs.yield()
        for i = 1, 3 do
          uvjobs.sleep(0.09)
          assert.equal("begins 1", table.concat(log, " "))
          if by == "cancel" then callers[i]:cancel() end
          if by == "kill" then pcall(callers[i].close, callers[i], 0) end
          callers[i]:join()
        end
        uvjobs.yield()
        assert.equal("begins 1 cancelled", table.concat(log, " "))
        assert.equal(0, single:stats().running)
        jobs:close()
      end
    end)
  end)

  it("never runs twice at once, even while a run that all have left still ends", function()
    virtual(function()
      local single, jobs = policy.single(), quiet { close_timeout = 5 }
      local running, most = 0, 0
      local function stubborn()
        running = running + 1
        most = math.max(most, running)
        pcall(uvjobs.sleep, 1)
        uvjobs.protect(uvjobs.sleep, 2)
        running = running - 1
        return "done"
      end
      local first = jobs:spawn(single.call, single, 1, stubborn)
      uvjobs.yield()
      first:cancel()
      uvjobs.yield()
      assert.equal("done", single:call(1, stubborn))
      assert.equal(1, most)
      assert.equal(5, uvjobs.now())
      assert.equal("cancelled", first.state)
      jobs:wait_and_close()
    end)
  end)

  it("raises in a job that is cancelled, and runs nothing", function()
    virtual(function()
      local single, jobs = policy.single(), quiet()
      local job = jobs:spawn(function()
        pcall(uvjobs.sleep, 9)
        return outcome(single.call, single, "key", print)
      end)
      uvjobs.yield()
      job:cancel()
      assert.equal("cancelled", job:wait())
      assert.equal(0, single:stats().runs)
      jobs:close()
    end)
  end)

  it("wraps a function whose first argument is the key", function()
    virtual(function()
      local runs = 0
      local load = policy.single():wrap(function(id, more)
        runs = runs + 1
        uvjobs.yield()
        return id .. more
      end)
      local list = uvjobs.map({ 7, 7, 8 }, function(id) return load(id, "!") end)
      assert.same({ n = 3, "7!", "7!", "8!" }, list)
      assert.equal(2, runs)
    end)
  end)

  it("is a part of a composition when it has a key function", function()
    virtual(function()
      local runs = 0
      local both = policy.compose {
        policy.single { key = function(id) return id end }, policy.limit { limit = 1 },
      }
      local load = both:wrap(function(id)
        runs = runs + 1
        uvjobs.sleep(1)
        return id
      end)
      assert.same({ n = 3, 1, 1, 2 }, uvjobs.map({ 1, 1, 2 }, load))
      assert.equal(2, runs)
      assert.equal("bad argument #1 to 'compose' (element 1: a single needs the option 'key' " ..
        "to be a part of a composition)", message(policy.compose, { policy.single() }))
    end)
  end)

  it("passes on very many arguments", function()
    virtual(function()
      local single = policy.single()
      for _, n in ipairs { 0, 195, 200, 201, 5000 } do
        local args = table.pack(table.unpack({}, 1, n))
        assert.equal(n, select("#", single:call("key", function(...) return ... end,
          table.unpack(args, 1, n))))
      end
    end)
  end)

  it("does not wait for itself", function()
    virtual(function()
      local single = policy.single()
      local function again() return single:call("key", again) end
      local expected = "a job cannot wait for itself: it runs for the single, and calls it " ..
        "with the same key"
      assert.equal(expected, message(again))
      assert.equal(0, single:stats().shared)
      local _, err = pcall(single.call, single, "key", function()
        local result = single:call("key", print)
        return result
      end)
      assert.matches("^spec/policy/single_spec.lua:%d+: a job cannot wait", err)
    end)
  end)

  it("works in one run after the other", function()
    local single = policy.single()
    for i = 1, 3 do
      virtual(function() assert.equal(i, single:call("key", function() return i end)) end)
    end
  end)

  it("ends with its run", function()
    local single, log = policy.single(), helper.log()
    virtual(function()
      quiet():spawn({ report = false }, single.call, single, "key", flying(log), 1)
      uvjobs.yield()
      uvjobs.yield()
    end)
    assert.equal("begins 1 cancelled", table.concat(log, " "))
  end)
end)

describe("cancelling everywhere", function()
  it("leaves no run behind in a single #P13", function()
    for _, by in ipairs { "cancel", "kill" } do
      testing.cancel_everywhere({
        by = by,
        setup = function() return policy.single() end,
        check = function(single) assert.equal(0, single:stats().running) end,
      }, function(single)
        for _ = 1, 3 do single:call("key", uvjobs.sleep, 0.1) end
      end)
    end
  end)
end)

describe("bad input of a single", function()
  it("is refused with what was expected", function()
    virtual(function()
      local single = policy.single()
      assert.equal("bad argument #1 to 'call' (key expected, got nil)",
        message(single.call, single))
      assert.equal("bad argument #1 to 'call' (key expected, got nan)",
        message(single.call, single, 0 / 0, print))
      assert.equal("bad argument #2 to 'call' (function expected, got nil)",
        message(single.call, single, "key"))
      assert.equal("bad argument #1 to 'wrap' (function expected, got nil)",
        message(single.wrap, single))
      assert.equal("bad argument #1 to 'single' (unknown option 'keys', did you mean 'key'?)",
        message(policy.single, { keys = 1 }))
      single = policy.single { key = helper.ignore, name = "users" }
      assert.equal('the key function of the single "users" returned nil',
        message(function() single:call(print) end))
    end)
    raises("cancelled", uvjobs.run, { clock = "virtual" }, function()
      uvjobs.current():cancel()
      policy.single():call("key", print)
    end)
    assert.equal("'call' must be called in a job: use uvjobs.run",
      message(policy.single().call, policy.single(), "key", print))
  end)
end)
