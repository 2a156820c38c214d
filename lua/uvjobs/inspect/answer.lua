-- The answer to a question of another process. It is made in a copy of this process (see
-- src/inspect/copy.h), which ends when it has told it: so nothing here must have an effect
-- elsewhere, and nothing is collected.

local core = require "uvjobs.core"
local crowds = require "uvjobs.inspect.crowds"
local doing = require "uvjobs.insight.doing"
local graph = require "uvjobs.insight.graph"
local lines = require "uvjobs.inspect.lines"
local Look = require "uvjobs.insight.look"
local queues = require "uvjobs.insight.queues"

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
    "version", uvjobs._VERSION, "jobs", look.count, "time", ("%.3f"):format(uvjobs.now()),
    "running", job and job.id, "held", seen.held and ("%.3f"):format(seen.held),
    "outside", seen.outside, "control", seen.control, "traceback", seen.traceback,
    "number", seen.number,
  }, 18)
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

local function seconds(span)
  return span and ("%.6f"):format(span)
end

-- `crowd`: the others that are told with it; or nil.
local function add_job(list, look, record, number, stuck, seen, crowd)
  if not crowd then look:tell(record) end
  local job, times = record.job, record.times or {}
  local next = graph.next(record, stuck)
  local last = crowd and crowd[#crowd]
  list[#list + 1] = lines.encode("job", {
    "id", record.id, "name", record.name, "state", record.state, "scheduler", number,
    "parent", record.parent, "age", record.age and ("%.3f"):format(record.age),
    "kind", record.kind, "waits", crowd and crowd.waits or waits_for(record, seen),
    "left", record.left and ("%.3f"):format(record.left), "at", record.at,
    "holders", ids_of(record.holders), "held_by", #record.holders > 0 and #record.holders,
    "next", next and next.id, "needs", record.needs, "stuck", stuck[record],
    "resumes", job.resumes, "preemptions", job.preemptions,
    "waited", seconds(times.waited), "ready", seconds(times.ready), "ran", seconds(times.ran),
    "count", last and #crowd, "last", last and last.id,
    "last_age", last and last.age and ("%.3f"):format(last.age),
  }, 46)
end

local function add_circles(list, look, stuck)
  for _, circle in ipairs(graph.circles(look.records, stuck)) do
    local ids = {}
    for i, record in ipairs(circle) do ids[i] = record.id end
    list[#list + 1] = lines.encode("circle", { "jobs", table.concat(ids, " ") }, 2)
  end
end

-- Returns the look, the jobs in it that cannot go on, and the numbers of the schedulers.
local function examine(look)
  local numbers = {}
  for number, group in ipairs(look.schedulers) do numbers[group] = number end
  return look, graph.stuck(look.records), numbers
end

-- Of very many queues so many are told.
local MOST_QUEUES <const> = 100

local function add_queues(list)
  local rows = queues.rows()
  for i = 1, math.min(#rows, MOST_QUEUES) do
    local row = rows[i]
    list[#list + 1] = lines.encode("queue", {
      "name", row.name, "store", row.store, "here", row.here,
      "limit", row.limit and limit_of(row.limit), "running", row.running, "ready", row.ready,
      "scheduled", row.scheduled, "dead", row.dead, "paused", row.paused,
      "oldest", row.oldest and ("%.3f"):format(row.oldest),
      "counted", row.counted and ("%.3f"):format(row.counted), "counting", row.counting,
    }, 24)
  end
end

-- ---- everything --------------------------------------------------------------------------

local function tell(look, stuck, numbers, records, seen)
  local list = {}
  add_loop(list, look, seen)
  for number, group in ipairs(look.schedulers) do add_scheduler(list, number, group) end
  for _, record in ipairs(records) do
    add_job(list, look, record, numbers[look.by_scheduler[record.of]], stuck, seen)
  end
  add_circles(list, look, stuck)
  add_queues(list)
  return table.concat(list, "\n") .. "\n"
end

local answers = {}

--- `look`: all jobs of one moment.
function answers.look(_, seen)
  local look, stuck, numbers = examine(Look.take(true))
  return tell(look, stuck, numbers, look.records, seen)
end

-- The jobs that the lines besides their own must find: the one that runs, and those of circles.
local function find_alone(look, stuck, seen)
  local alone = {}
  local running = seen.job and look.by_id[seen.job.id]
  if running then alone[running] = true end
  for _, circle in ipairs(graph.circles(look.records, stuck)) do
    for _, record in ipairs(circle) do alone[record] = true end
  end
  return alone
end

--- `tree`: the same, but of many jobs that do the same only the first, how many they are and the
--- last.
function answers.tree(_, seen)
  local look, stuck, numbers = examine(Look.take(true))
  local list, alone = {}, find_alone(look, stuck, seen)
  local all = crowds.find(look, function(record)
    look:tell(record, true)
    return waits_for(record, seen)
  end, alone)
  for _, crowd in ipairs(all) do
    local number = numbers[look.by_scheduler[crowd[1].of]]
    add_job(list, look, crowd[1], number, stuck, seen, #crowd > 1 and crowd or nil)
  end
  return tell(look, stuck, numbers, {}, seen) .. table.concat(list, "\n") .. "\n"
end

-- ---- some of it --------------------------------------------------------------------------

-- What jobs can be sorted by, the greatest first.
local SORTS <const> = {
  age = function(record) return -record.id end,
  resumes = function(record) return record.job.resumes end,
  ran = function(record) return record.times and record.times.ran or 0 end,
  ready = function(record) return record.times and record.times.ready or 0 end,
}

-- The place of a new key among those of a list, the greatest first, behind its equals.
local function place_of(keys, key)
  local low, high = 1, #keys + 1
  while low < high do
    local middle = (low + high) // 2
    if keys[middle] >= key then low = middle + 1 else high = middle end
  end
  return low
end

-- The first `most` records by a key; of equals, those with the smaller number. All of them are in
-- the look, maybe among others.
local function select_first(look, sort, most)
  local chosen, keys = {}, {}
  for _, record in ipairs(most > 0 and look.records or {}) do
    local key = sort(record)
    if #keys < most or key > keys[most] then
      local place = place_of(keys, key)
      table.insert(keys, place, key)
      table.insert(chosen, place, record)
      keys[most + 1], chosen[most + 1] = nil, nil
    end
  end
  return chosen
end

-- How many jobs do what.
local function add_kinds(list, counts)
  local kinds = {}
  for kind in pairs(counts) do kinds[#kinds + 1] = kind end
  table.sort(kinds, function(a, b)
    if counts[a] ~= counts[b] then return counts[a] > counts[b] end
    return a < b
  end)
  for _, kind in ipairs(kinds) do
    list[#list + 1] = lines.encode("kind", { "name", kind, "jobs", counts[kind] }, 4)
  end
end

-- The jobs of circles, which must be there for their names.
local function add_members(records, look, stuck)
  local there = {}
  for _, record in ipairs(records) do there[record] = true end
  for _, circle in ipairs(graph.circles(look.records, stuck)) do
    for _, record in ipairs(circle) do
      if not there[record] then records[#records + 1], there[record] = record, true end
    end
  end
end

--- `top KEY N`: the first N jobs by this key, and how many there are of each kind. The job that
--- runs and those of circles come after them, if they are not among them.
function answers.top(question, seen)
  local name, most = question:match "^top (%l+) (%d+)$"
  local sort = SORTS[name]
  if not sort then return "" end
  local look, stuck, numbers = examine(Look.take_some(name, math.tointeger(most) or 0))
  local records = select_first(look, sort, math.min(tonumber(most), look.count))
  local running = seen.job and look.by_id[seen.job.id]
  if running then records[#records + 1] = running end
  add_members(records, look, stuck)
  local list = {}
  add_kinds(list, look.kinds)
  return tell(look, stuck, numbers, records, seen) .. table.concat(list, "\n") .. "\n"
end

--- The answer to a question, as lines; what is not known has none.
---@param question string? a word and its arguments; nil, in the process itself, so that this is
--- loaded before a copy is made, and what it cannot find out is asked for
---@param seen table what the loop knows of the job that runs: see engine/inspecting.h
---@return string
return function(question, seen)
  if not question then
    queues.count()
    return ""
  end
  local answer = answers[question:match "^%a+"]
  return answer and answer(question, seen) or ""
end
