-- cqueues is loaded early or late, runs in different loops, and under both clocks.
local web = require "spec.http.helper"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local cqueues = require "uvjobs.cqueues"
local condition = require "cqueues.condition"
local cqueues_socket = require "cqueues.socket"
local promise = require "cqueues.promise"

-- Runs a script in a process of its own; it has to end well and print `expected`.
local function prints(expected, text)
  local child = helper.child(text)
  assert.equal("", child.err)
  assert.equal(expected, child.out)
  assert.equal(0, child.status)
end

-- Uses a socket, a condition and sleep. Scripts contain this function as text.
local EXERCISE <const> = [[
local function exercise(cqueues, uvjobs)
  local changed = require "cqueues.condition".new()
  local left, right = require "cqueues.socket".pair()
  left:setmode("bn", "bn")
  right:setmode("bn", "bn")
  local jobs <close> = uvjobs.scheduler()
  local reader = jobs:spawn(function() return right:read "*l" end)
  local waiter = jobs:spawn(function() return changed:wait() end)
  cqueues.sleep(0.001)
  left:write "text\n"
  left:flush()
  changed:signal()
  local ok, err = pcall(uvjobs.timeout, 0.001, cqueues.sleep, 60)
  print(reader:wait(), waiter:wait(), ok, uvjobs.code(err))
  left:close()
  right:close()
end
]]
local EXERCISED <const> = "text\ttrue\tfalse\ttimeout\n"

describe("uvjobs.cqueues", function()
  after_each(web.check_clean)

  it("may be loaded before the run", function()
    prints(EXERCISED, EXERCISE .. [[
      local cqueues, uvjobs = require "uvjobs.cqueues", require "uvjobs"
      uvjobs.run(exercise, cqueues, uvjobs)
    ]])
  end)

  it("may be loaded in the middle of a run", function()
    prints(EXERCISED, EXERCISE .. [[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        uvjobs.sleep(0.001)
        exercise(require "uvjobs.cqueues", uvjobs)
      end)
    ]])
  end)

  it("may be loaded by a job other than the first, after cqueues itself", function()
    prints(EXERCISED, EXERCISE .. [[
      local uvjobs, cqueues = require "uvjobs", require "cqueues"
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler()
        jobs:spawn(function()
          require "uvjobs.cqueues"
          exercise(cqueues, uvjobs)
        end)
      end)
    ]])
  end)

  it("may be loaded in a coroutine of uvjobs.coroutine, and in one of Lua", function()
    prints(EXERCISED .. EXERCISED, EXERCISE .. [[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        require "uvjobs.coroutine".wrap(function() require "uvjobs.cqueues" end)()
        coroutine.wrap(function() require "uvjobs.cqueues" end)()
        exercise(require "uvjobs.cqueues", uvjobs)
        uvjobs.yield()
        exercise(require "uvjobs.cqueues", uvjobs)
      end)
    ]])
  end)

  it("works in several runs, one after the other", function()
    prints(EXERCISED:rep(3), EXERCISE .. [[
      local cqueues, uvjobs = require "uvjobs.cqueues", require "uvjobs"
      for _ = 1, 3 do uvjobs.run(exercise, cqueues, uvjobs) end
    ]])
  end)

  it("works after a run that ended with jobs waiting in cqueues", function()
    local changed = condition.new()
    for _ = 1, 3 do
      uvjobs.run(function()
        local jobs = uvjobs.scheduler()
        jobs:spawn(function() changed:wait() end)
        jobs:spawn(cqueues.sleep, 60)
        uvjobs.yield()
      end)
      assert.is_true(uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler()
        jobs:spawn(function() changed:signal() end)
        return (changed:wait())
      end))
    end
  end)

  it("outside a run cqueues is as it always was", function()
    assert.equal(0.001, cqueues.poll(0.001))
    assert.is_nil((cqueues.running()))
    local controller, log = cqueues.new(), helper.log()
    controller:wrap(function()
      assert.equal(controller, (cqueues.running()))
      cqueues.sleep(0.001)
      log:add "slept"
    end)
    assert(controller:loop())
    assert.same({ "slept" }, { table.unpack(log) })
    controller:close()
  end)

  it("a coroutine that waits from one run to the next goes on there", function()
    local changed, log = condition.new(), helper.log()
    uvjobs.run(function()
      cqueues.running():wrap(function()
        changed:wait()
        log:add "woken"
      end)
      cqueues.sleep(0.001)
    end)
    uvjobs.run(function()
      changed:signal()
      cqueues.sleep(0.001)
    end)
    assert.same({ "woken" }, { table.unpack(log) })
  end)

  it("a run in a coroutine of cqueues works, and one in a job is refused", function()
    local controller, result = cqueues.new(), nil
    controller:wrap(function()
      result = uvjobs.run(function()
        cqueues.sleep(0.001)
        return "inner"
      end)
    end)
    assert(controller:loop())
    assert.equal("inner", result)
    controller:close()
    uvjobs.run(function()
      assert.matches("already running", helper.message(uvjobs.run, print))
      cqueues.sleep(0)
    end)
  end)

  it("waits do not poll: few turns pass while a job waits", function()
    uvjobs.run(function()
      local before = uvjobs.stats().turns
      cqueues.sleep(0.2)
      local turns = uvjobs.stats().turns - before
      assert.is_true(turns <= 10, turns .. " turns")
    end)
  end)

  it("waits do not poll when several wait for descriptors and conditions", function()
    uvjobs.run(function()
      local left, right = cqueues_socket.pair()
      local changed = condition.new()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(function() return right:read "*l" end)
      jobs:spawn(function() changed:wait() end)
      helper.yield(5)
      local before = uvjobs.stats().turns
      cqueues.sleep(0.2)
      local turns = uvjobs.stats().turns - before
      assert.is_true(turns <= 10, turns .. " turns")
      jobs:close()
      left:close()
      right:close()
    end)
  end)

  it("a job that computes with slices does not keep the others from cqueues", function()
    uvjobs.run(function()
      local stop = false
      local sliced <close> = uvjobs.scheduler { timeslice = 0.002 }
      local busy = sliced:spawn(function() while not stop do end end)
      cqueues.sleep(0.01)
      stop = true
      busy:wait()
      assert.is_true(busy.preemptions > 0)
    end)
  end)

  it("under the virtual clock its waits take real time", function()
    local start = uvjobs.now()
    helper.virtual(function()
      cqueues.sleep(0.02)
      assert.equal("timeout", uvjobs.code(select(2,
        pcall(uvjobs.timeout, 3600, cqueues.sleep, 0.001))) or "timeout")
    end)
    assert.is_true(uvjobs.now() - start >= 0.02)
  end)

  it("under the virtual clock a read waits for what comes from outside", function()
    helper.virtual(function()
      local left, right = cqueues_socket.pair()
      left:setmode("bn", "bn")
      right:setmode("bn", "bn")
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(function()
        cqueues.sleep(0.01)
        left:write "late\n"
        left:flush()
      end)
      assert.equal("late", right:read "*l")
      left:close()
      right:close()
    end)
  end)
end)

describe("uvjobs.cqueues in somebody else's loop", function()
  after_each(web.check_clean)

  local function work()
    local changed, left, right = condition.new(), cqueues_socket.pair()
    left:setmode("bn", "bn")
    right:setmode("bn", "bn")
    local jobs <close> = uvjobs.scheduler()
    local reader = jobs:spawn(function() return right:read "*l" end)
    local waiter = jobs:spawn(function() return changed:wait() end)
    local value = promise.new(function()
      cqueues.sleep(0.002)
      return "promised"
    end)
    cqueues.sleep(0.002)
    left:write "text\n"
    left:flush()
    changed:signal()
    local result = { reader:wait(), waiter:wait(), value:get() }
    left:close()
    right:close()
    return result
  end

  it("works in a plain loop that polls", function()
    local job = uvjobs.start(work)
    while not job.closed do
      cqueues.poll({ pollfd = uvjobs.fd(), events = "r", timeout = uvjobs.next_timeout() })
      uvjobs.step()
    end
    assert.same({ "text", true, "promised" }, job:wait())
  end)

  it("works in a loop that looks at nothing", function()
    local job = uvjobs.start(work)
    while not job.closed do uvjobs.step() end
    assert.same({ "text", true, "promised" }, job:wait())
  end)

  it("works in a coroutine of cqueues", function()
    local controller, ticks = cqueues.new(), 0
    local job = uvjobs.start(work)
    controller:wrap(function()
      while not job.closed do
        cqueues.poll({ pollfd = uvjobs.fd(), events = "r", timeout = uvjobs.next_timeout() })
        uvjobs.step()
      end
    end)
    controller:wrap(function()
      while not job.closed do
        cqueues.sleep(0.001)
        ticks = ticks + 1
      end
    end)
    assert(controller:loop())
    assert.same({ "text", true, "promised" }, job:wait())
    assert.is_true(ticks > 0)
    controller:close()
  end)

  it("works in luv's loop", function()
    local uv = require "luv"
    local attached <close> = uvjobs.attach(uv)
    assert.is_not_nil(attached)
    local job = uvjobs.start(work)
    uv.run()
    assert.same({ "text", true, "promised" }, job:wait())
  end)

  it("a condition that the host signals wakes the job", function()
    local changed = condition.new()
    local job = uvjobs.start(function() return changed:wait() end)
    while uvjobs.step() do end
    changed:signal()
    while not job.closed do
      cqueues.poll({ pollfd = uvjobs.fd(), events = "r", timeout = uvjobs.next_timeout() })
      uvjobs.step()
    end
    assert.is_true(job:wait())
  end)
end)

describe("when the state closes", function()
  after_each(web.check_clean)

  it("jobs that wait in cqueues are ended, and clean up", function()
    prints(("closed\n"):rep(3), [[
      local uvjobs, cqueues = require "uvjobs", require "uvjobs.cqueues"
      local changed = require "cqueues.condition".new()
      local left, right = require "cqueues.socket".pair()
      kept = { left, right }
      local function waits(fn)
        return uvjobs.start(function()
          local _ <close> = setmetatable({}, { __close = function() print "closed" end })
          fn()
        end)
      end
      waits(function() cqueues.sleep(60) end)
      waits(function() changed:wait() end)
      waits(function() right:read "*l" end)
      while uvjobs.step() do end
    ]])
  end)

  it("os.exit in a job that has others waiting in cqueues ends the process", function()
    prints("", [[
      local uvjobs, cqueues = require "uvjobs", require "uvjobs.cqueues"
      uvjobs.run(function()
        uvjobs.scheduler():spawn(cqueues.sleep, 60)
        cqueues.sleep(0.001)
        os.exit(0, true)
      end)
    ]])
  end)
end)
