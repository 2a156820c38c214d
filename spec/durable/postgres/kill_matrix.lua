-- Kills a program that stores and runs tasks at its n-th message to or from the server, starts it
-- again, and checks that nothing was lost and that nothing ran again that was known to be done:
--   script/postgres lua5.4 spec/durable/postgres/kill_matrix.lua [FIRST [STEP [LAST]]]
-- Without numbers every moment is tried, as `script/verify kills` does.

local files = require "spec.files"
local process = require "spec.process"
local server = require "spec.durable.postgres.server"

local matrix = {}

--- Compiles kills.c; returns the path of the library.
function matrix.compile()
  local library = os.tmpname()
  -- A sanitizer is for our own programs.
  local command = "env LD_PRELOAD= cc -O1 -shared -fPIC -o %s spec/durable/postgres/kills.c -ldl"
  assert(os.execute(command:format(process.quote(library))))
  return library
end

local function run(place, journal, env, finish)
  local command = ("%s %s spec/durable/postgres/scenario.lua '%s' %s %s %s"):format(
    process.GUARD, process.command(env), place.where, place.schema, journal, finish or "")
  local _, kind, status = os.execute("{ " .. command .. "; } >>" .. journal .. " 2>&1")
  return kind == "exit" and status or "signal " .. status
end

local function column(place, what)
  local found = {}
  for _, row in ipairs(server.run(("SELECT %s"):format(what:gsub("@", place.schema .. ".")))) do
    found[row[1]] = true
  end
  return found
end

local function read(journal)
  local stored, runs = {}, {}
  for line in journal:gmatch "[^\n]+" do
    local word, name = line:match "^(%S+) ?(%S*)"
    if word == "stored" then stored[name] = true end
    if word == "ran" then runs[name] = (runs[name] or 0) + 1 end
  end
  return stored, runs
end

-- What is wrong, or nil. That the program did not end comes first: what it has not come to is not
-- lost. `before` are the runs until the process was killed, `known` what was done.
local function problem_of(place, journal, before, known)
  local stored, runs = read(journal)
  local rows = column(place, "name FROM @row")
  if not journal:find "all done" then return "it did not end" end
  for name in pairs(stored) do
    if not runs[name] then return "lost: " .. name end
    if tonumber(name:match "%d+") % 5 == 0 and not rows[name] then return "no row: " .. name end
  end
  for name in pairs(rows) do
    if not runs[name] then return "a row without its task: " .. name end
  end
  for name in pairs(known) do
    if runs[name] ~= before[name] then return "ran again after it was done: " .. name end
  end
  local live = next(column(place, "id FROM @task WHERE state <> 3"))
  if live then return ("not done: %d"):format(live) end
end

-- The tasks of a store, one a line.
local function tasks_of(place)
  local lines = {}
  local query = "SELECT t::text FROM " .. place.schema .. ".task t ORDER BY id"
  for i, row in ipairs(server.run(query)) do lines[i] = row[1] end
  return table.concat(lines, "\n")
end

--- One moment. Returns whether the program was killed there, and what was wrong, with all that is
--- known of it.
function matrix.try(library, n)
  local place, journal = server.new_place(), os.tmpname()
  run(place, journal, "", "finish") -- makes the tables
  server.run("CREATE TABLE " .. place.schema .. ".row (name text)")
  files.write(journal, "")
  local status = run(place, journal,
    ("LD_PRELOAD=%s FAULT_AT=%d"):format(process.quote(library), n))
  local _, before = read(files.read(journal))
  local known = column(place, [[trim('"' FROM args) FROM @task WHERE state = 3]])
  local killed = status ~= 0
  if killed then run(place, journal, "", "finish") end
  local text = files.read(journal)
  local problem = problem_of(place, text, before, known)
  problem = problem and ("at %d: %s\nthe program ended with %s, and this was written:\n%s" ..
    "\nthe tasks:\n%s"):format(n, problem, status, text, tasks_of(place))
  os.remove(journal)
  place.remove()
  return killed, problem
end

--- Many moments, up to the first one that the program does not reach.
function matrix.run(first, step, last)
  local library, tried = matrix.compile(), 0
  for n = first, last, step do
    local killed, problem = matrix.try(library, n)
    if problem then return nil, problem end
    if not killed then break end
    tried = tried + 1
  end
  os.remove(library)
  return tried
end

if arg and arg[0] and arg[0]:find "kill_matrix%.lua$" then
  package.path = "./?.lua;" .. package.path
  local tried, problem = matrix.run(tonumber(arg[1] or 1), tonumber(arg[2] or 1),
    tonumber(arg[3] or math.maxinteger))
  print(problem or ("%d moments"):format(tried))
  os.exit(not problem)
end

return matrix
