-- The threads in which the functions of work run: how many, and who else is not held up by them.
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local helper = require "spec.helper"
local world = require "spec.work.world"

local absent, create, wait_for = world.absent, world.create, world.wait_for

--- Runs `fn` with so many threads.
local function with_threads(n, fn)
  return uvjobs.run({ work_threads = n }, fn)
end

describe("the threads of work", function()
  after_each(helper.check_clean)

  it("run Lua without a hook, and so at full speed #W16", function()
    uvjobs.run(function()
      assert.is_nil((uvjobs.work(function() return debug.gethook() end)))
      assert.is_nil((uvjobs.work(function()
        return coroutine.wrap(function() return debug.gethook() end)()
      end)))
    end)
  end)

  it("leave those of libuv to files", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler()
      for _ = 1, 2 * world.threads + 4 do jobs:spawn(uvjobs.work, world.endless) end
      while uvjobs.stats().work < 2 * world.threads + 4 do uvjobs.yield() end
      assert.equal("directory", uv.fs_stat("/").type)
      jobs:close()
    end)
    uvjobs.run(world.drain)
  end)

  it("are as many as work_threads says", function()
    with_threads(7, function()
      local jobs <close> = uvjobs.scheduler()
      local gate, started = absent(), {}
      for i = 1, 7 do
        started[i] = absent()
        jobs:spawn(uvjobs.work, world.meet, started[i], gate)
      end
      for i = 1, 7 do
        wait_for(started[i])
        os.remove(started[i])
      end
      create(gate)
      jobs:wait_and_close()
      os.remove(gate)
    end)
  end)

  it("run one function after another when there is one", function()
    with_threads(1, function()
      local jobs <close> = uvjobs.scheduler()
      local started, gate, order = absent(), absent(), {}
      jobs:spawn(function()
        uvjobs.work(world.meet, started, gate)
        order[#order + 1] = "first"
      end)
      wait_for(started)
      jobs:spawn(function()
        uvjobs.work(world.nothing)
        order[#order + 1] = "second"
      end)
      for _ = 1, 100 do uvjobs.yield() end
      assert.same({}, order)
      create(gate)
      jobs:wait_and_close()
      os.remove(started)
      os.remove(gate)
      assert.same({ "first", "second" }, order)
    end)
  end)

  it("are others in a run inside of a function", function()
    with_threads(1, function()
      assert.equal(42, uvjobs.work(function()
        local inner = require "uvjobs"
        return inner.run({ work_threads = 1 }, function()
          return inner.work(function() return 42 end)
        end)
      end))
    end)
  end)

  it("end when there may be fewer, and come again", function()
    for _, n in ipairs { 5, 1, 3 } do
      with_threads(n, function()
        local results = uvjobs.map({ 1, 2, 3, 4, 5, 6, 7 }, function(i)
          return uvjobs.work(function(k) return k * k end, i)
        end)
        assert.same({ n = 7, 1, 4, 9, 16, 25, 36, 49 }, results)
      end)
    end
  end)

  it("take 20,000 functions from as many jobs", function()
    uvjobs.run(function()
      local sum = 0
      uvjobs.each(function()
        if sum < 20000 then
          sum = sum + 1
          return sum
        end
      end, function(i) assert(uvjobs.work(function(k) return k end, i) == i) end,
      { limit = 20000 })
      assert.equal(0, uvjobs.stats().work)
    end)
  end)

  it("refuse a number that is none", function()
    for _, bad in ipairs { 0, -1, 1.5, 1025, math.huge, 0 / 0, "2", true } do
      assert.error_matches(function() with_threads(bad, print) end,
        "^bad argument #1 to 'run' %(option 'work_threads': integer from 1 to 1024 expected")
    end
  end)
end)

describe("an error of a function in work", function()
  it("is shown with where it was raised there, and in the job", function()
    local contexts = {}
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler { exception_handler = helper.recorder(contexts) }
      jobs:spawn(function()
        uvjobs.work(function()
          local function deep() error "boom" end
          deep()
        end)
      end)
    end)
    assert.matches("^in another thread, stack traceback:\n.-in local 'deep'.-\n"
      .. "in the job, stack traceback:\n.-in %w+ '[%w.]*work'", contexts[1].traceback)
  end)

  it("that was caught does not show up with another error", function()
    local contexts = {}
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler { exception_handler = helper.recorder(contexts) }
      jobs:spawn(function()
        pcall(uvjobs.work, function() error "boom" end)
        error "other"
      end)
    end)
    assert.matches("^stack traceback:", contexts[1].traceback)
  end)

  it("keeps its value", function()
    uvjobs.run(function()
      local ok, err = pcall(uvjobs.work, function() error { code = 5 } end)
      assert.same({ false, { code = 5 } }, { ok, err })
    end)
  end)
end)
