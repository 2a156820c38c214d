-- Errors keep their identity and their traceback, whatever they pass through.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual = helper.virtual

--- Runs `fn` as a job that fails and that nobody waits for; returns the context of its report.
local function report(fn, ...)
  local context
  local args = table.pack(...)
  virtual(function()
    local jobs = uvjobs.scheduler {
      exception_handler = function(_, c) context = c end,
    }
    local job = jobs:spawn(fn, table.unpack(args, 1, args.n))
    job:join()
    assert.equal(job, context.job)
    assert.equal("failed", job.state)
    assert.matches("in .*the_culprit", job:traceback())
  end)
  return context
end

local problem = setmetatable({}, { __tostring = function() return "a problem" end })

local function the_culprit()
  error(problem)
end

local function caller()
  the_culprit()
  return "no tail call"
end

-- What an error may pass through on its way out of a job.
local ways = {
  { "a call", function() caller() end },
  { "a call after a suspension", function() uvjobs.yield(); caller() end },
  { "timeout", function() uvjobs.timeout(1, caller) end },
  { "timeout, after a suspension in it", function()
    uvjobs.timeout(1, function() uvjobs.sleep(0.5); caller() end)
  end },
  { "protect", function() uvjobs.protect(function() uvjobs.yield(); caller() end) end },
  { "await", function() uvjobs.await(function() uvjobs.yield(); caller() end) end },
  { "all of them", function()
    uvjobs.timeout(1, uvjobs.protect, uvjobs.timeout, 1, function()
      uvjobs.await(function() uvjobs.yield(); caller() end)
    end)
  end },
  { "a <close> variable", function()
    local _ <close> = setmetatable({}, { __close = function() uvjobs.yield() end })
    caller()
  end },
  { "the handler of a <close> variable", function()
    local _ <close> = setmetatable({}, { __close = function() uvjobs.yield(); caller() end })
    error("forgotten")
  end },
  { "a metamethod", function()
    return setmetatable({}, { __index = function() uvjobs.yield(); caller() end }).field
  end },
  { "a table.sort comparator", function() table.sort({ 2, 1 }, caller) end },
}

describe("an error of a job", function()
  after_each(helper.check_clean)

  for _, way in ipairs(ways) do
    it("is reported as it was raised, with the raising frame: through " .. way[1] .. " #M12",
      function()
        local context = report(way[2])
        assert.equal(problem, context.exception)
        assert.matches("in .*the_culprit", context.traceback)
        assert.matches("error_trace_spec.lua", context.traceback, 1, true)
      end)
  end

  it("arrives as the same value, whatever it is, at every waiter #M12", function()
    virtual(function()
      local jobs = helper.quiet()
      for _, value in ipairs { problem, "text", 12, 1.5, true, false, print, io.stdout } do
        local job = jobs:spawn(error, value, 0)
        for _ = 1, 2 do
          local got = table.pack(pcall(job.wait, job))
          assert.same({ false, value, n = 2 }, got)
          assert.is_true(rawequal(value, got[2]))
        end
      end
      local job = jobs:spawn(error, nil)
      assert.same({ false, helper.NIL_ERROR, n = 2 }, table.pack(pcall(job.wait, job)))
      assert.equal("failed", job.state)
    end)
  end)

  it("arrives as the same value through a chain of waiting jobs #M12", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = math.huge }
      local job = jobs:spawn(function() uvjobs.sleep(1); error(problem) end)
      for _ = 1, 50 do
        local before = job
        job = jobs:spawn(function() return before:wait() end)
      end
      assert.equal(problem, select(2, pcall(job.wait, job)))
      assert.equal(problem, select(2, pcall(jobs.shield, jobs, error, problem)))
    end)
  end)

  it("shows where the waiter stood when it passes through job:wait #M12", function()
    local context
    virtual(function()
      local jobs = uvjobs.scheduler { exception_handler = function(_, c) context = c end }
      local failing = jobs:spawn(function() uvjobs.yield(); error(problem) end)
      local function the_waiting_function() return (failing:wait()) end
      jobs:spawn(function() the_waiting_function(); return "no tail call" end)
      uvjobs.sleep(1)
    end)
    assert.equal(problem, context.exception)
    assert.matches("the_waiting_function", context.traceback, 1, true)
  end)

  it("leaves run() as the same value #M12", function()
    for _, value in ipairs { problem, "text", 12, false } do
      local got = table.pack(pcall(virtual, function()
        uvjobs.sleep(1)
        error(value, 0)
      end))
      assert.same({ false, value, n = 2 }, got)
      assert.is_true(rawequal(value, got[2]))
    end
  end)

  it("keeps the position of a message and a message handler of its own #M12", function()
    virtual(function()
      local _, err = pcall(uvjobs.timeout, 1, function() uvjobs.yield(); error("boom") end)
      assert.matches("^.*error_trace_spec.lua:%d+: boom$", err)
      local ok, trace = xpcall(function()
        uvjobs.protect(function() uvjobs.yield(); caller() end)
      end, debug.traceback)
      assert.is_false(ok)
      assert.equal(problem, trace) -- debug.traceback leaves values that are no text alone
      ok, trace = xpcall(uvjobs.timeout, function(e) return { e, debug.traceback() } end,
        1, function() uvjobs.yield(); caller() end)
      assert.is_false(ok)
      assert.equal(problem, trace[1])
      assert.matches("in .*the_culprit", trace[2])
    end)
  end)

  it("that a deadline raised is reported with the interrupted frame #M12", function()
    local contexts = {}
    virtual(function()
      local jobs = uvjobs.scheduler {
        exception_handler = helper.recorder(contexts),
      }
      local function the_slow_part() uvjobs.sleep(10) end
      local function inside() uvjobs.timeout(1, function() the_slow_part() end) end
      jobs:spawn(function() inside() end)
      jobs:spawn({ timeout = 1 }, function() the_slow_part() end)
      uvjobs.sleep(5)
    end)
    assert.equal(2, #contexts)
    for _, context in ipairs(contexts) do
      assert.equal("timeout", uvjobs.code(context.exception))
      assert.is_string(context.traceback)
      assert.matches("the_slow_part", context.traceback, 1, true)
    end
  end)

  it("that came from another cancelled job is reported with a traceback #M12", function()
    local context
    virtual(function()
      local jobs = uvjobs.scheduler { exception_handler = function(_, c) context = c end }
      local other = jobs:spawn(uvjobs.sleep, 10)
      local function the_waiting_function() other:wait() end
      jobs:spawn(function() the_waiting_function() end)
      uvjobs.yield()
      other:cancel()
      uvjobs.sleep(1)
    end)
    assert.equal("cancelled", uvjobs.code(context.exception))
    assert.is_string(context.traceback)
    assert.matches("the_waiting_function", context.traceback, 1, true)
  end)

  -- A handler that raises while the job is killed has a traceback of its own.
  for _, handler in ipairs { "returns", "raises" } do
    it("that killed it is reported with where it stood; a handler " .. handler .. " #M12",
      function()
        local context
        virtual(function()
          local jobs = uvjobs.scheduler { exception_handler = function(_, c) context = c end }
          local function the_stubborn_part() uvjobs.protect(uvjobs.sleep, 10) end
          local job = jobs:spawn(function()
            local _ <close> = setmetatable({}, { __close = function()
              if handler == "raises" then error("in the handler") end
            end })
            the_stubborn_part()
          end)
          uvjobs.yield()
          jobs:close()
          assert.equal(job, context.job)
        end)
        assert.equal("Job closing timed out", context.message)
        assert.equal("killed", uvjobs.code(context.exception))
        assert.matches("the_stubborn_part", context.traceback, 1, true)
      end)
  end
end)
