---@meta uvjobs

-- The types of the public interface, for editors with the Lua language server.
-- Nothing loads this file. What each call does in full is in docs/api.md, and
-- spec/tooling/docs_spec.lua fails when the two, or the module, differ.
-- luacheck: ignore 212 241
--
-- "Suspends" means: must be called in a job, and may raise `cancelled`,
-- `timeout` or `killed` (see uvjobs.Error), also when it would not have to wait.

---@class uvjobs
---@field _VERSION string
---@field context table<any, any> values of the running job; what it spawns starts with them
local uvjobs = {}

---@alias uvjobs.Code
---| "cancelled" # the job that calls, or that was waited for, was cancelled
---| "timeout"   # a deadline passed, or another job did not end in time
---| "killed"    # the job outstayed its close timeout, and is ended by force
---| "closed"    # the scheduler is closed
---| "full"      # the pending queue is full, and the caller cannot suspend

---@alias uvjobs.JobState
---| "pending"   # waits for a slot
---| "active"    # runs, is suspended, or is about to start
---| "closing"   # active, and asked to end
---| "done"      # its function returned
---| "failed"    # its function raised an error
---| "cancelled" # was asked to end, and did
---| "killed"    # was asked to end, did not, and was ended by force

--- What uvjobs raises about jobs; `tostring` gives the message.
---@class uvjobs.Error: userdata
---@field code uvjobs.Code
---@field message string
---@field job uvjobs.Job? the job that it is about
---@field signal? "SIGINT"|"SIGTERM" behind the cancellation of the main job

---@class uvjobs.RunOptions
---@field signals? boolean SIGINT and SIGTERM cancel the main job; default true
---@field clock? "real"|"virtual" default "real"
---@field timeslice? number seconds > 0 or math.huge: preempts the main job; default math.huge
---@field slow? number|false seconds >= 0: reports a job that blocks the loop; 0.1 in debug mode
---@field stats? boolean measures how long jobs run; default false
---@field interrupt? uvjobs.Interrupt how a busy job is reached; default "SIGURG"
---@field shuffle? integer a seed: ready jobs run in a random order; default in order

---@alias uvjobs.Interrupt
---| "SIGURG"    # by a signal, this one or another
---| "SIGUSR1"
---| "SIGUSR2"
---| "SIGALRM"
---| "SIGVTALRM"
---| "SIGPROF"
---| "SIGWINCH"
---| "SIGIO"
---| "count"     # by a hook that counts instructions
---| "none"      # not at all

--- What uvjobs.stats() returns. The counts go on from when uvjobs was loaded.
---@class uvjobs.Stats
---@field turns integer
---@field spawned integer
---@field resumes integer
---@field preemptions integer
---@field live integer
---@field ready integer
---@field timers integer
---@field work integer functions in the thread pool
---@field heap integer bytes behind the heap for small blocks, 0 without one
---@field longest? number seconds, with run{ stats = true }
---@field longest_job? uvjobs.Job

---@class uvjobs.SchedulerOptions
---@field name? string for people
---@field limit? integer|number jobs that run at once: >= 1 or math.huge; default 100
---@field pending_limit? integer|number jobs that may wait: >= 0 or math.huge; default 10000
---@field close_timeout? number seconds that a closed job gets to end; default 0.1
---@field wait_timeout? number seconds that wait_and_close gives; default 60
---@field timeslice? number seconds > 0 or math.huge: preempts busy jobs; default math.huge
---@field exception_handler? uvjobs.ExceptionHandler gets the errors that nobody asked for
---@field on_error? "report"|"cancel" default "report"; "cancel": a nursery (see Scheduler)

---@class uvjobs.SpawnOptions
---@field name? string for people
---@field timeout? number seconds from the start to the deadline of the whole run

---@alias uvjobs.Message
---| "Job processing failed"
---| "Job closing timed out"
---| "Job ended holding a mutex"
---| "Job blocks the loop"
---| "Callback failed"

---@class uvjobs.Context
---@field message uvjobs.Message|string
---@field job? uvjobs.Job
---@field exception? any the value that was raised; nil for a mutex
---@field traceback? string
---@field seconds? number for how long the job has blocked the loop
---@field source_traceback? string where the job was spawned, in debug mode

---@class uvjobs.MapOptions
---@field limit? integer|number calls at once: >= 1 or math.huge; default 100

--- Runs in the loop outside any job: it cannot suspend.
---@alias uvjobs.ExceptionHandler fun(scheduler: uvjobs.Scheduler, context: uvjobs.Context)

-- ---- running ---------------------------------------------------------------

--- Runs `fn(...)` as the main job, and the loop until it has ended; then closes
--- every scheduler that is still open. Blocks; not to be called in a job.
--- Raises the error of `fn`, unchanged; and `run is stuck: ...` when jobs wait and
--- nothing can ever wake one of them.
---@overload fun(fn: function, ...: any): ...: any
---@param options uvjobs.RunOptions
---@param fn function
---@param ... any the arguments of `fn`, at most 240
---@return any ... the results of `fn`
function uvjobs.run(options, fn, ...) end

--- Suspends for at least `seconds`, never less.
---@param seconds number >= 0, finite
function uvjobs.sleep(seconds) end

--- Suspends until the other jobs that are ready have had their turn.
function uvjobs.yield() end

--- The clock. Does not suspend.
---@return number seconds monotonic
function uvjobs.now() end

--- The running job, or nil outside one. Does not suspend.
---@return uvjobs.Job?
function uvjobs.current() end

--- Calls `fn(...)` under a deadline, in the current job. Raises `timeout` at the
--- call in which `fn` is suspended when it passes, and at every later one in `fn`.
--- Nests: the earliest deadline counts.
---@param seconds number >= 0, finite
---@param fn function
---@param ... any the arguments of `fn`
---@return any ... the results of `fn`
function uvjobs.timeout(seconds, fn, ...) end

--- Calls `fn(...)` with cancellation and outer deadlines held off, in the
--- current job: for clean-up that suspends. Deadlines that are set inside count.
--- It does not hold off being killed.
---@param fn function
---@param ... any the arguments of `fn`
---@return any ... the results of `fn`
function uvjobs.protect(fn, ...) end

--- Calls `start(resume)` and suspends until `resume(...)` is called. When `start`
--- returns a function, that is called to abandon the operation if the job leaves
--- before.
---@param start fun(resume: fun(...: any)): (fun()|any)
---@return any ... the arguments of `resume`
function uvjobs.await(start) end

---@class uvjobs.ExecOptions
---@field input? string|string[] its standard input
---@field env? table<string, string|false> changes to the environment; false removes one
---@field cwd? string the directory that it runs in
---@field stdin? integer descriptor, in place of `input`
---@field stdout? integer descriptor; nothing is collected
---@field stderr? integer descriptor; nothing is collected
---@field on_stdout? fun(line: string) gets each line; may suspend
---@field on_stderr? fun(line: string)
---@field timeout? number seconds until it is terminated
---@field max_output? integer|number bytes of each stream or line: >= 0 or math.huge; default 16 MiB
---@field group? boolean terminates what it has started, too; default false

---@class uvjobs.ExecResult
---@field code integer exit status
---@field signal integer that ended it, or 0
---@field stdout? string nil with on_stdout
---@field stderr? string nil with on_stderr

--- Runs a child process until it has ended. Suspends. Terminates it, and waits
--- for that, when the job is cancelled. Needs luv.
---@param command string looked up in PATH
---@param args? string[]
---@param options? uvjobs.ExecOptions
---@return uvjobs.ExecResult? result
---@return string? reason "timeout", "limit", or the message of what could not be started
---@return string|uvjobs.ExecResult? code of that error; or the result so far
function uvjobs.exec(command, args, options) end

-- ---- in somebody else's loop -------------------------------------------------

---@class uvjobs.StartOptions
---@field name? string for people; default "main"
---@field timeout? number seconds from the start to the deadline of the whole run
---@field timeslice? number seconds > 0 or math.huge; default math.huge
---@field slow? number|false see uvjobs.RunOptions; for all jobs, from now on
---@field stats? boolean the same
---@field interrupt? uvjobs.Interrupt the same
---@field shuffle? integer the same

--- A new job that runs in the steps of somebody else's loop. Does not suspend.
---@overload fun(fn: function, ...: any): uvjobs.Job
---@param options uvjobs.StartOptions
---@param fn function
---@param ... any the arguments of `fn`, at most 240
---@return uvjobs.Job
function uvjobs.start(options, fn, ...) end

---@class uvjobs.Attachment
---@field close fun(self: uvjobs.Attachment) luv's loop drives the jobs no longer

--- Makes luv's loop drive the jobs. Does not suspend.
---@param uv table luv
---@return uvjobs.Attachment
function uvjobs.attach(uv) end

--- Runs what is ready, without waiting. Not to be called in a job.
---@return boolean more is ready
function uvjobs.step() end

--- A descriptor that is readable when step() has something to do. Does not suspend.
---@return integer
function uvjobs.fd() end

--- When step() wants to be called at the latest. Does not suspend.
---@return number? seconds nil when no time is known
function uvjobs.next_timeout() end

--- Runs `fn(...)` in a thread of libuv's pool, in a Lua state of its own, and
--- suspends until it has ended. Arguments and results are copies: nil, booleans,
--- numbers, strings, and tables of these without metatables. When the job leaves
--- before, `fn` is stopped, and not waited for. Raises a copy of the error of
--- `fn`, or its text.
---@param fn function a Lua function without upvalues
---@param ... any the arguments of `fn`
---@return any ... the results of `fn`
function uvjobs.work(fn, ...) end

--- The code of a uvjobs error, nil for any other value. Does not suspend.
---@param value any
---@return uvjobs.Code?
function uvjobs.code(value) end

--- Debug mode: records where each job was spawned. Does not suspend.
---@param on boolean
---@return boolean before
function uvjobs.debug(on) end

--- What the loop has done, and what it holds. Does not suspend.
---@return uvjobs.Stats
function uvjobs.stats() end

-- ---- functions as children -------------------------------------------------

--- Runs all functions as children of the current job. Suspends. Raises the first
--- error, when the others have been cancelled and have ended. Nothing is left
--- running, whatever happens.
---@param fns function[]
---@return { n: integer, [integer]: any } first the first result of each
---@return table[] packed all results of each, from table.pack
function uvjobs.all(fns) end

--- Runs the functions until the first has ended, by an error too, and cancels the
--- rest. Suspends. Raises the error of the first.
---@param fns function[] at least one
---@return integer index
---@return any ... all results of that function
function uvjobs.race(fns) end

--- Calls `fn(item, index)` for each item, `limit` at a time. Suspends. Raises the
--- first error, when the others have been cancelled and have ended.
---@param list any[]|fun(): any a list, or a function that returns nil at the end and may suspend
---@param fn fun(item: any, index: integer): any
---@param options? uvjobs.MapOptions
---@return { n: integer, [integer]: any } results the first of each call, in order
function uvjobs.map(list, fn, options) end

-- ---- schedulers ------------------------------------------------------------

--- A new scheduler. Leaving the block of `local s <close>` normally calls
--- `wait_and_close`, leaving it by an error, or when cancelled, `close`. Does not
--- suspend.
---@param options? uvjobs.SchedulerOptions
---@return uvjobs.Scheduler
function uvjobs.scheduler(options) end

--- All properties are read only. With `on_error = "cancel"` it is a nursery: the
--- first job that fails, while nobody waits for it, closes it, and `wait_and_close`
--- raises the error.
---@class uvjobs.Scheduler: userdata
---@field name string?
---@field limit integer|number
---@field pending_limit integer|number
---@field close_timeout number seconds
---@field wait_timeout number seconds
---@field timeslice number seconds, or math.huge
---@field exception_handler uvjobs.ExceptionHandler?
---@field closed boolean it admits no more jobs
---@field active_count integer jobs in a slot
---@field pending_count integer jobs that wait for a slot
---@operator len: integer
local Scheduler = {}

--- A new job for `fn(...)`; it starts on a later turn. Suspends when the pending
--- queue is full. Raises `closed`; and `full` where it cannot suspend. In a
--- cancelled job it raises `cancelled`, also when there is room.
---@overload fun(self: uvjobs.Scheduler, fn: function, ...: any): uvjobs.Job
---@param options uvjobs.SpawnOptions
---@param fn function
---@param ... any the arguments of `fn`, at most 240
---@return uvjobs.Job
function Scheduler:spawn(options, fn, ...) end

--- The same without ever suspending; in a cancelled job it works, too.
---@overload fun(self: uvjobs.Scheduler, fn: function, ...: any): uvjobs.Job?, ("full"|"closed")?
---@param options uvjobs.SpawnOptions
---@param fn function
---@param ... any the arguments of `fn`, at most 240
---@return uvjobs.Job? job nil when there is no room
---@return ("full"|"closed")? why
function Scheduler:try_spawn(options, fn, ...) end

--- Runs `fn(...)` outside the limit; if the caller is cancelled, `fn` goes on.
--- Suspends. Raises the error of `fn`; `closed`.
---@param fn function
---@param ... any the arguments of `fn`, at most 240
---@return any ... the results of `fn`
function Scheduler:shield(fn, ...) end

--- Waits until no job is left, then closes. Suspends. Raises the error that closed
--- a nursery, once.
---@param timeout? number seconds, >= 0; default: wait_timeout
function Scheduler:wait_and_close(timeout) end

--- Drops the pending jobs, cancels the active ones, and waits until all have
--- ended; kills what lives longer than close_timeout. Suspends, except in a job that
--- is being killed.
function Scheduler:close() end

--- Iterates over the jobs that are pending or active. Does not suspend.
---@return fun(): uvjobs.Job?
function Scheduler:jobs() end

--- Whether the job is pending or active here. Does not suspend.
---@param job uvjobs.Job
---@return boolean
function Scheduler:has(job) end

--- Calls the exception handler, or the default one. Does not suspend.
---@param context uvjobs.Context
function Scheduler:call_exception_handler(context) end

-- ---- jobs ------------------------------------------------------------------

--- Exactly one of pending, active and closed is true. Only `name` may be set.
---@class uvjobs.Job: userdata
---@field state uvjobs.JobState
---@field pending boolean
---@field active boolean
---@field closed boolean it has ended
---@field id integer unique in the Lua state
---@field name string?
---@field scheduler uvjobs.Scheduler
---@field resumes integer how often it was started, or went on
---@field preemptions integer how often its time slice ended
---@field cpu_time number? seconds that it ran, with run{ stats = true }
local Job = {}

--- Waits for the end. Suspends, unless the job has ended. Raises the job's error;
--- `timeout` when the time passes: then the job is closed.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return any ... the results of the job
function Job:wait(timeout) end

--- Waits for the end without touching the job. Suspends, unless it has ended.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return boolean ended false when the time passed
function Job:join(timeout) end

--- Cancels the job and waits for the end; kills it when the time passes, and
--- raises `timeout`. Suspends, unless it has ended. Raises the job's error if it
--- failed.
---@param timeout? number seconds, >= 0; default: the scheduler's close_timeout
function Job:close(timeout) end

--- Requests the end, and returns. Does not suspend.
function Job:cancel() end

--- Where the job stands. Does not suspend.
---@return string
function Job:traceback() end

-- ---- primitives ------------------------------------------------------------

--- A new event, not set. Does not suspend.
---@return uvjobs.Event
function uvjobs.event() end

--- A flag that jobs wait for.
---@class uvjobs.Event: userdata
local Event = {}

--- Sets the flag and wakes all waiters. Does not suspend.
function Event:set() end

--- Clears the flag. Does not suspend.
function Event:clear() end

--- Whether the flag is set. Does not suspend.
---@return boolean
function Event:is_set() end

--- Waits for the flag. Suspends, unless it is set.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return true? set nil when the time passed
---@return "timeout"? why
function Event:wait(timeout) end

--- A new queue. Does not suspend.
---@param capacity? integer|number >= 0 or math.huge, the default
---@return uvjobs.Queue
function uvjobs.queue(capacity) end

--- Values that go from job to job, first in, first out. Those who wait are served
--- in the order in which they came.
---@class uvjobs.Queue: userdata
---@field capacity integer|number
---@field closed boolean it admits no more values; some may be left
---@operator len: integer
local Queue = {}

--- Puts a value at the end. Suspends while the queue is full. Unless it returns
--- true, the value is not in the queue.
---@param value any not nil
---@param timeout? number seconds, >= 0; nil waits for ever
---@return true? put
---@return ("timeout"|"closed")? why
function Queue:put(value, timeout) end

--- Takes the first value. Suspends while the queue is empty.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return any value nil when there is none
---@return ("timeout"|"closed")? why
function Queue:get(timeout) end

--- Puts a value if there is room. Does not suspend; may be called from anywhere.
---@param value any not nil
---@return true? put
---@return ("full"|"closed")? why
function Queue:try_put(value) end

--- Takes the first value if there is one. Does not suspend; may be called from
--- anywhere.
---@return any value nil when there is none
---@return ("empty"|"closed")? why
function Queue:try_get() end

--- Iterates until the queue is closed and empty; each step may suspend. Several
--- jobs may iterate: each value goes to one of them.
---@return fun(queue: uvjobs.Queue): any
---@return uvjobs.Queue
function Queue:items() end

--- Admits no more values and wakes all that wait. Does not suspend.
function Queue:close() end

--- A new semaphore. Does not suspend.
---@param n integer|number permits: >= 1 or math.huge
---@return uvjobs.Semaphore
function uvjobs.semaphore(n) end

--- A number of permits. They belong to no job: nothing gives one back but
--- `release`, `with`, and a permit's end.
---@class uvjobs.Semaphore: userdata
---@field count integer|number permits that are free
local Semaphore = {}

--- Takes a permit. Suspends until one is free.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return true? acquired
---@return "timeout"? why
function Semaphore:acquire(timeout) end

--- Takes a permit if one is free. Does not suspend.
---@return boolean acquired
function Semaphore:try_acquire() end

--- Gives a permit back, to the first that waits. Does not suspend; may be called
--- from anywhere. Raises an error when all have been given back.
function Semaphore:release() end

--- Calls `fn(...)` with a permit, which is given back however it ends. Suspends
--- until a permit is free.
---@param fn function
---@param ... any the arguments of `fn`
---@return any ... the results of `fn`
function Semaphore:with(fn, ...) end

--- Takes a permit, for a `<close>` variable. Suspends until one is free.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return uvjobs.Permit? permit
---@return "timeout"? why
function Semaphore:permit(timeout) end

--- A new mutex. Does not suspend.
---@return uvjobs.Mutex
function uvjobs.mutex() end

--- A lock that one job holds at a time. When that job ends, it passes on, and the
--- exception handler is told.
---@class uvjobs.Mutex: userdata
local Mutex = {}

--- Locks it. Suspends until it is free. Raises an error when the job itself has it.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return true? locked
---@return "timeout"? why
function Mutex:lock(timeout) end

--- Locks it if it is free. Does not suspend, but has to be called in a job.
---@return boolean locked
function Mutex:try_lock() end

--- Unlocks it, or hands it to the first that waits; only the job that locked it
--- may. Does not suspend.
function Mutex:unlock() end

--- Calls `fn(...)` with the mutex locked; it is unlocked however `fn` ends.
--- Suspends until it is free.
---@param fn function
---@param ... any the arguments of `fn`
---@return any ... the results of `fn`
function Mutex:with(fn, ...) end

--- Locks it, for a `<close>` variable. Suspends until it is free.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return uvjobs.Permit? permit
---@return "timeout"? why
function Mutex:permit(timeout) end

--- A permit of a semaphore, or the lock of a mutex; closing it gives it back.
---@class uvjobs.Permit: userdata
local Permit = {}

--- Gives it back now; nothing happens the second time. Does not suspend. The lock
--- of a mutex is given back by the job that has it.
function Permit:release() end

return uvjobs
