-- The operations of the store in SQLite on schedules. When a schedule fires, the tasks are
-- stored and the schedule is moved on in one transaction (D18).

local tasks = require "uvjobs.durable.sqlite.tasks"

local schedules = {}

local FIND <const> = "SELECT spec, last, next FROM uvjobs_schedule WHERE name = ?"

-- In an update the names stand for what was there before.
local PUT <const> = [[INSERT INTO uvjobs_schedule (name, spec, task, next) VALUES (?, ?, ?, ?)
  ON CONFLICT (name) DO UPDATE SET task = excluded.task, spec = excluded.spec,
    next = CASE WHEN spec = excluded.spec THEN next ELSE excluded.next END]]

function schedules.schedule(self, request)
  local spec, last, next_date = self:sql(FIND):first(request.name)
  self:sql(PUT):run(request.name, request.spec, request.task, request.next)
  return spec and { spec = spec, last = last, next = next_date } or false
end

function schedules.schedules(self)
  local found, now = {}, self.clock.date()
  local rows = self:sql [[SELECT name, spec, task, last, next FROM uvjobs_schedule
    ORDER BY name]]:rows()
  for i, row in ipairs(rows) do
    found[i] = {
      name = row[1], spec = row[2], task = row[3], last = row[4], next = row[5],
      delay = row[5] and row[5] - now,
    }
  end
  return found
end

function schedules.fire(self, request)
  local moved = self:sql [[UPDATE uvjobs_schedule SET last = ?, next = ?
    WHERE name = ? AND next = ?]]:run(request.last, request.next, request.name, request.expected)
  if moved == 0 then return false end
  return tasks.enqueue(self, { tasks = request.tasks })
end

function schedules.unschedule(self, request)
  return self:sql("DELETE FROM uvjobs_schedule WHERE name = ?"):run(request.name) == 1
end

return schedules
