local core = require "uvjobs.core"
local frame = require "uvjobs.policy.frame"
local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"

local message, raises, virtual = helper.message, helper.raises, helper.virtual

-- A policy that notes its calls in a list.
local TRACED
TRACED = frame.kind("traced", {
  rename = function(self, name) frame.fields_of(self, TRACED, "rename").label = name end,
})

local function traced(label, log, fields)
  fields = fields or {}
  fields.label = label
  fields.run = function(fn, ...)
    log[#log + 1] = fields.label
    return fn(...)
  end
  fields.stats = function() return { label = fields.label } end
  return frame.new(TRACED, fields)
end

describe("a policy", function()
  it("calls a function with its arguments and returns all results", function()
    virtual(function()
      local one = traced("a", {})
      local got = table.pack(one:call(function(...) return ... end, 1, nil, 3))
      assert.same({ n = 3, 1, nil, 3 }, got)
      assert.same({ n = 0 }, table.pack(one:call(function() end)))
      local wrapped = one:wrap(function(x) uvjobs.sleep(1) return x + 1 end)
      assert.equal(8, wrapped(7))
    end)
  end)

  it("leaves the error of the function what it is #P1", function()
    virtual(function()
      local err = {}
      local ok, got = pcall(traced("a", {}).call, traced("a", {}), error, err)
      assert.is_false(ok)
      assert.equal(err, got)
    end)
  end)

  it("refuses what is no function, and a self that is no policy", function()
    virtual(function()
      local one = traced("a", {})
      assert.equal("bad argument #1 to 'call' (function expected, got no value)",
        message(function() one:call() end))
      assert.equal("bad argument #1 to 'wrap' (function expected, got table)",
        message(function() one:wrap({}) end))
      assert.equal("bad self to 'call' (uvjobs.Policy expected, got function)",
        message(function() one.call(print) end))
      assert.equal("bad self to 'wrap' (uvjobs.Policy expected, got nil)",
        message(function() one.wrap() end))
      assert.equal("bad self to 'stats' (uvjobs.Policy expected, got table)",
        message(function() one.stats({}) end))
    end)
  end)

  it("blames who has called it", function()
    virtual(function()
      local one = traced("a", {})
      local _, err = pcall(function() one:call() end)
      assert.truthy(err:find("frame_spec.lua", 1, true), err)
      _, err = pcall(function() return one.cal end)
      assert.truthy(err:find("frame_spec.lua", 1, true), err)
    end)
  end)

  it("reads its options raw, as it has checked them", function()
    local function inheriting(own, values) return setmetatable(own, { __index = values }) end
    virtual(function()
      local calls = 0
      local function fail()
        calls = calls + 1
        error("no", 0)
      end
      local one = policy.retry(inheriting({ backoff = inheriting({ base = 0 }, { base = "x" }) },
        { attempts = "many" }))
      pcall(one.call, one, fail)
      pcall(uvjobs.retry, inheriting({ backoff = 0 }, { budget = 1, attempts = {} }), fail)
      assert.equal(6, calls)
      local limit = policy.limit(inheriting({ limit = 1 }, { key = 1 }))
      limit:set(inheriting({}, { limit = "x" }))
      assert.equal(7, limit:call(function() return 7 end))
    end)
    assert.equal("uvjobs.Policy: timeout", tostring(policy.timeout(inheriting({ seconds = 1 },
      { name = 1 }))))
    assert.equal("uvjobs.Policy: compose", tostring(policy.compose(inheriting(
      { policy.timeout(1) }, { policy.timeout(1), 2, name = 1 }))))
  end)

  it("is used in jobs only", function()
    local one = traced("a", {})
    assert.equal("'call' must be called in a job: use uvjobs.run",
      message(function() one:call(print) end))
    assert.equal("'call' must be called in a job: use uvjobs.run",
      message(one:wrap(print)))
    virtual(function()
      assert.equal("'call' must be called in a job: use uvjobs.coroutine",
        message(coroutine.wrap(function() one:call(print) end)))
      assert.equal("'call' cannot suspend across a C call",
        message(table.sort, { 1, 2 }, function() one:call(print) end))
    end)
  end)

  it("has no property that is misspelt", function()
    local one = traced("a", {})
    assert.equal("unknown property 'cal' of a uvjobs.Policy, did you mean 'call'?",
      message(function() return one.cal end))
    assert.equal("unknown property 'cal' of a uvjobs.Policy, did you mean 'call'?",
      message(function() one.cal = 1 end))
    assert.equal("unknown property [1] of a uvjobs.Policy", message(function() return one[1] end))
    assert.is_nil(one.name)
    assert.equal("traced", one.kind)
  end)

  it("says what it is", function()
    assert.equal("uvjobs.Policy: traced", tostring(traced("a", {})))
    assert.equal('uvjobs.Policy: traced "x"', tostring(traced("a", {}, { name = "x" })))
  end)

  it("can be collected", function()
    local weak = setmetatable({}, { __mode = "k" })
    weak[traced("a", {})] = true
    weak[policy.compose { traced("a", {}) }] = true
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)

  it("has the methods of its kind, which refuse other kinds", function()
    local one, other = traced("a", {}), policy.compose { traced("b", {}) }
    one:rename("z")
    assert.equal("z", one:stats().label)
    assert.equal("bad self to 'rename' (uvjobs.Policy of the kind 'traced' expected, got " ..
      "one of the kind 'compose')", message(function() one.rename(other, "z") end))
    assert.equal("bad self to 'rename' (uvjobs.Policy of the kind 'traced' expected, got number)",
      message(function() one.rename(5, "z") end))
    local breaker, limit = policy.breaker(), policy.limit { limit = 1 }
    for _, call in ipairs {
      function() one.rename(other, "z") end,
      function() breaker.state(limit) end,
      function() breaker.open(limit) end,
      function() limit.set(breaker, {}) end,
    } do
      assert.matches("^spec/policy/frame_spec.lua:%d+: bad self", select(2, pcall(call)))
    end
  end)
end)

describe("policy.compose", function()
  it("lets a kind make its function for what is within", function()
    virtual(function()
      local log = {}
      local function bound(label)
        return traced(label, log, { bind = function(inner)
          return function(...) log[#log + 1] = label .. " bound" return inner(...) end
        end })
      end
      local all = policy.compose { bound "a", traced("b", log), bound "c" }
      assert.equal(7, all:call(function(x) return x end, 7))
      assert.same({ "a bound", "b", "c" }, log)
    end)
  end)

  it("has the first of the list outermost", function()
    virtual(function()
      local log = {}
      local all = policy.compose { traced("a", log), traced("b", log), traced("c", log) }
      assert.equal(5, all:call(function(x) log[#log + 1] = x return 5 end, "fn"))
      assert.same({ "a", "b", "c", "fn" }, log)
    end)
  end)

  it("takes a composition for its parts", function()
    virtual(function()
      local log = {}
      local inner = policy.compose { traced("b", log), traced("c", log) }
      policy.compose { traced("a", log), inner, traced("d", log) }:call(function() end)
      assert.same({ "a", "b", "c", "d" }, log)
    end)
  end)

  it("lets a part see the arguments of the function, wherever it is", function()
    virtual(function()
      local seen = {}
      local function seeing()
        return frame.new(TRACED, {
          run = function(fn, ...) seen[#seen + 1] = (...) return fn(...) end,
          run_within = function(step, fn, ...) seen[#seen + 1] = (...) return step(fn, ...) end,
          stats = function() return {} end,
        })
      end
      local all = policy.compose {
        seeing(), traced("a", {}), policy.compose { seeing(), traced("b", {}) }, seeing(),
      }
      assert.equal("x", all:call(function(x) return x end, "x"))
      assert.same({ "x", "x", "x" }, seen)
    end)
  end)

  it("has the statistics of its parts, by name or by kind", function()
    local all = policy.compose {
      name = "whole",
      traced("a", {}), traced("b", {}, { name = "service" }), traced("c", {}),
      policy.compose { traced("d", {}) },
      policy.compose { name = "nested", traced("e", {}) },
    }
    assert.same({
      traced = { label = "a" }, service = { label = "b" }, traced_2 = { label = "c" },
      traced_3 = { label = "d" }, nested = { traced = { label = "e" } },
    }, all:stats())
    assert.equal('uvjobs.Policy: compose "whole"', tostring(all))
  end)

  it("refuses an empty list and what is no policy", function()
    local function refusal(list) return message(function() policy.compose(list) end) end
    assert.equal("bad argument #1 to 'compose' (list of policies expected, got nil)", refusal(nil))
    assert.equal("bad argument #1 to 'compose' (at least one policy expected, got none)",
      refusal {})
    assert.equal("bad argument #1 to 'compose' (uvjobs.Policy expected as element 2, got function)",
      refusal { traced("a", {}), print })
    assert.equal("bad argument #1 to 'compose' (unknown option 'nam', did you mean 'name'?)",
      refusal { traced("a", {}), nam = "x" })
    assert.equal("bad argument #1 to 'compose' (option 'name': string expected, got 1)",
      refusal { traced("a", {}), name = 1 })
    assert.equal("bad argument #1 to 'compose' (element 1: it has no function)",
      refusal { traced("a", {}, { refusal = "it has no function" }) })
  end)

  it("does not follow changes of the list", function()
    virtual(function()
      local log = {}
      local list = { traced("a", log), traced("b", log) }
      local all = policy.compose(list)
      list[1], list[2] = nil, nil
      all:call(function() end)
      assert.same({ "a", "b" }, log)
    end)
  end)
end)

describe("an error of a policy", function()
  it("has a code, a text, a time after which to try again, and a cause", function()
    local err = raises("open", frame.raise, "open", "it is open", 3, "cause")
    assert.same({ "it is open", 3.0, "cause" }, { err.message, err.retry_after, err.cause })
    assert.equal("it is open", tostring(err))
    assert.is_nil(err.job)
    assert.is_nil(err.signal)
    err = raises("limited", frame.raise, "limited", "too fast")
    assert.is_nil(err.retry_after)
    assert.is_nil(err.cause)
    assert.equal("full", raises("full", frame.raise, "full", "x").code)
    assert.equal("intensity", core.make_error("intensity", "x").code)
  end)

  it("gets the notes that others get", function()
    local err = core.make_error("open", "it is open")
    core.annotate(err, "a note")
    assert.equal("it is open\na note", err.message)
  end)

  it("has fields that other errors do not have", function()
    virtual(function()
      local err = raises("timeout", uvjobs.timeout, 1, uvjobs.sleep, 2)
      assert.is_nil(err.retry_after)
      assert.is_nil(err.cause)
    end)
  end)
end)

describe("rescue", function()
  local function note(...) return "rescued", ... end

  it("returns what the function returns", function()
    virtual(function()
      assert.same({ n = 2, 1, 2 }, table.pack(core.rescue(note, 0, function() return 1, 2 end)))
      assert.same({ n = 0 }, table.pack(core.rescue(note, 0, uvjobs.sleep, 1)))
    end)
  end)

  it("calls the handler with the error, the function and its arguments", function()
    virtual(function()
      local function slow(...) uvjobs.sleep(1) error(..., 0) end
      for _, fn in ipairs { error, slow } do
        assert.same({ n = 6, "rescued", 0, "x", fn, "x", nil },
          table.pack(core.rescue(note, 0, fn, "x", nil)))
      end
    end)
  end)

  it("lets the handler suspend and fail", function()
    virtual(function()
      local function handler(_, err) uvjobs.sleep(1) error({ err }, 0) end
      local ok, err = pcall(core.rescue, handler, 0, error, "x")
      assert.same({ false, { "x" } }, { ok, err })
    end)
  end)

  it("passes on very many arguments", function()
    virtual(function()
      local many = {}
      for i = 1, 10000 do many[i] = i end
      local got = table.pack(core.rescue(note, 0, function(...) return ... end, table.unpack(many)))
      assert.equal(10000, got.n)
      assert.equal(10000, got[10000])
    end)
  end)
end)

describe("rescuer", function()
  it("makes a function that rescues and counts, around its first argument or another", function()
    virtual(function()
      local function note(first, err, fn, ...) return first.name, err, fn, ... end
      local first, counter = { name = "first" }, core.counter()
      local around = core.rescuer(counter, note, first)
      assert.same({ n = 2, 1, nil }, table.pack(around(function(...) return ... end, 1, nil)))
      assert.same({ n = 4, "first", "x", error, "x" }, table.pack(around(error, "x")))
      local inner = core.rescuer(counter, note, first, error)
      assert.same({ n = 4, "first", "y", error, "y" }, table.pack(inner("y")))
      assert.same({ n = 3, "first", helper.NIL_ERROR, error }, table.pack(inner()))
      assert.same({ n = 0 }, table.pack(core.rescuer(counter, note, first, uvjobs.sleep)(1)))
      assert.equal(5, core.counted(counter))
    end)
  end)
end)

describe("ends_caller", function()
  it("knows what ends the job from the errors of others #P2", function()
    virtual(function()
      local jobs <close> = helper.quiet()
      local other = jobs:spawn(uvjobs.sleep, 9)
      other:close()
      local _, err = pcall(other.wait, other)
      assert.is_false(frame.ends_caller(err))
      assert.is_false(frame.ends_caller("x"))
      assert.is_false(frame.ends_caller(core.make_error("open", "x")))
      assert.is_false(frame.ends_caller(raises("timeout", uvjobs.timeout, 1, uvjobs.sleep, 2)))
      raises("timeout", uvjobs.timeout, 1, function()
        _, err = pcall(uvjobs.sleep, 2)
        assert.is_true(frame.ends_caller(err))
        error(err, 0)
      end)
      local job = jobs:spawn(function()
        _, err = pcall(uvjobs.sleep, 2)
        return frame.ends_caller(err)
      end)
      uvjobs.yield()
      job:cancel()
      assert.is_true(job:wait())
    end)
  end)
end)
