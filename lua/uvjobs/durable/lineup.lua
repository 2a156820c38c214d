-- The tasks of one queue in memory: those that are ready, by level and then by (due, id),
-- and those that are scheduled, by due. A task that leaves them in the middle leaves its
-- entry behind, which is skipped when its turn comes.

local lineup = {}

local LEVELS <const> = 10

-- An entry is { due, id, row }; without the row it has been taken out.
local function before(a, b)
  if a[1] ~= b[1] then return a[1] < b[1] end
  return a[2] < b[2]
end

-- ---- a sorted list with a moving beginning -----------------------------------------

-- Almost everything is added at the end, or, when it comes back, at the beginning.
local function list_add(list, entry)
  local first, last = list.first, list.last
  if last < first or not before(entry, list[last]) then
    list.last = last + 1
    list[last + 1] = entry
  elseif before(entry, list[first]) then
    list.first = first - 1
    list[first - 1] = entry
  else
    local low, high = first, last -- the place is behind low, and at high at the latest
    while high - low > 1 do
      local middle = (low + high) // 2
      if before(entry, list[middle]) then high = middle else low = middle end
    end
    table.move(list, high, last, high + 1)
    list[high] = entry
    list.last = last + 1
  end
end

local function list_trim(list)
  while list.first <= list.last and not list[list.first][3] do
    list[list.first] = nil
    list.first = list.first + 1
  end
  if list.first > list.last then list.first, list.last = 1, 0 end
end

-- ---- a heap ------------------------------------------------------------------------

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
  local entry = { row.due, row.id, row }
  row.entry = entry
  list_add(self[row.priority], entry)
end

--- Adds a task that is scheduled.
function lineup.add_scheduled(self, row)
  local entry = { row.due, row.id, row }
  row.entry = entry
  heap_add(self.scheduled, entry)
end

--- Takes a task out, wherever it is.
function lineup.remove(row)
  if row.entry then
    row.entry[3] = nil
    row.entry = nil
  end
end

--- Takes the next scheduled task that is due, or returns nil and when one is.
function lineup.take_due(self, now)
  local heap = self.scheduled
  while heap[1] do
    local entry = heap[1]
    if entry[3] and entry[1] > now then return nil, entry[1] end
    heap_pop(heap)
    if entry[3] then
      entry[3].entry = nil
      return entry[3]
    end
  end
end

--- For a `for` loop: the ready tasks in order, when waiting makes none more urgent.
function lineup.plain(self)
  local level, i = 0, nil
  return function()
    while level < LEVELS do
      local list = self[level]
      if not i then
        list_trim(list)
        i = list.first
      end
      while i <= list.last do
        local row = list[i][3]
        i = i + 1
        if row then return row end
      end
      level, i = level + 1, nil
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
      local entry = list[at[level]]
      if entry[3] then return entry end
      at[level] = at[level] + 1
    end
  end
  return function()
    local best, best_level, best_rank
    for level = 0, LEVELS - 1 do
      local entry = head(level)
      local rank = entry and level_of(entry[3])
      if entry and (not best or rank < best_rank or rank == best_rank and before(entry, best)) then
        best, best_level, best_rank = entry, level, rank
      end
    end
    if not best then return nil end
    at[best_level] = at[best_level] + 1
    return best[3]
  end
end

return lineup
