-- The rate at which a scheduler starts jobs.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual = helper.virtual

-- The times at which jobs of the scheduler start, `n` of them spawned at once.
local function starts(jobs, n)
  local times = {}
  for _ = 1, n do jobs:spawn(function() times[#times + 1] = uvjobs.now() end) end
  jobs:wait_idle()
  return times
end

describe("a rate of starts", function()
  after_each(helper.check_clean)

  it("spaces the starts evenly", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { start_rate = 4 }
      assert.same({ 0, 0.25, 0.5, 0.75, 1 }, starts(jobs, 5))
    end)
  end)

  it("allows a burst after a pause", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { start_rate = 2, start_burst = 3 }
      assert.same({ 0, 0, 0, 0.5, 1 }, starts(jobs, 5))
      uvjobs.sleep(100)
      assert.same({ 101, 101, 101, 101.5 }, starts(jobs, 4))
    end)
  end)

  it("is exceeded in no interval, whatever the jobs do #P6", function()
    virtual(function()
      local rate <const>, burst <const> = 8, 3
      local jobs = uvjobs.scheduler { limit = 4, start_rate = rate, start_burst = burst }
      local times = {}
      for _ = 1, 300 do
        jobs:spawn(function()
          times[#times + 1] = uvjobs.now()
          uvjobs.sleep(math.random() < 0.1 and 2 or math.random() / 4)
        end)
        if math.random() < 0.05 then uvjobs.sleep(math.random() * 3) end
      end
      jobs:wait_and_close()
      for i = 1, #times do
        for j = i, #times do
          assert.is_true(j - i + 1 <= burst + math.floor(rate * (times[j] - times[i]) + 1e-9))
        end
      end
    end)
  end)

  it("counts the time at which a job begins to run, which may be late #P6", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler { start_rate = 50 }
      local times = {}
      for _ = 1, 4 do
        jobs:spawn(function()
          times[#times + 1] = uvjobs.now()
        end)
        helper.burn(0.05) -- nobody starts meanwhile
      end
      jobs:wait_idle()
      for i = 2, 4 do assert.is_true(times[i] - times[i - 1] >= 0.02) end
    end)
  end)

  it("is not taken from by a job that ends before it starts #P7", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { start_rate = 1 }
      jobs:spawn(error):cancel()
      local pending = {}
      assert.same({ 0 }, starts(jobs, 1))
      for i = 1, 3 do pending[i] = jobs:spawn(error) end
      for _, job in ipairs(pending) do job:close(0) end
      assert.same({ 1, 2 }, starts(jobs, 2))
    end)
  end)

  it("starts the most urgent at each time", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { start_rate = 1 }
      local log = helper.log()
      for i = 9, 0, -1 do jobs:spawn({ priority = i }, log.add, log, i) end
      jobs:wait_idle()
      assert.same({ 9, 0, 1, 2, 3, 4, 5, 6, 7, 8 }, log)
    end)
  end)

  it("can be set while jobs wait, and keeps what has been taken #P17", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { start_rate = 0.1 }
      local log = helper.log()
      for _ = 1, 5 do jobs:spawn(function() log:add(uvjobs.now()) end) end
      uvjobs.sleep(5)
      jobs.start_rate = 1
      assert.equal(1, jobs.start_rate)
      uvjobs.sleep(1)
      assert.equal(2, #log)
      assert.is_true(log[2] >= 5.5 and log[2] < 5.6)
      jobs.start_rate = math.huge
      uvjobs.yield()
      assert.equal(5, #log)
    end)
  end)

  it("can be set on a scheduler that had none, with jobs that are pending", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1 }
      local log = helper.log()
      for _ = 1, 4 do jobs:spawn(function() log:add(uvjobs.now()) end) end
      jobs.start_rate = 1
      jobs:wait_idle()
      assert.same({ 0, 0, 1, 2 }, log)
    end)
  end)

  it("does not let a pause or the end of the scheduler wait", function()
    virtual(function()
      local jobs = uvjobs.scheduler { start_rate = 0.001 }
      jobs:spawn(helper.ignore)
      jobs:spawn(error)
      jobs:pause()
      local other = uvjobs.scheduler { start_rate = 0.001 }
      other:spawn(helper.ignore)
      other:spawn(error)
      uvjobs.sleep(1)
      jobs:close()
      other:close()
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("keeps jobs in time also while another one holds the loop", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler { start_rate = 100 }
      local log = helper.log()
      for i = 1, 3 do jobs:spawn(log.add, log, i) end
      uvjobs.yield()
      helper.burn(0.1)
      uvjobs.yield(2)
      assert.is_true(#log >= 2)
    end)
  end)

  it("is one of many schedulers, each at its own times", function()
    virtual(function()
      local all, log = {}, helper.log()
      for i = 1, 50 do
        all[i] = uvjobs.scheduler { start_rate = 1 / i }
        for _ = 1, 2 do all[i]:spawn(function() log:add(uvjobs.now()) end) end
      end
      for _, jobs in ipairs(all) do jobs:wait_and_close() end
      table.sort(log)
      for i = 1, 50 do
        assert.equal(0, log[i])
        assert.is_true(math.abs(log[50 + i] - i) < 1e-6)
      end
    end)
  end)

  it("can be very high and very low", function()
    virtual(function()
      local fast <close> = uvjobs.scheduler { start_rate = 1e300 }
      assert.same({ 0, 0, 0 }, starts(fast, 3))
      local slow = uvjobs.scheduler { start_rate = 5e-324 }
      slow:spawn(helper.ignore)
      local never = slow:spawn(error)
      uvjobs.sleep(1e8)
      assert.equal("pending", never.state)
      slow:close()
    end)
  end)
end)
