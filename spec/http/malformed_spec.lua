-- Requests that make no sense: each gets its status, and leaves nothing.
local web = require "spec.http.helper"

local HOST <const> = " HTTP/1.1\r\nHost: a\r\n"
local CHUNKED <const> = "POST /" .. HOST .. "Transfer-Encoding: chunked\r\n\r\n"

local function get(fields)
  return "GET /" .. HOST .. fields .. "\r\n"
end

local function post(fields, body)
  return "POST /" .. HOST .. fields .. "\r\n" .. (body or "")
end

-- Name, text and status. The connection is not closed by the client.
local CASES <const> = {
  { "no request at all", "GARBAGE\r\n\r\n", "400" },
  { "a method alone", "GET\r\n\r\n", "400" },
  { "no version", "GET /\r\n\r\n", "400" },
  { "two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400" },
  { "a version that is not known", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505" },
  { "a method that is not known", "M-SEARCH *" .. HOST .. "\r\n", "501" },
  { "a byte that is not ASCII in the path", "GET /\200" .. HOST .. "\r\n", "400" },
  { "a control character in the path", "GET /\1" .. HOST .. "\r\n", "400" },
  { "a long path", "GET /" .. ("x"):rep(20000) .. HOST .. "\r\n", "414" },
  { "a line without an end", ("x"):rep(100000), "414" },
  { "line ends of Unix", "GET / HTTP/1.1\nHost: a\n\n", "400" },
  { "one line end of Unix", get "X: a\nY: b\r\n", "400" },
  { "no Host", "GET / HTTP/1.1\r\n\r\n", "400" },
  { "two Hosts", get "Host: b\r\n", "400" },
  { "a space before the colon", get "X : a\r\n", "400" },
  { "a folded line", get "X: a\r\n b\r\n", "400" },
  { "no colon", get "no colon\r\n", "400" },
  { "no name", get ": x\r\n", "400" },
  { "a zero byte in a field", get "X: a\0b\r\n", "400" },
  { "a name that is no token", get "X(y): a\r\n", "400" },
  { "many fields", get(("X: y\r\n"):rep(200)), "431" },
  { "a large field", get("X: " .. ("x"):rep(100000) .. "\r\n"), "431" },
  { "a field without an end", "GET /" .. HOST .. "X: " .. ("x"):rep(100000), "431" },
  { "an unknown expectation", post("Content-Length: 1\r\nExpect: magic\r\n", "a"), "417" },
  { "a negative length", post "Content-Length: -5\r\n", "400" },
  { "a length that is no number", post "Content-Length: x\r\n", "400" },
  { "an empty length", post "Content-Length:\r\n", "400" },
  { "a length with a sign", post("Content-Length: +1\r\n", "a"), "400" },
  { "a length in hexadecimal", post("Content-Length: 0x1\r\n", "a"), "400" },
  { "two lengths", post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"), "400" },
  { "a list of lengths", post("Content-Length: 1, 2\r\n", "ab"), "400" },
  { "a length beyond all limits", post("Content-Length: " .. ("9"):rep(30) .. "\r\n"), "413" },
  { "a length beyond the limit", post "Content-Length: 2000\r\n", "413" },
  { "a length and a coding", post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), "400" },
  { "a coding that makes no sense", post "Transfer-Encoding: ,;\r\n", "400" },
  { "a coding without an end", post "Transfer-Encoding: gzip\r\n", "400" },
  { "a coding that is not known", post "Transfer-Encoding: gzip, chunked\r\n", "501" },
  { "a coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "400" },
  { "a chunk without a size", CHUNKED .. "zz\r\n", "400" },
  { "a chunk of a negative size", CHUNKED .. "-1\r\n", "400" },
  { "a chunk of another size", CHUNKED .. "3\r\nabcd\r\n", "400" },
  { "a chunk of 4 GiB", CHUNKED .. "FFFFFFFF\r\n", "413" },
  { "a chunk beyond all limits", CHUNKED .. "FFFFFFFFFFFFFFFFFF\r\n", "413" },
  { "chunks beyond the limit", CHUNKED .. ("200\r\n" .. ("x"):rep(512) .. "\r\n"):rep(3), "413" },
}

-- Texts after which the client closes its sending side.
local CUT <const> = {
  { "nothing", "" }, { "half a request line", "GET /" }, { "half a head", "GET /" .. HOST },
  { "half a body", post("Content-Length: 9\r\n", "abc"), "400" },
  { "half a chunk", CHUNKED .. "9\r\nabc", "400" },
  { "half a chunked body", CHUNKED .. "3\r\nabc\r\n", "400" },
  { "half a preface of HTTP/2", "PRI * HTTP/2.0\r\n", "505" },
  { "half a TLS handshake", "\22\3\1\2\0\1" },
}

-- ---- HTTP/2 ----------------------------------------------------------------------------

local DATA <const>, HEADERS <const>, PRIORITY <const>, RESET <const> = 0, 1, 2, 3
local SETTINGS <const>, PROMISE <const>, PING <const>, GOAWAY <const> = 4, 5, 6, 7
local WINDOW <const>, CONTINUATION <const> = 8, 9
local PREFACE <const> = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

local function frame(kind, flags, id, payload)
  return string.pack(">I3 B B I4", #payload, kind, flags, id) .. payload
end

local START <const> = PREFACE .. frame(SETTINGS, 0, 0, "")
local GOOD <const> = frame(HEADERS, 5, 1, "\x82\x86\x84\x41\x01a") -- GET http://a/

-- The client closes the connection after a while.
local HTTP2 <const> = {
  { "no settings", PREFACE .. GOOD },
  { "headers on stream 0", START .. frame(HEADERS, 5, 0, "\x82") },
  { "an even stream", START .. frame(HEADERS, 5, 2, "\x82") },
  { "headers that cannot be decoded", START .. frame(HEADERS, 5, 1, "\xff\xff\xff\xff\xff") },
  { "no path", START .. frame(HEADERS, 5, 1, "\x82") },
  { "empty headers with padding", START .. frame(HEADERS, 0x2d, 1, "") },
  { "headers without an end", START .. frame(HEADERS, 1, 1, "\x82\x86") },
  { "a priority alone", START .. frame(PRIORITY, 0, 1, "\0\0\0\0\1") },
  { "data on an idle stream", START .. frame(DATA, 0, 1, "x") },
  { "data after the end", START .. GOOD .. frame(DATA, 8, 1, "") },
  { "a reset of an idle stream", START .. frame(RESET, 0, 1, "\0\0\0\0") },
  { "short settings", START .. frame(SETTINGS, 0, 0, "x") },
  { "an acknowledgment with settings", START .. frame(SETTINGS, 1, 0, "xxxxxx") },
  { "a promise", START .. frame(PROMISE, 4, 1, "\0\0\0\2") },
  { "a short ping", START .. frame(PING, 0, 0, "x") },
  { "a short goaway", START .. frame(GOAWAY, 0, 0, "x") },
  { "a window of 0", START .. frame(WINDOW, 0, 0, "\0\0\0\0") },
  { "a short window", START .. frame(WINDOW, 0, 1, "\0") },
  { "a continuation of nothing", START .. frame(CONTINUATION, 4, 1, "") },
  { "a frame that is too large", START .. string.pack(">I3 B B I4", 0xffffff, 0, 0, 1) },
  { "a reset at once", START .. GOOD .. frame(RESET, 0, 1, "\0\0\0\8") },
}

-- ---- the specs -------------------------------------------------------------------------

local function echo(_, stream)
  assert(stream:get_headers())
  web.respond(stream, "200", assert(stream:get_body_as_string()))
end

-- Calls fn(site), and asserts that nothing is left and nothing was reported.
local function clean(fn)
  local site = web.serve(echo, { max_body = 1000 }, function(site)
    local before = web.descriptors()
    fn(site)
    web.wait_until(function() return site.server.n_connections == 0 end, "the connections")
    web.wait_until(function() return #site.scheduler == 0 end, "the jobs")
    assert.equal(before, web.descriptors())
    local socket = web.connect(site)
    web.send(socket, web.get "/")
    assert.equal("200", (web.read_response(socket)))
    socket:close()
  end)
  assert.same({}, site.reports)
end

describe("a malformed request gets its status, and leaves nothing:", function()
  after_each(web.check_clean)

  for _, case in ipairs(CASES) do
    it(case[1] .. ": " .. case[3], function()
      clean(function(site)
        local out = web.raw(site, case[2])
        assert.equal(case[3], out:match "^HTTP/1%.1 (%d+)")
        assert.matches("\r\nconnection: close\r\n", out)
      end)
    end)
  end

  for _, case in ipairs(CUT) do
    it(case[1] .. ", and the end", function()
      clean(function(site)
        local socket = web.connect(site)
        socket:xwrite(case[2], "bn")
        socket:shutdown "w"
        local out = socket:xread "*a" or ""
        socket:close()
        assert.equal(case[3], out:match "^HTTP/1%.1 (%d+)")
      end)
    end)
  end

  it("after others on the same connection, it is answered in its turn", function()
    clean(function(site)
      local out = web.raw(site, web.get "/" .. web.get "/" .. "GARBAGE\r\n\r\n")
      assert.matches("^HTTP/1.1 200 .*HTTP/1.1 200 .*HTTP/1.1 400 ", out)
    end)
  end)
end)

describe("malformed frames of HTTP/2 leave nothing:", function()
  after_each(web.check_clean)

  for _, case in ipairs(HTTP2) do
    it(case[1], function()
      clean(function(site)
        local socket = web.connect(site)
        socket:settimeout(0.02)
        socket:xwrite(case[2], "bn")
        socket:xread "*a"
        socket:close()
      end)
    end)
  end
end)

describe("thousands of malformed requests", function()
  after_each(web.check_clean)

  it("leave no memory", function()
    clean(function(site)
      local function all()
        for _, case in ipairs(CASES) do
          if #case[2] < 1000 then web.raw(site, case[2]) end
        end
        collectgarbage()
        collectgarbage()
        return collectgarbage "count"
      end
      for _ = 1, 3 do all() end
      local before = all()
      for _ = 1, 10 do all() end
      local grown = all() - before
      assert.is_true(grown < 100, ("%.0f KB are left"):format(grown))
    end)
  end)
end)
