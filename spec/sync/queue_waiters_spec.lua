-- Queues: wrong arguments, waiters that give up (cancelled, timed out, killed), and the memory of a
-- queue.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, ignore, kilobytes = helper.virtual, helper.ignore, helper.kilobytes

local pack = table.pack

describe("misuse of a queue", function()
  after_each(helper.check_clean)

  it("raises for a capacity that is no integer >= 0 and not math.huge", function()
    local prefix = "bad argument #1 to 'queue' (integer >= 0 or math.huge expected, got "
    for _, case in ipairs {
      { -1, "-1)" }, { 1.5, "1.5)" }, { 0 / 0, "nan)" }, { "3", "'3')" }, { {}, "table)" },
      { true, "boolean)" },
    } do
      assert.equal(prefix .. case[2], helper.message(uvjobs.queue, case[1]))
    end
    assert.is_false((pcall(uvjobs.queue, -math.huge)))
  end)

  it("raises for nil as a value", function()
    local q = uvjobs.queue()
    local expected = "bad argument #1 to '%s' (value expected, got nil)"
    virtual(function()
      assert.equal(expected:format("put"), helper.message(q.put, q, nil))
      assert.equal(expected:format("put"), helper.message(q.put, q))
      assert.equal(expected:format("put"), helper.message(q.put, q, nil, 1))
    end)
    assert.equal(expected:format("try_put"), helper.message(q.try_put, q, nil))
    q:close()
    assert.equal(expected:format("try_put"), helper.message(q.try_put, q))
    assert.equal(0, #q)
  end)

  it("raises for a bad timeout, and puts and takes nothing", function()
    virtual(function()
      local q = uvjobs.queue()
      q:put("kept")
      assert.equal("bad argument #2 to 'put' (number expected, got string)",
        helper.message(q.put, q, 1, "1"))
      assert.equal("bad argument #2 to 'put' (seconds must be >= 0, got -1)",
        helper.message(q.put, q, 1, -1))
      assert.equal("bad argument #1 to 'get' (seconds must be >= 0, got nan)",
        helper.message(q.get, q, 0 / 0))
      assert.equal("bad argument #1 to 'get' (number expected, got table)",
        helper.message(q.get, q, {}))
      assert.equal(1, #q)
    end)
  end)

  it("raises for a wrong self", function()
    local q = uvjobs.queue()
    for _, name in ipairs { "put", "get", "try_put", "try_get", "close", "items" } do
      assert.equal(("bad self to '%s' (uvjobs.Queue expected, got nil)"):format(name),
        helper.message(q[name], nil, 1))
      assert.equal(("bad self to '%s' (uvjobs.Queue expected, got uvjobs.Event)"):format(name),
        helper.message(q[name], uvjobs.event(), 1))
    end
  end)

  it("raises for a call that can suspend outside a job #M15", function()
    local q = uvjobs.queue()
    q:try_put("kept")
    assert.equal("'put' must be called in a job: use uvjobs.run", helper.message(q.put, q, 1))
    assert.equal("'get' must be called in a job: use uvjobs.run", helper.message(q.get, q))
    assert.equal("'items' must be called in a job: use uvjobs.run", helper.message(q:items(), q))
    virtual(function()
      local co = coroutine.create(function() return q:get() end)
      local ok, message = coroutine.resume(co)
      assert.is_false(ok)
      assert.matches("'get' must be called in a job", message)
      assert.equal("'get' cannot suspend across a C call", helper.message(function()
        table.sort({ 2, 1, 3 }, function() return q:get() end)
      end))
    end)
    assert.equal(1, #q)
  end)

  it("blames the caller", function()
    local q = uvjobs.queue()
    local _, err = pcall(function() q:try_put(nil) end)
    assert.matches("queue_waiters_spec.lua:%d+: bad argument", err)
  end)
end)

describe("a getter that leaves", function()
  after_each(helper.check_clean)

  local function leaves(how)
    virtual(function()
      local q = uvjobs.queue()
      local s = uvjobs.scheduler { exception_handler = ignore }
      local got = {}
      s:spawn(function() got[1] = q:get() end)
      local leaver = s:spawn(how.job, q)
      s:spawn(function() got[2] = q:get() end)
      helper.yield(2)
      how.act(leaver)
      assert.is_true(leaver.closed)
      assert.equal(2, s.active_count)
      q:put("first"); q:put("second"); q:put("third")
      helper.yield(2)
      assert.same({ "first", "second" }, got)
      assert.equal("third", q:try_get())
      s:wait_and_close()
    end)
  end

  it("by being cancelled takes no item and wakes nobody #M6", function()
    leaves {
      job = function(q) q:get() end,
      act = function(job) job:cancel(); job:join() assert.equal("cancelled", job.state) end,
    }
  end)

  it("by its timeout takes no item and wakes nobody #M6", function()
    leaves {
      job = function(q) assert.same(pack(nil, "timeout"), pack(q:get(1))) end,
      act = function(job) job:wait() assert.equal(1, uvjobs.now()) end,
    }
  end)

  it("by a deadline takes no item and wakes nobody #M6", function()
    leaves {
      job = function(q) uvjobs.timeout(1, q.get, q) end,
      act = function(job) helper.raises("timeout", job.wait, job) assert.equal(1, uvjobs.now()) end,
    }
  end)

  it("by being killed takes no item and wakes nobody #M6", function()
    leaves {
      job = function(q) uvjobs.protect(q.get, q) end,
      act = function(job) pcall(job.close, job, 1) assert.equal("killed", job.state) end,
    }
  end)

  it("keeps an item that it was handed before it was cancelled #M6", function()
    virtual(function()
      local q, s, got, after = uvjobs.queue(), uvjobs.scheduler(), nil, nil
      local job = s:spawn(function()
        got = q:get()
        after = pack(pcall(uvjobs.yield))
      end)
      uvjobs.yield()
      q:put("mine")
      job:cancel()
      job:join()
      assert.equal("mine", got)
      assert.equal("cancelled", uvjobs.code(after[2]))
      s:close()
    end)
  end)

  it("in a cancelled job takes nothing, though an item is there #M5 #M6", function()
    virtual(function()
      local q, s = uvjobs.queue(1), uvjobs.scheduler()
      q:put("kept")
      local codes = {}
      local job = s:spawn(function()
        pcall(uvjobs.sleep, 10)
        for _, call in ipairs {
          function() q:get() end, function() q:get(0) end, function() q:put(2) end,
          function() for _ in q:items() do error("got one") end end,
        } do codes[#codes + 1] = helper.raises("cancelled", call).code end
        codes[#codes + 1] = q:try_get() -- never raises
      end)
      uvjobs.yield()
      job:cancel()
      job:join()
      assert.same({ "cancelled", "cancelled", "cancelled", "cancelled", "kept" }, codes)
      s:close()
    end)
  end)
end)

describe("a putter that leaves", function()
  after_each(helper.check_clean)

  local function leaves(how)
    virtual(function()
      local q = uvjobs.queue(1)
      local s = uvjobs.scheduler { exception_handler = ignore }
      q:put("stored")
      s:spawn(q.put, q, "one")
      local leaver = s:spawn(how.job, q)
      s:spawn(q.put, q, "two")
      helper.yield(2)
      how.act(leaver)
      assert.is_true(leaver.closed)
      assert.equal(2, s.active_count)
      local got = {}
      for i = 1, 3 do got[i] = q:get() end
      assert.same({ "stored", "one", "two" }, got)
      assert.same(pack(nil, "empty"), pack(q:try_get()))
      s:wait_and_close()
    end)
  end

  it("by being cancelled puts nothing and wakes nobody #M6", function()
    leaves {
      job = function(q) q:put("never") end,
      act = function(job) job:cancel(); job:join() assert.equal("cancelled", job.state) end,
    }
  end)

  it("by its timeout puts nothing and wakes nobody #M6", function()
    leaves {
      job = function(q) assert.same(pack(nil, "timeout"), pack(q:put("never", 1))) end,
      act = function(job) job:wait() assert.equal(1, uvjobs.now()) end,
    }
  end)

  it("by being killed puts nothing and wakes nobody #M6", function()
    leaves {
      job = function(q) uvjobs.protect(q.put, q, "never") end,
      act = function(job) pcall(job.close, job, 1) assert.equal("killed", job.state) end,
    }
  end)

  it("has put what was taken from it before it was cancelled #M6", function()
    virtual(function()
      local q, s, put = uvjobs.queue(0), uvjobs.scheduler(), nil
      local job = s:spawn(function() put = q:put("taken") end)
      uvjobs.yield()
      assert.equal("taken", q:get())
      job:cancel()
      job:join()
      assert.is_true(put)
      s:close()
    end)
  end)
end)

describe("the memory of a queue", function()
  after_each(helper.check_clean)

  -- With room for one item at most, every item takes the same way, and no memory grows.
  it("carries items in order, 100,000 stored ones and 10,000 that are handed over", function()
    virtual(function()
      local counts = { [0] = 10000, [1] = 10000, [1000] = 100000, [math.huge] = 100000 }
      for capacity, n in pairs(counts) do
        local q, s, expected = uvjobs.queue(capacity), uvjobs.scheduler(), 0
        s:spawn(function() for i = 1, n do q:put(i) end q:close() end)
        for item in q:items() do
          expected = expected + 1
          if item ~= expected then assert.equal(expected, item) end
        end
        assert.equal(n, expected)
        s:wait_and_close()
      end
    end)
  end)

  it("is given back after a burst", function()
    virtual(function()
      local q = uvjobs.queue()
      q:put(0); q:get()
      local before = kilobytes()
      for i = 1, 100000 do q:put(i) end
      assert.is_true(kilobytes() > before + 1000)
      for _ = 1, 100000 do q:get() end
      assert.is_true(kilobytes() < before + 32)
    end)
  end)

  it("does not grow with what has passed through", function()
    virtual(function()
      local q = uvjobs.queue()
      for i = 1, 10 do q:put(i) end
      local before = kilobytes()
      for i = 1, 100000 do q:put(i); q:get() end
      assert.is_true(kilobytes() < before + 8)
      assert.equal(10, #q)
    end)
  end)

  it("holds no item that was taken, though the queue lives", function()
    virtual(function()
      local q, s = uvjobs.queue(), uvjobs.scheduler()
      local weak = setmetatable({}, { __mode = "v" })
      q:put({})
      for i = 1, 3 do weak[i] = {}; q:put(weak[i]) end
      for _ = 1, 4 do q:get() end
      s:spawn(function() weak[4] = q:get() end)
      uvjobs.yield()
      q:put({})
      s:spawn(function() weak[5] = {}; pcall(q.put, q, weak[5]) end)
      helper.yield(2)
      q:try_get()
      helper.yield()
      kilobytes()
      assert.is_nil(next(weak))
      s:wait_and_close()
    end)
  end)

  it("is collected with its items when nobody refers to it", function()
    local weak = setmetatable({}, { __mode = "v" })
    do
      local q = uvjobs.queue()
      weak.q, weak.item = q, {}
      q:try_put(weak.item)
    end
    kilobytes()
    assert.is_nil(next(weak))
  end)

  it("is kept by the jobs that wait in it", function()
    virtual(function()
      local weak, s = setmetatable({}, { __mode = "k" }), uvjobs.scheduler()
      do
        local q = uvjobs.queue(0)
        weak[q] = true
        s:spawn(q.get, q, 5)
      end
      uvjobs.yield()
      kilobytes()
      assert.is_not_nil(next(weak))
      uvjobs.sleep(6)
      s:wait_and_close()
      kilobytes()
      assert.is_nil(next(weak))
    end)
  end)

  it("is released when the state closes with jobs waiting in it #M14", function()
    local child = helper.child [[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        local full, empty, s = uvjobs.queue(1), uvjobs.queue(), uvjobs.scheduler()
        full:put({})
        for _ = 1, 3 do s:spawn(full.put, full, {}); s:spawn(empty.get, empty) end
        uvjobs.yield()
        io.write("here")
        os.exit(7, true)
      end)]]
    assert.same({ status = 7, out = "here", err = "" }, child)
  end)
end)
