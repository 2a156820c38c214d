-- uvjobs.testing: what it does for a good test, and what it says of a bad one.
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local testing = require "uvjobs.testing"
local helper = require "spec.helper"

local message, raises = helper.message, helper.raises

-- The message of a test that fails.
local function failure(...)
  local ok, err = pcall(testing.wrap(...))
  assert.is_false(ok)
  return err
end

describe("testing.it", function()
  after_each(helper.check_clean)

  testing.it("runs under the virtual clock", function()
    assert.equal(0, uvjobs.now())
    uvjobs.sleep(1800)
    assert.equal(1800, uvjobs.now())
  end)

  testing.it("takes options", { seeds = 3, clock = "real" }, function()
    uvjobs.sleep(0)
    assert.is_true(uvjobs.now() > 0)
  end)

  it("finds busted's `it` also where no function has an environment", function()
    local called
    local busted = package.loaded.busted
    package.loaded.busted = { it = function(title, fn) called = { title, type(fn) } end }
    local chunk = load("(...).it('title', function() end)", "chunk", "t", {})
    local ok, err = coroutine.resume(coroutine.create(chunk), testing)
    package.loaded.busted = busted
    assert.is_true(ok, err)
    assert.same({ "title", "function" }, called)
  end)

  it("says when there is no `it`", function()
    -- The functions that call this one have an environment with `it`: nobody calls it.
    local busted = package.loaded.busted
    package.loaded.busted = nil
    finally(function() package.loaded.busted = busted end)
    local chunk = assert(load("(...).it('title', function() end)", "chunk", "t", {}))
    local ok, err = coroutine.resume(coroutine.create(chunk), testing)
    assert.is_false(ok)
    assert.matches("there is no 'it' here: pass testing.wrap%(fn%) to the test runner", err)
  end)

  it("checks its arguments", function()
    assert.equal("bad argument #1 to 'it' (string expected, got nil)", message(testing.it))
    assert.equal("bad argument #2 to 'it' (table expected, got nil)",
      message(testing.it, "x"))
    assert.equal("bad argument #3 to 'it' (function expected, got nil)",
      message(testing.it, "x", {}))
    assert.equal("bad argument #2 to 'it' (unknown option 'seed', did you mean 'seeds'?)",
      message(testing.it, "x", { seed = 1 }, print))
  end)
end)

describe("testing.wrap", function()
  after_each(helper.check_clean)

  it("passes arguments and results", function()
    local function fn(...)
      uvjobs.sleep(1)
      return select("#", ...), ...
    end
    assert.same({ 3, 1, nil, 3, n = 4 }, table.pack(testing.wrap(fn)(1, nil, 3)))
    assert.same({ 2, "a", "b", n = 3 },
      table.pack(testing.wrap({ seeds = 2 }, fn)("a", "b")))
  end)

  it("raises what the function raises, unchanged", function()
    local err = setmetatable({}, {})
    assert.equal(err, failure(function() error(err) end))
    assert.equal(err, failure(function()
      uvjobs.scheduler():spawn(uvjobs.sleep, 5) -- that is left over does not hide it
      error(err)
    end))
    raises("cancelled", testing.wrap(function()
      uvjobs.current():cancel()
      uvjobs.yield()
    end))
  end)

  it("finds jobs that are left over, and says where they come from", function()
    local function worker() uvjobs.sleep(5) end
    local text = failure(function()
      uvjobs.scheduler():spawn({ name = "worker" }, worker)
      uvjobs.scheduler():spawn(uvjobs.sleep, 7)
    end)
    assert.matches("^2 left over at the end:\n", text)
    assert.matches('"worker" active', text)
    assert.matches("in %w+ '[%w.]*sleep'.-testing_spec.lua:%d+: in function", text)
    assert.matches("spawned at, .-testing_spec.lua:%d+", text)
  end)

  it("does not mind jobs that end without time passing", function()
    testing.wrap(function()
      uvjobs.scheduler():spawn(function() for _ = 1, 50 do uvjobs.yield() end end)
    end)()
  end)

  it("finds open handles, says where they were made, and closes them", function()
    local timer, plain
    local text = failure(function()
      timer, plain = uv.new_timer(), luv.new_idle()
    end)
    assert.matches("^2 left over at the end:\n", text)
    assert.matches("uv_timer_t: .-\nmade at, .-testing_spec.lua:%d+", text)
    assert.matches("uv_idle_t: ", text)
    assert.is_true(timer:is_closing() and plain:is_closing())
    luv.run "nowait"
  end)

  it("leaves handles alone that were there before", function()
    local timer = luv.new_timer()
    testing.wrap(function() uvjobs.sleep(1) end)()
    assert.is_false(timer:is_closing())
    timer:close()
    luv.run "nowait"
  end)

  it("finds errors that were reported to nobody", function()
    local text = failure(function()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(error, "lost")
      jobs:spawn(error, "as well")
    end)
    assert.matches("^2 reported, and no handler was set:\nJob processing failed: lost\n", text)
    assert.matches("Job processing failed: as well", text)
    assert.matches("spawned at, ", text)
  end)

  it("leaves out what it is told to", function()
    testing.wrap({ leaks = false }, function()
      uvjobs.scheduler():spawn(uvjobs.sleep, 5)
    end)()
    testing.wrap({ reports = false }, function()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(error, "lost")
    end)()
    local handler, contexts = testing.collect()
    testing.wrap(function()
      local jobs <close> = uvjobs.scheduler { exception_handler = handler }
      jobs:spawn(error, "taken")
    end)()
    assert.equal(1, #contexts)
    assert.equal("taken", contexts[1].exception)
  end)

  it("ends a test that takes too long on its clock", function()
    raises("timeout", testing.wrap({ timeout = 5 }, function() uvjobs.sleep(6) end))
    raises("timeout", testing.wrap(function() uvjobs.sleep(3601) end))
    testing.wrap({ timeout = math.huge }, function() uvjobs.sleep(1e6) end)()
  end)

  it("runs with each seed, and says with which it has failed", function()
    local calls = 0
    testing.wrap({ seeds = 7 }, function() calls = calls + 1 end)()
    assert.equal(7, calls)
    local function fragile()
      local order = {}
      local jobs <close> = uvjobs.scheduler()
      for i = 1, 2 do jobs:spawn(function() order[#order + 1] = i end) end
      jobs:wait_and_close()
      if order[1] ~= 1 then error("2 came first", 0) end
    end
    testing.wrap(fragile)()
    local text = failure({ seeds = 20 }, fragile)
    local seed = text:match "^2 came first\nwith the seed (%d+): UVJOBS_SEED=%1 runs this one$"
    seed = math.tointeger(tonumber(seed))
    assert.equal(text, failure({ seeds = { seed } }, fragile))
    for other = 1, seed - 1 do testing.wrap({ seeds = { other } }, fragile)() end
  end)

  it("adds the seed to errors of test libraries", function()
    local err = { message = "expected this" }
    assert.equal(err, failure({ seeds = { 9 } }, function() error(err) end))
    assert.matches("^expected this\nwith the seed 9:", err.message)
  end)

  it("restores the debug mode and the handler", function()
    assert.is_false(uvjobs.debug(false))
    failure(function() assert.is_true(uvjobs.debug(true)) error "x" end)
    assert.is_false(uvjobs.debug(false))
  end)

  it("says so when a run is there already", function()
    uvjobs.run(function()
      assert.matches("run is already running", message(testing.wrap(print)))
    end)
  end)

  it("checks its arguments", function()
    for _, case in ipairs {
      { {}, "#1 to 'wrap' (table expected, got nil)" },
      { { {} }, "#2 to 'wrap' (function expected, got nil)" },
      { { { clock = "x" }, print }, "(option 'clock': 'virtual' or 'real' expected, got 'x')" },
      { { { timeout = 0 / 0 }, print },
        "(option 'timeout': seconds >= 0 or math.huge expected, got nan" },
      { { { seeds = 0 }, print }, "(option 'seeds': integer > 0 or list of integers" },
      { { { seeds = {} }, print }, "(option 'seeds': " },
      { { { seeds = { 1.5 } }, print }, "(option 'seeds': " },
      { { { leaks = 1 }, print }, "(option 'leaks': boolean expected, got 1)" },
    } do
      local text = message(testing.wrap, table.unpack(case[1]))
      assert.is_truthy(text:find(case[2], 1, true), text)
    end
  end)
end)

describe("testing.settle", function()
  after_each(helper.check_clean)

  testing.it("lets all that is ready run, and no time pass", function()
    local log = {}
    local jobs <close> = uvjobs.scheduler()
    jobs:spawn(function()
      for i = 1, 3 do
        log[#log + 1] = i
        uvjobs.yield()
      end
      uvjobs.sleep(1)
      log[#log + 1] = "late"
    end)
    testing.settle()
    assert.same({ 1, 2, 3 }, log)
    assert.equal(0, uvjobs.now())
    jobs:close()
  end)

  testing.it("gives up on jobs that are ready for ever", function()
    local jobs <close> = uvjobs.scheduler()
    jobs:spawn(function() while true do uvjobs.yield() end end)
    assert.matches("jobs are still ready after 10000 turns", message(testing.settle))
    jobs:close()
  end)

  it("must be called in a job", function()
    assert.matches("'settle' must be called in a job", message(testing.settle))
  end)
end)

describe("testing.advance", function()
  after_each(helper.check_clean)

  testing.it("does what is due until then", { seeds = 10 }, function()
    local ticks = 0
    local jobs <close> = uvjobs.scheduler()
    jobs:spawn(function()
      while true do
        uvjobs.sleep(1)
        ticks = ticks + 1
      end
    end)
    testing.advance(3)
    assert.equal(3, ticks)
    assert.equal(3, uvjobs.now())
    testing.advance(0.5)
    assert.equal(3, ticks)
    testing.advance(0)
    assert.equal(3.5, uvjobs.now())
    jobs:close()
  end)

  it("needs the virtual clock", function()
    uvjobs.run(function()
      assert.matches("'advance' needs the virtual clock", message(testing.advance, 1))
    end)
    assert.matches("'advance' must be called in a job", message(testing.advance, 1))
    for _, case in ipairs {
      { "number expected, got nil" },
      { "number expected, got string", "1" },
      { "seconds must be >= 0, got -1", -1 },
      { "seconds must be >= 0, got nan", 0 / 0 },
      { "seconds must be finite, got inf", math.huge },
    } do
      assert.equal(("bad argument #1 to 'advance' (%s)"):format(case[1]),
        message(testing.advance, case[2]))
    end
  end)
end)

describe("testing.leaks", function()
  testing.it("lists the jobs that live", function()
    assert.same({}, testing.leaks())
    local jobs <close> = uvjobs.scheduler()
    jobs:spawn({ name = "one" }, uvjobs.sleep, 1)
    jobs:spawn({ name = "two" }, uvjobs.sleep, 1)
    local texts = testing.leaks()
    assert.equal(2, #texts)
    local names = { texts[1]:match '"(%a+)"', texts[2]:match '"(%a+)"' } -- in any order
    table.sort(names)
    assert.same({ "one", "two" }, names)
    jobs:close()
    assert.same({}, testing.leaks())
  end)
end)
