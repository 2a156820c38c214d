-- run{ shuffle = seed }: the order of ready jobs is random, and the same for the same seed.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local message = helper.message

-- The order of what three jobs write, which give way three times each.
local function order(options)
  local log = {}
  uvjobs.run(options, function()
    local jobs <close> = uvjobs.scheduler()
    for i = 1, 3 do
      jobs:spawn(function()
        for _ = 1, 3 do
          log[#log + 1] = i
          uvjobs.yield()
        end
      end)
    end
    jobs:wait_and_close()
  end)
  return table.concat(log)
end

describe("shuffle", function()
  after_each(helper.check_clean)

  it("is off unless asked for", function()
    order { shuffle = 1 }
    assert.equal("123123123", order {})
  end)

  it("lets each ready job run once in a turn", function()
    for seed = 1, 50 do
      local log = order { shuffle = seed }
      for from = 1, 9, 3 do
        local turn = { log:byte(from, from + 2) }
        table.sort(turn)
        assert.equal("123", string.char(table.unpack(turn)))
      end
    end
  end)

  it("gives all orders, the same for the same seed", function()
    local seen, count = {}, 0
    for seed = -100, 100 do
      local log = order { shuffle = seed, clock = "virtual" }
      assert.equal(log, order { shuffle = seed, clock = "virtual" })
      local first = log:sub(1, 3)
      count = count + (seen[first] and 0 or 1)
      seen[first] = true
    end
    assert.equal(6, count)
  end)

  it("takes every integer", function()
    for _, seed in ipairs { 0, -1, math.mininteger, math.maxinteger, 3.0 } do
      assert.equal(order { shuffle = seed }, order { shuffle = seed })
    end
    assert.equal(order { shuffle = 3 }, order { shuffle = 3.0 })
  end)

  it("keeps the queues of those that wait in order #M4", function()
    for seed = 1, 20 do
      local log = {}
      uvjobs.run({ shuffle = seed }, function()
        local permits = uvjobs.semaphore(1)
        local jobs <close> = uvjobs.scheduler()
        permits:acquire()
        for i = 1, 5 do
          jobs:spawn(function()
            permits:acquire()
            log[#log + 1] = i
            permits:release()
          end)
          uvjobs.yield() -- it waits
        end
        permits:release()
        jobs:wait_and_close()
      end)
      assert.same({ 1, 2, 3, 4, 5 }, log)
    end
  end)

  it("holds for its run only, also where steps come before and after it", function()
    local function stepped()
      local log = {}
      for i = 1, 8 do uvjobs.start(function() log[#log + 1] = i end) end
      while uvjobs.step() do end
      return table.concat(log)
    end
    assert.equal("12345678", stepped())
    for seed = 1, 5 do
      order { shuffle = seed }
      assert.equal("12345678", stepped())
      assert.equal("123123123", order {})
    end
  end)

  it("holds for what start() runs", function()
    local function started(seed)
      local log = {}
      local job = uvjobs.start({ shuffle = seed }, function()
        local jobs <close> = uvjobs.scheduler()
        for i = 1, 8 do jobs:spawn(function() log[#log + 1] = i end) end
        jobs:wait_and_close()
      end)
      while not job.closed do uvjobs.step() end
      uvjobs.start({ slow = false }, function() end) -- back to first come
      while uvjobs.step() do end
      return table.concat(log)
    end
    assert.equal(started(5), started(5))
    assert.not_equal("12345678", started(5))
  end)

  it("must be an integer", function()
    for _, value in ipairs { 1.5, 0 / 0, 2 ^ 63, "1", true, {} } do
      assert.matches("bad argument #1 to 'run' %(option 'shuffle': integer expected, got .*%)",
        message(uvjobs.run, { shuffle = value }, print))
    end
  end)
end)
