-- uvjobs.http with HTTP/2, TLS and WebSocket, and at its limits.
local web = require "spec.http.helper"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local http = require "uvjobs.http"
local new_context = require "spec.http.context"
local condition = require "cqueues.condition"
local new_headers = require "http.headers".new
local request = require "http.request"
local websocket = require "http.websocket"

local function hello(stream)
  web.respond(stream, "200", "hello")
end

local function echo(stream)
  web.respond(stream, "200", assert(stream:get_body_as_string()))
end

describe("HTTP/2", function()
  after_each(web.check_clean)

  it("without TLS: requests are jobs, with bodies small and large", function()
    web.serve({ ["/"] = hello, ["/echo"] = echo }, nil, function(site)
      local prior = "--http2-prior-knowledge"
      local out = web.curl(site, "-i", prior, "/")
      assert.matches("^HTTP/2 200", out)
      assert.matches("hello$", out)
      assert.equal("body", (web.curl(site, prior, "-d", "body", "/echo")))
      local large = ("0123456789"):rep(20000)
      assert.equal(large, (web.curl(site, prior, "-d", large:sub(1, 100000), "/echo")) ..
        large:sub(100001))
    end)
  end)

  it("with TLS, and HTTP/1.1 with TLS", function()
    web.serve({ ["/"] = hello }, { tls = true, ctx = new_context() }, function(site)
      site.scheme = "https"
      assert.matches("^HTTP/2 200", (web.curl(site, "-k", "-i", "--http2", "/")))
      assert.matches("^HTTP/1.1 200", (web.curl(site, "-k", "-i", "--http1.1", "/")))
    end)
  end)

  it("with TLS leaves SIGPIPE as it was", function()
    local function blocked()
      for line in io.lines "/proc/thread-self/status" do
        local mask = line:match "^SigBlk:%s*(%x+)"
        if mask then return mask end
      end
    end
    local before = blocked()
    assert.is_string(before)
    web.serve({ ["/"] = hello }, { tls = true, ctx = new_context() }, function(site)
      site.scheme = "https"
      assert.matches("^HTTP/2 200", (web.curl(site, "-k", "-i", "--http2", "/")))
    end)
    assert.equal(before, blocked())
  end)

  it("a stream that is reset cancels its job, and no other", function()
    local log = helper.log()
    local began = uvjobs.event()
    web.serve({ ["/"] = hello, ["/slow"] = function(_, headers)
      local number = headers:get "x-number"
      local _ <close> = helper.closing(function(_, err)
        log:add(number .. tostring(uvjobs.code(err)))
      end)
      if number == "2" then began:set() end
      if number == "1" then uvjobs.sleep(60) end
      began:wait()
    end }, nil, function(site)
      local client = require "http.client"
      local connection = assert(client.connect {
        host = "127.0.0.1", port = site.port, tls = false, version = 2,
      })
      local function open(number)
        local stream, headers = connection:new_stream(), new_headers()
        headers:append(":method", "GET")
        headers:append(":scheme", "http")
        headers:append(":path", "/slow")
        headers:append(":authority", "a")
        headers:append("x-number", number)
        assert(stream:write_headers(headers, true))
        return stream
      end
      local first = open "1"
      open "2"
      began:wait()
      first:rst_stream()
      connection:flush()
      web.wait_until(function() return #log == 2 end, "both handlers")
      table.sort(log)
      assert.same({ "1cancelled", "2nil" }, { table.unpack(log) })
      connection:close()
    end)
  end)

  it("an error in a handler: 500, and the connection goes on", function()
    local site = web.serve({ ["/"] = hello, ["/bad"] = function() error "bad" end }, nil,
      function(site)
        local out = web.curl(site, "-i", "--http2-prior-knowledge", "/bad")
        assert.matches("^HTTP/2 500", out)
        assert.equal("hello", (web.curl(site, "--http2-prior-knowledge", "/")))
      end)
    assert.equal(1, #site.reports)
  end)
end)

describe("stopping a server of TLS", function()
  after_each(web.check_clean)

  it("is not held up by clients that are silent in the handshake", function()
    for _, text in ipairs { "", "\22\3\1\2\0\1\0\1\252\3\3" } do
      uvjobs.run(function()
        local site = web.new_server({}, { tls = true, ctx = new_context(), stop_timeout = 600 })
        local jobs <close> = uvjobs.scheduler()
        local serving = jobs:spawn(http.serve, site.server)
        local clients = {}
        for i = 1, 5 do
          clients[i] = web.connect(site)
          if text ~= "" then web.send(clients[i], text) end
        end
        web.wait_until(function() return site.server.n_connections == 5 end, "the connections")
        site.server:close()
        assert.is_true(serving:join(300))
        for _, client in ipairs(clients) do client:close() end
        assert.same({}, site.reports)
      end)
    end
  end)
end)

describe("HTTP/2 with time slices", function()
  after_each(web.check_clean)

  it("keeps the frames of a connection whole", function()
    local site = web.serve({ ["/"] = function(stream)
      local headers = new_headers()
      headers:append(":status", "200")
      for i = 1, 300 do
        headers:append("x-" .. i, ("v"):rep(100) .. math.random(1000000))
      end
      for _ = 1, 100000 do end -- slices end anywhere
      assert(stream:write_headers(headers, false))
      for _ = 1, 10 do assert(stream:write_chunk(("d"):rep(3000), false)) end
      assert(stream:write_chunk("", true))
    end }, { timeslice = 0.001 }, function(site)
      local connection = assert(require "http.client".connect {
        host = "127.0.0.1", port = site.port, tls = false, version = 2,
      })
      local clients <close> = uvjobs.scheduler { timeslice = 0.001, limit = math.huge }
      local whole = 0
      for _ = 1, 30 do
        clients:spawn(function()
          local stream, headers = connection:new_stream(), new_headers()
          headers:append(":method", "GET")
          headers:append(":scheme", "http")
          headers:append(":path", "/")
          headers:append(":authority", "a")
          assert(stream:write_headers(headers, true))
          assert(stream:get_headers())
          if #assert(stream:get_body_as_string()) == 30000 then whole = whole + 1 end
        end)
      end
      clients:wait_and_close()
      assert.equal(30, whole)
      connection:close()
    end)
    assert.same({}, site.reports)
  end)
end)

describe("HTTP/2, when the response has begun", function()
  after_each(web.check_clean)

  it("an error resets the stream, and sends no second status", function()
    local site = web.serve({ ["/"] = hello, ["/bad"] = function(stream)
      local headers = new_headers()
      headers:append(":status", "200")
      assert(stream:write_headers(headers, false))
      error "in the middle"
    end }, nil, function(site)
      local out, code, message = web.curl(site, "-i", "--http2-prior-knowledge", "/bad")
      assert.is_nil(out:find("500", 1, true))
      assert.not_equal(0, code)
      assert.matches("INTERNAL_ERROR", message)
      assert.equal("hello", (web.curl(site, "--http2-prior-knowledge", "/")))
    end)
    assert.equal(1, #site.reports)
  end)
end)

describe("WebSocket", function()
  after_each(web.check_clean)

  it("echo", function()
    web.serve({ ["/"] = function(stream, headers)
      local ws = assert(websocket.new_from_stream(stream, headers))
      assert(ws:accept())
      for data, kind in function() return ws:receive() end do
        assert(ws:send(data, kind))
      end
      ws:close()
    end }, nil, function(site)
      local ws = websocket.new_from_uri(("ws://127.0.0.1:%d/"):format(site.port))
      assert(ws:connect(10))
      for _, text in ipairs { "one", "two", ("x"):rep(70000) } do
        assert(ws:send(text))
        assert.equal(text, ws:receive(10))
      end
      assert(ws:close())
    end)
  end)
end)

describe("the limit", function()
  after_each(web.check_clean)

  it("of 50 holds for 1,000 connections, and all are answered #M2", function()
    local now, most, full = 0, 0, uvjobs.event()
    web.serve({ ["/"] = function(stream)
      now = now + 1
      most = math.max(most, now)
      if now == 50 then full:set() end
      full:wait() -- the first 50 meet
      uvjobs.sleep(0.001)
      hello(stream)
      now = now - 1
    end }, { limit = 50 }, function(site)
      local uri = ("http://127.0.0.1:%d/"):format(site.port)
      local numbers = {}
      for i = 1, 1000 do numbers[i] = i end
      local answers = uvjobs.map(numbers, function()
        local headers, stream = assert(request.new_from_uri(uri):go(60))
        local body = assert(stream:get_body_as_string(60))
        pcall(stream.connection.close, stream.connection) -- if it is not closed yet
        return headers:get ":status" .. body
      end, { limit = 200 })
      for i = 1, 1000 do assert.equal("200hello", answers[i]) end
      assert.equal(50, most)
    end)
  end)

  it("with the pending queue full: 503 with Retry-After, for both protocols", function()
    local go = uvjobs.event()
    web.serve({ ["/"] = function(stream)
      go:wait()
      hello(stream)
    end }, { limit = 1, pending_limit = 1, retry_after = 7 }, function(site)
      local jobs <close> = uvjobs.scheduler()
      local first = jobs:spawn(web.curl, site, "/")
      web.wait_until(function() return #site.scheduler == 1 end, "the first")
      local second = jobs:spawn(web.curl, site, "/")
      web.wait_until(function() return #site.scheduler == 2 end, "the second")
      for _, version in ipairs { "--http1.1", "--http2-prior-knowledge" } do
        local out = web.curl(site, "-i", version, "/")
        assert.matches("^HTTP/[%d.]+ 503", out)
        assert.matches("retry%-after: 7\r\n", out)
      end
      go:set()
      assert.equal("hello", (first:wait()))
      assert.equal("hello", (second:wait()))
      assert.equal("hello", (web.curl(site, "/")))
    end)
  end)
end)

describe("in a handler", function()
  after_each(web.check_clean)

  it("conditions of cqueues and events of uvjobs work side by side", function()
    local changed, go = condition.new(), uvjobs.event()
    web.serve({ ["/wait"] = function(stream)
      go:set()
      assert(changed:wait())
      hello(stream)
    end, ["/set"] = function(stream)
      go:wait()
      changed:signal()
      hello(stream)
    end }, nil, function(site)
      local answers = uvjobs.all {
        function() return (web.curl(site, "/wait")) end,
        function() return (web.curl(site, "/set")) end,
      }
      assert.same({ "hello", "hello", n = 2 }, answers)
      assert.equal(site.scheduler, http.get_scheduler_from_server(site.server))
    end)
  end)
end)
