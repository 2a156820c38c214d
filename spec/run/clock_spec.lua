-- Time and turns: sleep, yield, now, the two clocks, determinism.
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local helper = require "spec.helper"

local virtual = helper.virtual

local TURNS <const> = 20000 -- in place of ten million, which take minutes under ASan

describe("sleep", function()
  after_each(helper.check_clean)

  it("never returns early, in real time #M10", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler()
      local worst = math.huge
      for i = 0, 40 do
        jobs:spawn(function()
          local span = i * 0.00037
          local start = uvjobs.now()
          uvjobs.sleep(span)
          worst = math.min(worst, uvjobs.now() - start - span)
        end)
      end
      jobs:wait_and_close()
      assert.is_true(worst >= 0, ("%g s early"):format(-worst))
    end)
  end)

  it("ends exactly at its time under the virtual clock, and takes no real time", function()
    local start = uvjobs.now()
    virtual(function()
      for _, span in ipairs { 0, 1e-9, 0.1, 0.25, 3600, 86400 * 365 } do
        local before = uvjobs.now()
        uvjobs.sleep(span)
        assert.is_true(math.abs(uvjobs.now() - before - span) < 1e-6)
        assert.is_true(uvjobs.now() - before >= span - 1e-6)
      end
    end)
    assert.is_true(uvjobs.now() - start < 3600)
  end)

  it("of 0 gives way once", function()
    virtual(function()
      local log = helper.log()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(log.add, log, "other")
      assert.same({ n = 0 }, table.pack(uvjobs.sleep(0)))
      assert.same({ "other" }, log)
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("with equal deadlines ends in the order in which they were set #M10", function()
    virtual(function()
      local log, expected = helper.log(), {}
      local jobs <close> = uvjobs.scheduler { limit = math.huge }
      for i = 1, 200 do
        jobs:spawn(function()
          uvjobs.sleep((i - 1) % 3)    -- now at 0, 1 or 2
          uvjobs.sleep(10 - (i - 1) % 3) -- all until 10
          log:add(i)
        end)
      end
      jobs:wait_and_close()
      -- Jobs that began to sleep at 0 wake first, then those that began at 1, then at 2.
      for start = 0, 2 do
        for i = 1, 200 do
          if (i - 1) % 3 == start then expected[#expected + 1] = i end
        end
      end
      assert.same(expected, log)
    end)
  end)

  it("with different deadlines ends in the order of the deadlines #M10", function()
    virtual(function()
      math.randomseed(7)
      local jobs <close> = uvjobs.scheduler { limit = math.huge }
      local last, count = 0, 0
      for _ = 1, 2000 do
        local due = math.random(0, 1000) / 10 ^ math.random(0, 6)
        jobs:spawn(function()
          uvjobs.sleep(due)
          assert.is_true(due >= last)
          assert.is_true(math.abs(uvjobs.now() - due) < 1e-6)
          last, count = due, count + 1
        end)
      end
      jobs:wait_and_close(1e6)
      assert.equal(2000, count)
    end)
  end)
end)

describe("a turn", function()
  after_each(helper.check_clean)

  it("gives way with yield to the other ready jobs, in order #M11", function()
    virtual(function()
      local log = helper.log()
      local jobs <close> = uvjobs.scheduler()
      for _, name in ipairs { "a", "b", "c" } do
        jobs:spawn(function()
          for i = 1, 3 do
            log:add(name .. i)
            assert.same({ n = 0 }, table.pack(uvjobs.yield()))
          end
        end)
      end
      jobs:wait_and_close()
      assert.equal("a1 b1 c1 a2 b2 c2 a3 b3 c3", table.concat(log, " "))
    end)
  end)

  it("looks at the clock however many jobs are ready #M11", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler { wait_timeout = 0 }
      local woken = false
      local function chain() if not woken then jobs:spawn(chain) end end
      for _ = 1, 5 do jobs:spawn(chain) end
      for _ = 1, 5 do jobs:spawn(function() while not woken do uvjobs.yield() end end) end
      local sleeper = jobs:spawn(function()
        uvjobs.sleep(0.01)
        woken = true
      end)
      local deadline = uvjobs.now() + 30
      while not woken and uvjobs.now() < deadline do uvjobs.yield() end
      assert.is_true(sleeper:join(0))
    end)
  end)
end)

describe("the clock", function()
  after_each(helper.check_clean)

  it("is monotonic and goes on outside a run", function()
    local a = uvjobs.now()
    local b = uvjobs.run(uvjobs.now)
    local c = uvjobs.now()
    assert.is_true(a > 0 and a <= b and b <= c)
    assert.equal("float", math.type(a))
  end)

  it("that is virtual starts at 0 in each run, and ends with it", function()
    for _ = 1, 2 do
      assert.equal(7, virtual(function()
        assert.equal(0, uvjobs.now())
        uvjobs.sleep(7)
        return uvjobs.now()
      end))
    end
    local real = uvjobs.now()
    assert.is_true(real ~= 7 and uvjobs.now() >= real)
  end)

  it("that is virtual stands still while jobs are ready", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local sleeper = jobs:spawn(uvjobs.sleep, 1e-9)
      uvjobs.yield()
      for _ = 1, 1000 do uvjobs.yield() end
      assert.equal(0, uvjobs.now())
      assert.is_true(sleeper.active)
    end)
  end)

  it("that is virtual jumps when jobs have been ready for ten million turns", function()
    local before = core.restless_turns(TURNS)
    finally(function() core.restless_turns(before) end)
    assert.equal(10000000, before)
    local last = uvjobs.stats().turns -- in which the clock was moved
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      for span = 1, 2 do
        local sleeper = jobs:spawn(uvjobs.sleep, 3)
        while uvjobs.now() < 3 * span do uvjobs.yield() end
        assert.equal(3 * span, uvjobs.now())
        assert.is_true(uvjobs.stats().turns - last >= TURNS)
        last = uvjobs.stats().turns
        sleeper:join()
      end
    end)
  end)

  it("that is virtual never jumps when jobs come to rest in between", function()
    local before = core.restless_turns(TURNS)
    finally(function() core.restless_turns(before) end)
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local sleeper = jobs:spawn(uvjobs.sleep, 3600)
      for i = 1, 20 do
        helper.yield(TURNS // 10)
        uvjobs.sleep(1)
        assert.equal(i, uvjobs.now())
      end
      assert.is_true(sleeper.active)
    end)
  end)
end)

describe("a run under the virtual clock", function()
  after_each(helper.check_clean)

  -- Runs a random program; returns what it did, line by line.
  local function trace(seed)
    local log = helper.log()
    local random = math.random
    math.randomseed(seed)
    local function note(...)
      log:add(("%.6f "):format(uvjobs.now()) .. table.concat({ ... }, " "))
    end
    virtual(function()
      local event = uvjobs.event()
      local scheds, all = {}, {}
      for i = 1, 3 do
        scheds[i] = uvjobs.scheduler {
          limit = random(1, 4), pending_limit = random(0, 3), close_timeout = random(),
          exception_handler = function(_, c) note("report", c.message, c.job.name) end,
        }
      end
      local act
      local function body(name, depth)
        note("start", name)
        local _ <close> = setmetatable({}, { __close = function() note("end", name) end })
        for _ = 1, random(1, 4) do act(name, depth) end
      end
      local actions = {
        function() uvjobs.sleep(random(0, 3) / 2) end,
        function() uvjobs.yield() end,
        function(name, depth)
          if depth > 3 then return end
          local child = name .. "." .. #all
          local job = scheds[random(3)]:spawn({ name = child }, body, child, depth + 1)
          all[#all + 1] = job
        end,
        function() event:wait(random(0, 2)) end,
        function() event:set() event:clear() end,
        function() if #all > 0 then all[random(#all)]:cancel() end end,
        function() if #all > 0 then all[random(#all)]:join(random(0, 2)) end end,
        function() uvjobs.timeout(random(0, 2), uvjobs.sleep, 1) end,
        function() uvjobs.protect(uvjobs.sleep, random(0, 1)) end,
        function() error("boom", 0) end,
      }
      function act(name, depth)
        local i = random(#actions)
        local ok, err = pcall(actions[i], name, depth)
        note(name, i, ok and "" or (tostring(err):gsub("#%d+", "#")))
        if not ok and random(2) == 1 then error(err, 0) end
      end
      for i = 1, 12 do
        local name = "job" .. i
        local job = scheds[random(3)]:try_spawn({ name = name }, body, name, 0)
        if job then all[#all + 1] = job end
      end
      uvjobs.sleep(4)
      for i = 1, 3 do scheds[i]:close() end
      for _, job in ipairs(all) do note(job.name, job.state) end
    end)
    return log
  end

  it("gives the same order of events every time #M16", function()
    local lines = 0
    for seed = 1, 60 do
      local first, second = trace(seed), trace(seed)
      assert.is_true(#first == #second, ("seed %d: different lengths"):format(seed))
      for i = 1, #first do
        assert.equal(first[i], second[i], ("seed %d, line %d"):format(seed, i))
      end
      lines = lines + #first
    end
    assert.is_true(lines > 60 * 20)
  end)

  it("does not depend on what ran before it #M16", function()
    local first = trace(5)
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      for i = 1, 500 do jobs:spawn(uvjobs.sleep, i / 7) end
    end)
    collectgarbage()
    assert.same(first, trace(5))
  end)
end)
