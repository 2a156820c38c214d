-- A text that says of every job what it waits for and where it stands.

local core = require "uvjobs.core"
local graph = require "uvjobs.insight.graph"
local Look = require "uvjobs.insight.look"
local things = require "uvjobs.insight.things"
local words = require "uvjobs.insight.words"

core.own_source()

local uvjobs = core.public

local dump = {}

-- As many labels and numbers a line names, before it only counts.
local MOST <const> = 8

-- ---- jobs that stand at the same place -------------------------------------------------

-- The stack of a job, without what says its state and comes first.
local function stack_of(record, stacks)
  local text = stacks[record.job] or record.job:traceback()
  local stack = ("\n" .. text):match "\nstack traceback:\n(.*)$" or ""
  return (stack:gsub("\n\t%[C%]: in %?$", ""))
end

-- Jobs of a scheduler that do the same at the same place are printed once.
local function collect_alike(records, stacks)
  local groups, by_key = {}, {}
  for _, record in ipairs(records) do
    local stack = not stacks[record.job] and core.stack_key(record.job)
      or stack_of(record, stacks)
    local key = table.concat({ record.name or "", record.state, record.kind, words.fate(record),
      stack }, "\0")
    local group = by_key[key]
    if not group then
      group = { stack = stack_of(record, stacks), records = {} }
      by_key[key] = group
      groups[#groups + 1] = group
    end
    table.insert(group.records, record)
  end
  return groups
end

-- ---- lines ---------------------------------------------------------------------------------

local function age_of(records)
  local least, most
  for _, record in ipairs(records) do
    local age = record.age
    if age then least, most = math.min(least or age, age), math.max(most or age, age) end
  end
  if not least then return "" end
  if #records == 1 then return (", %s old"):format(words.seconds(least)) end
  return (", %s to %s old"):format(words.seconds(least), words.seconds(most))
end

local function parent_of(record)
  return record.parent and (", spawned by #%d"):format(record.parent) or ""
end

local function add_group(lines, look, group)
  local first = group.records[1]
  look:tell(first)
  lines[#lines + 1] = ("  %s: %s%s%s%s"):format(
    words.labels(group.records, MOST), first.state, age_of(group.records), parent_of(first),
    words.fate(first))
  lines[#lines + 1] = "    " .. first.waits_for
  for line in group.stack:gmatch "[^\n]+" do
    if line ~= "stack traceback:" then lines[#lines + 1] = "      " .. line:gsub("^\t", "") end
  end
end

local function limit_text(n)
  return n == math.huge and "no limit" or ("limit %d"):format(n)
end

local function add_scheduler(lines, look, group, stacks)
  local scheduler = group.scheduler
  lines[#lines + 1] = ("%s: %d active, %d pending, %s%s%s"):format(
    words.scheduler(scheduler), scheduler.active_count, scheduler.pending_count,
    limit_text(scheduler.limit), scheduler.paused and ", paused" or "",
    scheduler.closed and ", closed" or "")
  for _, line in ipairs(things.explain(scheduler) or {}) do lines[#lines + 1] = "  " .. line end
  for _, alike in ipairs(collect_alike(group.records, stacks)) do add_group(lines, look, alike) end
end

local function circle_text(circle)
  if #circle == 1 then return "this job waits for itself: " .. words.label(circle[1]) end
  local list = {}
  for _, record in ipairs(circle) do list[#list + 1] = words.label(record) end
  list[#list + 1] = words.label(circle[1])
  return "these jobs wait for each other, each for the next: " .. table.concat(list, ", ")
end

local function add_circles(lines, records, nobody_helps)
  for _, circle in ipairs(graph.circles(records, graph.stuck(records, nobody_helps))) do
    lines[#lines + 1] = circle_text(circle)
  end
end

-- The children of supervisors that cannot start, which have no jobs.
local function add_children(lines, look)
  for _, group in ipairs(look.schedulers) do
    local about = things.explain(group.scheduler) or {}
    for i = 2, #about do lines[#lines + 1] = about[i] end
  end
end

--- The circles of jobs that wait for each other now, and the children of supervisors that
--- have not started, as lines. For a run in which nothing can go on.
---@return string text "" when there are none
function dump.circles()
  local lines, look = {}, Look.take(true)
  add_circles(lines, look.records, true)
  add_children(lines, look)
  return table.concat(lines, "\n")
end

local function add_look(lines, look, stacks, when)
  lines[#lines + 1] = ("uvjobs: %d job%s, %s"):format(
    #look.records, #look.records == 1 and "" or "s", when)
  add_circles(lines, look.records)
  for _, group in ipairs(look.schedulers) do add_scheduler(lines, look, group, stacks) end
end

-- ---- the whole text ------------------------------------------------------------------------

-- So many jobs are told where the dump is asked for. Making a copy of the process would take
-- longer.
local FEW <const> = 100

-- How long the job waits between two looks at whether the copy is ready.
local LEAST_S <const>, MOST_S <const> = 0.001, 0.05

local function now()
  return os.date("!%Y-%m-%d %H:%M:%S UTC", math.floor(uvjobs.time()))
end

local function make(job, traceback, when)
  local look, lines = Look.take(true), {}
  core.uninterrupted(function()
    add_look(lines, look, job and { [job] = traceback } or {}, when)
  end)
  return table.concat(lines, "\n") .. "\n"
end

--- The whole text. The loop is held until it is there, so that this can be called anywhere.
--- A signal asks for it like this: when a program does not go on, nobody can wait for a copy, and
--- the text must be there before another signal ends the process.
---@param job? uvjobs.Job the one that runs
---@param traceback? string where that stands, since nobody else can see it
---@return string
function dump.text(job, traceback)
  return make(job, traceback, now())
end

-- Has a copy of the process make the text, while the other jobs go on. The copy is of one moment,
-- so what they do meanwhile is not in the text. The C library reads the date under a lock,
-- which the copy must not need. Returns nothing where there is no copy, or if it has failed.
local function text_of_copy(job, traceback)
  local when, pause = now(), LEAST_S
  local copy <close> = core.copy(function() return make(job, traceback, when) end)
  while copy do
    uvjobs.sleep(pause)
    local text = core.copied(copy)
    if text ~= nil then return text end
    pause = math.min(2 * pause, MOST_S)
  end
end

-- Under the virtual clock no job waits for what takes time, and the order of the jobs must not
-- depend on how long that is.
local function can_wait()
  return uvjobs.current() and core.can_suspend() and not core.interrupted()
    and not core.is_virtual()
end

--- The same, for a job: it suspends when there are many jobs, unless it cannot.
---@param job? uvjobs.Job
---@param traceback? string
---@return string
function dump.text_in_job(job, traceback)
  local text = can_wait() and uvjobs.stats().live > FEW and text_of_copy(job, traceback)
  return text or dump.text(job, traceback)
end

return dump
