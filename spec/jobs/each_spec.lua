-- each: calls for side effects, whose results come one by one.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, kilobytes = helper.virtual, helper.kilobytes

describe("each", function()
  after_each(helper.check_clean)

  it("calls the function with each item and its index, and returns how many", function()
    virtual(function()
      local seen = {}
      assert.equal(3, uvjobs.each({ "a", "b", "c" }, function(item, i)
        uvjobs.sleep(1)
        seen[i] = item
      end))
      assert.same({ "a", "b", "c" }, seen)
      assert.equal(1, uvjobs.now())
      assert.equal(0, uvjobs.each({}, error))
      assert.equal(2, uvjobs.each(("x y"):gmatch("%a"), uvjobs.yield, { limit = math.huge }))
    end)
  end)

  it("gives results to on_result in the calling job, in the order in which calls end", function()
    virtual(function()
      local got, me, busy = {}, uvjobs.current(), false
      uvjobs.each({ 3, 1, 2 }, function(n)
        uvjobs.sleep(n)
        return n, nil, "x"
      end, { on_result = function(...)
        assert.equal(me, uvjobs.current())
        assert.is_false(busy)
        busy = true
        uvjobs.sleep(1.5)
        busy = false
        got[#got + 1] = table.pack(...)
      end })
      assert.same({
        { 2, 1, nil, "x", n = 4 }, { 3, 2, nil, "x", n = 4 }, { 1, 3, nil, "x", n = 4 },
      }, got)
    end)
  end)

  it("counts results that wait for on_result as calls", function()
    virtual(function()
      local started, told = 0, 0
      assert.equal(20, uvjobs.each(("x"):rep(20):gmatch("x"), function()
        started = started + 1
        assert.is_true(started - told <= 3)
      end, { limit = 3, on_result = function()
        uvjobs.sleep(1)
        told = told + 1
      end }))
      assert.same({ 20, 20 }, { started, told })
    end)
  end)

  it("raises the first error when the other calls have been cancelled", function()
    virtual(function()
      local closed, told = 0, 0
      local ok, err = pcall(uvjobs.each, { 1, 2, 3, 4 }, function(n)
        local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
        uvjobs.sleep(n)
        if n == 2 then error("failed", 0) end
      end, { on_result = function() told = told + 1 end })
      assert.same({ false, "failed" }, { ok, err })
      assert.same({ 2, 4, 1 }, { uvjobs.now(), closed, told })
    end)
  end)

  it("raises an error of on_result and of the iterator, and cancels the calls", function()
    virtual(function()
      local closed = 0
      local function call(n)
        local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
        uvjobs.sleep(n)
      end
      assert.has_error(function()
        uvjobs.each({ 1, 9 }, call, { on_result = function() error("full disk", 0) end })
      end, "full disk")
      local left = 2
      assert.has_error(function()
        uvjobs.each(function()
          left = left - 1
          if left == 0 then uvjobs.sleep(1) error("bad line", 0) end
          return 9
        end, call)
      end, "bad line")
      assert.same({ 3, 2 }, { closed, uvjobs.now() })
    end)
  end)

  it("raises when a call is cancelled by somebody else, even before it starts", function()
    virtual(function()
      for _, n in ipairs { 0, 1 } do
        local ok, err = pcall(uvjobs.each, { 1, 2, 3 }, function(i)
          local me = uvjobs.current()
          if i == 1 then
            for job in me.scheduler:jobs() do
              if job.id == me.id + n then job:cancel() end
            end
          end
          uvjobs.yield()
        end, { limit = 2 })
        assert.is_false(ok)
        assert.equal("cancelled", uvjobs.code(err))
      end
    end)
  end)

  it("leaves no call when its caller is cancelled in on_result or while it waits", function()
    virtual(function()
      for _, on_result in ipairs { false, function() uvjobs.sleep(9) end } do
        local s <close> = uvjobs.scheduler()
        local open = 0
        local job = s:spawn(uvjobs.each, { 1, 9 }, function(n)
          open = open + 1
          local _ <close> = setmetatable({}, { __close = function() open = open - 1 end })
          uvjobs.sleep(n)
        end, { on_result = on_result or nil })
        uvjobs.sleep(2)
        job:close()
        assert.same({ "cancelled", 0 }, { job.state, open })
      end
    end)
  end)

  it("keeps nothing of a long list", function()
    virtual(function()
      local left, sum = 20000, 0
      local before = kilobytes()
      assert.equal(20000, uvjobs.each(function()
        left = left - 1
        return left >= 0 and left or nil
      end, function(n)
        uvjobs.yield()
        return n
      end, { limit = 10, on_result = function(_, n) sum = sum + n end }))
      assert.equal(20000 * 19999 // 2, sum)
      assert.is_true(kilobytes() - before < 100)
    end)
  end)

  it("refuses wrong arguments", function()
    virtual(function()
      assert.has_error(function() uvjobs.each(1, print) end,
        "bad argument #1 to 'each' (list or iterator function expected, got number)")
      assert.has_error(function() uvjobs.each({}, 1) end,
        "bad argument #2 to 'each' (function expected, got number)")
      assert.has_error(function() uvjobs.each({}, print, { on_resul = print }) end,
        "bad argument #3 to 'each' (unknown option 'on_resul', did you mean 'on_result'?)")
      assert.has_error(function() uvjobs.each({}, print, { on_result = 1 }) end,
        "bad argument #3 to 'each' (option 'on_result': function expected, got 1)")
    end)
    assert.has_error(function() uvjobs.each({}, print) end,
      "'each' must be called in a job: use uvjobs.run")
  end)
end)
