-- Jobs whose handle nobody takes: their records are used again, and nobody notices.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, ignore, yield = helper.virtual, helper.ignore, helper.yield

--- A new value of each kind whose end the collector tells, and the table that it leaves then.
local function mortal()
  local value = {}
  return value, setmetatable({ value }, { __mode = "v" })
end

local function is_gone(weak)
  collectgarbage()
  collectgarbage()
  return weak[1] == nil
end

describe("a job whose handle nobody takes", function()
  after_each(helper.check_clean)

  it("gets its arguments, however many #M1", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 2 }
      for round = 1, 3 do
        local got = {}
        for n = 0, 12 do
          local args = {}
          for i = 1, n do args[i] = round * 100 + i end
          jobs:spawn(function(...)
            got[n] = { expected = args, ... }
          end, table.unpack(args))
        end
        jobs:wait_idle()
        for n = 0, 12 do
          local expected = got[n].expected
          got[n].expected = nil
          assert.same(expected, got[n])
          assert.equal(n, #got[n])
        end
      end
    end)
  end)

  it("is counted, listed and closed with the others #M9", function()
    virtual(function()
      local ended = 0
      local jobs <close> = uvjobs.scheduler { limit = 2, pending_limit = 5 }
      for _ = 1, 4 do
        jobs:spawn(function()
          local _ <close> = helper.closing(function() ended = ended + 1 end)
          uvjobs.sleep(100)
        end)
      end
      yield()
      assert.equal(4, #jobs)
      assert.equal(2, jobs.active_count)
      assert.equal(2, jobs.pending_count)
      local states = {}
      for job in jobs:jobs() do states[#states + 1] = job.state end
      assert.same({ "active", "active", "pending", "pending" }, states)
      jobs:close()
      assert.equal(0, #jobs)
      assert.equal(2, ended)
    end)
  end)

  it("can be told by what it asks for itself, for good", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1 }
      local kept
      jobs:spawn(function()
        kept = uvjobs.current()
        uvjobs.yield()
        assert.equal(kept, uvjobs.current())
        return "its result"
      end)
      jobs:wait_idle()
      local text, id = tostring(kept), kept.id
      for _ = 1, 300 do jobs:spawn(ignore) end
      jobs:wait_idle()
      assert.equal(text, tostring(kept))
      assert.equal(id, kept.id)
      assert.equal("its result", kept:wait())
      assert.equal(jobs, kept.scheduler)
    end)
  end)

  it("is named by its error, and by the report of its failure #M12", function()
    virtual(function()
      local contexts, err = {}, { "an error" }
      local jobs <close> = uvjobs.scheduler {
        limit = 1, exception_handler = helper.recorder(contexts),
      }
      for _ = 1, 3 do
        jobs:spawn(ignore)
        jobs:spawn(error, err)
      end
      jobs:wait_idle()
      assert.equal(3, #contexts)
      local seen = {}
      for _, context in ipairs(contexts) do
        assert.equal(err, context.exception)
        assert.equal("failed", context.job.state)
        assert.is_nil(seen[context.job])
        seen[context.job] = true
      end
    end)
  end)

  it("is named by its cancellation #M5", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local err
      jobs:spawn(function() err = select(2, pcall(uvjobs.sleep, 100)) end)
      yield()
      jobs:jobs()():cancel()
      yield()
      assert.equal("cancelled", uvjobs.code(err))
      assert.matches("^job #%d+ was cancelled$", tostring(err))
    end)
  end)

  it("is made when its handle is taken in whatever way", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local function tail() return jobs:spawn(ignore) end
      local handles = {
        jobs:spawn(ignore), (jobs:spawn(ignore)), tail(), (tail()),
        select(2, pcall(jobs.spawn, jobs, ignore)), table.pack(jobs:spawn(ignore))[1],
        jobs:spawn(ignore) or nil, jobs:try_spawn(ignore),
      }
      for name, wrap in pairs { spawn = jobs.spawn, try_spawn = jobs.try_spawn } do
        handles[name] = coroutine.wrap(wrap)(jobs, ignore)
      end
      handles[#handles + 1] = setmetatable({}, { __index = function() return tail() end }).x
      local seen = {}
      for _, job in pairs(handles) do
        assert.is_nil(seen[job])
        seen[job] = true
        job:wait()
        assert.equal("done", job.state)
      end
    end)
  end)

  it("raises what spawn raises, and returns nothing", function()
    virtual(function()
      local jobs = helper.quiet { limit = 1, pending_limit = 0 }
      local function dropped(fn, ...) fn(...) end
      assert.equal(0, select("#", dropped(jobs.spawn, jobs, ignore)))
      assert.matches("^bad argument #1 to 'spawn' %(function expected, got no value%)$",
        helper.message(dropped, jobs.spawn, jobs))
      assert.matches("^bad self to 'spawn'", helper.message(dropped, jobs.spawn, 1, ignore))
      dropped(jobs.try_spawn, jobs, ignore)
      assert.equal(1, #jobs)
      jobs:close()
      helper.raises("closed", dropped, jobs.spawn, jobs, ignore)
      dropped(jobs.try_spawn, jobs, ignore)
      assert.equal(0, #jobs)
    end)
  end)
end)

describe("a spawner that waits, and drops what it gets,", function()
  after_each(helper.check_clean)

  it("goes on though its job has ended and its record is used again #M2", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, pending_limit = 0 }
      local others <close> = uvjobs.scheduler()
      local ran = 0
      for _ = 1, 5 do
        others:spawn(function()
          for _ = 1, 20 do jobs:spawn(function() ran = ran + 1 end) end
        end)
      end
      others:wait_idle()
      jobs:wait_idle()
      assert.equal(100, ran)
    end)
  end)

  it("hears that it is cancelled, and its job does not run #M6", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, pending_limit = 0 }
      local others <close> = helper.quiet()
      local ran, err = false, nil
      jobs:spawn(uvjobs.sleep, 1)
      local spawner = others:spawn(function()
        local function spawn() jobs:spawn(function() ran = true end) end
        err = select(2, pcall(spawn))
      end)
      yield()
      spawner:cancel()
      jobs:spawn(ignore) -- which may have the record of the one that was dropped
      spawner:join()
      jobs:wait_idle()
      assert.equal("cancelled", uvjobs.code(err))
      assert.is_false(ran)
    end)
  end)

  it("hears that the scheduler was closed #M9", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 1, pending_limit = 0 }
      local others <close> = helper.quiet()
      local ran = false
      jobs:spawn(uvjobs.sleep, 1)
      local spawner = others:spawn(function() jobs:spawn(function() ran = true end) end)
      yield()
      jobs:close()
      helper.raises("closed", spawner.wait, spawner)
      assert.is_false(ran)
    end)
  end)
end)

describe("when a job has ended whose handle nobody took", function()
  after_each(helper.check_clean)

  it("its function, arguments and results can be collected #M13", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1 }
      local function spawn(...) jobs:spawn(...) end
      for _ = 1, 3 do
        local argument, weak_argument = mortal()
        local result, weak_result = mortal()
        local upvalue, weak_upvalue = mortal()
        spawn(function() return upvalue, result end, argument)
        spawn(function() return result end, argument, upvalue)
        jobs:wait_idle()
        argument, result, upvalue = nil, nil, nil -- luacheck: ignore
        assert.is_true(is_gone(weak_argument))
        assert.is_true(is_gone(weak_result))
        assert.is_true(is_gone(weak_upvalue))
      end
    end)
  end)

  it("its scheduler can be collected, closed or not #M13", function()
    virtual(function()
      local weak = setmetatable({}, { __mode = "v" })
      local function use(closes)
        local jobs = uvjobs.scheduler { limit = 1 }
        weak[1] = jobs
        for _ = 1, 3 do jobs:spawn(ignore) end
        jobs:wait_idle()
        if closes then jobs:close() end
      end
      use(true)
      assert.is_true(is_gone(weak))
      use(false)
      assert.is_true(is_gone(weak))
    end)
  end)

  it("has kept its scheduler until then", function()
    virtual(function()
      local weak, ran = setmetatable({}, { __mode = "v" }), 0
      local function use()
        local jobs = uvjobs.scheduler { limit = 1 }
        weak[1] = jobs
        for _ = 1, 3 do
          jobs:spawn(function()
            uvjobs.sleep(1)
            ran = ran + 1
          end)
        end
      end
      use()
      yield()
      assert.is_false(is_gone(weak))
      uvjobs.sleep(10)
      assert.equal(3, ran)
      assert.is_true(is_gone(weak))
    end)
  end)

  it("nothing of it is left in the next one: deadlines, locks, contexts, extra fields", function()
    virtual(function()
      local jobs <close> = helper.quiet { limit = 1, close_timeout = 1 }
      local mutex = uvjobs.mutex()
      local function one(kind)
        if kind == 1 then pcall(uvjobs.timeout, 0, uvjobs.yield) end
        if kind == 2 then mutex:with(uvjobs.yield) end
        if kind == 3 then error "its own" end
        if kind == 4 then uvjobs.current():cancel() end
        if kind == 5 then helper.stubborn() end
        if kind == 6 then uvjobs.context.tag = "its own" end
        return kind
      end
      local clean = 0
      local function check()
        uvjobs.yield()
        assert.is_nil(uvjobs.remaining())
        assert.is_nil(uvjobs.context.tag)
        assert.is_true(mutex:try_lock())
        mutex:unlock()
        clean = clean + 1
      end
      for i = 1, 60 do
        jobs:spawn(one, i % 7)
        yield(2)
        if i % 7 == 5 then
          local stubborn = jobs:jobs()()
          pcall(stubborn.close, stubborn, 0.1)
        end
        jobs:wait_idle()
        jobs:spawn(check)
        jobs:wait_idle()
      end
      assert.equal(60, clean)
    end)
  end)

  it("a hundred thousand leave memory as it was #M13", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 10 }
      local function many()
        for i = 1, 100000 do jobs:spawn(ignore, i) end
        jobs:wait_idle()
      end
      many()
      local before = helper.kilobytes()
      many()
      assert.is_true(helper.kilobytes() < before + 100)
    end)
  end)
end)
