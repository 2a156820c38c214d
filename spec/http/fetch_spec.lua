-- http.fetch: requests to servers of our own, good and bad ones.
local web = require "spec.http.helper"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local http = require "uvjobs.http"
local cqueues_socket = require "cqueues.socket"

local message, raises = helper.message, helper.raises

-- Calls fn(server) while a server has these routes.
local function with_routes(routes, fn, options)
  options = options or {}
  options.port, options.stop_timeout = 0, 0.1
  function options.onstream(_, stream)
    local headers = assert(stream:get_headers())
    local route = routes[headers:get ":path"]
    if not route then return http.respond(stream, 404, "none") end
    route(stream, headers)
  end
  uvjobs.run(function()
    uvjobs.timeout(600, function()
      local server <close> = http.server(options)
      fn(server)
    end)
  end)
end

-- Calls fn(url) while a server sends this text to each client, and closes the connection
-- then, or keeps it.
local function with_text(text, keeps, fn)
  uvjobs.run(function()
    local listening = cqueues_socket.listen("127.0.0.1", 0)
    assert(listening:listen())
    local _, _, port = listening:localname()
    local jobs <close> = uvjobs.scheduler()
    jobs:spawn(function()
      while true do
        local socket = listening:accept()
        local _ <close> = helper.closing(function() socket:close() end)
        socket:onerror(function(_, _, why) return why end)
        socket:setmode("b", "bn")
        repeat local line = socket:xread "*l" until not line or line == "\r" or line == ""
        socket:xwrite(text, "bn")
        if keeps then socket:xread(1) end
      end
    end)
    fn(("http://127.0.0.1:%d/"):format(port))
    jobs:close()
    listening:close()
  end)
end

local function fails(code, what, ...)
  local response, why, got = http.fetch(...)
  assert.is_nil(response)
  assert.equal(code, got)
  assert.matches(what, why)
end

describe("http.fetch", function()
  after_each(web.check_clean)

  it("returns status, headers and body, also of an error", function()
    with_routes({ ["/"] = function(stream)
      http.respond(stream, 200, "hello", { ["X-A"] = { "1", "2" } })
    end }, function(server)
      local response = assert(http.fetch(server:url()))
      assert.equal(200, response.status)
      assert.equal("hello", response.body)
      assert.equal("1, 2", response.headers["x-a"])
      assert.equal("1", response.all_headers:get "x-a")
      assert.equal(server:url(), response.url)
      assert.equal(404, http.fetch(server:url "/none").status)
    end)
  end)

  it("sends method, headers and body, small and large", function()
    with_routes({ ["/"] = function(stream, headers)
      http.respond(stream, 200, ("%s %s %s"):format(headers:get ":method",
        headers:get "x-a", stream:get_body_as_string()))
    end }, function(server)
      for _, version in ipairs { 1.1, 2 } do
        for _, body in ipairs { "", "abc", ("x"):rep(300000) } do
          local response = assert(http.fetch(server:url(), {
            method = "put", headers = { ["X-A"] = 5 }, body = body, version = version,
          }))
          assert.equal("PUT 5 " .. body, response.body)
        end
      end
    end)
  end)

  it("follows redirects, as many as it may", function()
    with_routes({
      ["/a"] = function(stream) http.respond(stream, 301, nil, { location = "/b" }) end,
      ["/b"] = function(stream) http.respond(stream, 302, "x", { location = "c" }) end,
      ["/c"] = function(stream, headers) http.respond(stream, 200, headers:get ":method") end,
      ["/loop"] = function(stream) http.respond(stream, 302, nil, { location = "/loop" }) end,
      ["/bad"] = function(stream) http.respond(stream, 302, nil, { location = "ftp://a/" }) end,
    }, function(server)
      local response = assert(http.fetch(server:url "/a", { method = "POST", body = "x" }))
      assert.equal("GET", response.body)
      assert.equal(server:url "/c", response.url)
      assert.equal(301, http.fetch(server:url "/a", { redirects = 0 }).status)
      fails("redirects", "too many redirects", server:url "/a", { redirects = 1 })
      fails("redirects", "too many redirects", server:url "/loop")
      fails("redirects", "unknown scheme", server:url "/bad")
    end)
  end)

  it("keeps what is secret from other servers", function()
    local got
    with_routes({ ["/"] = function(stream, headers)
      got = headers:has "authorization" or headers:has "cookie"
      http.respond(stream, 200)
    end }, function(second)
      local first <close> = http.server { port = 0, onstream = function(_, stream)
        http.respond(stream, 302, nil, { location = second:url() })
      end }
      assert(http.fetch(first:url(), { headers = { Authorization = "a", Cookie = "b" } }))
      assert.is_false(got)
    end)
  end)

  it("gives up after its time, whatever the server does", function()
    with_routes({ ["/"] = function() uvjobs.sleep(60) end }, function(server)
      fails("timeout", "no response within 0.02 seconds", server:url(), { timeout = 0.02 })
    end)
    for _, text in ipairs { "", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab" } do
      with_text(text, true, function(url) fails("timeout", "0.02 s", url, { timeout = 0.02 }) end)
    end
  end)

  it("takes no more than max_body", function()
    with_routes({ ["/"] = function(stream) http.respond(stream, 200, "12345") end },
      function(server)
        assert.equal("12345", http.fetch(server:url(), { max_body = 5 }).body)
        fails("limit", "more than 4 bytes", server:url(), { max_body = 4 })
      end)
  end)

  it("returns what is wrong with a server", function()
    for _, text in ipairs { "", "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
      "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nab",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: ,;\r\n\r\nab" } do
      with_text(text, false, function(url) fails("network", "^GET http://", url) end)
    end
  end)

  it("says what is wrong with a response, in plain words", function()
    for text, what in pairs {
      ["garbage\r\n\r\n"] = "the response is malformed", [""] = "the connection has ended",
      ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"] = "the body was cut",
    } do
      with_text(text, false, function(url)
        fails("network", "^GET " .. url .. ": " .. what, url)
      end)
    end
  end)

  it("says which server cannot be connected to", function()
    uvjobs.run(function()
      for url, what in pairs {
        ["http://127.0.0.1:1/a"] = "127.0.0.1:1: Connection refused",
        ["https://127.0.0.1:1/a"] = "127.0.0.1:1: Connection refused",
        ["http://no-such-host.invalid/a"] = "no-such-host.invalid:80: ",
      } do
        local _, why, code = http.fetch(url, { proxy = false })
        local expected = ("GET %s: cannot connect to %s"):format(url, what)
        assert.same({ "network", expected }, { code, why:sub(1, #expected) })
        assert.is_nil(why:find "\n")
      end
    end)
  end)

  it("takes a body that ends with the connection", function()
    with_text("HTTP/1.0 200 OK\r\n\r\nhello", false, function(url)
      assert.equal("hello", http.fetch(url).body)
    end)
  end)

  it("closes its socket when it is cancelled, and when its deadline comes", function()
    local began = 0
    with_routes({ ["/"] = function()
      began = began + 1
      uvjobs.sleep(60)
    end }, function(server)
      local jobs <close> = uvjobs.scheduler()
      local before = web.descriptors()
      local job = jobs:spawn(http.fetch, server:url())
      web.wait_until(function() return began == 1 end, "the request")
      job:close()
      raises("timeout", uvjobs.timeout, 0.02, http.fetch, server:url())
      web.wait_until(function() return server.server.n_connections == 0 end, "the end")
      assert.equal(before, web.descriptors())
    end)
  end)

  it("leaves no descriptor when it is cancelled while it connects, or reads", function()
    with_text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", true, function(url)
      local jobs <close> = uvjobs.scheduler()
      local before = web.descriptors()
      for yields = 0, 20 do
        local job = jobs:spawn(http.fetch, url)
        helper.yield(yields)
        job:close()
      end
      web.wait_until(function() return web.descriptors() <= before end, "the end")
    end)
  end)

  it("many at once, under a limit", function()
    with_routes({ ["/"] = function(stream) http.respond(stream, 200, "hello") end },
      function(server)
        local urls = {}
        for i = 1, 200 do urls[i] = server:url() end
        local bodies = uvjobs.map(urls, function(url)
          local response = assert(http.fetch(url))
          return response.body
        end, { limit = 20 })
        for i = 1, 200 do assert.equal("hello", bodies[i]) end
      end)
  end)

  it("refuses misuse", function()
    uvjobs.run(function()
      local function refused(n, what, ...)
        assert.equal(("bad argument #%d to 'fetch' (%s)"):format(n, what), message(http.fetch, ...))
      end
      refused(1, "string expected, got nil")
      refused(1, "URL of http or https expected, got 'ftp://a/'", "ftp://a/")
      refused(1, "URL of http or https expected, got 'http://a b/'", "http://a b/")
      refused(1, "URL of http or https expected, got 'http:///'", "http:///")
      refused(2, "table expected, got number", "http://a/", 5)
      refused(2, "unknown option 'timeot', did you mean 'timeout'?", "http://a/", { timeot = 1 })
      refused(2, "option 'timeout': seconds >= 0 or math.huge expected, got nan", "http://a/",
        { timeout = 0 / 0 })
      refused(2, "option 'method': name of a method expected, got 'A B'", "http://a/",
        { method = "A B" })
      refused(2, "option 'headers': field 'a': string in one line expected", "http://a/",
        { headers = { a = "b\r\nc" } })
      refused(2, "option 'redirects': integer >= 0 expected, got -1", "http://a/",
        { redirects = -1 })
    end)
    assert.matches("must be called in a job", message(http.fetch, "http://a/"))
  end)
end)
