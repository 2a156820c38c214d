-- Durable jobs: stores that come and go, each with the thread of its engine, on the same file or
-- schema, while tasks are stored, run, cancelled and fail, and jobs that ask are cancelled and
-- killed.
--   lua5.4 spec/stress/durable.lua [SECONDS [SEED]]
-- It uses PostgreSQL besides where UVJOBS_POSTGRES names a server. script/verify tsan runs it under
-- ThreadSanitizer; uvjobs must be found by the interpreter.

local uvjobs = require "uvjobs"
local durable = require "uvjobs.durable"

local seconds = tonumber(arg[1]) or 5
local seed = math.tointeger(tonumber(arg[2])) or os.time()
math.randomseed(seed)

local counts = { stored = 0, ran = 0, refused = 0, stores = 0 }

local function note(name) counts[name] = counts[name] + 1 end

local function define(store)
  store:define("work", { attempts = 2, backoff = 0 }, function(task, n)
    note "ran"
    if n % 3 == 0 then task:save { n } end
    if n % 5 == 0 then uvjobs.sleep(n % 7 / 1000) end
    if n % 11 == 0 then error "it fails" end
    if n % 13 == 0 then task:snooze(0.001) end
  end)
end

-- What a job asks a store for, by its number.
local asks <const> = {
  function(store, n) store:enqueue("work", n) note "stored" end,
  function(store, n) store:enqueue("work", n, { key = "key " .. n % 5, on_key = "replace" }) end,
  function(store, n) store:enqueue_all { { "work", n }, { "work", n, { delay = 0.01 } } } end,
  function(store, n)
    store:transaction(function(tx)
      tx:enqueue("work", n)
      uvjobs.yield()
      tx:enqueue("work", n + 1)
    end)
  end,
  function(store) for task in store:tasks { limit = 5 } do store:cancel(task.id) end end,
  function(store) store:stats() store:prune() end,
}

-- What is not an error of the program: the store closes, or the job was told to end.
local EXPECTED <const> = { closed = true, unavailable = true, cancelled = true }

local function ask(store, n)
  local ok, err = pcall(asks[n % #asks + 1], store, n)
  if ok then return end
  note "refused"
  if not EXPECTED[uvjobs.code(err)] then error(err, 0) end
end

local function end_somehow(job)
  local how = math.random(6)
  if how == 1 then
    job:cancel()
  elseif how == 2 then
    pcall(job.close, job, 0)
  end
end

local function check_report(_, context)
  local err = context.exception
  if err ~= nil and not uvjobs.code(err) then error(err, 0) end
end

-- A store with a worker, which is asked much for a moment, and closed in the middle of it.
local function play(where, options)
  note "stores"
  local store <close> = durable.open(where, options)
  define(store)
  local _ <close> = store:work {
    wait_timeout = math.random() / 10, close_timeout = 0.1, exception_handler = function() end,
  }
  local jobs <close> = uvjobs.scheduler { close_timeout = 5, exception_handler = check_report }
  for n = 1, math.random(60) do
    local job = jobs:spawn(ask, store, math.random(1000) + n)
    if math.random(3) == 1 then uvjobs.sleep(0.002) end
    end_somehow(job)
  end
end

local function play_on(where, options)
  local stop = uvjobs.now() + seconds
  while uvjobs.now() < stop do play(where, options) end
end

local path = os.tmpname()
os.remove(path)
uvjobs.run(function()
  local players <close> = uvjobs.scheduler { limit = math.huge }
  for _ = 1, 3 do
    players:spawn(play_on, "sqlite:" .. path .. ".db", { durability = "normal" })
  end
  local server = os.getenv "UVJOBS_POSTGRES"
  for _ = 1, server and 2 or 0 do players:spawn(play_on, server, { schema = "stress" }) end
  players:wait_and_close()
end)
for _, ending in ipairs { ".db", ".db-wal", ".db-shm", ".db-lock" } do os.remove(path .. ending) end

assert(counts.ran > 0 and counts.stored > 0, "nothing ran")
local texts = {}
for name, count in pairs(counts) do texts[#texts + 1] = name .. " " .. count end
table.sort(texts)
print(("seed %d: %s"):format(seed, table.concat(texts, ", ")))
