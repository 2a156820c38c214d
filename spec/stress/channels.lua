-- Channels between threads for a long time, while jobs that put and get are cancelled and killed at
-- random moments. What was put is got once.
--
-- Usage: lua5.4 spec/stress/channels.lua [messages [seed]], in the root of the tree
-- Two threads put and two get, each with several jobs, of which one ends early from time to time; a
-- cancelled put that has not happened is done again. The exit status is 1 when a sum is wrong.

local uvjobs = require "uvjobs"

local messages = math.tointeger(arg[1]) or 100000
local seed = math.tointeger(arg[2] or os.time())
print(("%d messages, seed %d"):format(messages, seed))

--- Puts its share of the numbers, one after the other; the jobs that do it are ended at random.
local function put_all(channel, first, last, random)
  local jobs = require "uvjobs"
  math.randomseed(random)
  return jobs.run(function()
    local next_number, sum = first, 0
    local scheduler <close> = jobs.scheduler { exception_handler = function() end }
    while next_number <= last do
      local job = scheduler:spawn(function()
        while next_number <= last do
          if channel:put(next_number, 0.001) then
            sum, next_number = sum + next_number, next_number + 1
          end
        end
      end)
      job:join(math.random() * 0.02)
      -- A put that happens is counted before its job can be ended: it does not suspend again.
      job:cancel()
      pcall(job.wait, job)
    end
    return sum
  end)
end

--- Gets until the channel is closed, by jobs of which one is cancelled or killed now and then.
local function get_all(channel, random)
  local jobs = require "uvjobs"
  math.randomseed(random)
  return jobs.run(function()
    local sum, count, over = 0, 0, false
    local scheduler <close> = jobs.scheduler { exception_handler = function() end }
    local function get()
      for number in channel:items() do sum, count = sum + number, count + 1 end
      over = true
    end
    local running = {}
    for i = 1, 3 do running[i] = scheduler:spawn(get) end
    while not over do
      jobs.sleep(math.random() * 0.01)
      local i = math.random(3)
      if not over then
        pcall(running[i].close, running[i], math.random(2) == 1 and 0 or nil)
        running[i] = scheduler:spawn(get)
      end
    end
    return sum, count
  end)
end

local function check(capacity)
  return uvjobs.run({ work_threads = 4 }, function()
    local channel, threads <close> = uvjobs.channel(capacity), uvjobs.scheduler()
    local half = messages // 2
    local getters, putters = {}, {}
    for i = 1, 2 do getters[i] = threads:spawn(uvjobs.work, get_all, channel, seed + i) end
    putters[1] = threads:spawn(uvjobs.work, put_all, channel, 1, half, seed + 3)
    putters[2] = threads:spawn(uvjobs.work, put_all, channel, half + 1, messages, seed + 4)
    local put = putters[1]:wait() + putters[2]:wait()
    channel:close()
    local got, count = 0, 0
    for i = 1, 2 do
      local sum, n = getters[i]:wait()
      got, count = got + sum, count + n
    end
    local right = messages * (messages + 1) // 2
    print(("capacity %s: %d messages, sums %d put, %d got, %s"):format(capacity, count, put, got,
      count == messages and put == right and got == right and "right" or "WRONG"))
    return count == messages and put == right and got == right
  end)
end

local good = true
for _, capacity in ipairs { 100, 1, 0 } do
  good = check(capacity) and good
  messages = messages // 10
end
os.exit(good and 0 or 1, true)
