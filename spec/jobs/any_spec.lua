-- any and settled: errors of functions that are answers like others.

local helper = require "spec.helper"
local children_helper = require "spec.jobs.helper"
local uvjobs = require "uvjobs"

local virtual = helper.virtual
local child, assert_ended = children_helper.child, children_helper.assert_ended

-- Runs fn() in a job of a scheduler whose reports are counted; returns their number and what
-- fn returns.
local function reports(fn)
  local count = 0
  local s <close> = uvjobs.scheduler {
    exception_handler = function() count = count + 1 end,
  }
  return count, s:spawn(function() return count, fn() end):wait()
end

-- A function that sleeps, and then fails or returns.
local function after(seconds, ok, ...)
  local values = table.pack(...)
  return function()
    uvjobs.sleep(seconds)
    if not ok then error(values[1], 0) end
    return table.unpack(values, 1, values.n)
  end
end

-- A function that cancels the child after its own, which has not started yet.
local function cancel_next()
  local me = uvjobs.current()
  for job in me.scheduler:jobs() do
    if job.id == me.id + 1 then job:cancel() end
  end
end

describe("any", function()
  after_each(helper.check_clean)

  it("returns index and results of the first that succeeds, and cancels the others", function()
    virtual(function()
      local children = {}
      assert.same({ 2, "a", nil, "c", n = 4 }, table.pack(uvjobs.any {
        child(children, after(1, false, "early")),
        child(children, after(2, true, "a", nil, "c")),
        child(children, after(3, true, "late")),
      }))
      assert.equal(2, uvjobs.now())
      assert_ended(children, 3)
      assert.equal("cancelled", children[3].state)
    end)
  end)

  it("raises the error that came first when all fail", function()
    virtual(function()
      local value = {}
      local ok, err = pcall(uvjobs.any, {
        after(2, false, "late"), after(1, false, value), after(3, false, "last"),
      })
      assert.is_false(ok)
      assert.equal(value, err)
      assert.equal(3, uvjobs.now())
    end)
  end)

  it("takes error(nil) for a failure", function()
    virtual(function()
      assert.equal(2, (uvjobs.any { function() error(nil) end, after(1, true) }))
      assert.same({ false, helper.NIL_ERROR },
        { pcall(uvjobs.any, { function() error(nil) end }) })
    end)
  end)

  it("reports no error of a function, nor that one had to be killed", function()
    virtual(function()
      local count = reports(function()
        uvjobs.any {
          after(1, false, "early"),
          after(2, true),
          function()
            local _ <close> = setmetatable({}, { __close = function() error "clean-up" end })
            uvjobs.sleep(9)
          end,
          function() while true do pcall(uvjobs.sleep, 9) end end,
        }
        pcall(uvjobs.any, { after(1, false, "one"), after(1, false, "two") })
      end)
      assert.equal(0, count)
    end)
  end)

  it("passes over a function that is cancelled before it starts", function()
    virtual(function()
      assert.equal(1, (uvjobs.any { function()
        cancel_next()
        uvjobs.sleep(1)
      end, after(0, true) }))
      local ok, err = pcall(uvjobs.any, { function()
        cancel_next()
        error("failed", 0)
      end, after(0, true) })
      assert.same({ false, "failed" }, { ok, err })
    end)
  end)

  it("leaves no child when its caller is cancelled, or a deadline passes", function()
    virtual(function()
      local children = {}
      local fns = { child(children, after(9, true)), child(children, after(9, false, "x")) }
      assert.equal("timeout", uvjobs.code(select(2, pcall(uvjobs.timeout, 1, uvjobs.any, fns))))
      assert_ended(children, 2)
      local s <close> = uvjobs.scheduler()
      local job = s:spawn(uvjobs.any, fns)
      uvjobs.sleep(1)
      job:cancel()
      job:join()
      assert.equal("cancelled", job.state)
      assert_ended(children, 4)
    end)
  end)

  it("refuses what is no list of functions, and an empty one", function()
    virtual(function()
      assert.has_error(function() uvjobs.any(1) end,
        "bad argument #1 to 'any' (list of functions expected, got number)")
      assert.has_error(function() uvjobs.any {} end,
        "bad argument #1 to 'any' (at least one function expected, got none)")
      assert.has_error(function() uvjobs.settled { print, 2 } end,
        "bad argument #1 to 'settled' (function expected as element 2, got number)")
    end)
    assert.has_error(function() uvjobs.any { print } end,
      "'any' must be called in a job: use uvjobs.run")
    assert.has_error(function() uvjobs.settled { print } end,
      "'settled' must be called in a job: use uvjobs.run")
  end)
end)

describe("settled", function()
  after_each(helper.check_clean)

  it("tells of each function what it has returned or raised, in their order", function()
    virtual(function()
      local value = {}
      assert.same({
        { ok = true, n = 3, 1, nil, 3 },
        { ok = false, error = value },
        { ok = true, n = 0 },
        { ok = false, error = helper.NIL_ERROR },
        n = 4,
      }, uvjobs.settled {
        after(3, true, 1, nil, 3), after(1, false, value), after(2, true),
        function() error(nil) end,
      })
      assert.equal(3, uvjobs.now())
      assert.same({ n = 0 }, uvjobs.settled {})
    end)
  end)

  it("reports no error of a function, and cancels nobody for it", function()
    virtual(function()
      local count, _, outcomes = reports(function()
        return uvjobs.settled { after(1, false, "early"), after(2, true, "late") }
      end)
      assert.equal(0, count)
      assert.equal("late", outcomes[2][1])
    end)
  end)

  it("tells of functions that were cancelled before they started, and killed", function()
    virtual(function()
      local outcomes = uvjobs.settled {
        cancel_next,
        uvjobs.yield,
        function()
          uvjobs.current().scheduler:spawn(function(job) pcall(job.close, job, 0) end,
            uvjobs.current())
          while true do pcall(uvjobs.sleep, 9) end
        end,
      }
      assert.is_true(outcomes[1].ok)
      assert.equal("cancelled", uvjobs.code(outcomes[2].error))
      assert.equal("killed", uvjobs.code(outcomes[3].error))
    end)
  end)

  it("leaves no child when its caller is cancelled", function()
    virtual(function()
      local children = {}
      local s <close> = uvjobs.scheduler()
      local job = s:spawn(uvjobs.settled, {
        child(children, after(9, true)), child(children, after(0, false, "x")),
      })
      uvjobs.sleep(1)
      job:cancel()
      job:join()
      assert.equal("cancelled", job.state)
      assert.equal(1, uvjobs.now())
      assert_ended(children, 2)
    end)
  end)
end)
