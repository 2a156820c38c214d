-- with(fn, ...) and to-be-closed permits of semaphores and mutexes. A permit is given back however
-- the job ends that held it.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, quiet = helper.virtual, helper.quiet

local pack = table.pack

-- The two things that have permits: how to make one with a single permit, and whether it is free.
local kinds = {
  semaphore = {
    make = function() return uvjobs.semaphore(1) end,
    free = function(sem) return sem.count == 1 end,
    take = function(sem) return sem:acquire() end,
    give = function(sem) return sem:release() end,
  },
  mutex = {
    make = uvjobs.mutex,
    free = function(mutex) return tostring(mutex) == "uvjobs.Mutex: free" end,
    take = function(mutex) return mutex:lock() end,
    give = function(mutex) return mutex:unlock() end,
  },
}

-- Two ways to hold a permit for the time of a call.
local ways = {
  ["with()"] = function(thing, fn, ...) return thing:with(fn, ...) end,
  ["a to-be-closed permit"] = function(thing, fn, ...)
    local _ <close> = thing:permit()
    return fn(...)
  end,
}

local function holding(kind, name, hold)
  describe("a " .. kind .. " that is held by " .. name, function()
    after_each(helper.check_clean)

    local make, free = kinds[kind].make, kinds[kind].free
    local take, give = kinds[kind].take, kinds[kind].give

    it("is free again when the function has returned, with all results", function()
      virtual(function()
        local thing = make()
        local got = pack(hold(thing, function(...)
          assert.is_false(free(thing))
          uvjobs.sleep(1)
          return ...
        end, 1, nil, 3, nil))
        assert.same(pack(1, nil, 3, nil), got)
        assert.is_true(free(thing))
      end)
    end)

    it("is free again when it failed, and the error is the same #M12", function()
      virtual(function()
        local thing, problem = make(), {}
        local ok, err = pcall(hold, thing, function() uvjobs.yield(); error(problem) end)
        assert.is_false(ok)
        assert.equal(problem, err)
        assert.is_true(free(thing))
      end)
    end)

    it("is free again when the job was cancelled", function()
      virtual(function()
        local thing, s = make(), quiet()
        local job = s:spawn(hold, thing, uvjobs.sleep, 10)
        uvjobs.yield()
        assert.is_false(free(thing))
        job:cancel()
        job:join()
        assert.equal("cancelled", job.state)
        assert.is_true(free(thing))
        s:close()
      end)
    end)

    it("passes to the next when the job was killed #M7", function()
      virtual(function()
        local thing, reports = make(), helper.log()
        local s = uvjobs.scheduler {
          exception_handler = helper.recorder(reports, "message"),
        }
        local job = s:spawn(hold, thing, uvjobs.protect, uvjobs.sleep, 10)
        local waiter = s:spawn(function() local got = take(thing); give(thing); return got end)
        uvjobs.yield()
        assert.equal(job, helper.raises("timeout", job.close, job, 1).job)
        assert.equal("killed", job.state)
        assert.is_true(waiter:wait())
        assert.is_true(free(thing))
        assert.same({}, { table.unpack(reports) })
        s:close()
      end)
    end)

    it("is free again when a deadline has passed", function()
      virtual(function()
        local thing = make()
        helper.raises("timeout", uvjobs.timeout, 1, hold, thing, uvjobs.sleep, 10)
        assert.is_true(free(thing))
      end)
    end)

    it("is not held when the job was cancelled while it waited #M6", function()
      virtual(function()
        local thing, s, called = make(), quiet(), false
        take(thing)
        local job = s:spawn(hold, thing, function() called = true end)
        uvjobs.yield()
        job:cancel()
        job:join()
        assert.equal("cancelled", job.state)
        give(thing)
        assert.is_true(free(thing))
        assert.is_false(called)
        s:close()
      end)
    end)

    it("is given back when the job was cancelled after it was handed over #M6", function()
      virtual(function()
        local thing, s = make(), quiet()
        take(thing)
        local job = s:spawn(hold, thing, uvjobs.sleep, 10)
        uvjobs.yield()
        give(thing)
        job:cancel()
        job:join()
        assert.equal("cancelled", job.state)
        assert.is_true(free(thing))
        s:close()
      end)
    end)

    it("lets one job in at a time, in order", function()
      virtual(function()
        local thing, s, log, inside = make(), quiet(), helper.log(), 0
        for i = 1, 10 do
          s:spawn(hold, thing, function()
            inside = inside + 1
            assert.equal(1, inside)
            log:add(i)
            uvjobs.sleep(1)
            inside = inside - 1
          end)
        end
        s:wait_and_close()
        assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, { table.unpack(log) })
        assert.equal(10, uvjobs.now())
        assert.is_true(free(thing))
      end)
    end)
  end)
end

for _, kind in ipairs { "semaphore", "mutex" } do
  for _, name in ipairs { "with()", "a to-be-closed permit" } do
    holding(kind, name, ways[name])
  end
end

for _, kind in ipairs { "semaphore", "mutex" } do
  describe("a permit of a " .. kind, function()
    after_each(helper.check_clean)

    local make, free = kinds[kind].make, kinds[kind].free

    it("is given back by release(), once, and not again at the end of its block", function()
      virtual(function()
        local thing = make()
        do
          local permit <close> = thing:permit()
          assert.equal("uvjobs.Permit: held", tostring(permit))
          assert.is_false(free(thing))
          assert.equal(0, select("#", permit:release()))
          assert.is_true(free(thing))
          assert.equal("uvjobs.Permit: released", tostring(permit))
          kinds[kind].take(thing)
          permit:release()
          assert.is_false(free(thing))
        end
        assert.is_false(free(thing))
        kinds[kind].give(thing)
      end)
    end)

    it("is nil and 'timeout' when the time passes", function()
      virtual(function()
        local thing, s = make(), quiet()
        s:spawn(thing.with, thing, uvjobs.sleep, 5)
        uvjobs.yield()
        assert.same(pack(nil, "timeout"), pack(thing:permit(2)))
        assert.equal(2, uvjobs.now())
        assert.same(pack(nil, "timeout"), pack(thing:permit(0)))
        local none <close> = thing:permit(1) -- a block can be left with nil
        assert.is_nil(none)
        local permit <close> = thing:permit(10)
        assert.equal(5, uvjobs.now())
        assert.equal("uvjobs.Permit: held", tostring(permit))
        s:wait_and_close()
      end)
    end)

    it("refuses a wrong self", function()
      virtual(function()
        local thing = make()
        local permit <close> = thing:permit()
        assert.equal("bad self to 'release' (uvjobs.Permit expected, got uvjobs.Event)",
          helper.message(permit.release, uvjobs.event()))
        assert.is_false(free(thing))
      end)
    end)

    it("keeps what it is of alive", function()
      virtual(function()
        local permit = make():permit()
        collectgarbage()
        collectgarbage()
        permit:release()
        assert.equal("uvjobs.Permit: released", tostring(permit))
      end)
    end)
  end)
end

describe("several permits", function()
  after_each(helper.check_clean)

  it("are given back in reverse order, also when the job is killed #M7", function()
    virtual(function()
      local s = quiet()
      local one, two, log = uvjobs.semaphore(1), uvjobs.mutex(), helper.log()
      local job = s:spawn(function()
        local _ <close> = one:permit()
        local _ <close> = setmetatable({}, { __close = function()
          log:add(one.count .. " " .. tostring(two))
        end })
        local _ <close> = two:permit()
        uvjobs.protect(uvjobs.sleep, 10)
      end)
      uvjobs.yield()
      pcall(job.close, job, 1)
      assert.equal("killed", job.state)
      assert.same({ "0 uvjobs.Mutex: free" }, { table.unpack(log) })
      assert.equal(1, one.count)
      s:close()
    end)
  end)

  it("of a nested with() are both given back when the inner one is cancelled in its wait",
    function()
      virtual(function()
        local s, outer, inner = quiet(), uvjobs.semaphore(1), uvjobs.semaphore(1)
        inner:acquire()
        local job = s:spawn(outer.with, outer, inner.with, inner, error)
        uvjobs.yield()
        assert.equal(0, outer.count)
        job:cancel()
        job:join()
        assert.equal(1, outer.count)
        inner:release()
        assert.equal(1, inner.count)
        s:close()
      end)
    end)
end)

describe("a permit of a mutex", function()
  after_each(helper.check_clean)

  it("is not given back by a block of another job", function()
    virtual(function()
      local mutex, jobs, permit = uvjobs.mutex(), uvjobs.scheduler(), nil
      jobs:spawn(function()
        local held <close> = mutex:permit()
        permit = held
        uvjobs.sleep(5)
      end)
      uvjobs.yield()
      local ok, err = pcall(function() local _ <close> = permit end)
      assert.is_false(ok)
      assert.matches("the mutex is locked by job #%d+", err)
      assert.is_false(mutex:try_lock())
      jobs:wait_and_close()
      assert.is_true(mutex:try_lock())
      mutex:unlock()
    end)
  end)

  it("does not give back a later lock of the same job", function()
    virtual(function()
      local mutex = uvjobs.mutex()
      local first = mutex:permit()
      mutex:unlock()
      local second = mutex:permit()
      first:release()
      assert.is_false(mutex:try_lock())
      second:release()
      assert.is_true(mutex:try_lock())
      mutex:unlock()
    end)
  end)
end)
