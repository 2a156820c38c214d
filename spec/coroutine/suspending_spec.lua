-- Coroutines of `uvjobs.coroutine` that suspend the job that resumed them.

local co = require "uvjobs.coroutine"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, ignore = helper.virtual, helper.ignore

local function expect(fn, ...)
  return { fn = fn, values = table.pack(...) }
end

-- Functions that get a scheduler and suspend their job, each with the values that it returns.
local calls = {
  sleep = expect(function() return uvjobs.sleep(1) end),
  yield = expect(function() return uvjobs.yield() end),
  timeout = expect(function()
    return uvjobs.timeout(5, function() uvjobs.sleep(1) return 1, nil end)
  end, 1, nil),
  ["timeout that passes"] = expect(function()
    local ok, err = pcall(uvjobs.timeout, 1, uvjobs.sleep, 5)
    return ok, uvjobs.code(err), uvjobs.now()
  end, false, "timeout", 1.0),
  protect = expect(function()
    return uvjobs.protect(function() uvjobs.sleep(1) return nil, 2 end)
  end, nil, 2),
  ["await resumed early"] = expect(function()
    uvjobs.yield()
    return uvjobs.await(function(resume) resume(1, nil, 3, nil) end)
  end, 1, nil, 3, nil),
  ["await resumed late"] = expect(function(s)
    return uvjobs.await(function(resume) s:spawn(resume, nil, 2, nil) end)
  end, nil, 2, nil),
  ["await of many values"] = expect(function(s)
    return select("#", uvjobs.await(function(resume)
      s:spawn(function() resume(table.unpack({}, 1, 5000)) end)
    end))
  end, 5000),
  ["await that is abandoned"] = expect(function()
    local abandoned = 0
    local ok, err = pcall(uvjobs.timeout, 1, uvjobs.await, function()
      return function() abandoned = abandoned + 1 end
    end)
    return ok, uvjobs.code(err), abandoned
  end, false, "timeout", 1),
  ["event:wait"] = expect(function(s)
    local event = uvjobs.event()
    s:spawn(event.set, event)
    return event:wait()
  end, true),
  ["event:wait that gives up"] = expect(function()
    return uvjobs.event():wait(1)
  end, nil, "timeout"),
  ["queue:get"] = expect(function(s)
    local queue = uvjobs.queue()
    s:spawn(queue.put, queue, "item")
    return queue:get()
  end, "item"),
  ["queue:put"] = expect(function(s)
    local queue = uvjobs.queue(1)
    queue:put "first"
    s:spawn(queue.get, queue)
    return queue:put "second", queue:get()
  end, true, "second"),
  ["queue:put to a getter"] = expect(function(s)
    local queue = uvjobs.queue(0)
    local getter = s:spawn(queue.get, queue)
    return queue:put "item", getter:wait()
  end, true, "item"),
  ["queue:put that gives up"] = expect(function()
    local queue = uvjobs.queue(0)
    return queue:put("item", 1), queue:try_get()
  end, nil, nil, "empty"),
  ["queue:items"] = expect(function(s)
    local queue, items = uvjobs.queue(0), {}
    s:spawn(function()
      for i = 1, 3 do queue:put(i) end
      queue:close()
    end)
    for item in queue:items() do items[#items + 1] = item end
    return table.concat(items, " ")
  end, "1 2 3"),
  ["semaphore:with"] = expect(function(s)
    local semaphore = uvjobs.semaphore(1)
    semaphore:acquire()
    s:spawn(semaphore.release, semaphore)
    return semaphore:with(function() uvjobs.sleep(1) return semaphore.count end), semaphore.count
  end, 0, 1),
  ["mutex:lock"] = expect(function(s)
    local mutex = uvjobs.mutex()
    s:spawn(mutex.with, mutex, uvjobs.sleep, 1)
    uvjobs.yield()
    local locked = mutex:lock()
    return locked, tostring(mutex) == "uvjobs.Mutex: locked by job #" .. uvjobs.current().id,
           mutex:unlock()
  end, true, true),
  ["mutex:permit"] = expect(function()
    local mutex = uvjobs.mutex()
    do local _ <close> = mutex:permit(); uvjobs.sleep(1) end
    return tostring(mutex)
  end, "uvjobs.Mutex: free"),
  ["job:wait"] = expect(function(s)
    return s:spawn(function() uvjobs.sleep(1) return 1, nil, 3 end):wait()
  end, 1, nil, 3),
  ["job:join"] = expect(function(s) return s:spawn(uvjobs.sleep, 1):join() end, true),
  ["job:close"] = expect(function(s)
    local job = s:spawn(uvjobs.sleep, 9)
    uvjobs.yield()
    return job.state, job:close(), job.state
  end, "active", nil, "cancelled"),
  ["spawn that has no room"] = expect(function()
    local full <close> = uvjobs.scheduler { limit = 1, pending_limit = 0 }
    full:spawn(uvjobs.sleep, 1)
    return full:spawn(uvjobs.now):wait(), #full
  end, 1.0, 0),
  shield = expect(function(s)
    return s:shield(function() uvjobs.sleep(1) return 1, 2 end)
  end, 1, 2),
  wait_and_close = expect(function()
    local s = uvjobs.scheduler()
    local job = s:spawn(uvjobs.sleep, 1)
    s:wait_and_close()
    return job.state
  end, "done"),
  ["scheduler:close"] = expect(function()
    local s = uvjobs.scheduler()
    local job = s:spawn(uvjobs.sleep, 1)
    uvjobs.yield()
    s:close()
    return job.state
  end, "cancelled"),
  ["the end of a block"] = expect(function()
    local job
    do
      local s <close> = uvjobs.scheduler()
      job = s:spawn(uvjobs.sleep, 1)
    end
    return job.state
  end, "done"),
  all = expect(function()
    local results = uvjobs.all { function() uvjobs.sleep(2) return 1 end, function() return 2 end }
    return results[1], results[2]
  end, 1, 2),
  race = expect(function()
    return uvjobs.race { function() uvjobs.sleep(2) end, function() uvjobs.sleep(1) return "x" end }
  end, 2, "x"),
  map = expect(function()
    local source = co.wrap(function() for i = 1, 3 do uvjobs.sleep(1) co.yield(i) end end)
    local results = uvjobs.map(source, function(i) uvjobs.sleep(1) return -i end, { limit = 1 })
    return table.concat(results, " ")
  end, "-1 -2 -3"),
}

local function check(ok, ...)
  if not ok then error((...), 0) end
  return ...
end

-- The names in the errors that they raise where they cannot suspend; false for those that catch it.
local refusals = {
  ["await that is abandoned"] = false,
  ["timeout that passes"] = false,
  ["spawn that has no room"] = "the scheduler's pending queue is full",
}

-- Ways to call `fn(...)` in coroutines of a job, without its first results.
local ways = {
  resume = function(fn, ...) return check(co.resume(co.create(fn), ...)) end,
  wrap = function(fn, ...) return co.wrap(fn)(...) end,
  ["three wraps"] = function(fn, ...)
    return co.wrap(function(...)
      return co.wrap(function(...) return co.wrap(fn)(...) end)(...)
    end)(...)
  end,
  ["a resume that was yielded to before"] = function(fn, ...)
    local f = co.wrap(function() return fn(co.yield()) end)
    f()
    return f(...)
  end,
}

describe("in a coroutine", function()
  after_each(helper.check_clean)

  for name, call in pairs(calls) do
    it(name .. " suspends the job, and gives its values", function()
      for _, way in pairs(ways) do
        virtual(function()
          local s <close> = uvjobs.scheduler()
          local turns = 0
          local other = s:spawn(function()
            while true do
              for _ = 1, 10 do uvjobs.yield() turns = turns + 1 end
              uvjobs.sleep(0.5)
            end
          end)
          uvjobs.yield()
          local before = turns
          assert.same(call.values, table.pack(way(call.fn, s)))
          assert.is_true(turns > before, "no other job ran")
          other:cancel()
        end)
      end
    end)

    local refusal = refusals[name]
    if refusal == nil then refusal = "must be called in a job" end
    local test = refusal and it or ignore
    test(name .. " raises where Lua's own resume is between #M15", function()
      virtual(function()
        local s = uvjobs.scheduler()
        local texts = {}
        for i, between in ipairs { coroutine.wrap, function(fn) -- and one of ours above it
          return coroutine.wrap(function(...) return co.wrap(fn)(...) end)
        end } do
          ways["three wraps"](function()
            local ok, err = pcall(between(call.fn), s)
            texts[i] = ok and "nothing was raised" or tostring(err)
            uvjobs.sleep(1)
          end)
        end
        assert.equal(2, uvjobs.now())
        for i = 1, 2 do assert.matches(refusal, texts[i], 1, true) end
        s:close()
      end)
    end)
  end
end)

describe("a coroutine that suspends its job", function()
  after_each(helper.check_clean)

  it("yields to its consumer between, and other jobs run meanwhile", function()
    virtual(function()
      local s <close> = uvjobs.scheduler()
      local log = helper.log()
      local function ticks(name, span)
        for i in co.wrap(function()
          for i = 1, 3 do
            uvjobs.sleep(span)
            co.yield(i)
          end
        end) do
          log:add(name .. i .. "@" .. uvjobs.now())
        end
      end
      s:spawn(ticks, "a", 2)
      s:spawn(ticks, "b", 3)
      s:wait_and_close()
      assert.same({ "a1@2.0", "b1@3.0", "a2@4.0", "b2@6.0", "a3@6.0", "b3@9.0" }, log)
    end)
  end)

  it("is the job: current, context, and as its function", function()
    virtual(function()
      local s <close> = uvjobs.scheduler()
      local job
      job = s:spawn(co.wrap(function(a, b)
        assert.equal(job, uvjobs.current())
        uvjobs.context.key = "inside"
        uvjobs.sleep(1)
        assert.equal(job, uvjobs.current())
        return co.wrap(function() uvjobs.sleep(1) return uvjobs.context.key, a, b end)()
      end), 1, 2)
      assert.same({ "inside", 1, 2 }, { job:wait() })
      assert.is_nil(uvjobs.context.key)
    end)
  end)

  it("works at any depth, where both sides of a queue of none wait", function()
    virtual(function()
      local s <close> = uvjobs.scheduler()
      for depth = 1, 20 do
        local function deep(n, fn, ...)
          if n == 0 then return fn(...) end
          return co.wrap(deep)(n - 1, fn, ...)
        end
        for _, first in ipairs { "put", "get" } do
          local queue, item = uvjobs.queue(0), {}
          local jobs = {}
          for _, side in ipairs { first, first == "put" and "get" or "put" } do
            jobs[side] = s:spawn(deep, depth, queue[side], queue, side == "put" and item or nil)
            uvjobs.yield()
          end
          assert.equal(item, jobs.get:wait())
          assert.is_true(jobs.put:wait())
        end
      end
    end)
  end)

  it("keeps the items of several waiting putters in order", function()
    virtual(function()
      local s <close> = uvjobs.scheduler()
      local queue = uvjobs.queue(1)
      for i = 1, 9 do s:spawn(co.wrap(function() return co.wrap(queue.put)(queue, i) end)) end
      uvjobs.sleep(1)
      for i = 1, 9 do assert.equal(i, queue:get()) end
    end)
  end)

  it("is normal for other jobs, which can neither resume nor close it", function()
    virtual(function()
      local s <close> = uvjobs.scheduler()
      local inner
      local outer = co.create(function()
        inner = co.create(function() uvjobs.sleep(5) return "inner" end)
        return co.resume(inner)
      end)
      local job = s:spawn(co.resume, outer)
      uvjobs.sleep(1)
      for _, c in ipairs { outer, inner } do
        assert.equal("normal", co.status(c))
        assert.same({ false, "cannot resume non-suspended coroutine" }, { co.resume(c, 1) })
        assert.equal("cannot close a normal coroutine", helper.message(function() co.close(c) end))
      end
      assert.same({ true, true, "inner" }, { job:wait() })
      assert.equal(5, uvjobs.now())
      assert.equal("dead", co.status(outer))
      assert.equal("dead", co.status(inner))
    end)
  end)

  it("may go on in another job when it has yielded", function()
    virtual(function()
      local s <close> = uvjobs.scheduler()
      local c = co.create(function()
        for _ = 1, 3 do
          uvjobs.sleep(1)
          co.yield(uvjobs.current())
        end
      end)
      for _ = 1, 3 do
        local job = s:spawn(function() return select(2, co.resume(c)) end)
        assert.equal(job, job:wait())
        assert.equal("suspended", co.status(c))
      end
      assert.equal(3, uvjobs.now())
    end)
  end)

  it("cannot across a C call where it is resumed, and goes on #M15", function()
    virtual(function()
      local c = co.wrap(function()
        for _ = 1, 2 do
          co.yield(select(2, pcall(co.wrap(function() uvjobs.sleep(1) end))))
        end
        uvjobs.sleep(1)
        return uvjobs.now()
      end)
      local text
      table.sort({ 2, 1 }, function(a, b) text = c() return a < b end)
      assert.matches("'sleep' cannot suspend across a C call", text, 1, true)
      assert.is_nil(c())
      assert.equal(2.0, c())
    end)
  end)
end)
