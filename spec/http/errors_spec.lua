-- Errors in handlers and in connections do not end the server.
local web = require "spec.http.helper"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local new_headers = require "http.headers".new

local respond = web.respond

local function hello(stream)
  respond(stream, "200", "hello")
end

local function is_alive(site)
  assert.equal("hello", (web.curl(site, "/good")))
end

describe("an error in a handler", function()
  after_each(web.check_clean)

  it("is answered by 500, reported once, and the server goes on", function()
    local site = web.serve({
      ["/"] = function() error("broken", 0) end, ["/good"] = hello,
    }, nil, function(site)
      local out = web.curl(site, "-i", "/")
      assert.matches("^HTTP/1.1 500", out)
      is_alive(site)
    end)
    assert.equal(1, #site.reports)
    assert.equal("Job processing failed", site.reports[1].message)
    assert.equal("broken", site.reports[1].exception)
    assert.equal("failed", site.reports[1].job.state)
  end)

  it("may be any value", function()
    local value = setmetatable({}, { __tostring = function() error "no text" end })
    local site = web.serve({
      ["/"] = function() error(value) end, ["/nil"] = function() error(nil) end,
      ["/good"] = hello,
    }, nil, function(site)
      assert.matches("^HTTP/1.1 500", (web.curl(site, "-i", "/")))
      assert.matches("^HTTP/1.1 500", (web.curl(site, "-i", "/nil")))
      is_alive(site)
    end)
    assert.equal(value, site.reports[1].exception)
  end)

  it("cuts the connection when the response has begun", function()
    local site = web.serve({ ["/"] = function(stream)
      local headers = new_headers()
      headers:append(":status", "200")
      headers:append("content-length", "100")
      assert(stream:write_headers(headers, false))
      assert(stream:write_chunk("begun", false))
      error "too late"
    end, ["/good"] = hello }, nil, function(site)
      local out, code = web.curl(site, "/")
      assert.equal("begun", out)
      assert.equal(18, code) -- a part of the file only
      is_alive(site)
    end)
    assert.equal(1, #site.reports)
  end)

  it("before the headers are read is answered, and not repeated", function()
    local calls = 0
    local site = web.serve(function()
      calls = calls + 1
      error "at once"
    end, nil, function(site)
      local socket = web.connect(site)
      web.send(socket, web.get "/")
      assert.matches("^HTTP/1.1 500", socket:xread "*l")
      uvjobs.sleep(0.1) -- in which it could be repeated
      socket:close()
    end)
    assert.equal(1, calls)
    assert.equal(1, #site.reports)
  end)

  it("of one pipelined request leaves those before it their answers", function()
    web.serve({ ["/"] = function() error "broken" end, ["/good"] = hello }, nil, function(site)
      local socket = web.connect(site)
      web.send(socket, web.get "/good" .. web.get "/" .. web.get "/good")
      local status, body = web.read_response(socket)
      socket:close()
      assert.equal("200", status)
      assert.matches("^hello", body)
    end)
  end)

  it("a handler that returns without an answer is called once: 500, and a report", function()
    local calls = 0
    local site = web.serve(function(_, stream)
      calls = calls + 1
      if calls > 1 then
        stream:get_headers()
        hello(stream)
      end
    end, nil, function(site)
      assert.matches("^HTTP/1.1 500", (web.curl(site, "-i", "/")))
      assert.equal(1, calls)
      is_alive(site)
      assert.equal(2, calls)
    end)
    assert.equal(1, #site.reports)
    assert.equal("HTTP handler gave no response", site.reports[1].message)
  end)

  it("a job that is cancelled by somebody else: 500, and no report", function()
    local job
    local site = web.serve({ ["/"] = function()
      job = uvjobs.current()
      uvjobs.sleep(60)
    end, ["/good"] = hello }, nil, function(site)
      local socket = web.connect(site)
      web.send(socket, web.get "/")
      web.wait_until(function() return job end, "the handler")
      job:close()
      socket:xread "*a"
      socket:close()
      is_alive(site)
    end)
    assert.equal(0, #site.reports)
  end)

  it("a deadline in a handler that goes through is an error like any other", function()
    local site = web.serve({ ["/"] = function()
      uvjobs.timeout(0.002, uvjobs.sleep, 60)
    end, ["/good"] = hello }, nil, function(site)
      assert.matches("^HTTP/1.1 500", (web.curl(site, "-i", "/")))
      is_alive(site)
    end)
    assert.equal("timeout", uvjobs.code(site.reports[1].exception))
  end)

  it("a handler that takes longer than intra_stream_timeout is not cut off", function()
    web.serve({ ["/"] = function(stream)
      uvjobs.sleep(0.1)
      hello(stream)
    end }, { intra_stream_timeout = 0.01 }, function(site)
      local socket = web.connect(site)
      web.send(socket, web.get "/" .. web.get "/")
      for _ = 1, 2 do
        local status, body = web.read_response(socket)
        assert.equal("200", status)
        assert.equal("hello", body)
      end
      socket:close()
    end)
  end)

  it("a connection that asks for nothing is closed after intra_stream_timeout", function()
    web.serve({ ["/"] = hello }, { intra_stream_timeout = 0.01 }, function(site)
      local socket = web.connect(site)
      web.send(socket, web.get "/")
      assert.equal("200", (web.read_response(socket)))
      assert.is_nil(socket:xread(1))
      socket:close()
    end)
  end)
end)

describe("an error in a connection", function()
  after_each(web.check_clean)

  it("goes to onerror, when there is one", function()
    local errors = {}
    local site = web.serve({ ["/good"] = hello }, { version = 2,
      onerror = function(_, _, op) errors[#errors + 1] = op end }, function(site)
      web.raw(site, "this is no preface of HTTP/2\r\n\r\n")
      web.wait_until(function() return errors[1] end, "the error")
    end)
    assert.same({}, site.reports)
  end)

  it("is not reported otherwise: clients may do what they like", function()
    local site = web.serve({ ["/good"] = hello }, { version = 2 }, function(site)
      web.raw(site, "this is no preface of HTTP/2\r\n\r\n")
      web.wait_until(function() return site.server.n_connections == 0 end, "the end")
    end)
    assert.same({}, site.reports)
  end)

  it("that lua-http raises is reported, and leaves no descriptor", function()
    local site = web.serve({ ["/good"] = hello }, nil, function(site)
      local onidle = require "http.h1_connection".methods.onidle
      local _ <close> = helper.closing(function()
        require "http.h1_connection".methods.onidle = onidle
      end)
      local before = web.descriptors()
      require "http.h1_connection".methods.onidle = function() error("raised", 0) end
      assert.equal("", web.raw(site, web.get "/good"))
      assert.equal(0, site.server.n_connections)
      assert.equal(before, web.descriptors())
    end)
    assert.equal("HTTP connection failed", site.reports[1].message)
    assert.equal("raised", site.reports[1].exception)
  end)

  it("an onerror that raises does not end the server", function()
    local calls = 0
    local site = web.serve({ ["/good"] = hello }, { version = 2, onerror = function()
      calls = calls + 1
      error "from onerror"
    end }, function(site)
      for _ = 1, 3 do web.raw(site, "this is no preface of HTTP/2\r\n\r\n") end
      web.wait_until(function() return calls == 3 end, "the errors")
      assert.equal("hello", (web.curl(site, "--http2-prior-knowledge", "/good")))
    end)
    assert.equal(3, #site.reports)
    assert.equal("HTTP error handler failed", site.reports[1].message)
  end)
end)

describe("malformed requests", function()
  after_each(web.check_clean)

  local seed = tonumber(os.getenv "UVJOBS_SEED") or os.time()

  local GOODS <const> = {
    web.get("/good", "Accept: */*\r\nX-Y: z\r\nTE: trailers\r\n"),
    "POST /good HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTE: trailers\r\n\r\nabc",
    "POST /good HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
  }
  local GOOD = GOODS[1]

  local function random_text()
    local bytes = {}
    for i = 1, math.random(0, 80) do bytes[i] = string.char(math.random(0, 255)) end
    return table.concat(bytes)
  end

  local MUTATIONS <const> = {
    random_text,
    function() return random_text() .. "\r\n\r\n" end,
    function() return GOOD:sub(1, math.random(#GOOD)) end,
    function() -- some bytes changed
      local text = GOOD
      for _ = 1, math.random(4) do
        local at = math.random(#text)
        text = text:sub(1, at - 1) .. string.char(math.random(0, 255)) .. text:sub(at + 1)
      end
      return text
    end,
    function() -- a piece cut out, or doubled
      local from = math.random(#GOOD)
      local to = math.random(from, #GOOD)
      return math.random() < 0.5 and GOOD:sub(1, from - 1) .. GOOD:sub(to + 1) or
        GOOD:sub(1, to) .. GOOD:sub(from)
    end,
    function() return GOOD .. random_text() end,
    function() return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" .. random_text() end,
    function() return "\22\3\1\2\0\1" .. random_text() end,
  }

  -- With plain lua-http each of these would hold the loop for ever.
  for _, text in ipairs {
    "POST /good HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    "POST /good HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc",
    "POST /good HTTP/1.1\r\nTransfer-Encoding: ,;\r\n\r\n",
  } do
    it("a body that makes no sense: " .. text:match "\n([^\r]*)", function()
      local site = web.serve({ ["/good"] = hello }, nil, function(site)
        local socket = web.connect(site)
        socket:xwrite(text, "bn")
        socket:shutdown "w"
        socket:xread "*a"
        socket:close()
        is_alive(site)
      end)
      assert.equal(0, site.server.n_connections)
    end)
  end

  it("thousands of them: good ones are answered all the time", function()
    math.randomseed(seed)
    local served = 0
    local ok, err = pcall(web.serve, { ["/good"] = function(stream)
      served = served + 1
      hello(stream)
    end }, { exception_handler = helper.ignore }, function(site)
      local jobs <close> = uvjobs.scheduler { limit = 20 }
      for i = 1, 3000 do
        GOOD = GOODS[math.random(#GOODS)]
        local text = MUTATIONS[math.random(#MUTATIONS)]()
        jobs:spawn(function()
          local socket = web.connect(site)
          socket:xwrite(text, "bn")
          if i % 3 == 0 then
            socket:shutdown "w"
            socket:xread "*a"
          end
          socket:close()
        end)
        if i % 500 == 0 then is_alive(site) end
      end
      jobs:wait_and_close()
      is_alive(site)
      web.wait_until(function() return site.server.n_connections == 0 end, "the connections")
    end)
    assert.is_true(ok, ("UVJOBS_SEED=%d: %s"):format(seed, tostring(err)))
    assert.is_true(served > 7)
  end)
end)
