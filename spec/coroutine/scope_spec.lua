-- Time limits, interruption and the end of a job apply in coroutines of `uvjobs.coroutine`, and in
-- coroutines within coroutines.

local co = require "uvjobs.coroutine"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, raises = helper.virtual, helper.raises
local ignore, closing = helper.ignore, helper.closing

-- Calls fn(...) in the innermost of n nested coroutines, which are made by wrap.
local function wrapped(n, fn, ...)
  if n == 0 then return fn(...) end
  return co.wrap(wrapped)(n - 1, fn, ...)
end

-- The same, with coroutines that are made by create.
local function resumed(n, fn, ...)
  if n == 0 then return fn(...) end
  local results = table.pack(co.resume(co.create(resumed), n - 1, fn, ...))
  assert(results[1], results[2])
  return table.unpack(results, 2, results.n)
end

local nestings = { wrap = wrapped, resume = resumed }

describe("a timeout that a coroutine has opened and left by its yield", function()
  after_each(helper.check_clean)

  -- A coroutine that yields in a timeout, then sleeps in it.
  local function sleeper(limit, sleep)
    local c = co.create(function()
      uvjobs.timeout(limit, function()
        co.yield "yielded"
        uvjobs.sleep(sleep)
      end)
      return "slept"
    end)
    assert.same({ true, "yielded" }, { co.resume(c) })
    return c
  end

  local function outcome(c)
    local ok, value = co.resume(c)
    return ok and value or uvjobs.code(value)
  end

  it("is in force again when it is resumed", function()
    virtual(function()
      assert.equal("timeout", outcome(sleeper(1, 5)))
      assert.equal(1, uvjobs.now())
      assert.equal("slept", outcome(sleeper(5, 1)))
      assert.equal(2, uvjobs.now())
    end)
  end)

  it("goes on to pass meanwhile, without the consumer's noticing", function()
    virtual(function()
      local early, late = sleeper(1, 0.5), sleeper(4, 2)
      uvjobs.sleep(3)
      assert.equal("timeout", outcome(early))
      assert.equal(3, uvjobs.now())
      assert.equal("timeout", outcome(late))
      assert.equal(4, uvjobs.now())
    end)
  end)

  it("counts for what computes, too", function()
    uvjobs.run(function()
      local c = helper.lengthen(0.001, function(seconds)
        local c = co.create(function()
          uvjobs.timeout(seconds, function()
            co.yield()
            while true do end
          end)
        end)
        return co.resume(c), c
      end)
      assert.equal("timeout", outcome(c))
      uvjobs.timeout(60, function()
        local stop = uvjobs.now() + 0.005
        while uvjobs.now() < stop do end
      end)
    end)
  end)

  it("leaves the deadline of the consumer that resumes it, and none of an earlier one", function()
    virtual(function()
      local function generator()
        return co.create(function()
          uvjobs.timeout(10, function() co.yield() end)
          uvjobs.sleep(5)
          return "slept"
        end)
      end
      local c = generator()
      co.resume(c)
      assert.equal("timeout", uvjobs.timeout(1, outcome, c))
      assert.equal(1, uvjobs.now())
      c = generator()
      uvjobs.timeout(1, co.resume, c)
      assert.equal("slept", outcome(c))
      assert.equal(6, uvjobs.now())
    end)
  end)

  it("is that of each of several, in scopes in scopes", function()
    virtual(function()
      local c = co.create(function()
        local inner = select(2, pcall(uvjobs.timeout, 4, function()
          co.yield()
          local innermost = select(2, pcall(uvjobs.timeout, 1, function()
            co.yield()
            uvjobs.sleep(9)
          end))
          co.yield(uvjobs.code(innermost), uvjobs.now())
          uvjobs.sleep(9)
        end))
        return uvjobs.code(inner), uvjobs.now()
      end)
      co.resume(c)
      uvjobs.sleep(1)
      co.resume(c)
      uvjobs.sleep(0.5)
      assert.same({ true, "timeout", 2.0 }, { co.resume(c) })
      uvjobs.sleep(1)
      assert.same({ true, "timeout", 4.0 }, { co.resume(c) })
    end)
  end)

  it("goes with the coroutine into another job", function()
    virtual(function()
      local s <close> = uvjobs.scheduler()
      local c = sleeper(2, 5)
      local job = s:spawn(outcome, c)
      s:spawn(uvjobs.sleep, 3):wait()
      assert.equal("timeout", job:wait())
      assert.equal(3, uvjobs.now())
    end)
  end)

  it("ends when the coroutine is closed, whatever its job does #M7", function()
    virtual(function()
      local s <close> = uvjobs.scheduler()
      local c
      local job = s:spawn(function()
        c = sleeper(10, 0)
        raises("timeout", uvjobs.timeout, 3, uvjobs.sleep, 5)
        assert.equal(3, uvjobs.now())
      end)
      uvjobs.sleep(1)
      assert.is_true(co.close(c))
      job:wait()
    end)
  end)

  it("can be closed when its job has ended and is gone #M13", function()
    virtual(function()
      local s <close> = uvjobs.scheduler()
      local list, weak = {}, setmetatable({}, { __mode = "k" })
      for i = 1, 20 do
        local job = s:spawn(function()
          list[i] = sleeper(10, 0)
          list[-i] = co.create(function() uvjobs.protect(co.yield) end)
          co.resume(list[-i])
        end)
        job:wait()
        weak[job] = true
      end
      for _ = 1, 100 do s:spawn(ignore):wait() end
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
      for _ = 1, 100 do s:spawn(ignore):wait() end
      for _, c in pairs(list) do
        assert.equal("suspended", co.status(c))
        assert.is_true(co.close(c))
      end
      raises("timeout", uvjobs.timeout, 1, uvjobs.sleep, 5)
    end)
  end)
end)

describe("a protect that a coroutine has opened and left by its yield", function()
  after_each(helper.check_clean)

  it("protects it when it is resumed, and nobody else", function()
    virtual(function()
      local s <close> = uvjobs.scheduler()
      local log = helper.log()
      local job = s:spawn(function()
        local c = co.create(function()
          uvjobs.protect(function()
            co.yield()
            uvjobs.sleep(1)
            log:add "slept"
          end)
          uvjobs.sleep(1)
        end)
        co.resume(c)
        uvjobs.current():cancel()
        log:add(uvjobs.code(raises("cancelled", uvjobs.sleep, 1)))
        local _, err = co.resume(c)
        log:add(uvjobs.code(err))
        uvjobs.sleep(1)
      end)
      job:join()
      assert.equal("cancelled", job.state)
      assert.same({ "cancelled", "slept", "cancelled" }, { table.unpack(log) })
      assert.equal(1, uvjobs.now())
    end)
  end)
end)

describe("a job in coroutines in coroutines", function()
  after_each(helper.check_clean)

  for name, nest in pairs(nestings) do
    it("goes on after it was suspended: " .. name, function()
      virtual(function()
        for depth = 1, 6 do
          local function body(...)
            for _ = 1, 3 do uvjobs.sleep(1) end
            return "ok", nil, ...
          end
          assert.same({ n = 5, "ok", nil, "a", nil, depth },
                      table.pack(nest(depth, body, "a", nil, depth)))
          assert.equal(3 * depth, uvjobs.now())
        end
      end)
    end)

    it("executes nothing more when it is killed but its variables: " .. name .. " #M8", function()
      virtual(function()
        local s <close> = uvjobs.scheduler { exception_handler = ignore }
        for depth = 1, 4 do
          local log, began = helper.log(), false
          local function level(n)
            local _ <close> = closing(function(_, err) log:add(n .. uvjobs.code(err)) end)
            if n == depth then
              began = true
              uvjobs.protect(uvjobs.sleep, 60)
            else
              pcall(nest, 1, level, n + 1)
            end
            log:add "went on"
          end
          local job = s:spawn(level, 0)
          uvjobs.yield()
          assert.is_true(began)
          raises("timeout", job.close, job)
          assert.equal("killed", job.state)
          local wanted = {}
          for n = depth, 0, -1 do wanted[#wanted + 1] = n .. "killed" end
          assert.same(wanted, { table.unpack(log) })
        end
      end)
    end)
  end

  it("shows the stacks of all in its traceback", function()
    virtual(function()
      local s <close> = uvjobs.scheduler()
      local function innermost() uvjobs.sleep(60) end
      local function middle() co.wrap(innermost)() end
      local function outermost() assert(co.resume(co.create(middle))) end
      local job = s:spawn(outermost)
      uvjobs.yield()
      local text, from = job:traceback(), 1
      for _, fn in ipairs { innermost, middle, outermost } do
        local info = debug.getinfo(fn, "S")
        local place = ("%s:%d:"):format(info.short_src, info.linedefined)
        from = select(2, text:find(place, from, true))
        assert.is_truthy(from, place .. " is not in its place in\n" .. text)
      end
      assert.matches("active, in sleep", text, 1, true)
    end)
  end)

  it("is reported with all others when the run is stuck", function()
    local count = 60
    local ok, message = pcall(virtual, function()
      local s = uvjobs.scheduler { limit = count }
      local event = uvjobs.event()
      for i = 1, count do
        s:spawn({ name = "job " .. i }, wrapped, i % 4 + 1, event.wait, event)
      end
      uvjobs.sleep(1)
      wrapped(2, event.wait, event)
    end)
    assert.is_false(ok)
    assert.matches("^run is stuck", message)
    assert.matches('"main" active, waiting for an event', message, 1, true)
    for i = 1, count do
      assert.matches(('"job %d" active, waiting for an event'):format(i), message, 1, true)
    end
  end)

  it("runs its variables, the inner ones first, when the state closes #M14", function()
    local r = helper.child [[
      local uvjobs, co = require "uvjobs", require "uvjobs.coroutine"
      local function note(text)
        return setmetatable({}, { __close = function() io.write(text, " ") end })
      end
      uvjobs.run(function()
        uvjobs.scheduler():spawn(function()
          local _ <close> = note "job"
          co.wrap(function()
            local _ <close> = note "outer"
            co.resume(co.create(function()
              local _ <close> = note "inner"
              uvjobs.timeout(60, uvjobs.protect, uvjobs.sleep, 60)
            end))
          end)()
        end)
        uvjobs.yield()
        os.exit(0, true)
      end)
    ]]
    assert.same({ status = 0, out = "inner outer job ", err = "" }, r)
  end)
end)

describe("a coroutine that was made outside jobs", function()
  after_each(helper.check_clean)

  local function forever()
    while true do end
  end

  for _, interrupt in ipairs { "SIGURG", "count" } do
    it("is interrupted like the job that resumes it: " .. interrupt, function()
      local made, result = helper.lengthen(0.01, function(seconds)
        local made, result = co.create(forever), nil
        uvjobs.run({ interrupt = interrupt }, function()
          local s <close> = uvjobs.scheduler { close_timeout = 60 }
          local job = s:spawn({ timeout = seconds }, function()
            result = table.pack(co.resume(made))
          end)
          job:join()
        end)
        return result, made, result
      end)
      assert.is_false(result[1])
      assert.equal("timeout", uvjobs.code(result[2]))
      assert.equal("dead", co.status(made))
    end)

    it("is killed like it: " .. interrupt .. " #M8", function()
      local made = helper.lengthen(0.01, function(seconds)
        local made = co.create(function() while true do pcall(forever) end end)
        local job
        uvjobs.run({ interrupt = interrupt }, function()
          local s <close> = uvjobs.scheduler { close_timeout = 0.01, exception_handler = ignore }
          job = s:spawn({ timeout = seconds }, co.resume, made)
          job:join()
        end)
        return job.state == "killed", made
      end)
      assert.equal("dead", co.status(made))
    end)
  end

  it("is preempted like it under the virtual clock, at the same places #M16", function()
    local function preemptions(new)
      return virtual(function()
        local s <close> = uvjobs.scheduler { timeslice = 0.001 }
        local job = s:spawn(function() return select(2, co.resume(new())) end)
        assert.equal("computed", job:wait())
        return job.preemptions
      end)
    end
    local function compute()
      for _ = 1, 550000 do end
      return "computed"
    end
    local made = co.create(compute)
    local outside = preemptions(function() return made end)
    assert.is_true(outside >= 4)
    assert.equal(preemptions(function() return co.create(compute) end), outside)
  end)
end)
