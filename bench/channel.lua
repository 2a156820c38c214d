-- Channels between two threads, and beside them, in the same run, the worker_threads of Node,
-- where that is installed:
--   script/run bench/channel.lua [ROUNDS [OBJECTS]]
-- Measured are a number that goes to and fro, one at a time, and a stream of small tables from
-- one thread to the other. Each is done three times, of which the best counts.

local uvjobs = require "uvjobs"

local ROUNDS <const> = tonumber(arg[1]) or 20000
local OBJECTS <const> = tonumber(arg[2]) or 200000

local function echo(there, back)
  local jobs = require "uvjobs"
  jobs.run(function()
    for n in there:items() do back:put(n) end
  end)
end

local function count(from)
  local jobs = require "uvjobs"
  return jobs.run(function()
    local sum = 0
    for object in from:items() do sum = sum + object.id end
    return sum
  end)
end

--- Runs `fn` in a thread while `drive` drives it; returns how many a second that were.
local function measure(n, fn, drive)
  return uvjobs.run(function()
    local there, back = uvjobs.channel(1000), uvjobs.channel(1000)
    local threads <close> = uvjobs.scheduler()
    local job = threads:spawn(uvjobs.work, fn, there, back)
    while #there > 0 do uvjobs.sleep(0.001) end
    there:put { id = 0 } -- the thread has begun when it has taken this
    while #there > 0 do uvjobs.sleep(0.001) end
    local begun = uvjobs.now()
    drive(n, there, back)
    there:close()
    job:wait()
    return n / (uvjobs.now() - begun)
  end)
end

local function ping_pong(n, there, back)
  back:get()
  for i = 1, n do
    there:put(i)
    back:get()
  end
end

local function stream(n, there)
  for i = 1, n do there:put { id = i, name = "item", ok = true } end
end

local function best(n, fn, drive)
  local most = 0
  for _ = 1, 3 do most = math.max(most, measure(n, fn, drive)) end
  return most
end

local function best_of_node()
  local results = {}
  for _ = 1, 3 do
    local pipe = io.popen(("node bench/peers/channel.mjs %d %d 2>/dev/null")
      :format(ROUNDS, OBJECTS))
    for line in pipe:lines() do
      local name, rate = line:match("^(%S+) (%S+)")
      results[name] = math.max(results[name] or 0, tonumber(rate))
    end
    pipe:close()
  end
  return results
end

local ours = {
  ["ping-pong"] = best(ROUNDS, echo, ping_pong), stream = best(OBJECTS, count, stream),
}
local node = best_of_node()
print(("%-10s %12s %12s %8s"):format("", "uvjobs", "node", "ratio"))
for _, name in ipairs { "ping-pong", "stream" } do
  local other = node[name]
  print(("%-10s %10.0f/s %10s/s %8s"):format(name, ours[name],
    other and ("%.0f"):format(other) or "-", other and ("%.1f"):format(ours[name] / other) or "-"))
end
