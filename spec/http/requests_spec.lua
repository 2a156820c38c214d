-- Requests as jobs: lua-http's server, and curl as the client.
local web = require "spec.http.helper"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local http = require "uvjobs.http"
local http_server = require "http.server"

local respond, message = web.respond, helper.message

local function hello(stream)
  respond(stream, "200", "hello")
end

local function echo(stream)
  respond(stream, "200", assert(stream:get_body_as_string()))
end

describe("a request", function()
  after_each(web.check_clean)

  it("is a job of the server's scheduler, named 'request'", function()
    local job
    local done = web.serve({ ["/"] = function(stream)
      job = uvjobs.current()
      hello(stream)
    end }, nil, function(site)
      assert.equal("hello", (web.curl(site, "/")))
      assert.equal(site.scheduler, job.scheduler)
      assert.equal("request", job.name)
      assert.equal("404", (web.curl(site, "-o", "/dev/null", "-w", "%{http_code}", "/no")))
    end)
    assert.equal("done", job.state)
    assert.same({}, done.reports)
  end)

  it("POST: the body comes to the handler, small and large", function()
    web.serve({ ["/"] = echo }, nil, function(site)
      assert.equal("a=1", (web.curl(site, "-d", "a=1", "/")))
      local path = os.tmpname()
      local text = ("0123456789\n"):rep(50000)
      local file = assert(io.open(path, "w"))
      file:write(text)
      file:close()
      local sent = web.curl(site, "--data-binary", "@" .. path, "/")
      local chunked = web.curl(site, "-H", "Transfer-Encoding: chunked",
        "--data-binary", "@" .. path, "/")
      os.remove(path)
      assert.is_true(text == sent)
      assert.is_true(text == chunked)
    end)
  end)

  it("keep-alive: several requests come on one connection", function()
    web.serve({ ["/"] = hello }, nil, function(site)
      local url = ("http://127.0.0.1:%d/"):format(site.port)
      local out = web.curl(site, "-w", " %{num_connects}\n", url, url, "/")
      assert.equal("hello 1\nhello 0\nhello 0\n", out)
    end)
  end)

  it("pipelined requests are answered in order, though they run at once", function()
    local running, met, ended = 0, uvjobs.event(), {}
    for i = 1, 6 do ended[i] = uvjobs.event() end
    ended[6]:set()
    web.serve({ ["/"] = function(stream, headers)
      local n = tonumber(headers:get ":path":match "%d+")
      running = running + 1
      if running == 5 then met:set() end
      met:wait()
      ended[n + 1]:wait() -- the last is ready first
      ended[n]:set()
      respond(stream, "200", "answer " .. n)
    end }, nil, function(site)
      local socket = web.connect(site)
      local texts = {}
      for i = 1, 5 do texts[i] = web.get("/?" .. i) end
      web.send(socket, table.concat(texts))
      for i = 1, 5 do
        local status, body = web.read_response(socket)
        assert.equal("200", status)
        assert.equal("answer " .. i, body)
      end
      socket:close()
    end)
  end)

  it("a body in chunks goes out as it is made", function()
    web.serve({ ["/"] = function(stream)
      local headers = require "http.headers".new()
      headers:append(":status", "200")
      assert(stream:write_headers(headers, false))
      for i = 1, 5 do
        assert(stream:write_chunk(("part %d\n"):format(i), false))
        uvjobs.sleep(0.001)
      end
      assert(stream:write_chunk("end", true))
    end }, nil, function(site)
      local out = web.curl(site, "-i", "/")
      assert.matches("transfer%-encoding:[^\n]*chunked", out)
      assert.matches("part 1\npart 2\npart 3\npart 4\npart 5\nend$", out)
    end)
  end)

  it("HEAD, and HTTP/1.0", function()
    web.serve({ ["/"] = hello }, nil, function(site)
      assert.matches("^HTTP/1.1 200", (web.curl(site, "-I", "/")))
      assert.matches("^HTTP/1.0 200.*hello$", (web.curl(site, "-0", "-i", "/")))
      assert.matches("^HTTP/1.0 200.*hello$", web.raw(site, "GET / HTTP/1.0\r\n\r\n"))
    end)
  end)

  it("a slow client gets its answer", function()
    web.serve({ ["/"] = echo }, nil, function(site)
      local socket = web.connect(site)
      local text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
      for piece in text:gmatch "." do
        web.send(socket, piece)
        uvjobs.sleep(0.0005)
      end
      local status, body = web.read_response(socket)
      assert.equal("200", status)
      assert.equal("hello", body)
      socket:close()
    end)
  end)

  it("lua-http's own client works in jobs, many at once", function()
    web.serve({ ["/"] = function(stream)
      uvjobs.sleep(0.002)
      hello(stream)
    end }, nil, function(site)
      local uri = ("http://127.0.0.1:%d/"):format(site.port)
      local bodies = uvjobs.map({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, function()
        local headers, stream = assert(require "http.request".new_from_uri(uri):go())
        assert.equal("200", headers:get ":status")
        local body = assert(stream:get_body_as_string())
        return body
      end)
      for i = 1, 10 do assert.equal("hello", bodies[i]) end
    end)
  end)

  it("a client's request can come to a deadline", function()
    local started = false
    web.serve({ ["/"] = function()
      started = true
      uvjobs.sleep(60)
    end }, { wait_timeout = 0.01 }, function(site)
      local request = require "http.request".new_from_uri(
        ("http://127.0.0.1:%d/"):format(site.port))
      local jobs <close> = uvjobs.scheduler()
      local client = jobs:spawn(request.go, request)
      web.wait_until(function() return started end, "the handler")
      helper.raises("timeout", client.wait, client, 0)
      helper.raises("timeout", uvjobs.timeout, 0.01, request.go, request)
    end)
  end)
end)

describe("http.spawn, shield and the schedulers", function()
  after_each(web.check_clean)

  it("spawn runs a job on the server's scheduler, beyond the response", function()
    local go, done = uvjobs.event(), false
    web.serve({ ["/"] = function(stream)
      local job = http.spawn(stream, { name = "later" }, function(a, b)
        go:wait()
        done = a + b
      end, 1, 2)
      assert(job.scheduler == http.get_scheduler(stream))
      respond(stream, "202", job.name)
    end }, nil, function(site)
      assert.equal("later", (web.curl(site, "/")))
      assert.is_false(done)
      go:set()
    end)
    assert.equal(3, done)
  end)

  it("shield gives the results, and raises the errors", function()
    web.serve({ ["/"] = function(stream)
      local sum = http.shield(stream, function(a, b)
        uvjobs.sleep(0.001)
        return a + b
      end, 1, 2)
      local ok, err = pcall(http.shield, stream, error, "as it is", 0)
      respond(stream, "200", ("%d %s %s"):format(sum, ok, err))
    end }, nil, function(site)
      assert.equal("3 false as it is", (web.curl(site, "/")))
    end)
  end)

  it("get_scheduler finds the scheduler of the stream, and of the server", function()
    local found
    web.serve({ ["/"] = function(stream)
      found = { http.get_scheduler(stream), http.get_scheduler_from_stream(stream) }
      hello(stream)
    end }, { name = "web" }, function(site)
      web.curl(site, "/")
      assert.same({ site.scheduler, site.scheduler }, found)
      assert.equal(site.scheduler, http.get_scheduler_from_server(site.server))
      assert.equal("web", site.scheduler.name)
    end)
  end)

  it("without one there is nil, or an error", function()
    for _, value in ipairs { {}, "x", 5, print } do
      assert.is_nil(http.get_scheduler_from_stream(value))
      assert.is_nil(http.get_scheduler_from_server(value))
      for _, name in ipairs { "get_scheduler", "spawn", "shield" } do
        assert.matches("belongs to no server", message(http[name], value, print))
      end
    end
  end)

  it("atomic works where there is no request, too", function()
    local handler = http.atomic(function(...) return select("#", ...), ... end)
    assert.same({ 3, 1, 2, 3 }, { handler(1, 2, 3) })
    assert.equal("bad argument #1 to 'atomic' (function expected, got nil)",
      message(http.atomic))
  end)

  it("several servers share a scheduler, and its limit", function()
    uvjobs.run(function()
      local shared <close> = uvjobs.scheduler { limit = 2 }
      local running, most, both = 0, 0, uvjobs.event()
      local routes = { ["/"] = function(stream)
        running = running + 1
        most = math.max(most, running)
        if running == 2 then both:set() end
        both:wait() -- the first two meet
        uvjobs.yield()
        running = running - 1
        hello(stream)
      end }
      web.with_server(routes, { scheduler = shared }, function(first)
        web.with_server(routes, { scheduler = shared }, function(second)
          assert.equal(shared, first.scheduler)
          assert.equal(shared, second.scheduler)
          uvjobs.map({ first, second, first, second, first, second }, function(site)
            assert.equal("hello", (web.curl(site, "/")))
          end)
        end)
        assert.is_false(shared.closed)
        assert.equal("hello", (web.curl(first, "/")))
      end)
      assert.equal(2, most)
      assert.is_false(shared.closed)
    end)
  end)

  it("several servers have one each", function()
    uvjobs.run(function()
      web.with_server({ ["/"] = hello }, nil, function(first)
        web.with_server({ ["/"] = hello }, nil, function(second)
          assert.are_not.equal(first.scheduler, second.scheduler)
          assert.equal("hello", (web.curl(first, "/")))
          assert.equal("hello", (web.curl(second, "/")))
        end)
        assert.equal("hello", (web.curl(first, "/")))
        assert.is_false(first.scheduler.closed)
      end)
    end)
  end)
end)

describe("misuse", function()
  after_each(web.check_clean)

  -- A server, which is closed afterwards.
  local function with_socket(fn)
    uvjobs.run(function()
      local server = assert(http_server.listen {
        host = "127.0.0.1", port = 0, tls = false, onstream = print,
      })
      fn(server)
      server:close()
    end)
  end

  it("of setup is refused", function()
    assert.equal("bad argument #1 to 'setup' (server of lua-http expected, got nil)",
      message(http.setup))
    assert.equal("bad argument #1 to 'setup' (server of lua-http expected, got table)",
      message(http.setup, {}))
    with_socket(function(server)
      assert.equal("bad argument #2 to 'setup' (table expected, got number)",
        message(http.setup, server, 5))
      assert.matches("option 'cancel_on_disconnect': boolean expected, got 'no'",
        message(http.setup, server, { cancel_on_disconnect = "no" }))
      assert.matches("option 'scheduler': uvjobs.Scheduler expected, got table",
        message(http.setup, server, { scheduler = {} }))
      assert.matches("option 'limit' is for a new scheduler",
        message(http.setup, server, { scheduler = uvjobs.scheduler(), limit = 5 }))
      assert.equal("bad argument #2 to 'setup' (unknown option 'limitt', did you mean 'limit'?)",
        message(http.setup, server, { limitt = 5 }))
      for name, near in pairs { retry_aftr = "retry_after", header_timout = "header_timeout",
        pending_limt = "pending_limit" } do
        assert.equal(("bad argument #2 to 'setup' (unknown option '%s', did you mean '%s'?)")
          :format(name, near), message(http.setup, server, { [name] = 5 }))
      end
      for _, name in ipairs { "header_timeout", "body_timeout", "request_timeout" } do
        assert.matches(("option '%s': seconds >= 0 or math.huge expected, got %%-1"):format(name),
          message(http.setup, server, { [name] = -1 }))
      end
      assert.matches("option 'max_body': integer >= 0 or math.huge expected, got 0.5",
        message(http.setup, server, { max_body = 0.5 }))
      assert.matches("option 'on_end': function expected, got 'x'",
        message(http.setup, server, { on_end = "x" }))
      for _, case in ipairs {
        { -1, "seconds >= 0 expected, got -1" }, { 0 / 0, "seconds >= 0 expected, got nan" },
        { math.huge, "finite seconds >= 0 expected, got inf" },
      } do
        assert.equal(("bad argument #2 to 'setup' (option 'retry_after': %s)"):format(case[2]),
          message(http.setup, server, { retry_after = case[1] }))
      end
      assert.is_nil(http.get_scheduler_from_server(server)) -- nothing was done
      http.setup(server)
      assert.equal("bad argument #1 to 'setup' (the server has been set up already)",
        message(http.setup, server))
    end)
  end)

  it("of serve is refused", function()
    assert.equal("bad argument #1 to 'serve' (server of lua-http expected, got nil)",
      message(http.serve))
    with_socket(function(server)
      assert.equal("bad argument #1 to 'serve' (the server has not been set up)",
        message(http.serve, server))
    end)
    local site = web.serve({}, nil, function(site)
      uvjobs.yield()
      assert.equal("bad argument #1 to 'serve' (the server is being served already)",
        message(http.serve, site.server))
    end)
    assert.matches("must be called in a job", message(http.serve, site.server))
  end)
end)
