-- For kill_matrix.lua: a program that stores tasks and runs them, and may be killed at any moment.
--   lua scenario.lua DATABASE JOURNAL DURABILITY [finish]
-- The journal gets a line for everything that has happened: "stored ID", "ran NAME", "done ID".
-- With `finish` it stores nothing, and ends when no task is live.

local uvjobs = require "uvjobs"
local durable = require "uvjobs.durable"

local path, journal_path, durability, finish = ...
local TASKS <const> = 30

local journal = assert(io.open(journal_path, "a"))
journal:setvbuf "no"
-- One write for each line, which SIGKILL does not split.
local function note(...) journal:write(table.concat({ ... }, " ") .. "\n") end

local function define(store)
  local function run(_, name) note("ran", name) end
  store:define("plain", { backoff = 0, most_crashes = 1000 }, run)
  store:define("kept", { backoff = 0, keep_done = 3600, most_crashes = 1000 }, run)
  store:define("steps", { backoff = 0, most_crashes = 1000 }, function(task, name)
    local step = (task.saved or 0) + 1
    note("step", name, step)
    task:save(step)
    if step < 3 then error("again", 0) end
    note("ran", name)
  end)
end

local KINDS <const> = { "plain", "kept", "steps" }

local function store_tasks(store)
  for i = 1, TASKS do
    local kind, name = KINDS[i % 3 + 1], "task" .. i
    note("stores", name)
    if i % 5 == 0 then
      store:transaction(function(tx)
        tx:execute "CREATE TABLE IF NOT EXISTS rows (name TEXT)"
        tx:execute("INSERT INTO rows VALUES (?)", name)
        tx:enqueue(kind, name)
      end)
    else
      store:enqueue(kind, name, i % 7 == 0 and { delay = 0.01 } or { key = name })
    end
    note("stored", name)
  end
end

local function is_live(store)
  for _, of_queue in pairs(store:stats().queues) do
    if of_queue.ready + of_queue.running + of_queue.scheduled > 0 then return true end
  end
end

uvjobs.run(function()
  local store <close> = durable.open("sqlite:" .. path, { durability = durability })
  define(store)
  local _ <close> = store:work { queues = { default = 4 } }
  if not finish then store_tasks(store) end
  while is_live(store) do uvjobs.sleep(0.005) end
  note "all done"
  for task in store:tasks() do note("left", task.id, task.state, task.args) end
end)
