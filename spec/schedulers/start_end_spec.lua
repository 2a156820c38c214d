-- The functions that a scheduler calls when a job starts and when it ends.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, message = helper.virtual, helper.message

describe("on_start and on_end", function()
  after_each(helper.check_clean)

  -- A scheduler that logs what is announced, and the log.
  local function logged(options)
    local log = helper.log()
    options = options or {}
    options.on_start = function(job) log:add("start " .. job.name .. " " .. job.state) end
    options.on_end = function(job) log:add("end " .. job.name .. " " .. job.state) end
    options.exception_handler = function(_, context)
      log:add(context.message .. " " .. context.job.name)
    end
    return uvjobs.scheduler(options), log
  end

  it("are called outside of jobs, just before a job first runs and when it has ended", function()
    virtual(function()
      local log, seen = helper.log(), {}
      local jobs <close> = uvjobs.scheduler {
        on_start = function(...)
          seen.start = table.pack(uvjobs.current(), ...)
          log:add "start"
        end,
        on_end = function(...)
          seen["end"] = table.pack(uvjobs.current(), ...)
          log:add "end"
        end,
      }
      local job = jobs:spawn(function() log:add "runs" uvjobs.sleep(1) log:add "goes on" end)
      assert.same({}, log)
      job:join()
      assert.same({ "start", "runs", "goes on", "end" }, log)
      assert.same({ nil, job, n = 2 }, seen.start)
      assert.same({ nil, job, n = 2 }, seen["end"])
    end)
  end)

  it("are called once for each job that starts, however it ends #M4", function()
    virtual(function()
      local jobs, log = logged { limit = 2, close_timeout = 1 }
      jobs:spawn({ name = "a" }, helper.ignore)
      jobs:spawn({ name = "b" }, error, "no")
      jobs:spawn({ name = "c" }, uvjobs.sleep, 60)
      jobs:spawn({ name = "d" }, helper.stubborn)
      jobs:spawn({ name = "e" }, helper.ignore) -- is dropped, and never starts
      uvjobs.sleep(1)
      jobs:close()
      assert.same({
        "start a active", "end a done", "start b active", "Job processing failed b",
        "end b failed", "start c active", "start d active", "end c cancelled",
        "Job closing timed out d", "end d killed",
      }, log)
    end)
  end)

  it("are called for shielded functions", function()
    virtual(function()
      local states = helper.log()
      local jobs <close> = uvjobs.scheduler {
        on_start = function(job) states:add(job.state) end,
        on_end = function(job) states:add(job.state) end,
      }
      jobs:shield(uvjobs.sleep, 1)
      assert.same({ "active", "done" }, states)
    end)
  end)

  it("are called for the job that makes a nursery fail", function()
    virtual(function()
      local jobs, log = logged { on_error = "cancel" }
      jobs:spawn({ name = "a" }, error, "no", 0)
      jobs:spawn({ name = "b" }, helper.ignore)
      assert.equal("no", message(jobs.wait_and_close, jobs))
      assert.same({ "start a active", "end a failed" }, log)
    end)
  end)

  it("may use what does not suspend: the job's results, other jobs, the limits", function()
    virtual(function()
      local log = helper.log()
      local jobs <close> = uvjobs.scheduler {
        limit = 1,
        on_start = function(job) job.scheduler.limit = 2 end,
        on_end = function(job)
          if not pcall(job.wait, job) then return log:add "failed" end
          log:add(job:wait())
          if #log < 3 then job.scheduler:spawn(function() return #log end) end
        end,
      }
      jobs:spawn(function() return "result" end)
      assert.equal(1, jobs.limit)
      jobs:wait_idle()
      assert.equal(2, jobs.limit)
      assert.same({ "result", 1, 2 }, log)
    end)
  end)

  it("may cancel the job that starts, or pause its scheduler", function()
    virtual(function()
      local log = helper.log()
      local jobs <close> = uvjobs.scheduler {
        on_start = function(job)
          job:cancel()
          job.scheduler:pause()
        end,
      }
      local first = jobs:spawn(function()
        log:add "runs"
        uvjobs.yield()
        log:add "must not come here"
      end)
      local second = jobs:spawn(helper.ignore)
      uvjobs.sleep(1)
      assert.equal("cancelled", first.state)
      assert.equal("active", second.state)
      assert.same({ "runs" }, log)
      jobs:resume()
    end)
  end)

  it("cannot suspend, and cannot close the scheduler while jobs run", function()
    virtual(function()
      local said = helper.log()
      local jobs <close> = uvjobs.scheduler {
        on_start = function(job)
          said:add(message(uvjobs.sleep, 1))
          said:add(message(job.scheduler.close, job.scheduler))
        end,
      }
      jobs:spawn(helper.ignore)
      jobs:wait_idle()
      assert.same({ "'sleep' must be called in a job", "'close' must be called in a job" }, said)
    end)
  end)

  it("may begin to close the scheduler when its only job has ended", function()
    virtual(function()
      local jobs = helper.quiet {
        on_error = "cancel",
        on_end = function(job) job.scheduler:close() end,
      }
      local job, other = jobs:spawn(error, "no", 0), jobs:spawn(helper.ignore)
      uvjobs.sleep(1)
      assert.is_true(jobs.closed)
      assert.equal("failed", job.state)
      assert.equal("cancelled", other.state)
      collectgarbage()
      jobs:wait_and_close()
    end)
  end)

  it("change nothing when they raise: the error is written to standard error", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      local bad = setmetatable({}, { __tostring = function() error "worse" end })
      uvjobs.run(function()
        for _, value in ipairs { "oops", 42, bad } do
          local jobs <close> = uvjobs.scheduler {
            on_start = function() error(value, 0) end,
            on_end = function() error(value, 0) end,
          }
          print(jobs:spawn(function() return "result" end):wait())
        end
      end)
    ]]
    assert.equal(0, r.status)
    assert.equal("result\nresult\nresult\n", r.out)
    assert.equal("error in on_start: oops\nerror in on_end: oops\n" ..
                 "error in on_start: 42\nerror in on_end: 42\n" ..
                 "error in on_start: (table without a text)\n" ..
                 "error in on_end: (table without a text)\n", r.err)
  end)

  it("are properties of the scheduler, and nil without the options", function()
    local function first() end
    local function second() end
    local jobs = uvjobs.scheduler { on_start = first, on_end = second }
    assert.equal(first, jobs.on_start)
    assert.equal(second, jobs.on_end)
    assert.is_nil(uvjobs.scheduler().on_start)
    assert.is_nil(uvjobs.scheduler().on_end)
  end)

  it("refuse what is no function", function()
    for _, option in ipairs { "on_start", "on_end" } do
      assert.matches(("option '%s': function expected, got 7"):format(option),
                     message(uvjobs.scheduler, { [option] = 7 }), 1, true)
    end
    assert.matches("unknown option 'on_stat', did you mean 'on_start'?",
                   message(uvjobs.scheduler, { on_stat = print }), 1, true)
  end)

  it("let the scheduler be collected, although they refer to it", function()
    local weak = setmetatable({}, { __mode = "k" })
    do
      local jobs
      jobs = uvjobs.scheduler { on_end = function() return jobs end }
      weak[jobs] = true
      virtual(function() jobs:spawn(helper.ignore):wait() end)
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)
end)
