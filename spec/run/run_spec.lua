-- run: results, errors, options, and that it leaves nothing behind.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, raises, message = helper.virtual, helper.raises, helper.message

describe("run", function()
  after_each(helper.check_clean)

  it("passes the arguments and returns all results", function()
    local r = table.pack(uvjobs.run(function(...) return select("#", ...), ... end, nil, 2, nil))
    assert.same({ n = 4, 3, nil, 2, nil }, r)
    assert.same({ n = 0 }, table.pack(uvjobs.run(function() end)))
    assert.same({ n = 4, 3, nil, 2, nil },
                table.pack(virtual(function(...) return select("#", ...), ... end, nil, 2, nil)))
    assert.same({ n = 1 }, table.pack(uvjobs.run(function() return nil end)))
  end)

  it("raises the error of the main job unchanged #M12", function()
    for _, value in ipairs { "text", 42, {}, io.stdout, true } do
      local ok, err = pcall(uvjobs.run, error, value, 0)
      assert.is_false(ok)
      assert.is_true(rawequal(value, err))
    end
    assert.same({ n = 2, false, helper.NIL_ERROR }, table.pack(pcall(uvjobs.run, error)))
  end)

  it("runs the main job as an active job that can be cancelled", function()
    local job
    local err = raises("cancelled", virtual, function()
      job = uvjobs.current()
      assert.equal("active", job.state)
      job:cancel()
      uvjobs.sleep(1)
    end)
    assert.equal(job, err.job)
    assert.is_nil(err.signal)
    assert.equal("cancelled", job.state)
  end)

  it("inside run is an error, which harms neither", function()
    virtual(function()
      assert.equal("run is already running: this is a job already, as a script of the command "
        .. "'uvjobs' is, so call the function itself", message(uvjobs.run, function() end))
      local co = coroutine.wrap(function() return message(uvjobs.run, function() end) end)
      assert.matches("^run is already running: this is a job already", co())
      uvjobs.sleep(1)
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("can be called again, also after an error, and in a plain coroutine", function()
    for i = 1, 20 do
      assert.equal(i, virtual(function()
        uvjobs.sleep(1)
        return i
      end))
      assert.is_false(pcall(virtual, error, "boom"))
    end
    local co = coroutine.wrap(function()
      coroutine.yield(virtual(function() uvjobs.sleep(1) return "in a coroutine" end))
      return "usable"
    end)
    assert.equal("in a coroutine", co())
    assert.equal("usable", co())
  end)

  it("closes every scheduler that is open when the main job ends", function()
    local log = helper.log()
    local before, inside, active, pending, unstarted
    before = uvjobs.scheduler { limit = 1 }
    virtual(function()
      inside = uvjobs.scheduler()
      active = before:spawn(function()
        local _ <close> = setmetatable({}, { __close = function()
          uvjobs.protect(uvjobs.sleep, 0.05)
          log:add("cleaned up at " .. uvjobs.now())
        end })
        uvjobs.sleep(99)
      end)
      pending = before:spawn(log.add, log, "pending ran")
      uvjobs.yield()
      unstarted = inside:spawn(log.add, log, "unstarted ran")
    end)
    assert.same({ "cleaned up at 0.05" }, log)
    assert.equal("cancelled", active.state)
    assert.equal("cancelled", pending.state)
    assert.equal("cancelled", unstarted.state)
    assert.is_true(before.closed)
    assert.is_true(inside.closed)
  end)

  it("closes them when the main job fails, and kills what outstays #M8", function()
    local job
    local ok, err = pcall(virtual, function()
      local jobs = helper.quiet()
      job = jobs:spawn(uvjobs.protect, uvjobs.sleep, 99)
      uvjobs.yield()
      error("boom", 0)
    end)
    assert.same({ false, "boom" }, { ok, err })
    assert.equal("killed", job.state)
  end)

  it("ends the jobs that the clean-up of another scheduler spawns", function()
    local late
    virtual(function()
      local jobs = uvjobs.scheduler()
      jobs:spawn(function()
        local _ <close> = setmetatable({}, { __close = function()
          uvjobs.protect(function()
            late = uvjobs.scheduler():spawn(uvjobs.sleep, 99)
            uvjobs.yield()
          end)
        end })
        uvjobs.sleep(99)
      end)
      uvjobs.yield()
    end)
    assert.is_true(late.closed)
    assert.is_true(late.scheduler.closed)
  end)

  it("drops a blocked spawner's job when it ends", function()
    local log = helper.log()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 1, pending_limit = 0 }
      local others = helper.quiet()
      jobs:spawn(uvjobs.sleep, 99)
      others:spawn(jobs.spawn, jobs, log.add, log, "ran")
      uvjobs.yield()
    end)
    assert.same({}, log)
  end)

  it("that cannot start leaves the signals to the process", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      local ok, err = pcall(uvjobs.run, function() end, table.unpack({}, 1, 300))
      io.write(ok and "started" or "refused", "\n"):flush()
      local pid = io.open("/proc/self/stat"):read("n")
      io.popen("kill -INT " .. pid):close()
      print("the signal had no effect")
    ]]
    assert.not_matches("no effect", r.out)
  end)

  it("takes the options signals and clock", function()
    assert.equal(0, uvjobs.run({ clock = "virtual" }, uvjobs.now))
    assert.is_true(uvjobs.run({ clock = "real" }, uvjobs.now) > 0)
    assert.equal(5, uvjobs.run({ signals = false, clock = "virtual" }, function() return 5 end))
    assert.equal(5, uvjobs.run({}, function() return 5 end))
  end)
end)

describe("the module", function()
  after_each(helper.check_clean)

  it("has a version", function()
    assert.matches("^uvjobs %d+%.%d+%.%d+$", uvjobs._VERSION)
  end)

  it("knows the current job, and none outside one", function()
    assert.is_nil(uvjobs.current())
    virtual(function()
      local main = uvjobs.current()
      local jobs <close> = uvjobs.scheduler()
      local job = jobs:spawn(function()
        uvjobs.sleep(1)
        return uvjobs.current()
      end)
      assert.equal(job, job:wait())
      assert.equal(main, uvjobs.current())
      assert.equal(main, coroutine.wrap(uvjobs.current)())
    end)
    assert.is_nil(uvjobs.current())
  end)

  it("tells the code of its own errors, and nil for any other value", function()
    for _, v in ipairs { "cancelled", 1, true, {}, { code = "cancelled" }, io.stdout, print } do
      assert.is_nil(uvjobs.code(v))
    end
    assert.is_nil(uvjobs.code(nil))
    virtual(function()
      local _, err = pcall(uvjobs.timeout, 0, uvjobs.sleep, 1)
      assert.equal("timeout", uvjobs.code(err))
      assert.equal("timeout", err.code)
      assert.equal(tostring(err), err.message)
      assert.equal("string", type(err.message))
      assert.is_nil(err.job)
    end)
    local jobs = uvjobs.scheduler { limit = 1, pending_limit = 0 }
    jobs:spawn(print)
    assert.equal("full", uvjobs.code(select(2, pcall(jobs.spawn, jobs, print))))
    jobs:close()
    assert.equal("closed", uvjobs.code(select(2, pcall(jobs.spawn, jobs, print))))
  end)

  it("survives being loaded a second time: what the first made still works", function()
    local r = helper.child [[
      local first = require "uvjobs"
      local before = first.scheduler()
      before:spawn(function() io.write("spawned before\n") end)
      package.loaded.uvjobs, package.loaded["uvjobs.core"] = nil, nil
      local second = require "uvjobs"
      for _, uvjobs in ipairs { first, second, first } do
        uvjobs.run({ clock = "virtual" }, function()
          local jobs <close> = uvjobs.scheduler()
          local list = {}
          for i = 1, 100 do
            list[i] = jobs:spawn(function() uvjobs.sleep(i) return uvjobs.current() end)
          end
          for i = 1, 100 do assert(list[i]:wait() == list[i]) end
          collectgarbage()
        end)
        io.write("ran\n")
      end
    ]]
    assert.same({ status = 0, out = "spawned before\nran\nran\nran\n", err = "" }, r)
  end)
end)
