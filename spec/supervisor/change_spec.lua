-- Changing and asking a supervisor while it runs.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local supervised = require "spec.supervisor.helper"

local worker, failing, script = supervised.worker, supervised.failing, supervised.script
local virtual, forever = supervised.virtual, supervised.forever

describe("A child", function()
  it("stays stopped until it is restarted by name", virtual(function()
    local log, service <close> = supervised.log(), supervised.new { strategy = "one_for_all" }
    service:start { name = "a", worker(log, script(5, "stay")) }
    service:start { name = "b", worker(log) }
    uvjobs.sleep(1)
    service:stop "b"
    assert.equal("a running, b stopped", supervised.states(service))
    service:stop "b"
    uvjobs.sleep(9)
    assert.equal("a running, b stopped", supervised.states(service))
    service:restart "b"
    uvjobs.yield()
    assert.same({
      "0 start a", "0 start b", "1 end b", "5 end a", "5 start a", "10 start b",
    }, log)
  end))

  it("is restarted by name, which counts as no restart", virtual(function()
    local log, service <close> = supervised.log(), supervised.new { intensity = 0 }
    local child = service:start { name = "a", ready = true, worker(log, function(child)
      uvjobs.sleep(1)
      child:ready()
      forever()
    end) }
    local first = child.job
    service:restart "a"
    assert.same({ "0 start a", "1 end a", "1 start a" }, log)
    assert.equal(2.0, uvjobs.now())
    assert.equal("running", child.state)
    assert.not_equal(first, child.job)
    assert.equal(0, child.restarts)
  end))

  it("skips its back-off when it is restarted by name #S6", virtual(function()
    local service <close> = supervised.new { backoff = 100 }
    local child = service:start { name = "a", script(1, "stay") }
    uvjobs.sleep(2)
    assert.equal("waiting", child.state)
    service:restart "a"
    assert.equal("running", child.state)
    assert.equal(2.0, uvjobs.now())
    assert.is_nil(child.next_start)
  end))

  it("can be stopped while it waits, and in a round", virtual(function()
    local log = supervised.log()
    local service <close> = supervised.new { strategy = "one_for_all", backoff = 5 }
    service:start { name = "a", worker(log) }
    service:start { name = "b", worker(log, script(1, "stay")) }
    service:start { name = "c", worker(log) }
    uvjobs.sleep(2)
    service:stop "a" -- the first of the round, which waits out the back-off
    service:stop "c"
    uvjobs.sleep(10)
    assert.same({ "6 start b" }, { table.unpack(log, 7) })
    assert.equal("a stopped, b running, c stopped", supervised.states(service))
  end))

  it("is gone when it is deleted, and its name is free", virtual(function()
    local service <close> = supervised.new()
    local old = service:start { name = "a", forever }
    uvjobs.yield()
    service:delete "a"
    assert.equal("deleted", old.state)
    assert.equal(0, #service)
    assert.is_nil(service:child "a")
    assert.not_equal(old, service:start { name = "a", forever })
    assert.same({ nil, "closed" }, { old:wait_ready() })
    helper.raises("closed", service.restart, service, old)
  end))

  it("without a name is removed when it has ended for good", virtual(function()
    local service <close> = supervised.new { backoff = 1 }
    local got = {}
    for i = 1, 1000 do
      service:start { restart = "temporary", function(_, n) got[#got + 1] = n end, i }
    end
    local kept = service:start { restart = "permanent", failing(1) }
    uvjobs.sleep(1.5)
    assert.equal(1000, #got)
    assert.equal(1, #service)
    assert.equal("waiting", kept.state)
    service:stop(kept)
    assert.equal(0, #service)
  end))

  it("gets the arguments behind its function, in each run", virtual(function()
    local got = {}
    local service <close> = supervised.new()
    service:start { name = "a", function(...)
      got[#got + 1] = table.pack(...)
      if #got == 1 then error "crash" end
      forever()
    end, nil, 7, n = 4 }
    uvjobs.yield()
    uvjobs.yield()
    assert.equal(2, #got)
    assert.equal(4, got[2].n)
    assert.is_nil(got[2][2])
    assert.equal(7, got[2][3])
  end))

  it("has the context of start, in each run", virtual(function()
    local got = {}
    local service <close> = supervised.new()
    uvjobs.context.who = "owner"
    service:start { name = "a", ready = true, function(child)
      got[#got + 1] = uvjobs.context.who
      uvjobs.context.who = "a"
      child:ready()
      if #got == 1 then error "crash" end
      forever()
    end }
    uvjobs.context.who = nil
    service:start { name = "b", function() got[#got + 1] = tostring(uvjobs.context.who) end,
      restart = "temporary" }
    uvjobs.sleep(1)
    table.sort(got)
    assert.same({ "nil", "owner", "owner" }, got)
  end))

  it("is asked for by its name, over its runs #S9", virtual(function()
    local runs = 0
    local service <close> = supervised.new { backoff = 2 }
    local db = service:start { name = "db", ready = true, function(child)
      runs = runs + 1
      uvjobs.sleep(1)
      child:ready("pool " .. runs)
      if runs == 1 then
        uvjobs.sleep(1)
        error "crash"
      end
      forever()
    end }
    assert.equal("pool 1", service:get "db")
    assert.equal("pool 1", db:wait_ready())
    uvjobs.sleep(1.5)
    assert.is_nil(service:get "db")
    assert.same({ nil, "timeout" }, { db:wait_ready(1) })
    assert.equal(3.5, uvjobs.now())
    assert.equal("pool 2", db:wait_ready())
    assert.equal(5.0, uvjobs.now())
    assert.equal("pool 2", service:get(db))
  end))

  it("is ready as soon as it runs without the option ready #S9", virtual(function()
    local service <close> = supervised.new { backoff = 2 }
    local child = service:start { name = "a", script(1, "stay") }
    assert.is_true(child:wait_ready())
    uvjobs.sleep(1.5)
    assert.is_true(child:wait_ready())
    assert.equal(3.0, uvjobs.now())
  end))

  it("may become ready by another job", virtual(function()
    local service <close> = supervised.new()
    service:start { name = "a", ready = true, start_timeout = 5, function(child)
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(function()
        uvjobs.sleep(1)
        child:ready "yes"
      end)
      forever()
    end }
    uvjobs.sleep(100)
    assert.equal("yes", service:get "a")
  end))

  it("that leaves start early is taken away #M6", virtual(function()
    local log, service <close> = supervised.log(), supervised.new()
    helper.raises("timeout", uvjobs.timeout, 1, service.start, service,
      { name = "a", ready = true, worker(log) })
    uvjobs.yield()
    assert.same({ "0 start a", "1 end a" }, log)
    assert.equal(0, #service)
    service:start { name = "a", worker(log) }
  end))

  it("may close its supervisor: it waits for the others, and is cancelled then",
    virtual(function()
      local log, service = supervised.log(), supervised.new()
      local code
      service:start { name = "a", worker(log) }
      service:start { name = "b", worker(log, function()
        uvjobs.sleep(1)
        code = helper.outcome(service.close, service)
      end) }
      service:start { name = "c", worker(log) }
      service:wait()
      assert.equal("cancelled", code)
      assert.same({ "1 end c", "1 end a", "1 end b" }, { table.unpack(log, 4) })
    end))

  it("may close the supervisor of its supervisor", virtual(function()
    local log, service = supervised.log(), supervised.new()
    service:start { name = "a", worker(log) }
    local tree = service:start { name = "tree", supervisor = {} }
    tree:start { name = "b", worker(log, function()
      uvjobs.sleep(1)
      service:close()
    end) }
    service:wait()
    assert.same({ "1 end a", "1 end b" }, { table.unpack(log, 3) })
  end))

  it("is not collected while it runs, nor is its supervisor", virtual(function()
    local ticks = 0
    do
      local service = supervised.new()
      service:start { function()
        while true do
          uvjobs.sleep(1)
          ticks = ticks + 1
          if ticks % 10 == 0 then error "crash" end
        end
      end }
    end
    collectgarbage()
    uvjobs.sleep(100.5)
    collectgarbage()
    assert.equal(100, ticks)
  end))
end)

describe("A child with a busy_limit", function()
  it("is ended when it holds the loop longer, and counts as crashed", function()
    uvjobs.run(function()
      local heard = {}
      local service <close> = supervised.new({ backoff = 100, close_timeout = 0.02 }, heard)
      local child = service:start { name = "a", busy_limit = 0.02, restart = "transient",
        function()
          uvjobs.yield()
          helper.forever()
        end }
      while child.restarts == 0 do uvjobs.sleep(0.001) end
      assert.equal("Child restarted", heard[1].message)
      assert.equal("child 'a' held the loop for longer than its busy_limit of 0.02 s",
        child.last_error)
    end)
  end)

  it("is killed when it goes on all the same #M8", function()
    uvjobs.run(function()
      local service <close> = supervised.new({ backoff = 100, close_timeout = 0.02 })
      local child = service:start { name = "a", busy_limit = 0.01, function()
        while true do pcall(helper.forever) end
      end }
      while child.restarts == 0 do uvjobs.sleep(0.001) end
      assert.equal("killed", child.history[1].state)
    end)
  end)

  it("is left alone when it suspends in time", function()
    uvjobs.run(function()
      local service <close> = supervised.new { busy_limit = 30 }
      local child = service:start { name = "a", function()
        while true do
          helper.burn(0.01)
          uvjobs.yield()
        end
      end }
      uvjobs.sleep(0.1)
      assert.equal(0, child.restarts)
    end)
  end)

  it("is ended under the virtual clock, too, when it computes for a second #M16",
    virtual(function()
      local service <close> = supervised.new { backoff = 100 }
      local child = service:start { name = "a", busy_limit = 5, helper.forever }
      uvjobs.sleep(50)
      assert.equal(1, child.restarts)
      assert.equal(105.0, child.next_start)
    end))
end)

describe("A supervisor", function()
  it("can be asked for its children", virtual(function()
    local service <close> = supervised.new { name = "svc" }
    service:start { name = "a", forever }
    service:start { name = "b", restart = "transient", helper.ignore }
    local tree = service:start { name = "t", supervisor = {} }
    uvjobs.yield()
    assert.equal("a running, b ended, t running", supervised.states(service))
    assert.equal(3, #service)
    assert.same({ specs = 3, active = 2, supervisors = 1, workers = 2 }, service:count_children())
    assert.equal('uvjobs.Supervisor: "svc" 3 children', tostring(service))
    assert.equal('uvjobs.Child: "a" running', tostring(service:child "a"))
    assert.equal(service, service:child("a").supervisor)
    assert.equal("t", tree.name)
    for child in service:children() do service:delete(child) end
    assert.equal(0, #service)
  end))

  it("may be closed more than once, and by several jobs", virtual(function()
    local service <close> = supervised.new { close_timeout = 10 }
    service:start { function()
      local _ <close> = helper.closing(function() uvjobs.protect(uvjobs.sleep, 3) end)
      forever()
    end }
    uvjobs.yield()
    local function close()
      service:close()
      return uvjobs.now()
    end
    assert.same({ 3.0, 3.0, n = 2 }, uvjobs.all { close, close })
    service:close()
    assert.is_true(service:wait())
    assert.equal("uvjobs.Supervisor: 1 child, closed", tostring(service))
  end))

  it("is waited for with a time limit", virtual(function()
    local service <close> = supervised.new()
    assert.same({ nil, "timeout" }, { service:wait(3) })
    assert.equal(3.0, uvjobs.now())
  end))

  it("keeps thousands of children, in order, through gaps", virtual(function()
    local service, ended = supervised.new(), 0
    local last = math.huge
    for i = 1, 10000 do
      service:start { name = "c" .. i, function()
        local _ <close> = helper.closing(function()
          assert(i < last)
          last, ended = i, ended + 1
        end)
        forever()
      end }
    end
    uvjobs.yield()
    for i = 1, 10000, 3 do service:delete("c" .. i) last = math.huge end
    service:start { name = "z", forever }
    assert.equal(6667, #service)
    service:close()
    assert.equal(10000, ended)
  end))

  it("needs at most 512 bytes for a child above its job #S15", virtual(function()
    local N <const> = 5000
    local jobs, service = helper.quiet { limit = math.huge }, supervised.new()
    local never = uvjobs.event()
    local function wait() never:wait() end
    local before = helper.kilobytes()
    for i = 1, N do jobs:spawn({ name = "plain-" .. i }, wait) end
    uvjobs.yield()
    local plain = helper.kilobytes() - before
    before = helper.kilobytes()
    for i = 1, N do service:start { name = "child-" .. i, restart = "transient", wait } end
    uvjobs.yield()
    local with_service = helper.kilobytes() - before
    assert.is_true((with_service - plain) * 1024 / N <= 512)
    service:close()
    jobs:close()
  end))

  it("closes children that have not run yet", virtual(function()
    local service = supervised.new()
    for _ = 1, 10000 do service:start { forever } end
    service:close()
    assert.equal(0.0, uvjobs.now())
    assert.equal(0, service:count_children().active)
  end))

  it("restarts a child that is cancelled before it has run #S3", virtual(function()
    local runs = 0
    local service <close> = supervised.new()
    local first = service:start { name = "a", forever }
    uvjobs.yield()
    local second = service:start { name = "b", function()
      runs = runs + 1
      forever()
    end }
    assert.is_nil(second.job)
    for job in first.job.scheduler:jobs() do
      if job ~= first.job then job:cancel() end
    end
    uvjobs.yield()
    assert.equal(1, runs)
    assert.equal(1, second.restarts)
  end))
end)
