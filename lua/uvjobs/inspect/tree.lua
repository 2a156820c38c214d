-- The jobs of a process as a tree: each below the one that has spawned it.

local core = require "uvjobs.core"
local words = require "uvjobs.inspect.words"

core.own_source()

local tree = {}

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

-- ---- a line ------------------------------------------------------------------------------

-- Many that do the same are one entry, of the first of them.
local function label_of(job)
  if not job.count then return words.label(job) end
  return ("#%s to #%s%s (%s jobs)"):format(job.id, job.last,
    job.name and " " .. words.quote(job.name) or "", job.count)
end

local function line_of(loop, job)
  local ages = words.ages { job, job.count and { age = job.last_age } }
  return ("%s, %s in %s%s: %s%s"):format(label_of(job), job.state,
    words.scheduler(loop, job), ages and (", %s old"):format(ages) or "", job.waits,
    job.at and (" (%s)"):format(job.at) or "")
end

-- ---- the tree ----------------------------------------------------------------------------

local function add_jobs(list, loop, jobs, children, options, before)
  local marks = options.lines and LINES or PLAIN
  for i, job in ipairs(jobs) do
    local is_last, is_top = i == #jobs, before == nil
    local mark = is_top and "" or is_last and marks.last or marks.fork
    list[#list + 1] = (before or "") .. mark .. line_of(loop, job)
    local below = children[job.id]
    if below then
      local margin = is_top and "" or before .. (is_last and marks.none or marks.line)
      add_jobs(list, loop, below, children, options, margin)
    end
  end
end

--- The lines of the tree of a loop.
---@param loop uvjobs.inspect.Loop
---@param options { lines?: boolean } the tree is drawn with the characters for that, and not in
--- ASCII
---@return string[]
function tree.lines(loop, options)
  local list = words.circles(loop)
  local held = words.held(loop)
  if held then
    list[#list + 1] = held .. ":"
    for _, line in ipairs(words.stack(loop)) do list[#list + 1] = "  " .. line end
  end
  for _, queue in ipairs(loop.queues) do
    list[#list + 1] = ("queue %s of %s: %s"):format(words.quote(queue.name), queue.store,
      words.queue(queue))
  end
  local children, tops = children_of(loop)
  add_jobs(list, loop, tops, children, options, nil)
  return list
end

return tree
