-- Jobs that are told together, because they have the same parent and do the same at the same
-- place. They are found in the process that is asked: so a tree of a hundred thousand jobs is a
-- few lines for whoever asks.

local core = require "uvjobs.core"

core.own_source()

local crowds = {}

-- So many jobs that do the same are told one by one.
local FEW <const> = 3

-- The table behind a key, which may be nil; it is made if there is none.
local function below(node, key)
  key = key or false
  local next = node[key]
  if not next then
    next = {}
    node[key] = next
  end
  return next
end

local function parents_of(look)
  local are_parents = {}
  for _, record in ipairs(look.records) do
    if record.parent then are_parents[record.parent] = true end
  end
  return are_parents
end

---@class uvjobs.inspect.Crowd
---@field [integer] uvjobs.insight.Record in the order of their numbers
---@field waits? string what all of them wait for

-- In the order of the first of each.
local function group(look, waits_of, alone)
  local are_parents, list, nodes = parents_of(look), {}, {}
  for _, record in ipairs(look.records) do
    local crowd
    if are_parents[record.id] or alone[record] then
      crowd = {}
    else
      local waits = waits_of(record)
      local node = below(below(nodes, look.by_id[record.parent]), record.at)
      crowd = below(below(below(below(node, waits), record.name), record.state), record.of)
      crowd.waits = waits
    end
    if #crowd == 0 then list[#list + 1] = crowd end
    crowd[#crowd + 1] = record
  end
  return list
end

--- The jobs of a look: those that do the same together, if they are more than a few.
---@param look uvjobs.insight.Look
---@param waits_of fun(record: uvjobs.insight.Record): string what is told of its wait, without the
--- time that is left, in which they differ; after it is called, `at` is known
---@param alone table<uvjobs.insight.Record, true> those that are told one by one in any case
---@return uvjobs.inspect.Crowd[] crowds in the order of the first of each
function crowds.find(look, waits_of, alone)
  local list = {}
  for _, crowd in ipairs(group(look, waits_of, alone)) do
    if #crowd > FEW then
      list[#list + 1] = crowd
    else
      for _, record in ipairs(crowd) do list[#list + 1] = { record } end
    end
  end
  table.sort(list, function(a, b) return a[1].id < b[1].id end)
  return list
end

return crowds
