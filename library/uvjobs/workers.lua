---@meta uvjobs.workers
-- luacheck: ignore 212 241

--- What uvjobs.workers() makes. docs/workers.md describes it.

---@class uvjobs.WorkersOptions: uvjobs.SchedulerOptions without `timeslice`
---@field threads? integer 1 to 1024; default: as many as processors
---@field setup? fun(index: integer) is called in each thread before anything else
---@field memory_limit? integer bytes of the Lua state of each thread, >= 1 MiB
---@field slow? number seconds > 0: reports a thread that does not answer for so long
---@field replace? boolean puts another thread in its place
---@field main_only? string[] modules that `require` refuses in the threads

---@class uvjobs.WorkersThread
---@field active integer how many jobs it has
---@field jobs integer how many it has got so far
---@field stuck boolean it does not answer; then the next three are nil
---@field cpu_time number? seconds that it has computed
---@field busy number? from 0 to 1: the share of its time
---@field memory integer? bytes of its Lua state

---@class uvjobs.WorkersStats: uvjobs.SchedulerStats
---@field threads uvjobs.WorkersThread[]

---@class uvjobs.Workers
---@field scheduler uvjobs.Scheduler of its jobs
---@field threads integer how many there are
---@field name string?
---@field limit integer|number may be set
---@field pending_limit integer|number may be set
---@field closed boolean
---@field paused boolean
---@field active_count integer
---@field pending_count integer
local Workers = {}

--- Makes a job that calls `fn(...)` in one of the threads, with copies of the arguments.
--- Suspends when the pending queue is full.
--- Errors: `closed`; `full`.
---@async
---@overload async fun(self: uvjobs.Workers, fn: (fun(...: any): ...: any), ...: any): uvjobs.Job
---@param options uvjobs.SpawnOptions jobs of one `key` go to one thread
---@param fn fun(...: any): ...: any a Lua function without upvalues
---@param ... any
---@return uvjobs.Job
---@return boolean? is_new with the option `unique`
function Workers:spawn(options, fn, ...) end

--- The same without suspending.
---@overload fun(self: uvjobs.Workers, fn: (fun(...: any): ...: any), ...: any): uvjobs.Job?
---@param options uvjobs.SpawnOptions
---@param fn fun(...: any): ...: any
---@param ... any
---@return uvjobs.Job? job
---@return string|boolean|nil why "full" or "closed"
function Workers:try_spawn(options, fn, ...) end

--- Calls `fn(...)` in one of the threads; when the caller leaves early, that is closed. Suspends.
--- Errors: the error of `fn`, as a copy; `closed`.
---@async
---@param fn fun(...: any): ...: any a Lua function without upvalues
---@param ... any
---@return any ...
function Workers:call(fn, ...) end

--- Where a job stands in its thread; nil when it is in none. Suspends.
---@async
---@param job uvjobs.Job
---@return string?
function Workers:traceback(job) end

--- Closes all jobs, and ends the threads. Suspends.
---@async
function Workers:close() end

--- Waits until no job is left, at most so long, and closes then. Suspends.
---@async
---@param timeout? number seconds
---@return boolean? ok
---@return "timeout"? why
---@return integer? count of jobs that were cancelled
function Workers:wait_and_close(timeout) end

--- What has become of the jobs, and what the threads do. Suspends.
---@async
---@return uvjobs.WorkersStats
function Workers:stats() end

--- As those of its scheduler.
---@async
---@param timeout? number seconds
---@return boolean? ok
---@return "timeout"? why
function Workers:wait_idle(timeout) end

function Workers:pause() end

function Workers:resume() end

---@return fun(): uvjobs.Job?
function Workers:jobs() end

---@param job uvjobs.Job
---@return boolean
function Workers:has(job) end
