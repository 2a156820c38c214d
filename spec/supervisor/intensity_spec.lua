-- When a supervisor gives up, and how it ends.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local supervised = require "spec.supervisor.helper"

local worker, failing, script = supervised.worker, supervised.failing, supervised.script
local virtual, forever = supervised.virtual, supervised.forever

describe("A supervisor", function()
  it("gives up after more restarts than its intensity within the period #S5", virtual(function()
    local heard, log = {}, supervised.log()
    local service = supervised.new({ name = "svc", intensity = 3, period = 10 }, heard)
    service:start { name = "other", worker(log) }
    local crashed = service:start { name = "x", failing(1, "lost") }
    local err = helper.raises("intensity", service.wait, service)
    assert.equal(4.0, uvjobs.now())
    assert.equal("lost", err.cause)
    assert.equal(4, crashed.restarts)
    assert.equal("4 end other", log[#log])
    assert.truthy(err.message:find "^supervisor 'svc' gave up: more than 3 restarts in 10 s")
    assert.truthy(err.message:find "\n  at 4.000 s: child 'x': lost", 1, true)
    assert.equal("Supervisor gave up", heard[#heard].message)
    assert.equal(err, heard[#heard].exception)
    assert.equal(crashed, heard[#heard].child)
    assert.equal(4, #heard[#heard].restarts)
    assert.equal(err, helper.raises("intensity", service.wait, service))
    helper.raises("closed", service.start, service, { forever })
  end))

  it("keeps on when the restarts are within the limit of every period #S5", virtual(function()
    local service <close> = supervised.new { intensity = 3, period = 10 }
    local crashed = service:start { name = "x", failing(3.4) }
    assert.is_nil((service:wait(1000)))
    assert.equal(294, crashed.restarts)
  end))

  it("does not count the time in which it waits for children to close #S5", virtual(function()
    -- erlang/otp#1287: a shutdown that takes longer than the period hides the storm.
    local service = supervised.new {
      strategy = "one_for_all", intensity = 3, period = 2, close_timeout = 10,
    }
    service:start { name = "slow", function()
      local _ <close> = helper.closing(function() uvjobs.protect(uvjobs.sleep, 5) end)
      forever()
    end }
    service:start { name = "x", failing(0.1) }
    helper.raises("intensity", service.wait, service)
    assert.is_true(uvjobs.now() < 21)
  end))

  it("counts a round as one restart #S5 #S4", virtual(function()
    local service <close> = supervised.new { strategy = "one_for_all", intensity = 1, period = 9 }
    for i = 1, 5 do service:start { name = "c" .. i, i == 1 and failing(10) or forever } end
    assert.is_nil((service:wait(100)))
  end))

  it("gives up at the first restart with the intensity 0 #S5", virtual(function()
    local service = supervised.new { intensity = 0 }
    service:start { name = "x", failing(1) }
    helper.raises("intensity", service.wait, service)
    assert.equal(1.0, uvjobs.now())
  end))

  it("does not give up over one child that cannot start, as it is made #S5 #S6",
    virtual(function()
      -- elixir-omg#461 and others: a glitch of the network takes the application down.
      local service <close> = uvjobs.supervisor { exception_handler = helper.ignore }
      service:start { name = "x", failing(0, "unreachable") }
      assert.is_nil((service:wait(3600)))
    end))

  it("raises what it failed with at the end of its block, if nobody has heard it #S5",
    virtual(function()
      local ok, err = pcall(function()
        local service <close> = supervised.new { intensity = 0 }
        service:start { name = "x", failing(1, "lost") }
        uvjobs.sleep(2)
      end)
      assert.is_false(ok)
      assert.equal("intensity", uvjobs.code(err))
      assert.equal("lost", err.cause)
    end))

  it("keeps the last ten restarts for its error #S5", virtual(function()
    local service = supervised.new { intensity = 30, period = 1000 }
    service:start { name = "x", failing(1) }
    local err = helper.raises("intensity", service.wait, service)
    local _, count = err.message:gsub("\n", "")
    assert.equal(10, count)
  end))

  it("ends normally when any significant child ends #S13", virtual(function()
    local log = supervised.log()
    local service = supervised.new { auto_shutdown = "any" }
    service:start { name = "a", worker(log) }
    service:start { name = "b", restart = "transient", significant = true,
      worker(log, function() uvjobs.sleep(3) end) }
    service:start { name = "c", worker(log) }
    assert.is_true(service:wait())
    assert.same({ "0 start a", "0 start b", "0 start c", "3 end b", "3 end c", "3 end a" }, log)
  end))

  it("ends normally when all significant children have ended #S13", virtual(function()
    local service = supervised.new { auto_shutdown = "all" }
    service:start { name = "a", forever }
    for i = 1, 3 do
      service:start { name = "b" .. i, restart = "temporary", significant = true,
        function() uvjobs.sleep(i) end }
    end
    assert.is_true(service:wait())
    assert.equal(3.0, uvjobs.now())
  end))

  it("restarts a significant child that has crashed and goes on #S13 #S3", virtual(function()
    local service = supervised.new { auto_shutdown = "any", backoff = 1 }
    local runs = 0
    service:start { name = "b", restart = "transient", significant = true, function()
      runs = runs + 1
      uvjobs.sleep(1)
      if runs == 1 then error "crash" end
    end }
    assert.is_true(service:wait())
    assert.equal(3.0, uvjobs.now())
  end))

  it("restarts nothing when it is closed, whatever it does #S8", virtual(function()
    for _, at in ipairs { 0.5, 1, 1.5, 2, 4, 6.5 } do
      local log = supervised.log()
      local begin = uvjobs.now()
      local service = supervised.new {
        strategy = "rest_for_one", backoff = 2, close_timeout = 5, keep_trying = true,
      }
      service:start { name = "a", worker(log) }
      service:start { name = "b", worker(log, script(1, "stay")) }
      service:start { name = "c", function()
        local _ <close> = helper.closing(function() uvjobs.protect(uvjobs.sleep, 3) end)
        forever()
      end }
      uvjobs.sleep(at - (uvjobs.now() - begin))
      local n = #log
      service:close()
      for i = n + 1, #log do assert.falsy(log[i]:find "start") end
      local after = #log
      uvjobs.sleep(100)
      assert.equal(after, #log)
    end
  end))

  it("restarts nothing when its owner is cancelled or killed #S8", virtual(function()
    for _, owner in ipairs {
      function(service) service:wait() end,
      function(service) uvjobs.protect(service.wait, service) end,
    } do
      local starts = 0
      local jobs = uvjobs.scheduler { close_timeout = 1, exception_handler = helper.ignore }
      local job = jobs:spawn(function()
        local service <close> = supervised.new { backoff = 0.1 }
        service:start { name = "x", function()
          starts = starts + 1
          uvjobs.sleep(0.1)
          error "crash"
        end }
        owner(service)
      end)
      uvjobs.sleep(1)
      jobs:close()
      local after = starts
      uvjobs.sleep(100)
      assert.equal(after, starts)
      assert.is_true(job.closed)
    end
  end))

  it("is closed together with everything at the end of a run", function()
    local starts = 0
    helper.virtual(function()
      local service = supervised.new()
      service:start { name = "x", function()
        starts = starts + 1
        forever()
      end }
      service:start { name = "never", forever }
      uvjobs.yield()
    end)
    assert.equal(1, starts)
  end)
end)

describe("A supervisor in a supervisor", function()
  it("fails as any child does when it gives up #S10", virtual(function()
    local heard = {}
    local service <close> = supervised.new({ backoff = 5 }, heard)
    local tree = service:start { name = "tree", supervisor = {
      intensity = 1, period = 100, backoff = 1,
    } }
    local runs = 0
    tree:start { name = "x", function()
      runs = runs + 1
      if runs < 3 then error("crash " .. runs, 0) end
      forever()
    end }
    uvjobs.sleep(100)
    local messages = {}
    for i, context in ipairs(heard) do messages[i] = context.message end
    assert.same({ "Child restarted", "Supervisor gave up", "Child restarted" }, messages)
    assert.equal("tree", heard[3].child.name)
    assert.equal("intensity", uvjobs.code(heard[3].exception))
    assert.equal("crash 2", heard[3].exception.cause)
    assert.equal("x running", supervised.states(tree))
    assert.equal(tree, service:get "tree")
    assert.equal(3, runs)
  end))

  it("makes its supervisor give up, too, with the first cause at the bottom #S10",
    virtual(function()
      local service = supervised.new { intensity = 0 }
      local tree = service:start { name = "tree", supervisor = { intensity = 0 } }
      tree:start { name = "x", failing(1, "lost") }
      local err = helper.raises("intensity", service.wait, service)
      assert.equal("intensity", uvjobs.code(err.cause))
      assert.equal("lost", err.cause.cause)
    end))

  it("stops its children in reverse when it is stopped #S2 #S10", virtual(function()
    local log, service = supervised.log(), supervised.new()
    service:start { name = "a", worker(log) }
    local tree = service:start { name = "tree", supervisor = {} }
    for _, name in ipairs { "b", "c" } do tree:start { name = name, worker(log) } end
    service:start { name = "d", worker(log) }
    uvjobs.yield()
    service:close()
    assert.same({ "0 end d", "0 end c", "0 end b", "0 end a" }, { table.unpack(log, 5) })
  end))

  it("starts its children before what follows it, in a round #S1 #S10", virtual(function()
    local log = supervised.log()
    local service <close> = supervised.new { strategy = "one_for_all" }
    service:start { name = "a", worker(log, script(2, "stay")) }
    local tree = service:start { name = "tree", supervisor = {} }
    tree:start { name = "b", ready = true, worker(log, function(child)
      uvjobs.sleep(1)
      child:ready()
      forever()
    end) }
    service:start { name = "c", worker(log) }
    uvjobs.sleep(10)
    assert.same({
      "0 start a", "0 start b", "1 start c", "2 end a", "2 end c", "2 end b",
      "2 start a", "2 start b", "3 start c",
    }, log)
  end))

  it("waits for the children of its last run before it runs again #S7", virtual(function()
    local live, most = 0, 0
    local service <close> = supervised.new { close_timeout = 1 }
    local tree = service:start { name = "tree", close_timeout = 0.5, supervisor = {
      close_timeout = 20,
    } }
    tree:start { name = "x", function()
      live = live + 1
      most = math.max(most, live)
      local _ <close> = helper.closing(function() live = live - 1 end)
      local _ <close> = helper.closing(function() uvjobs.protect(uvjobs.sleep, 10) end)
      forever()
    end }
    uvjobs.sleep(1)
    pcall(function() service:child("tree").job:close(0) end)
    uvjobs.sleep(30)
    assert.equal(1, most)
    assert.equal(1, live)
    assert.equal("x running", supervised.states(tree))
  end))

  it("forgets children without a name when it runs again", virtual(function()
    -- ergo-services/ergo, version 3.1: children of a template were left over after a stop.
    local service <close> = supervised.new { backoff = 1 }
    local tree = service:start { name = "tree", supervisor = { intensity = 0 } }
    for _ = 1, 10 do tree:start { restart = "transient", forever } end
    tree:start { name = "x", script(1, "stay") }
    assert.equal(11, #tree)
    uvjobs.sleep(10)
    assert.equal(1, #tree)
    assert.same({ specs = 1, active = 1, supervisors = 0, workers = 1 }, tree:count_children())
  end))

  it("is stopped in its supervisor when it is closed #S8 #S10", virtual(function()
    local service <close> = supervised.new()
    local tree = service:start { name = "tree", supervisor = {} }
    tree:start { name = "x", forever }
    tree:close()
    uvjobs.sleep(10)
    assert.equal("tree stopped", supervised.states(service))
    helper.raises("closed", tree.start, tree, { name = "y", forever })
    service:restart "tree"
    assert.equal("x running", supervised.states(tree))
  end))
end)
