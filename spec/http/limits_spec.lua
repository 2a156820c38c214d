-- What clients may take: time, bytes and slots; and what the program hears of a request.
local web = require "spec.http.helper"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local http = require "uvjobs.http"

local function hello(stream)
  assert(http.respond(stream, 200, "hello"))
end

local function echo(stream)
  assert(http.respond(stream, 200, assert(stream:get_body_as_string())))
end

-- A list of the calls of on_end().
local function new_ends()
  local ends = {}
  return ends, function(stream, status, seconds, err)
    assert(type(stream) == "table" and seconds >= 0)
    ends[#ends + 1] = { status = status, err = err }
  end
end

describe("a request whose head has not come", function()
  after_each(web.check_clean)

  it("takes no slot", function()
    web.serve({ ["/"] = hello }, { limit = 1, pending_limit = 0 }, function(site)
      local sockets = {}
      for i = 1, 20 do
        sockets[i] = web.connect(site)
        web.send(sockets[i], "GET / HTTP/1.1\r\nHost: a\r\n")
      end
      assert.equal("hello", (web.curl(site, "/")))
      assert.equal(0, #site.scheduler)
      for _, socket in ipairs(sockets) do
        web.send(socket, "\r\n")
        assert.equal("200", (web.read_response(socket)))
        socket:close()
      end
    end)
  end)

  it("is answered by 408 after header_timeout, also when it comes byte by byte", function()
    local ends, on_end = new_ends()
    web.serve({ ["/"] = hello }, { header_timeout = 0.05, on_end = on_end }, function(site)
      assert.matches("^HTTP/1.1 408.*connection: close", web.raw(site, "GET / HT"))
      local socket = web.connect(site)
      for _ = 1, 100 do
        if not socket:xwrite("GET", "bn") then break end
        uvjobs.sleep(0.002)
      end
      assert.matches("^HTTP/1.1 408", socket:xread "*l")
      socket:close()
      assert.equal("", web.raw(site, ""))
    end)
    assert.equal(2, #ends)
    assert.equal("408", ends[1].status)
    assert.matches("did not come in time", ends[1].err)
  end)

  it("HTTP/2: neither half a preface nor half a head takes a slot, or stays", function()
    local start = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
    web.serve({ ["/"] = hello }, {
      limit = 1, pending_limit = 0, header_timeout = 0.05, intra_stream_timeout = 0.05,
    }, function(site)
      for _, text in ipairs { start:sub(1, 20), start .. "\0\0\1\1\1\0\0\0\1\x82" } do
        local socket = web.connect(site)
        web.send(socket, text)
        assert.equal("hello", (web.curl(site, "--http2-prior-knowledge", "/")))
        socket:xread "*a"
        socket:close()
      end
      web.wait_until(function() return site.server.n_connections == 0 end, "the end")
    end)
  end)
end)

describe("a body", function()
  after_each(web.check_clean)

  it("that does not come within body_timeout ends its handler: 408, and no report", function()
    local site = web.serve({ ["/"] = echo }, { body_timeout = 0.05 }, function(site)
      for _, rest in ipairs { "Content-Length: 9\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n9\r\nabc" } do
        local out = web.raw(site, "POST / HTTP/1.1\r\nHost: a\r\n" .. rest)
        assert.matches("^HTTP/1.1 408", out)
      end
      web.wait_until(function() return #site.scheduler == 0 end, "the handlers")
    end)
    assert.same({}, site.reports)
  end)

  it("that does not come is answered when the handler passes that on, or only returns", function()
    local site = web.serve({
      ["/passed"] = function(stream) http.respond(stream, 200, stream:get_body_as_string()) end,
      ["/returned"] = function(stream) stream:get_body_as_string() end,
    }, { body_timeout = 0.05, max_body = 10 }, function(site)
      for _, path in ipairs { "/passed", "/returned" } do
        for rest, status in pairs {
          ["Content-Length: 9\r\n\r\nabc"] = "408",
          ["Transfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n"] = "413",
        } do
          local out = web.raw(site, ("POST %s HTTP/1.1\r\nHost: a\r\n%s"):format(path, rest))
          assert.matches("^HTTP/1.1 " .. status, out)
        end
      end
      assert.equal("12345", (web.curl(site, "-d", "12345", "/passed")))
      web.wait_until(function() return #site.scheduler == 0 end, "the handlers")
    end)
    assert.same({}, site.reports)
  end)

  it("that is larger than max_body is refused: 413", function()
    local calls = 0
    local site = web.serve({ ["/"] = function(stream)
      calls = calls + 1
      echo(stream)
    end }, { max_body = 10 }, function(site)
      for _, version in ipairs { "--http1.1", "--http2-prior-knowledge" } do
        assert.matches("^HTTP/[%d.]+ 413",
          (web.curl(site, "-i", version, "-d", "12345678901", "/")))
        assert.equal("1234567890", (web.curl(site, version, "-d", "1234567890", "/")))
        assert.matches("^HTTP/[%d.]+ 413", (web.curl(site, "-i", version, "-H",
          "Content-Length:", "-H", "Transfer-Encoding: chunked", "-d", "12345678901", "/")))
      end
    end)
    assert.equal(4, calls)
    assert.same({}, site.reports)
  end)

  it("that the handler does not read is read, and the connection goes on", function()
    web.serve({ ["/"] = hello }, nil, function(site)
      local socket = web.connect(site)
      for _ = 1, 3 do
        web.send(socket, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
        assert.equal("200", (web.read_response(socket)))
        web.send(socket, "abcdef")
      end
      socket:close()
    end)
  end)

  it("is asked for when the client waits for that", function()
    web.serve({ ["/"] = echo }, nil, function(site)
      local socket = web.connect(site)
      web.send(socket,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
      assert.matches("^HTTP/1.1 100", socket:xread "*l")
      assert.equal("\r", (socket:xread "*l"))
      web.send(socket, "abc")
      local status, body = web.read_response(socket)
      assert.equal("200abc", status .. body)
      socket:close()
    end)
  end)
end)

describe("a response", function()
  after_each(web.check_clean)

  it("that the client does not take within body_timeout ends its handler", function()
    local text, returned = ("x"):rep(20000000), nil
    local site = web.serve({ ["/"] = function(stream)
      returned = table.pack(http.respond(stream, 200, text))
    end }, { body_timeout = 0.05 }, function(site)
      local socket = web.connect(site)
      web.send(socket, web.get "/")
      web.wait_until(function() return returned end, "the end")
      socket:close()
    end)
    assert.is_nil(returned[1])
    assert.matches("timed out", returned[2])
    assert.same({}, site.reports)
  end)

  it("to a client that has gone is no error, and its job counts as cancelled", function()
    local job
    local site = web.serve({ ["/"] = http.atomic(function(stream)
      job = uvjobs.current()
      local text = ("x"):rep(1000000)
      local headers = require "http.headers".new()
      headers:append(":status", "200")
      assert(stream:write_headers(headers, false))
      while true do assert(stream:write_chunk(text, false)) end
    end) }, { cancel_on_disconnect = false }, function(site)
      for _ = 1, 3 do
        local socket = web.connect(site)
        web.send(socket, web.get "/")
        assert(socket:xread "*l")
        socket:close()
        web.wait_until(function() return job.closed end, "the end")
        assert.equal("cancelled", job.state)
      end
    end)
    assert.same({}, site.reports)
  end)

  it("to a stream of HTTP/2 that was reset is no error", function()
    local go, ended = uvjobs.event(), false
    local site = web.serve({ ["/"] = function(stream)
      local _ <close> = helper.closing(function() ended = true end)
      go:wait()
      assert(http.respond(stream, 200, "hello"))
    end }, { cancel_on_disconnect = false }, function(site)
      local connection = assert(require "http.client".connect {
        host = "127.0.0.1", port = site.port, tls = false, version = 2,
      })
      local stream, headers = connection:new_stream(), require "http.headers".new()
      for name, value in pairs { [":method"] = "GET", [":scheme"] = "http", [":path"] = "/" } do
        headers:append(name, value)
      end
      assert(stream:write_headers(headers, true))
      web.wait_until(function() return #site.scheduler == 1 end, "the handler")
      stream:rst_stream()
      connection:flush()
      assert(connection:ping(10))
      go:set()
      web.wait_until(function() return ended end, "the end")
      connection:close()
    end)
    assert.same({}, site.reports)
  end)
end)

describe("request_timeout", function()
  after_each(web.check_clean)

  it("ends a handler that takes longer: 503", function()
    local ends, on_end = new_ends()
    local site = web.serve({ ["/"] = function() uvjobs.sleep(60) end },
      { request_timeout = 0.02, close_timeout = 10, on_end = on_end }, function(site)
        assert.matches("^HTTP/1.1 503", (web.curl(site, "-i", "/")))
      end)
    assert.equal("timeout", uvjobs.code(ends[1].err))
    assert.equal("timeout", uvjobs.code(site.reports[1].exception))
  end)
end)

describe("on_end", function()
  after_each(web.check_clean)

  it("is told of every request once, with the status and the error", function()
    local ends, on_end = new_ends()
    web.serve({
      ["/good"] = hello, ["/bad"] = function() error("bad", 0) end, ["/none"] = function() end,
    }, { on_end = on_end }, function(site)
      web.curl(site, "/good")
      web.curl(site, "--http2-prior-knowledge", "/bad")
      web.curl(site, "/none")
      web.raw(site, "GARBAGE\r\n\r\n")
    end)
    assert.same({
      { status = "200" }, { status = "500", err = "bad" }, { status = "500" },
      { status = "400", err = "the request is malformed" },
    }, ends)
  end)

  it("that raises is reported, and does no harm", function()
    local site = web.serve({ ["/"] = hello }, {
      on_end = function() error("from on_end", 0) end,
    }, function(site)
      for _ = 1, 3 do assert.equal("hello", (web.curl(site, "/"))) end
    end)
    assert.equal(3, #site.reports)
    assert.equal("HTTP on_end failed", site.reports[1].message)
    assert.equal("from on_end", site.reports[1].exception)
  end)
end)

describe("a server that stops", function()
  after_each(web.check_clean)

  it("says so in its last answers", function()
    local go, began = uvjobs.event(), uvjobs.event()
    web.serve({ ["/"] = function(stream)
      began:set()
      go:wait()
      hello(stream)
    end }, nil, function(site)
      local socket = web.connect(site)
      web.send(socket, web.get "/")
      began:wait()
      site.server:close()
      web.wait_until(function() return site.server.socket == nil end, "the stop")
      go:set()
      local status, _, fields = web.read_response(socket)
      assert.equal("200", status)
      assert.equal("close", fields.connection)
      socket:close()
    end)
  end)

  it("does not wait for clients that have not asked", function()
    uvjobs.run(function()
      local site = web.new_server({ ["/"] = hello }, { wait_timeout = 3600, header_timeout = 3600 })
      local jobs <close> = uvjobs.scheduler()
      local serving = jobs:spawn(http.serve, site.server)
      local sockets = {}
      for i, text in ipairs { "", "\22\3\1\2", "PRI * HTTP", "GET / HTTP/1.1\r\nHost",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0" .. "\0\0\1\1\1\0\0\0\1\x82" } do
        sockets[i] = web.connect(site)
        web.send(sockets[i], text)
      end
      web.wait_until(function() return site.server.n_connections == 5 end, "the connections")
      site.server:close()
      serving:wait()
      for _, socket in ipairs(sockets) do socket:close() end
    end)
  end)
end)
