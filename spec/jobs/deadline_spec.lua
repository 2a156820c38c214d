-- Deadlines in every shape: around every operation that waits, nested, held off,
-- zero, passed already, and in the same turn as a cancellation.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, ignore, quiet = helper.virtual, helper.ignore, helper.quiet

local pack = table.pack

-- Every operation that can wait. Its function prepares one that would wait until t = 10, and
-- returns two functions: the first begins it, the second checks afterwards that it did not happen.
local operations = {
  { "sleep", function() return function() uvjobs.sleep(10) end, ignore end },
  { "await", function()
    local abandoned = 0
    return function()
      uvjobs.await(function() return function() abandoned = abandoned + 1 end end)
    end, function() assert.equal(1, abandoned) end
  end },
  { "job:wait", function(s)
    local job = s:spawn(uvjobs.sleep, 10)
    return function() job:wait() end, function() assert.equal("active", job.state) end
  end },
  { "job:join", function(s)
    local job = s:spawn(uvjobs.sleep, 10)
    return function() job:join() end, function() assert.equal("active", job.state) end
  end },
  { "job:close", function(s)
    local job = s:spawn(uvjobs.protect, uvjobs.sleep, 10)
    uvjobs.yield()
    return function() job:close(10) end, function() assert.equal("closing", job.state) end
  end },
  { "spawn on a full scheduler", function()
    local full, ran = quiet { limit = 1, pending_limit = 0 }, false
    full:spawn(uvjobs.sleep, 10)
    return function() full:spawn(function() ran = true end) end, function()
      assert.equal(1, #full)
      full:wait_and_close()
      assert.is_false(ran)
    end
  end },
  { "shield", function(s)
    local ended = false
    return function() s:shield(function() uvjobs.sleep(10); ended = true end) end, function()
      assert.is_false(ended)
      uvjobs.sleep(10)
      assert.is_true(ended)
    end
  end },
  { "wait_and_close", function()
    local other = quiet()
    local job = other:spawn(uvjobs.sleep, 10)
    return function() other:wait_and_close() end, function()
      assert.equal("active", job.state)
      assert.is_false(other.closed)
      other:close()
    end
  end },
  { "event:wait", function()
    local event = uvjobs.event()
    return function() event:wait() end, function() assert.is_false(event:is_set()) end
  end },
  { "queue:get", function()
    local q = uvjobs.queue()
    return function() q:get() end, function()
      q:put("kept")
      assert.equal("kept", q:try_get())
    end
  end },
  { "queue:items", function()
    local q = uvjobs.queue()
    return function() for _ in q:items() do error("got one") end end, function()
      q:put("kept")
      assert.equal("kept", q:try_get())
    end
  end },
  { "queue:put", function()
    local q = uvjobs.queue(0)
    return function() q:put("never") end, function()
      assert.same(pack(nil, "empty"), pack(q:try_get()))
    end
  end },
  { "semaphore:acquire", function()
    local sem = uvjobs.semaphore(1)
    sem:acquire()
    return function() sem:acquire() end, function() sem:release() assert.equal(1, sem.count) end
  end },
  { "mutex:lock", function(s)
    local mutex = uvjobs.mutex()
    s:spawn(mutex.with, mutex, uvjobs.sleep, 3)
    uvjobs.yield()
    return function() mutex:lock() end, function()
      mutex:lock()
      assert.equal(3, uvjobs.now())
      mutex:unlock()
    end
  end },
  { "all", function()
    local done = false
    return function() uvjobs.all { function() uvjobs.sleep(10); done = true end } end,
      function() uvjobs.sleep(10) assert.is_false(done) end
  end },
  { "race", function()
    local done = false
    return function() uvjobs.race { function() uvjobs.sleep(10); done = true end } end,
      function() uvjobs.sleep(10) assert.is_false(done) end
  end },
  { "map", function()
    local done = false
    return function() uvjobs.map({ 1 }, function() uvjobs.sleep(10); done = true end) end,
      function() uvjobs.sleep(10) assert.is_false(done) end
  end },
}

--- Calls fn(begin, check, s) for an operation, in a run of its own.
local function with_operation(set, fn)
  virtual(function()
    local s = quiet { close_timeout = 20 }
    local begin, check = set(s)
    fn(begin, check, s)
    s:close()
  end)
end

for _, operation in ipairs(operations) do
  local name, set = operation[1], operation[2]

  describe("a deadline around " .. name, function()
    after_each(helper.check_clean)

    it("raises `timeout` when it passes, and the operation did not happen #M6", function()
      with_operation(set, function(begin, check)
        local err = helper.raises("timeout", uvjobs.timeout, 2, begin)
        assert.is_nil(err.job)
        assert.equal(2, uvjobs.now())
        check()
      end)
    end)

    it("of zero seconds raises at once", function()
      with_operation(set, function(begin, check)
        helper.raises("timeout", uvjobs.timeout, 0, begin)
        assert.equal(0, uvjobs.now())
        if name ~= "await" and name ~= "job:close" and name ~= "shield" then check() end
      end)
    end)

    -- Cancels a job at t = 2, when its deadline passes, too; `first` says who runs first then.
    -- Returns what the operation and the next one raise.
    local function same_turn(first)
      local codes = helper.log()
      with_operation(set, function(begin, check, s)
        local job
        local function act()
          codes:add(uvjobs.code(select(2, pcall(uvjobs.timeout, 2, begin))))
          codes:add(uvjobs.code(select(2, pcall(uvjobs.sleep, 1))))
        end
        local function cancel() uvjobs.sleep(2); job:cancel() end
        if first == "job" then job = s:spawn(act) end
        local canceller = s:spawn(cancel)
        if first == "canceller" then job = s:spawn(act) end
        canceller:wait()
        job:join()
        assert.equal(2, uvjobs.now())
        assert.equal("done", job.state)
        check()
      end)
      return { table.unpack(codes) }
    end

    it("gives way to a cancellation of the same turn #M5 #M6", function()
      assert.same({ "cancelled", "cancelled" }, same_turn("canceller"))
    end)

    it("hides no cancellation that comes after it in the same turn #M5", function()
      assert.same({ "timeout", "cancelled" }, same_turn("job"))
    end)
  end)
end

describe("a deadline", function()
  after_each(helper.check_clean)

  it("that does not pass changes nothing", function()
    virtual(function()
      assert.same(pack(1, nil, 3), pack(uvjobs.timeout(5, function(...)
        uvjobs.sleep(2)
        return ...
      end, 1, nil, 3)))
      uvjobs.sleep(10)
      assert.equal(12, uvjobs.now())
    end)
  end)

  it("that is over the function is over: of zero seconds it lets one through that never waits",
    function()
      virtual(function()
        local q = uvjobs.queue()
        assert.equal("result", uvjobs.timeout(0, function()
          q:try_put(1)
          return "result"
        end))
        assert.equal(1, #q)
      end)
    end)

  it("that has passed is raised by every operation in its scope, though it could succeed #M6",
    function()
      virtual(function()
        local q, sem, event = uvjobs.queue(), uvjobs.semaphore(1), uvjobs.event()
        q:put("kept")
        event:set()
        uvjobs.timeout(1, function()
          helper.raises("timeout", uvjobs.sleep, 5)
          helper.raises("timeout", q.get, q)
          helper.raises("timeout", q.put, q, 2)
          helper.raises("timeout", sem.acquire, sem)
          helper.raises("timeout", event.wait, event)
          helper.raises("timeout", uvjobs.yield)
          helper.raises("timeout", uvjobs.all, {})
        end)
        assert.equal(1, uvjobs.now())
        assert.equal("kept", q:get(0)) -- outside the scope it counts no more
        assert.equal(0, #q)
        assert.equal(1, sem.count)
      end)
    end)

  it("of an outer scope counts in an inner one that is longer", function()
    virtual(function()
      local inner
      helper.raises("timeout", uvjobs.timeout, 1, function()
        inner = helper.raises("timeout", uvjobs.timeout, 5, uvjobs.sleep, 10)
        assert.equal(1, uvjobs.now())
        uvjobs.sleep(1) -- the outer one has passed, too
      end)
      assert.equal("timeout", inner.code)
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("of an inner scope leaves the outer one as it was", function()
    virtual(function()
      helper.raises("timeout", uvjobs.timeout, 3, function()
        helper.raises("timeout", uvjobs.timeout, 1, uvjobs.sleep, 10)
        uvjobs.sleep(1)
        assert.equal(2, uvjobs.now())
        helper.raises("timeout", uvjobs.timeout, 0, uvjobs.sleep, 10)
        uvjobs.sleep(10)
      end)
      assert.equal(3, uvjobs.now())
    end)
  end)

  it("inside protect counts, and the outer one only when protect is left", function()
    virtual(function()
      local log = helper.log()
      helper.raises("timeout", uvjobs.timeout, 1, function()
        uvjobs.protect(function()
          helper.raises("timeout", uvjobs.timeout, 2, uvjobs.sleep, 10)
          log:add(uvjobs.now())
          uvjobs.sleep(3)
          log:add(uvjobs.now())
        end)
        uvjobs.sleep(1)
      end)
      assert.same({ 2.0, 5.0 }, { table.unpack(log) })
      assert.equal(5, uvjobs.now())
    end)
  end)

  it("inside protect counts in a cancelled job, too, and the close timeout bounds it", function()
    virtual(function()
      local s, log = quiet { close_timeout = 5 }, helper.log()
      local job = s:spawn(function()
        pcall(uvjobs.sleep, 10)
        uvjobs.protect(function()
          helper.raises("timeout", uvjobs.timeout, 2, uvjobs.sleep, 10)
          log:add(uvjobs.now())
          uvjobs.timeout(100, uvjobs.sleep, 50)
        end)
      end)
      uvjobs.sleep(1)
      s:close()
      assert.same({ 3.0 }, { table.unpack(log) })
      assert.equal(6, uvjobs.now())
      assert.equal("killed", job.state)
    end)
  end)

  it("protect inside a deadline inside protect holds off only what is outside it", function()
    virtual(function()
      uvjobs.protect(function()
        helper.raises("timeout", uvjobs.timeout, 1, function()
          uvjobs.protect(uvjobs.sleep, 2)
          uvjobs.yield()
        end)
        assert.equal(2, uvjobs.now())
        uvjobs.sleep(1)
      end)
      assert.equal(3, uvjobs.now())
    end)
  end)

  it("of the same time as an operation's own timeout wins over it", function()
    virtual(function()
      local q = uvjobs.queue()
      helper.raises("timeout", uvjobs.timeout, 1, q.get, q, 1)
      assert.same(pack(nil, "timeout"), pack(uvjobs.timeout(1.5, q.get, q, 1)))
    end)
  end)

  it("does not take back what has come in the same turn #M6", function()
    virtual(function()
      local q, s = uvjobs.queue(), quiet()
      s:spawn(function() uvjobs.sleep(1); q:put("in time") end)
      local job = s:spawn(function() return uvjobs.timeout(1, q.get, q) end)
      helper.yield(2)
      job:join()
      -- Which of the two is first is not promised; that nothing is lost is.
      local got = job.state == "done" and job:wait() or q:try_get()
      assert.equal("in time", got)
      s:close()
    end)
  end)

  it("of a job counts from its start and covers all of it", function()
    virtual(function()
      local s = quiet { limit = 1 }
      s:spawn(uvjobs.sleep, 3)
      local job = s:spawn({ timeout = 2 }, function()
        uvjobs.timeout(100, uvjobs.sleep, 50)
      end)
      helper.raises("timeout", job.wait, job)
      assert.equal(5, uvjobs.now())
      local zero = s:spawn({ timeout = 0 }, function() return "done" end)
      assert.equal("done", zero:wait())
      zero = s:spawn({ timeout = 0 }, uvjobs.yield)
      helper.raises("timeout", zero.wait, zero)
      s:close()
    end)
  end)

  it("too far away to count is none", function()
    virtual(function()
      uvjobs.timeout(1e300, uvjobs.sleep, 1)
      uvjobs.timeout(1e18, uvjobs.timeout, 1e17, uvjobs.sleep, 1)
      assert.equal(2, uvjobs.now())
    end)
  end)
end)
