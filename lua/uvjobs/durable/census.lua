-- How many tasks a store has, for those who look at the process. They are counted only because
-- somebody looks, and seldom where that takes long: counting reads all tasks.

local core = require "uvjobs.core"

core.own_source()

local census = {}

local LEAST <const> = 0.5 -- seconds between two counts
local REST <const> = 20   -- times as long as a count takes it rests after that

local COUNT <const> = { op = "stats" }

---@class uvjobs.durable.Census: uvjobs.insight.QueueSource
---@field store table
---@field in_copy boolean the store is in the memory of the process, and so in each copy of it
---@field counts? table<string, table> by queue, as the engine has returned them
---@field at? number when they were counted
---@field due number when they may be counted again
---@field counting boolean
local Census = {}
Census.__index = Census

--- Makes the census of a store, which is asked by way of its port.
---@param store table
---@param in_copy boolean see above
---@return uvjobs.durable.Census
function census.new(store, in_copy)
  return setmetatable({ store = store, in_copy = in_copy, due = 0, counting = false }, Census)
end

local function take(self, begun, answer)
  local now = core.monotonic()
  self.counting, self.due = false, now + math.max(LEAST, REST * (now - begun))
  if type(answer) ~= "table" or answer.code ~= nil then return end
  self.counts, self.at = answer.value.queues, now
end

local function begin(self)
  local begun = core.monotonic()
  self.counting = true
  local port = self.store._port
  local ok = pcall(port.peek, port, COUNT, function(answer) take(self, begun, answer) end)
  if not ok then take(self, begun) end
end

-- Whoever looks may have interrupted the engine, if that is in this thread.
function Census:count()
  if self.in_copy or core.is_virtual() then return end
  if self.counting or core.monotonic() < self.due then return end
  begin(self)
end

-- What this process works on.
local function add_works(self, row_of)
  for work in pairs(self.store._works) do
    for _, queue in ipairs(work._queues) do
      local row = row_of(queue.name)
      row.here, row.limit = row.here + queue.running, (row.limit or 0) + queue.limit
    end
  end
end

local function add_counts(self, rows)
  local counted = core.monotonic() - self.at
  for _, row in ipairs(rows) do
    local counts = self.counts[row.name] or {}
    for _, state in ipairs { "running", "ready", "scheduled", "dead" } do
      row[state] = counts[state] or 0
    end
    row.paused, row.counted = counts.paused, counted
    row.oldest = counts.oldest and counts.oldest / 1e6
  end
end

function Census:rows()
  if self.in_copy then begin(self) end
  local rows, by_name = {}, {}
  local function row_of(name)
    local row = by_name[name]
    if not row then
      row = { name = name, store = self.store._label, here = 0, counting = self.counting }
      by_name[name], rows[#rows + 1] = row, row
    end
    return row
  end
  add_works(self, row_of)
  for name in pairs(self.counts or {}) do row_of(name) end
  if self.counts then add_counts(self, rows) end
  return rows
end

return census
