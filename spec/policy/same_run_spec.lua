-- Under the virtual clock two runs with the same seed are the same.
local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"

local JOBS <const> = 60

local function key_of(i) return i % 4 end

-- What makes each kind.
local KINDS <const> = {
  retry = function() return policy.retry { attempts = 4, backoff = { base = 0.05 } } end,
  ["retry with a budget"] = function()
    return policy.retry { attempts = math.huge, budget = 0.1, backoff = { jitter = "equal" } }
  end,
  ["retry with decorrelated jitter"] = function()
    return policy.retry { attempts = 4, backoff = { jitter = "decorrelated" } }
  end,
  rate = function() return policy.rate { rate = 30, burst = 3, most_wait = 1 } end,
  ["rate with keys"] = function() return policy.rate { rate = 10, key = key_of, keys = 3 } end,
  limit = function() return policy.limit { limit = 3, pending_limit = 20 } end,
  ["limit with keys"] = function() return policy.limit { limit = 1, key = key_of } end,
  breaker = function() return policy.breaker { minimum = 5, ratio = 0.3, open = 0.2 } end,
  ["breaker with keys"] = function()
    return policy.breaker { minimum = 3, ratio = 0.3, open = 0.2, key = key_of, keys = 3 }
  end,
  hedge = function() return policy.hedge { after = "p50", initial = 0.05, most = 3 } end,
  timeout = function() return policy.timeout(0.1) end,
  single = function() return policy.single { key = key_of } end,
  debounce = function() return policy.debounce { wait = 0.02, most = 0.1, key = key_of } end,
  compose = function()
    return policy.compose {
      policy.timeout(2), policy.retry { backoff = { base = 0.01 } }, policy.rate { rate = 100 },
      policy.limit { limit = 4 }, policy.breaker { minimum = 5, open = 0.3 },
      policy.hedge { after = 0.05 },
    }
  end,
}

-- Numbers from 0 to 1 that are those of the run's seed no more than those of the math
-- library are.
local function new_random(seed)
  local state = seed
  return function()
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return state / 0x7fffffff
  end
end

-- Plays many calls, some of which are cancelled, and returns what happened and when.
local function play(make, seed, shuffle)
  local log = {}
  local function note(...) log[#log + 1] = table.concat({ uvjobs.now(), ... }, " ") end
  uvjobs.run({ clock = "virtual", seed = seed, shuffle = shuffle }, function()
    local random, one = new_random(7), make()
    local jobs <close> = uvjobs.scheduler { limit = math.huge }
    for i = 1, JOBS do
      local takes, fails, leaves = random() * 0.2, random() < 0.4, random()
      local job = jobs:spawn(function()
        local ok, result = pcall(one.call, one, function()
          note(i, "starts")
          uvjobs.sleep(takes)
          if fails then error("no", 0) end
          return i
        end, i)
        note(i, tostring(ok), uvjobs.code(result) or tostring(result))
      end)
      if leaves < 0.2 then
        jobs:spawn(function()
          uvjobs.sleep(leaves)
          job:close()
          note(i, "left")
        end)
      end
      uvjobs.sleep(random() * 0.02)
    end
    jobs:wait_and_close()
    note("end")
  end)
  return log
end

-- The same for a scheduler that uses all that decides who starts next.
local function play_scheduler(seed, shuffle)
  local log = {}
  uvjobs.run({ clock = "virtual", seed = seed, shuffle = shuffle }, function()
    local random = new_random(7)
    local jobs <close> = uvjobs.scheduler {
      limit = 3, fair = true, key_limit = 2, aging = 0.1, start_rate = 50, start_burst = 2,
    }
    for i = 1, JOBS do
      jobs:spawn({ priority = i * 7 % 10, key = key_of(i), unique = i % 5 == 0 }, function()
        log[#log + 1] = ("%d %.9f"):format(i, uvjobs.now())
        uvjobs.sleep(random() * 0.05)
      end)
      if random() < 0.3 then uvjobs.sleep(0.01) end
    end
  end)
  return log
end

describe("two runs with one seed are the same #P18:", function()
  after_each(helper.check_clean)

  for name, make in pairs(KINDS) do
    it(name, function()
      for seed = 1, 3 do
        assert.same(play(make, seed), play(make, seed))
        assert.same(play(make, seed, seed), play(make, seed, seed))
      end
    end)
  end

  it("a scheduler with priorities, keys and a rate", function()
    for seed = 1, 3 do
      assert.same(play_scheduler(seed), play_scheduler(seed))
      assert.same(play_scheduler(seed, seed), play_scheduler(seed, seed))
    end
  end)

  it("and with another seed a retry waits differently", function()
    local make = KINDS.retry
    assert.not_same(play(make, 1), play(make, 2))
  end)
end)
