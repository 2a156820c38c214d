-- Queues of tasks that outlive their process, as those who look are shown them. The parts that
-- have some say so here, and need not be loaded for a look.

local core = require "uvjobs.core"

core.own_source()

local queues = {}

---@class uvjobs.insight.QueueSource
---@field count fun(self) somebody looks: begins to count the tasks, if that is not done where
---  `rows` is called. It is called in the loop, but in no job; it neither suspends nor raises.
---@field rows fun(self): uvjobs.insight.Queue[] is called in a copy of the process

---@class uvjobs.insight.Queue
---@field name string
---@field store string of what kind its store is
---@field here integer tasks that run in this process
---@field limit? number how many may; nil where nobody works on it
---@field running? integer tasks in the store, by their states; nil until they are counted
---@field ready? integer
---@field scheduled? integer
---@field dead? integer
---@field paused? boolean
---@field oldest? number for how many seconds the oldest ready task was due when it was counted
---@field counted? number seconds since they were counted
---@field counting boolean they are being counted

---@type table<uvjobs.insight.QueueSource, true>
local sources = setmetatable({}, { __mode = "k" })

--- From now on these queues are shown.
---@param source uvjobs.insight.QueueSource
function queues.add(source) sources[source] = true end

--- They are not shown any more.
---@param source uvjobs.insight.QueueSource
function queues.remove(source) sources[source] = nil end

--- Somebody looks.
function queues.count()
  for source in pairs(sources) do source:count() end
end

--- All queues that are known, by their names.
---@return uvjobs.insight.Queue[]
function queues.rows()
  local rows = {}
  for source in pairs(sources) do
    local some = source:rows()
    table.move(some, 1, #some, #rows + 1, rows)
  end
  table.sort(rows, function(a, b)
    if a.name ~= b.name then return a.name < b.name end
    return a.store < b.store
  end)
  return rows
end

return queues
