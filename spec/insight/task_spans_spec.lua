-- The spans of durable tasks: from where they are stored to where they run.

local durable = require "uvjobs.durable"
local helper = require "spec.helper"
local insight = require "uvjobs.insight"
local otlp = require "uvjobs.insight.otlp"
local span = require "uvjobs.insight.span"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local REMOTE <const> = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

--- Takes the spans in its list until it is closed.
local function collect()
  local sink = { sample = 1, list = {}, add = function(self, one) table.insert(self.list, one) end }
  span.set_sink(sink)
  return setmetatable(sink, { __close = function() span.set_sink(nil) end })
end

local function find(sink, name)
  local found = {}
  for _, one in ipairs(sink.list) do
    if one.name == name then found[#found + 1] = one end
  end
  return found
end

--- Runs fn(store) under the virtual clock with a store in memory, without reports.
local function with_store(fn)
  return function()
    uvjobs.run({ clock = "virtual" }, function()
      local store <close> = durable.open "memory:"
      fn(store)
    end)
  end
end

local function work(store)
  return store:work { queues = { default = 10, mails = 10 }, exception_handler = function() end }
end

describe("the spans of a task", function()
  after_each(function()
    span.set_sink(nil)
    helper.check_clean()
  end)

  it("are one where it is stored, and within that one for its run", with_store(function(store)
    local sink <close> = collect()
    store:define("mail", { queue = "mails" }, function()
      insight.span("send", nil, uvjobs.sleep, 2)
    end)
    local id
    insight.span("order", nil, function() id = store:enqueue("mail", nil, { delay = 60 }) end)
    local works <close> = work(store)
    store:wait(id)
    uvjobs.sleep(1)
    local order, put = find(sink, "order")[1], find(sink, "enqueue mail")[1]
    local run, send = find(sink, "run mail")[1], find(sink, "send")[1]
    assert.equal(4, #sink.list)
    assert.same({ put.parent, run.parent, send.parent }, { order.id, put.id, run.id })
    assert.same({ order.trace, order.trace, order.trace }, { put.trace, run.trace, send.trace })
    assert.same({ span.PRODUCER, span.CONSUMER }, { put.kind, run.kind })
    assert.equal(2, run.seconds)
    assert.same({
      ["messaging.system"] = "uvjobs", ["messaging.operation.name"] = "enqueue",
      ["messaging.operation.type"] = "send", ["messaging.destination.name"] = "mails",
      ["messaging.message.id"] = tostring(id),
    }, put.attributes)
    assert.same({
      ["messaging.system"] = "uvjobs", ["messaging.operation.name"] = "run",
      ["messaging.operation.type"] = "process", ["messaging.destination.name"] = "mails",
      ["messaging.message.id"] = tostring(id), ["uvjobs.task.kind"] = "mail",
      ["uvjobs.task.attempt"] = 1,
    }, run.attributes)
    works:close()
  end))

  it("begin a trace at another attempt, which names where the task was stored",
    with_store(function(store)
      local sink <close> = collect()
      store:define("mail", { attempts = 3 }, function(task)
        if task.attempt < 3 then error "no" end
      end)
      local id = store:enqueue "mail"
      local works <close> = work(store)
      store:wait(id)
      local put, runs = find(sink, "enqueue mail")[1], find(sink, "run mail")
      assert.equal(3, #runs)
      assert.same({ put.id, put.trace, "error" },
        { runs[1].parent, runs[1].trace, runs[1].problem })
      for i = 2, 3 do
        assert.is_nil(runs[i].parent)
        assert.not_equal(put.trace, runs[i].trace)
        assert.same({ put.trace, put.id }, { runs[i].link.trace, runs[i].link.id })
        assert.equal(i, runs[i].attributes["uvjobs.task.attempt"])
      end
      assert.is_nil(runs[3].problem)
      works:close()
    end))

  it("are one for all that are stored together", with_store(function(store)
    local sink <close> = collect()
    store:define("a", function() end)
    store:define("b", function() end)
    store:enqueue_all { { "a" }, { "b" }, { "a" } }
    store:transaction(function(tx) tx:enqueue "b" end)
    local works <close> = work(store)
    for id = 1, 4 do store:wait(id) end
    local put = find(sink, "enqueue tasks")[1]
    assert.equal(3, put.attributes["messaging.batch.message_count"])
    assert.equal(1, #find(sink, "enqueue b"))
    local children = 0
    for _, one in ipairs(sink.list) do
      if one.parent == put.id then children = children + 1 end
    end
    assert.equal(3, children)
    works:close()
  end))

  it("are not those of the job that has started the worker", with_store(function(store)
    local sink <close> = collect()
    store:define("mail", function() end)
    store:_call { op = "join" } -- has nothing to do with it, and is no span
    local works
    insight.span("start", nil, function() works = work(store) end)
    span.set_sink(nil)
    local id = store:enqueue "mail"
    span.set_sink(sink)
    store:wait(id)
    assert.is_nil(find(sink, "run mail")[1].parent)
    works:close()
  end))

  it("go on with the trace of another process while nobody takes spans here",
    with_store(function(store)
      local got = uvjobs.queue()
      store:define("mail", function() got:put(insight.traceparent() or "none") end)
      local works <close> = work(store)
      insight.follow(REMOTE, store.enqueue, store, "mail")
      assert.equal(REMOTE, got:get())
      store:enqueue "mail"
      assert.equal("none", got:get())
      works:close()
    end))

  it("do without what leads back when somebody has written something else there",
    with_store(function(store)
      local sink <close> = collect()
      store:define("mail", function() end)
      local works <close> = work(store)
      for _, meta in ipairs { "", "x", "[]", "7", '{"traceparent":7}', '{"traceparent":"00-1"}' } do
        local one = {
          kind = "mail", queue = "default", args = "null", priority = 5, attempts = 1,
          most_crashes = 1, keep_done = 0, keep_dead = 0, meta = meta,
        }
        local id = store._port:call({ op = "enqueue", tasks = { one } })[1][1]
        store:_hint { "default" }
        assert.equal("done", store:wait(id))
      end
      assert.equal(6, #find(sink, "run mail"))
      for _, one in ipairs(sink.list) do assert.is_nil(one.parent) end
      works:close()
    end))

  it("end wherever the one is cancelled who waits for it #M6", function()
    testing.cancel_everywhere({ close_timeout = 20 }, function()
      local sink <close> = collect()
      local store <close> = durable.open "memory:"
      store:define("mail", function() uvjobs.sleep(1) end)
      local works <close> = work(store)
      insight.span("order", nil, function() store:wait((store:enqueue "mail")) end)
      assert(#sink.list > 0)
      works:close()
    end)
  end)

  it("are sent with their kind and what they lead back to", function()
    local transport, sent = otlp.transport, {}
    otlp.transport = function(_, options)
      sent[#sent + 1] = options.body
      return { status = 200 }
    end
    uvjobs.run({ clock = "virtual" }, function()
      local exporter = insight.otlp { url = "http://127.0.0.1:4318/v1/traces", service = "shop" }
      local store <close> = durable.open "memory:"
      store:define("mail", function(task) if task.attempt < 2 then error "no" end end)
      local works <close> = work(store)
      store:wait((store:enqueue "mail"))
      works:close()
      exporter:close()
    end)
    otlp.transport = transport
    local body = table.concat(sent)
    local trace = body:match '"kind":4,.-"traceId":"(%x+)"'
    assert.matches('"kind":5,"links":%[{"spanId":"%x+","traceId":"' .. trace .. '"}%]', body)
  end)
end)
