-- Mutexes: one owner at a time. What becomes of the lock when its owner ends is
-- in mutex_owner_end_spec.lua.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, ignore, quiet = helper.virtual, helper.ignore, helper.quiet

local pack = table.pack

describe("a mutex", function()
  after_each(helper.check_clean)

  it("is locked by one job at a time, first come, first served", function()
    virtual(function()
      local mutex, s, log, inside = uvjobs.mutex(), quiet(), helper.log(), 0
      for i = 1, 20 do
        s:spawn(function()
          assert.same(pack(true), pack(mutex:lock()))
          inside = inside + 1
          assert.equal(1, inside)
          log:add(i)
          uvjobs.sleep(i % 3 / 10)
          inside = inside - 1
          assert.equal(0, select("#", mutex:unlock()))
        end)
      end
      s:wait_and_close()
      assert.equal(20, #log)
      for i = 1, 20 do assert.equal(i, log[i]) end
      assert.equal("uvjobs.Mutex: free", tostring(mutex))
    end)
  end)

  it("passes straight to the first waiter when it is unlocked, so nobody overtakes", function()
    virtual(function()
      local mutex, s = uvjobs.mutex(), quiet()
      mutex:lock()
      local waiter = s:spawn(function()
        mutex:lock()
        uvjobs.sleep(5)
        mutex:unlock()
      end)
      uvjobs.yield()
      mutex:unlock()
      assert.is_false(mutex:try_lock())
      assert.equal("uvjobs.Mutex: locked by job #" .. waiter.id, tostring(mutex))
      assert.same(pack(nil, "timeout"), pack(mutex:lock(1)))
      assert.is_true(mutex:lock())
      assert.equal(5, uvjobs.now())
      mutex:unlock()
      s:wait_and_close()
    end)
  end)

  it("runs no user code inside unlock #M1", function()
    virtual(function()
      local mutex, s, ran = uvjobs.mutex(), quiet(), false
      mutex:lock()
      s:spawn(function() mutex:with(function() ran = true end) end)
      uvjobs.yield()
      mutex:unlock()
      assert.is_false(ran)
      s:wait_and_close()
      assert.is_true(ran)
    end)
  end)

  it("is locked by try_lock when it is free, and never waits", function()
    virtual(function()
      local mutex, s = uvjobs.mutex(), quiet()
      assert.is_true(mutex:try_lock())
      assert.is_false(mutex:try_lock())
      local other = s:spawn(function() return mutex:try_lock() end)
      assert.is_false(other:wait())
      mutex:unlock()
      assert.is_true(mutex:try_lock())
      mutex:unlock()
      s:wait_and_close()
    end)
  end)

  it("gives nil and 'timeout' when the time of lock passes", function()
    virtual(function()
      local mutex, s = uvjobs.mutex(), quiet()
      assert.is_true(mutex:lock(0))
      local job = s:spawn(function()
        local got = { pack(mutex:lock(2)), pack(mutex:lock(0)) }
        return uvjobs.now(), got
      end)
      local now, got = job:wait()
      assert.equal(2, now)
      assert.same({ pack(nil, "timeout"), pack(nil, "timeout") }, got)
      mutex:unlock()
      s:wait_and_close()
    end)
  end)

  it("does not keep the next from locking when the one before timed out", function()
    virtual(function()
      local mutex, s, log = uvjobs.mutex(), quiet(), helper.log()
      mutex:lock()
      for i = 1, 4 do
        s:spawn(function()
          local got = mutex:lock(i % 2 == 1 and 1 or nil)
          log:add(i .. tostring(got))
          if got then mutex:unlock() end
        end)
      end
      uvjobs.sleep(2)
      mutex:unlock()
      s:wait_and_close()
      assert.same({ "1nil", "3nil", "2true", "4true" }, { table.unpack(log) })
    end)
  end)
end)

describe("misuse of a mutex", function()
  after_each(helper.check_clean)

  it("raises when its owner locks it again, which would wait for ever", function()
    virtual(function()
      local mutex = uvjobs.mutex()
      mutex:lock()
      for _, name in ipairs { "lock", "permit" } do
        assert.equal("the mutex is already locked by this job", helper.message(mutex[name], mutex))
        assert.equal("the mutex is already locked by this job",
          helper.message(mutex[name], mutex, 1))
      end
      assert.equal("the mutex is already locked by this job",
        helper.message(mutex.with, mutex, ignore))
      mutex:unlock() -- it is locked once
      assert.equal("uvjobs.Mutex: free", tostring(mutex))
    end)
  end)

  it("raises when somebody unlocks it who is not the owner, and it stays locked", function()
    virtual(function()
      local mutex, s = uvjobs.mutex(), quiet()
      assert.equal("the mutex is not locked", helper.message(mutex.unlock, mutex))
      local owner = s:spawn({ name = "owner" }, mutex.with, mutex, uvjobs.sleep, 5)
      uvjobs.yield()
      assert.equal(("the mutex is locked by job #%d \"owner\""):format(owner.id),
        helper.message(mutex.unlock, mutex))
      local _, err = pcall(function() mutex:unlock() end)
      assert.matches("mutex_spec.lua:%d+: the mutex", err)
      assert.is_false(mutex:try_lock())
      s:wait_and_close()
      assert.equal("the mutex is not locked", helper.message(mutex.unlock, mutex))
    end)
  end)

  it("raises outside a job #M15", function()
    local mutex = uvjobs.mutex()
    for _, name in ipairs { "lock", "try_lock", "unlock", "permit", "with" } do
      assert.equal(("'%s' must be called in a job: use uvjobs.run"):format(name),
        helper.message(mutex[name], mutex, name == "with" and ignore or nil))
    end
    virtual(function()
      local co = coroutine.create(function() mutex:lock() end)
      assert.matches("'lock' must be called in a job", select(2, coroutine.resume(co)))
    end)
    assert.equal("uvjobs.Mutex: free", tostring(mutex))
  end)

  it("raises for a wrong self", function()
    local mutex = uvjobs.mutex()
    for _, name in ipairs { "lock", "try_lock", "unlock", "permit", "with" } do
      local expected = ("bad self to '%s' (uvjobs.Mutex expected, got %%s)"):format(name)
      assert.equal(expected:format("nil"), helper.message(mutex[name], nil, ignore))
      assert.equal(expected:format("table"), helper.message(mutex[name], {}, ignore))
    end
  end)

  it("raises for a bad timeout or function", function()
    virtual(function()
      local mutex = uvjobs.mutex()
      assert.equal("bad argument #1 to 'lock' (number expected, got string)",
        helper.message(mutex.lock, mutex, "1"))
      assert.equal("bad argument #1 to 'permit' (seconds must be >= 0, got -1)",
        helper.message(mutex.permit, mutex, -1))
      assert.equal("bad argument #1 to 'with' (function expected, got table)",
        helper.message(mutex.with, mutex, {}))
      assert.equal("uvjobs.Mutex: free", tostring(mutex))
    end)
  end)

  it("raises when a permit is given back by another job, which does not own the lock", function()
    virtual(function()
      local mutex, s, permit = uvjobs.mutex(), quiet(), nil
      s:spawn(function()
        local held <close> = mutex:permit()
        permit = held
        uvjobs.sleep(5)
      end)
      uvjobs.yield()
      assert.matches("the mutex is locked by job #%d+", helper.message(permit.release, permit))
      assert.is_false(mutex:try_lock())
      s:wait_and_close()
    end)
  end)
end)

describe("a waiter that leaves a mutex", function()
  after_each(helper.check_clean)

  local function leaves(job, act)
    virtual(function()
      local mutex, s, got = uvjobs.mutex(), quiet(), helper.log()
      local function locker(i) mutex:lock(); got:add(i); mutex:unlock() end
      mutex:lock()
      s:spawn(locker, 1)
      local leaver = s:spawn(job, mutex)
      s:spawn(locker, 2)
      helper.yield(2)
      act(leaver)
      assert.is_true(leaver.closed)
      assert.same({}, { table.unpack(got) })
      mutex:unlock()
      s:wait_and_close()
      assert.same({ 1, 2 }, { table.unpack(got) })
      assert.equal("uvjobs.Mutex: free", tostring(mutex))
    end)
  end

  it("by being cancelled locks nothing #M6", function()
    leaves(function(mutex) mutex:lock() end,
      function(job) job:cancel(); job:join() assert.equal("cancelled", job.state) end)
  end)

  it("by its timeout locks nothing #M6", function()
    leaves(function(mutex) assert.same(pack(nil, "timeout"), pack(mutex:lock(1))) end,
      function(job) job:wait() assert.equal(1, uvjobs.now()) end)
  end)

  it("by a deadline locks nothing #M6", function()
    leaves(function(mutex) uvjobs.timeout(1, mutex.lock, mutex) end,
      function(job) helper.raises("timeout", job.wait, job) end)
  end)

  it("by being killed locks nothing #M6", function()
    leaves(function(mutex) uvjobs.protect(mutex.lock, mutex) end,
      function(job) pcall(job.close, job, 1) assert.equal("killed", job.state) end)
  end)

  it("locks nothing in a cancelled job, though it is free #M5 #M6", function()
    virtual(function()
      local mutex, s = uvjobs.mutex(), quiet()
      local job = s:spawn(function()
        pcall(uvjobs.sleep, 10)
        helper.raises("cancelled", mutex.lock, mutex)
        helper.raises("cancelled", mutex.permit, mutex)
        helper.raises("cancelled", mutex.with, mutex, function() error("it was called") end)
        local got = mutex:try_lock() -- never raises
        mutex:unlock()
        return got
      end)
      uvjobs.yield()
      job:cancel()
      assert.is_true(job:wait())
      s:close()
    end)
  end)

  it("leaves no memory behind, by the thousand, and one of them goes on", function()
    virtual(function()
      collectgarbage()
      local before, many = collectgarbage "count", {}
      for i = 1, 20000 do many[i] = uvjobs.mutex() end
      local last = many[#many]
      last:lock()
      many = nil -- luacheck: ignore 311
      for _ = 1, 2 do -- first the finalizers are called
        collectgarbage()
        uvjobs.yield() -- the loop gives back what it has for many
      end
      assert.is_true(collectgarbage "count" - before < 100)
      last:unlock()
      assert.is_true(last:try_lock())
      last:unlock()
    end)
  end)
end)
