-- Who cannot go on, and the circles of jobs that wait for each other.
--
-- A job that needs nobody can go on: it runs, or waits for time, I/O, or something that
-- anybody may do. A job that needs any of its holders can go on when one of them can, and one
-- that needs all when all can. Those that are left when nothing more follows from this are
-- the ones that cannot (a least fixed point, found with a list of work).

local core = require "uvjobs.core"

core.own_source()

local graph = {}

-- Those that need a holder, and how many holders each of them still waits for to go on.
local function prepare(records, nobody_helps)
  local waiting, missing = {}, {}
  for _, record in ipairs(records) do
    local needs = nobody_helps and record.likely or record.needs
    if needs ~= "none" and #record.holders > 0 then
      waiting[#waiting + 1] = record
      missing[record] = needs == "all" and #record.holders or 1
    end
  end
  return waiting, missing
end

-- The dependants of each holder, and the holders that can go on. Lists of holders can be long
-- and shared: those who wait for the same list are one entry of each holder.
local function connect(waiting, missing)
  local waiters, dependants, work = {}, {}, {} -- waiters: by list
  for _, record in ipairs(waiting) do
    local list = record.holders
    if waiters[list] then
      table.insert(waiters[list], record)
    else
      waiters[list] = { record }
      for _, holder in ipairs(list) do
        if not dependants[holder] then
          dependants[holder] = {}
          if not missing[holder] then work[#work + 1] = holder end
        end
        table.insert(dependants[holder], waiters[list])
      end
    end
  end
  return dependants, work
end

--- The jobs that cannot go on, whatever the others do that can, unless somebody cancels one.
---@param records uvjobs.insight.Record[] all of a look
---@param nobody_helps? boolean it is known that no job does what it only could do
---@return table<uvjobs.insight.Record, true> stuck
function graph.stuck(records, nobody_helps)
  local waiting, missing = prepare(records, nobody_helps)
  local dependants, work = connect(waiting, missing)
  local goes_on = {}
  while #work > 0 do
    local record = table.remove(work)
    if not goes_on[record] then
      goes_on[record] = true
      for _, waiters in ipairs(dependants[record] or {}) do
        for _, waiter in ipairs(waiters) do
          missing[waiter] = missing[waiter] - 1
          if missing[waiter] <= 0 then work[#work + 1] = waiter end
        end
      end
    end
  end
  local stuck = {}
  for _, record in ipairs(waiting) do
    if not goes_on[record] then stuck[record] = true end
  end
  return stuck
end

--- The holder that a job waits for: one that is stuck if the job is, or else the first.
---@param record uvjobs.insight.Record
---@param stuck table<uvjobs.insight.Record, true>
---@return uvjobs.insight.Record? holder
function graph.next(record, stuck)
  for _, holder in ipairs(record.holders) do
    if stuck[holder] then return holder end
  end
  return record.holders[1]
end

-- Follows the holders from a stuck job until one comes again: returns the circle.
local function circle_from(record, stuck, seen, mark)
  local path, place = {}, {}
  while record and stuck[record] do
    if place[record] then return table.move(path, place[record], #path, 1, {}) end
    if seen[record] then return nil end
    seen[record] = mark
    path[#path + 1], place[record] = record, #path + 1
    record = graph.next(record, stuck)
  end
  return nil
end

--- The circles of jobs that wait for each other, each once, in the order of the waits and
--- beginning with its smallest number.
---@param records uvjobs.insight.Record[]
---@param stuck table<uvjobs.insight.Record, true>
---@return uvjobs.insight.Record[][] circles
function graph.circles(records, stuck)
  local circles, seen = {}, {}
  if not next(stuck) then return circles end
  for _, record in ipairs(records) do
    local circle = stuck[record] and circle_from(record, stuck, seen, record)
    if circle then
      local first = 1
      for i, member in ipairs(circle) do
        if member.id < circle[first].id then first = i end
      end
      local turned = table.move(circle, first, #circle, 1, {})
      circles[#circles + 1] = table.move(circle, 1, first - 1, #turned + 1, turned)
    end
  end
  return circles
end

return graph
