-- One measurement of bench/durable with PostgreSQL: lua5.4 bench/durable_postgres.lua SIDE N, where
-- UVJOBS_POSTGRES names the server. It prints operations a second of real time, or for a side that
-- ends with p50, p99 or wal what that is. Each run has a schema of its own.

local uvjobs = require "uvjobs"
local durable = require "uvjobs.durable"

local side, count = arg[1], tonumber(arg[2])
local schema = ("bench_%x"):format(math.random(0))

local function open()
  return durable.open(os.getenv "UVJOBS_POSTGRES", { schema = schema })
end

local function ask(store, sql)
  return store:transaction(function(tx) return tx:execute(sql)[1] end)
end

local function enqueue_all(store)
  for first = 1, count, 1000 do
    local list = {}
    for i = first, math.min(count, first + 999) do list[#list + 1] = { "empty", { i = i } } end
    store:enqueue_all(list)
  end
end

-- Runs all tasks that there are; returns how long that takes.
local function work(store)
  local left, done = count, uvjobs.event()
  store:define("empty", function()
    left = left - 1
    if left == 0 then done:set() end
  end)
  local start = uvjobs.now()
  local worker <close> = store:work { queues = { default = 200 } }
  done:wait()
  worker:close()
  return uvjobs.now() - start
end

local function work_rate()
  local store <close> = open()
  store:define("empty", print)
  enqueue_all(store)
  return count / work(store)
end

local function add_rate()
  local store <close> = open()
  store:define("empty", print)
  local start, i = uvjobs.now(), 0
  uvjobs.each(function()
    i = i + 1
    return i <= count and i or nil
  end, function(n) store:enqueue("empty", { i = n }) end, { limit = 64 })
  return count / (uvjobs.now() - start)
end

-- Milliseconds from enqueue() to the start in an idle worker, which belongs to another store, so
-- that it hears of the task as another process would.
local function start_times(part)
  local store <close> = open()
  local other <close> = open()
  local started = uvjobs.event()
  store:define("empty", function() started:set() end)
  local _ <close> = store:work()
  uvjobs.sleep(1)
  local times = {}
  for i = 1, count do
    local start = uvjobs.now()
    started:clear()
    other:enqueue("empty", { i = i }, { remote = true })
    started:wait()
    times[i] = 1000 * (uvjobs.now() - start)
    uvjobs.sleep(0.1)
  end
  table.sort(times)
  return times[math.ceil(count * part)]
end

local function wal_bytes()
  local store <close> = open()
  local function position()
    return ask(store, "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint")[1]
  end
  store:define("empty", print)
  os.execute('psql -q -c CHECKPOINT "$UVJOBS_POSTGRES"')
  local start = position()
  enqueue_all(store)
  work(store)
  return (position() - start) / count
end

local sides = {
  work = work_rate, ["add-64"] = add_rate, wal = wal_bytes,
  ["start-p50"] = function() return start_times(0.5) end,
  ["start-p99"] = function() return start_times(0.99) end,
}

print(("%.3f"):format(uvjobs.run(sides[side])))
