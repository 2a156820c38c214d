-- Children of which nothing is said but a name and `restart`: start() has a short way for
-- them, which must make no difference.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local supervised = require "spec.supervisor.helper"

local virtual, forever = supervised.virtual, supervised.forever

describe("A plain child", function()
  it("is the same as one of which more is said", virtual(function()
    local service <close> = supervised.new()
    for _, restart in ipairs { "permanent", "transient", "temporary" } do
      service:start { restart = restart, reset_after = 60, forever } -- the long way, and
      service:start { restart = restart, forever }               -- the first of this kind
      local long = service:start { name = "long " .. restart, restart = restart, reset_after = 60,
        forever }
      local short = service:start { name = "short " .. restart, restart = restart, forever }
      uvjobs.yield()
      for _, property in ipairs { "state", "restart", "restarts", "supervisor", "next_start" } do
        assert.equal(long[property], short[property])
      end
      assert.equal("short " .. restart, short.name)
      assert.equal(short, service:child(short.name))
      assert.equal("active", short.job.state)
      assert.is_truthy(tostring(short.job):find(short.name, 1, true))
    end
    assert.equal(12, #service)
    assert.equal(12, service:count_children().active)
  end))

  it("gets itself as its only argument, in each run", virtual(function()
    local service <close> = supervised.new { backoff = 0 }
    service:start { forever }
    local got = {}
    local child
    child = service:start { name = "a", function(...)
      got[#got + 1] = select("#", ...) == 1 and ... == child
      if #got < 3 then error("crash", 0) end
      forever()
    end }
    uvjobs.sleep(1)
    assert.same({ true, true, true }, got)
  end))

  it("waits for its turn behind one that is not ready #S1", virtual(function()
    local service, log = supervised.new(), supervised.log()
    service:start { forever }
    local slow = function(child)
      uvjobs.sleep(5)
      log.add "ready"
      child:ready()
      forever()
    end
    local jobs = uvjobs.scheduler { limit = math.huge }
    jobs:spawn(service.start, service, { name = "slow", ready = true, slow })
    uvjobs.yield()
    service:start { name = "plain", supervised.worker(log) }
    uvjobs.yield()
    assert.same({ "5 ready", "5 start plain" }, { log[1], log[2] })
    service:close()
    jobs:close()
  end))

  it("has the context of start, and none of a job that lets it start", virtual(function()
    local service <close> = supervised.new()
    local seen = {}
    local function note(child)
      seen[child.name] = tostring(uvjobs.context.who)
      forever()
    end
    service:start { forever }
    service:start { name = "plain", note }
    uvjobs.context.who = "me"
    service:start { name = "with", note }
    service:start { name = "slow", ready = true, function(child)
      uvjobs.context.who = "the child before"
      child:ready()
      forever()
    end }
    uvjobs.yield()
    assert.same({ plain = "nil", with = "me" }, seen)
  end))

  it("is refused with the name of another, and its place is not lost", virtual(function()
    local service <close> = supervised.new()
    service:start { name = "a", forever }
    for _ = 1, 3 do
      helper.message(service.start, service, { name = "a", forever })
      helper.message(service.start, service, { name = "b" })
    end
    service:start { name = "b", forever }
    local names = {}
    for child in service:children() do names[#names + 1] = child.name end
    assert.same({ "a", "b" }, names)
  end))

  it("has the options that its table has itself, as every child", virtual(function()
    local inherited = { __index = { restart = "temporary", ready = 1, name = 2, backoff = "x" } }
    local service <close> = supervised.new(setmetatable({}, inherited))
    for _, given in ipairs { { forever }, { forever, close_timeout = 1 } } do
      local child = service:start(setmetatable(given, inherited))
      assert.same({ "permanent", "running" }, { child.restart, child.state })
    end
    local inner = service:start { name = "inner", supervisor = setmetatable({}, inherited) }
    assert.equal("one_for_one", inner.strategy)
  end))

  it("is not started by a job that is to end, nor in what is closed #S8 #M5", virtual(function()
    local service = supervised.new()
    service:start { name = "a", forever }
    local started
    local jobs <close> = uvjobs.scheduler()
    local job = jobs:spawn({ report = false }, function()
      uvjobs.current():cancel()
      started = pcall(service.start, service, { name = "b", forever })
    end)
    job:join()
    assert.is_false(started)
    assert.is_nil(service:child "b")
    service:close()
    helper.raises("closed", service.start, service, { name = "c", forever })
    assert.is_nil(service:child "c")
  end))

  it("starts a hundred thousand times, and is found by its name", virtual(function()
    local service <close> = supervised.new()
    for i = 1, 100000 do service:start { name = "child-" .. i, restart = "temporary", forever } end
    assert.equal(100000, #service)
    service:stop "child-77777"
    assert.is_nil(service:child "child-77777")
    assert.equal("running", service:child("child-77778").state)
  end))
end)
