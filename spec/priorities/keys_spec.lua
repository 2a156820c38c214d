-- Keys of jobs: fairness between them, a limit for each, and jobs that are the only one.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local testing = require "uvjobs.testing"

local virtual = helper.virtual

-- A function that takes a second and logs its argument when it starts.
local function logger(log)
  return function(value) log:add(value) uvjobs.sleep(1) end
end

describe("a fair scheduler", function()
  after_each(helper.check_clean)

  it("lets keys take turns, however much work one of them has #P16", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, fair = true }
      local log = helper.log()
      jobs:spawn(uvjobs.sleep, 1)
      for i = 1, 5 do jobs:spawn({ key = "much" }, logger(log), "much " .. i) end
      for i = 1, 2 do jobs:spawn({ key = "little" }, logger(log), "little " .. i) end
      jobs:spawn(logger(log), "none 1")
      jobs:spawn({ key = 7 }, logger(log), "seven")
      jobs:spawn(logger(log), "none 2")
      jobs:wait_idle()
      assert.same({ "much 1", "little 1", "none 1", "seven", "much 2", "little 2", "none 2",
                    "much 3", "much 4", "much 5" }, log)
    end)
  end)

  -- In any k starts of a level while k keys wait there, each of them starts. Every job comes
  -- from a tenant that always has more.
  it("starts each of k keys that wait in k starts #P16", function()
    virtual(function()
      local keys <const>, rounds <const> = 7, 50
      local jobs = uvjobs.scheduler { limit = 3, fair = true, pending_limit = math.huge }
      local starts = {}
      local function work(key)
        starts[#starts + 1] = key
        if #starts < keys * rounds then
          for _ = 1, key do jobs:spawn({ key = key }, work, key) end
        end
        uvjobs.sleep(math.random())
      end
      for key = 1, keys do
        for _ = 1, 4 do jobs:spawn({ key = key }, work, key) end
      end
      uvjobs.sleep(60)
      jobs:close()
      for first = 10, keys * (rounds - 10) do
        local seen = {}
        for i = first, first + keys - 1 do seen[starts[i]] = true end
        for key = 1, keys do assert.is_true(seen[key]) end
      end
    end)
  end)

  it("is fair to spawners that are suspended, too #P16", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 1, pending_limit = 0, fair = true }
      local spawners <close> = uvjobs.scheduler()
      local log = helper.log()
      jobs:spawn(uvjobs.sleep, 1)
      for i = 1, 6 do
        spawners:spawn(function()
          local key = i < 5 and "much" or "little"
          jobs:spawn({ key = key }, logger(log), key)
        end)
      end
      spawners:wait_idle()
      jobs:wait_and_close()
      assert.same({ "much", "little", "much", "little", "much", "much" }, log)
    end)
  end)

  it("takes keys of any number and string, which are what they are as keys of a table", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, fair = true }
      for _, key in ipairs { "", "a\0b", 1, -0.0, 1.5, math.huge, math.mininteger, "1" } do
        assert.equal(key, jobs:spawn({ key = key }, helper.ignore).key)
      end
      assert.equal(2, jobs:spawn({ key = 2.0 }, helper.ignore).key)
    end)
  end)
end)

describe("a key limit", function()
  after_each(helper.check_clean)

  it("is never exceeded, and holds back nobody else #P16", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 12, key_limit = 2 }
      local active, most, free = 0, 0, 0
      for i = 1, 9 do
        jobs:spawn({ key = "k" }, function()
          active = active + 1
          most = math.max(most, active)
          uvjobs.sleep(1)
          active = active - 1
        end)
        jobs:spawn({ key = "other " .. i }, function() free = free + 1 end)
      end
      uvjobs.yield()
      assert.equal(9, free)
      assert.equal(2, jobs.active_count)
      assert.equal(7, jobs.pending_count)
      jobs:wait_idle()
      assert.equal(2, most)
      assert.equal(5, uvjobs.now())
    end)
  end)

  it("does not count jobs without a key", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { key_limit = 1 }
      for _ = 1, 5 do jobs:spawn(uvjobs.sleep, 1) end
      assert.equal(5, jobs.active_count)
    end)
  end)

  it("lets a job in past a pending queue that is full of jobs that cannot start", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 5, pending_limit = 2, key_limit = 1 }
      for _ = 1, 3 do jobs:spawn({ key = "k" }, uvjobs.sleep, 1) end
      assert.same({ nil, "full" }, { jobs:try_spawn({ key = "k" }, uvjobs.sleep, 1) })
      assert.equal("active", jobs:try_spawn({ key = "j" }, uvjobs.sleep, 1).state)
      assert.equal("active", jobs:spawn(uvjobs.sleep, 1).state)
      local blocked <close> = uvjobs.scheduler()
      blocked:spawn(function()
        assert.equal("pending", jobs:spawn({ key = "k" }, uvjobs.sleep, 1).state)
        assert.equal(1, uvjobs.now())
      end)
    end)
  end)

  it("can be set at any time #P17", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 10 }
      for _ = 1, 3 do jobs:spawn({ key = "k" }, uvjobs.sleep, 10) end
      jobs.key_limit = 1
      assert.equal(1, jobs.key_limit)
      for _ = 1, 3 do jobs:spawn({ key = "k" }, uvjobs.sleep, 10) end
      assert.equal(3, jobs.active_count)
      jobs.key_limit = 4
      assert.equal(4, jobs.active_count)
      jobs.key_limit = math.huge
      assert.equal(6, jobs.active_count)
    end)
  end)
end)

describe("a unique job", function()
  after_each(helper.check_clean)

  it("is made once while one of its key lives, pending or active", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1 }
      local first, is_new = jobs:spawn({ key = "k", unique = true }, uvjobs.sleep, 1)
      assert.is_true(is_new)
      local again, also_new = jobs:spawn({ key = "k", unique = true }, error)
      assert.equal(first, again)
      assert.is_false(also_new)
      assert.same({ first, false }, { jobs:try_spawn({ key = "k", unique = true }, error) })
      local second = jobs:spawn({ key = "k" }, uvjobs.sleep, 1) -- that is not asked to be
      first:cancel()
      assert.same({ second, false }, { jobs:spawn({ key = "k", unique = true }, error) })
      jobs:wait_idle()
      assert.is_true(select(2, jobs:spawn({ key = "k", unique = true }, helper.ignore)))
    end)
  end)

  it("needs no room where there is one already", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, pending_limit = 0 }
      local job = jobs:spawn({ key = 1, unique = true }, uvjobs.sleep, 1)
      assert.same({ job, false }, { jobs:spawn({ key = 1, unique = true }, error) })
      assert.same({ nil, "full" }, { jobs:try_spawn({ key = 2, unique = true }, error) })
    end)
  end)

  it("is told of one that was let in before it, while its spawner waited", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 1, pending_limit = 0 }
      local spawners <close> = uvjobs.scheduler()
      local told = {}
      jobs:spawn(uvjobs.sleep, 1)
      for i = 1, 3 do
        spawners:spawn(function()
          told[i] = { jobs:spawn({ key = "k", unique = true, name = "n" }, uvjobs.sleep, 5) }
          assert.equal(1, uvjobs.now())
        end)
      end
      spawners:wait_idle()
      assert.same({ { told[1][1], true }, { told[1][1], false }, { told[1][1], false } }, told)
      assert.equal("active", told[1][1].state)
      jobs:close()
    end)
  end)

  it("raises in a job that is to end, and on a closed scheduler", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      jobs:spawn({ key = "k", unique = true }, uvjobs.sleep, 1)
      helper.raises("timeout", uvjobs.timeout, 0, jobs.spawn, jobs,
                    { key = "k", unique = true }, error)
      jobs:close()
      helper.raises("closed", jobs.spawn, jobs, { key = "k", unique = true }, error)
      assert.same({ nil, "closed" }, { jobs:try_spawn({ key = "k", unique = true }, error) })
    end)
  end)
end)

describe("keys", function()
  after_each(helper.check_clean)

  -- A job that spawns into a scheduler that is full, and is ended wherever it waits.
  for _, by in ipairs { "cancel", "kill" } do
    it(("lose nothing to a spawner that is ended by a %s wherever it waits"):format(by), function()
      local places = testing.cancel_everywhere({ by = by, close_timeout = 60 }, function()
        local jobs <close> = uvjobs.scheduler { limit = 1, pending_limit = 1, fair = true,
                                                aging = 1, key_limit = 1, start_rate = 2 }
        for i = 1, 6 do
          jobs:spawn({ key = i % 2, priority = i, unique = i > 4 }, uvjobs.sleep, 0.3)
        end
        jobs:wait_idle()
        jobs:spawn({ key = 1 }, helper.ignore):wait()
      end)
      assert.is_true(places >= 3)
    end)
  end

  it("are kept only as long as a job has them", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { limit = 1, fair = true, pending_limit = 0 }
      local held = setmetatable({}, { __mode = "v" })
      local function round(n)
        local spawners <close> = uvjobs.scheduler()
        for i = 1, n do
          spawners:spawn(function()
            local job = jobs:spawn({ key = ("key %d"):format(i), priority = i % 10 }, helper.ignore)
            held[i] = job
          end)
        end
        spawners:wait_idle()
        jobs:wait_idle()
      end
      round(1000)
      local before = helper.kilobytes()
      for _ = 1, 5 do round(1000) end
      assert.is_true(helper.kilobytes() < before + 50)
      assert.is_nil(next(held))
    end)
  end)

  it("go with their scheduler, also when jobs are left at the end of the program", function()
    local output = helper.child [[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        local jobs = uvjobs.scheduler { limit = 1, fair = true, aging = 1, start_rate = 1 }
        for i = 1, 100 do jobs:spawn({ key = i, priority = i % 10 }, uvjobs.sleep, 1) end
        uvjobs.yield()
        os.exit(0, true)
      end)]]
    assert.equal("", output.err or output.stderr or "")
  end)

  it("can be those of jobs that finalizers spawn and end", function()
    virtual(function()
      local jobs = uvjobs.scheduler { limit = 2, fair = true, key_limit = 1,
                                      pending_limit = math.huge }
      local made = 0
      local function litter()
        setmetatable({}, { __gc = function()
          made = made + 1
          local job = jobs:try_spawn({ key = made % 3, priority = made % 10 }, helper.ignore)
          if job and made % 2 == 0 then job:cancel() end
          if made < 3000 then litter() end
        end })
      end
      for _ = 1, 20 do litter() end
      for i = 1, 2000 do
        jobs:spawn({ key = i % 3, unique = i % 7 == 0, name = "n" }, helper.ignore)
        if i % 50 == 0 then uvjobs.yield() end
      end
      jobs:wait_and_close()
      made = 3000
      collectgarbage()
    end)
  end)
end)
