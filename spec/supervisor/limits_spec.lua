-- What a supervisor does when a limit of a child is over, and when the run ends around it.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local supervised = require "spec.supervisor.helper"

local worker, failing = supervised.worker, supervised.failing
local virtual, forever = supervised.virtual, supervised.forever

-- A child that needs so many seconds to end when it is cancelled.
local function slow(seconds)
  return function()
    local _ <close> = helper.closing(function() pcall(uvjobs.protect, uvjobs.sleep, seconds) end)
    forever()
  end
end

describe("A supervisor that nobody has closed when run() ends", function()
  it("stops its children in reverse, one after the other #S2", function()
    local log = supervised.log()
    helper.virtual(function()
      local service = supervised.new()
      for _, name in ipairs { "a", "b", "c" } do
        service:start { name = name, function()
          local _ <close> = helper.closing(function()
            uvjobs.protect(uvjobs.sleep, 1)
            log.add("end", name)
          end)
          forever()
        end }
      end
      uvjobs.yield()
    end)
    assert.same({ "1 end c", "2 end b", "3 end a" }, { table.unpack(log) })
  end)

  it("stops those of a supervisor in it when it is their turn #S2 #S10", function()
    local log = supervised.log()
    helper.virtual(function()
      local service = supervised.new()
      service:start { name = "a", worker(log) }
      local tree = service:start { name = "tree", supervisor = {} }
      tree:start { name = "b", worker(log) }
      tree:start { name = "c", worker(log) }
      service:start { name = "d", worker(log) }
      uvjobs.sleep(1)
    end)
    assert.same({ "1 end d", "1 end c", "1 end b", "1 end a" }, { table.unpack(log, 5) })
  end)

  it("keeps each close_timeout, and restarts nothing #S2 #S8", function()
    local log, service = supervised.log(), nil
    helper.virtual(function()
      service = supervised.new { close_timeout = 2 }
      service:start { name = "a", slow(10) }
      service:start { name = "x", worker(log, failing(1)) }
      service:start { name = "b", slow(10) }
      uvjobs.sleep(0.5)
    end)
    assert.same({ "0 start x", "1 end x" }, { table.unpack(log) })
    assert.is_true(service.closed)
    assert.equal("a ended, x ended, b ended", supervised.states(service))
  end)

  it("stops busy children in time, too #S2 #M8", function()
    local service
    uvjobs.run(function()
      service = supervised.new { close_timeout = 0.01 }
      for i = 1, 3 do
        service:start { name = "busy" .. i, function()
          uvjobs.yield()
          while true do pcall(helper.forever) end
        end }
      end
    end)
    assert.equal("busy1 ended, busy2 ended, busy3 ended", supervised.states(service))
  end)

  it("can close itself meanwhile, or be closed by another job", function()
    local service
    helper.virtual(function()
      service = supervised.new()
      service:start { name = "a", slow(1) }
      service:start { name = "b", function()
        local _ <close> = helper.closing(function() uvjobs.protect(service.close, service) end)
        forever()
      end }
      service:start { name = "c", slow(1) }
      uvjobs.sleep(1)
    end)
    assert.equal("a ended, b ended, c ended", supervised.states(service))
  end)
end)

describe("A child whose start_timeout is over", function()
  it("gets its own close_timeout to end #S1", virtual(function()
    for _, close_timeout in ipairs { 2, 9 } do
      local service <close> = supervised.new { close_timeout = 5 }
      local start = uvjobs.now()
      helper.raises("timeout", service.start, service, {
        name = "db", ready = true, start_timeout = 1, close_timeout = close_timeout, slow(100),
      })
      assert.equal(start + 1 + close_timeout, uvjobs.now())
    end
  end))

  it("may have no limit for its end #S1", virtual(function()
    local service <close> = supervised.new { close_timeout = 5 }
    helper.raises("timeout", service.start, service, {
      name = "db", ready = true, start_timeout = 1, close_timeout = math.huge, slow(100),
    })
    assert.equal(101.0, uvjobs.now())
  end))

  it("is not counted while it is waited for #S5", virtual(function()
    local service = supervised.new { intensity = 3, period = 4 }
    local child = service:start {
      name = "db", ready = true, start_timeout = 1, close_timeout = 10, keep_trying = true,
      function(child)
        if child.restarts == 0 then
          child:ready()
          uvjobs.sleep(1)
          error "crash"
        end
        slow(3)()
      end,
    }
    helper.raises("intensity", service.wait, service)
    assert.equal(4, child.restarts)
    assert.equal(13.0, uvjobs.now())
  end))

  it("stops the time of others' restarts, too, while it is waited for #S5", virtual(function()
    local service = supervised.new { intensity = 3, period = 4, backoff = 0 }
    service:start { name = "a", supervised.failing(3) }
    local jobs <close> = helper.quiet()
    jobs:spawn(service.start, service, {
      name = "db", ready = true, start_timeout = 1, close_timeout = 100, keep_trying = true,
      slow(100),
    })
    helper.raises("intensity", service.wait, service)
    assert.equal(12.0 + 89, uvjobs.now()) -- the fourth crash; then db has until 101 s to end
  end))
end)

describe("The back-off of a round", function()
  it("holds for those behind, though the first is restarted by name and deleted #S6", virtual(
    function()
      local service <close> = supervised.new {
        strategy = "one_for_all", backoff = { base = 10, jitter = 0 },
      }
      local started = {}
      local runs = 0
      service:start { name = "a", ready = true, function(child)
        runs = runs + 1
        if runs > 1 then uvjobs.sleep(1e6) end
        child:ready()
        uvjobs.sleep(1)
        error "crash"
      end }
      service:start { name = "b", function()
        started[#started + 1] = uvjobs.now()
        uvjobs.sleep(1e6)
      end }
      local jobs <close> = helper.quiet()
      uvjobs.sleep(2)
      jobs:spawn({ report = false }, service.restart, service, "a")
      uvjobs.sleep(1)
      service:delete "a"
      uvjobs.sleep(20)
      assert.same({ 0.0, 11.0 }, started)
      service:close()
    end))
end)

describe("A child whose busy_limit is over", function()
  it("is not counted while it is waited for #S5", function()
    uvjobs.run(function()
      local service = supervised.new { intensity = 1, period = 0.1 }
      service:start { busy_limit = 0.01, function()
        local _ <close> = helper.closing(function() uvjobs.protect(uvjobs.sleep, 0.2) end)
        while true do end -- luacheck: ignore
      end }
      helper.raises("intensity", service.wait, service, 20)
    end)
  end)

  it("stops the time of others' restarts, too, while it is waited for #S5", virtual(function()
    local service, restarts = supervised.new { intensity = 3, period = 4, backoff = 0 }, 0
    service:start { name = "busy", busy_limit = 1e-6, close_timeout = 100, function()
      local _ <close> = helper.closing(function() uvjobs.protect(uvjobs.sleep, 50) end)
      while true do end -- luacheck: ignore
    end }
    service:start { name = "a", function()
      restarts = restarts + 1
      supervised.failing(3)()
    end }
    helper.raises("intensity", service.wait, service)
    assert.equal(4, restarts)
  end))
end)

describe("The error of bad options of a child", function()
  it("blames the caller of start()", virtual(function()
    local service <close> = supervised.new()
    local _, err = pcall(function() service:start {} end)
    assert.truthy(tostring(err):find("^[^:]*limits_spec.lua:%d+: bad argument"), tostring(err))
  end))

  it("says what the number of elements may be", virtual(function()
    local service <close> = supervised.new()
    for _, n in ipairs { "x", -1, 1.5, 241, 1e9 } do
      assert.truthy(helper.message(service.start, service, { forever, n = n }):find(
        "option 'n': integer from 0 to 240 expected", 1, true))
    end
  end))

  it("names no other word or property when none is near", virtual(function()
    local service <close> = supervised.new()
    assert.equal("bad argument #1 to 'start' (option 'restart': 'permanent', 'transient' or "
      .. "'temporary' expected, got 'qq')",
      helper.message(service.start, service, { forever, restart = "qq" }))
    assert.equal("unknown property 'qq' of a uvjobs.Supervisor",
      helper.message(function() return service.qq end))
    local child = service:start { forever }
    assert.equal("unknown property 'qq' of a uvjobs.Child",
      helper.message(function() return child.qq end))
  end))
end)

describe("The job of a child", function()
  it("has the name of the child, until it gets another one", virtual(function()
    local service <close> = supervised.new()
    local named = service:start { name = "db", forever }
    local nameless = service:start { forever }
    uvjobs.yield()
    assert.equal("db", named.job.name)
    assert.truthy(tostring(named.job):find('"db"', 1, true))
    assert.is_nil(nameless.job.name)
    for _, name in ipairs { "x", "y" } do
      named.job.name, nameless.job.name = name, name
      assert.equal(name, named.job.name)
      assert.equal(name, nameless.job.name)
      assert.equal("db", named.name)
    end
    named.job.name, nameless.job.name = nil, nil
    assert.is_nil(named.job.name)
    assert.is_nil(nameless.job.name)
    assert.is_nil(tostring(named.job):find('"', 1, true))
    service:restart "db"
    uvjobs.yield()
    assert.equal("db", named.job.name)
  end))

  it("has the context of whoever called start()", virtual(function()
    local service <close> = supervised.new()
    for i = 1, 3 do
      uvjobs.context.id = i
      local seen
      service:start { restart = "temporary", function() seen = uvjobs.context.id end }
      uvjobs.yield()
      assert.equal(i, seen)
    end
  end))
end)
