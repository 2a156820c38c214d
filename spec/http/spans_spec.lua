-- The spans of requests, and the header traceparent.
local web = require "spec.http.helper"
local uvjobs = require "uvjobs"
local http = require "uvjobs.http"
local insight = require "uvjobs.insight"
local span = require "uvjobs.insight.span"

local TRACE <const> = "4bf92f3577b34da6a3ce929d0e0e4736"
local REMOTE <const> = "00-" .. TRACE .. "-00f067aa0ba902b7-01"

local sink

-- Calls fn(url, got) while a server answers with the status in the path; `got` has what came.
local function serving(fn)
  local got = {}
  uvjobs.run(function()
    uvjobs.timeout(600, function()
      local server <close> = http.server { port = 0, stop_timeout = 0.1,
        exception_handler = function() end,
        onstream = function(_, stream)
          local headers = assert(stream:get_headers())
          got.header, got.current = headers:get "traceparent", insight.traceparent()
          local status = headers:get(":path"):match "^/(%d+)"
          if not status then error "no status" end
          http.respond(stream, status, "text")
        end,
      }
      fn(server:url(), got)
    end)
  end)
end

-- The server may end its span after the client has the response.
local function find(name, kind)
  return web.wait_until(function()
    for _, one in ipairs(sink.list) do
      if one.name == name and one.kind == kind then return one end
    end
  end, name)
end

local function take()
  sink = { sample = 1, list = {}, add = function(self, one) table.insert(self.list, one) end }
  span.set_sink(sink)
end

describe("the spans of requests", function()
  after_each(function()
    span.set_sink(nil)
    web.check_clean()
  end)

  it("lead from the one who sends to the one who answers", function()
    serving(function(url, got)
      take()
      insight.span("order", nil, function() assert(http.fetch(url .. "200?secret=1")) end)
      local order, client, server = find "order", find("GET", span.CLIENT), find("GET", span.SERVER)
      assert.same({ order.id, client.id }, { client.parent, server.parent })
      assert.same({ order.trace, order.trace }, { client.trace, server.trace })
      assert.equal(("00-%s-%s-01"):format(client.trace, client.id), got.header)
      assert.equal(("00-%s-%s-01"):format(server.trace, server.id), got.current)
      assert.same({ ["http.request.method"] = "GET", ["url.path"] = "/200",
        ["http.response.status_code"] = 200 }, server.attributes)
      assert.same({ ["http.request.method"] = "GET", ["http.response.status_code"] = 200,
        ["server.address"] = "127.0.0.1", ["server.port"] = tonumber(url:match ":(%d+)/") },
        client.attributes)
      assert.is_nil(client.problem or server.problem)
    end)
  end)

  it("say what has gone wrong", function()
    serving(function(url)
      take()
      insight.span("order", nil, function()
        assert(http.fetch(url .. "404"))
        assert.equal("404", find("GET", span.CLIENT).problem)
        assert.is_nil(find("GET", span.SERVER).problem)
        sink.list = {}
        assert(http.fetch(url .. "503", { method = "POST" }))
        assert.equal("503", find("POST", span.CLIENT).problem)
        assert.equal("503", find("POST", span.SERVER).problem)
        assert(http.fetch(url .. "error", { method = "PUT" }))
        assert.equal("error", find("PUT", span.SERVER).problem)
        assert.is_nil((http.fetch("http://127.0.0.1:1/", { method = "DELETE" })))
        assert.equal("network", find("DELETE", span.CLIENT).problem)
      end)
    end)
  end)

  it("follow the client, as it has decided, and nobody who sends what is no traceparent", function()
    serving(function(url, got)
      take()
      local function get(traceparent)
        assert(http.fetch(url .. "200", { headers = { traceparent = traceparent } }))
      end
      get(REMOTE)
      assert.equal(TRACE, find("GET", span.SERVER).trace)
      sink.list = {}
      get((REMOTE:gsub("01$", "00")))
      assert.matches("^00%-" .. TRACE .. "%-%x+%-00$", got.current)
      for _, text in ipairs { "x", "00-" .. TRACE, REMOTE:gsub("^00", "ff"), REMOTE .. "-x" } do
        get(text)
        assert.matches("^00%-%x+%-%x+%-01$", got.current)
        assert.is_nil(got.current:find(TRACE, 1, true))
      end
      for _, one in ipairs(sink.list) do assert.is_nil(one.parent) end
    end)
  end)

  it("are not there where nobody takes them, but a trace that is followed goes on", function()
    serving(function(url, got)
      assert(http.fetch(url .. "200"))
      assert.same({}, got)
      insight.follow(REMOTE, http.fetch, url .. "200")
      assert.same({ header = REMOTE }, got)
      insight.follow(REMOTE, http.fetch, url .. "200", { headers = { TraceParent = "own" } })
      assert.same({ header = "own" }, got)
    end)
  end)

  it("are not made of requests that belong to no span", function()
    serving(function(url, got)
      take()
      assert(http.fetch(url .. "200"))
      assert.equal(span.SERVER, find("GET", span.SERVER).kind)
      assert.is_nil(got.header)
      assert.equal(1, #sink.list)
    end)
  end)
end)
