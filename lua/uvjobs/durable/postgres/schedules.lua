-- The operations of the store in PostgreSQL on schedules.

local plans = {}

local FIND <const> = "SELECT spec, last, next FROM @schedule WHERE name = $1 FOR UPDATE"

local PUT <const> = [[INSERT INTO @schedule AS s (name, spec, task, next)
  VALUES ($1, $2, $3, $4::bigint) ON CONFLICT (name) DO UPDATE SET task = excluded.task,
    spec = excluded.spec, next = CASE WHEN s.spec = excluded.spec THEN s.next
      ELSE excluded.next END]]

function plans.schedule(request)
  return {
    { FIND, request.name, n = 1 },
    { PUT, request.name, request.spec, request.task, request.next, n = 4 },
  }, function(results)
    local row = results[1][1]
    return row and { spec = row[1], last = row[2], next = row[3] } or false
  end
end

function plans.schedules()
  return {
    { [[SELECT name, spec, task, last, next, next - @NOW FROM @schedule ORDER BY name]], n = 0 },
  }, function(results)
    local found = {}
    for i, row in ipairs(results[1]) do
      found[i] = {
        name = row[1], spec = row[2], task = row[3], last = row[4], next = row[5], delay = row[6],
      }
    end
    return found
  end
end

function plans.unschedule(request)
  return { { "DELETE FROM @schedule WHERE name = $1", request.name, n = 1 } },
    function(results) return results[1].changes == 1 end
end

return plans
