-- Pools of threads that come and go: nothing is left of them.
--   lua5.4 spec/stress/pools.lua [N]
-- Makes N workers (1000), one after the other, which are left in several ways, and fails when
-- threads, descriptors or memory have grown after the first tenth of them. For Linux.

local uvjobs = require "uvjobs"

local N <const> = math.tointeger(tonumber(arg[1] or 1000))
local MOST_GROWTH <const> = 8 << 20 -- bytes: what the allocator of the system keeps varies

local function status(field)
  local file <close> = assert(io.open "/proc/self/status")
  return tonumber(file:read "a":match(field .. ":%s*(%d+)"))
end

local function count_descriptors()
  local pipe <close> = assert(io.popen "ls /proc/$PPID/fd | wc -l")
  return tonumber(pipe:read "a")
end

local function level()
  collectgarbage()
  return { threads = status "Threads", descriptors = count_descriptors(),
    memory = status "VmRSS" * 1024 }
end

local function work(n, out)
  out:put(n)
  require "uvjobs".sleep(n % 3 / 1000)
  return n
end

-- Each of them leaves a pool in another way.
local ways <const> = {
  function(workers, out) assert(workers:spawn(work, 1, out):wait() == 1) end,
  function(workers, out)
    workers:spawn({ report = false }, function() while true do local _ = {} end end)
    workers:spawn({ report = false }, work, 2, out)
    workers:close()
  end,
  function(workers) workers:spawn({ report = false }, error, "not one in Lua") end,
  function(workers, out)
    workers:spawn({ report = false }, work, 2, out)
    error("left", 0)
  end,
  function() end,
}

local function play(n)
  local out <const> = uvjobs.channel(10)
  pcall(function()
    local workers <close> = uvjobs.workers {
      threads = n % 3 + 1, close_timeout = 0.01, exception_handler = function() end,
      slow = n % 7 == 0 and 0.01 or nil, memory_limit = n % 2 == 0 and 1 << 22 or nil,
    }
    ways[n % #ways + 1](workers, out)
  end)
end

local before
uvjobs.run(function()
  for n = 1, N do
    play(n)
    if n == math.max(1, N // 10) then before = level() end
  end
end)
local after = level()
for name, value in pairs(after) do print(name, before[name], value) end
assert(after.threads <= before.threads, "threads are left")
assert(after.descriptors <= before.descriptors, "descriptors are left")
assert(after.memory <= before.memory + MOST_GROWTH, "memory is left")
print(("pools, %d of them: ok"):format(N))
