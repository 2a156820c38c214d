-- The answer to a question of another process. It is made in a copy of this process (see
-- src/inspect/copy.h), which ends when it has told it: so nothing here must have an effect
-- elsewhere, and nothing is collected.

local core = require "uvjobs.core"
local doing = require "uvjobs.insight.doing"
local graph = require "uvjobs.insight.graph"
local lines = require "uvjobs.inspect.lines"
local Look = require "uvjobs.insight.look"

core.own_source()

local uvjobs = core.public

-- Of very many holders so many are told.
local MOST_HOLDERS <const> = 4

local function limit_of(n)
  return n == math.huge and "none" or n
end

local function add_loop(list, look, seen)
  local job = seen.job
  list[#list + 1] = lines.encode("loop", {
    "version", uvjobs._VERSION, "jobs", #look.records, "time", ("%.3f"):format(uvjobs.now()),
    "running", job and job.id, "held", seen.held and ("%.3f"):format(seen.held),
    "outside", seen.outside, "control", seen.control, "traceback", seen.traceback,
  }, 16)
end

local function add_scheduler(list, number, group)
  local scheduler = group.scheduler
  local stats = scheduler:stats()
  list[#list + 1] = lines.encode("scheduler", {
    "number", number, "name", scheduler.name, "active", scheduler.active_count,
    "pending", scheduler.pending_count, "limit", limit_of(scheduler.limit),
    "paused", scheduler.paused, "closed", scheduler.closed,
    "done", stats.done, "failed", stats.failed, "cancelled", stats.cancelled,
    "killed", stats.killed,
  }, 22)
end

local function ids_of(holders)
  local ids = {}
  for i = 1, math.min(#holders, MOST_HOLDERS) do ids[i] = holders[i].id end
  return ids[1] and table.concat(ids, " ")
end

-- What the program says of itself is a value of it.
local function waits_for(record, seen)
  return record.doing and not seen.values and doing.in_brief(record.job) or record.waits_for
end

local function add_job(list, record, number, stuck, seen)
  local job = record.job
  local next = graph.next(record, stuck)
  list[#list + 1] = lines.encode("job", {
    "id", record.id, "name", record.name, "state", record.state, "scheduler", number,
    "parent", record.parent, "age", record.age and ("%.3f"):format(record.age),
    "kind", record.kind, "waits", waits_for(record, seen),
    "left", record.left and ("%.3f"):format(record.left), "at", record.at,
    "holders", ids_of(record.holders), "held_by", #record.holders > 0 and #record.holders,
    "next", next and next.id, "needs", record.needs, "stuck", stuck[record],
    "resumes", job.resumes, "preemptions", job.preemptions,
    "cpu", job.cpu_time and ("%.6f"):format(job.cpu_time),
  }, 36)
end

local function add_circles(list, look, stuck)
  for _, circle in ipairs(graph.circles(look.records, stuck)) do
    local ids = {}
    for i, record in ipairs(circle) do ids[i] = record.id end
    list[#list + 1] = lines.encode("circle", { "jobs", table.concat(ids, " ") }, 2)
  end
end

-- Everything of one moment.
local function look_at_all(seen)
  local look = Look.take()
  local list, stuck = {}, graph.stuck(look.records)
  add_loop(list, look, seen)
  local numbers = {}
  for number, group in ipairs(look.schedulers) do
    numbers[group] = number
    add_scheduler(list, number, group)
  end
  for _, record in ipairs(look.records) do
    add_job(list, record, numbers[look.by_scheduler[record.of]], stuck, seen)
  end
  add_circles(list, look, stuck)
  return table.concat(list, "\n") .. "\n"
end

local answers = { look = look_at_all }

--- The answer to a question, as lines; what is not known has none.
---@param question string a word and its arguments
---@param seen table what the loop knows of the job that runs: see engine/inspecting.h
---@return string
return function(question, seen)
  local answer = answers[question:match "^%a+"]
  return answer and answer(seen) or ""
end
