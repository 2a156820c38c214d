-- The date: seconds since 1970, which can jump, next to the clock that does not.

local helper = require "spec.helper"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

describe("the date", function()
  it("is the one of the system under the real clock", helper.in_run(function()
    assert.is_true(math.abs(uvjobs.time() - os.time()) < 2)
    assert.equal("float", math.type(uvjobs.time()))
  end))

  it("can be asked outside of run", function()
    assert.is_true(math.abs(uvjobs.time() - os.time()) < 2)
  end)

  it("starts in the year 2000 under the virtual clock, or where run was told", function()
    local run = { clock = "virtual" }
    assert.equal(946684800, uvjobs.run(run, uvjobs.time))
    run.date = 1767225600.5
    assert.equal(1767225600.5, uvjobs.run(run, uvjobs.time))
    run.date = 0
    assert.equal(0, uvjobs.run(run, uvjobs.time))
  end)

  testing.it("moves with the virtual clock", { date = 1000 }, function()
    uvjobs.sleep(0.25)
    assert.equal(1000.25, uvjobs.time())
  end)

  testing.it("goes on beyond the years of schedules", {
    date = 7e9, timeout = math.huge,
  }, function()
    uvjobs.sleep(3e9)
    assert.equal(10e9, uvjobs.time())
    testing.set_date(0)
    assert.equal(0, uvjobs.time())
    uvjobs.sleep(5)
    assert.equal(5, uvjobs.time())
  end)

  it("is refused by run when the clock is real or it is no date", function()
    assert.equal("bad argument #1 to 'run' (option 'date' needs the virtual clock)",
      helper.message(uvjobs.run, { date = 0 }, print))
    for _, date in ipairs { -1, 0 / 0, math.huge, 1e11, "now", false } do
      assert.truthy(helper.message(uvjobs.run, { clock = "virtual", date = date }, print)
        :find("option 'date': seconds since 1970, up to the year 2199 expected, got", 1, true))
    end
  end)

  testing.it("jumps when a test sets it, and the clock does not", function()
    testing.set_date(5000)
    assert.equal(5000, uvjobs.time())
    assert.equal(0, uvjobs.now())
    uvjobs.sleep(1)
    testing.set_date(10)
    assert.equal(10, uvjobs.time())
    assert.equal(1, uvjobs.now())
  end)

  it("cannot be set under the real clock, nor to what is no date", function()
    uvjobs.run(function()
      assert.equal("'set_date' needs the virtual clock", helper.message(testing.set_date, 5))
    end)
    helper.virtual(function()
      for _, date in ipairs { -1, 0 / 0, math.huge, "now" } do
        assert.truthy(helper.message(testing.set_date, date)
          :find("^bad argument #1 to 'set_date'"))
      end
    end)
  end)
end)

describe("sleep_until", function()
  testing.it("suspends until the date, and not less", {
    date = 1767225600, timeout = math.huge,
  }, function()
    uvjobs.sleep_until(1767225600.123456)
    assert.is_true(uvjobs.time() >= 1767225600.123456)
    assert.is_true(uvjobs.time() < 1767225600.12346)
    uvjobs.sleep_until(1767225600 + 86400 * 365)
    assert.equal(1767225600 + 86400 * 365, uvjobs.time())
  end)

  it("waits in real time, too", helper.in_run(function()
    local time = uvjobs.time() + 0.03
    uvjobs.sleep_until(time)
    assert.is_true(uvjobs.time() >= time)
  end))

  testing.it("gives way when the date has passed", function()
    local log = helper.log()
    local jobs <close> = uvjobs.scheduler()
    jobs:spawn(log.add, log, "other")
    uvjobs.sleep_until(0)
    log:add "main"
    assert.same({ "other", "main" }, log)
    assert.equal(0, uvjobs.now())
  end)

  testing.it("ends when a step takes the date past it", { date = 0 }, function()
    local jobs <close> = uvjobs.scheduler()
    local job = jobs:spawn(function()
      uvjobs.sleep_until(3600)
      return uvjobs.now()
    end)
    uvjobs.sleep(5)
    testing.set_date(7200)
    assert.equal(5, job:wait())
  end)

  testing.it("waits longer when the date goes back", { date = 3000 }, function()
    local jobs <close> = uvjobs.scheduler()
    local job = jobs:spawn(function()
      uvjobs.sleep_until(3600)
      return uvjobs.now()
    end)
    uvjobs.sleep(5)
    testing.set_date(600)
    assert.equal(3005, job:wait())
  end)

  testing.it("raises when the job is cancelled or its deadline passes #M5", function()
    helper.raises("timeout", uvjobs.timeout, 10, uvjobs.sleep_until, uvjobs.time() + 60)
    assert.equal(10, uvjobs.now())
  end)

  it("ends cleanly wherever it is cancelled or killed", function()
    for _, by in ipairs { "cancel", "kill" } do
      assert.equal(2, testing.cancel_everywhere({ by = by }, function()
        uvjobs.sleep_until(uvjobs.time() + 60)
        uvjobs.sleep_until(uvjobs.time() + 86400)
      end))
    end
  end)

  it("refuses what is no date", helper.in_run(function()
    assert.equal("bad argument #1 to 'sleep_until' (number expected, got no value)",
      helper.message(uvjobs.sleep_until))
    assert.equal("bad argument #1 to 'sleep_until' (number expected, got string)",
      helper.message(uvjobs.sleep_until, "12"))
    for _, date in ipairs { -1, 0 / 0, math.huge, -math.huge, 1e11 } do
      assert.truthy(helper.message(uvjobs.sleep_until, date)
        :find("seconds since 1970, up to the year 2199 expected, got", 1, true))
    end
  end))

  it("must be called in a job", function()
    assert.equal("'sleep_until' must be called in a job: use uvjobs.run",
      helper.message(uvjobs.sleep_until, 0))
  end)
end)

describe("remaining", function()
  testing.it("counts down to the earliest deadline", { timeout = math.huge }, function()
    assert.is_nil(uvjobs.remaining())
    uvjobs.timeout(10, function()
      uvjobs.sleep(1)
      assert.equal(9, uvjobs.remaining())
      uvjobs.timeout(60, function() assert.equal(9, uvjobs.remaining()) end)
      uvjobs.timeout(2, function() assert.equal(2, uvjobs.remaining()) end)
    end)
    assert.is_nil(uvjobs.remaining())
  end)

  testing.it("knows the deadline of the job, and is 0 when it has passed", function()
    local jobs <close> = uvjobs.scheduler { close_timeout = 10 }
    local job = jobs:spawn({ timeout = 5 }, function()
      assert.equal(5, uvjobs.remaining())
      pcall(uvjobs.sleep, 60)
      return uvjobs.remaining()
    end)
    assert.equal(0, job:wait())
  end)

  testing.it("is nil where a deadline is held off", function()
    uvjobs.timeout(10, uvjobs.protect, function() assert.is_nil(uvjobs.remaining()) end)
  end)

  it("is nil outside jobs", function()
    assert.is_nil(uvjobs.remaining())
  end)
end)
