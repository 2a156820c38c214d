-- One measurement of bench/durable: lua5.4 bench/durable.lua SIDE N. It prints how many operations
-- are done in a second of real time, because what is measured is also waiting for the disk.

local uvjobs = require "uvjobs"
local durable = require "uvjobs.durable"

local side, count = arg[1], tonumber(arg[2])
local path = (os.getenv "BENCH_DIRECTORY" or "/tmp") .. "/bench-durable.db"

local function clean()
  for _, ending in ipairs { "", "-wal", "-shm", "-lock" } do os.remove(path .. ending) end
end

local function sqlite(durability)
  clean()
  return durable.open("sqlite:" .. path, { durability = durability })
end

-- Runs `count` empty tasks.
local function work(store)
  local left, done = count, uvjobs.event()
  store:define("empty", function()
    left = left - 1
    if left == 0 then done:set() end
  end)
  local list = {}
  for i = 1, count do list[i] = { "empty", i } end
  store:enqueue_all(list)
  local start = uvjobs.now()
  local worker <close> = store:work { queues = { default = 200 } }
  done:wait()
  worker:close()
  return uvjobs.now() - start
end

local function one_at_a_time(store)
  store:define("empty", print)
  local start = uvjobs.now()
  for i = 1, count do store:enqueue("empty", i) end
  return uvjobs.now() - start
end

local function at_once(store)
  store:define("empty", print)
  local start = uvjobs.now()
  uvjobs.each((function()
    local i = 0
    return function()
      i = i + 1
      return i <= count and i or nil
    end
  end)(), function(i) store:enqueue("empty", i) end, { limit = 64 })
  return uvjobs.now() - start
end

local function spawn()
  local start = uvjobs.now()
  local scheduler <close> = uvjobs.scheduler()
  local left = count
  for _ = 1, count do
    scheduler:spawn(function() left = left - 1 end)
  end
  scheduler:wait_and_close()
  return uvjobs.now() - start
end

local sides = {
  ["work-normal"] = function() local s <close> = sqlite "normal" return work(s) end,
  ["work-full"] = function() local s <close> = sqlite "full" return work(s) end,
  ["add-normal"] = function() local s <close> = sqlite "normal" return one_at_a_time(s) end,
  ["add-full-64"] = function() local s <close> = sqlite "full" return at_once(s) end,
  ["work-memory"] = function() local s <close> = durable.open "memory:" return work(s) end,
  spawn = spawn,
}

print(("%.1f"):format(count / uvjobs.run(sides[side])))
clean()
