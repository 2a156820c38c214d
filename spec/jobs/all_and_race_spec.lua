-- all and race: functions that run as children of the current job. map is in
-- map_spec.lua, what the three have in common in children_spec.lua.

local helper = require "spec.helper"
local children_helper = require "spec.jobs.helper"
local uvjobs = require "uvjobs"

local virtual, ignore, quiet = helper.virtual, helper.ignore, helper.quiet
local child, assert_ended = children_helper.child, children_helper.assert_ended

local pack = table.pack

describe("all", function()
  after_each(helper.check_clean)

  it("returns all results in order, however long each takes", function()
    virtual(function()
      local fns = {}
      for i = 1, 10 do fns[i] = function() uvjobs.sleep(10 - i); return i * i end end
      assert.same({ 1, 4, 9, 16, 25, 36, 49, 64, 81, 100, n = 10 }, (uvjobs.all(fns)))
      assert.equal(9, uvjobs.now()) -- at the same time, not one after the other
    end)
  end)

  it("keeps all results of each function in its second list", function()
    virtual(function()
      local firsts, full = uvjobs.all {
        function() end,
        function() return nil end,
        function() return nil, 2, nil end,
        function() return false end,
        function() return 1, 2, 3 end,
      }
      assert.equal(5, firsts.n)
      assert.is_nil(firsts[1] or firsts[2] or firsts[3])
      assert.is_false(firsts[4])
      assert.equal(1, firsts[5])
      assert.same({ pack(), pack(nil), pack(nil, 2, nil), pack(false), pack(1, 2, 3) }, full)
    end)
  end)

  it("of no functions returns at once", function()
    virtual(function()
      local firsts, full = uvjobs.all {}
      assert.same({ n = 0 }, firsts)
      assert.same({}, full)
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("has no limit on how many run at once", function()
    virtual(function()
      local fns = {}
      for i = 1, 500 do fns[i] = function() uvjobs.sleep(1); return i end end
      assert.equal(500, uvjobs.all(fns)[500])
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("runs the children in jobs of their own, that are no jobs of the caller's scheduler",
    function()
      virtual(function()
        local s, children = quiet { limit = 1 }, {}
        s:spawn(function()
          uvjobs.all { child(children, uvjobs.sleep, 1), child(children, uvjobs.sleep, 1) }
        end)
        uvjobs.sleep(0.5)
        assert.equal(1, #s)
        assert.are_not.equal(children[1], children[2])
        s:wait_and_close()
        assert.equal(1, uvjobs.now())
        assert_ended(children, 2)
      end)
    end)

  it("nests", function()
    virtual(function()
      local function tree(depth)
        if depth == 0 then uvjobs.sleep(1) return 1 end
        local sum = 0
        for _, n in ipairs(uvjobs.all {
          function() return tree(depth - 1) end, function() return tree(depth - 1) end,
        }) do sum = sum + n end
        return sum
      end
      assert.equal(64, tree(6))
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("raises `cancelled` when a child was cancelled: it has no result", function()
    virtual(function()
      local children = {}
      local err = helper.raises("cancelled", uvjobs.all, {
        child(children, function() uvjobs.current():cancel(); uvjobs.yield() end),
        child(children, uvjobs.sleep, 5),
      })
      assert.equal(children[1], err.job)
      assert.equal(0, uvjobs.now())
      assert_ended(children, 2)
    end)
  end)

  it("raises the error of a child also when a sibling waits for it", function()
    virtual(function()
      local failing
      local ok, err = pcall(uvjobs.all, {
        function() failing = uvjobs.current(); uvjobs.sleep(1); error("failed", 0) end,
        function() uvjobs.sleep(0); pcall(failing.wait, failing) end,
        function() uvjobs.sleep(100) end,
      })
      assert.same({ false, "failed" }, { ok, err })
      assert.equal(1, uvjobs.now())
    end)
  end)
end)

describe("race", function()
  after_each(helper.check_clean)

  it("returns the index and all results of the first to end, and cancels the rest", function()
    virtual(function()
      local children = {}
      local got = pack(uvjobs.race {
        child(children, uvjobs.sleep, 5),
        child(children, function() uvjobs.sleep(2); return "a", nil, "c", nil end),
        child(children, uvjobs.sleep, 9),
      })
      assert.same(pack(2, "a", nil, "c", nil), got)
      assert.equal(2, uvjobs.now())
      assert.same({ "cancelled", "done", "cancelled" },
        { children[1].state, children[2].state, children[3].state })
      assert_ended(children, 3)
    end)
  end)

  it("returns the index alone when the first has no results", function()
    virtual(function()
      assert.same(pack(1), pack(uvjobs.race { function() end }))
      assert.same(pack(1, nil), pack(uvjobs.race { function() return nil end }))
    end)
  end)

  it("of functions that end in the same turn is won by the first in order", function()
    virtual(function()
      assert.equal(1, (uvjobs.race { ignore, ignore, ignore }))
      local function one_second() uvjobs.sleep(1) end
      assert.equal(1, (uvjobs.race { one_second, one_second }))
    end)
  end)

  it("raises the error of the first to end", function()
    virtual(function()
      local children, problem = {}, {}
      local ok, err = pcall(uvjobs.race, {
        child(children, uvjobs.sleep, 5),
        child(children, function() uvjobs.sleep(1); error(problem) end),
      })
      assert.is_false(ok)
      assert.equal(problem, err)
      assert.equal(1, uvjobs.now())
      assert_ended(children, 2)
    end)
  end)

  it("raises `cancelled` when the first to end was cancelled", function()
    virtual(function()
      local children = {}
      local err = helper.raises("cancelled", uvjobs.race, {
        child(children, function() uvjobs.current():cancel(); uvjobs.yield() end),
        child(children, uvjobs.sleep, 5),
      })
      assert.equal(children[1], err.job)
      assert_ended(children, 2)
    end)
  end)

  it("waits for the losers to clean up, for their close timeout at most", function()
    virtual(function()
      local s, cleaned = quiet { close_timeout = 2 }, nil
      local got, at = s:spawn(function()
        local index = uvjobs.race {
          function() uvjobs.sleep(1) end,
          function()
            pcall(uvjobs.sleep, 10)
            uvjobs.protect(uvjobs.sleep, 1)
            cleaned = uvjobs.now()
          end,
          function() uvjobs.protect(uvjobs.sleep, 100) end,
        }
        return index, uvjobs.now()
      end):wait()
      assert.equal(1, got)
      assert.equal(2, cleaned)
      assert.equal(3, at)
      s:wait_and_close()
    end)
  end)

  it("waits for a loser that cleans up, whichever other one has ended before", function()
    virtual(function()
      local s, cleaned = quiet { close_timeout = 9 }, 0
      local function loser(seconds)
        return function()
          pcall(uvjobs.sleep, 99)
          uvjobs.protect(uvjobs.sleep, seconds)
          cleaned = cleaned + 1
        end
      end
      s:spawn(function()
        uvjobs.race { loser(0), loser(3), loser(1), function() uvjobs.sleep(1) end }
        assert.equal(3, cleaned)
      end):wait()
      s:wait_and_close()
    end)
  end)

  it("takes no result of a loser that returns in spite of being cancelled", function()
    virtual(function()
      assert.same(pack(2, "winner"), pack(uvjobs.race {
        function() pcall(uvjobs.sleep, 5); return "loser" end,
        function() uvjobs.sleep(1); return "winner" end,
      }))
    end)
  end)

  it("reports the error of a loser, and returns the winner's results", function()
    virtual(function()
      local reports = helper.log()
      local s = uvjobs.scheduler { exception_handler = function(from, context)
        reports:add { from = from, context = context }
      end }
      local problems = { {}, {} }
      local got = pack(s:spawn(uvjobs.race, {
        function() uvjobs.sleep(1); return "winner" end,
        function() pcall(uvjobs.sleep, 5); error(problems[1]) end,
        function() pcall(uvjobs.sleep, 5); error(problems[2]) end,
      }):wait())
      assert.same(pack(1, "winner"), got)
      assert.equal(2, #reports)
      local seen = {}
      for _, report in ipairs(reports) do
        assert.equal(s, report.from)
        assert.equal("Job processing failed", report.context.message)
        seen[report.context.exception] = true
      end
      assert.is_true(seen[problems[1]] and seen[problems[2]])
      s:wait_and_close()
    end)
  end)

  it("reports an error of the same turn as the winner's end", function()
    virtual(function()
      local reports = helper.log()
      local s = uvjobs.scheduler {
        exception_handler = helper.recorder(reports, "exception"),
      }
      local function won() return "winner" end
      local function failed() error("late", 0) end
      assert.same(pack(1, "winner"), pack(s:spawn(uvjobs.race, { won, failed }):wait()))
      local ok, err = pcall(uvjobs.race, { failed, won })
      assert.is_false(ok)
      assert.equal("late", err)
      assert.same({ "late" }, { table.unpack(reports) })
      s:wait_and_close()
    end)
  end)
end)
