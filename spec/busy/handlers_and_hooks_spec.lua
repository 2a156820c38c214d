-- Busy jobs together with message handlers, limits that change, debug hooks, and `race`; and
-- options whose words contain a zero byte.

debug.sethook() -- makes a table in the registry, the first time
local co = require "uvjobs.coroutine"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local raises = helper.raises
local ways = { "SIGURG", "count" }

local closing, burn, forever = helper.closing, helper.burn, helper.forever

-- Cancels its job, which gets the error while it computes.
local function cancelled()
  uvjobs.current():cancel()
  forever()
end

local function swallow(...)
  while true do pcall(...) end
end

-- Runs fn in a job that has a minute to end. Returns the job and the error that it raised.
local function in_job(way, fn)
  return uvjobs.run({ interrupt = way }, function()
    local s <close> = uvjobs.scheduler { close_timeout = 60 }
    local job = s:spawn(fn)
    job:join()
    return job, select(2, pcall(job.wait, job))
  end)
end

-- Functions that compute for ever in an xpcall; the titles say what their message handlers do.
local handlers = {
  { "computes for ever", function() xpcall(forever, forever) end },
  { "pcalls what computes for ever", function()
    xpcall(forever, function() swallow(forever) end)
  end },
  { "calls xpcall with itself", function()
    local function again() xpcall(forever, again) return again() end
    xpcall(forever, again)
  end },
  { "wants to suspend", function() xpcall(forever, function() swallow(uvjobs.sleep, 60) end) end },
  { "computes in a coroutine", function()
    xpcall(forever, function() swallow(co.wrap(forever)) end)
  end },
  { "computes for ever, in a coroutine,", function() co.wrap(xpcall)(forever, forever) end },
  { "computes for ever, in a loop", function() while true do xpcall(forever, forever) end end },
  { "computes for ever, in an xpcall with such a one,", function()
    xpcall(xpcall, forever, forever, forever)
  end },
}

local stops = {
  { "at its deadline", "killed", function(s, seconds, fn)
    local job = s:spawn({ timeout = seconds }, fn)
    return job, pcall(job.wait, job)
  end },
  { "by wait(t)", "timeout", function(s, seconds, fn)
    local job = s:spawn(fn)
    return job, pcall(job.wait, job, seconds)
  end },
}

describe("a message handler of xpcall that", function()
  after_each(helper.check_clean)

  -- Runs fn in a job that is stopped after `seconds`. Returns whether it was in its xpcall then.
  local function stop(way, how, fn, seconds)
    local log, messages, code, job = helper.log(), helper.log(), nil, nil
    uvjobs.run({ interrupt = way }, function()
      local s <close> = uvjobs.scheduler {
        close_timeout = 0.01,
        exception_handler = helper.recorder(messages, "message"),
      }
      local err, _
      job, _, err = how[3](s, seconds, function()
        local _ <close> = closing(function(_, e) log:add(uvjobs.code(e)) end)
        fn()
      end)
      code = uvjobs.code(err)
    end)
    if job.state ~= "killed" then return false end
    assert.equal(how[2], code)
    assert.same({ "killed" }, { table.unpack(log) })
    -- Whoever gets `timeout` has been told: it is not reported besides.
    assert.same(how[2] == "timeout" and {} or { "Job closing timed out" },
      { table.unpack(messages) })
    return true
  end

  for i, handler in ipairs(handlers) do
    for j, how in ipairs(stops) do
      local way = ways[(i + j) % 2 + 1]
      it(("%s is killed %s (%s) #M8"):format(handler[1], how[1], way), function()
        helper.lengthen(0.002, function(seconds) return stop(way, how, handler[2], seconds) end)
      end)
    end
  end

  -- Calls fn, which cancels its job, in an xpcall with this handler. Returns the job and results.
  local function xpcall_cancelled(way, fn, handler)
    local results
    local job, err = in_job(way, function()
      results = table.pack(xpcall(fn, handler))
      uvjobs.yield()
    end)
    assert.equal("cancelled", uvjobs.code(err))
    return job, table.unpack(results, 1, results.n)
  end

  for _, way in ipairs(ways) do
    it("returns gets the error; xpcall gives its result: " .. way, function()
      local result, calls, got = {}, 0, nil
      local job, ok, value, more = xpcall_cancelled(way, cancelled, function(...)
        calls = calls + 1
        got = table.pack(...)
        return result, "more"
      end)
      assert.same({ 1, 1 }, { calls, got.n })
      assert.equal("cancelled", uvjobs.code(got[1]))
      assert.equal(job, got[1].job)
      assert.is_false(ok)
      assert.equal(result, value)
      assert.is_nil(more)
    end)

    it("is written in C is called in place: " .. way, function()
      local thread
      local _, ok, value = xpcall_cancelled(way, function()
        thread = coroutine.running()
        cancelled()
      end, coroutine.running)
      assert.is_false(ok)
      assert.equal(thread, value)
      value = select(3, xpcall_cancelled(way, cancelled, debug.traceback))
      assert.equal("cancelled", uvjobs.code(value))
    end)

    it("was called for it is called in place for an error that follows: " .. way, function()
      local log, threads, thread = helper.log(), helper.log(), nil
      local _, ok, value = xpcall_cancelled(way, function()
        thread = coroutine.running()
        local _ <close> = closing(function() error("ordinary", 0) end)
        cancelled()
      end, function(err)
        log:add(uvjobs.code(err) or err)
        threads:add((coroutine.running()))
        return "handled " .. log[#log]
      end)
      assert.same({ "cancelled", "ordinary" }, { table.unpack(log) })
      assert.not_equal(thread, threads[1])
      assert.equal(thread, threads[2])
      assert.is_false(ok)
      assert.equal("handled ordinary", value)
    end)

    it("is not met, because a pcall catches, is as ever: " .. way, function()
      local log = helper.log()
      local _, ok, value = xpcall_cancelled(way, function()
        local _, err = pcall(cancelled)
        log:add("caught " .. uvjobs.code(err))
        error("ordinary", 0)
      end, function(err)
        log:add(uvjobs.code(err) or err)
        return debug.traceback("handled")
      end)
      assert.same({ "caught cancelled", "ordinary" }, { table.unpack(log) })
      assert.is_false(ok)
      assert.matches("^handled\nstack traceback:.*'error'.*'xpcall'", value)
    end)
  end
end)

describe("a limit that changes after an interruption, by", function()
  after_each(helper.check_clean)

  -- Runs fn in a job, asserts that the job never suspended, and returns how it ended.
  local function unsuspended(way, fn)
    local job = in_job(way, function()
      burn(0.005)
      fn()
      assert.equal(1, uvjobs.current().resumes)
    end)
    local ok, err = pcall(job.wait, job)
    return ok or uvjobs.code(err) or error(err, 0)
  end

  for _, way in ipairs(ways) do
    it(way .. ": one timeout after the other ends what computes", function()
      assert.is_true(unsuspended(way, function()
        for _, seconds in ipairs { 0.002, 0, 0.001, 0.004, 0, 0, 0.001 } do
          raises("timeout", uvjobs.timeout, seconds, forever)
        end
        burn(0.005)
      end))
    end)

    it(way .. ": a deadline that passed in protect ends what comes after", function()
      assert.is_true(unsuspended(way, function()
        helper.lengthen(0.002, function(seconds)
          local left = false
          raises("timeout", uvjobs.timeout, seconds, function()
            uvjobs.protect(function()
              burn(2 * seconds)
              left = true
            end)
            forever()
          end)
          return left
        end)
      end))
    end)

    it(way .. ": a job that computes and then cancels itself gets it", function()
      assert.equal("cancelled", unsuspended(way, function()
        raises("timeout", uvjobs.timeout, 0.001, forever)
        cancelled()
      end))
    end)

    it(way .. ": in protect, when that is left", function()
      local protected
      assert.equal("cancelled", unsuspended(way, function()
        uvjobs.protect(function()
          uvjobs.current():cancel()
          burn(0.005)
          protected = true
        end)
        forever()
      end))
      assert.is_true(protected)
    end)

    it(way .. ": a timeout in protect ends what computes in a cancelled job", function()
      local took
      unsuspended(way, function()
        raises("cancelled", cancelled)
        uvjobs.protect(function()
          for _ = 1, 3 do raises("timeout", uvjobs.timeout, 0.001, forever) end
          took = true
        end)
      end)
      assert.is_true(took)
    end)
  end
end)

describe("a child that computes is closed when its parent's deadline passes, in", function()
  after_each(helper.check_clean)

  for _, name in ipairs { "race", "all" } do
    for _, way in ipairs(ways) do
      it(name .. ": " .. way, function()
        local log = helper.log()
        helper.lengthen(0.002, function(seconds)
          uvjobs.run({ interrupt = way }, function()
            raises("timeout", uvjobs.timeout, seconds, uvjobs[name], { function()
              local _ <close> = closing(function(_, err) log:add(uvjobs.code(err) or err) end)
              forever()
            end })
          end)
          return #log > 0
        end)
        assert.same({ "cancelled" }, { table.unpack(log) })
      end)
    end
  end
end)

describe("a debug hook", function()
  after_each(function()
    debug.sethook()
    helper.check_clean()
  end)

  local function arithmetic()
    local x, y = 1, 0.5
    for i = 1, 2000 do
      x = (x * 1103515245 + i) % 2147483648
      y = y * 0.5 + x // 65536 % 7
    end
    return x + y
  end

  local function errors()
    local sum = 0
    for i = 1, 200 do
      local ok, n = pcall(function()
        if i % 2 == 0 then error(i, 0) end
        return i
      end)
      sum = sum * 3 % 65521 + (ok and 2 or 1) * n
    end
    return sum
  end

  local function sorting()
    local t, sum = {}, 0
    for i = 1, 200 do t[i] = i * 7919 % 1009 end
    table.sort(t, function(a, b) return a > b end)
    for _, v in ipairs(t) do sum = (sum * 3 + v) % 65521 end
    return sum
  end

  local works = { arithmetic, errors, sorting }
  local wanted = { arithmetic(), errors(), sorting() }

  local calls, swallowing
  local function hook() calls = calls + 1 end

  -- Computes with this hook, if any, until the job was preempted three times, and then for ever.
  local function compute(...)
    local me = uvjobs.current()
    if ... then debug.sethook(...) end
    local before = calls
    repeat
      for i, work in ipairs(works) do assert.equal(wanted[i], work()) end
    until me.preemptions >= 3
    assert.is_true(not ... or calls > before, "the hook was not called")
    swallow(swallow, swallow, function()
      swallowing[me] = true
      forever()
    end)
  end

  -- Runs two such jobs with time slices, and kills them.
  local function two(way, ...)
    uvjobs.run({ interrupt = way }, function(...)
      local s <close> = uvjobs.scheduler {
        timeslice = 0.001, close_timeout = 0.005, exception_handler = type,
      }
      local jobs = { s:spawn(compute, ...), s:spawn(compute, ...) }
      for _, job in ipairs(jobs) do
        while not swallowing[job] and job.state ~= "failed" do uvjobs.sleep(0.001) end
        local err = raises("timeout", job.wait, job, 0.005)
        assert.equal(job, err.job)
        assert.equal("killed", job.state)
      end
    end, ...)
  end

  before_each(function() calls, swallowing = 0, {} end)

  for _, kind in ipairs { { "l", 0 }, { "crl", 0 }, { "l", 100 }, { "crl", 1 } } do
    local mask, count = table.unpack(kind)
    it(("of a job, '%s' %d, lets it be preempted and killed"):format(mask, count), function()
      two("SIGURG", hook, mask, count)
    end)
  end

  for _, mask in ipairs { "l", "crl" } do
    for _, way in ipairs(ways) do
      it(("of '%s' that was set before run does, too: %s"):format(mask, way), function()
        debug.sethook(hook, mask)
        two(way)
      end)
    end
  end
end)

describe("a word with a NUL in it is refused as", function()
  after_each(helper.check_clean)

  local function refuses(option, fn, value)
    assert.matches(("option '%s'"):format(option),
                   helper.message(fn, { [option] = value }, error, "ran"), 1, true)
  end

  it("an option of run", function()
    for _, tail in ipairs { "\0", "\0x" } do
      for _, word in ipairs { "SIGURG", "count", "none" } do
        refuses("interrupt", uvjobs.run, word .. tail)
      end
      for _, word in ipairs { "virtual", "real" } do refuses("clock", uvjobs.run, word .. tail) end
    end
  end)

  it("an option of a scheduler", function()
    for _, word in ipairs { "cancel\0", "cancel\0x", "report\0" } do
      refuses("on_error", uvjobs.scheduler, word)
    end
  end)
end)
