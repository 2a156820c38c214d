-- Stopping a server.
local web = require "spec.http.helper"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local http = require "uvjobs.http"

local respond, raises = web.respond, helper.raises

-- A route that waits for world.go; counts who began and who ended.
local function slow_world()
  local world = { started = 0, log = helper.log(), go = uvjobs.event() }
  world.routes = { ["/"] = function(stream)
    world.started = world.started + 1
    local _ <close> = helper.closing(function(_, err)
      world.log:add(uvjobs.code(err) or tostring(err))
    end)
    world.go:wait()
    respond(stream, "200", "hello")
  end }
  return world
end

-- Serves in a job; calls fn(site, serving, client, world), where a request runs. The
-- serving job is reported as `reported`, or not at all.
local function with_request(options, fn, reported)
  uvjobs.run(function()
    local message
    local world = slow_world()
    local site = web.new_server(world.routes, options)
    local jobs <close> = uvjobs.scheduler {
      close_timeout = 0.1,
      exception_handler = function(_, context) message = context.message end,
    }
    local serving = jobs:spawn(http.serve, site.server)
    local client = web.connect(site)
    web.send(client, web.get "/")
    web.wait_until(function() return world.started == 1 end, "the handler")
    fn(site, serving, client, world)
    assert.is_true(serving.closed)
    assert.equal(0, #site.scheduler)
    assert.equal(reported, message)
    client:close()
  end)
end

describe("server:close", function()
  after_each(web.check_clean)

  it("lets the request finish, and takes no more connections", function()
    with_request(nil, function(site, serving, client, world)
      site.server:close()
      web.wait_until(function() return site.server.socket == nil end, "the end of accepting")
      assert.is_false((pcall(web.connect, site)))
      assert.is_false(serving.closed)
      world.go:set()
      local status, body = web.read_response(client)
      assert.equal("200", status)
      assert.equal("hello", body)
      serving:wait()
      assert.is_true(site.scheduler.closed)
      assert.is_nil(client:xread(1)) -- the connection has ended, too
    end)
  end)

  it("cancels what is left after the scheduler's wait_timeout", function()
    with_request({ wait_timeout = 0.02 }, function(site, serving, _, world)
      site.server:close()
      serving:wait()
      assert.same({ "cancelled" }, { table.unpack(world.log) })
    end)
  end)

  it("kills what does not end then", function()
    uvjobs.run(function()
      local began
      local site = web.new_server({ ["/"] = function()
        began = true
        while true do pcall(uvjobs.protect, uvjobs.sleep, 60) end
      end }, { wait_timeout = 0.01, close_timeout = 0.01 })
      local jobs <close> = uvjobs.scheduler()
      local serving = jobs:spawn(http.serve, site.server)
      local client = web.connect(site)
      web.send(client, web.get "/")
      web.wait_until(function() return began end, "the handler")
      site.server:close()
      serving:wait()
      assert.equal(0, #site.scheduler)
      client:close()
    end)
  end)

  it("twice is as good as once, and so is once more afterwards", function()
    with_request(nil, function(site, serving, _, world)
      assert.is_true(site.server:close())
      assert.is_true(site.server:close())
      world.go:set()
      serving:wait()
      assert.is_true(site.server:close())
    end)
  end)

  it("works from a handler, which still answers", function()
    uvjobs.run(function()
      local site
      site = web.new_server({ ["/stop"] = function(stream)
        site.server:close()
        uvjobs.sleep(0.005)
        respond(stream, "200", "stopped")
      end })
      local jobs <close> = uvjobs.scheduler()
      local serving = jobs:spawn(http.serve, site.server)
      assert.equal("stopped", (web.curl(site, "/stop")))
      serving:wait()
    end)
  end)

  it("closes a connection that is kept alive when its last request has ended", function()
    local go, began = uvjobs.event(), uvjobs.event()
    uvjobs.run(function()
      local site = web.new_server({ ["/"] = function(stream)
        began:set()
        go:wait()
        web.respond(stream, "200", "hi")
      end }, { intra_stream_timeout = 3600, wait_timeout = 3600 })
      local jobs <close> = uvjobs.scheduler()
      local serving = jobs:spawn(http.serve, site.server)
      local socket = web.connect(site)
      web.send(socket, web.get "/")
      began:wait()
      site.server:close()
      uvjobs.sleep(0.01)
      go:set()
      assert.equal("200", (web.read_response(socket)))
      serving:wait()
      socket:close()
    end)
  end)

  it("ends connections that ask for nothing", function()
    uvjobs.run(function()
      local site = web.new_server { ["/"] = function(stream) respond(stream, "200", "") end }
      local jobs <close> = uvjobs.scheduler()
      local serving = jobs:spawn(http.serve, site.server)
      local used, silent = web.connect(site), web.connect(site)
      web.send(used, web.get "/")
      assert.equal("200", (web.read_response(used)))
      site.server:close()
      serving:wait()
      assert.is_nil(used:xread(1))
      assert.is_nil(silent:xread(1))
      used:close()
      silent:close()
    end)
  end)

  it("before serve: serve returns at once", function()
    uvjobs.run(function()
      local site = web.new_server {}
      site.server:close()
      http.serve(site.server)
      assert.is_nil(site.server.socket)
    end)
  end)

  it("without serve closes the connections and the scheduler", function()
    uvjobs.run(function()
      local site = web.new_server {}
      site.server:close()
      assert.is_true(site.scheduler.closed)
    end)
  end)

  it("ends a loop of the server's own", function()
    uvjobs.run(function()
      local site = web.new_server { ["/"] = function(stream) respond(stream, "200", "hi") end }
      local jobs <close> = uvjobs.scheduler()
      local looping = jobs:spawn(function() return site.server:loop() end)
      assert.equal("hi", (web.curl(site, "/")))
      site.server:close()
      looping:close()
      assert.equal(0, #site.scheduler)
    end)
  end)

  it("works outside jobs", function()
    local site = uvjobs.run(function() return web.new_server {} end)
    assert.is_true(site.server:close())
    assert.is_nil(site.server.socket)
  end)

  it("leaves the requests of other servers on the same scheduler alone", function()
    uvjobs.run(function()
      local shared <close> = uvjobs.scheduler { wait_timeout = 0.01 }
      local first, second = slow_world(), slow_world()
      web.with_server(first.routes, { scheduler = shared }, function(a)
        local one, two
        web.with_server(second.routes, { scheduler = shared }, function(b)
          one, two = web.connect(a), web.connect(b)
          web.send(one, web.get "/")
          web.send(two, web.get "/")
          web.wait_until(function() return first.started + second.started == 2 end, "both")
          b.server:close()
          b.serving:wait()
          assert.same({ "cancelled" }, { table.unpack(second.log) })
          assert.same({}, { table.unpack(first.log) })
          first.go:set()
          assert.equal("200", (web.read_response(one)))
        end)
        one:close()
        two:close()
        web.wait_until(function() return #shared == 0 end, "the end")
      end)
    end)
  end)
end)

describe("the job of http.serve", function()
  after_each(web.check_clean)

  it("that is cancelled stops in peace", function()
    with_request(nil, function(_, serving, client, world)
      serving:cancel()
      helper.yield(3)
      assert.is_false(serving.closed)
      world.go:set()
      assert.equal("200", (web.read_response(client)))
      raises("cancelled", serving.wait, serving)
    end)
  end)

  it("that is closed has its close timeout, and leaves nothing", function()
    with_request(nil, function(site, serving, _, world)
      raises("timeout", serving.close, serving)
      assert.equal("killed", serving.state)
      site.scheduler:close()
      assert.equal(1, #world.log)
    end)
  end)

  it("that comes to its deadline stops in peace", function()
    uvjobs.run(function()
      local site = web.new_server {}
      raises("timeout", uvjobs.timeout, 0.005, http.serve, site.server)
      assert.is_nil(site.server.socket)
      assert.is_true(site.scheduler.closed)
    end)
  end)

  it("that ends with the run leaves nothing", function()
    local world, client = slow_world(), nil
    uvjobs.run(function()
      local site = web.new_server(world.routes, { wait_timeout = 0.01 })
      helper.quiet():spawn(http.serve, site.server)
      client = web.connect(site)
      web.send(client, web.get "/")
      web.wait_until(function() return world.started == 1 end, "the handler")
    end)
    assert.equal(1, #world.log)
    client:close()
  end)
end)

describe("stopping under load", function()
  after_each(web.check_clean)

  it("loses no request that was taken", function()
    uvjobs.run(function()
      local handled, answered = 0, 0
      local site = web.new_server({ ["/"] = function(stream)
        uvjobs.sleep(0.003)
        handled = handled + 1
        respond(stream, "200", "hello")
      end }, { limit = 20 })
      local jobs <close> = uvjobs.scheduler { limit = math.huge }
      local serving = jobs:spawn(http.serve, site.server)
      for _ = 1, 60 do
        jobs:spawn(function()
          while true do
            local ok, client = pcall(web.connect, site)
            if not ok then return end
            for _ = 1, 5 do
              if not client:xwrite(web.get "/", "bn") then break end
              local status = web.read_response(client)
              if not status then break end
              assert.equal("200", status)
              answered = answered + 1
            end
            client:close()
          end
        end)
      end
      web.wait_until(function() return answered > 100 end, "the load")
      site.server:close()
      serving:wait()
      jobs:wait_and_close()
      assert.equal(handled, answered)
      assert.same({}, site.reports)
    end)
  end)
end)
