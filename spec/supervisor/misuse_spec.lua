-- Bad input, and interruptions at every place.
local uvjobs = require "uvjobs"
local testing = require "uvjobs.testing"
local helper = require "spec.helper"
local supervised = require "spec.supervisor.helper"

local virtual, forever = supervised.virtual, supervised.forever

describe("uvjobs.supervisor", function()
  local cases = {
    { 5, "bad argument #1 to 'supervisor' (table expected, got number)" },
    { { strategy = "one_for_al" }, "bad argument #1 to 'supervisor' (option 'strategy': "
      .. "'one_for_one', 'one_for_all' or 'rest_for_one' expected, got 'one_for_al', "
      .. "did you mean 'one_for_all'?)" },
    { { strategy = 1 }, "bad argument #1 to 'supervisor' (option 'strategy': "
      .. "'one_for_one', 'one_for_all' or 'rest_for_one' expected, got 1)" },
    { { intensity = -1 }, "bad argument #1 to 'supervisor' (option 'intensity': "
      .. "integer >= 0 or math.huge expected, got -1)" },
    { { intensity = 1.5 }, "bad argument #1 to 'supervisor' (option 'intensity': "
      .. "integer >= 0 or math.huge expected, got 1.5)" },
    { { intensity = 0 / 0 }, "bad argument #1 to 'supervisor' (option 'intensity': "
      .. "integer >= 0 or math.huge expected, got nan)" },
    { { period = 0 }, "bad argument #1 to 'supervisor' (option 'period': "
      .. "seconds > 0 expected, got 0)" },
    { { period = -1 }, "bad argument #1 to 'supervisor' (option 'period': "
      .. "seconds > 0 expected, got -1)" },
    { { intensty = 1 }, "bad argument #1 to 'supervisor' (unknown option 'intensty', "
      .. "did you mean 'intensity'?)" },
    { { backoff = { factr = 1 } }, "bad argument #1 to 'supervisor' (option 'backoff': "
      .. "unknown option 'factr', did you mean 'factor'?)" },
    { { busy_limit = 0 }, "bad argument #1 to 'supervisor' (option 'busy_limit': "
      .. "seconds > 0 or math.huge expected, got 0)" },
    { { auto_shutdown = "al" }, "bad argument #1 to 'supervisor' (option 'auto_shutdown': "
      .. "'never', 'any' or 'all' expected, got 'al', did you mean 'all'?)" },
  }
  for i, case in ipairs(cases) do
    it("refuses options, number " .. i, function()
      assert.equal(case[2], helper.message(uvjobs.supervisor, case[1]))
    end)
  end
end)

describe("start", function()
  local auto = { auto_shutdown = "any" }
  local cases = {
    { nil, 5, "table expected, got number" },
    { nil, {}, "function expected as element 1, got nil" },
    { nil, { "x" }, "function expected as element 1, got string" },
    { nil, { forever, name = 5 }, "option 'name': string expected, got 5" },
    { nil, { forever, name = "taken" }, "option 'name': there is a child 'taken' already" },
    { nil, { forever, restart = "transent" }, "option 'restart': 'permanent', 'transient' or "
      .. "'temporary' expected, got 'transent', did you mean 'transient'?" },
    { nil, { forever, redy = true }, "unknown option 'redy', did you mean 'ready'?" },
    { nil, { forever, on = 1 },
      "option 'on': children on worker threads are not part of this version" },
    { nil, { forever, supervisor = {}, name = "t" },
      "options 'supervisor' and a function: a child is one of them" },
    { nil, { supervisor = {} }, "option 'supervisor': such a child has a name" },
    { nil, { supervisor = {}, name = "t", ready = true },
      "option 'ready': a supervisor is ready when its children are" },
    { nil, { supervisor = { strateg = 1 }, name = "t" },
      "option 'supervisor': unknown option 'strateg', did you mean 'strategy'?" },
    { nil, { supervisor = supervised.new(), name = "t" },
      "option 'supervisor': table expected, got uvjobs.Supervisor" },
    { auto, { forever, significant = true },
      "option 'significant': the child is permanent, so it never ends by itself" },
    { nil, { forever, restart = "transient", significant = true },
      "option 'significant': the supervisor has no 'auto_shutdown'" },
    { nil, { forever, start_timeout = -1 },
      "option 'start_timeout': seconds >= 0 or math.huge expected, got -1" },
  }
  for i, case in ipairs(cases) do
    it("refuses a child, number " .. i, virtual(function()
      local service <close> = supervised.new(case[1])
      service:start { name = "taken", forever }
      assert.equal("bad argument #1 to 'start' (" .. case[3] .. ")",
        helper.message(service.start, service, case[2]))
      assert.equal(1, #service)
    end))
  end
end)

describe("Supervisors and children", function()
  it("refuse wrong values and places", virtual(function()
    local service, other = supervised.new(), supervised.new()
    local child = service:start { name = "web", ready = true, function(child)
      child:ready()
      assert.equal("child 'web' is ready already", helper.message(child.ready, child))
      assert.equal("a child cannot stop itself", helper.message(service.stop, service, "web"))
      assert.equal("a child cannot restart itself",
        helper.message(service.restart, service, "web"))
      assert.equal("a child cannot delete itself", helper.message(service.delete, service, "web"))
      assert.equal("a child cannot wait for its own supervisor",
        helper.message(service.wait, service))
      forever()
    end }
    local plain = service:start { name = "plain", forever }
    uvjobs.yield()
    local said = {
      { service.stop, service, "wbe", "there is no child 'wbe', did you mean 'web'?" },
      { service.stop, service, nil, "string or uvjobs.Child expected, got nil" },
      { service.restart, other, "web", "there is no child 'web'" },
      { service.get, other, child, "child 'web' belongs to another supervisor" },
      { service.child, service, 1, "string expected, got number" },
      { service.wait, service, -1, "seconds must be >= 0, got -1" },
    }
    for _, case in ipairs(said) do
      local message = helper.message(case[1], case[2], case[3])
      assert.equal(case[4], message:match "%((.*)%)")
    end
    assert.equal("child 'plain' has no option 'ready'", helper.message(plain.ready, plain))
    assert.equal("bad self to 'start' (uvjobs.Supervisor expected, got nil)",
      helper.message(service.start))
    assert.equal("bad self to 'ready' (uvjobs.Child expected, got table)",
      helper.message(child.ready, {}))
    assert.equal("unknown property 'stat' of a uvjobs.Child, did you mean 'state'?",
      helper.message(function() return child.stat end))
    assert.equal("cannot set 'name' of a uvjobs.Child (read only)",
      helper.message(function() child.name = "x" end))
    assert.equal("unknown property 'strat' of a uvjobs.Supervisor, did you mean 'start'?",
      helper.message(function() return service.strat end))
    assert.equal("cannot set 'name' of a uvjobs.Supervisor (read only)",
      helper.message(function() service.name = "x" end))
    service:close()
    other:close()
    assert.equal("child 'plain' does not run", helper.message(child.ready, child)
      :gsub("'web'", "'plain'"))
    helper.raises("closed", service.start, service, { forever })
    helper.raises("closed", service.restart, service, "web")
  end))

  it("say what became of a child for whose start somebody waits", virtual(function()
    local service <close> = supervised.new()
    local child = service:start { name = "x", function()
      local _ <close> = helper.closing(function() uvjobs.protect(uvjobs.sleep, 1) end)
      forever()
    end }
    local jobs <close> = helper.quiet()
    for _, change in ipairs { "stop", "delete" } do
      uvjobs.yield()
      local waiting = jobs:spawn(service.restart, service, "x")
      jobs:spawn(service[change], service, "x")
      local err = helper.raises("closed", waiting.wait, waiting)
      assert.equal(("child 'x' was %s meanwhile"):format(child.state), err.message)
      if change == "stop" then service:restart "x" end
    end
    assert.equal("deleted", child.state)
  end))

  it("can be used outside of a run only where they need not suspend", function()
    local service = supervised.new()
    assert.equal("'start' must be called in a job: use uvjobs.run",
      helper.message(service.start, service, { forever }))
    assert.equal(0, #service)
  end)

  it("do what a job that is to end is told #M5", virtual(function()
    local service <close> = supervised.new()
    service:start { name = "a", forever }
    local jobs <close> = uvjobs.scheduler()
    jobs:spawn(function()
      uvjobs.current():cancel()
      for _, call in ipairs { "start", "stop", "restart", "delete", "wait", "close" } do
        local argument = call == "start" and { forever } or call ~= "wait" and "a" or nil
        helper.raises("cancelled", service[call], service, argument)
      end
      helper.raises("cancelled", service:child("a").wait_ready, service:child "a")
    end):join()
    assert.equal("a running", supervised.states(service))
  end))
end)

describe("A service", function()
  -- What a service does in its life, with a suspension in each of its ways.
  local function life()
    local service <close> = supervised.new {
      strategy = "rest_for_one", backoff = 0.5, close_timeout = 3, keep_trying = true,
    }
    local runs = 0
    service:start { name = "db", ready = true, start_timeout = 5, function(child)
      runs = runs + 1
      uvjobs.sleep(0.1)
      child:ready(runs)
      if runs < 3 then
        uvjobs.sleep(1)
        error "crash"
      end
      forever()
    end }
    local tree = service:start { name = "tree", supervisor = {} }
    tree:start { name = "x", function()
      local _ <close> = helper.closing(function() uvjobs.protect(uvjobs.sleep, 0.2) end)
      forever()
    end }
    service:start { name = "web", forever }
    service:wait(4)
    service:restart "web"
    service:stop "web"
    tree:stop "x"
    service:delete "tree"
    service:child("db"):wait_ready()
  end

  it("leaves nothing behind wherever its job is cancelled #M5 #S8", function()
    testing.cancel_everywhere({ close_timeout = 60 }, life)
  end)

  it("leaves nothing behind wherever its job is killed #M8 #S8", function()
    testing.cancel_everywhere({ by = "kill", close_timeout = 60 }, life)
  end)
end)
