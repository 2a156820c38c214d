-- uvjobs.testing: tests of programs that use uvjobs, under any test runner. A test is a
-- run under the virtual clock, in which whatever is left over is a failure.

local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local wrong_options = require "uvjobs.options".wrong

core.own_source()

local testing = {}

local TIMEOUT <const> = 3600        -- seconds of the test's clock
local MAX_TURNS <const> = 10000     -- until settle() gives up
local MAX_SUSPENSIONS <const> = 100000
local CLOSE_TIMEOUT <const> = 0.1   -- seconds, as that of a scheduler

-- ---- arguments ---------------------------------------------------------------------

local function is_boolean(value) return type(value) == "boolean" end
local function is_function(value) return type(value) == "function" end
local function is_seconds(value) return type(value) == "number" and value >= 0 end
local function is_clock(value) return value == "virtual" or value == "real" end
local function is_way(value) return value == "cancel" or value == "kill" end

local function is_count(value)
  return math.type(value) == "integer" and value > 0
end

local function is_seeds(value)
  if type(value) == "number" then return is_count(value) end
  if type(value) ~= "table" or #value == 0 then return false end
  for i = 1, #value do
    if math.type(value[i]) ~= "integer" then return false end
  end
  return true
end

local RUN_OPTIONS <const> = {
  clock = { is_clock, "'virtual' or 'real'" },
  timeout = { is_seconds, "seconds >= 0" },
  seeds = { is_seeds, "integer > 0 or list of integers" },
  leaks = { is_boolean, "boolean" },
  reports = { is_boolean, "boolean" },
}

local FAULT_OPTIONS <const> = {
  by = { is_way, "'cancel' or 'kill'" },
  setup = { is_function, "function" },
  check = { is_function, "function" },
  close_timeout = { is_seconds, "seconds >= 0" },
  limit = { is_count, "integer > 0" },
}

local function bad(name, n, wrong)
  error(("bad argument #%d to '%s' (%s)"):format(n, name, wrong), 4)
end

-- Gives ([options,] fn) of a function whose arguments begin at `n`.
local function read(name, n, known, given, fn)
  if fn == nil and type(given) == "function" then return {}, given end
  local wrong = wrong_options(given, known)
  if wrong then bad(name, n, wrong) end
  if type(fn) ~= "function" then
    bad(name, n + 1, "function expected, got " .. core.typename(fn))
  end
  return given, fn
end

-- ---- the time of a test ------------------------------------------------------------

--- Gives way until no other job is ready: all of them wait, for time, for each other or
--- for I/O, or have ended. No time passes. Suspends.
--- Errors: jobs that are ready again and again, 10,000 turns long; `cancelled`, `timeout`.
function testing.settle()
  core.check_suspend("settle", 2)
  for _ = 1, MAX_TURNS do
    if uvjobs.stats().ready == 0 then return end
    uvjobs.yield()
  end
  error(("jobs are still ready after %d turns"):format(MAX_TURNS), 2)
end

--- Lets time pass under the virtual clock, and then settles: what is due until then has
--- been done. Suspends.
---@param seconds number >= 0, finite
--- Errors: misuse, also that the clock is real; `cancelled`, `timeout`; those of settle().
function testing.advance(seconds)
  if not is_seconds(seconds) or seconds == math.huge then
    error(("bad argument #1 to 'advance' (seconds >= 0, finite, expected, got %s)"):format(
      type(seconds) == "number" and seconds or core.typename(seconds)), 2)
  end
  core.check_suspend("advance", 2)
  if not core.is_virtual() then error("'advance' needs the virtual clock", 2) end
  uvjobs.sleep(seconds)
  testing.settle()
end

-- ---- what is left over -------------------------------------------------------------

local function job_text(job)
  local text = job:traceback() -- begins with what it is
  local source = core.source(job)
  return source and ("%s\nspawned at, %s"):format(text, source) or text
end

-- The jobs that live, as a set.
local function live_jobs()
  local set = {}
  for _, job in ipairs(core.jobs()) do set[job] = true end
  return set
end

-- Adds the jobs that are not in the set, nor the one that runs.
local function add_new_jobs(texts, before)
  local current = uvjobs.current()
  for _, job in ipairs(core.jobs()) do
    if job ~= current and not before[job] then texts[#texts + 1] = job_text(job) end
  end
end

-- The handles of luv's loop that nobody has closed, as a set.
local function open_handles()
  local set, luv = {}, package.loaded.luv
  if luv then
    luv.walk(function(handle)
      if not luv.is_closing(handle) then set[handle] = true end
    end)
  end
  return set
end

-- Adds those that are not in the set, and closes them.
local function add_new_handles(texts, before)
  local handles = package.loaded["uvjobs.uv.handles"]
  for handle in pairs(open_handles()) do
    if not before[handle] then
      local state = handles and handles.state(handle)
      local source = state and state.source
      texts[#texts + 1] = source and ("%s\nmade at, %s"):format(handle, source)
        or tostring(handle)
      package.loaded.luv.close(handle)
    end
  end
end

--- The jobs that live beside the one that calls, in words: what each is, where it stands,
--- and in debug mode where it was spawned. Does not suspend.
---@return string[]
function testing.leaks()
  local texts = {}
  add_new_jobs(texts, {})
  return texts
end

local function left_over(texts)
  return ("%d left over at the end:\n%s"):format(#texts, table.concat(texts, "\n\n"))
end

-- ---- what is reported --------------------------------------------------------------

--- An exception handler that collects, and the list of the contexts it was given.
---@return fun(scheduler: uvjobs.Scheduler, context: table)
---@return table[]
function testing.collect()
  local contexts = {}
  return function(_, context) contexts[#contexts + 1] = context end, contexts
end

local function report_text(context)
  local text = ("%s: %s"):format(context.message, tostring(context.exception))
  if context.traceback then text = text .. "\n" .. context.traceback end
  if context.source_traceback then
    text = text .. "\nspawned at, " .. context.source_traceback
  end
  return text
end

local function reported(contexts)
  local texts = {}
  for i, context in ipairs(contexts) do texts[i] = report_text(context) end
  return ("%d reported, and no handler was set:\n%s"):format(
    #texts, table.concat(texts, "\n\n"))
end

-- ---- a test ------------------------------------------------------------------------

-- What holds for a while: the debug mode, so that what is left over can say where it
-- comes from, and where reports go that nobody else takes.
local Setting = {}

function Setting:__close()
  uvjobs.debug(self.debug)
  core.set_handler(self.handler)
end

local function set(handler)
  return setmetatable({
    debug = uvjobs.debug(true), handler = core.set_handler(handler),
  }, Setting)
end

-- Errors of test libraries are tables with a message.
local function add_to_error(err, note)
  if type(err) == "string" then return err .. "\n" .. note end
  if type(err) == "table" and type(err.message) == "string" then
    err.message = err.message .. "\n" .. note
  end
  return err
end

local function call(options, texts, fn, ...)
  local timeout = options.timeout or TIMEOUT
  local results = timeout == math.huge and table.pack(fn(...))
    or table.pack(uvjobs.timeout(timeout, fn, ...))
  if options.leaks ~= false then
    testing.settle()
    add_new_jobs(texts, {})
  end
  return table.unpack(results, 1, results.n)
end

-- Begins a run of its own.
local function run_once(options, seed, fn, ...)
  local handler, contexts = testing.collect()
  local _ <close> = set(handler)
  local handles, texts = open_handles(), {}
  local results = table.pack(pcall(uvjobs.run, {
    clock = options.clock or "virtual", shuffle = seed, slow = false,
  }, call, options, texts, fn, ...))
  if options.leaks ~= false then add_new_handles(texts, handles) end
  if not results[1] then error(results[2], 0) end
  if #texts > 0 then error(left_over(texts), 0) end
  if #contexts > 0 and options.reports ~= false then error(reported(contexts), 0) end
  return table.unpack(results, 2, results.n)
end

-- The seeds to run with: those of the options, or the one of the environment.
local function seeds_of(options)
  local seeds = options.seeds
  if not seeds then return nil end
  local wanted = math.tointeger(tonumber(os.getenv "UVJOBS_SEED"))
  if wanted then return { wanted } end
  if type(seeds) == "table" then return seeds end
  local list = {}
  for seed = 1, seeds do list[seed] = seed end
  return list
end

local function run_all(options, fn, ...)
  local seeds = seeds_of(options)
  if not seeds then return run_once(options, nil, fn, ...) end
  local results
  for _, seed in ipairs(seeds) do
    results = table.pack(pcall(run_once, options, seed, fn, ...))
    if not results[1] then
      error(add_to_error(results[2], ("with the seed %d: UVJOBS_SEED=%d runs this one")
        :format(seed, seed)), 0)
    end
  end
  return table.unpack(results, 2, results.n)
end

--- A function for a test runner: it runs `fn` as the main job of a run of its own under
--- the virtual clock. It raises what `fn` raises; and an error when jobs live on or
--- handles of luv are open when `fn` has returned, or something was reported to no
--- handler. It returns what `fn` returns.
---@param options? { clock?: "virtual"|"real", timeout?: number, seeds?: integer|integer[],
---  leaks?: boolean, reports?: boolean }
---@param fn function
function testing.wrap(options, fn)
  options, fn = read("wrap", 1, RUN_OPTIONS, options, fn)
  return function(...) return run_all(options, fn, ...) end
end

-- What a test file calls `it` is in the environment that the runner gives it.
local function find_it()
  local level = 3
  while true do
    local info = debug.getinfo(level, "f")
    if not info then return nil end
    local n = 1
    repeat
      local name, value = debug.getupvalue(info.func, n)
      if name == "_ENV" and type(value) == "table" and value.it then return value.it end
      n = n + 1
    until not name
    level = level + 1
  end
end

--- The test runner's `it`, with a function as made by wrap().
---@param title string
---@param options? table as that of wrap()
---@param fn function
--- Errors: misuse, also that there is no `it` where it is called.
function testing.it(title, options, fn)
  if type(title) ~= "string" then
    error("bad argument #1 to 'it' (string expected, got " .. core.typename(title) .. ")", 2)
  end
  options, fn = read("it", 2, RUN_OPTIONS, options, fn)
  local it = find_it()
  if not it then error("there is no 'it' here: pass testing.wrap(fn) to the test runner", 2) end
  return it(title, testing.wrap(options, fn))
end

-- ---- faults ------------------------------------------------------------------------

-- How the job may end that was cancelled, or closed without any time.
local EXPECTED <const> = {
  cancel = { cancelled = true, done = true },
  kill = { killed = true, cancelled = true, done = true },
}

-- What is wrong after the job has ended, or nil.
local function find_problem(by, job, before, contexts)
  if not EXPECTED[by][job.state] then
    local _, err = pcall(job.wait, job)
    return ("the job has ended as %s: %s"):format(job.state, tostring(err))
  end
  testing.settle()
  local texts = {}
  add_new_jobs(texts, before)
  if #texts > 0 then return left_over(texts) end
  for _, context in ipairs(contexts) do
    if context.message ~= "Job closing timed out" or by ~= "kill" then
      return report_text(context)
    end
  end
end

-- What went wrong, as `err`, came of ending the job at this place.
local function explain(err, n, by, place)
  local note = ("when suspended for the %d. time, to %s it:\n%s"):format(n, by, place)
  error(add_to_error(err, note), 0)
end

-- Returns whether the job has suspended so often.
local function try(options, n, fn)
  local by = options.by or "cancel"
  local handler, contexts = testing.collect()
  local args = options.setup and table.pack(options.setup()) or { n = 0 }
  local before = live_jobs()
  local jobs <close> = uvjobs.scheduler {
    close_timeout = options.close_timeout or CLOSE_TIMEOUT, exception_handler = handler,
  }
  local job = jobs:spawn(fn, table.unpack(args, 1, args.n))
  core.inject(job, n, by == "kill")
  job:join()
  local place = core.injected()
  if not place then job:wait() end -- raises its error
  local problem = place and find_problem(by, job, before, contexts)
  if problem then explain(problem, n, by, place) end
  if options.check then
    local ok, err = pcall(options.check, table.unpack(args, 1, args.n))
    if not ok and place then explain(err, n, by, place) end
    if not ok then error(err, 0) end
  end
  return place ~= nil
end

local function try_all(options, fn)
  for n = 1, options.limit or MAX_SUSPENSIONS do
    if not try(options, n, fn) then return n - 1 end
  end
  if options.limit then return options.limit end
  error(("the function suspends more than %d times"):format(MAX_SUSPENSIONS), 0)
end

--- Calls `fn` in a job that is cancelled when it suspends for the first time; then again,
--- for the second time; and so on, until it ends before that. Each time the job must end
--- in peace: not with another error, not by force, with nothing left over, and with
--- nothing reported. In a job it uses the run that is there, outside it begins one under
--- the virtual clock. Suspends.
---@param options? { by?: "cancel"|"kill", setup?: function, check?: function,
---  close_timeout?: number, limit?: integer }
---@param fn function gets what `setup` returns; so does `check`, which is called each time
---@return integer suspensions how often it was cancelled
function testing.cancel_everywhere(options, fn)
  options, fn = read("cancel_everywhere", 1, FAULT_OPTIONS, options, fn)
  if uvjobs.current() then
    core.check_suspend("cancel_everywhere", 2)
    return try_all(options, fn)
  end
  return run_once({ timeout = math.huge }, nil, try_all, options, fn)
end

return testing
