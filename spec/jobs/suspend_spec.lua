-- Calls that suspend where nothing can be suspended; coroutines inside jobs.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, message = helper.virtual, helper.message

-- Every call that can suspend: its name and a function that makes it.
local function suspending_calls()
  local jobs = uvjobs.scheduler { limit = 2 }
  local job = jobs:spawn(uvjobs.sleep, 1)
  local event = uvjobs.event()
  return {
    { "sleep", function() uvjobs.sleep(0) end },
    { "yield", function() uvjobs.yield() end },
    { "timeout", function() uvjobs.timeout(1, uvjobs.now) end },
    { "protect", function() uvjobs.protect(uvjobs.now) end },
    { "await", function() uvjobs.await(function(resume) resume() end) end },
    { "wait", function() job:wait() end },
    { "join", function() job:join(0) end },
    { "shield", function() jobs:shield(uvjobs.now) end },
    { "wait_and_close", function() jobs:wait_and_close() end },
    { "wait", function() event:wait(0) end },
  }, jobs, job
end

describe("a call that suspends", function()
  after_each(helper.check_clean)

  it("outside a job raises, and does nothing #M15", function()
    local calls, jobs, job = suspending_calls()
    for _, call in ipairs(calls) do
      assert.equal(("'%s' must be called in a job: use uvjobs.run"):format(call[1]),
        message(call[2]))
    end
    assert.equal(1, #jobs)
    assert.equal("active", job.state)
    assert.is_false(jobs.closed)
    jobs:close()
  end)

  it("in a plain coroutine of a job raises, and the coroutine stays usable #M15", function()
    virtual(function()
      local calls, jobs, job = suspending_calls()
      calls[#calls + 1] = { "close", function() job:close() end }
      calls[#calls + 1] = { "close", function() jobs:close() end }
      uvjobs.yield()
      for _, call in ipairs(calls) do
        local co = coroutine.create(function(a)
          local text = message(call[2])
          local b = coroutine.yield(text, a)
          return b, "returned"
        end)
        local text = ("'%s' must be called in a job: use uvjobs.coroutine"):format(call[1])
        assert.same({ true, text, 1 }, { coroutine.resume(co, 1) })
        assert.same({ true, 2, "returned" }, { coroutine.resume(co, 2) })
        assert.equal("dead", coroutine.status(co))
      end
      assert.equal("active", job.state)
      assert.is_false(jobs.closed)
      jobs:wait_and_close()
      assert.equal("done", job.state)
    end)
  end)

  -- Functions that call back from C, where nothing can yield.
  local boundaries = {
    ["table.sort"] = function(fn) table.sort({ 2, 1 }, function(a, b) fn() return a < b end) end,
    ["string.gsub"] = function(fn) string.gsub("x", "x", function() fn() end) end,
    ["a metamethod of concat in C"] = function(fn)
      table.concat(setmetatable({}, { __len = function() return 1 end,
                                      __index = function() fn() return "x" end }))
    end,
    ["require"] = function(fn)
      package.preload["spec.none"] = function() fn() end
      local ok, err = pcall(require, "spec.none")
      package.preload["spec.none"], package.loaded["spec.none"] = nil, nil
      if not ok then error(err, 0) end
    end,
  }

  for where, through in pairs(boundaries) do
    it("across " .. where .. " raises, and the job goes on #M15", function()
      virtual(function()
        local calls, jobs = suspending_calls()
        uvjobs.yield()
        for _, call in ipairs(calls) do
          local text
          through(function() text = message(call[2]) end)
          assert.equal(("'%s' cannot suspend across a C call"):format(call[1]), text)
        end
        uvjobs.sleep(5)
        assert.equal(5, uvjobs.now())
        assert.is_false(jobs.closed)
        jobs:close()
      end)
    end)
  end

  it("may cross pcall, xpcall, metamethods, iterators and close handlers", function()
    virtual(function()
      local object = setmetatable({}, {
        __index = function() uvjobs.sleep(1) return 1 end,
        __add = function() uvjobs.sleep(1) return 2 end,
        __call = function() uvjobs.sleep(1) return 3 end,
        __close = function() uvjobs.sleep(1) end,
        __eq = function() uvjobs.sleep(1) return true end,
      })
      assert.equal(1, object.field)
      assert.equal(2, object + 1)
      assert.equal(3, object())
      assert.is_true(object == setmetatable({}, getmetatable(object)))
      do local _ <close> = object end
      assert.is_true(pcall(uvjobs.sleep, 1))
      assert.is_true(xpcall(uvjobs.sleep, print, 1))
      for _ in function(_, i) uvjobs.sleep(1) return not i or nil end do uvjobs.sleep(1) end
      assert.equal(10, uvjobs.now())
    end)
  end)

  it("may be made in a coroutine of its own scheduler: jobs inside jobs", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local function depth(n)
        if n == 0 then return 0 end
        return 1 + jobs:spawn(depth, n - 1):wait()
      end
      assert.equal(50, depth(50))
    end)
  end)
end)

describe("coroutine.yield", function()
  after_each(helper.check_clean)

  it("directly in a job is an error in it, at that place", function()
    virtual(function()
      local jobs = helper.quiet()
      local job = jobs:spawn(function()
        coroutine.yield(1, 2)
        uvjobs.sleep(1)
      end)
      assert.matches("attempt to yield from a job", message(job.wait, job), 1, true)
      assert.equal("failed", job.state)
      local last = jobs:spawn(coroutine.yield, 1)
      assert.matches("attempt to yield from a job", message(last.wait, last), 1, true)
      jobs:close()
    end)
  end)

  it("directly in a job can be caught, and the job goes on", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local job = jobs:spawn(function()
        local results = {}
        for i = 1, 3 do
          local ok, err = pcall(function() return coroutine.yield(i) end)
          results[i] = not ok and tostring(err):match("attempt to yield from a job") or "?"
          uvjobs.sleep(1)
        end
        return table.concat(results, ",")
      end)
      assert.equal(("attempt to yield from a job,"):rep(3):sub(1, -2), job:wait())
      assert.equal(3, uvjobs.now())
    end)
  end)

  it("in the main job is an error of run", function()
    assert.matches("attempt to yield from a job", message(virtual, coroutine.yield), 1, true)
  end)

  it("in a coroutine inside a job works as always", function()
    virtual(function()
      local numbers = coroutine.wrap(function()
        for i = 1, 3 do coroutine.yield(i) end
      end)
      local sum = 0
      for i in numbers do
        sum = sum + i
        uvjobs.sleep(1)
      end
      assert.equal(6, sum)
      assert.equal(3, uvjobs.now())
    end)
  end)

  it("in a job that is cancelled meanwhile still ends it", function()
    virtual(function()
      local jobs = helper.quiet()
      local job = jobs:spawn(function()
        coroutine.yield()
        uvjobs.sleep(99)
      end)
      uvjobs.yield()
      jobs:close()
      assert.is_true(job.closed)
      assert.equal(0, uvjobs.now())
    end)
  end)
end)
