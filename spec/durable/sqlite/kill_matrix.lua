-- Kills a program that stores and runs tasks at its n-th write, sync or statement, starts it
-- again, and checks that nothing was lost and that nothing ran again that was known to be done:
--   lua spec/durable/sqlite/kill_matrix.lua HOW [DURABILITY [FIRST [STEP [LAST]]]]
-- HOW is one of faults.c: kill, torn, power. Without the rest every moment is tried.

local files = require "spec.files"
local process = require "spec.process"
local stores = require "spec.durable.stores"

local matrix = {}

--- Compiles faults.c; returns the path of the library.
function matrix.compile()
  local library = os.tmpname()
  -- A sanitizer is for our own programs.
  local command = "env LD_PRELOAD= cc -O1 -shared -fPIC -o %s spec/durable/sqlite/faults.c -ldl"
  assert(os.execute(command:format(process.quote(library))))
  return library
end

--- Settings of the environment with which a program is run under the library.
function matrix.preload(library)
  local before = os.getenv "LD_PRELOAD"
  return "LD_PRELOAD=" .. process.quote(before and before .. " " .. library or library)
end

local function run(library, path, arguments, env)
  local command = ("%s env %s FAULT_PATH=%s %s %s spec/durable/sqlite/scenario.lua %s"):format(
    process.GUARD, matrix.preload(library), path, env, process.command(""), arguments)
  local _, kind, status = os.execute("{ " .. command .. "; } >/dev/null 2>&1")
  return kind == "exit" and status or "signal " .. status
end

local function check(journal, rows, how)
  local stored, ran, done_before, killed = {}, {}, {}, false
  for line in journal:gmatch "[^\n]+" do
    local word, name = line:match "^(%S+) ?(%S*)"
    if word == "stored" then stored[name] = true end
    if word == "ran" then
      ran[name] = (ran[name] or 0) + 1
      if killed and done_before[name] then return "ran again after it was done: " .. name end
    end
    if word == "known" then done_before[name] = true end
    if word == "killed" then killed = true end
    if word == "left" and not line:find " done " then return "left: " .. line end
  end
  -- What a program that did not end has not come to is not lost.
  if not journal:find "all done" then return "it did not end" end
  for name in pairs(stored) do
    if not ran[name] then return "lost: " .. name .. " (" .. how .. ")" end
    if tonumber(name:match "%d+") % 5 == 0 and not rows[name] then return "no row: " .. name end
  end
  for name in pairs(rows) do
    if not ran[name] then return "a row without its task: " .. name end
  end
end

-- What is in the database: the rows of transactions, and which tasks are done.
local function look(path)
  local native = require "uvjobs.store.sqlite"
  local db = native.open(path, 5000)
  local rows, done = {}, {}
  local ok, found = pcall(function() return db:prepare("SELECT name FROM rows"):rows() end)
  for _, row in ipairs(ok and found or {}) do rows[row[1]] = true end
  ok, found = pcall(function()
    return db:prepare("SELECT args FROM uvjobs_task WHERE state = 3"):rows()
  end)
  for _, row in ipairs(ok and found or {}) do done[#done + 1] = row[1]:match '"(.*)"' end
  assert(db:prepare("PRAGMA integrity_check"):first() == "ok", "the database is damaged")
  db:close()
  return rows, done
end

--- One moment. Returns whether the program was killed there, and what was wrong.
function matrix.try(library, how, durability, n)
  local path, journal = stores.new_path(), os.tmpname()
  local arguments = ("%s %s %s"):format(path, journal, durability)
  local status = run(library, path, arguments,
    ("FAULT_AT=%d FAULT_HOW=%s FAULT_SEED=%d"):format(n, how, n))
  local killed = status ~= 0
  if killed then
    if how == "power" then os.remove(path .. "-shm") end
    local file <close> = assert(io.open(journal, "a"))
    local _, done = look(path)
    for _, name in ipairs(done) do file:write("known ", name, "\n") end
    file:write "killed\n"
    file:close()
    run(library, path, arguments .. " finish", "")
  end
  local text = files.read(journal)
  local rows = look(path)
  local problem = check(text, rows, how)
  if problem then problem = ("%s at %d, %s: %s\n%s"):format(how, n, path, problem, text) end
  if not problem then stores.remove(path) end
  os.remove(journal)
  return killed, problem
end

--- Many moments, up to the first one that the program does not reach.
function matrix.run(how, durability, first, step, last)
  local library, n, tried = matrix.compile(), first, 0
  while n <= last do
    local killed, problem = matrix.try(library, how, durability, n)
    if problem then return nil, problem end
    if not killed then break end
    tried = tried + 1
    n = n + step
  end
  os.remove(library)
  return tried
end

if arg and arg[0] and arg[0]:find "kill_matrix%.lua$" then
  local how, durability, first, step, last = table.unpack(arg, 1, 5)
  local tried, problem = matrix.run(how, durability or "full", tonumber(first or 1),
    tonumber(step or 1), tonumber(last or math.huge))
  print(problem or ("%d moments"):format(tried))
  os.exit(not problem)
end

return matrix
