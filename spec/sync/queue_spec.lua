-- Queues: order, hand-over, closing, iteration. What becomes of waiters that
-- leave is in queue_waiters_spec.lua.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual = helper.virtual

local pack = table.pack

describe("a queue", function()
  after_each(helper.check_clean)

  it("gives what was put in the order of putting", function()
    virtual(function()
      local q, got = uvjobs.queue(), helper.log()
      for i = 1, 20 do assert.is_true(q:put(i)) end
      assert.equal(20, #q)
      for _ = 1, 20 do got:add(q:get()) end
      for i = 1, 20 do assert.equal(i, got[i]) end
      assert.equal(0, #q)
    end)
  end)

  it("carries every value but nil, false and NaN included", function()
    virtual(function()
      local q, table_, fn = uvjobs.queue(), {}, function() end
      local values = { false, true, 0, "", table_, fn, coroutine.create(fn), q }
      for _, value in ipairs(values) do q:put(value) end
      q:put(0 / 0)
      for i, value in ipairs(values) do assert.is_true(rawequal(value, (q:get())), i) end
      local nan = q:get()
      assert.is_true(nan ~= nan)
    end)
  end)

  it("hands false over to a job that waits, and takes it from one", function()
    virtual(function()
      local q, s, got = uvjobs.queue(0), uvjobs.scheduler(), nil
      s:spawn(function() got = pack(q:get()) end)
      uvjobs.yield()
      assert.is_true(q:put(false))
      s:spawn(q.put, q, false)
      uvjobs.yield()
      assert.same(pack(false), pack(q:get()))
      s:wait_and_close()
      assert.same(pack(false), got)
    end)
  end)

  it("works with the consumer first and with the producer first", function()
    virtual(function()
      for _, capacity in ipairs { 0, 1, 2, math.huge } do
        for _, first in ipairs { "put", "get" } do
          local q, s, got = uvjobs.queue(capacity), uvjobs.scheduler(), helper.log()
          local sides = {
            put = function() for i = 1, 10 do q:put(i) end q:close() end,
            get = function() for item in q:items() do got:add(item) end end,
          }
          s:spawn(sides[first])
          s:spawn(sides[first == "put" and "get" or "put"])
          s:wait_and_close()
          assert.equal(10, #got)
          for i = 1, 10 do assert.equal(i, got[i]) end
        end
      end
    end)
  end)

  it("holds capacity items and makes the next put wait", function()
    virtual(function()
      local q, s = uvjobs.queue(3), uvjobs.scheduler()
      for i = 1, 3 do assert.same(pack(true), pack(q:put(i))) end
      local putter = s:spawn(q.put, q, 4)
      uvjobs.sleep(1)
      assert.is_true(putter.active)
      assert.equal(3, #q)
      assert.equal(1, q:get())
      assert.equal(3, #q) -- the place is given to the waiting put at once
      assert.is_true(putter:wait())
      for i = 2, 4 do assert.equal(i, q:get()) end
      s:wait_and_close()
    end)
  end)

  it("of capacity 0 is a rendezvous: a put waits for a get", function()
    virtual(function()
      local q, s, log = uvjobs.queue(0), uvjobs.scheduler(), helper.log()
      assert.same(pack(nil, "full"), pack(q:try_put("x")))
      s:spawn(function() q:put("x"); log:add("put at " .. uvjobs.now()) end)
      uvjobs.sleep(2)
      assert.equal(0, #q)
      assert.same({}, { table.unpack(log) })
      assert.equal("x", q:get())
      s:wait_and_close()
      assert.same({ "put at 2.0" }, { table.unpack(log) })
    end)
  end)

  it("without a limit never makes a put wait", function()
    virtual(function()
      for _, q in ipairs { uvjobs.queue(), uvjobs.queue(nil), uvjobs.queue(math.huge) } do
        assert.equal(math.huge, q.capacity)
        for i = 1, 1000 do assert.is_true(q:put(i, 0)) end
        assert.equal(1000, #q)
        assert.equal(0, uvjobs.now())
      end
    end)
  end)

  it("says what it is: capacity, #, closed", function()
    local q = uvjobs.queue(7)
    assert.equal(7, q.capacity)
    assert.equal("integer", math.type(q.capacity))
    assert.equal(0, #q)
    assert.is_false(q.closed)
    q:try_put("x")
    assert.equal(1, #q)
    q:close()
    assert.is_true(q.closed)
    assert.equal(1, #q)
    assert.equal(0, uvjobs.queue(0).capacity)
    assert.matches("^uvjobs.Queue: 1 item", tostring(q))
  end)

  it("can be used by try_put and try_get outside any job", function()
    local q = uvjobs.queue(2)
    assert.same(pack(nil, "empty"), pack(q:try_get()))
    assert.same(pack(true), pack(q:try_put("a")))
    assert.same(pack(true), pack(q:try_put("b")))
    assert.same(pack(nil, "full"), pack(q:try_put("c")))
    assert.same(pack("a"), pack(q:try_get()))
    q:close()
    assert.same(pack(nil, "closed"), pack(q:try_put("d")))
    assert.same(pack("b"), pack(q:try_get()))
    assert.same(pack(nil, "closed"), pack(q:try_get()))
  end)

  it("passes from outside a run into it and out again", function()
    local q = uvjobs.queue(2)
    q:try_put("in")
    virtual(function()
      assert.equal("in", q:get())
      q:put("out")
    end)
    assert.equal("out", q:try_get())
  end)
end)

describe("the order at a queue", function()
  after_each(helper.check_clean)

  it("serves getters first come, first served", function()
    virtual(function()
      local q, s, got = uvjobs.queue(), uvjobs.scheduler(), {}
      for i = 1, 5 do s:spawn(function() got[i] = q:get() end) end
      uvjobs.yield()
      for i = 1, 5 do q:put(i * 10) end
      s:wait_and_close()
      assert.same({ 10, 20, 30, 40, 50 }, got)
    end)
  end)

  it("serves putters first come, first served", function()
    virtual(function()
      local q, s = uvjobs.queue(1), uvjobs.scheduler()
      for i = 1, 5 do s:spawn(q.put, q, i) end
      uvjobs.yield()
      for i = 1, 5 do assert.equal(i, q:get()) end
      s:wait_and_close()
    end)
  end)

  it("hands an item straight to the first waiter, so nobody overtakes", function()
    virtual(function()
      local q, s, got = uvjobs.queue(), uvjobs.scheduler(), nil
      s:spawn(function() got = q:get() end)
      uvjobs.yield()
      q:put("for the waiter")
      assert.equal(0, #q)
      assert.same(pack(nil, "empty"), pack(q:try_get()))
      assert.same(pack(nil, "timeout"), pack(q:get(0)))
      s:wait_and_close()
      assert.equal("for the waiter", got)
    end)
  end)

  it("hands a free place straight to the first putter, so nobody overtakes", function()
    virtual(function()
      local q, s = uvjobs.queue(1), uvjobs.scheduler()
      q:put(1)
      s:spawn(q.put, q, 2)
      uvjobs.yield()
      assert.equal(1, q:get())
      assert.same(pack(nil, "full"), pack(q:try_put("pushes in")))
      assert.equal(2, q:get())
      assert.same(pack(nil, "empty"), pack(q:try_get()))
      s:wait_and_close()
    end)
  end)

  it("runs no user code inside put, get and close #M1", function()
    virtual(function()
      local q, s, ran = uvjobs.queue(0), uvjobs.scheduler(), 0
      for _ = 1, 4 do s:spawn(function() q:get(); ran = ran + 1 end) end
      uvjobs.yield()
      q:put(1); q:try_put(2); q:close()
      assert.equal(0, ran)
      s:wait_and_close()
      assert.equal(4, ran)
    end)
  end)

  it("shares the items between several consumers that iterate at once", function()
    virtual(function()
      local q, s, seen, count = uvjobs.queue(4), uvjobs.scheduler(), {}, 0
      for _ = 1, 7 do
        s:spawn(function()
          for item in q:items() do
            assert.is_nil(seen[item])
            seen[item], count = true, count + 1
            if item % 3 == 0 then uvjobs.sleep(0.1) end
          end
        end)
      end
      for p = 0, 3 do
        s:spawn(function() for i = 1, 50 do q:put(p * 50 + i) end end)
      end
      uvjobs.sleep(10)
      assert.equal(200, count)
      assert.equal(7, s.active_count)
      q:close()
      s:wait_and_close()
    end)
  end)
end)

describe("closing a queue", function()
  after_each(helper.check_clean)

  it("wakes every getter with nil and 'closed'", function()
    virtual(function()
      local q, s, got = uvjobs.queue(), uvjobs.scheduler(), {}
      for i = 1, 5 do s:spawn(function() got[i] = pack(q:get()) end) end
      uvjobs.sleep(1)
      q:close()
      s:wait_and_close()
      for i = 1, 5 do assert.same(pack(nil, "closed"), got[i]) end
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("wakes every putter with nil and 'closed', and takes nothing of theirs", function()
    virtual(function()
      local q, s, got = uvjobs.queue(1), uvjobs.scheduler(), {}
      q:put("stored")
      for i = 1, 5 do s:spawn(function() got[i] = pack(q:put("late")) end) end
      uvjobs.sleep(1)
      q:close()
      s:wait_and_close()
      for i = 1, 5 do assert.same(pack(nil, "closed"), got[i]) end
      assert.equal("stored", q:get())
      assert.same(pack(nil, "closed"), pack(q:get()))
    end)
  end)

  it("lets get drain what is stored, then gives nil and 'closed'", function()
    virtual(function()
      local q = uvjobs.queue()
      for i = 1, 3 do q:put(i) end
      q:close()
      assert.same(pack(nil, "closed"), pack(q:put(4)))
      assert.same(pack(nil, "closed"), pack(q:put(4, 1)))
      assert.equal(1, q:get())
      assert.equal(2, q:get(0))
      assert.equal(3, q:try_get())
      assert.same(pack(nil, "closed"), pack(q:get()))
      assert.same(pack(nil, "closed"), pack(q:get(5)))
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("gives items() as a function of its own, as map wants it", function()
    virtual(function()
      local q = uvjobs.queue()
      for i = 1, 3 do q:put(i) end
      q:close()
      assert.same({ 2, 4, 6, n = 3 }, uvjobs.map(q:items(), function(item) return 2 * item end))
    end)
  end)

  it("ends items() when the queue is drained", function()
    virtual(function()
      local q, got = uvjobs.queue(), helper.log()
      for i = 1, 3 do q:put(i) end
      q:close()
      for item in q:items() do got:add(item) end
      assert.same({ 1, 2, 3 }, { table.unpack(got) })
      for _ in q:items() do got:add("never") end
      assert.equal(3, #got)
    end)
  end)

  it("ends an items() that waits", function()
    virtual(function()
      local q, s, ended = uvjobs.queue(), uvjobs.scheduler(), 0
      for _ = 1, 3 do
        s:spawn(function() for _ in q:items() do error("nothing was put") end ended = ended + 1 end)
      end
      uvjobs.yield()
      q:close()
      s:wait_and_close()
      assert.equal(3, ended)
    end)
  end)

  it("delivers an item that was handed over before", function()
    virtual(function()
      local q, s, got = uvjobs.queue(), uvjobs.scheduler(), {}
      for i = 1, 2 do s:spawn(function() got[i] = pack(q:get()) end) end
      uvjobs.yield()
      q:put("x")
      q:close()
      s:wait_and_close()
      assert.same({ pack("x"), pack(nil, "closed") }, got)
    end)
  end)

  it("twice does nothing more, and works outside a job", function()
    local q = uvjobs.queue()
    assert.equal(0, select("#", q:close()))
    q:close()
    assert.is_true(q.closed)
    virtual(function()
      q:close()
      assert.same(pack(nil, "closed"), pack(q:get()))
    end)
  end)
end)

describe("a queue", function()
  after_each(helper.check_clean)

  it("loses nothing when a finalizer uses it while it grows #M6", function()
    for _ = 1, 20 do
      local queue, seen = uvjobs.queue(), {}
      collectgarbage()
      for i = 1, 8 do queue:try_put(i) end
      setmetatable({}, { __gc = function() for i = 1, 100 do queue:try_put(-i) end end })
      local mode = collectgarbage("incremental", 100, 1000, 1)
      for i = 9, 200 do queue:try_put(i) end
      collectgarbage()
      collectgarbage(mode)
      local left = #queue
      for _ = 1, left do seen[queue:try_get()] = true end
      assert.equal(0, #queue)
      for i = 1, 200 do assert.is_true(seen[i]) end
      for i = 1, 100 do assert.is_true(seen[-i]) end
    end
  end)
end)
