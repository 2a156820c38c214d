-- The jobs of a process as a tree: each below the one that has spawned it.

local core = require "uvjobs.core"
local words = require "uvjobs.inspect.words"

core.own_source()

local tree = {}

-- So many jobs of the same parent that do the same at the same place are one line.
local FEW <const> = 3

local PLAIN <const> = { fork = "|- ", last = "`- ", line = "|  ", none = "   " }
local LINES <const> = { fork = "├─ ", last = "└─ ", line = "│  ", none = "   " }

-- ---- who is below whom -------------------------------------------------------------------

local function children_of(loop)
  local children, tops = {}, {}
  for _, job in ipairs(loop.jobs) do
    if loop.by_id[job.parent] then
      children[job.parent] = children[job.parent] or {}
      table.insert(children[job.parent], job)
    else
      tops[#tops + 1] = job
    end
  end
  return children, tops
end

-- What jobs have in common that are told together; nil for one with children.
local function likeness(job, children)
  if children[job.id] then return nil end
  local waits = job.waits:gsub(", %S+ s left$", "")
  return table.concat({ job.name or "", job.state, job.scheduler, waits, job.at or "" }, "\0")
end

-- Groups of jobs, in the order of the first of each.
local function group(jobs, children, all)
  local groups, by_likeness = {}, {}
  for _, job in ipairs(jobs) do
    local key = not all and likeness(job, children)
    local found = key and by_likeness[key]
    if found then
      found[#found + 1] = job
    else
      found = { job }
      groups[#groups + 1] = found
      if key then by_likeness[key] = found end
    end
  end
  return groups
end

-- Those of which there are only a few are told one by one, in their order.
local function split(groups)
  local list = {}
  for _, jobs in ipairs(groups) do
    if #jobs > FEW then
      list[#list + 1] = jobs
    else
      for _, job in ipairs(jobs) do list[#list + 1] = { job } end
    end
  end
  table.sort(list, function(a, b) return tonumber(a[1].id) < tonumber(b[1].id) end)
  return list
end

-- ---- a line ------------------------------------------------------------------------------

local function label_of(jobs)
  local first = jobs[1]
  if #jobs == 1 then return words.label(first) end
  return ("#%s to #%s%s (%d jobs)"):format(first.id, jobs[#jobs].id,
    first.name and " " .. words.quote(first.name) or "", #jobs)
end

local function line_of(loop, jobs)
  local first = jobs[1]
  local ages = words.ages(jobs)
  local waits = #jobs == 1 and first.waits or first.waits:gsub(", %S+ s left$", "")
  return ("%s, %s in %s%s: %s%s"):format(label_of(jobs), first.state,
    words.scheduler(loop, first), ages and (", %s old"):format(ages) or "", waits,
    first.at and (" (%s)"):format(first.at) or "")
end

-- ---- the tree ----------------------------------------------------------------------------

local function add_jobs(list, loop, jobs, children, options, before)
  local groups = split(group(jobs, children, options.all))
  local marks = options.lines and LINES or PLAIN
  for i, alike in ipairs(groups) do
    local is_last, is_top = i == #groups, before == nil
    local mark = is_top and "" or is_last and marks.last or marks.fork
    list[#list + 1] = (before or "") .. mark .. line_of(loop, alike)
    local below = children[alike[1].id]
    if below then
      local margin = is_top and "" or before .. (is_last and marks.none or marks.line)
      add_jobs(list, loop, below, children, options, margin)
    end
  end
end

--- The lines of the tree of a loop.
---@param loop uvjobs.inspect.Loop
---@param options { all?: boolean, lines?: boolean } all: each job has a line, however many do the
--- same; lines: the tree is drawn with the characters for that, and not in ASCII
---@return string[]
function tree.lines(loop, options)
  local list = words.circles(loop)
  local held = words.held(loop)
  if held then
    list[#list + 1] = held .. ":"
    for _, line in ipairs(words.stack(loop)) do list[#list + 1] = "  " .. line end
  end
  local children, tops = children_of(loop)
  add_jobs(list, loop, tops, children, options, nil)
  return list
end

return tree
