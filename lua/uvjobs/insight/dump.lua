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

local function add_look(lines, look, stacks)
  lines[#lines + 1] = ("uvjobs: %d job%s, %s"):format(
    #look.records, #look.records == 1 and "" or "s",
    os.date("!%Y-%m-%d %H:%M:%S UTC", math.floor(uvjobs.time())))
  add_circles(lines, look.records)
  for _, group in ipairs(look.schedulers) do add_scheduler(lines, look, group, stacks) end
end

--- The whole text.
---@param job? uvjobs.Job the one that runs
---@param traceback? string where that stands, since nobody else can see it
---@return string
function dump.text(job, traceback)
  local look, lines = Look.take(true), {}
  core.uninterrupted(function()
    add_look(lines, look, job and { [job] = traceback } or {})
  end)
  return table.concat(lines, "\n") .. "\n"
end

return dump
