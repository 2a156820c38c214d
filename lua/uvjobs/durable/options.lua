-- The options of durable jobs, and how they become what a store is told. Times are seconds
-- above and microseconds below.

local arguments = require "uvjobs.arguments"
local backoff = require "uvjobs.policy.backoff"
local core = require "uvjobs.core"

core.own_source()

local expect <const> = arguments.expect
local kind_of <const> = arguments.kind

local options = {}

local DAY <const> = 86400
local LONGEST <const> = 1e12            -- seconds that a time can have: 31,700 years
local MOST_NAME <const> = 255           -- bytes of a name
local MOST_ATTEMPTS <const> = 1000000
local LEASE_MIN <const>, LEASE_MAX <const> = 2, 3600 -- seconds
options.ARGS_LIMIT = 256 * 1024         -- bytes

--- Seconds as whole microseconds; what is longer than LONGEST counts as that.
function options.microseconds(seconds)
  return math.floor(math.min(seconds, LONGEST) * 1e6 + 0.5)
end

-- ---- kinds of values ---------------------------------------------------------------

--- A name that a database can keep.
options.is_name = kind_of(function(value)
  return type(value) == "string" and #value >= 1 and #value <= MOST_NAME and
    utf8.len(value) ~= nil and not value:find("\0", 1, true)
end, ("name of 1 to %d bytes in UTF-8"):format(MOST_NAME))

local is_priority = kind_of(function(value)
  return math.type(value) == "integer" and value >= 0 and value <= 9
end, "integer from 0 to 9")

local is_attempts = kind_of(function(value)
  return math.type(value) == "integer" and value >= 1 and value <= MOST_ATTEMPTS
end, ("integer from 1 to %d"):format(MOST_ATTEMPTS))

local is_date = kind_of(function(value)
  return type(value) == "number" and value >= 0 and value <= LONGEST
end, "seconds since 1970")

local is_lease = kind_of(function(value)
  return type(value) == "number" and value >= LEASE_MIN and value <= LEASE_MAX
end, ("seconds from %d to %d"):format(LEASE_MIN, LEASE_MAX))

local is_on_key = kind_of(function(value)
  return value == "keep" or value == "replace" or value == "debounce"
end, "'keep', 'replace' or 'debounce'")

local is_positive_seconds = kind_of(function(value)
  return type(value) == "number" and value > 0
end, "seconds > 0 or math.huge")

-- ---- kinds of tasks ----------------------------------------------------------------

local KIND_OPTIONS <const> = {
  queue = options.is_name,
  attempts = is_attempts,
  backoff = backoff.kind,
  timeout = expect.seconds_or_forever,
  priority = is_priority,
  keep_done = expect.seconds_or_forever,
  keep_dead = expect.seconds_or_forever,
  most_crashes = expect.positive_integer,
}

local BACKOFF_BASE <const>, BACKOFF_MAX <const> = 1, 3600 -- seconds

local function complete_backoff(value)
  if type(value) ~= "number" then
    local copy = { base = BACKOFF_BASE, jitter = "equal" }
    for name, given in next, value or {} do copy[name] = given end
    value = copy
  end
  return backoff.complete(value, BACKOFF_MAX)
end

--- What is known of a kind, from the options of define().
local function complete_kind(given, fn)
  return {
    fn = fn,
    queue = given.queue or "default",
    attempts = given.attempts or 20,
    backoff = complete_backoff(given.backoff),
    timeout = given.timeout ~= math.huge and given.timeout or nil,
    priority = given.priority or 5,
    keep_done = options.microseconds(given.keep_done or 0),
    keep_dead = options.microseconds(given.keep_dead or 30 * DAY),
    most_crashes = given.most_crashes or 3,
  }
end

--- Checks what define() was called with; blames its caller.
function options.kind(name, given, fn)
  local expected = options.is_name(name)
  if expected then arguments.fail(3, 1, "define", arguments.unexpected_value(expected, name)) end
  if fn == nil and type(given) == "function" then return complete_kind({}, given) end
  local problem = arguments.problem_of_options(given, KIND_OPTIONS)
  if problem then arguments.fail(3, 2, "define", problem) end
  arguments.check_function(3, 3, "define", fn)
  return complete_kind(arguments.raw(given), fn)
end

local REMOTE <const> = complete_kind({})

-- ---- tasks -------------------------------------------------------------------------

local TASK_OPTIONS <const> = {
  delay = expect.finite_seconds,
  at = is_date,
  priority = is_priority,
  key = options.is_name,
  on_key = is_on_key,
  queue = options.is_name,
  attempts = is_attempts,
  remote = expect.boolean,
}

local function problem_of_task(given)
  local problem = arguments.problem_of_options(given, TASK_OPTIONS)
  if problem then return problem end
  if given.delay and given.at then return "options 'delay' and 'at' exclude each other" end
  if given.on_key and not given.key then return "option 'on_key' needs a 'key'" end
end

local function problem_of_kind(kinds, kind, given)
  local expected = options.is_name(kind)
  if expected then return arguments.unexpected_value(expected, kind) end
  if not kinds[kind] and not given.remote then
    return ("unknown kind '%s'%s; option 'remote' allows kinds that other programs define")
      :format(kind, arguments.did_you_mean(kind, kinds))
  end
end

--- The arguments of a task as a text; blames the caller of the public function for what
--- cannot be stored. `n` is the place of the argument.
function options.encode(value, limit, level, n, name, what)
  local text, problem, path = core.encode(value, limit)
  if text then return text end
  arguments.fail(level + 1, n, name, ("%s%s: %s"):format(what, path, problem))
end

--- What a store is told of a new task. `kinds` are those that are defined.
function options.task(kinds, limit, level, name, first, kind, args, given)
  given = given == nil and {} or arguments.raw(given)
  local problem = problem_of_task(given)
  if problem then arguments.fail(level + 1, first + 2, name, problem) end
  problem = problem_of_kind(kinds, kind, given)
  if problem then arguments.fail(level + 1, first, name, problem) end
  local of_kind = kinds[kind] or REMOTE
  return {
    kind = kind, queue = given.queue or of_kind.queue,
    args = options.encode(args, limit, level + 1, first + 1, name, "args"),
    priority = given.priority or of_kind.priority,
    attempts = given.attempts or of_kind.attempts,
    most_crashes = of_kind.most_crashes, keep_done = of_kind.keep_done,
    keep_dead = of_kind.keep_dead, key = given.key,
    on_key = given.key and (given.on_key or "keep") or nil,
    delay = given.delay and options.microseconds(given.delay) or nil,
    date = given.at and options.microseconds(given.at) or nil,
  }
end

-- ---- schedules ---------------------------------------------------------------------

local MISFIRE_OPTIONS <const> = {
  misfire = kind_of(function(value)
    return value == "skip" or value == "latest" or value == "all"
  end, "'skip', 'latest' or 'all'"),
  misfire_limit = kind_of(function(value)
    return math.type(value) == "integer" and value >= 1 and value <= 10000
  end, "integer from 1 to 10000"),
  misfire_grace = expect.seconds_or_forever,
}

local SCHEDULE_OPTIONS <const> = {}
for name, kind in pairs(MISFIRE_OPTIONS) do SCHEDULE_OPTIONS[name] = kind end
for _, name in ipairs { "priority", "queue", "attempts", "key", "on_key", "remote" } do
  SCHEDULE_OPTIONS[name] = TASK_OPTIONS[name]
end

--- The options of schedule(), and those of its tasks; blames the caller for what is wrong.
function options.schedule(level, name, schedule, given)
  local expected = options.is_name(name)
  if expected then
    arguments.fail(level + 1, 1, "schedule", arguments.unexpected_value(expected, name))
  end
  if core.typename(schedule) ~= "uvjobs.Schedule" then
    arguments.fail(level + 1, 2, "schedule", arguments.unexpected("uvjobs.Schedule", schedule))
  end
  given = given == nil and {} or arguments.raw(given)
  local problem = arguments.problem_of_options(given, SCHEDULE_OPTIONS)
  if problem then arguments.fail(level + 1, 5, "schedule", problem) end
  local of_task = {}
  for option, value in next, given do
    if not MISFIRE_OPTIONS[option] then of_task[option] = value end
  end
  return {
    misfire = given.misfire or "latest", misfire_limit = given.misfire_limit or 100,
    misfire_grace = given.misfire_grace or math.huge,
  }, of_task
end

-- ---- stores ------------------------------------------------------------------------

--- The options of durable.open().
options.of_open = { args_limit = expect.positive_integer }

--- Those that some stores have besides.
options.of_stores = {
  durability = expect.either("full", "normal"),
  network = expect.boolean,
  schema = kind_of(function(value)
    return type(value) == "string" and #value <= 63 and value:find "^[%a_][%w_]*$" ~= nil
  end, "name of at most 63 letters, digits and _"),
  listen = expect.string,
}

-- ---- workers -----------------------------------------------------------------------

local QUEUE_OPTIONS <const> = {
  limit = expect.count(1),
  key_limit = expect.count(1),
  aging = is_positive_seconds,
}

local function is_queues(value)
  if type(value) ~= "table" or next(value) == nil then
    return "table of at least one queue"
  end
  for queue, given in next, value do
    if options.is_name(queue) then
      return nil, nil, "a queue is named by its key: " .. options.is_name(queue)
    end
    local problem
    if type(given) == "table" then
      problem = arguments.problem_of_options(given, QUEUE_OPTIONS)
    elseif expect.count(1)(given) then
      problem = arguments.unexpected_value("integer >= 1, math.huge or table of options", given)
    end
    if problem then return nil, nil, ("queue '%s': %s"):format(queue, problem) end
  end
end

local WORK_OPTIONS <const> = {
  queues = is_queues,
  lease = is_lease,
  wait_timeout = expect.seconds_or_forever,
  close_timeout = expect.seconds,
  timeslice = is_positive_seconds,
  exception_handler = expect.func,
}

local function queue_of(name, given)
  given = type(given) == "table" and arguments.raw(given) or { limit = given }
  return {
    name = name, limit = given.limit or 10,
    key_limit = given.key_limit ~= math.huge and given.key_limit or nil,
    aging = given.aging and given.aging < math.huge and options.microseconds(given.aging) or nil,
  }
end

--- Checks what work() was called with, and completes it; blames its caller.
function options.work(given)
  given = given == nil and {} or arguments.raw(given)
  local problem = arguments.problem_of_options(given, WORK_OPTIONS)
  if problem then arguments.fail(3, 1, "work", problem) end
  local queues = {}
  for name, of_queue in next, given.queues or { default = {} } do
    queues[#queues + 1] = queue_of(name, of_queue)
  end
  table.sort(queues, function(a, b) return a.name < b.name end)
  return {
    queues = queues, lease = given.lease or 15, wait_timeout = given.wait_timeout or 5,
    close_timeout = given.close_timeout or 1, timeslice = given.timeslice or 0.05,
    exception_handler = given.exception_handler,
  }
end

return options
