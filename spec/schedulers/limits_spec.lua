-- Limits of a scheduler that change while it is in use.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, message = helper.virtual, helper.message

describe("the limit of a scheduler in use", function()
  after_each(helper.check_clean)

  it("starts pending jobs at once, in order, when it is raised #M2 #M3", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1 }
      local log = helper.log()
      for i = 1, 5 do jobs:spawn(function() log:add(i) uvjobs.sleep(1) end) end
      uvjobs.yield()
      jobs.limit = 3
      assert.equal(3, jobs.limit)
      assert.equal(3, jobs.active_count)
      assert.equal(2, jobs.pending_count)
      assert.same({ 1 }, log) -- to set it runs no job
      uvjobs.yield()
      assert.same({ 1, 2, 3 }, log)
      jobs.limit = math.huge
      uvjobs.yield()
      assert.same({ 1, 2, 3, 4, 5 }, log)
    end)
  end)

  it("ends nobody when it is lowered, and fewer start until it holds #M2", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 3 }
      local running, most = 0, 0
      for i = 1, 9 do
        jobs:spawn(function()
          running = running + 1
          if uvjobs.now() > 0 then most = math.max(most, running) end
          uvjobs.sleep(i <= 3 and i or 1)
          running = running - 1
        end)
      end
      uvjobs.yield()
      jobs.limit = 1
      assert.equal(3, jobs.active_count)
      uvjobs.sleep(2.5)
      assert.equal(1, jobs.active_count)
      assert.equal(6, jobs.pending_count)
      jobs:wait_idle()
      assert.equal(1, most)
      assert.equal(9, uvjobs.now())
    end)
  end)

  it("admits blocked spawners at once, in order, when it is raised #M3", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, pending_limit = 0 }
      local others <close> = uvjobs.scheduler()
      local log = helper.log()
      jobs:spawn(uvjobs.sleep, 9)
      for i = 1, 3 do
        others:spawn(function()
          jobs:spawn(function() log:add(i) uvjobs.sleep(1) end)
          log:add("spawned " .. i)
        end)
      end
      helper.yield(2)
      assert.same({}, log)
      jobs.limit = 3
      assert.equal(3, jobs.active_count)
      helper.yield(2)
      assert.same({ 1, "spawned 1", 2, "spawned 2" }, log)
    end)
  end)

  it("may be set outside of run, and on a closed scheduler", function()
    local jobs = uvjobs.scheduler { limit = 1 }
    local log = helper.log()
    for i = 1, 3 do jobs:spawn(log.add, log, i) end
    jobs.limit = 2
    assert.equal(2, jobs.active_count)
    virtual(function() jobs:wait_and_close() end)
    assert.same({ 1, 2, 3 }, log)
    jobs.limit = 5
    jobs.pending_limit = 0
    assert.equal(0, #jobs)
  end)

  it("holds for a hundred thousand pending jobs", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, pending_limit = math.huge }
      local count, last = 0, 0
      for i = 1, 100000 do
        jobs:spawn(function()
          assert(i == last + 1, "out of order")
          count, last = count + 1, i
        end)
      end
      for limit = 1, 100 do
        jobs.limit = limit % 7 + 1
        uvjobs.yield()
      end
      jobs.limit = math.huge
      jobs:wait_idle()
      assert.equal(100000, count)
    end)
  end)
end)

describe("the pending limit of a scheduler in use", function()
  after_each(helper.check_clean)

  it("admits blocked spawners at once, in order, when it is raised #M3", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, pending_limit = 0 }
      local others <close> = uvjobs.scheduler()
      local log = helper.log()
      jobs:spawn(uvjobs.sleep, 1)
      for i = 1, 3 do
        others:spawn(function()
          jobs:spawn(log.add, log, i)
          log:add("spawned " .. i)
        end)
      end
      helper.yield(2)
      jobs.pending_limit = 2
      assert.equal(2, jobs.pending_count)
      uvjobs.yield()
      assert.same({ "spawned 1", "spawned 2" }, log)
    end)
  end)

  it("drops nobody when it is lowered, and lets none in until it holds #M2", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, pending_limit = 3 }
      for _ = 1, 4 do jobs:spawn(uvjobs.sleep, 1) end
      jobs.pending_limit = 1
      assert.equal(3, jobs.pending_count)
      assert.same({ nil, "full" }, { jobs:try_spawn(uvjobs.sleep, 1) })
      uvjobs.sleep(2.5)
      assert.equal(1, jobs.pending_count)
      assert.same({ nil, "full" }, { jobs:try_spawn(uvjobs.sleep, 1) })
      uvjobs.sleep(1)
      assert.equal("pending", jobs:try_spawn(uvjobs.sleep, 1).state)
    end)
  end)
end)

describe("a bad value for a limit of a scheduler", function()
  after_each(helper.check_clean)

  it("raises as in the options, and changes nothing", function()
    local jobs = uvjobs.scheduler { limit = 3, pending_limit = 4 }
    local function check(key, value, got, least)
      assert.equal(("bad value for '%s' (integer >= %d or math.huge expected, got %s)")
        :format(key, least, got), message(function() jobs[key] = value end))
    end
    for got, value in pairs { ["1.5"] = 1.5, ["-inf"] = -math.huge, ["'3'"] = "3",
                              table = {}, boolean = true, ["-1"] = -1 } do
      check("limit", value, got, 1)
      check("pending_limit", value, got, 0)
    end
    check("limit", 0, "0", 1)
    check("limit", nil, "nil", 1)
    assert.matches("got %-?nan", message(function() jobs.limit = 0 / 0 end))
    assert.equal(3, jobs.limit)
    assert.equal(4, jobs.pending_limit)
  end)
end)
