-- uvjobs.workers: threads with a Lua state and a loop each, whose jobs are jobs of the program.
-- docs/workers.md says what they promise (W1 to W16). A job of workers is an ordinary job of a
-- scheduler of the program, which waits for one in a thread (member.lua), where that is a job
-- of the loop there (thread.lua). uvjobs loads this module when workers are made.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local fns = require "uvjobs.workers.fn"
local member = require "uvjobs.workers.member"
local options = require "uvjobs.workers.options"
local outcome = require "uvjobs.workers.outcome"
local place = require "uvjobs.workers.place"
local watch = require "uvjobs.workers.watch"

core.own_source()

local uvjobs = core.public

local TYPE <const> = "uvjobs.Workers"
local PATIENCE <const> = 1 -- seconds that a thread gets to end besides its close timeout

---@class uvjobs.Workers
local methods = {}
local Workers = { __name = TYPE, __metatable = TYPE }

local is_workers <const> = setmetatable({}, { __mode = "k" })

local function check_self(self, name)
  if not is_workers[self] then arguments.fail_self(3, name, TYPE, self) end
end

-- ---- threads -----------------------------------------------------------------------

-- What ends the threads, as a to-be-closed variable: whoever waits for their jobs, or for them, may
-- be killed meanwhile. Each thread is asked first, so that they end beside each other.
local Ending = {}

-- Those that others have replaced, too.
local function all_threads(self)
  local all = table.move(self._members, 1, #self._members, 1, {})
  return table.move(self._spare, 1, #self._spare, #all + 1, all)
end

-- Asks all threads to end, and returns them.
local function begin_end(self)
  self._ended = true
  watch.begin_end(self)
  local all = all_threads(self)
  for one in pairs(self._starting) do all[#all + 1] = one end
  for _, one in ipairs(all) do one:begin_end() end
  return all
end

function Ending.__close(ending)
  local self = ending.workers
  core.begin_close(self._jobs)
  for _, one in ipairs(begin_end(self)) do one:join() end
end

local function new_ending(self)
  return setmetatable({ workers = self }, Ending)
end

-- Waits for the threads while the loop goes on.
local function end_threads(self)
  for _, one in ipairs(begin_end(self)) do one:await_end(self._patience) end
end

-- While they are started: a to-be-closed variable.
local Starting = {}

function Starting.__close(starting, err)
  if err == nil then return end
  local _ <close> = new_ending(starting.workers)
  core.begin_close(starting.workers._jobs)
  end_threads(starting.workers)
end

local function start_threads(self, spec, watched)
  local starting <close> = setmetatable({ workers = self }, Starting) -- luacheck: no unused
  local calls = {}
  for i = 1, spec.threads do
    spec.index = i
    self._members[i], calls[i] = member.start(spec)
  end
  for _, call in ipairs(calls) do
    local result = call:wait()
    if result[1] == "failed" then outcome.raise(result) end
  end
  watch.begin(self, watched)
end

-- ---- jobs --------------------------------------------------------------------------

-- What a job of the program does for one in a thread.
local function body(self, packed, key)
  return place.run(self, key == nil and place.idlest(self) or place.of_key(self, key), packed)
end

local function fail_argument(name, first, ...)
  for i = 1, select("#", ...) do
    local ok, problem = pcall(core.pack, (select(i, ...)))
    if not ok then arguments.fail(5, first + i - 1, name, problem) end
  end
end

local function pack(name, first, of_job, fn, ...)
  local ok, packed = pcall(place.request, of_job, fn, ...)
  if ok then return packed end
  fail_argument(name, first, ...)
  error(packed, 4)
end

local NONE <const> = {}
local QUIET <const> = { report = false }

-- The scheduler blames our code for misuse. What suspends in it is no tail call for that.
local function pass_on(ok, job, ...)
  if ok then return job, ... end
  if type(job) == "string" then error((job:gsub("^[^\n]-:%d+: ", "")), 3) end
  error(job, 0)
end

-- Calls a method of the scheduler with a job that does it in a thread, for the function `name`,
-- whose argument `first` is the first one of `fn`.
local function begin(self, method, name, first, of_job, fn, ...)
  fns.check(3, first - 1, name, fn)
  local jobs, packed = self._jobs, pack(name, first, of_job, fn, ...)
  return pass_on(pcall(jobs[method], jobs, of_job, body, self, packed, of_job.key))
end

local function spawn(self, name, of_job, ...)
  if type(of_job) == "table" then return begin(self, name, name, 3, of_job, ...) end
  return begin(self, name, name, 2, NONE, of_job, ...)
end

--- Makes a job that calls `fn(...)` in one of the threads, with copies of the arguments.
--- Suspends, when the pending queue is full.
--- Errors: misuse; `closed`; `full`; `cancelled`, `timeout` and `killed` of the current job.
---@param of_job? uvjobs.SpawnOptions
---@param ... any a Lua function without upvalues, and its arguments
---@return uvjobs.Job
function methods:spawn(of_job, ...)
  check_self(self, "spawn")
  local job, is_new = spawn(self, "spawn", of_job, ...)
  return job, is_new
end

--- The same without ever suspending: nil and `"full"` or `"closed"` in place of a job.
---@return uvjobs.Job? job
---@return string? why
function methods:try_spawn(of_job, ...)
  check_self(self, "try_spawn")
  local job, why = spawn(self, "try_spawn", of_job, ...)
  return job, why
end

-- The job that the calling job waits for in call(): it ends with that.
local Called = {}

function Called.__close(called)
  local job = called.job
  if job.closed then return end
  if core.can_suspend() then
    pcall(uvjobs.protect, job.close, job)
  else
    core.begin_close_job(job, called.seconds)
  end
end

--- Calls `fn(...)` in one of the threads, in a job that is closed when the calling job leaves
--- early. Suspends.
--- Errors: misuse; the error of `fn`, as a copy; `closed`; `cancelled`, `timeout` and `killed` of
--- the current job.
---@param fn function a Lua function without upvalues
---@param ... any its arguments
---@return any ... the results of `fn`
function methods:call(fn, ...)
  check_self(self, "call")
  core.check_suspend("call", 2)
  local job = begin(self, "spawn", "call", 2, QUIET, fn, ...)
  local _ <close> = setmetatable({ job = job, seconds = self._jobs.close_timeout }, Called)
  return job:wait()
end

--- Where a job stands in its thread, as `job:traceback()` says it of others; nil when it is
--- not there. Suspends.
---@param job uvjobs.Job
---@return string?
function methods:traceback(job)
  check_self(self, "traceback")
  if core.typename(job) ~= "uvjobs.Job" then
    arguments.fail(2, 1, "traceback", arguments.unexpected("uvjobs.Job", job))
  end
  core.check_suspend("traceback", 2)
  local call = self._calls[job]
  if not call or call.outcome or job.closed then return nil end
  return call.member:call(core.pack { "traceback", call.id }):wait()[1]
end

-- ---- the end -----------------------------------------------------------------------

--- Cancels all jobs, kills those that have not ended after the `close_timeout`, and ends the
--- threads. Suspends.
function methods:close()
  check_self(self, "close")
  local _ <close> = new_ending(self)
  self._jobs:close()
  end_threads(self)
end

--- Waits until no job is left, and closes then; or when the time has passed. Suspends.
---@param timeout? number seconds
---@return boolean? true; or nil, "timeout" and how many jobs were cancelled
function methods:wait_and_close(timeout)
  check_self(self, "wait_and_close")
  local results = table.pack(self._jobs:wait_and_close(timeout))
  local _ <close> = new_ending(self)
  end_threads(self)
  return table.unpack(results, 1, results.n)
end

function Workers.__close(self, err)
  local _ <close> = new_ending(self)
  local ok, failure = pcall(core.types.Scheduler.__close, self._jobs, err)
  end_threads(self)
  if not ok then error(failure, 0) end
end

-- ---- looking -----------------------------------------------------------------------

-- One that is stuck tells nothing.
local function ask_for_stats(one)
  if one.is_stuck then return nil end
  local call = one:call(core.pack { "stats" })
  call.is_optional = true
  return call
end

local function stats_of(one, call)
  local stats, told = { active = one.active, jobs = one.jobs }, call and call:wait() or {}
  stats.memory, stats.cpu_time, stats.stuck = told.memory, told.cpu_time, told.memory == nil
  if not stats.stuck then
    local alive = uvjobs.now() - one.since
    stats.busy = alive > 0 and math.min(1, told.cpu_time / alive) or 0
  end
  return stats
end

--- What its jobs have come to, as `scheduler:stats()` tells it, and `threads`: a list with
--- what each of them has. Suspends, until they have told it.
---@return table
function methods:stats()
  check_self(self, "stats")
  core.check_suspend("stats", 2)
  local stats, calls = self._jobs:stats(), {}
  local members = self._ended and {} or all_threads(self)
  for i, one in ipairs(members) do calls[i] = ask_for_stats(one) or false end
  stats.threads = {}
  for i, one in ipairs(members) do stats.threads[i] = stats_of(one, calls[i]) end
  return stats
end

-- These are those of the scheduler.
for _, name in ipairs { "wait_idle", "pause", "resume", "jobs", "has" } do
  methods[name] = function(self, ...)
    check_self(self, name)
    local jobs = self._jobs
    return jobs[name](jobs, ...)
  end
end

local PROPERTIES <const> = {
  name = true, limit = true, pending_limit = true, closed = true, active_count = true,
  pending_count = true, paused = true,
}

local known <const> = { scheduler = true, threads = true }
for name in pairs(methods) do known[name] = true end
for name in pairs(PROPERTIES) do known[name] = true end

function Workers.__index(self, key)
  local method = methods[key]
  if method then return method end
  if PROPERTIES[key] then return self._jobs[key] end
  if key == "scheduler" then return self._jobs end
  if key == "threads" then return #self._members end
  arguments.fail_property(2, TYPE, key, known)
end

function Workers.__newindex(self, key, value)
  if key ~= "limit" and key ~= "pending_limit" then
    error(("cannot set '%s' of a %s (only 'limit' and 'pending_limit' can be set)"):format(
      tostring(key), TYPE), 2)
  end
  self._jobs[key] = value
end

function Workers.__len(self) return #self._jobs end

function Workers.__tostring(self)
  local name = self._jobs.name
  return ("%s:%s %d thread%s, %d job%s"):format(TYPE, name and (' "%s"'):format(name) or "",
    #self._members, #self._members == 1 and "" or "s", #self, #self == 1 and "" or "s")
end

--- Starts threads, and returns when they are set up. Suspends.
--- Errors: misuse; the error of `setup`, as a copy; `cancelled`, `timeout` and `killed` of the
--- current job. No thread is left then.
---@param given? uvjobs.WorkersOptions
---@return uvjobs.Workers
return function(given)
  core.check_suspend("workers", 3)
  local spec, jobs, watched = options.take(given)
  local self = setmetatable({
    _jobs = jobs, _calls = setmetatable({}, { __mode = "k" }),
    _members = {}, _spare = {}, _starting = {}, -- threads; the second were replaced
    _turn = 0, _ended = false, _watching = false, _patience = spec.close_timeout + PATIENCE,
  }, Workers)
  is_workers[self] = true
  start_threads(self, spec, watched)
  return self
end
