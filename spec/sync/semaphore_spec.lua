-- Semaphores: permits that are taken, handed over and given back. What holds
-- one for the time of a call is in permit_spec.lua.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, ignore, quiet = helper.virtual, helper.ignore, helper.quiet

local pack = table.pack

describe("a semaphore", function()
  after_each(helper.check_clean)

  it("gives out as many permits as it has, then makes acquire wait", function()
    virtual(function()
      local sem, s = uvjobs.semaphore(2), quiet()
      assert.same(pack(true), pack(sem:acquire()))
      assert.same(pack(true), pack(sem:acquire()))
      assert.equal(0, sem.count)
      local third = s:spawn(sem.acquire, sem)
      uvjobs.sleep(3)
      assert.is_true(third.active)
      sem:release()
      assert.is_true(third:wait())
      assert.equal(0, sem.count)
      s:wait_and_close()
    end)
  end)

  it("never has more jobs inside than permits", function()
    virtual(function()
      local sem, s, inside, most = uvjobs.semaphore(3), quiet(), 0, 0
      for i = 1, 50 do
        s:spawn(function()
          sem:acquire()
          inside = inside + 1
          most = math.max(most, inside)
          uvjobs.sleep(i % 4 / 10)
          inside = inside - 1
          sem:release()
        end)
      end
      s:wait_and_close()
      assert.equal(3, most)
      assert.equal(3, sem.count)
    end)
  end)

  it("serves first come, first served", function()
    virtual(function()
      local sem, s, log = uvjobs.semaphore(1), quiet(), helper.log()
      sem:acquire()
      for i = 1, 5 do
        s:spawn(function() sem:acquire(); log:add(i); uvjobs.yield(); sem:release() end)
      end
      uvjobs.yield()
      sem:release()
      s:wait_and_close()
      assert.same({ 1, 2, 3, 4, 5 }, { table.unpack(log) })
    end)
  end)

  it("hands a permit straight to the first waiter, so nobody overtakes", function()
    virtual(function()
      local sem, s = uvjobs.semaphore(1), quiet()
      sem:acquire()
      local waiter = s:spawn(sem.acquire, sem)
      uvjobs.yield()
      sem:release()
      assert.equal(0, sem.count)
      assert.is_false(sem:try_acquire())
      assert.same(pack(nil, "timeout"), pack(sem:acquire(0)))
      assert.is_true(waiter:wait())
      s:wait_and_close()
    end)
  end)

  it("runs no user code inside release #M1", function()
    virtual(function()
      local sem, s, ran = uvjobs.semaphore(1), quiet(), false
      sem:acquire()
      s:spawn(function() sem:acquire(); ran = true end)
      uvjobs.yield()
      sem:release()
      assert.is_false(ran)
      s:wait_and_close()
      assert.is_true(ran)
    end)
  end)

  it("gives nil and 'timeout' when the time of acquire passes", function()
    virtual(function()
      local sem = uvjobs.semaphore(1)
      assert.is_true(sem:acquire(0))
      assert.same(pack(nil, "timeout"), pack(sem:acquire(2)))
      assert.equal(2, uvjobs.now())
      assert.same(pack(nil, "timeout"), pack(sem:permit(1)))
      assert.equal(3, uvjobs.now())
      assert.same(pack(nil, "timeout"), pack(sem:acquire(0)))
      assert.equal(3, uvjobs.now())
      sem:release()
      assert.equal(1, sem.count)
    end)
  end)

  it("can be used by try_acquire and release outside any job", function()
    local sem = uvjobs.semaphore(2)
    assert.is_true(sem:try_acquire())
    assert.is_true(sem:try_acquire())
    assert.is_false(sem:try_acquire())
    assert.equal(0, sem.count)
    sem:release()
    assert.equal(1, sem.count)
    assert.matches("^uvjobs.Semaphore: 1", tostring(sem))
  end)

  it("of math.huge permits never makes anybody wait", function()
    virtual(function()
      local sem = uvjobs.semaphore(math.huge)
      assert.equal(math.huge, sem.count)
      for _ = 1, 1000 do assert.is_true(sem:acquire(0)) end
      assert.equal(math.huge, sem.count)
      assert.matches("inf", tostring(sem))
    end)
  end)
end)

describe("misuse of a semaphore", function()
  after_each(helper.check_clean)

  it("raises for a number of permits that is no integer >= 1", function()
    local prefix = "bad argument #1 to 'semaphore' (integer >= 1 or math.huge expected, got "
    for _, case in ipairs {
      { 0, "0)" }, { -1, "-1)" }, { 1.5, "1.5)" }, { "3", "'3')" }, { {}, "table)" },
    } do
      assert.equal(prefix .. case[2], helper.message(uvjobs.semaphore, case[1]))
    end
    assert.equal(prefix .. "no value)", helper.message(uvjobs.semaphore))
    assert.equal(prefix .. "nil)", helper.message(uvjobs.semaphore, nil))
  end)

  it("raises when more is released than was acquired, and changes nothing", function()
    local sem = uvjobs.semaphore(2)
    assert.equal("semaphore released more often than acquired", helper.message(sem.release, sem))
    assert.is_true(sem:try_acquire())
    sem:release()
    assert.is_false((pcall(sem.release, sem)))
    assert.equal(2, sem.count)
    local _, err = pcall(function() sem:release() end)
    assert.matches("semaphore_spec.lua:%d+: semaphore", err)
  end)

  it("raises for a bad timeout", function()
    virtual(function()
      local sem = uvjobs.semaphore(1)
      for _, name in ipairs { "acquire", "permit" } do
        assert.equal(("bad argument #1 to '%s' (number expected, got string)"):format(name),
          helper.message(sem[name], sem, "1"))
        assert.equal(("bad argument #1 to '%s' (seconds must be >= 0, got -1)"):format(name),
          helper.message(sem[name], sem, -1))
      end
      assert.equal(1, sem.count)
    end)
  end)

  it("raises for a wrong self", function()
    local sem = uvjobs.semaphore(1)
    for _, name in ipairs { "acquire", "try_acquire", "release", "permit", "with" } do
      local expected = ("bad self to '%s' (uvjobs.Semaphore expected, got %%s)"):format(name)
      assert.equal(expected:format("nil"), helper.message(sem[name], nil, ignore))
      assert.equal(expected:format("table"), helper.message(sem[name], {}, ignore))
    end
  end)

  it("raises for something else than a function in with()", function()
    virtual(function()
      local sem = uvjobs.semaphore(1)
      assert.equal("bad argument #1 to 'with' (function expected, got nil)",
        helper.message(sem.with, sem))
      assert.equal("bad argument #1 to 'with' (function expected, got number)",
        helper.message(sem.with, sem, 5))
      assert.equal(1, sem.count)
    end)
  end)

  it("raises for a call that can suspend outside a job #M15", function()
    local sem = uvjobs.semaphore(1)
    assert.equal("'acquire' must be called in a job: use uvjobs.run",
      helper.message(sem.acquire, sem))
    assert.equal("'permit' must be called in a job: use uvjobs.run",
      helper.message(sem.permit, sem))
    assert.equal("'with' must be called in a job: use uvjobs.run",
      helper.message(sem.with, sem, ignore))
    virtual(function()
      assert.equal("'acquire' cannot suspend across a C call", helper.message(function()
        table.sort({ 2, 1, 3 }, function() return sem:acquire() end)
      end))
    end)
    assert.equal(1, sem.count)
  end)
end)

describe("a waiter that leaves a semaphore", function()
  after_each(helper.check_clean)

  local function leaves(job, act)
    virtual(function()
      local sem, s, got = uvjobs.semaphore(1), quiet(), helper.log()
      sem:acquire()
      s:spawn(function() sem:acquire(); got:add(1) end)
      local leaver = s:spawn(job, sem)
      s:spawn(function() sem:acquire(); got:add(2) end)
      helper.yield(2)
      act(leaver)
      assert.is_true(leaver.closed)
      assert.same({}, { table.unpack(got) })
      assert.equal(0, sem.count)
      for _ = 1, 3 do sem:release(); uvjobs.yield() end
      assert.same({ 1, 2 }, { table.unpack(got) })
      assert.equal(1, sem.count)
      s:wait_and_close()
    end)
  end

  for _, name in ipairs { "acquire", "permit" } do
    it("by being cancelled in " .. name .. " takes no permit #M6", function()
      leaves(function(sem) sem[name](sem) end,
        function(job) job:cancel(); job:join() assert.equal("cancelled", job.state) end)
    end)

    it("by its timeout in " .. name .. " takes no permit #M6", function()
      leaves(function(sem) assert.same(pack(nil, "timeout"), pack(sem[name](sem, 1))) end,
        function(job) job:wait() assert.equal(1, uvjobs.now()) end)
    end)

    it("by a deadline in " .. name .. " takes no permit #M6", function()
      leaves(function(sem) uvjobs.timeout(1, sem[name], sem) end,
        function(job) helper.raises("timeout", job.wait, job) end)
    end)

    it("by being killed in " .. name .. " takes no permit #M6", function()
      leaves(function(sem) uvjobs.protect(sem[name], sem) end,
        function(job) pcall(job.close, job, 1) assert.equal("killed", job.state) end)
    end)
  end

  it("takes none in a cancelled job, though one is free #M5 #M6", function()
    virtual(function()
      local sem, s = uvjobs.semaphore(1), quiet()
      local job = s:spawn(function()
        pcall(uvjobs.sleep, 10)
        helper.raises("cancelled", sem.acquire, sem)
        helper.raises("cancelled", sem.permit, sem, 0)
        helper.raises("cancelled", sem.with, sem, function() error("it was called") end)
        return sem:try_acquire() -- never raises
      end)
      uvjobs.yield()
      job:cancel()
      assert.is_true(job:wait())
      assert.equal(0, sem.count)
      s:close()
    end)
  end)

  it("keeps the permit it was handed before it was cancelled #M6", function()
    virtual(function()
      local sem, s, got = uvjobs.semaphore(1), quiet(), nil
      sem:acquire()
      local job = s:spawn(function() got = sem:acquire(); uvjobs.yield() end)
      local with = s:spawn(function() sem:with(uvjobs.sleep, 5) end)
      uvjobs.yield()
      sem:release()
      job:cancel()
      job:join()
      assert.is_true(got)
      assert.equal("cancelled", job.state)
      sem:release() -- for the job
      with:cancel()
      with:join()
      assert.equal(1, sem.count)
      s:close()
    end)
  end)
end)
