-- For kill_matrix.lua: a program that stores tasks and runs them, and may be killed at any moment.
--   lua scenario.lua WHERE SCHEMA JOURNAL [finish]
-- The journal gets a line for everything that has happened. With `finish` it stores nothing, and
-- ends when no task is live, however long the server takes to answer.
local durable = require "uvjobs.durable"
local uvjobs = require "uvjobs"

local where, schema, journal_path, finish = ...
local TASKS <const> = 30

local journal = assert(io.open(journal_path, "a"))
journal:setvbuf "no"
-- One write for each line, which SIGKILL does not split.
local function note(...) journal:write(table.concat({ ... }, " ") .. "\n") end

local OPTIONS <const> = { backoff = 0, keep_done = 3600, most_crashes = 1000, attempts = 1000 }

local function define(store)
  store:define("plain", OPTIONS, function(_, name) note("ran", name) end)
  store:define("steps", OPTIONS, function(task, name)
    local step = (task.saved or 0) + 1
    task:save(step)
    if step < 3 then error("again", 0) end
    note("ran", name)
  end)
end

local function store_tasks(store)
  for i = 1, TASKS do
    local kind, name = i % 3 == 0 and "steps" or "plain", "task" .. i
    if i % 5 == 0 then
      store:transaction(function(tx)
        tx:execute("INSERT INTO " .. schema .. ".row (name) VALUES ($1)", name)
        tx:enqueue(kind, name)
      end)
    else
      store:enqueue(kind, name, i % 7 == 0 and { delay = 0.01 } or { key = name })
    end
    note("stored", name)
  end
end

-- A server on a busy machine may not answer in time. Then it is asked again, as a program does that
-- must end.
local function stats_of(store)
  while true do
    local ok, stats = pcall(store.stats, store)
    if ok then return stats end
    assert(finish and uvjobs.code(stats) == "unavailable", stats)
    uvjobs.sleep(0.1)
  end
end

local function is_live(store)
  local of_queue = stats_of(store).queues.default
  return of_queue and of_queue.ready + of_queue.running + of_queue.scheduled > 0
end

uvjobs.run(function()
  local store <close> = durable.open(where, { schema = schema })
  define(store)
  local _ <close> = store:work { queues = { default = 4 }, lease = 2 }
  if not finish then store_tasks(store) end
  while is_live(store) do uvjobs.sleep(0.005) end
  note "all done"
end)
