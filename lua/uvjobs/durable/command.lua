-- The command `uvjobs queue`: looks at the tasks of a store, and changes them.

local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local durable = require "uvjobs.durable"

core.own_source()

local command = {}

local USAGE = [[
usage: uvjobs queue STORE [stats]
       uvjobs queue STORE list [filters]
       uvjobs queue STORE show ID...
       uvjobs queue STORE retry | cancel ID... | filters
       uvjobs queue STORE pause | resume QUEUE...
       uvjobs queue STORE prune
       uvjobs queue STORE schedules

Looks at the tasks of durable jobs, and changes them, while programs use the store. STORE
is "sqlite:" and the path of a file, or a path alone; or "postgres://..." and so on.

  stats      how many tasks there are, by queue and state
  list       tasks, one a line: id, state, kind, queue, attempt, when, and the last error
  show       all that is known of tasks
  retry      makes tasks ready that are dead, cancelled, done or scheduled
  cancel     cancels tasks, also those that run
  pause      nothing of a queue is claimed any more, until "resume"
  prune      deletes tasks that have ended and been kept long enough
  schedules  the schedules, when each has fired last and fires next

filters:
  --state=STATE       scheduled, ready, running, done, dead or cancelled
  --queue=QUEUE
  --kind=KIND         with * for any text and ? for one character
  --key=KEY
  --limit=N           at most N tasks (100 for list, all for retry and cancel)

options:
  --json              one value of JSON a line
  -h, --help          print this text

exit status:
  0        done
  1        a task or a store was not there, or a task could not be changed
  2        wrong usage
]]

local FILTERS <const> = { state = true, queue = true, kind = true, key = true, limit = true }
local LIST_LIMIT <const> = 100

local function complain(text)
  pcall(io.stdout.flush, io.stdout)
  io.stderr:write("uvjobs: ", text, "\n")
end

local function usage_error(text)
  complain(text .. "\nTry 'uvjobs queue --help'.")
  return 2
end

-- ---- the command line --------------------------------------------------------------

local ALL <const> = { help = true, json = true }
for name in pairs(FILTERS) do ALL[name] = true end

-- Returns the words and the options; or nil and what is wrong.
local function read(args)
  local words, given = {}, { filter = {} }
  for i = 2, #args do
    local name, value = args[i]:match "^%-%-([%w-]+)=?(.*)$"
    if args[i] == "-h" then name = "help" end
    if not name then
      words[#words + 1] = args[i]
    elseif name == "help" or name == "json" then
      given[name] = true
    elseif not FILTERS[name] then
      return nil, ("unknown option '--%s', did you mean '--%s'?"):format(name,
        core.nearest(name, ALL) or "help")
    elseif value == "" then
      return nil, ("option '--%s' needs a value"):format(name)
    else
      given.filter[name] = name == "limit" and (math.tointeger(tonumber(value)) or value) or value
    end
  end
  return words, given
end

-- Where a store is. A path alone is that of a file.
local function where_of(text)
  if text:find "^%a[%w+]*:" then return text end
  return "sqlite:" .. text
end

-- Looking must not make a store.
local function missing_file(where)
  local path = where:match "^sqlite:(.*)$"
  local file = path and io.open(path)
  if file then file:close() end
  return path and not file and path
end

local function id_of(text)
  local id = math.tointeger(tonumber(text))
  return id and id > 0 and id or nil
end

-- ---- printing ----------------------------------------------------------------------

local function date(time)
  return time and os.date("%Y-%m-%d %H:%M:%S", time // 1 | 0) or "-"
end

local function first_line(text, most)
  text = text:match "^[^\n]*"
  return #text > most and text:sub(1, most) .. "..." or text
end

local function json(value)
  return core.encode(value, math.maxinteger) or "null"
end

local function when_of(task)
  return date(task.ended or task.started or task.due)
end

local function print_task(task, given)
  if given.json then
    print(json(task))
    return
  end
  local last = task.errors[#task.errors]
  print(("%d\t%s\t%s\t%s\t%d/%d\t%s\t%s"):format(task.id, task.state, task.kind, task.queue,
    task.attempt, task.attempts, when_of(task), last and first_line(last.message, 60) or ""))
end

local ORDER <const> = {
  "kind", "queue", "state", "reason", "key", "priority", "attempt", "attempts", "crashes",
  "process", "cancelling",
}

local function show_task(task, given)
  if given.json then
    print(json(task))
    return
  end
  print(("task %d"):format(task.id))
  for _, name in ipairs(ORDER) do
    if task[name] ~= nil then print(("  %-10s %s"):format(name, tostring(task[name]))) end
  end
  for _, name in ipairs { "enqueued", "due", "started", "ended" } do
    if task[name] then print(("  %-10s %s"):format(name, date(task[name]))) end
  end
  print("  args       " .. json(task.args))
  if task.saved ~= nil then print("  saved      " .. json(task.saved)) end
  for _, err in ipairs(task.errors) do
    print(("  error      %s attempt %s: %s"):format(date(err.at), tostring(err.attempt),
      tostring(err.message)))
    if err.traceback then print((err.traceback:gsub("^", "    "):gsub("\n", "\n    "))) end
  end
end

-- ---- commands ----------------------------------------------------------------------

local commands = {}

function commands.stats(store, _, given)
  local stats, names = store:stats(), {}
  if given.json then
    print(json(stats))
    return 0
  end
  for name in pairs(stats.queues) do names[#names + 1] = name end
  table.sort(names)
  print "queue\tready\trunning\tscheduled\tdone\tdead\tcancelled\twaits"
  for _, name in ipairs(names) do
    local q = stats.queues[name]
    print(("%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s"):format(name, q.ready, q.running, q.scheduled, q.done,
      q.dead, q.cancelled, q.paused and "paused" or
      q.oldest and ("%.1f s"):format(q.oldest) or "-"))
  end
  print(("%d %s"):format(stats.processes, stats.processes == 1 and "process" or "processes"))
  return 0
end

function commands.list(store, _, given)
  given.filter.limit = given.filter.limit or LIST_LIMIT
  for task in store:tasks(given.filter) do print_task(task, given) end
  return 0
end

-- Calls fn(id) for the ids of the words, or of the tasks that match.
local function for_each(store, words, given, fn)
  local status = 0
  local function one(id)
    local problem = fn(id)
    if problem then
      complain(("task %d: %s"):format(id, problem))
      status = 1
    end
  end
  if #words == 0 then
    local ids = {}
    for task in store:tasks(given.filter) do ids[#ids + 1] = task.id end
    for _, id in ipairs(ids) do one(id) end
    print(("%d tasks"):format(#ids))
    return status
  end
  for _, word in ipairs(words) do
    local id = id_of(word)
    if not id then return usage_error(("id of a task expected, got '%s'"):format(word)) end
    one(id)
  end
  return status
end

function commands.show(store, words, given)
  if #words == 0 then return usage_error "an id is missing" end
  return for_each(store, words, given, function(id)
    local task = store:get(id)
    if not task then return "it is not there" end
    show_task(task, given)
  end)
end

local PROBLEMS <const> = {
  gone = "it is not there", duplicate = "another task of its key is live",
}

local function has_none(words, given)
  return #words == 0 and next(given.filter) == nil
end

function commands.retry(store, words, given)
  if has_none(words, given) then return usage_error "ids or filters are missing" end
  return for_each(store, words, given, function(id)
    local ok, why = store:retry(id)
    return not ok and PROBLEMS[why] or nil
  end)
end

function commands.cancel(store, words, given)
  if has_none(words, given) then return usage_error "ids or filters are missing" end
  return for_each(store, words, given, function(id)
    return not store:cancel(id) and "it has ended, or is not there" or nil
  end)
end

local function for_queues(words, fn)
  if #words == 0 then return usage_error "the name of a queue is missing" end
  for _, queue in ipairs(words) do fn(queue) end
  return 0
end

function commands.pause(store, words)
  return for_queues(words, function(queue) store:pause(queue) end)
end

function commands.resume(store, words)
  return for_queues(words, function(queue) store:resume(queue) end)
end

function commands.prune(store)
  print(("%d tasks deleted"):format(store:prune()))
  return 0
end

function commands.schedules(store, _, given)
  for _, one in ipairs(store:schedules()) do
    if given.json then
      print(json(one))
    else
      print(("%s\t%s\t%s\tlast %s\tnext %s"):format(one.name, one.kind or "?", one.schedule,
        date(one.last), date(one.next)))
    end
  end
  return 0
end

-- ---- running -----------------------------------------------------------------------

local function perform(where, name, words, given)
  local store <close> = durable.open(where)
  return commands[name](store, words, given)
end

--- Runs the command. It blocks until it is done. Errors are printed, and raised to nobody.
---@param args string[] the command line, of which "queue" is the first word
---@return integer status what the process should exit with
function command.main(args)
  local words, given = read(args)
  if not words then return usage_error(given) end
  if given.help then
    io.stdout:write(USAGE)
    return core.flush() and 0 or 1
  end
  if #words == 0 then return usage_error "a store is missing" end
  local where, name = where_of(table.remove(words, 1)), table.remove(words, 1) or "stats"
  if not commands[name] then
    local nearest = core.nearest(name, commands)
    return usage_error(("unknown command '%s'%s"):format(name,
      nearest and (", did you mean '%s'?"):format(nearest) or ""))
  end
  local path = missing_file(where)
  if path then
    complain(("there is no file '%s'"):format(path))
    return 1
  end
  local ok, status = pcall(uvjobs.run, perform, where, name, words, given)
  if not ok then
    complain((tostring(status):gsub("^[^\n]-:%d+: ", "")))
    return 1
  end
  return core.flush() and status or 1
end

return command
