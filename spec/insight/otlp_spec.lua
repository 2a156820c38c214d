-- insight.span(), and insight.otlp(), which sends spans. All but one of these replace the
-- transport by a function.

local files = require "spec.files"
local helper = require "spec.helper"
local insight = require "uvjobs.insight"
local otlp = require "uvjobs.insight.otlp"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local URL <const> = "http://127.0.0.1:4318/v1/traces"
local REMOTE <const> = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

--- Runs fn(sent) under the virtual clock. `sent` gets the bodies of the requests, and
--- `sent.answer(n)` says what the n-th one gets.
local function virtual(fn)
  local sent, transport = { answer = function() return { status = 200 } end }, otlp.transport
  otlp.transport = function(url, options)
    assert(url == URL and options.headers["content-type"] == "application/json")
    sent[#sent + 1] = options.body
    return sent.answer(#sent)
  end
  local ok, err = xpcall(uvjobs.run, debug.traceback, { clock = "virtual" }, fn, sent)
  otlp.transport = transport
  if not ok then error(err, 0) end
end

local function new(options)
  options = options or {}
  options.url, options.service = URL, "shop"
  return insight.otlp(options)
end

local function nothing() end

local function spans(n)
  for _ = 1, n do insight.span("work", nil, nothing) end
end

--- How many spans bodies have.
local function count(sent)
  local n = 0
  for _, body in ipairs(sent) do n = n + select(2, body:gsub('"spanId"', "")) end
  return n
end

local function field(body, name, key)
  for one in body:gmatch '{"attributes".-"traceId":"%x+"}' do
    if one:find(('"name":"%s"'):format(name), 1, true) then
      return one:match(('"%s":"?([^",}]*)'):format(key))
    end
  end
end

describe("insight.span", function()
  after_each(helper.check_clean)

  it("calls the function, with and without anybody who takes spans", function()
    local function sum(a, b) return a + b, insight.traceparent() end
    assert.same({ 3 }, { insight.span("sum", nil, sum, 1, 2) })
    virtual(function()
      assert.same({ 3 }, { insight.span("sum", { a = 1 }, sum, 1, 2) })
      local _ <close> = new()
      local n, parent = insight.span("sum", nil, sum, 1, 2)
      assert.equal(3, n)
      assert.matches("^00%-%x+%-%x+%-01$", parent)
      assert.equal(55, #parent)
      assert.is_nil(insight.traceparent())
    end)
  end)

  it("is within the one around it, also in jobs that are spawned there", function()
    virtual(function(sent)
      local exporter = new()
      insight.span("outer", { n = 1, x = 0.5, flag = true, text = '"' }, function()
        local jobs <close> = uvjobs.scheduler { name = "jobs" }
        jobs:spawn({ name = "a job" }, insight.span, "inner", nil, uvjobs.sleep, 2)
      end)
      insight.span("other", nil, nothing)
      exporter:close()
      local body = sent[1]
      assert.equal(field(body, "outer", "spanId"), field(body, "inner", "parentSpanId"))
      assert.equal(field(body, "outer", "traceId"), field(body, "inner", "traceId"))
      assert.not_equal(field(body, "outer", "traceId"), field(body, "other", "traceId"))
      assert.is_nil(field(body, "outer", "parentSpanId"))
      assert.equal("946684800000000000", field(body, "inner", "startTimeUnixNano"))
      assert.equal("946684802000000000", field(body, "inner", "endTimeUnixNano"))
      for _, text in ipairs {
        '{"key":"n","value":{"intValue":"1"}}', '{"key":"x","value":{"doubleValue":0.5}}',
        '{"key":"flag","value":{"boolValue":true}}',
        [[{"key":"text","value":{"stringValue":"\""}}]],
        '{"key":"uvjobs.job.name","value":{"stringValue":"a job"}}',
        '{"key":"service.name","value":{"stringValue":"shop"}}',
      } do
        assert.matches(text, body, 1, true)
      end
    end)
  end)

  it("is told by the names and types of OpenTelemetry's own definitions", function()
    virtual(function(sent)
      local exporter = new()
      insight.span("all", {
        least = math.mininteger, most = math.maxinteger, x = 0.5, whole = 2.0, flag = false,
        nan = 0 / 0, inf = math.huge, low = -math.huge, text = '"\\\n\1 \xff ü', [""] = "",
      }, function()
        insight.span('in"ner', {}, nothing)
        pcall(insight.span, "bad", nil, error, "no")
      end)
      insight.follow(REMOTE, insight.span, "followed", nil, nothing)
      exporter:close()
      local path = files.temporary(sent[1])
      local pipe <close> = io.popen(
        "LD_PRELOAD= python3 spec/insight/otlp_check.py " .. path .. " 2>&1")
      local said = pipe:read "a"
      os.remove(path)
      assert.equal("4\n", said)
    end)
  end)

  it("says by which code of an error it has ended, not by which text", function()
    virtual(function(sent)
      local exporter = new()
      pcall(insight.span, "bad", nil, error, "secret")
      pcall(uvjobs.timeout, 1, insight.span, "late", nil, uvjobs.sleep, 60)
      local jobs <close> = helper.quiet { close_timeout = 1 }
      jobs:spawn(insight.span, "stubborn", nil, function()
        while true do pcall(uvjobs.sleep, 60) end
      end)
      uvjobs.yield()
      jobs:close()
      exporter:close()
      assert.equal("error", field(table.concat(sent), "bad", "message"))
      assert.equal("timeout", field(table.concat(sent), "late", "message"))
      assert.equal("killed", field(table.concat(sent), "stubborn", "message"))
      assert.is_nil(table.concat(sent):find "secret")
    end)
  end)

  it("follows another process by traceparent, and goes on after it", function()
    virtual(function(sent)
      local exporter = new { sample = 0 } -- the other one has decided
      local seen = insight.follow(REMOTE, function()
        assert.equal(REMOTE, insight.traceparent())
        return insight.span("served", nil, insight.traceparent)
      end)
      assert.matches("^00%-4bf92f3577b34da6a3ce929d0e0e4736%-%x+%-01$", seen)
      assert.is_nil(insight.traceparent())
      assert.matches("%-00$", insight.span("mine", nil, insight.traceparent))
      exporter:close()
      assert.equal("00f067aa0ba902b7", field(sent[1], "served", "parentSpanId"))
      assert.equal(1, count(sent))
    end)
  end)

  it("does not follow what is no traceparent", function()
    uvjobs.run(function()
      for _, text in ipairs {
        "", "00", REMOTE:upper(), REMOTE .. "-x", "ff" .. REMOTE:sub(3), REMOTE:sub(1, -2),
        REMOTE:gsub("4bf9[^-]*", ("0"):rep(32)), (REMOTE:gsub("00f0[^-]*", ("0"):rep(16))),
        "01" .. REMOTE:sub(3) .. "x", 7, {},
      } do
        assert.is_nil(insight.follow(text, insight.traceparent), text)
      end
      assert.is_nil(insight.follow(nil, insight.traceparent))
      assert.equal(REMOTE, insight.follow("01" .. REMOTE:sub(3) .. "-x", insight.traceparent))
    end)
  end)

  it("refuses bad arguments", function()
    for expected, args in pairs {
      ["bad argument #1 to 'span' (string expected, got number)"] = { 1, nil, print },
      ["bad argument #2 to 'span' (table or nil expected, got function)"] = { "x", print },
      ["bad argument #2 to 'span' (name of an attribute: string expected, got number)"] =
        { "x", { 1 }, print },
      ["bad argument #2 to 'span' (attribute 'a': string, number or boolean expected, got table)"] =
        { "x", { a = {} }, print },
      ["bad argument #3 to 'span' (function expected, got string)"] = { "x", nil, "y" },
    } do
      assert.equal(expected, helper.message(insight.span, table.unpack(args, 1, 3)))
    end
  end)
end)

describe("insight.otlp", function()
  after_each(helper.check_clean)

  it("sends when a batch is full, or after the interval #I14", function()
    virtual(function(sent)
      local exporter <close> = new { batch = 10, interval = 5 }
      spans(25)
      uvjobs.sleep(1)
      assert.same({ 2, 20 }, { #sent, count(sent) })
      uvjobs.sleep(5)
      assert.same({ 3, 25 }, { #sent, count(sent) })
      assert.same({ queued = 0, exported = 25, dropped = 0, failed = 0 }, exporter:stats())
    end)
  end)

  it("never blocks a job: what the queue has no room for is dropped and counted #I14", function()
    virtual(function(sent)
      local stuck = uvjobs.event()
      sent.answer = function()
        stuck:wait()
        return { status = 200 }
      end
      local exporter <close> = new { queue = 100, batch = 10 }
      for _ = 1, 5 do
        spans(1000)
        uvjobs.yield()
      end
      assert.equal(0, uvjobs.now())
      local stats = exporter:stats()
      assert.equal(110, stats.queued)
      assert.equal(5000 - 110, stats.dropped)
      stuck:set()
    end)
  end)

  it("repeats a request that may pass, and no other #I14", function()
    virtual(function(sent)
      sent.answer = function(n)
        if n == 1 then return nil, "no route" end
        if n == 2 then return { status = 503, headers = { ["retry-after"] = "40" } } end
        return { status = 200 }
      end
      local exporter = new()
      spans(3)
      uvjobs.sleep(100)
      assert.equal(3, #sent)
      assert.is_true(sent[1] == sent[2] and sent[2] == sent[3])
      assert.equal(3, exporter:stats().exported)
      sent.answer = function() return { status = 400 } end
      spans(2)
      exporter:close()
      assert.equal(4, #sent)
      assert.same({ queued = 0, exported = 3, dropped = 0, failed = 2 }, exporter:stats())
    end)
  end)

  it("gives up after some requests, and goes on with the next batch #I14", function()
    virtual(function(sent)
      sent.answer = function(n) return { status = n <= 5 and 502 or 200 } end
      local exporter <close> = new()
      spans(1)
      uvjobs.sleep(600)
      assert.same({ 5, 1 }, { #sent, exporter:stats().failed })
      spans(1)
      uvjobs.sleep(10)
      assert.equal(1, exporter:stats().exported)
    end)
  end)

  it("ends with the run, and can be begun again; close() waits ten seconds at most", function()
    local first
    virtual(function()
      first = new()
      spans(3)
    end)
    assert.same({ queued = 0, exported = 0, dropped = 3, failed = 0 }, first:stats())
    virtual(function(sent)
      sent.answer = function() uvjobs.sleep(60) end
      local exporter = new()
      assert.matches("spans are being sent already", helper.message(new))
      spans(1)
      exporter:close()
      assert.equal(10, uvjobs.now())
      exporter:close()
      uvjobs.yield()
      new():close()
    end)
  end)

  it("takes the part of the traces that it is told #I14", function()
    virtual(function(sent)
      local exporter = new { sample = 0.25, queue = 10000 }
      spans(4000)
      exporter:close()
      local n = count(sent)
      assert.is_true(n > 700 and n < 1300, n)
      assert.equal(n, exporter:stats().exported)
    end)
  end)

  it("loses nothing else wherever a job is cancelled or killed", function()
    local transport = otlp.transport
    otlp.transport = function()
      uvjobs.sleep(1)
      return { status = 200 }
    end
    for _, way in ipairs { "cancel", "kill" } do
      testing.cancel_everywhere({ by = way }, function()
        local _ <close> = new { batch = 2 }
        insight.span("outer", nil, function()
          local jobs <close> = uvjobs.scheduler()
          for _ = 1, 3 do jobs:spawn(insight.span, "inner", nil, uvjobs.sleep, 1) end
        end)
      end)
    end
    otlp.transport = transport
  end)

  it("refuses bad options", function()
    local function message(options)
      return helper.message(uvjobs.run, function() insight.otlp(options) end)
    end
    for expected, options in pairs {
      ["option 'url': URL with http or https expected, got 'ftp://x'"] =
        { url = "ftp://x", service = "x" },
      ["option 'url' is missing"] = { service = "x" },
      ["option 'service' is missing"] = { url = URL },
      ["option 'sample': number from 0 to 1 expected, got nan"] =
        { url = URL, service = "x", sample = 0 / 0 },
      ["option 'headers': names and values that are strings expected"] =
        { url = URL, service = "x", headers = { 1 } },
    } do
      assert.equal(("bad argument #1 to 'otlp' (%s)"):format(expected), message(options))
    end
    assert.matches("'otlp' must be called in a job", helper.message(new))
  end)
end)
