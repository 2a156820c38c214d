-- work: functions in other threads. How values are copied is in copy_spec.lua, how a job gives up
-- in left_early_spec.lua.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local world = require "spec.work.world"

local virtual, message = helper.virtual, helper.message
local absent, create, wait_for, drain = world.absent, world.create, world.wait_for, world.drain
local meet, block, nothing = world.meet, world.block, world.nothing
local THREADS = world.threads

describe("work", function()
  after_each(helper.check_clean)

  it("returns all results of a function, and nils among them", function()
    uvjobs.run(function()
      local r = table.pack(uvjobs.work(function(a, b, ...)
        return a + b, nil, select("#", ...), nil
      end, 1, 2, nil, nil))
      assert.same({ n = 4, 3, nil, 2 }, r)
      assert.equal(0, select("#", uvjobs.work(nothing)))
    end)
  end)

  it("runs it beside the loop: the other jobs go on", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler()
      local here, there = absent(), absent()
      jobs:spawn(function()
        wait_for(there)
        create(here)
      end)
      assert.is_true(uvjobs.work(meet, there, here))
      os.remove(here)
      os.remove(there)
    end)
  end)

  it("runs several at the same time", function()
    uvjobs.run(function()
      local a, b = absent(), absent()
      local met = uvjobs.all {
        function() return uvjobs.work(meet, a, b) end,
        function() return uvjobs.work(meet, b, a) end,
      }
      assert.same({ n = 2, true, true }, met)
      os.remove(a)
      os.remove(b)
    end)
  end)

  it("runs it in another Lua state, whose globals it does not change", function()
    uvjobs.run(function()
      _G.work_spec = "here"
      for _ = 1, 2 * THREADS do
        assert.same({}, { uvjobs.work(function() return work_spec end) }) -- luacheck: ignore 113
        assert.equal(7, uvjobs.work(function()
          work_spec = 7 -- luacheck: ignore 111
          return work_spec -- luacheck: ignore 113
        end))
        assert.is_nil(uvjobs.work(function() return _G.work_spec end))
      end
      assert.equal("here", _G.work_spec)
      _G.work_spec = nil
    end)
  end)

  it("has the standard libraries, but cannot end the process", function()
    uvjobs.run(function()
      assert.equal("a1", uvjobs.work(function()
        return table.concat { string.char(97), math.tointeger(1.0) }
      end))
      assert.equal("'os.exit' cannot be called in a function of work",
                   message(uvjobs.work, function() os.exit(1) end))
    end)
  end)

  it("finds modules where the job does, and keeps them loaded", function()
    local path, dir = package.path, absent()
    assert(os.execute("mkdir " .. dir))
    local file = assert(io.open(dir .. "/work_spec_module.lua", "w"))
    file:write "local n = 0 return function() n = n + 1 return n end"
    file:close()
    local function count() return require "work_spec_module" () end
    uvjobs.run(function()
      assert.matches("module 'work_spec_module' not found", message(uvjobs.work, count))
      package.path = dir .. "/?.lua"
      assert.equal(1, uvjobs.work(count))
      assert.equal(2, uvjobs.work(count))
      package.path = path
      assert.equal(path, uvjobs.work(function() return package.path end))
      assert.equal(package.cpath, uvjobs.work(function() return package.cpath end))
    end)
    os.execute("rm -r " .. dir)
  end)

  it("lets the function use uvjobs itself", function()
    uvjobs.run(function()
      assert.equal(42, uvjobs.work(function(n)
        local inner = require "uvjobs"
        return inner.run(function()
          inner.sleep(0)
          return inner.work(function(m) return 2 * m end, n)
        end)
      end, 21))
    end)
  end)

  it("can be called in a coroutine of a job", function()
    uvjobs.run(function()
      local wrap = require "uvjobs.coroutine".wrap
      local next_value = wrap(function()
        for i = 1, 3 do coroutine.yield(uvjobs.work(function(n) return n * n end, i)) end
      end)
      assert.same({ 1, 4, 9 }, { next_value(), next_value(), next_value() })
    end)
  end)

  it("runs very many, in no more Lua states than there are threads", function()
    uvjobs.run(function()
      local states, count, sum = {}, 0, 0
      local jobs <close> = uvjobs.scheduler { limit = math.huge }
      for i = 1, 2000 do
        jobs:spawn(function()
          local n, state = uvjobs.work(function(n) return n, tostring(_G) end, i)
          if not states[state] then states[state], count = true, count + 1 end
          sum = sum + n
        end)
      end
      jobs:wait_and_close()
      assert.equal(2000 * 2001 // 2, sum)
      assert.is_true(count >= 1 and count <= THREADS)
      assert.equal(0, uvjobs.stats().work)
    end)
  end)

  it("is counted while it is queued or runs", function()
    uvjobs.run(function()
      world.with_full_pool(function(free)
        assert.equal(THREADS, uvjobs.stats().work)
        local job = uvjobs.current().scheduler:spawn(uvjobs.work, nothing)
        uvjobs.yield()
        assert.equal(THREADS + 1, uvjobs.stats().work)
        assert.matches("active, in work", job:traceback())
        free()
        job:wait()
      end)
      assert.equal(0, uvjobs.stats().work)
    end)
    assert.equal(0, uvjobs.stats().work)
  end)
end)

describe("misuse of work", function()
  after_each(helper.check_clean)

  it("raises an error that says what is wrong", function()
    local other = 1
    uvjobs.run(function()
      for text, fn in pairs {
        ["function expected, got nil"] = false,
        ["Lua function expected, got a C function"] = print,
        ["function without upvalues expected, got one that uses 'other'"] = function()
          return print and other
        end,
      } do
        assert.equal(("bad argument #1 to 'work' (%s)"):format(text),
                     message(uvjobs.work, fn or nil))
      end
      assert.equal("bad argument #1 to 'work' (function expected, got no value)",
                   message(uvjobs.work))
      assert.equal("bad argument #3 to 'work' (nil, boolean, number, string, channel, "
        .. "blob or table of them expected, got function)", message(uvjobs.work, nothing, 1, print))
      assert.equal(0, uvjobs.stats().work)
    end)
  end)

  it("is to call it outside a job, or across a C call #M15", function()
    assert.equal("'work' must be called in a job: use uvjobs.run", message(uvjobs.work, nothing))
    uvjobs.run(function()
      assert.equal("'work' must be called in a job: use uvjobs.coroutine",
                   message(coroutine.wrap(uvjobs.work), nothing))
      assert.equal("'work' cannot suspend across a C call",
                   message(string.gsub, "x", "x", function() uvjobs.work(nothing) end))
    end)
  end)
end)

describe("a run with work", function()
  after_each(helper.check_clean)

  it("is not stuck while a job waits for it", function()
    for _, clock in ipairs { "real", "virtual" } do
      assert.equal(5e5, uvjobs.run({ clock = clock }, uvjobs.work, function()
        local n = 0
        while n < 5e5 do n = n + 1 end
        return n
      end))
    end
  end)

  it("sees what ends while another job computes", function()
    for _, interrupt in ipairs { "SIGURG", "count" } do
      uvjobs.run({ interrupt = interrupt }, function()
        local jobs <close> = uvjobs.scheduler()
        local job = jobs:spawn(uvjobs.work, function() return 1 end)
        uvjobs.yield()
        helper.burn(0.05)
        assert.equal(1, job:wait())
      end)
    end
  end)

  it("is stuck when nobody waits for what is in the pool", function()
    local gate, started = absent(), absent()
    assert.matches("^run is stuck", message(uvjobs.run, function()
      local job = uvjobs.scheduler():spawn(uvjobs.work, block, started, gate)
      wait_for(started)
      job:cancel()
      pcall(job.wait, job)
      assert.equal(1, uvjobs.stats().work)
      uvjobs.event():wait()
    end))
    create(gate)
    uvjobs.run(drain)
    os.remove(gate)
    os.remove(started)
  end)

  it("stops the virtual clock only while a job waits for it #M16", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local sleeper = jobs:spawn(uvjobs.sleep, 60)
      uvjobs.yield()
      uvjobs.work(function() for _ = 1, 1e6 do end end)
      assert.equal(0, uvjobs.now())
      assert.equal("active", sleeper.state)
      local gate, started = absent(), absent()
      local job = jobs:spawn(uvjobs.work, block, started, gate)
      wait_for(started)
      job:cancel()
      sleeper:wait()
      assert.equal(60, uvjobs.now())
      assert.equal(1, uvjobs.stats().work)
      create(gate)
      drain()
      os.remove(gate)
      os.remove(started)
    end)
  end)
end)

describe("a Lua state that closes with work in the pool", function()
  local prelude = [[
    local uvjobs = require "uvjobs"
    local function endless() while true do pcall(function() while true do end end) end end
    uvjobs.run(function()
      local jobs = uvjobs.scheduler { limit = math.huge }
      for _ = 1, 500 do jobs:spawn(uvjobs.work, endless) end
      uvjobs.sleep(0.01)
  ]]

  for name, code in pairs {
    ["by the end of the script"] = "end)",
    ["by an error"] = "error('boom') end)",
    ["by os.exit in a job"] = "os.exit(3, true) end)",
    ["by os.exit, without closing it"] = "os.exit(3) end)",
  } do
    it(name .. " stops it all #M14", function()
      local r = helper.child(prelude .. code)
      assert.equal(code:find("exit") and 3 or code:find("boom") and 1 or 0, r.status)
      assert.equal("", r.out)
      assert.equal(code:find("boom") ~= nil, r.err ~= "")
    end)
  end
end)
