-- The client goes away in the middle of a handler.
local web = require "spec.http.helper"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local http = require "uvjobs.http"
local cqueues = require "cqueues"

local respond = web.respond

-- A handler that waits for `go`, and what the specs know of it.
local function slow_world(wrap)
  local world = { started = 0, log = helper.log(), go = uvjobs.event() }
  local function handler(_, stream)
    assert(stream:get_headers())
    local _ <close> = helper.closing(function(_, err)
      world.log:add(uvjobs.code(err) or tostring(err))
    end)
    world.started = world.started + 1
    world.job = uvjobs.current()
    if world.before then world.before(stream) end
    world.go:wait()
    respond(stream, "200", "hello")
  end
  world.handler = wrap and wrap(handler) or handler
  return world
end

-- A client that connects, sends a request, and closes the connection when the handler runs.
local function ask_and_leave(site, world, leave)
  local socket = web.connect(site)
  local n = world.started
  web.send(socket, web.get "/")
  web.wait_until(function() return world.started > n end, "the handler")
  if leave then leave(socket) end
  socket:close()
end

local function first_of(list)
  return function() return list[1] end
end

-- Waits until a server has had time to notice that its client has left: until another one has
-- noticed a client that left later.
local function wait_until_noticed()
  local world = slow_world()
  web.with_server(world.handler, nil, function(site)
    ask_and_leave(site, world)
    web.wait_until(first_of(world.log), "the cancellation")
  end)
end

describe("a handler whose client goes away", function()
  after_each(web.check_clean)

  it("is cancelled, and nothing is reported", function()
    local world = slow_world()
    local site = web.serve(world.handler, nil, function(site)
      ask_and_leave(site, world)
      assert.equal("cancelled", web.wait_until(first_of(world.log), "the cancellation"))
    end)
    assert.equal("cancelled", world.job.state)
    assert.same({}, site.reports)
  end)

  it("is cancelled when the client closes its sending side only", function()
    local world = slow_world()
    web.serve(world.handler, nil, function(site)
      ask_and_leave(site, world, function(socket)
        socket:shutdown "w"
        assert.equal("cancelled", web.wait_until(first_of(world.log), "the cancellation"))
      end)
    end)
  end)

  it("is cancelled when curl is killed", function()
    local world = slow_world()
    web.serve(world.handler, nil, function(site)
      local jobs <close> = uvjobs.scheduler()
      local curl = jobs:spawn(web.curl, site, "/")
      web.wait_until(function() return world.started > 0 end, "the handler")
      curl:close()
      assert.equal("cancelled", web.wait_until(first_of(world.log), "the cancellation"))
    end)
  end)

  it("is cancelled when it waits in cqueues", function()
    local world = slow_world()
    world.before = function() cqueues.sleep(60) end
    web.serve(world.handler, nil, function(site)
      ask_and_leave(site, world)
      assert.equal("cancelled", web.wait_until(first_of(world.log), "the cancellation"))
    end)
  end)

  it("all pipelined requests of the connection are", function()
    local world = slow_world()
    web.serve(world.handler, nil, function(site)
      local socket = web.connect(site)
      web.send(socket, web.get("/"):rep(5))
      web.wait_until(function() return world.started == 5 end, "the handlers")
      socket:close()
      web.wait_until(function() return #world.log == 5 end, "the cancellations")
      assert.same({ "cancelled", "cancelled", "cancelled", "cancelled", "cancelled" },
        { table.unpack(world.log) })
    end)
  end)

  it("one that has not started is dropped", function()
    local world = slow_world()
    web.serve(world.handler, { limit = 1 }, function(site)
      local first, second = web.connect(site), web.connect(site)
      web.send(first, web.get "/")
      web.wait_until(function() return world.started == 1 end, "the first")
      web.send(second, web.get "/")
      web.wait_until(function() return site.scheduler.pending_count == 1 end, "the second")
      first:close()
      second:close()
      web.wait_until(function() return #site.scheduler == 0 end, "the end")
    end)
    assert.is_true(world.started <= 2)
  end)

  it("goes on when it is atomic", function()
    local world = slow_world(http.atomic)
    web.serve(world.handler, nil, function(site)
      ask_and_leave(site, world)
      wait_until_noticed()
      assert.equal("active", world.job.state)
      assert.same({}, { table.unpack(world.log) })
      world.go:set()
      web.wait_until(first_of(world.log), "the end")
    end)
    assert.are_not.equal("cancelled", world.log[1])
  end)

  it("is not cancelled after a part of it that was atomic", function()
    local world = slow_world()
    local inner = http.atomic(function() uvjobs.sleep(0.001) end)
    world.before = function(stream) inner(nil, stream) end
    web.serve(world.handler, nil, function(site)
      ask_and_leave(site, world)
      world.go:set()
      web.wait_until(first_of(world.log), "the end")
    end)
  end)

  it("goes on with cancel_on_disconnect = false", function()
    local world = slow_world()
    web.serve(world.handler, { cancel_on_disconnect = false }, function(site)
      ask_and_leave(site, world)
      wait_until_noticed()
      assert.equal("active", world.job.state)
      world.go:set()
      web.wait_until(first_of(world.log), "the end")
    end)
    assert.are_not.equal("cancelled", world.log[1])
  end)

  it("an atomic route of one server leaves the others as they are", function()
    local world, plain = slow_world(http.atomic), slow_world()
    web.serve(world.handler, nil, function(first)
      web.with_server(plain.handler, nil, function(second)
        ask_and_leave(second, plain)
        ask_and_leave(first, world)
        web.wait_until(first_of(plain.log), "the cancellation")
        assert.equal("active", world.job.state)
        world.go:set()
      end)
    end)
    assert.equal("cancelled", plain.log[1])
  end)

  it("leaves what it has spawned and shielded", function()
    local world, go, log = slow_world(), uvjobs.event(), helper.log()
    local inside = 0
    world.before = function(stream)
      http.spawn(stream, function()
        inside = inside + 1
        go:wait()
        log:add "spawned"
      end)
      http.shield(stream, function()
        inside = inside + 1
        go:wait()
        log:add "shielded"
      end)
    end
    web.serve(world.handler, nil, function(site)
      local socket = web.connect(site)
      web.send(socket, web.get "/")
      web.wait_until(function() return inside == 2 end, "both")
      socket:close()
      assert.equal("cancelled", web.wait_until(first_of(world.log), "the cancellation"))
      go:set()
    end)
    table.sort(log)
    assert.same({ "shielded", "spawned" }, { table.unpack(log) })
  end)

  it("can clean up in uvjobs.protect", function()
    local world, cleaned = slow_world(), false
    world.before = function()
      local ok, err = pcall(uvjobs.sleep, 60)
      assert(not ok and uvjobs.code(err) == "cancelled")
      uvjobs.protect(uvjobs.sleep, 0.001)
      cleaned = true
    end
    web.serve(world.handler, nil, function(site)
      ask_and_leave(site, world)
      web.wait_until(first_of(world.log), "the end")
    end)
    assert.is_true(cleaned)
  end)

  it("is cut when the handler ends by an error afterwards, and nobody is reported twice",
    function()
      local world = slow_world()
      world.before = function()
        pcall(uvjobs.sleep, 60)
        error("after all", 0)
      end
      local site = web.serve(world.handler, nil, function(site)
        ask_and_leave(site, world)
        web.wait_until(first_of(world.log), "the end")
      end)
      assert.equal("after all", world.log[1])
      assert.equal(1, #site.reports)
    end)

  it("is not reported for what it cannot write any more while it is being cancelled", function()
    local world = slow_world()
    world.before = function(stream)
      pcall(uvjobs.sleep, 60)
      uvjobs.protect(function()
        local headers = require "http.headers".new()
        headers:append(":status", "200")
        local ok, err = stream:write_headers(headers, false)
        while ok do ok, err = stream:write_chunk(("x"):rep(10000), false) end
        assert(ok, err)
      end)
    end
    local site = web.serve(world.handler, nil, function(site)
      ask_and_leave(site, world)
      web.wait_until(first_of(world.log), "the end")
    end)
    assert.same({}, site.reports)
    assert.equal("cancelled", world.job.state)
  end)

  it("200 clients come and go", function()
    local world = slow_world()
    web.serve(world.handler, { limit = 300 }, function(site)
      local before = web.descriptors()
      for _ = 1, 4 do
        local n = #world.log
        local jobs <close> = uvjobs.scheduler()
        local sockets = {}
        for i = 1, 50 do
          sockets[i] = web.connect(site)
          web.send(sockets[i], web.get "/")
        end
        web.wait_until(function() return world.started == n + 50 end, "the handlers")
        for i = 1, 50 do sockets[i]:close() end
        web.wait_until(function() return #world.log == n + 50 end, "the cancellations")
        jobs:close()
      end
      web.wait_until(function() return site.server.n_connections == 0 end, "the connections")
      assert.equal(before, web.descriptors())
    end)
  end)
end)
