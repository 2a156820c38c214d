-- One limit of durable jobs, measured for bench/durable:
--   lua5.4 bench/durable_limits.lua SIDE STORE N
-- where STORE is "sqlite" or "postgres". It prints one number, whose unit the side says.

local uvjobs = require "uvjobs"
local durable = require "uvjobs.durable"

local side, kind, count = arg[1], arg[2], tonumber(arg[3])
local path = (os.getenv "BENCH_DIRECTORY" or "/tmp") .. "/bench-durable.db"
local schema = ("bench_%x"):format(math.random(0))

local function clean()
  for _, ending in ipairs { "", "-wal", "-shm", "-lock" } do os.remove(path .. ending) end
end

local function place()
  return kind == "sqlite" and "sqlite:" .. path or os.getenv "UVJOBS_POSTGRES"
end

-- Another connection to the store of this run: each has a thread and what it hears of its own, as
-- if it were in another process.
local function open(options)
  options = options or {}
  if kind == "postgres" then options.schema = schema end
  return durable.open(place(), options)
end

local function worst(list, part)
  table.sort(list)
  return list[math.ceil(#list * part)]
end

-- ---- how soon a task starts (D14): milliseconds, p99 -----------------------------------

local function start_times(enqueuing, working)
  local started, times = uvjobs.event(), {}
  working:define("empty", function() started:set() end)
  local _ <close> = working:work()
  uvjobs.sleep(0.5)
  for i = 1, count do
    started:clear()
    local start = uvjobs.now()
    enqueuing:enqueue("empty", i, { remote = true })
    started:wait()
    times[i] = 1000 * (uvjobs.now() - start)
    uvjobs.sleep(0.1)
  end
  return worst(times, 0.99)
end

local sides = {}

function sides.same()
  local store <close> = open()
  return start_times(store, store)
end

function sides.other()
  local store <close> = open()
  local other <close> = open()
  return start_times(other, store)
end

-- What is told in one database of PostgreSQL is not heard in another.
function sides.unheard()
  local store <close> = open()
  local other <close> = open { listen = (place():gsub("/postgres%?", "/template1?")) }
  return start_times(other, store)
end

-- ---- many done tasks (D20): how much slower work is ------------------------------------

local MANY <const> = {
  sqlite = [[WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
    INSERT INTO uvjobs_task (state, queue, kind, priority, due, attempts, most_crashes, keep_done,
      keep_dead, enqueued, started, ended, expires, args)
    SELECT %d, 'default', 'old', 5, %d + i, 1, 3, 1, 1, i, i, i, %d, '{"i":1}' FROM n]],
  postgres = [[INSERT INTO "]] .. schema .. [[".task (state, queue, kind, priority, due, attempts,
      most_crashes, keep_done, keep_dead, enqueued, started, ended, expires, args)
    SELECT %2$d, 'default', 'old', 5, %3$d + i, 1, 3, 1, 1, i, i, i, %4$d, '{"i":1}'
    FROM generate_series(1, %1$d) i]],
}

local function write(text, ...)
  local values = { ... }
  return (text:gsub("%%(%d?)%$?d", (function()
    local at = 0
    return function(place_of)
      at = at + 1
      return tostring(values[tonumber(place_of) or at])
    end
  end)()))
end

-- Adds `n` tasks that have ended; they are kept until `expires`, microseconds since 1970.
local function add_done(store, n, expires)
  local now = math.floor(uvjobs.time() * 1e6)
  while n > 0 do
    local some = math.min(n, 20000)
    store:transaction(function(tx) tx:execute(write(MANY[kind], some, 3, now, expires)) end)
    n = n - some
  end
end

local WORK <const> = 5000 -- tasks

local function work(store)
  local left, done, list = WORK, uvjobs.event(), {}
  store:define("empty", function()
    left = left - 1
    if left == 0 then done:set() end
  end)
  for i = 1, WORK do list[i] = { "empty", i } end
  store:enqueue_all(list)
  local start = uvjobs.now()
  local _ <close> = store:work { queues = { default = 200 } }
  done:wait()
  return uvjobs.now() - start
end

-- Each is the best of three: what else the machine does only makes it longer.
local function best_work(store)
  return math.min(work(store), work(store), work(store))
end

function sides.many()
  local store <close> = open()
  best_work(store)
  local before = best_work(store)
  add_done(store, count, math.floor((uvjobs.time() + 1e6) * 1e6))
  best_work(store)
  return best_work(store) / before
end

-- ---- pruning (D22): milliseconds that another connection waits for it at most -----------

function sides.prune()
  local store <close> = open()
  local other <close> = open()
  add_done(store, count, 0)
  local longest, pruning = 0, true
  local jobs <close> = uvjobs.scheduler()
  jobs:spawn(function()
    assert(store:prune() == count)
    pruning = false
  end)
  while pruning do
    local start = uvjobs.now()
    other:enqueue("empty", nil, { remote = true, delay = 3600 })
    longest = math.max(longest, uvjobs.now() - start)
  end
  return 1000 * longest
end

-- ---- the WAL (D21): its largest size in MiB while `count` tasks are written and run -------

function sides.wal()
  local store <close> = open { durability = "normal" }
  local largest, writing = 0, true
  local jobs <close> = uvjobs.scheduler()
  jobs:spawn(function()
    while writing do
      local file = io.open(path .. "-wal")
      largest = math.max(largest, file and file:seek "end" or 0)
      if file then file:close() end
      uvjobs.sleep(0.01)
    end
  end)
  for _ = 1, count // WORK do work(store) end
  writing = false
  return largest / 2 ^ 20
end

-- ---- the loop (D28): milliseconds between two of its turns ------------------------------

local HELD <const> = 1000 -- milliseconds

-- What the database is asked for meanwhile: tasks one after the other, which are run, while
-- somebody else holds it for a second.
local function keep_busy(store)
  store:define("empty", function() end)
  local _ <close> = store:work()
  local other <close> = open()
  local jobs <close> = uvjobs.scheduler()
  jobs:spawn(function()
    other:transaction(function(tx)
      if kind == "sqlite" then
        tx:enqueue("empty", nil, { remote = true })
      else
        tx:execute(('LOCK TABLE "%s".task'):format(schema))
      end
      uvjobs.sleep(HELD / 1000)
    end)
  end)
  for i = 1, count do store:enqueue("empty", i) end
end

local SHORT <const> = 0.0001 -- seconds: turns that nobody needs to count

-- The milliseconds of the turns of the loop while fn() runs, the longest first.
local function turns_of(fn, ...)
  local turns, busy = {}, true
  local jobs <close> = uvjobs.scheduler()
  jobs:spawn(function()
    local last = uvjobs.now()
    while busy do
      uvjobs.yield()
      local now = uvjobs.now()
      if now - last > SHORT then turns[#turns + 1] = 1000 * (now - last) end
      last = now
    end
  end)
  fn(...)
  busy = false
  table.sort(turns, function(a, b) return a > b end)
  return turns
end

-- What other programs do to the loop is measured without the database, for the same time.
function sides.loop()
  local store <close> = open()
  local start = uvjobs.now()
  local turns = turns_of(keep_busy, store)
  local without = turns_of(uvjobs.sleep, uvjobs.now() - start)
  assert((turns[1] or 0) < HELD / 2, "the loop waits while another connection has the store")
  return math.max((turns[count] or 0) - (without[count] or 0), 0)
end

-- ---- SIGKILL (D8): seconds until the task of a dead process runs in another -------------

local CHILD <const> = [[local uvjobs, durable = require "uvjobs", require "uvjobs.durable"
  uvjobs.run(function()
    local store <close> = durable.open(%q, { %s })
    store:define("long", function() print "begun" uvjobs.sleep(3600) end)
    io.stdout:setvbuf "no"
    local _ <close> = store:work { lease = 2 }
    uvjobs.sleep(3600)
  end)]]

function sides.recovery()
  local store <close> = open()
  local child = CHILD:format(place(), kind == "postgres" and ("schema = %q"):format(schema) or "")
  local longest = 0
  for _ = 1, count do
    local script, ran = os.tmpname(), uvjobs.event()
    do
      local file <close> = assert(io.open(script, "w"))
      file:write(child)
    end
    store:enqueue("long", nil, { remote = true })
    local pipe <close> = io.popen(("exec %s %s & echo $!; wait"):format(arg[-1], script))
    local pid = pipe:read "l"
    assert(pipe:read "l" == "begun")
    store:define("long", function() ran:set() end)
    local _ <close> = store:work()
    uvjobs.sleep(0.3 + 0.7 * math.random())
    os.execute("kill -KILL " .. pid)
    local start = uvjobs.now()
    ran:wait()
    longest = math.max(longest, uvjobs.now() - start)
    os.remove(script)
  end
  return longest
end

clean()
print(("%.3f"):format(uvjobs.run(sides[side])))
clean()
