-- uvjobs.testing: tests of programs that use uvjobs, under any test runner. A test is a
-- run under the virtual clock; it fails when it leaves jobs or handles behind.

local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local arguments = require "uvjobs.arguments"

core.own_source()

local expect = arguments.expect

local testing = {}

local TIMEOUT <const> = 3600        -- seconds of the test's clock
local MAX_TURNS <const> = 10000     -- settle() gives up after these
local MAX_TURNS_AT_ONCE <const> = 100000 -- advance() does, when no time passes
local MAX_SUSPENSIONS <const> = 100000 -- cancel_everywhere() gives up after these
local CLOSE_TIMEOUT <const> = 0.1   -- seconds; the default of a scheduler, too

-- ---- arguments ---------------------------------------------------------------------

local function is_seeds(value)
  if type(value) == "number" then return expect.positive_integer(value) == nil end
  if type(value) ~= "table" or #value == 0 then return false end
  for i = 1, #value do
    if math.type(value[i]) ~= "integer" then return false end
  end
  return true
end

local TEST_OPTIONS <const> = {
  clock = expect.either("virtual", "real"),
  date = expect.seconds, -- since 1970; run() looks closer
  timeout = expect.seconds_or_forever,
  seeds = arguments.kind(is_seeds, "integer > 0 or list of integers"),
  leaks = expect.boolean,
  reports = expect.boolean,
}

local CANCEL_OPTIONS <const> = {
  by = expect.either("cancel", "kill"),
  setup = expect.func,
  check = expect.func,
  close_timeout = expect.seconds,
  limit = expect.positive_integer,
}

-- Returns the options, which may be left out, and the function, of a public function
-- `name` that has them from its argument `n` on. Blames the caller of that function.
local function read_arguments(name, n, known, options, fn)
  if fn == nil and type(options) == "function" then return {}, options end
  local problem = arguments.problem_of_options(options, known)
  if problem then arguments.fail(3, n, name, problem) end
  arguments.check_function(3, n + 1, name, fn)
  return arguments.raw(options), fn
end

-- ---- the time of a test ------------------------------------------------------------

-- Yields until no other job is ready. The error blames the caller of the public function
-- that calls this.
local function settle_within(turns)
  for _ = 1, turns do
    if core.is_settled() then return end
    uvjobs.yield()
  end
  error(("jobs are still ready after %d turns"):format(turns), 3)
end

--- Yields until no other job is ready: then all of them wait, for time, for each other
--- or for I/O, or have ended. No time passes. Suspends.
--- Errors: that jobs are still ready after 10,000 turns; `cancelled`, `timeout` and
--- `killed` of the current job.
function testing.settle()
  core.check_suspend("settle", 2)
  settle_within(MAX_TURNS)
end

--- Lets time pass under the virtual clock, and settles: everything that is due by then
--- has been done. Suspends. While jobs are ready the virtual clock stands still, so this
--- goes from one deadline to the next, and looks at each whether they come to rest.
--- Errors: misuse, also that the clock is real; that jobs are still ready though no time
--- has passed for 100,000 turns; `cancelled`, `timeout` and `killed` of the current job.
---@param seconds number >= 0, finite
function testing.advance(seconds)
  if seconds == nil then
    arguments.fail(2, 1, "advance", arguments.unexpected("number", seconds))
  end
  core.check_timeout(seconds, 1, "advance", 2)
  if seconds == math.huge then
    arguments.fail(2, 1, "advance", "seconds must be finite, got inf")
  end
  core.check_suspend("advance", 2)
  if not core.is_virtual() then error("'advance' needs the virtual clock", 2) end
  local due = core.due(seconds)
  repeat
    settle_within(MAX_TURNS_AT_ONCE)
  until core.step(due)
  settle_within(MAX_TURNS_AT_ONCE)
end

--- Sets the date under the virtual clock, as somebody does who sets the clock of the
--- machine. Does not suspend.
--- Errors: misuse, also that the clock is real.
---@param time number seconds since 1970
function testing.set_date(time)
  local ok, message = pcall(core.set_date, time)
  if not ok then error(message, 2) end
end

-- ---- what a test leaves behind -----------------------------------------------------

local function describe_job(job)
  local text = job:traceback() -- its first line says which job it is
  local source = core.source(job)
  return source and ("%s\nspawned at, %s"):format(text, source) or text
end

-- Returns the set of jobs that live.
local function live_jobs()
  local set = {}
  for _, job in ipairs(core.jobs()) do set[job] = true end
  return set
end

-- Adds a description of each job that lives but the current one, and those that lived
-- before: a set.
local function describe_new_jobs(texts, before)
  local current = uvjobs.current()
  for _, job in ipairs(core.jobs()) do
    if job ~= current and not before[job] then texts[#texts + 1] = describe_job(job) end
  end
end

-- Returns the set of open handles of luv's loop.
local function open_handles()
  local set, luv = {}, package.loaded.luv
  if luv then
    core.luv_walk(luv.walk, function(handle)
      if not luv.is_closing(handle) then set[handle] = true end
    end)
  end
  return set
end

-- Closes the handles that were not open before, and adds a description of each.
local function close_new_handles(texts, before)
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

--- Describes the jobs that live beside the current one: which job it is, where it is
--- suspended, and in debug mode where it was spawned. Does not suspend.
---@return string[] texts one for each job
function testing.leaks()
  local texts = {}
  describe_new_jobs(texts, {})
  return texts
end

local function message_of_leaks(texts)
  return ("%d left over at the end:\n%s"):format(#texts, table.concat(texts, "\n\n"))
end

-- ---- what is reported --------------------------------------------------------------

--- Makes an exception handler that collects what it is called with. Does not suspend.
---@return uvjobs.ExceptionHandler handler
---@return uvjobs.Context[] contexts those that it was called with so far
function testing.collect()
  local contexts = {}
  return function(_, context) contexts[#contexts + 1] = context end, contexts
end

local function describe_report(context)
  local text = tostring(context.message)
  if context.exception ~= nil then text = ("%s: %s"):format(text, tostring(context.exception)) end
  if context.traceback then text = text .. "\n" .. context.traceback end
  if context.source_traceback then
    text = text .. "\nspawned at, " .. context.source_traceback
  end
  return text
end

local function message_of_reports(contexts)
  local texts = {}
  for i, context in ipairs(contexts) do texts[i] = describe_report(context) end
  return ("%d reported, and no handler was set:\n%s"):format(
    #texts, table.concat(texts, "\n\n"))
end

-- ---- a test ------------------------------------------------------------------------

-- For a to-be-closed variable: while it lives, debug mode is on, so that leaks can say
-- where they were made; and `handler` gets the reports of schedulers without a handler.
local Setting = {}

function Setting:__close()
  uvjobs.debug(self.debug_before)
  core.set_handler(self.handler_before)
end

local function new_setting(handler)
  return setmetatable({
    debug_before = uvjobs.debug(true), handler_before = core.set_handler(handler),
  }, Setting)
end

-- Returns the error with the note added. Errors of test libraries are tables with a
-- message.
local function with_note(err, note)
  if type(err) == "string" then return err .. "\n" .. note end
  if type(err) == "table" and type(err.message) == "string" then
    err.message = err.message .. "\n" .. note
  end
  return err
end

-- Says where all jobs stand: the main job and, if another one holds the loop, that one,
-- in a function that is called in it.
local function describe_standing(main)
  local current, here = uvjobs.current(), debug.traceback("", 3)
  local texts = { "the main job\n" .. (current == main and here:sub(2) or main:traceback()) }
  if current ~= main then texts[2] = tostring(current) .. ", running" .. here end
  describe_new_jobs(texts, { [main] = true })
  return table.concat(texts, "\n\n")
end

-- For a to-be-closed variable: until then, the first deadline that ends the test is noted,
-- with where the jobs stand at that moment. Later it would be too late: the variables
-- that are closed on the way out end the jobs. From that deadline on every job can be
-- preempted, or one that computes would keep the test from noticing.
local Watch = {}
Watch.__index = Watch

function Watch.__close()
  core.on_deadline(nil)
end

-- Returns the error, with where the jobs stood if the time limit has passed.
function Watch:explain(err)
  if not self.standing then return err end
  local note = ("the test has taken longer than %.14g seconds; where its jobs stood:\n\n%s")
    :format(self.seconds, self.standing)
  if not uvjobs.code(err) then return with_note(err, note) end
  core.annotate(err, note)
  return err
end

local function watch_deadline(seconds)
  local watch = setmetatable({ seconds = seconds }, Watch)
  local due, main = uvjobs.now() + seconds, uvjobs.current()
  core.force_at(core.due(seconds))
  core.on_deadline(function()
    if watch.standing or uvjobs.now() < due then return end
    watch.standing = describe_standing(main)
  end)
  return watch
end

-- Calls fn(...), which has so many seconds.
local function call_within(seconds, fn, ...)
  local watch <close> = watch_deadline(seconds)
  local results = table.pack(pcall(uvjobs.timeout, seconds, fn, ...))
  if not results[1] then error(watch:explain(results[2]), 0) end
  return table.unpack(results, 2, results.n)
end

-- Calls fn(...), and lets what it leaves behind come to rest.
local function call_and_settle(options, fn, ...)
  local results = table.pack(fn(...))
  if options.leaks ~= false then testing.settle() end
  return table.unpack(results, 1, results.n)
end

-- The main job of a test.
local function call_in_time(options, texts, fn, ...)
  local timeout = options.timeout or TIMEOUT
  local results = timeout == math.huge and table.pack(call_and_settle(options, fn, ...))
    or table.pack(call_within(timeout, call_and_settle, options, fn, ...))
  if options.leaks ~= false then describe_new_jobs(texts, {}) end
  return table.unpack(results, 1, results.n)
end

-- Runs a test once, with one seed or in the usual order.
local function run_once(options, seed, fn, ...)
  local handler, contexts = testing.collect()
  local _ <close> = new_setting(handler)
  local handles, texts = open_handles(), {}
  local results = table.pack(pcall(uvjobs.run, {
    clock = options.clock or "virtual", date = options.date, shuffle = seed, slow = false,
  }, call_in_time, options, texts, fn, ...))
  if options.leaks ~= false then close_new_handles(texts, handles) end
  if not results[1] then error(results[2], 0) end
  if #texts > 0 then error(message_of_leaks(texts), 0) end
  if #contexts > 0 and options.reports ~= false then error(message_of_reports(contexts), 0) end
  return table.unpack(results, 2, results.n)
end

-- Returns the seeds to run a test with, or nil for the usual order. A seed in the
-- environment takes the place of those in the options.
local function seeds_of(options)
  local seeds = options.seeds
  if not seeds then return nil end
  local seed_to_repeat = math.tointeger(tonumber(os.getenv "UVJOBS_SEED"))
  if seed_to_repeat then return { seed_to_repeat } end
  if type(seeds) == "table" then return seeds end
  local list = {}
  for seed = 1, seeds do list[seed] = seed end
  return list
end

-- Runs a test with all its seeds.
local function run_test(options, fn, ...)
  local seeds = seeds_of(options)
  if not seeds then return run_once(options, nil, fn, ...) end
  local results
  for _, seed in ipairs(seeds) do
    results = table.pack(pcall(run_once, options, seed, fn, ...))
    if not results[1] then
      error(with_note(results[2], ("with the seed %d: UVJOBS_SEED=%d runs this one")
        :format(seed, seed)), 0)
    end
  end
  return table.unpack(results, 2, results.n)
end

--- Makes a function for a test runner. It runs `fn` as the main job of a run under the
--- virtual clock, and returns what `fn` returns. It raises what `fn` raises; and an error
--- when jobs live on or handles of luv are open after `fn` has returned, or when
--- something was reported and no handler was set. Does not suspend.
--- Errors: misuse.
---@param options? { clock?: "virtual"|"real", date?: number, timeout?: number,
---  seeds?: integer|integer[], leaks?: boolean, reports?: boolean }
---@param fn function
---@return function test passes its arguments on to `fn`
function testing.wrap(options, fn)
  options, fn = read_arguments("wrap", 1, TEST_OPTIONS, options, fn)
  return function(...) return run_test(options, fn, ...) end
end

-- A function that uses no global variable has no environment to look into. Then there is what
-- busted has for programs that load it, and what other runners set for all.
local function it_of_runner()
  local _, it = pcall(function() return package.loaded.busted.it end)
  return type(it) == "function" and it or rawget(_G, "it")
end

-- A test runner gives test files an environment that has `it`. This looks for it in the
-- environments of the callers of testing.it().
local function find_it()
  local level = 3
  while true do
    local info = debug.getinfo(level, "f")
    if not info then return it_of_runner() end
    local n = 1
    repeat
      local name, value = debug.getupvalue(info.func, n)
      if name == "_ENV" and type(value) == "table" and value.it then return value.it end
      n = n + 1
    until not name
    level = level + 1
  end
end

--- Calls the test runner's `it` with the title, and with wrap(options, fn).
--- Errors: misuse, also that the caller has no `it`.
---@param title string
---@param options? table see wrap()
---@param fn function
---@return any ... what the test runner's `it` returns
function testing.it(title, options, fn)
  if type(title) ~= "string" then
    arguments.fail(2, 1, "it", arguments.unexpected("string", title))
  end
  options, fn = read_arguments("it", 2, TEST_OPTIONS, options, fn)
  local it = find_it()
  if not it then error("there is no 'it' here: pass testing.wrap(fn) to the test runner", 2) end
  return it(title, testing.wrap(options, fn))
end

-- ---- cancelling everywhere ---------------------------------------------------------

-- The states in which a job may end that was cancelled, or that was killed.
local GOOD_ENDS <const> = {
  cancel = { cancelled = true, done = true },
  kill = { killed = true, cancelled = true, done = true },
}

-- Returns what is wrong after the job has been cancelled or killed and has ended; or nil.
local function problem_of_end(by, job, before, contexts)
  if not GOOD_ENDS[by][job.state] then
    local _, err = pcall(job.wait, job)
    return ("the job has ended as %s: %s"):format(job.state, tostring(err))
  end
  testing.settle()
  local texts = {}
  describe_new_jobs(texts, before)
  if #texts > 0 then return message_of_leaks(texts) end
  for _, context in ipairs(contexts) do
    if context.message ~= "Job closing timed out" or by ~= "kill" then
      return describe_report(context)
    end
  end
end

-- Raises the error with a note that says where the job was ended.
local function raise_with_place(err, n, by, place)
  local note = ("when suspended for the %d. time, to %s it:\n%s"):format(n, by, place)
  error(with_note(err, note), 0)
end

-- Calls `fn` in a job that is ended when it suspends for the n-th time. Returns whether
-- the job has suspended that often.
local function try_place(options, n, fn)
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
  if not place then job:wait() end -- raises the job's error
  local problem = place and problem_of_end(by, job, before, contexts)
  if problem then raise_with_place(problem, n, by, place) end
  if options.check then
    local ok, err = pcall(options.check, table.unpack(args, 1, args.n))
    if not ok and place then raise_with_place(err, n, by, place) end
    if not ok then error(err, 0) end
  end
  return place ~= nil
end

local function try_all_places(options, fn)
  for n = 1, options.limit or MAX_SUSPENSIONS do
    if not try_place(options, n, fn) then return n - 1 end
  end
  if options.limit then return options.limit end
  error(("the function suspends more than %d times"):format(MAX_SUSPENSIONS), 0)
end

--- Calls `fn` in a job that is cancelled when it suspends for the first time; then in a
--- job that is cancelled when it suspends for the second time; and so on, until a job
--- ends before that. Each job must end cleanly: with no other error, without being killed,
--- leaving no job behind, and with nothing reported. In a job it uses the current run;
--- elsewhere it begins one under the virtual clock. Suspends in a job, blocks elsewhere.
--- Errors: misuse; what was not clean, with the place where the job was cancelled; the
--- errors of `fn`, `setup` and `check`.
---@param options? { by?: "cancel"|"kill", setup?: function, check?: function,
---  close_timeout?: number, limit?: integer }
---@param fn function gets what `setup` returns; so does `check`, which is called each time
---@return integer suspensions how often it was cancelled
function testing.cancel_everywhere(options, fn)
  options, fn = read_arguments("cancel_everywhere", 1, CANCEL_OPTIONS, options, fn)
  if uvjobs.current() then
    core.check_suspend("cancel_everywhere", 2)
    return try_all_places(options, fn)
  end
  return run_once({ timeout = math.huge }, nil, try_all_places, options, fn)
end

return testing
