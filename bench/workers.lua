--- uvjobs.workers and channels, by the time that passes. Run by bench/workers; each side is
--- `SIDE N` and prints nanoseconds for one operation and the CPU time of it, or what its comment
--- says.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")
local uvjobs = require "uvjobs"

local WARM_UP <const> = 200 -- calls before anything is measured

local function add(a, b) return a + b end

-- Calls fn(workers) with so many threads, which have run some jobs; returns nanoseconds for each
-- of `n` operations, and those that all threads have computed.
local function time_of(threads, n, fn)
  return uvjobs.run(function()
    local workers <close> = uvjobs.workers { threads = threads }
    for i = 1, WARM_UP do workers:call(add, i, 1) end
    local begun, cpu = uvjobs.now(), os.clock()
    fn(workers)
    return ("%.0f"):format((uvjobs.now() - begun) * 1e9 / n),
      ("%.0f"):format((os.clock() - cpu) * 1e9 / n)
  end)
end

-- ---- short tasks -------------------------------------------------------------------

local function flood(n)
  return function()
    return time_of(2, n, function(workers)
      local jobs = {}
      for i = 1, n do jobs[i] = workers:spawn(add, i, 1) end
      for i = 1, n do jobs[i]:wait() end
    end)
  end
end

local function in_turn(n)
  return function()
    return time_of(2, n, function(workers)
      for i = 1, n do workers:spawn(add, i, 1):wait() end
    end)
  end
end

-- ---- channels ----------------------------------------------------------------------

local function echo(there, back)
  for n in there:items() do back:put(n) end
end

local function count(there, back)
  local sum = 0
  for object in there:items() do sum = sum + object.id end
  back:put(sum)
end

-- `n` operations of drive(there, back) with a job in a thread.
local function exchange(n, fn, drive)
  return function()
    return time_of(1, n, function(workers)
      local there, back = uvjobs.channel(1000), uvjobs.channel(1000)
      local job = workers:spawn(fn, there, back)
      drive(there, back)
      there:close()
      job:wait()
    end)
  end
end

local function ping_pong(n)
  return exchange(n, echo, function(there, back)
    for i = 1, n do
      there:put(i)
      back:get()
    end
  end)
end

local function stream(n)
  return exchange(n, count, function(there, back)
    for i = 1, n do there:put { id = i, name = "item", ok = true } end
    there:close()
    back:get()
  end)
end

-- ---- threads -----------------------------------------------------------------------

-- From the beginning of a thread until it is ready for jobs.
local function start(n)
  return function()
    return uvjobs.run(function()
      local passed = 0
      for _ = 1, n do
        local begun = uvjobs.now()
        local _ <close> = uvjobs.workers { threads = 1 } -- luacheck: no unused
        passed = passed + uvjobs.now() - begun
      end
      return ("%.0f"):format(passed * 1e9 / n)
    end)
  end
end

-- How many bytes each of `n` idle threads takes.
local function memory(n)
  return function()
    return uvjobs.run(function()
      do local _ <close> = uvjobs.workers { threads = 1 } end -- the modules are loaded
      collectgarbage()
      local before = common.memory "VmRSS"
      local _ <close> = uvjobs.workers { threads = n } -- luacheck: no unused
      return ("%.0f"):format((common.memory "VmRSS" - before) / n)
    end)
  end
end

-- ---- computing ---------------------------------------------------------------------

local function compute(n)
  local sum = 0
  for i = 1, n do sum = (sum * 31 + i) & 0xffffff end
  return sum
end

-- Each thread computes alike, for about a second in all.
local function busy(threads)
  return function(n)
    return function()
      return time_of(threads, n * threads, function(workers)
        local jobs = {}
        for i = 1, threads do jobs[i] = workers:spawn(compute, n) end
        for i = 1, threads do jobs[i]:wait() end
      end)
    end
  end
end

-- How many nanoseconds pass from cancel() until a job that computes has ended: the median, and the
-- most.
local function cancel(n)
  return function()
    return uvjobs.run(function()
      local workers <close> = uvjobs.workers { threads = 1 }
      local runs, samples = uvjobs.channel(1), {}
      for i = 1, n do
        local job = workers:spawn({ report = false }, function(out)
          out:put(true)
          while true do end
        end, runs)
        runs:get()
        uvjobs.sleep(0.001)
        local begun = uvjobs.now()
        job:cancel()
        job:join()
        samples[i] = uvjobs.now() - begun
      end
      table.sort(samples)
      return ("%.0f"):format(samples[(n + 1) // 2] * 1e9), ("%.0f"):format(samples[n] * 1e9)
    end)
  end
end

common.main(10000, {
  flood = flood, ["in-turn"] = in_turn, ["ping-pong"] = ping_pong, stream = stream,
  start = start, memory = memory, ["busy-1"] = busy(1), ["busy-2"] = busy(2), cancel = cancel,
})
