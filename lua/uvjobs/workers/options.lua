-- The options of uvjobs.workers, and what of them a scheduler takes.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local fn = require "uvjobs.workers.fn"

core.own_source()

local uvjobs = core.public

local options = {}

local MOST_THREADS <const> = 1024
local CLOSE_TIMEOUT <const> = 0.1
local SLOW <const> = 1 -- seconds, with `replace`
local LEAST_MEMORY <const> = 2 ^ 20 | 0 -- bytes: a Lua state with uvjobs takes a quarter of it

-- Options of the threads. All others are those of a scheduler.
local KNOWN <const> = {
  threads = arguments.kind(function(value)
    return math.type(value) == "integer" and value >= 1 and value <= MOST_THREADS
  end, ("integer from 1 to %d"):format(MOST_THREADS)),
  setup = function(value)
    if type(value) ~= "function" then return "function" end
    local problem = fn.problem(value)
    if problem then return nil, nil, problem end
  end,
  memory_limit = arguments.kind(function(value)
    return math.type(value) == "integer" and value >= LEAST_MEMORY
  end, ("integer >= %d"):format(LEAST_MEMORY)),
  slow = arguments.kind(function(value)
    return type(value) == "number" and value > 0
  end, "seconds > 0 or math.huge"),
  replace = arguments.expect.boolean,
  main_only = function(value)
    if type(value) ~= "table" then return "list of names of modules" end
    for i, name in ipairs(value) do
      if type(name) ~= "string" then
        return nil, nil, arguments.unexpected_element("string", i, name)
      end
    end
  end,
}

-- Those of a scheduler, which checks their values.
local OF_SCHEDULER <const> = {
  "name", "limit", "pending_limit", "close_timeout", "wait_timeout", "exception_handler",
  "on_start", "on_end", "stats", "aging", "fair", "key_limit", "start_rate", "start_burst",
  "on_error",
}

local known_names <const> = {}
for name in pairs(KNOWN) do known_names[name] = true end
for _, name in ipairs(OF_SCHEDULER) do known_names[name] = true end

local function problem_of(given)
  if type(given) ~= "table" then return arguments.unexpected("table", given) end
  local own = {}
  for name, value in next, given do
    if not known_names[name] then return arguments.unknown_option(name, known_names) end
    if KNOWN[name] then own[name] = value end
  end
  return arguments.problem_of_options(own, KNOWN)
end

local function new_scheduler(given)
  local of_scheduler = {}
  for _, name in ipairs(OF_SCHEDULER) do of_scheduler[name] = given[name] end
  local ok, jobs = pcall(uvjobs.scheduler, of_scheduler)
  if ok then return jobs end
  return nil, (tostring(jobs):gsub("^.-'scheduler' %((.*)%)$", "%1"))
end

--- Checks the options; raises for the caller of workers().
---@return table threads `threads` and what thread.lua is given
---@return uvjobs.Scheduler jobs
---@return table watched what watch.lua is given
function options.take(given)
  given = given == nil and {} or arguments.raw(given)
  local problem = problem_of(given)
  local jobs
  if not problem then jobs, problem = new_scheduler(given) end
  if problem then arguments.fail(4, 1, "workers", problem) end
  local spec <const> = {
    threads = given.threads or core.count_processors(), name = given.name,
    memory_limit = given.memory_limit,
    setup = given.setup and fn.code(given.setup), main_only = given.main_only or {},
    close_timeout = given.close_timeout or CLOSE_TIMEOUT,
  }
  return spec, jobs, {
    slow = given.slow or given.replace and SLOW or math.huge, replace = given.replace, spec = spec,
  }
end

return options
