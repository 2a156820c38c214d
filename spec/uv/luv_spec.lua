-- luv beside uvjobs: its callbacks run while run() runs.
local uv = require "luv"
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, raises, message = helper.virtual, helper.raises, helper.message

describe("with luv", function()
  after_each(helper.check_clean)

  -- Suspends the job until a timer of luv fires.
  local function luv_sleep(ms)
    return uvjobs.await(function(resume)
      local timer = uv.new_timer()
      timer:start(ms, 0, function()
        timer:close()
        resume("fired")
      end)
      return function() timer:close() end
    end)
  end

  it("await waits for a timer", function()
    uvjobs.run(function()
      local start = uv.now() -- the time of luv's loop, from which its timers count
      assert.equal("fired", luv_sleep(20))
      assert.is_true(uv.now() - start >= 20)
    end)
  end)

  -- Timers count from the start of luv's turn. A machine that pauses this process between that
  -- and timer:start() makes them early, too: only what happens each time is a defect.
  it("a timer does not fire early when luv's loop had nothing to do before", function()
    uvjobs.run(function()
      local took
      for _ = 1, 10 do
        uvjobs.sleep(0.1)
        local start = uv.hrtime()
        assert.equal("fired", luv_sleep(80))
        took = (uv.hrtime() - start) / 1e6
        if took >= 70 then return end
      end
      assert.is_true(false, ("after %.1f of 80 ms"):format(took))
    end)
  end)

  it("await waits for the file system", function()
    uvjobs.run(function()
      local err, stat = uvjobs.await(function(resume) uv.fs_stat(".", resume) end)
      assert.is_nil(err)
      assert.equal("directory", stat.type)
      local failure = uvjobs.await(function(resume) uv.fs_stat("./does/not/exist", resume) end)
      assert.matches("ENOENT", failure)
    end)
  end)

  it("await waits for a child process", function()
    uvjobs.run(function()
      local code = uvjobs.await(function(resume)
        local handle
        handle = uv.spawn("sh", { args = { "-c", "exit 7" } }, function(status)
          handle:close()
          resume(status)
        end)
      end)
      assert.equal(7, code)
    end)
  end)

  it("many operations are in flight at once", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler { limit = 20 }
      local done = 0
      for i = 1, 100 do
        jobs:spawn(function()
          if i % 2 == 0 then
            luv_sleep(i % 7)
          else
            assert.is_nil((uvjobs.await(function(resume) uv.fs_stat(".", resume) end)))
          end
          done = done + 1
        end)
      end
      jobs:wait_and_close()
      assert.equal(100, done)
    end)
  end)

  it("our deadlines fire while luv waits, and abandon the operation #M6", function()
    uvjobs.run(function()
      local start = uvjobs.now()
      raises("timeout", uvjobs.timeout, 0.02, luv_sleep, 3600000)
      assert.is_true(uvjobs.now() - start >= 0.02)
      assert.is_true(uvjobs.now() - start < 3600)
    end)
    uv.run("nowait")
    assert.is_false(uv.loop_alive())
  end)

  it("ready jobs do not starve luv #M11", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler()
      local job = jobs:spawn(luv_sleep, 1)
      local deadline = uvjobs.now() + 30
      while job.active and uvjobs.now() < deadline do uvjobs.yield() end
      assert.equal("done", job.state)
    end)
  end)

  it("the virtual clock waits for outstanding I/O", function()
    virtual(function()
      local log = helper.log()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(function() uvjobs.sleep(1000) log:add("sleep") end)
      jobs:spawn(function() luv_sleep(10) log:add("luv at " .. uvjobs.now()) end)
      jobs:spawn(function()
        uvjobs.await(function(resume) uv.fs_stat(".", resume) end)
        log:add("stat at " .. uvjobs.now())
      end)
      uvjobs.sleep(2000)
      table.sort(log, function(a, b) return #a > #b end)
      assert.equal("sleep", log[3])
      assert.equal(3, #log)
      for i = 1, 2 do assert.matches(" at 0.0$", log[i]) end
    end)
  end)

  it("callbacks may spawn jobs and set events, but not suspend #M15", function()
    uvjobs.run(function()
      local log = helper.log()
      local jobs, event = uvjobs.scheduler(), uvjobs.event()
      local text, current
      local timer = uv.new_timer()
      timer:start(1, 0, function()
        timer:close()
        text, current = message(uvjobs.sleep, 1), uvjobs.current()
        jobs:spawn(log.add, log, "spawned")
        event:set()
      end)
      event:wait()
      jobs:wait_and_close()
      assert.equal("'sleep' must be called in a job", text)
      assert.is_nil(current)
      assert.same({ "spawned" }, log)
    end)
  end)

  it("a handle that is open does not keep run from returning", function()
    local timer = uv.new_timer()
    local fired = false
    timer:start(3600000, 0, function() fired = true end)
    assert.equal("done", uvjobs.run(function()
      uvjobs.sleep(0.001)
      return "done"
    end))
    assert.is_true(timer:is_active())
    timer:close()
    uv.run("nowait")
    assert.is_false(fired)
    assert.is_false(uv.loop_alive())
  end)

  it("loaded in the middle of a run works too", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        uvjobs.sleep(0.001)
        local uv = require "luv"
        print((uvjobs.await(function(resume)
          local timer = uv.new_timer()
          timer:start(1, 0, function()
            timer:close()
            resume("fired")
          end)
        end)))
      end)
    ]]
    assert.same({ status = 0, out = "fired\n", err = "" }, r)
  end)

  -- luv runs callbacks on the coroutine that has loaded it, and test runners take modules
  -- out of package.loaded between files.
  it("callbacks do not run on a coroutine that was collected", function()
    local r = helper.child [[
      require "uvjobs"
      local luv = require "luv"
      for name in pairs(package.loaded) do
        if name:find "^uvjobs" or name == "luv" then package.loaded[name] = nil end
      end
      for _ = 1, 3 do collectgarbage() end
      local others = {} -- they would be made in its place
      for _ = 1, 1000 do others[coroutine.create(print)] = true end
      luv.new_timer():start(0, 0, function()
        print(others[coroutine.running()])
        luv.stop()
      end)
      luv.run()
    ]]
    assert.same({ status = 0, out = "nil\n", err = "" }, r)
  end)

  it("an error in a callback is not lost", function()
    local r = helper.child [[
      local uvjobs, uv = require "uvjobs", require "luv"
      uvjobs.run(function()
        local timer = uv.new_timer()
        timer:start(1, 0, function() error("in the callback") end)
        uvjobs.sleep(30)
      end)
    ]]
    assert.not_equal(0, r.status)
    assert.matches("in the callback", r.err, 1, true)
  end)
end)
