-- Jobs that are cancelled, closed, killed or preempted in a coroutine of
-- `uvjobs.coroutine`.

local co = require "uvjobs.coroutine"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, raises = helper.virtual, helper.raises
local ignore, closing = helper.ignore, helper.closing

-- Calls `fn()` in a job, two coroutines deep, each with a variable; notes their
-- errors. The outer one is resumed, the inner one wrapped.
local function two_deep(log, fn)
  local function note(name)
    return closing(function(_, err) log:add(name .. " " .. tostring(uvjobs.code(err) or err)) end)
  end
  local _ <close> = note "job"
  local c = co.create(function()
    local _ <close> = note "outer"
    return co.wrap(function()
      local _ <close> = note "inner"
      return fn()
    end)()
  end)
  local ok, err = co.resume(c)
  log:add("resume " .. tostring(ok) .. " " .. tostring(uvjobs.code(err) or err))
  assert(co.close(c) or true)
  if not ok then error(err, 0) end
end

local function swallow()
  while true do pcall(uvjobs.sleep, 60) end
end

local function compute()
  while true do pcall(function() while true do end end) end
end

describe("a job that is suspended in a coroutine", function()
  after_each(helper.check_clean)

  it("and cancelled gets the error at the innermost place", function()
    virtual(function()
      local s = uvjobs.scheduler()
      local log = helper.log()
      local job = s:spawn(two_deep, log, function()
        local err = raises("cancelled", uvjobs.sleep, 60)
        assert.equal(uvjobs.current(), err.job)
        log:add "raised"
        uvjobs.sleep(60)
      end)
      uvjobs.yield()
      job:close()
      assert.equal("cancelled", job.state)
      assert.same({ "raised", "inner cancelled", "resume false cancelled", "outer cancelled",
                    "job cancelled" }, log)
      s:close()
    end)
  end)

  it("and past its deadline gets that there", function()
    virtual(function()
      local log = helper.log()
      raises("timeout", uvjobs.timeout, 1, two_deep, log, function() uvjobs.sleep(60) end)
      assert.equal(1, uvjobs.now())
      assert.same({ "inner timeout", "resume false timeout", "outer timeout", "job timeout" }, log)
      uvjobs.sleep(1)
    end)
  end)

  it("and killed runs its variables, the inner ones first #M7 #M8", function()
    virtual(function()
      local s = uvjobs.scheduler { exception_handler = ignore }
      local log = helper.log()
      local job = s:spawn(two_deep, log, swallow)
      uvjobs.yield()
      raises("timeout", job.close, job)
      assert.equal("killed", job.state)
      assert.same({ "inner killed", "outer killed", "job killed" }, log)
      s:close()
    end)
  end)

  it("and killed keeps nothing of a loop over resumes #M8", function()
    virtual(function()
      local s = uvjobs.scheduler { exception_handler = ignore }
      local job = s:spawn(function()
        while true do co.resume(co.create(swallow)) end
      end)
      uvjobs.yield()
      s:close()
      assert.equal("killed", job.state)
    end)
  end)

  it("has a traceback and a name for what it waits for", function()
    virtual(function()
      local s = uvjobs.scheduler()
      local job = s:spawn(co.wrap(function() co.wrap(uvjobs.sleep)(60) end))
      uvjobs.yield()
      assert.matches("active, in sleep", job:traceback(), 1, true)
      assert.matches("stack traceback:", job:traceback(), 1, true)
      s:close()
    end)
  end)

  it("leaves a consumer the limits that it had", function()
    virtual(function()
      local c = co.wrap(function()
        uvjobs.timeout(1, function() co.yield() end)
      end)
      c()
      uvjobs.sleep(5)
      local p = co.wrap(function() uvjobs.protect(co.yield) end)
      raises("timeout", uvjobs.timeout, 1, function()
        p()
        uvjobs.sleep(5)
      end)
      assert.equal(6, uvjobs.now())
      c()
      p()
    end)
  end)

  it("can be collected when the job has ended, as well as it #M13", function()
    virtual(function()
      local s = uvjobs.scheduler { limit = 100, pending_limit = math.huge }
      local weak = setmetatable({}, { __mode = "k" })
      local function body(i)
        local c = co.create(function()
          uvjobs.yield()
          co.yield()
        end)
        co.resume(c)
        if i then weak[c] = true end
      end
      local function round(n)
        for i = 1, n do s:spawn(body, i <= 100 and i or nil) end
        while #s > 0 do uvjobs.sleep(1) end
        collectgarbage()
        collectgarbage()
        return collectgarbage "count"
      end
      local before = round(10000)
      assert.is_nil(next(weak))
      assert.is_true(round(10000) < before + 100, "memory grows")
      s:close()
    end)
  end)

  it("when the state is closed, or run ends, runs its variables #M14", function()
    for _, last in ipairs { "os.exit(true, true)", "" } do
      local r = helper.child(([[
        local uvjobs, co = require "uvjobs", require "uvjobs.coroutine"
        local function note(text)
          return setmetatable({}, { __close = function() io.write(text, " ") end })
        end
        uvjobs.run(function()
          local s = uvjobs.scheduler()
          s:spawn(function()
            local _ <close> = note "job"
            co.wrap(function()
              local _ <close> = note "outer"
              co.wrap(function()
                local _ <close> = note "inner"
                uvjobs.sleep(60)
              end)()
            end)()
          end)
          uvjobs.yield()
          %s
        end)
      ]]):format(last))
      assert.equal(0, r.status)
      assert.equal("", r.err)
      assert.equal(last == "" and "inner outer job " or "job ",
                   last == "" and r.out or r.out:match "job $" or r.out)
    end
  end)
end)

describe("a job that computes in a coroutine", function()
  after_each(helper.check_clean)

  it("is interrupted by its deadline there, and ends by that", function()
    uvjobs.run(function()
      local log = helper.lengthen(0.01, function(seconds)
        local log, begun = helper.log(), false
        raises("timeout", uvjobs.timeout, seconds, two_deep, log, function()
          begun = true
          while true do end
        end)
        return begun, log
      end)
      assert.same({ "inner timeout", "resume false timeout", "outer timeout", "job timeout" }, log)
    end)
  end)

  for _, interrupt in ipairs { "SIGURG", "count" } do
    it("and swallows that is killed; its variables run (" .. interrupt .. ") #M7 #M8", function()
      uvjobs.run({ interrupt = interrupt }, function()
        local s = uvjobs.scheduler { close_timeout = 0.01, exception_handler = ignore }
        local log = helper.lengthen(0.01, function(seconds)
          local log = helper.log()
          local job = s:spawn({ timeout = seconds }, two_deep, log, compute)
          job:join()
          return job.state == "killed", log
        end)
        assert.same({ "inner killed", "outer killed", "job killed" }, log)
        s:close()
      end)
    end)
  end

  it("is preempted there, and goes on with all that it had #M16", function()
    local function once()
      return virtual(function()
        local s <close> = uvjobs.scheduler { timeslice = 0.001 }
        local log = helper.log()
        local function work(name)
          local n = 0
          for i in co.wrap(function()
            for i = 1, 5 do
              co.wrap(function() for _ = 1, 100000 do n = n + 1 end end)()
              co.yield(i)
            end
          end) do
            log:add(name .. i)
          end
          return n
        end
        local a, b = s:spawn(work, "a"), s:spawn(work, "b")
        assert.equal(500000, a:wait())
        assert.equal(500000, b:wait())
        assert.is_true(a.preemptions > 0 and b.preemptions > 0)
        return table.concat(log, " ")
      end)
    end
    local first = once()
    assert.equal(first, once())
    assert.is_true(first:find "b1" < first:find "a5")
  end)

  it("and was preempted in it can be closed and killed there #M8", function()
    uvjobs.run(function()
      local s = uvjobs.scheduler {
        timeslice = 0.002, close_timeout = 0.01, exception_handler = ignore,
      }
      local log = helper.log()
      local job = s:spawn(two_deep, log, compute)
      while job.preemptions == 0 do uvjobs.yield() end
      raises("timeout", job.close, job)
      assert.equal("killed", job.state)
      assert.same({ "inner killed", "outer killed", "job killed" }, log)
      s:close()
    end)
  end)
end)
