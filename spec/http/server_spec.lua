-- http.server and http.respond.
local web = require "spec.http.helper"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local http = require "uvjobs.http"
local new_headers = require "http.headers".new

local message, raises = helper.message, helper.raises

local function hello(_, stream)
  assert(http.respond(stream, 200, "hello"))
end

-- Calls fn(server) in a run.
local function with_server(options, fn)
  if type(options) == "function" then options = { onstream = options } end
  options.port = options.port or 0
  uvjobs.run(function()
    uvjobs.timeout(600, function()
      local server <close> = http.server(options)
      fn(server)
    end)
  end)
end

local function fetch(server, path, options)
  return assert(http.fetch(server:url(path), options))
end

describe("http.server", function()
  after_each(web.check_clean)

  it("listens and serves until its block is left", function()
    local url
    with_server(hello, function(server)
      local host, port = server:address()
      assert.equal("127.0.0.1", host)
      assert.equal(port, server:port())
      assert.equal(("http://127.0.0.1:%d/"):format(port), server:url())
      assert.equal("uvjobs.http.Server: 127.0.0.1:" .. port, tostring(server))
      assert.equal(server.scheduler, http.get_scheduler_from_server(server.server))
      url = server:url "/x"
      assert.equal("hello", fetch(server, "/x").body)
    end)
    uvjobs.run(function()
      local response, why, code = http.fetch(url)
      assert.is_nil(response)
      assert.equal("network", code)
      assert.matches("Connection refused", why)
    end)
  end)

  it("lets its requests finish when the block is left", function()
    local answer, began = nil, uvjobs.event()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler()
      do
        local server <close> = http.server { port = 0, onstream = function(_, stream)
          began:set()
          uvjobs.sleep(0.02)
          hello(nil, stream)
        end }
        jobs:spawn(function() answer = fetch(server).body end)
        began:wait()
      end
      jobs:wait_and_close()
    end)
    assert.equal("hello", answer)
  end)

  it("cancels them after its stop_timeout", function()
    local began, code = uvjobs.event(), nil
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler()
      do
        local server <close> = http.server { port = 0, stop_timeout = 0.02, onstream = function()
          began:set()
          local ok, err = pcall(uvjobs.sleep, 60)
          code = not ok and uvjobs.code(err)
        end }
        jobs:spawn(http.fetch, server:url())
        began:wait()
      end
      assert.equal("cancelled", code)
    end)
  end)

  it("wait waits for close, and close twice is as good as once", function()
    with_server(hello, function(server)
      local jobs <close> = uvjobs.scheduler()
      local waiting = jobs:spawn(server.wait, server)
      helper.yield(3)
      assert.is_false(waiting.closed)
      server:close()
      waiting:wait()
      server:close()
      server:wait()
    end)
  end)

  it("is stopped when its job is cancelled, and nothing is left", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler { close_timeout = 10 }
      local ready = uvjobs.event()
      local job = jobs:spawn(function()
        local server <close> = http.server { port = 0, onstream = hello }
        ready:set()
        server:wait()
      end)
      ready:wait()
      job:close()
      assert.equal("cancelled", job.state)
    end)
  end)

  it("can be closed by a handler, which still answers", function()
    local server
    with_server(function(_, stream)
      server:close()
      hello(nil, stream)
    end, function(it)
      server = it
      assert.equal("hello", fetch(server).body)
      server:wait()
    end)
  end)

  it("listens on a socket with a path", function()
    local path = os.tmpname()
    os.remove(path)
    with_server({ path = path, onstream = hello }, function(server)
      assert.equal(path, (server:address()))
      assert.is_nil(server:port())
      local out = uvjobs.exec("curl", { "-s", "--unix-socket", path, "http://a/" },
        { env = { LD_PRELOAD = false } })
      assert.equal("hello", out.stdout)
    end)
    os.remove(path)
  end)

  it("refuses misuse, and leaves no descriptor", function()
    with_server(hello, function(server)
      local function refused(what, options)
        assert.equal(("bad argument #1 to 'server' (%s)"):format(what),
          message(http.server, options))
      end
      local before = web.descriptors()
      refused("table expected, got nil")
      refused("option 'onstream' expected", { port = 0 })
      refused("option 'port' or 'path' expected", { onstream = print })
      refused("unknown option 'prot', did you mean 'port'?", { onstream = print, prot = 0 })
      refused("unknown option 'retry_aftr', did you mean 'retry_after'?",
        { onstream = print, port = 0, retry_aftr = 0 })
      refused("unknown option 'limt', did you mean 'limit'?",
        { onstream = print, port = 0, limt = 0 })
      refused("option 'port': port from 0 to 65535 expected, got 65536",
        { onstream = print, port = 65536 })
      assert.equal(("cannot listen on 127.0.0.1:%d: Address already in use"):format(server:port()),
        message(function() local _ = http.server { onstream = print, port = server:port() } end))
      assert.equal(before, web.descriptors())
      assert.equal("bad self to 'port' (uvjobs.http.Server expected, got table)",
        message(server.port, {}))
    end)
    assert.matches("must be called in a job", message(http.server, { port = 0, onstream = print }))
  end)
end)

describe("http.respond", function()
  after_each(web.check_clean)

  it("sends status, headers and body", function()
    with_server(function(_, stream)
      assert.is_true(http.respond(stream, "201", "made", {
        Location = "/1", ["set-cookie"] = { "a=1", "b=2" }, ["x-number"] = 5,
      }))
    end, function(server)
      for _, version in ipairs { 1.1, 2 } do
        local response = fetch(server, "/", { version = version })
        assert.equal(201, response.status)
        assert.equal("made", response.body)
        assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
        assert.equal("4", response.headers["content-length"])
        assert.equal("/1", response.headers.location)
        assert.equal("a=1, b=2", response.headers["set-cookie"])
        assert.equal("5", response.headers["x-number"])
      end
    end)
  end)

  it("sends no body where there is none: HEAD, 204, 304 and CONNECT", function()
    with_server(function(_, stream)
      local path = stream:get_headers():get ":path"
      assert(http.respond(stream, path and path:match "%d+" or 200, "text"))
    end, function(server)
      assert.equal("4", fetch(server, "/200", { method = "HEAD" }).headers["content-length"])
      for _, status in ipairs { 204, 304 } do
        local response = fetch(server, "/" .. status)
        assert.equal(status, response.status)
        assert.equal("", response.body)
        assert.not_equal("4", response.headers["content-length"])
      end
      assert.matches("^HTTP/1.1 200 [^\r]*\r\n\r\n$",
        web.raw({ port = server:port() }, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"))
    end)
  end)

  it("takes headers of lua-http, and nothing at all", function()
    with_server(function(_, stream)
      local headers = new_headers()
      headers:append(":status", "500")
      headers:append("x-a", "1")
      assert(http.respond(stream, 200, nil, headers))
    end, function(server)
      local response = fetch(server)
      assert.equal(200, response.status)
      assert.equal("1", response.headers["x-a"])
      assert.equal("", response.body)
    end)
  end)

  it("refuses a second response, and does not blame the client", function()
    local ends = {}
    local function twice(_, stream)
      local begun = stream:get_headers():get ":path" == "/begun"
      if begun then
        local headers = new_headers()
        headers:append(":status", "200")
        assert(stream:write_headers(headers, false))
        assert(stream:write_chunk("one", true))
      else
        assert(http.respond(stream, 200, "one"))
      end
      assert.equal("the response has been sent already",
        (select(2, stream:write_chunk("two", true))))
      http.respond(stream, 500, "two")
    end
    local reports = {}
    local handler = helper.recorder(reports, "exception")
    with_server({ onstream = twice, exception_handler = handler,
      on_end = function(_, status, _, err) ends[#ends + 1] = { status, err } end,
    }, function(server)
      for _, path in ipairs { "/", "/begun" } do
        for _, version in ipairs { 1.1, 2 } do
          assert.equal("one", fetch(server, path, { version = version }).body)
        end
      end
    end)
    assert.equal(4, #ends)
    for i, values in ipairs(ends) do
      assert.matches("server_spec.lua:%d+: 'respond' was called for a request whose response has "
        .. "begun$", values[2])
      assert.equal(values[2], reports[i])
    end
  end)

  it("refuses misuse, and sends nothing then", function()
    local messages
    with_server(function(_, stream)
      messages = {
        message(http.respond, nil, 200), message(http.respond, stream, 99),
        message(http.respond, stream, "ok"), message(http.respond, stream, 200, {}),
        message(http.respond, stream, 200, "", "x"),
        message(http.respond, stream, 200, "", { ["a b"] = "c" }),
        message(http.respond, stream, 200, "", { a = "b\r\nc: d" }),
        message(http.respond, stream, 200, "", { a = true }),
      }
      hello(nil, stream)
    end, function(server) assert.equal("hello", fetch(server).body) end)
    local function bad(n, what)
      return ("bad argument #%d to 'respond' (%s)"):format(n, what)
    end
    assert.same({
      bad(1, "stream of lua-http expected, got nil"),
      bad(2, "status from 200 to 599 expected, got 99"),
      bad(2, "status from 200 to 599 expected, got ok"),
      bad(3, "string expected, got table"), bad(4, "table expected, got string"),
      bad(4, "bad name of a header field: a b"),
      bad(4, "header field 'a': string in one line expected, got one with line ends"),
      bad(4, "header field 'a': string in one line expected, got boolean"),
    }, messages)
  end)
end)

describe("the end of a program that serves", function()
  after_each(web.check_clean)

  it("is not held up by handlers that do not end", function()
    uvjobs.run(function()
      local began = uvjobs.event()
      local clients <close> = uvjobs.scheduler()
      local jobs <close> = uvjobs.scheduler {
        close_timeout = 20, exception_handler = helper.ignore,
      }
      local job = jobs:spawn(function()
        local server <close> = http.server {
          port = 0, stop_timeout = 0.01, close_timeout = 0.01, limit = 100,
          exception_handler = helper.ignore,
          onstream = function()
            began:set()
            while true do pcall(uvjobs.sleep, 60) end
          end,
        }
        for _ = 1, 50 do clients:spawn(http.fetch, server:url()) end
        server:wait()
      end)
      began:wait()
      job:cancel()
      raises("cancelled", job.wait, job)
    end)
  end)
end)
