-- What all, race, map and their like have in common: their children end with them.

local helper = require "spec.helper"
local children_helper = require "spec.jobs.helper"
local uvjobs = require "uvjobs"

local virtual, ignore, quiet = helper.virtual, helper.ignore, helper.quiet
local child, assert_ended = children_helper.child, children_helper.assert_ended

local calls = {
  all = function(fns) return uvjobs.all(fns) end,
  race = function(fns) return uvjobs.race(fns) end,
  map = function(fns) return uvjobs.map(fns, function(fn) return fn() end) end,
}

for _, name in ipairs { "all", "race", "map" } do
  local call = calls[name]
  describe(name .. " as a parent of jobs", function()
    after_each(helper.check_clean)

    it("raises the first error, the same value, and cancels and awaits the others #M12", function()
      virtual(function()
        local children, problem, cleaned = {}, {}, 0
        local function slow()
          local _ <close> = setmetatable({}, { __close = function() cleaned = cleaned + 1 end })
          uvjobs.sleep(10)
        end
        local ok, err = pcall(call, {
          child(children, slow),
          child(children, function() uvjobs.sleep(2); error(problem) end),
          child(children, slow),
        })
        assert.is_false(ok)
        assert.equal(problem, err)
        assert.equal(2, cleaned)
        assert.equal(2, uvjobs.now())
        assert_ended(children, 3)
      end)
    end)

    it("cancels the children when the job is cancelled, and waits for them", function()
      virtual(function()
        local s, children, cleaned = quiet { close_timeout = 5 }, {}, 0
        local function slow()
          local _ <close> = setmetatable({}, { __close = function()
            uvjobs.protect(uvjobs.sleep, 1)
            cleaned = cleaned + 1
          end })
          uvjobs.sleep(10)
        end
        local job = s:spawn(call, { child(children, slow), child(children, slow) })
        uvjobs.sleep(2)
        job:cancel()
        job:join()
        assert.equal("cancelled", job.state)
        assert.equal(3, uvjobs.now())
        assert.equal(2, cleaned)
        assert_ended(children, 2)
        s:close()
      end)
    end)

    it("waits for cancelled children for the close timeout at most #M8", function()
      virtual(function()
        local s, children = quiet { close_timeout = 0.5 }, {}
        local job = s:spawn(call, { child(children, uvjobs.protect, uvjobs.sleep, 100) })
        uvjobs.sleep(2)
        job:cancel()
        assert.is_true(job:join(1))
        assert.equal("cancelled", job.state)
        assert.equal(2.5, uvjobs.now())
        assert.equal("killed", children[1].state)
        s:close()
      end)
    end)

    it("leaves no child running when its job is closed by force #M7", function()
      virtual(function()
        local s, children = quiet(), {}
        local job = s:spawn(uvjobs.protect, call,
          { child(children, uvjobs.sleep, 100),
            child(children, uvjobs.protect, uvjobs.sleep, 100) })
        uvjobs.sleep(1)
        helper.raises("timeout", job.close, job, 0.5)
        assert.equal("killed", job.state)
        uvjobs.sleep(0.2) -- the children's own close timeout is 0.1
        assert_ended(children, 2)
        s:close()
      end)
    end)

    it("leaves no child running when the scheduler of its job is closed #M8", function()
      virtual(function()
        local s, children = quiet { close_timeout = 0.5 }, {}
        s:spawn(call, { child(children, uvjobs.protect, uvjobs.sleep, 100) })
        s:spawn(call, { child(children, call, { child(children, uvjobs.sleep, 100) }) })
        uvjobs.sleep(1)
        s:close()
        assert.is_true(uvjobs.now() <= 1.5)
        uvjobs.yield()
        assert_ended(children, 3)
      end)
    end)

    it("cancels the children when a deadline passes", function()
      virtual(function()
        local children = {}
        helper.raises("timeout", uvjobs.timeout, 2, call,
          { child(children, uvjobs.sleep, 10), child(children, uvjobs.sleep, 10) })
        assert.equal(2, uvjobs.now())
        assert_ended(children, 2)
      end)
    end)

    it("runs no child in a job that is cancelled already #M5", function()
      virtual(function()
        local s, ran = quiet(), false
        local job = s:spawn(function()
          uvjobs.current():cancel()
          helper.raises("cancelled", call, { function() ran = true end })
          helper.raises("cancelled", uvjobs.timeout, 1, call, { function() ran = true end })
        end)
        job:join()
        assert.equal("done", job.state)
        assert.is_false(ran)
        s:close()
      end)
    end)

    it("raises outside a job, and blames its caller #M15", function()
      local _, err = pcall(function() call { ignore }; return nil end)
      assert.matches(("children_spec.lua:%%d+: '%s' must be called in a job"):format(name), err)
    end)

    if name ~= "race" then
      it("raises when a child was ended by another one: it has no result", function()
        virtual(function()
          -- The first child kills the second one, or cancels it before it has run.
          local killed
          local err = helper.raises("killed", call, {
            function() uvjobs.yield(); pcall(killed.close, killed, 0) end,
            function() killed = uvjobs.current(); uvjobs.protect(uvjobs.sleep, 5) end,
          })
          assert.equal(killed, err.job)
          helper.raises("cancelled", call, {
            function()
              local me = uvjobs.current()
              for job in me.scheduler:jobs() do if job ~= me then job:cancel() end end
            end,
            ignore,
          })
          local reports = helper.take_reports()
          assert.equal(1, #reports)
          assert.equal("Job closing timed out", reports[1].message)
          assert.equal(killed, reports[1].job)
        end)
      end)
    end

    it("reports the children that fail besides the first to the job's scheduler", function()
      virtual(function()
        local reports = helper.log()
        local s = uvjobs.scheduler {
          exception_handler = helper.recorder(reports, "exception"),
        }
        local job = s:spawn(call, {
          function() uvjobs.sleep(1); error("first", 0) end,
          function() pcall(uvjobs.sleep, 2); error("second", 0) end,
          function() pcall(uvjobs.sleep, 1); error("third", 0) end,
        })
        local ok, err = pcall(job.wait, job)
        assert.is_false(ok)
        assert.equal("first", err)
        table.sort(reports)
        assert.same({ "second", "third" }, { table.unpack(reports) })
        s:wait_and_close()
      end)
    end)
  end)
end

describe("cancelling the children of all", function()
  after_each(helper.check_clean)

  -- Processor time to cancel a job that waits for n children.
  local function cost(n)
    return virtual(function()
      local s, fns = quiet(), {}
      for i = 1, n do fns[i] = function() uvjobs.sleep(10) end end
      local job = s:spawn(uvjobs.all, fns)
      uvjobs.sleep(1)
      local start = os.clock()
      job:cancel()
      job:join()
      s:close()
      return os.clock() - start
    end)
  end

  it("takes time in proportion to their number", function()
    cost(1000)
    local small, large = cost(1000) + 0.001, cost(16000)
    assert.is_true(large < 60 * small, ("%.3f s for 1,000, %.3f s for 16,000"):format(small, large))
  end)
end)
