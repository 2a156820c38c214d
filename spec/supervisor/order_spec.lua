-- In which order children start and stop.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local supervised = require "spec.supervisor.helper"

local worker = supervised.worker
local virtual = supervised.virtual

describe("The order of children", function()
  it("is that of start, and the reverse when they stop #S1 #S2", virtual(function()
    local log, service = supervised.log(), supervised.new()
    for _, name in ipairs { "a", "b", "c" } do service:start { name = name, worker(log) } end
    uvjobs.yield()
    service:close()
    assert.same({ "0 start a", "0 start b", "0 start c", "0 end c", "0 end b", "0 end a" }, log)
  end))

  it("waits for a child that has to become ready #S1", virtual(function()
    local log, service <close> = supervised.log(), supervised.new()
    local db = service:start { name = "db", ready = true, worker(log, function(child)
      uvjobs.sleep(2)
      child:ready "pool"
      uvjobs.sleep(1e6)
    end) }
    assert.equal(2.0, uvjobs.now())
    assert.equal("pool", service:get "db")
    assert.equal(db, service:child "db")
    service:start { name = "web", worker(log) }
    uvjobs.yield()
    assert.same({ "0 start db", "2 start web" }, log)
  end))

  it("holds when several jobs start children at once #S1", virtual(function()
    local log, service <close> = supervised.log(), supervised.new()
    uvjobs.all {
      function()
        service:start { name = "a", ready = true, worker(log, function(child)
          uvjobs.sleep(1)
          child:ready()
          uvjobs.sleep(1e6)
        end) }
      end,
      function() service:start { name = "b", worker(log) } end,
    }
    uvjobs.yield()
    assert.same({ "0 start a", "1 start b" }, log)
  end))

  it("closes a child only when the one behind it has ended #S2", virtual(function()
    local log, service = supervised.log(), supervised.new { close_timeout = 10 }
    for _, name in ipairs { "a", "b" } do
      service:start { name = name, function()
        local _ <close> = helper.closing(function()
          uvjobs.protect(uvjobs.sleep, 3)
          log.add("end", name)
        end)
        uvjobs.sleep(1e6)
      end }
    end
    uvjobs.yield()
    service:close()
    assert.same({ "3 end b", "6 end a" }, log)
  end))

  it("gives each child its close_timeout, and then ends it #S2 #M8", virtual(function()
    local heard = {}
    local service = supervised.new({ close_timeout = 1 }, heard)
    for i = 1, 3 do
      service:start { name = "s" .. i, close_timeout = i == 2 and 0.5 or nil, helper.stubborn }
    end
    uvjobs.yield()
    service:close()
    assert.equal(2.5, uvjobs.now())
    assert.equal(3, #heard)
    assert.equal("Job closing timed out", heard[1].message)
    assert.equal("s3", heard[1].child.name)
  end))

  it("ends busy children in time, too #S2 #M8", function()
    uvjobs.run(function()
      local service = supervised.new { close_timeout = 0.02 }
      for i = 1, 3 do
        service:start { name = "busy" .. i, function()
          pcall(uvjobs.sleep, 60)
          while true do pcall(helper.forever) end
        end }
      end
      uvjobs.yield()
      service:close()
      assert.equal("busy1 ended, busy2 ended, busy3 ended", supervised.states(service))
    end)
  end)

  it("is kept by the end of a block #S2", virtual(function()
    local log = supervised.log()
    do
      local service <close> = supervised.new()
      service:start { name = "a", worker(log) }
      service:start { name = "b", worker(log) }
      uvjobs.yield()
    end
    assert.same({ "0 start a", "0 start b", "0 end b", "0 end a" }, log)
  end))

  it("gives children three quarters of the time that their closer has left #M8", virtual(function()
    local heard, ends = {}, supervised.log()
    local jobs = uvjobs.scheduler { close_timeout = 1 }
    local job = jobs:spawn(function()
      local service <close> = supervised.new({ close_timeout = 100 }, heard)
      for _ = 1, 3 do service:start { helper.stubborn } end
      local _ <close> = helper.closing(function() ends.add "block" end)
      service:wait()
    end)
    uvjobs.yield()
    uvjobs.yield()
    jobs:close()
    assert.equal("cancelled", job.state)
    assert.is_true(uvjobs.now() < 1)
    assert.equal(3, #heard)
  end))
end)

describe("The first start of a child", function()
  local function not_ready(message)
    return function()
      uvjobs.sleep(1)
      error(message, 0)
    end
  end

  it("ends those before it when it fails, in reverse, and start raises its error #S12",
    virtual(function()
      local log, service = supervised.log(), supervised.new()
      service:start { name = "a", worker(log) }
      service:start { name = "b", worker(log) }
      local err = { status = 500 }
      local ok, got = pcall(service.start, service,
        { name = "c", ready = true, worker(log, function() error(err) end) })
      assert.is_false(ok)
      assert.equal(err, got)
      assert.same({ "0 start a", "0 start b", "0 start c", "0 end c", "0 end b", "0 end a" }, log)
      assert.is_true(service.closed)
      assert.equal(err, select(2, pcall(service.wait, service)))
    end))

  it("ends nothing else once somebody waits for the service #S12", virtual(function()
    local service <close> = supervised.new()
    service:start { name = "a", function() uvjobs.sleep(1e6) end }
    service:wait(0)
    assert.equal("no", helper.message(service.start, service,
      { name = "b", ready = true, not_ready "no" }))
    assert.equal("a running", supervised.states(service))
    service:start { name = "b", function() uvjobs.sleep(1e6) end }
    assert.equal("a running, b running", supervised.states(service))
  end))

  it("ends the whole tree, also in a supervisor in it #S12", virtual(function()
    local log, service = supervised.log(), supervised.new()
    service:start { name = "a", worker(log) }
    local tree = service:start { name = "tree", supervisor = {} }
    tree:start { name = "b", worker(log) }
    assert.equal("no", helper.message(tree.start, tree,
      { name = "c", ready = true, not_ready "no" }))
    assert.same({ "0 start a", "0 start b", "1 end b", "1 end a" }, log)
    assert.is_true(service.closed)
  end))

  it("is tried again with keep_trying #S12 #S6", virtual(function()
    local log, tries = supervised.log(), 0
    local service <close> = supervised.new {
      backoff = { base = 1, factor = 2, jitter = 0 }, keep_trying = true,
    }
    service:start { name = "db", ready = true, function(child)
      tries = tries + 1
      log.add("try", tries)
      if tries < 4 then error("refused", 0) end
      child:ready(tries)
      uvjobs.sleep(1e6)
    end }
    assert.same({ "0 try 1", "1 try 2", "3 try 3", "7 try 4" }, log)
    assert.equal(4, service:get "db")
  end))

  it("holds up those behind it while it is tried again #S1 #S12", virtual(function()
    local log, tries = supervised.log(), 0
    local service <close> = supervised.new { backoff = 1, keep_trying = true }
    uvjobs.all {
      function()
        service:start { name = "db", ready = true, function(child)
          tries = tries + 1
          if tries < 3 then error("refused", 0) end
          child:ready()
          uvjobs.sleep(1e6)
        end }
      end,
      function() service:start { name = "web", worker(log) } end,
    }
    uvjobs.yield()
    assert.same({ "2 start web" }, log)
  end))

  it("counts as failed after start_timeout #S1", virtual(function()
    local service = supervised.new()
    local err = helper.raises("timeout", service.start, service, {
      name = "db", ready = true, start_timeout = 3, function() uvjobs.sleep(1e6) end,
    })
    assert.equal("db", err.job.name)
    assert.equal(3.0, uvjobs.now())
  end))

  it("counts as failed after start_timeout although it holds the loop #S1", function()
    uvjobs.run(function()
      local service = supervised.new { close_timeout = 0.02 }
      helper.raises("timeout", service.start, service, {
        name = "db", ready = true, start_timeout = 0.02, function()
          while true do pcall(helper.forever) end
        end,
      })
    end)
  end)

  it("has failed when its function returns before it is ready", virtual(function()
    local service = supervised.new()
    assert.equal("child 'db' ended before it was ready", helper.message(service.start, service,
      { name = "db", ready = true, helper.ignore }))
  end))

  it("does not count as late when it is ready in time #S1", virtual(function()
    local service <close> = supervised.new()
    local child = service:start { name = "db", ready = true, start_timeout = 3, function(child)
      uvjobs.sleep(2)
      child:ready()
      uvjobs.sleep(1e6)
    end }
    uvjobs.sleep(100)
    assert.equal("running", child.state)
    assert.equal(0, child.restarts)
  end))
end)
