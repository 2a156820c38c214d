-- Cases in which aiojobs, the model of this library, goes wrong.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, raises = helper.virtual, helper.raises

describe("unlike aiojobs", function()
  after_each(helper.check_clean)

  it("closing a pending job does not let one job too many run #M2", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 2 }
      local running, most = 0, 0
      local function body()
        running = running + 1
        most = math.max(most, running)
        uvjobs.sleep(1)
        running = running - 1
      end
      local list = {}
      for i = 1, 10 do list[i] = jobs:spawn(body) end
      uvjobs.yield()
      -- In aiojobs each of these frees a slot that the job never had.
      list[5]:close()
      list[6]:close()
      list[7]:cancel()
      raises("timeout", list[8].wait, list[8], 0)
      assert.equal(2, jobs.active_count)
      assert.equal(4, jobs.pending_count)
      jobs:wait_and_close()
      assert.equal(2, most)
      local done = 0
      for i = 1, 10 do done = done + (list[i].state == "done" and 1 or 0) end
      assert.equal(6, done)
    end)
  end)

  it("a spawn that is blocked on the full queue does not survive close #M9", function()
    virtual(function()
      local ran = helper.log()
      local jobs = uvjobs.scheduler { limit = 1, pending_limit = 1 }
      local others <close> = helper.quiet()
      jobs:spawn(uvjobs.sleep, 99)
      jobs:spawn(ran.add, ran, "pending")
      local spawners = {}
      for i = 1, 3 do spawners[i] = others:spawn(jobs.spawn, jobs, ran.add, ran, i) end
      uvjobs.yield()
      jobs:close()
      for i = 1, 3 do raises("closed", spawners[i].wait, spawners[i]) end
      uvjobs.sleep(200)
      assert.same({}, ran)
      assert.equal(0, #jobs)
    end)
  end)

  it("close returns although a job swallows its cancellation #M8", function()
    local swallowed = 0
    uvjobs.run(function()
      local reported
      local jobs = uvjobs.scheduler {
        close_timeout = 0.05,
        exception_handler = function(_, context) reported = context.message end,
      }
      local job = jobs:spawn(function()
        while true do
          if not pcall(uvjobs.sleep, 3600) then swallowed = swallowed + 1 end
        end
      end)
      uvjobs.yield()
      jobs:close()
      assert.equal("killed", job.state)
      assert.equal("Job closing timed out", reported)
    end)
    assert.is_true(swallowed > 0)
  end)
end)
