-- The tasks of one queue in memory: those that are ready, by level and then by (due, id),
-- and those that are scheduled, by due. A task that leaves them in the middle stays where it is,
-- in another state, and is skipped when its turn comes.

local rules = require "uvjobs.durable.rules"

local lineup = {}

local LEVELS <const> = 10
local READY <const>, SCHEDULED <const> = rules.READY, rules.SCHEDULED

-- ---- a sorted list with a moving beginning -----------------------------------------

local function is_before(a, b)
  if a.due ~= b.due then return a.due < b.due end
  return a.id < b.id
end

-- Almost everything is added at the end, or, when it comes back, at the beginning.
local function list_add(list, row)
  local first, last = list.first, list.last
  if last < first or not is_before(row, list[last]) then
    list.last = last + 1
    list[last + 1] = row
  elseif is_before(row, list[first]) then
    list.first = first - 1
    list[first - 1] = row
  else
    local low, high = first, last -- the place is behind low, and at high at the latest
    while high - low > 1 do
      local middle = (low + high) // 2
      if is_before(row, list[middle]) then high = middle else low = middle end
    end
    table.move(list, high, last, high + 1)
    list[high] = row
    list.last = last + 1
  end
end

local function list_trim(list)
  local first = list.first
  while first <= list.last and list[first].state ~= READY do
    list[first] = nil
    first = first + 1
  end
  if first > list.last then first, list.last = 1, 0 end
  list.first = first
end

-- ---- a heap ------------------------------------------------------------------------

-- An entry is { number, id, row }.
local function before(a, b)
  if a[1] ~= b[1] then return a[1] < b[1] end
  return a[2] < b[2]
end

local function heap_add(heap, entry)
  local i = #heap + 1
  while i > 1 do
    local up = i // 2
    if not before(entry, heap[up]) then break end
    heap[i] = heap[up]
    i = up
  end
  heap[i] = entry
end

local function heap_pop(heap)
  local top, last = heap[1], table.remove(heap)
  local n = #heap
  if n == 0 then return top end
  local i = 1
  while true do
    local down = 2 * i
    if down > n then break end
    if down < n and before(heap[down + 1], heap[down]) then down = down + 1 end
    if not before(heap[down], last) then break end
    heap[i] = heap[down]
    i = down
  end
  heap[i] = last
  return top
end

--- Adds an entry { number, id, row } to a heap, which is a list.
lineup.heap_add = heap_add
--- Takes the least entry out of a heap, which is not empty.
lineup.heap_pop = heap_pop

-- ---- the line ----------------------------------------------------------------------

function lineup.new()
  local self = { scheduled = {} }
  for level = 0, LEVELS - 1 do self[level] = { first = 1, last = 0 } end
  return self
end

--- Adds a task that is ready.
function lineup.add(self, row)
  list_add(self[row.priority], row)
end

--- Adds a task that is scheduled.
function lineup.add_scheduled(self, row)
  heap_add(self.scheduled, { row.due, row.id, row })
end

--- Takes the next scheduled task that is due, or returns nil and when one is.
function lineup.take_due(self, now)
  local heap = self.scheduled
  while heap[1] do
    local due, row = heap[1][1], heap[1][3]
    local is_there = row.state == SCHEDULED
    if is_there and due > now then return nil, due end
    heap_pop(heap)
    if is_there then return row end
  end
end

--- For a `for` loop: the ready tasks in order, when waiting makes none more urgent.
function lineup.plain(self)
  local level, i, list = -1, 1, { last = 0 }
  return function()
    while true do
      while i <= list.last do
        local row = list[i]
        i = i + 1
        if row.state == READY then return row end
      end
      level = level + 1
      if level == LEVELS then return nil end
      list = self[level]
      list_trim(list)
      i = list.first
    end
  end
end

--- The same when waiting makes them more urgent: level_of(row) says how urgent they are. The
--- first of each level are compared.
function lineup.aged(self, level_of)
  local at = {}
  for level = 0, LEVELS - 1 do
    list_trim(self[level])
    at[level] = self[level].first
  end
  local function head(level)
    local list = self[level]
    while at[level] <= list.last do
      local row = list[at[level]]
      if row.state == READY then return row end
      at[level] = at[level] + 1
    end
  end
  return function()
    local best, best_level, best_rank
    for level = 0, LEVELS - 1 do
      local row = head(level)
      local rank = row and level_of(row)
      if row and (not best or rank < best_rank or rank == best_rank and is_before(row, best)) then
        best, best_level, best_rank = row, level, rank
      end
    end
    if not best then return nil end
    at[best_level] = at[best_level] + 1
    return best
  end
end

return lineup
