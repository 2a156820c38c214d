-- Job-local values.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual = helper.virtual
local context = uvjobs.context

local function keys()
  local found = {}
  for key, value in pairs(context) do found[key] = value end
  return found
end

describe("uvjobs.context", function()
  after_each(helper.check_clean)

  it("gets what the same job has set, by any key", function()
    virtual(function()
      local key = {}
      assert.is_nil(context.id)
      context.id, context[key], context[1], context[true] = 7, "table", false, key
      assert.equal(7, context.id)
      assert.equal("table", context[key])
      assert.is_false(context[1])
      assert.equal(key, context[true])
      uvjobs.sleep(1)
      assert.equal(7, context.id)
      context.id = nil
      assert.is_nil(context.id)
      assert.same({ [key] = "table", [1] = false, [true] = key }, keys())
    end)
  end)

  it("is empty in a new run", function()
    virtual(function() context.id = 1 end)
    virtual(function() assert.is_nil(context.id) assert.same({}, keys()) end)
  end)

  it("is each job's own", function()
    virtual(function()
      local s, got = uvjobs.scheduler(), {}
      for i = 1, 10 do
        s:spawn(function()
          context.id = i
          uvjobs.sleep(i % 3)
          got[i] = context.id
        end)
      end
      s:wait_and_close()
      assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, got)
      assert.is_nil(context.id)
    end)
  end)

  it("is inherited by children as it was when they were spawned", function()
    virtual(function()
      local s = uvjobs.scheduler { limit = 1 }
      local function get() return context.id end
      context.id = "first"
      local first, pending = s:spawn(get), s:spawn(get)
      context.id = "second"
      local second = s:spawn(get)
      context.id = nil
      local none = s:spawn(get)
      assert.equal("first", first:wait())
      assert.equal("first", pending:wait())
      assert.equal("second", second:wait())
      assert.is_nil((none:wait()))
      s:wait_and_close()
    end)
  end)

  it("is inherited as it was when a blocked spawn was called", function()
    virtual(function()
      local s = uvjobs.scheduler { limit = 1, pending_limit = 0 }
      s:spawn(uvjobs.sleep, 1)
      context.id = "spawner"
      local job = s:spawn(function() return context.id end)
      assert.equal(1, uvjobs.now())
      assert.equal("spawner", job:wait())
      s:wait_and_close()
    end)
  end)

  it("of a child cannot be seen to change by the parent, its siblings and its children", function()
    virtual(function()
      local s = uvjobs.scheduler()
      context.id, context.other = "parent", "kept"
      local grandchild
      local child = s:spawn(function()
        grandchild = s:spawn(function() uvjobs.sleep(2); return context.id end)
        context.id, context.new = "child", true
        uvjobs.sleep(1)
        return context.id, context.other
      end)
      local sibling = s:spawn(function() uvjobs.sleep(1); return context.id, context.new end)
      assert.same({ "child", "kept" }, { child:wait() })
      assert.same({ "parent" }, { sibling:wait() })
      assert.equal("parent", grandchild:wait())
      assert.same({ id = "parent", other = "kept" }, keys())
      s:wait_and_close()
    end)
  end)

  it("goes down through generations", function()
    virtual(function()
      local s = uvjobs.scheduler()
      local function descend(depth)
        if depth == 0 then return context.id end
        return s:spawn(descend, depth - 1):wait()
      end
      context.id = "far above"
      assert.equal("far above", descend(20))
      s:wait_and_close()
    end)
  end)

  it("is inherited in all, race, map and shield", function()
    virtual(function()
      local s = uvjobs.scheduler()
      local function get() return context.id end
      context.id = 7
      assert.same({ 7, 7, n = 2 }, (uvjobs.all { get, get }))
      assert.same({ 1, 7 }, { uvjobs.race { get } })
      assert.same({ 7, 7, n = 2 }, uvjobs.map({ 1, 2 }, get))
      assert.equal(7, s:shield(get))
      uvjobs.all { function() context.id = "child" end }
      assert.equal(7, context.id)
      s:wait_and_close()
    end)
  end)

  it("is the job's in timeout, protect, coroutines and <close> handlers", function()
    virtual(function()
      local s, seen = helper.quiet(), helper.log()
      local job = s:spawn(function()
        context.id = 7
        local _ <close> = setmetatable({}, { __close = function() seen:add(context.id) end })
        seen:add(uvjobs.timeout(1, function() return context.id end))
        seen:add(uvjobs.protect(function() context.id = 8; return context.id end))
        seen:add(coroutine.wrap(function() return context.id end)())
        uvjobs.protect(uvjobs.sleep, 10)
      end)
      uvjobs.yield()
      pcall(job.close, job, 1)
      assert.equal("killed", job.state)
      assert.same({ 7, 8, 8, 8 }, { table.unpack(seen) })
      s:close()
    end)
  end)

  it("is empty outside a job, where nothing can be set", function()
    assert.is_nil(context.id)
    assert.same({}, keys())
    assert.equal("'context' must be set in a job",
      helper.message(function() context.id = 1 end))
    local jobs = uvjobs.scheduler()
    local job = jobs:spawn(function() return next(keys()) end)
    virtual(function()
      context.id = 1
      assert.is_nil((job:wait())) -- it was spawned outside
      jobs:close()
    end)
  end)

  it("can be changed while it is iterated over", function()
    virtual(function()
      for i = 1, 10 do context[i] = i end
      local sum = 0
      for key, value in pairs(context) do
        sum = sum + value
        context[key] = nil
      end
      assert.equal(55, sum)
      assert.same({}, keys())
    end)
  end)

  it("refuses nil and NaN as a key, and blames the caller", function()
    virtual(function()
      for _, key in ipairs { 0 / 0, "nil" } do
        if key == "nil" then key = nil end
        local ok, err = pcall(function() context[key] = 1 end)
        assert.is_false(ok)
        assert.matches("context_spec.lua:%d+: ", err)
      end
      assert.is_nil(context[nil])
      assert.same({}, keys())
    end)
  end)

  it("cannot be taken apart", function()
    assert.is_false(getmetatable(context))
    assert.is_false((pcall(setmetatable, context, {})))
    virtual(function()
      context.id = 1
      assert.is_nil(rawget(context, "id"))
    end)
  end)

  it("keeps values no longer than a job that has them", function()
    virtual(function()
      local s, weak = uvjobs.scheduler(), setmetatable({}, { __mode = "v" })
      s:spawn(function()
        local value = {}
        weak.value, context.value = value, value
        s:spawn(uvjobs.sleep, 5)
      end)
      uvjobs.sleep(1)
      collectgarbage()
      collectgarbage()
      assert.is_not_nil(weak.value)
      s:wait_and_close()
      collectgarbage()
      collectgarbage()
      assert.is_nil(weak.value)
    end)
  end)
end)
