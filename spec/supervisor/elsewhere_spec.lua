-- What other supervisors got wrong, as their issues tell it, and what becomes slow when there are
-- many children. What is not here is where the rule is: see #S5, #S6 and #S7.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local supervised = require "spec.supervisor.helper"

local virtual, forever = supervised.virtual, supervised.forever

local failing = supervised.failing

describe("A child", function()
  it("that fails by a deadline of its own has crashed, and was not shut down #S3",
    virtual(function()
      -- thejerf/suture#77: the error of a context of one's own was taken for the shutdown.
      local service <close> = supervised.new()
      local child = service:start { name = "x", restart = "transient", function()
        uvjobs.timeout(1, forever)
      end }
      uvjobs.sleep(3.5)
      assert.equal(3, child.restarts)
      assert.equal("timeout", uvjobs.code(child.last_error))
    end))

  it("that is killed for it has ended before the next run of it begins #S7", virtual(function()
    local service <close> = supervised.new { close_timeout = 1 }
    local alive, most = 0, 0
    local child = service:start { name = "x", function()
      alive = alive + 1
      most = math.max(most, alive)
      local _ <close> = helper.closing(function() alive = alive - 1 end)
      while true do pcall(uvjobs.sleep, 1) end
    end }
    uvjobs.yield()
    local before = child.job
    service:restart "x"
    assert.equal("killed", before.state)
    assert.equal(1.0, uvjobs.now())
    assert.same({ 1, 1 }, { alive, most })
  end))

  it("without a name leaves nothing in a supervisor that was stopped #S8", virtual(function()
    -- ergo-services/ergo#213: children of templates went on after the stop.
    local service = supervised.new()
    local inner = service:start { name = "inner", supervisor = {} }
    local jobs = {}
    for i = 1, 5 do jobs[i] = inner:start { forever } end
    uvjobs.yield()
    for i, child in ipairs(jobs) do jobs[i] = child.job end
    service:stop "inner"
    for _, job in ipairs(jobs) do assert.equal("cancelled", job.state) end
    assert.equal(0, inner:count_children().active)
    service:close()
  end))
end)

describe("The intensity", function()
  it("counts fractions of a second #S5", virtual(function()
    -- ergo 3.0 counted whole seconds.
    local service = supervised.new { intensity = 3, period = 0.03 }
    local child = service:start { name = "x", failing(0.009) }
    helper.raises("intensity", service.wait, service)
    assert.equal(4, child.restarts)
    local other <close> = supervised.new { intensity = 3, period = 0.03 }
    child = other:start { name = "x", failing(0.011) }
    assert.is_nil((other:wait(1)))
    assert.equal(90, child.restarts)
  end))

  it("tells whether a child has returned or has failed with nil #S5 #S11", virtual(function()
    local heard = {}
    local function error_of(body)
      local service = supervised.new({ intensity = 0 }, heard)
      service:start { name = "x", body }
      return helper.raises("intensity", service.wait, service)
    end
    assert.truthy(error_of(helper.ignore).message:find "child 'x': it has returned$")
    assert.equal("done", heard[#heard].restarts[1].state)
    assert.truthy(error_of(function() error() end).message:find "child 'x': nil$")
    assert.equal("failed", heard[#heard].restarts[1].state)
  end))
end)

describe("A supervisor with many children", function()
  it("ends when the last of the significant ones does, in whatever order they end #S13",
    virtual(function()
      for seed = 1, 10 do
        math.randomseed(seed)
        local service = supervised.new { auto_shutdown = "all" }
        local last = 0
        for i = 1, 50 do
          local seconds = math.random(1000)
          last = math.max(last, seconds)
          service:start { name = "c" .. i, restart = i % 2 == 0 and "temporary" or "transient",
            significant = true, function() uvjobs.sleep(seconds) end }
        end
        service:start { name = "other", forever }
        local start = uvjobs.now()
        assert.is_true(service:wait())
        assert.equal(start + last, uvjobs.now())
      end
    end))

  it("knows which of those that start is being closed, whoever is ready before #S5",
    virtual(function()
      local service = supervised.new { intensity = 3, period = 4 }
      for i = 1, 5 do
        service:start { name = "c" .. i, ready = true, start_timeout = 1 + i % 2, function(child)
          child:ready()
          forever()
        end }
      end
      service:start { name = "a", failing(3) }
      local jobs <close> = helper.quiet()
      jobs:spawn(service.start, service, {
        name = "db", ready = true, start_timeout = 1, close_timeout = 100, keep_trying = true,
        function()
          local _ <close> = helper.closing(function() uvjobs.protect(uvjobs.sleep, 100) end)
          forever()
        end,
      })
      helper.raises("intensity", service.wait, service)
      assert.equal(12.0 + 89, uvjobs.now()) -- the fourth crash; then db has until 101 s to end
    end))

  it("restarts thousands that have to become ready within a time #S6", virtual(function()
    local N <const> = 3000
    local service <close> = supervised.new { backoff = 1, start_timeout = 5 }
    local was_ready = {}
    for i = 1, N do
      service:start { name = "c" .. i, ready = true, function(child)
        if not was_ready[i] then
          was_ready[i] = true
          child:ready()
          uvjobs.sleep(10 - uvjobs.now())
        else
          uvjobs.sleep(2)
        end
        error "crash"
      end }
    end
    uvjobs.sleep(20)
    for child in service:children() do assert.equal(4, child.restarts) end
  end))
end)
