-- The report about a job that holds the loop, which comes while the job does.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local burn = helper.burn

describe("a job that holds the loop", function()
  after_each(function()
    uvjobs.debug(false)
    helper.check_clean()
  end)

  -- Runs `fn` as a job; `react` is called with each report.
  local function report(options, fn, react)
    local contexts, job = {}, nil
    uvjobs.run(options, function()
      local s <close> = uvjobs.scheduler {
        close_timeout = 60,
        exception_handler = function(_, context)
          contexts[#contexts + 1] = context
          if react then react(context) end
        end,
      }
      job = s:spawn({ name = "greedy" }, fn)
      job:join()
    end)
    return contexts, job
  end

  for _, interrupt in ipairs { "SIGURG", "count" } do
    local by = ", by " .. interrupt

    it("is reported while it does" .. by, function()
      local seen, state = false, nil
      local function computes_for_long()
        while not seen do end
      end
      local contexts, job = report({ slow = 0.01, interrupt = interrupt }, function()
        computes_for_long()
        return "done"
      end, function(context)
        seen, state = true, context.job.state
      end)
      assert.equal(1, #contexts)
      local context = contexts[1]
      assert.equal("Job blocks the loop", context.message)
      assert.equal(job, context.job)
      assert.equal("active", state)
      assert.equal("done", job:wait())
      assert.is_nil(context.exception)
      assert.is_true(context.seconds >= 0.01)
      assert.matches("computes_for_long", context.traceback)
      assert.matches("busy/report_spec.lua:%d+", context.traceback)
    end)

    it("is reported once for each stretch" .. by, function()
      local count = 0
      local contexts = report({ slow = 0.005, interrupt = interrupt }, function()
        for stretch = 1, 3 do
          while count < stretch do end
          burn(0.01)
          if stretch < 3 then uvjobs.yield() end
        end
      end, function() count = count + 1 end)
      assert.equal(3, #contexts)
    end)

    it("can be cancelled by the handler" .. by, function()
      local contexts, job = report({ slow = 0, interrupt = interrupt }, function()
        while true do end
      end, function(context) context.job:cancel() end)
      assert.equal(1, #contexts)
      assert.equal("cancelled", job.state)
    end)
  end

  it("is reported when it is the main job, by the default handler", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      local function computes_for_long()
        while io.stderr:seek("end") == 0 do end -- it is a file
      end
      uvjobs.run({ slow = 0.01 }, function() computes_for_long() print "went on" end)
    ]]
    assert.equal("went on\n", r.out)
    assert.matches("Job blocks the loop", r.err)
    assert.matches("computes_for_long", r.err)
  end)

  it("goes on when the handler raises", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      uvjobs.run({ slow = 0.005 }, function()
        local seen = false
        local s <close> = uvjobs.scheduler { exception_handler = function()
          seen = true
          error "the handler failed"
        end }
        print(s:spawn(function()
          while not seen do end
          return "went on"
        end):wait())
      end)
    ]]
    assert.equal("went on\n", r.out)
    assert.equal(0, r.status)
    assert.matches("the handler failed", r.err)
  end)

  it("may catch the cancellation of the handler", function()
    local codes = helper.log()
    local contexts, job = report({ slow = 0.005 }, function()
      local _, err = pcall(function() while true do end end)
      codes:add(uvjobs.code(err))
      _, err = pcall(uvjobs.yield)
      codes:add(uvjobs.code(err))
      return "ended"
    end, function(context) context.job:cancel() end)
    assert.equal(1, #contexts)
    assert.same({ "cancelled", "cancelled" }, { table.unpack(codes) })
    assert.equal("done", job.state)
  end)

  it("is reported in debug mode, with where it was spawned", function()
    uvjobs.debug(true)
    local seen = false
    local contexts = report({}, function()
      while not seen do end
    end, function() seen = true end)
    assert.equal(1, #contexts)
    assert.is_true(contexts[1].seconds >= 0.1)
    assert.matches("busy/report_spec", contexts[1].source_traceback)
  end)

  it("is not reported in debug mode with slow = false", function()
    uvjobs.debug(true)
    assert.same({}, (report({ slow = false }, function() burn(0.12) end)))
  end)

  it("is not reported without the option", function()
    assert.same({}, (report({}, function() burn(0.12) end)))
  end)

  it("is not reported before the time has passed", function()
    assert.same({}, (report({ slow = 3600 }, function() burn(0.02) end)))
  end)

  it("is reported before it gets the error of its deadline, or is preempted", function()
    local messages = helper.log()
    uvjobs.run({ slow = 0 }, function()
      local s <close> = uvjobs.scheduler {
        close_timeout = 60, timeslice = 0.002,
        exception_handler = helper.recorder(messages, "message"),
      }
      local job = s:spawn({ timeout = 0 }, function() while true do end end)
      job:join()
    end)
    assert.equal("Job blocks the loop", messages[1])
    assert.equal("Job processing failed", messages[#messages])
  end)
end)
