-- What is restarted, when, and how often.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local supervised = require "spec.supervisor.helper"

local worker, failing, script = supervised.worker, supervised.failing, supervised.script
local virtual, forever = supervised.virtual, supervised.forever

describe("A child", function()
  -- Whether a child of this kind is restarted when `finish(child)` has ended it.
  local function restarts(kind, body, finish)
    local runs = 0
    local service <close> = supervised.new()
    local child = service:start { name = "x", restart = kind, function(child)
      runs = runs + 1
      if runs == 1 then return body(child) end
      forever()
    end }
    uvjobs.yield()
    if finish then finish(child) end
    uvjobs.sleep(10)
    return runs > 1, child.state
  end

  local ways = {
    { "returns", helper.ignore, nil, { permanent = true, transient = false } },
    { "fails", error, nil, { permanent = true, transient = true } },
    { "is killed", helper.stubborn, function(child) pcall(child.job.close, child.job, 0) end,
      { permanent = true, transient = true } },
    { "is cancelled though nobody asked", forever, function(child) child.job:cancel() end,
      { permanent = true, transient = true } },
  }

  for _, way in ipairs(ways) do
    local name, body, finish, expected = table.unpack(way, 1, 4)
    for _, kind in ipairs { "permanent", "transient", "temporary" } do
      local restarted = expected[kind] or false
      it(("that is %s and %s is %srestarted #S3"):format(kind, name, restarted and "" or "not "),
        virtual(function()
          local was, state = restarts(kind, body, finish)
          assert.equal(restarted, was)
          if kind == "temporary" then assert.equal("deleted", state) end
        end))
    end
  end

  it("that fails by the cancellation of another job has crashed #S3", virtual(function()
    -- thejerf/suture#77: errors of contexts of one's own were taken for the shutdown.
    local was = restarts("transient", function()
      local jobs <close> = uvjobs.scheduler()
      local other = jobs:spawn(forever)
      uvjobs.yield()
      other:cancel()
      other:wait()
    end)
    assert.is_true(was)
  end))

  it("is not restarted while another run of it lives #S7", virtual(function()
    local live, most = 0, 0
    local service <close> = supervised.new { close_timeout = 1 }
    local child = service:start { name = "x", function()
      live = live + 1
      most = math.max(most, live)
      local _ <close> = helper.closing(function() live = live - 1 end)
      local _ <close> = helper.closing(function() uvjobs.protect(uvjobs.sleep, 5) end)
      forever()
    end }
    uvjobs.yield()
    for _ = 1, 5 do
      pcall(child.job.close, child.job)
      uvjobs.sleep(0.5)
      service:restart "x"
    end
    assert.equal(1, most)
  end))

  it("waits longer with each restart in a row #S6", virtual(function()
    local log = supervised.log()
    local service <close> = supervised.new {
      backoff = { base = 1, factor = 2, max = 5, jitter = 0 },
    }
    service:start { name = "x", worker(log, function() error "crash" end) }
    uvjobs.sleep(20)
    local starts = {}
    for _, line in ipairs(log) do starts[#starts + 1] = line:match "(%S+) start" end
    assert.same({ "0", "1", "3", "7", "12", "17" }, starts)
  end))

  it("begins anew when it was up for reset_after #S6", virtual(function()
    local delays = {}
    local service <close> = supervised.new {
      backoff = { base = 1, factor = 2, jitter = 0 }, reset_after = 60,
      exception_handler = helper.recorder(delays, "delay"),
    }
    service:start { name = "x", script(1, 1, 59, 60, 1, "stay") }
    uvjobs.sleep(1000)
    assert.same({ 1, 2, 4, 1, 2 }, delays)
  end))

  it("spreads its waits by the jitter, around their mean #S6", virtual(function()
    local delays = {}
    local service <close> = supervised.new {
      backoff = { base = 10, factor = 1, max = 10, jitter = 0.2 },
      exception_handler = helper.recorder(delays, "delay"),
    }
    service:start { name = "x", failing(0) }
    uvjobs.sleep(5000)
    local least, most, sum = math.huge, 0, 0
    for _, delay in ipairs(delays) do
      least, most, sum = math.min(least, delay), math.max(most, delay), sum + delay
    end
    assert.is_true(least >= 8 and least < 8.5 and most <= 12 and most > 11.5)
    assert.is_true(math.abs(sum / #delays - 10) < 0.3)
  end))

  it("waits alone: the others run #S6", virtual(function()
    local ticks = 0
    local service <close> = supervised.new { backoff = 100 }
    local crashed = service:start { name = "x", failing(0) }
    service:start { name = "y", function()
      while true do
        uvjobs.sleep(1)
        ticks = ticks + 1
      end
    end }
    uvjobs.sleep(50.5)
    assert.equal(50, ticks)
    assert.equal("waiting", crashed.state)
    assert.equal(100.0, crashed.next_start)
  end))

  it("does not hold the loop when it crashes again and again #S6", virtual(function()
    -- ysbaddaden/earl#26: a busy loop of restarts.
    local service <close> = supervised.new { backoff = { base = 0.1, jitter = 0 } }
    local child = service:start { name = "x", failing(0) }
    uvjobs.sleep(3600)
    assert.is_true(child.restarts < 130)
  end))

  it("has a history of the last ten ends", virtual(function()
    local service <close> = supervised.new { backoff = 1 }
    local runs = 0
    local child = service:start { name = "x", function()
      runs = runs + 1
      error("crash " .. runs, 0)
    end }
    uvjobs.sleep(14.5)
    assert.equal(15, child.restarts)
    assert.equal("crash 15", child.last_error)
    assert.equal(10, #child.history)
    assert.same({ time = 5, state = "failed", error = "crash 6" }, child.history[1])
  end))

  it("is told of to the exception handler when it is restarted #S11", virtual(function()
    local heard = {}
    local service <close> = supervised.new({ backoff = 2 }, heard)
    local child = service:start { name = "x", script(1, "stay") }
    uvjobs.sleep(10)
    assert.equal(1, #heard)
    local context = heard[1]
    assert.equal("Child restarted", context.message)
    assert.equal(child, context.child)
    assert.equal("crash 1", context.exception)
    assert.equal(1, context.restarts)
    assert.equal(2.0, context.delay)
    assert.equal("failed", context.job.state)
    assert.equal(service, context.supervisor)
    assert.truthy(context.traceback:find "stack traceback")
  end))

  it("that is not restarted reports its error like any job", virtual(function()
    local heard = {}
    local service <close> = supervised.new(nil, heard)
    service:start { name = "x", restart = "temporary", failing(1, "lost") }
    uvjobs.sleep(2)
    assert.equal(1, #heard)
    assert.equal("Job processing failed", heard[1].message)
    assert.equal("lost", heard[1].exception)
  end))
end)

describe("The strategy", function()
  local function run(strategy, crash, kinds)
    local log = supervised.log()
    local service <close> = supervised.new { strategy = strategy, backoff = 0.5 }
    for _, name in ipairs { "a", "b", "c", "d" } do
      service:start {
        name = name, restart = kinds and kinds[name],
        worker(log, name == crash and script(1, "stay") or nil),
      }
    end
    uvjobs.sleep(3)
    return { table.unpack(log, 5) }
  end

  it("one_for_one restarts the child alone #S4", virtual(function()
    assert.same({ "1 end b", "1.5 start b" }, run("one_for_one", "b"))
  end))

  it("rest_for_one restarts those behind it, too #S4", virtual(function()
    assert.same({
      "1 end b", "1 end d", "1 end c", "1.5 start b", "1.5 start c", "1.5 start d",
    }, run("rest_for_one", "b"))
  end))

  it("one_for_all restarts all #S4", virtual(function()
    assert.same({
      "1 end b", "1 end d", "1 end c", "1 end a",
      "1.5 start a", "1.5 start b", "1.5 start c", "1.5 start d",
    }, run("one_for_all", "b"))
  end))

  it("does not bring back temporary children #S4", virtual(function()
    assert.same({
      "1 end b", "1 end d", "1 end c", "1 end a", "1.5 start a", "1.5 start b", "1.5 start d",
    }, run("one_for_all", "b", { c = "temporary" }))
  end))

  it("waits for each child that has to become ready, in a round, too #S1 #S4", virtual(function()
    local log = supervised.log()
    local service <close> = supervised.new { strategy = "one_for_all" }
    service:start { name = "a", ready = true, worker(log, function(child)
      uvjobs.sleep(1)
      child:ready()
      forever()
    end) }
    service:start { name = "b", worker(log, script(1, "stay")) }
    uvjobs.sleep(10)
    assert.same({
      "0 start a", "1 start b", "2 end b", "2 end a", "2 start a", "3 start b",
    }, log)
  end))

  it("starts a child that is added in a round at the end of it #S4", virtual(function()
    local log = supervised.log()
    local service <close> = supervised.new { strategy = "one_for_all", backoff = 5 }
    service:start { name = "a", worker(log, script(1, "stay")) }
    uvjobs.sleep(2)
    service:start { name = "late", worker(log) }
    uvjobs.yield()
    assert.equal(6.0, uvjobs.now())
    assert.same({ "0 start a", "1 end a", "6 start a", "6 start late" }, log)
  end))

  it("makes one round of two crashes #S4", virtual(function()
    local log = supervised.log()
    local service <close> = supervised.new { strategy = "rest_for_one", backoff = 1 }
    service:start { name = "a", worker(log, script(1.5, "stay")) }
    service:start { name = "b", worker(log, script(1, "stay")) }
    service:start { name = "c", worker(log) }
    uvjobs.sleep(10)
    assert.same({
      "0 start a", "0 start b", "0 start c", "1 end b", "1 end c", "1.5 end a",
      "2.5 start a", "2.5 start b", "2.5 start c",
    }, log)
  end))
end)
