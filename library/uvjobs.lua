---@meta uvjobs

-- The types of the public interface, for editors with the Lua language server. Nothing
-- loads this file. docs/api.md describes each call in full; spec/tooling/docs_spec.lua
-- fails when the two, or the module, differ.
-- luacheck: ignore 212 241
--
-- A call that suspends has to be made in a job. It raises `cancelled`, `timeout` or `killed`
-- when its job is to end, also when it would not have to wait: see uvjobs.Error. Every call
-- raises an error for misuse. "Errors" lists what else a call raises.

---@class uvjobs
---@field _VERSION string
---@field context table<any, any> values of the current job; jobs that it spawns begin with them
local uvjobs = {}

---@alias uvjobs.Code
---| "cancelled" # the job that calls, or that was waited for, was cancelled
---| "timeout"   # a deadline passed, or another job did not end in time
---| "killed"    # the job did not end within its close timeout, and is ended by force
---| "closed"    # the scheduler is closed
---| "full"      # the pending queue is full, and the caller cannot suspend; or that of a policy
---| "open"      # a breaker is open
---| "limited"   # a limit of rates refuses the call
---| "intensity" # a supervisor has given up
---| "lost"      # another process has the durable task now
---| "unavailable" # the store of durable jobs cannot be reached, or cannot write
---| "corrupt"   # what that store has read is not what it can have written
---| "memory"    # a job of workers needed more than its thread has

---@alias uvjobs.JobState
---| "pending"   # waits for a slot
---| "active"    # runs, is suspended, or is about to start
---| "closing"   # active, and was asked to end
---| "done"      # its function has returned
---| "failed"    # its function has raised an error
---| "cancelled" # was asked to end, and has ended
---| "killed"    # was asked to end, did not in time, and was ended by force

---@class uvjobs.BackoffValues
---@field base? number seconds >= 0: the first wait; default 0.1
---@field factor? number >= 1: how much longer each wait is; default 2
---@field max? number seconds: the longest wait
---@field jitter? "full"|"none"|"equal"|"decorrelated"|number what is random of it; default "full"

---@class uvjobs.RetryValues
---@field attempts? number integer >= 1 or math.huge; default 3
---@field backoff? uvjobs.BackoffValues|number a number of seconds is the same wait each time
---@field when? fun(err: any, attempt: integer): any whether to try again; does not suspend
---@field delay? fun(err: any, attempt: integer): number? seconds to wait; does not suspend

--- The error that uvjobs raises when a job ends or a scheduler refuses one; `tostring`
--- returns its message.
---@class uvjobs.Error: userdata
---@field code uvjobs.Code
---@field message string
---@field job uvjobs.Job? the job that was cancelled, closed or killed
---@field signal? uvjobs.Signal|"SIGPIPE" the one that has cancelled the main job
---@field retry_after? number seconds after which it is worth while to try again
---@field cause? any the error that has led to this one
---@field stored? "unknown" of durable jobs: whether something was stored all the same

---@alias uvjobs.Signal "SIGINT"|"SIGTERM"|"SIGHUP"|"SIGQUIT"|"SIGUSR1"|"SIGUSR2"

---@class uvjobs.InspectRights
---@field control? boolean other processes of the user may cancel jobs; default false
---@field values? boolean they see texts that come from the program; default false
---@field socket? boolean their socket is there from the start; default false

---@class uvjobs.RunOptions
---@field inspect? boolean|"demand"|uvjobs.InspectRights whether they can look; default "demand"
---@field dump? false|uvjobs.Signal which signal asks for a dump of all jobs; default false
---@field work_threads? integer how many functions of work() run at once: 1 to 1024
---@field signals? boolean|uvjobs.Signal[] which signals close the main job; default SIGINT, SIGTERM
---@field clock? "real"|"virtual" default "real"
---@field seed? integer of random numbers; default 0 under the virtual clock, else random
---@field date? number at which a virtual clock starts, in seconds since 1970; default 946684800
---@field timeslice? number seconds > 0 or math.huge: preempts the main job; default math.huge
---@field slow? number|false seconds >= 0: reports a job that blocks the loop so long; default
---  none, in debug mode 0.1
---@field stats? boolean measures how long jobs run; default false
---@field interrupt? uvjobs.Interrupt how a busy job is interrupted; default "SIGURG"
---@field shuffle? integer a seed: ready jobs run in a random order; default in order
---@field close_timeout? number seconds >= 0 that the main job has to end after a signal; default 10

---@alias uvjobs.Interrupt
---| "SIGURG"    # by this signal
---| "SIGUSR1"
---| "SIGUSR2"
---| "SIGALRM"
---| "SIGVTALRM"
---| "SIGPROF"
---| "SIGWINCH"
---| "SIGIO"
---| "count"     # by a hook that counts instructions
---| "none"      # it is not interrupted

--- What uvjobs.stats() returns. The counts begin when uvjobs is loaded.
---@class uvjobs.Stats
---@field turns integer how many turns the loop has made
---@field spawned integer how many jobs were spawned
---@field resumes integer how often a job was started or went on
---@field preemptions integer how often a time slice has ended
---@field live integer jobs that have not ended
---@field ready integer jobs that wait for their turn
---@field timers integer jobs with a deadline or a time limit
---@field work integer functions of work() that are queued or run
---@field heap integer bytes that the heap for small blocks has, 0 without one
---@field longest? number seconds that the longest run of a job took, with run{ stats = true }
---@field longest_job? uvjobs.Job the job that took them

---@class uvjobs.RepeatingOptions
---@field name? string of the occurrences
---@field priority? integer of the occurrences: from 0, the most urgent, to 9; default 5
---@field key? string|number of the occurrences
---@field timeout? number seconds: the deadline of each occurrence
---@field jitter? number seconds by which a start may be late, at random; default 0
---@field overlap? "skip"|"one"|"all"|"cancel"|"allow" default "skip"
---@field misfire? "skip"|"latest"|"all" default "latest"
---@field misfire_limit? integer 1 to 10000; default 100
---@field misfire_grace? number seconds; default math.huge
---@field on_error? "continue"|"pause" default "continue"

---@class uvjobs.EveryRules: uvjobs.RepeatingOptions
---@field anchor? number seconds since 1970; default now
---@field phase? number seconds; default 0

---@class uvjobs.CronRules: uvjobs.RepeatingOptions
---@field zone? string such as "Europe/Berlin", "UTC" or "local"
---@field gap? "run"|"skip" default "run"
---@field fold? "first"|"second"|"both" default "first"; not "both" for at()

---@class uvjobs.Occurrence
---@field time number seconds since 1970: the time of the schedule
---@field late number seconds: how long after that the job was spawned
---@field repeating uvjobs.Repeating

---@class uvjobs.SchedulerOptions
---@field name? string for people
---@field limit? integer|number jobs that run at once: >= 1 or math.huge; default 100
---@field pending_limit? integer|number jobs that may wait: >= 0 or math.huge; default 10000
---@field close_timeout? number seconds that a closed job gets to end; default 0.1
---@field wait_timeout? number seconds that wait_and_close gives; default math.huge
---@field timeslice? number seconds > 0 or math.huge: preempts busy jobs; default math.huge
---@field exception_handler? uvjobs.ExceptionHandler gets the errors that nobody waits for
---@field on_start? fun(job: uvjobs.Job) called outside of jobs when a job first runs
---@field on_end? fun(job: uvjobs.Job) called outside of jobs when a job that has started ends
---@field stats? boolean sums up how long jobs wait and run, see stats(); default false
---@field aging? number seconds > 0 or math.huge after which a pending job is one level more urgent
---@field fair? boolean the keys of a level take turns; default false
---@field key_limit? integer|number jobs of one key at once: >= 1 or math.huge; default math.huge
---@field start_rate? number starts per second at most: > 0 or math.huge; default math.huge
---@field start_burst? integer with start_rate: starts at once after a pause, >= 1; default 1
---@field on_error? "report"|"cancel" default "report"; "cancel": a nursery (see Scheduler)

---@class uvjobs.SchedulerStats
---@field spawned integer jobs that got a slot or a place in the pending queue
---@field live integer those of them that are pending or active
---@field ended integer the others
---@field done integer
---@field failed integer
---@field cancelled integer
---@field killed integer
---@field waiting_time? number seconds that jobs were pending, together, with the option stats
---@field running_time? number seconds that jobs had a slot, together, with the option stats
---@field cpu_time? number seconds that jobs held the loop, with run{ stats = true }
---@field waited? uvjobs.Histogram from spawn to start, with run{ stats = true }
---@field ran? uvjobs.Histogram of jobs that have ended, with run{ stats = true }
---@field lateness? uvjobs.Histogram of jobs that waited for a time, with run{ stats = true }

--- Durations, in seconds. Quantiles are within 2 % of the true ones, from a microsecond to an hour.
---@class uvjobs.Histogram
---@field count integer how many
---@field sum number
---@field mean number 0 when it is empty
---@field max number the longest, exactly
---@field quantile fun(self: uvjobs.Histogram, q: number): number q from 0 to 1

--- How long a job has been in each state, in seconds.
---@class uvjobs.Times
---@field waited? number for anything but its turn; nil if the job is older than the measurement
---@field ready? number for its turn; likewise
---@field ran number

---@class uvjobs.SpawnOptions
---@field name? string for people
---@field timeout? number seconds from the start to the deadline of the whole run
---@field report? boolean false: somebody will ask for its error, so nobody else hears of it
---@field priority? integer how urgent its start is: from 0, the most, to 9; default 5
---@field key? string|number whom it is for, see the options fair and key_limit of a scheduler
---@field unique? boolean no job is made while one of the key lives, which is returned, and false

---@alias uvjobs.Message
---| "Job processing failed"
---| "Job closing timed out"
---| "Job ended holding a mutex"
---| "Job blocks the loop"
---| "Waiting timed out"
---| "Jobs are stuck"
---| "Nursery block failed"
---| "Callback failed"

---@class uvjobs.Context
---@field message uvjobs.Message|string
---@field job? uvjobs.Job
---@field jobs? uvjobs.Job[] those that are cancelled for a limit, or all that are stuck
---@field exception? any the value that was raised; nil for a mutex that was left locked
---@field traceback? string
---@field seconds? number for how long the job has blocked the loop
---@field repeating? uvjobs.Repeating of which times did not run
---@field reason? "overlap"|"missed"|"full" why they did not
---@field time? number the first of them, seconds since 1970
---@field source_traceback? string where the job was spawned, in debug mode

---@class uvjobs.MapOptions
---@field limit? integer|number calls at once: >= 1 or math.huge; default 100
---@field progress? uvjobs.Progress gets 1 for each call that has ended well
---@field on? uvjobs.Workers in whose threads it is called, with copies

--- A list of queues, channels, events and jobs, with the seconds after which select() gives up.
---@class uvjobs.Sources
---@field [integer] uvjobs.Queue|uvjobs.Channel|uvjobs.Event|uvjobs.Job
---@field timeout? number

---@class uvjobs.EachOptions: uvjobs.MapOptions
---@field on_result? fun(index: integer, ...: any) called in the calling job as the calls end

--- What has become of a function of settled(): its results with their number, or its error.
---@class uvjobs.Outcome
---@field ok boolean
---@field n? integer
---@field error? any
---@field [integer] any

--- A function that is called with what nobody waits for. It runs outside of jobs, so it
--- cannot suspend.
---@alias uvjobs.ExceptionHandler fun(scheduler: uvjobs.Scheduler, context: uvjobs.Context)

-- ---- running ---------------------------------------------------------------

--- Runs `fn(...)` as the main job, and the loop until the main job has ended; then
--- closes every scheduler that is still open. Blocks.
--- Errors: the error of `fn`, unchanged; `cancelled`, with `err.signal` when a signal
--- is the cause; "run is already running"; "run is stuck: ...", when jobs wait and
--- nothing can ever wake one of them.
---@overload fun(fn: function, ...: any): ...: any
---@param options uvjobs.RunOptions
---@param fn function
---@param ... any the arguments of `fn`, at most 240
---@return any ... the results of `fn`
function uvjobs.run(options, fn, ...) end

--- Ends the run, with all clean-up, and then the process, as `os.exit(status, true)` does. The
--- first call decides on the status. The calling job gets `cancelled` at once; in a callback
--- the call returns.
---
--- Does not suspend. Errors: `cancelled`; "'exit' must be called while 'uvjobs.run' runs".
---@param status? integer|boolean from 0 to 255; default true
function uvjobs.exit(status) end

--- Suspends for at least `seconds`.
---@param seconds number >= 0, finite
function uvjobs.sleep(seconds) end

--- Suspends until the other jobs that are ready have run.
function uvjobs.yield() end

--- Returns the time of the loop's clock. Does not suspend.
---@return number seconds monotonic
function uvjobs.now() end

--- Returns the date, which can jump. Does not suspend.
---@return number time seconds since 1970
function uvjobs.time() end

--- Suspends until a date, also when the date is set meanwhile.
---@param time number seconds since 1970, up to the year 2199
function uvjobs.sleep_until(time) end

--- Returns how long it is to the earliest deadline that holds in the calling job. Does not
--- suspend.
---@return number? seconds >= 0; nil without a deadline
function uvjobs.remaining() end

--- Returns the job that runs, or nil outside jobs. Does not suspend.
---@return uvjobs.Job?
function uvjobs.current() end

--- Calls `fn(...)` in the current job, under a deadline. Suspends only in `fn`. When
--- the deadline passes, the call in which `fn` is suspended raises `timeout`, and so
--- does every later one in `fn`. Of nested deadlines the earliest counts.
--- Errors: `timeout`; the error of `fn`, unchanged.
---@param seconds number >= 0
---@param fn function
---@param ... any the arguments of `fn`
---@return any ... the results of `fn`
function uvjobs.timeout(seconds, fn, ...) end

--- Calls `fn(...)` in the current job, and holds off its cancellation and the deadlines
--- outside of `fn`: for clean-up that suspends. Being killed is not held off. Suspends
--- only in `fn`, also in a cancelled job.
--- Errors: the error of `fn`, unchanged.
---@param fn function
---@param ... any the arguments of `fn`
---@return any ... the results of `fn`
function uvjobs.protect(fn, ...) end

--- Calls `start(resume)`, and suspends until `resume(...)` is called. When `start`
--- returns a function, that is called if the job leaves early, to abandon the
--- operation. Does not suspend when `resume` was called in `start`.
--- Errors: the error of `start`, unchanged.
---@param start fun(resume: fun(...: any)): (fun()|any)
---@return any ... the arguments of `resume`
function uvjobs.await(start) end

---@class uvjobs.ExecOptions
---@field input? string|string[] the standard input of the child
---@field env? table<string, string|false> changes to the environment; false removes one
---@field cwd? string the directory that it runs in
---@field stdin? integer descriptor, in place of `input`
---@field stdout? integer descriptor; nothing is collected
---@field stderr? integer|"stdout" descriptor; or where stdout goes, in order; nothing is collected
---@field on_stdout? fun(line: string) gets each line of stdout; may suspend
---@field on_stderr? fun(line: string) gets each line of stderr; may suspend
---@field timeout? number seconds, >= 0 or math.huge, until the child is terminated; nil: no limit
---@field kill_timeout? number seconds from SIGTERM to SIGKILL; default: close_timeout, 1 at least
---@field max_output? integer|number bytes of each stream or line: >= 0 or math.huge; default 16 MiB
---@field progress? uvjobs.Progress gets the number of bytes of standard output
---@field group? boolean terminates also what the child has started; default false

---@class uvjobs.ExecResult
---@field ok boolean it ended by itself with the exit status 0
---@field code? integer exit status; nil when a signal ended it
---@field signal integer the number of the signal that ended it, or 0
---@field stdout? string nil when it is not collected
---@field stderr? string nil when it is not collected
---@field message? string what happened, when it is not ok

--- Runs a child process until it has ended. Suspends. When the job is cancelled, the
--- child is terminated, and waited for. Needs luv.
--- Errors: the error of `on_stdout` or `on_stderr`, unchanged.
---@param command string looked up in PATH
---@param args? string[]
---@param options? uvjobs.ExecOptions
---@return uvjobs.ExecResult? result
---@return "timeout"|"limit"|"spawn"|nil why
---@return uvjobs.ExecResult? partial the result so far; nil after "spawn"
---@return string? message names the command
---@return string? code after "spawn", such as "ENOENT"
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
---@field inspect? boolean|"demand"|uvjobs.InspectRights the same

--- Makes a job that runs in the steps of somebody else's loop. Does not suspend.
---@overload fun(fn: function, ...: any): uvjobs.Job
---@param options uvjobs.StartOptions
---@param fn function
---@param ... any the arguments of `fn`, at most 240
---@return uvjobs.Job
function uvjobs.start(options, fn, ...) end

---@class uvjobs.Attachment
---@field close fun(self: uvjobs.Attachment) ends it: luv's loop drives the jobs no longer

--- Makes luv's loop drive the jobs, until the attachment is closed. Does not suspend.
--- Errors: "uvjobs is attached to luv's loop already".
---@param uv table luv
---@return uvjobs.Attachment
function uvjobs.attach(uv) end

--- Runs one turn of the loop without waiting. Does not suspend.
--- Errors: "'step' cannot be called while the loop runs", as it does in a job.
---@return boolean more is ready
function uvjobs.step() end

--- Returns a descriptor that is readable when step() has something to do. Does not
--- suspend.
--- Errors: "there is no descriptor on this system".
---@return integer
function uvjobs.fd() end

--- Returns when step() has to be called at the latest. Does not suspend.
---@return number? seconds nil when no time is known
function uvjobs.next_timeout() end

---@class uvjobs.WorkOptions
---@field on_message? fun(...: any) is called in the job with what `fn` sends; may suspend

--- Runs `fn(...)` in another thread, in a Lua state of its own, and suspends
--- until it has ended. Arguments and results are copied: nil, booleans, numbers,
--- strings, and tables of these without metatables. When the job leaves early, `fn` is
--- stopped, and not waited for.
--- Errors: the error of `fn`, as a copy, or its text when it cannot be copied; that a
--- result cannot be copied; "not enough memory".
--- While it runs, `fn` can send values to `on_message` by `require "uvjobs.worker".send(...)`.
---@param fn function a Lua function without upvalues
---@param ... any the arguments of `fn`
---@return any ... the results of `fn`
---@overload fun(options: uvjobs.WorkOptions, fn: function, ...: any): ...: any
function uvjobs.work(fn, ...) end

--- Returns the code of an error that uvjobs has raised, and nil for any other value.
--- Does not suspend.
---@param value any
---@return uvjobs.Code?
function uvjobs.code(value) end

--- From now on jobs are not interrupted in the middle of these files, but only when their
--- code returns, calls code of another file or suspends; or after a second. It is for
--- libraries whose objects several jobs share.
--- Suspends: no.
---@param ... string|function names of modules; or functions written in Lua, for their files
function uvjobs.keep_whole(...) end

--- Calls `fn(...)`, and again when it fails, after waits that become longer.
--- Errors: the last error of `fn`.
---@async
---@overload async fun(fn: (fun(...: any): ...: any), ...: any): ...: any
---@param options uvjobs.RetryValues
---@param fn fun(...: any): ...: any
---@param ... any is passed on
---@return any ... what `fn` returns
function uvjobs.retry(options, fn, ...) end

--- Switches debug mode on or off. In debug mode the place where each job is spawned is
--- recorded. Does not suspend.
---@param on boolean
---@return boolean before
function uvjobs.debug(on) end

--- Writes what every job waits for, who holds that, and where it stands. Suspends in a job when
--- there are more than a hundred jobs, until a copy of the process has made the text.
---@param write? fun(text: string) is called once; nil writes to standard error
function uvjobs.dump(write) end

---@class uvjobs.ProgressOptions
---@field total? number how much there is to do
---@field label? string what is done
---@field unit? string what is counted; "bytes" are shown with prefixes
---@field every? number seconds from line to line in a log; default 5
---@field silent? boolean nothing is shown; default false

--- Shows how far something is: as a bar at the foot of a terminal, or as a line in a log now and
--- then. Does not suspend.
---@param options? uvjobs.ProgressOptions
---@return uvjobs.Progress
function uvjobs.progress(options) end

--- Returns what the loop has done so far, and what it holds. Does not suspend.
---@return uvjobs.Stats
function uvjobs.stats() end

-- ---- functions as children -------------------------------------------------

--- Calls `fn(jobs)` in the current job, with a new scheduler for jobs that belong
--- together. When one of them fails, the others are cancelled, and so is `fn`: its calls
--- that suspend raise `cancelled`. When `fn` fails or is cancelled, the jobs are closed.
--- Suspends.
--- Errors: misuse; the first error of a job or of `fn`, when all have ended;
--- `cancelled`, `timeout` and `killed` of the current job.
---@overload fun(fn: fun(jobs: uvjobs.Scheduler): ...: any): ...: any
---@param options uvjobs.SchedulerOptions but `on_error`
---@param fn fun(jobs: uvjobs.Scheduler): ...: any
---@return any ... the results of `fn`, when all jobs have finished
function uvjobs.nursery(options, fn) end

--- Calls all functions as children of the current job. Suspends, unless the list is
--- empty. However the call ends, no child is left running.
--- Errors: the first error of a function, unchanged, when the other children have been
--- cancelled and have ended.
---@param fns function[]
---@return { n: integer, [integer]: any } first the first result of each
---@return table[] packed all results of each, from table.pack
function uvjobs.all(fns) end

--- Calls all functions as children of the current job, and tells what has become of each.
--- Suspends, unless the list is empty. No error of a function is raised or reported.
---@param fns function[]
---@return { n: integer, [integer]: uvjobs.Outcome } outcomes
function uvjobs.settled(fns) end

--- Calls the functions as children of the current job until one has succeeded, and
--- cancels the others. Suspends. No error of a function is reported.
--- Errors: when all fail, the error of the one that failed first, unchanged.
---@param fns function[] at least one
---@return integer index
---@return any ... all results of that function
function uvjobs.any(fns) end

--- Calls the functions as children of the current job until one has ended, with or
--- without an error, and cancels the others. Suspends.
--- Errors: the error of the function that has ended first, unchanged.
---@param fns function[] at least one
---@return integer index
---@return any ... all results of that function
function uvjobs.race(fns) end

--- Calls `fn(item, index)` for each item, in children of the current job, at most
--- `limit` of them at once. Suspends, unless there is no item.
--- Errors: the first error, unchanged, when the other children have been cancelled and
--- have ended.
---@param list any[]|fun(): any a list, or a function that returns nil at the end and may suspend
---@param fn fun(item: any, index: integer): any
---@param options? uvjobs.MapOptions
---@return { n: integer, [integer]: any } results the first of each call, in order
function uvjobs.map(list, fn, options) end

--- Calls `fn(item, index)` for each item as map() does, and keeps no results: they go to
--- `on_result(index, ...)`, called in the current job in the order in which the calls end.
--- Suspends, unless there is no item.
--- Errors: the first error, unchanged, when the other children have been cancelled and
--- have ended.
---@param list any[]|fun(): any a list, or a function that returns nil at the end and may suspend
---@param fn fun(item: any, index: integer): ...: any
---@param options? uvjobs.EachOptions
---@return integer count how many items there were
function uvjobs.each(list, fn, options) end

--- Waits until one of several queues, channels, events and jobs is ready, and takes the value
--- of a queue or a channel. When several are ready, the first one in the list counts.
--- Suspends, unless one is ready. The error of a job is not raised.
---@param sources uvjobs.Sources at least one source
---@return uvjobs.Queue|uvjobs.Channel|uvjobs.Event|uvjobs.Job|nil source nil when the time is over
---@return any value what came from a queue, or nil when that is closed and empty; true for
---  an event that is set and for a job that has ended; "timeout"
---@return string? why "closed" for a queue that is closed and empty
function uvjobs.select(sources) end

-- ---- schedulers ------------------------------------------------------------

--- Makes a supervisor without children: docs/supervision.md describes it.
--- Does not suspend.
---@param options? uvjobs.SupervisorOptions
---@return uvjobs.Supervisor
function uvjobs.supervisor(options) end

--- Starts threads with a Lua state and a loop each, for jobs on all processors:
--- docs/workers.md describes them. Suspends.
--- Errors: the error of the option `setup`, as a copy.
---@async
---@param options? uvjobs.WorkersOptions
---@return uvjobs.Workers
function uvjobs.workers(options) end

--- Makes a scheduler. Leaving the block of `local s <close>` without an error calls
--- `wait_and_close`; leaving it by an error, or when cancelled, calls `close`. Does not
--- suspend.
---@param options? uvjobs.SchedulerOptions
---@return uvjobs.Scheduler
function uvjobs.scheduler(options) end

--- Runs jobs, not more than `limit` at once. Only `limit`, `pending_limit`, `key_limit` and
--- `start_rate` may be set: raising one lets in at once as many as there is room for, lowering
--- one ends nobody. With
--- `on_error = "cancel"` it is a nursery: the first job that fails while nobody waits for
--- it closes the nursery, and `wait_and_close` raises the error of that job.
---@class uvjobs.Scheduler: userdata
---@field name string?
---@field limit integer|number
---@field pending_limit integer|number
---@field key_limit integer|number
---@field start_rate number starts per second, or math.huge
---@field start_burst integer
---@field aging number seconds, or math.huge
---@field fair boolean
---@field close_timeout number seconds
---@field wait_timeout number seconds
---@field timeslice number seconds, or math.huge
---@field exception_handler uvjobs.ExceptionHandler?
---@field on_start fun(job: uvjobs.Job)?
---@field on_end fun(job: uvjobs.Job)?
---@field paused boolean it starts no job
---@field closed boolean it takes no more jobs
---@field active_count integer jobs in a slot
---@field pending_count integer jobs that wait for a slot
---@operator len: integer
local Scheduler = {}

--- Makes a job for `fn(...)`, which starts on a later turn of the loop. Suspends while
--- the pending queue is full. In a job that is to end it raises `cancelled` or
--- `timeout` also when there is room.
--- Errors: `closed`; `full`, where it would have to suspend and cannot.
---@overload fun(self: uvjobs.Scheduler, fn: function, ...: any): uvjobs.Job
---@param options uvjobs.SpawnOptions
---@param fn function
---@param ... any the arguments of `fn`, at most 240
---@return uvjobs.Job job
---@return boolean? is_new with `unique`: false when there was a job of the key, which is returned
function Scheduler:spawn(options, fn, ...) end

--- Makes a job like `spawn`, but never suspends, and works in a job that is to end,
--- too.
---@overload fun(self: uvjobs.Scheduler, fn: function, ...: any): uvjobs.Job?, ("full"|"closed")?
---@param options uvjobs.SpawnOptions
---@param fn function
---@param ... any the arguments of `fn`, at most 240
---@return uvjobs.Job? job nil when there is no room
---@return "full"|"closed"|boolean|nil reason with `unique`: whether the job is a new one
function Scheduler:try_spawn(options, fn, ...) end

--- Runs `fn(...)` in a job outside the limit, and waits for it. When the caller is
--- cancelled, `fn` goes on. Suspends.
--- Errors: the error of `fn`, unchanged; `closed`.
---@param fn function
---@param ... any the arguments of `fn`, at most 240
---@return any ... the results of `fn`
function Scheduler:shield(fn, ...) end

--- Waits until no job is left, for at most `timeout` seconds, and closes the scheduler.
--- Suspends when there are jobs.
--- Errors: the error that made a nursery fail, once; "a job cannot wait for its own
--- scheduler".
---@param timeout? number seconds, >= 0; default: wait_timeout
---@return true? ended nil when the time was not enough
---@return "timeout"? reason
---@return integer? count how many jobs were cancelled for it
function Scheduler:wait_and_close(timeout) end

--- Calls a function at each time of a schedule, in a job of its own. A number repeats every so
--- many seconds, from now on. Does not suspend.
--- Errors: misuse; `closed`.
---@overload fun(self: uvjobs.Scheduler, schedule: any, fn: function, ...: any): uvjobs.Repeating
---@param schedule uvjobs.Schedule|number
---@param options uvjobs.RepeatingOptions
---@param fn fun(occurrence: uvjobs.Occurrence, ...: any)
---@param ... any is passed on
---@return uvjobs.Repeating
function Scheduler:repeating(schedule, options, fn, ...) end

--- Is repeating() for schedule.every(). Does not suspend.
---@param seconds number >= 0.001
---@param options uvjobs.EveryRules
---@param fn fun(occurrence: uvjobs.Occurrence, ...: any)
---@param ... any is passed on
---@return uvjobs.Repeating
function Scheduler:every(seconds, options, fn, ...) end

--- Is repeating() for schedule.cron(). Does not suspend.
---@param pattern string
---@param options uvjobs.CronRules
---@param fn fun(occurrence: uvjobs.Occurrence, ...: any)
---@param ... any is passed on
---@return uvjobs.Repeating
function Scheduler:cron(pattern, options, fn, ...) end

--- Is repeating() for schedule.at(). A time that has passed was missed. Does not suspend.
---@param time number|string
---@param options uvjobs.CronRules
---@param fn fun(occurrence: uvjobs.Occurrence, ...: any)
---@param ... any is passed on
---@return uvjobs.Repeating
function Scheduler:at(time, options, fn, ...) end

--- Drops the pending jobs, cancels the active ones, and waits until all have ended;
--- those that live longer than `close_timeout` are killed. Suspends when there are
--- jobs, but in a job that is being killed it only begins the closing.
--- Errors: that it is called outside of jobs when jobs have started.
function Scheduler:close() end

--- Waits until no job is left, for at most `timeout` seconds, and leaves the scheduler open.
--- Suspends when there are jobs.
--- Errors: "a job cannot wait for its own scheduler".
---@param timeout? number seconds, >= 0; default: no limit
---@return true? idle nil when the time is over; the jobs go on
---@return "timeout"? reason
function Scheduler:wait_idle(timeout) end

--- Starts no job any more until `resume`: pending and new jobs wait, and so do those that have a
--- slot but have not run yet. The others go on. Does not suspend.
function Scheduler:pause() end

--- Ends a pause: the jobs that it held back start, in order. Does not suspend.
function Scheduler:resume() end

--- Returns how many jobs were spawned, how they ended, and how long they took. Does not suspend.
---@return uvjobs.SchedulerStats
function Scheduler:stats() end

--- Iterates over the jobs that are pending or active. Does not suspend.
---@return fun(): uvjobs.Job?
function Scheduler:jobs() end

--- Returns whether the job is pending or active in this scheduler. Does not suspend.
---@param job uvjobs.Job
---@return boolean
function Scheduler:has(job) end

--- Calls the scheduler's exception handler, or the default one. Does not suspend.
---@param context uvjobs.Context
function Scheduler:call_exception_handler(context) end

-- ---- jobs ------------------------------------------------------------------

--- A function that runs in a coroutine of its own. Exactly one of `pending`, `active` and
--- `closed` is true. Only `name` may be set.
---@class uvjobs.Job: userdata
---@field state uvjobs.JobState
---@field pending boolean
---@field active boolean
---@field closed boolean it has ended
---@field id integer unique in the Lua state
---@field name string?
---@field scheduler uvjobs.Scheduler
---@field resumes integer how often it has started or gone on
---@field priority integer the option of spawn, or 5
---@field key string|number|nil the option of spawn
---@field thread integer? in which thread of workers it runs or has run
---@field preemptions integer how often its time slice has ended
---@field cpu_time number? seconds that it has run, with run{ stats = true }
---@field times uvjobs.Times? what it has done so far, with run{ stats = true }
local Job = {}

--- Waits until the job has ended. Suspends, unless it has ended. When `timeout` seconds
--- have passed, the job is closed. When the caller is cancelled, or a deadline of the
--- caller passes, the job is left alone.
--- Errors: the job's error, unchanged; `cancelled` or `killed` with `err.job`, when the
--- job has ended so; `timeout` with `err.job`, when it was closed; "a job cannot wait
--- for itself".
---@param timeout? number seconds, >= 0; nil waits for ever
---@return any ... the results of the job
function Job:wait(timeout) end

--- Waits until the job has ended, and returns its error instead of raising it. Suspends,
--- unless the job has ended.
--- Errors: "a job cannot wait for itself".
---@param timeout? number seconds, >= 0; nil waits for ever
---@return boolean? ok nil when the time passed
---@return any ... the results of the job, or its error, or "timeout"
function Job:result(timeout) end

--- Waits until the job has ended, without affecting it and without its error. Suspends,
--- unless the job has ended.
--- Errors: "a job cannot join itself".
---@param timeout? number seconds, >= 0; nil waits for ever
---@return boolean ended false when the time passed
function Job:join(timeout) end

--- Cancels the job, and waits until it has ended; kills it when `timeout` seconds have
--- passed. Suspends, unless the job has ended.
--- Errors: `timeout` with `err.job`, when it had to be killed; the job's error, when it
--- failed; "a job cannot close itself".
---@param timeout? number seconds, >= 0; default: the scheduler's close_timeout
function Job:close(timeout) end

--- Asks the job to end: the call in which it is suspended, and every later one, raises
--- `cancelled` in it. Does not suspend.
function Job:cancel() end

--- Returns which job this is and where it is suspended. Does not suspend.
---@return string
function Job:traceback() end

-- ---- primitives ------------------------------------------------------------

--- Makes an event that is not set. Does not suspend.
---@return uvjobs.Event
function uvjobs.event() end

-- ---- repetition ----------------------------------------------------------------

--- A schedule whose times start jobs. It goes on until it is stopped or closed, its scheduler
--- is, or there are no more times.
---@class uvjobs.Repeating: userdata
---@field next number? seconds since 1970; nil when there is none or it is paused
---@field last number? the time of the occurrence that started last
---@field runs integer occurrences that were started
---@field missed integer times that were missed and not run
---@field skipped integer times that were not run for another reason
---@field running integer occurrences that have not ended yet
---@field waiting integer times that wait for them
---@field paused boolean
---@field closed boolean no occurrence starts any more
---@field name string?
---@field schedule uvjobs.Schedule
---@field scheduler uvjobs.Scheduler
local Repeating = {}

--- Starts an occurrence now, also while it is paused. Does not suspend.
---@return uvjobs.Job?
---@return ("waits"|"overlap"|"full"|"closed")? reason
function Repeating:trigger() end

--- Starts no occurrence until resume(). Does not suspend.
function Repeating:pause() end

--- Ends a pause. Does not suspend.
function Repeating:resume() end

--- Ends the repetition; what runs goes on. Does not suspend.
function Repeating:stop() end

--- Ends the repetition, closes what runs and waits until that has ended. Suspends when any
--- occurrence runs.
---@param timeout? number seconds; default: close_timeout of the scheduler
function Repeating:close(timeout) end

--- Waits until it has ended, and its occurrences have. Suspends.
---@param timeout? number seconds
---@return true?
---@return "timeout"?
function Repeating:wait(timeout) end

--- A flag that jobs wait for.
---@class uvjobs.Event: userdata
local Event = {}

--- Sets the flag, and wakes all jobs that wait for it. Does not suspend.
function Event:set() end

--- Clears the flag. Does not suspend.
function Event:clear() end

--- Returns whether the flag is set. Does not suspend.
---@return boolean
function Event:is_set() end

--- Waits until the flag is set. Suspends, unless it is set.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return true? set nil when the time passed
---@return "timeout"? reason
function Event:wait(timeout) end

--- Makes an empty queue. Does not suspend.
---@param capacity? integer|number >= 0 or math.huge, the default
---@return uvjobs.Queue
function uvjobs.queue(capacity) end

--- Values that go from job to job, first in, first out. Jobs that wait are served in the
--- order in which they came.
---@class uvjobs.Queue: userdata
---@field capacity integer|number
---@field closed boolean it takes no more values; some may be left
---@operator len: integer
local Queue = {}

--- Appends a value. Suspends while the queue is full. Unless it returns true, the value
--- is not in the queue.
---@param value any not nil
---@param timeout? number seconds, >= 0; nil waits for ever
---@return true? put
---@return ("timeout"|"closed")? reason
function Queue:put(value, timeout) end

--- Takes the first value. Suspends while the queue is empty.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return any value nil when there is none
---@return ("timeout"|"closed")? reason
function Queue:get(timeout) end

--- Appends a value if there is room. Does not suspend; may be called outside of jobs,
--- too.
---@param value any not nil
---@return true? put
---@return ("full"|"closed")? reason
function Queue:try_put(value) end

--- Takes the first value if there is one. Does not suspend; may be called outside of
--- jobs, too.
---@return any value nil when there is none
---@return ("empty"|"closed")? reason
function Queue:try_get() end

--- Iterates over the values until the queue is closed and empty. Each step suspends
--- while the queue is empty. Several jobs may iterate: each value goes to one of them.
---@return fun(queue: uvjobs.Queue): any
---@return uvjobs.Queue
function Queue:items() end

--- Closes the queue: it takes no more values, and wakes all jobs that wait for it. Does
--- not suspend.
function Queue:close() end

---@class uvjobs.ChannelOptions
---@field message_limit? integer|number bytes of a value: >= 1 or math.huge; default 64 MiB

--- Makes an empty channel. Does not suspend.
---@param capacity? integer|number >= 0 or math.huge, the default
---@param options? uvjobs.ChannelOptions
---@return uvjobs.Channel
function uvjobs.channel(capacity, options) end

--- A queue between threads: the values are copied. A channel that arrives in another Lua
--- state, in a message or an argument, is the same channel there.
---@class uvjobs.Channel: userdata
---@field capacity integer|number
---@field closed boolean it takes no more values; some may be left
---@field id integer its number, which no other channel of the process has
---@field message_limit integer|number how many bytes a value may take
---@operator len: integer
local Channel = {}

--- Appends a copy of a value. Suspends while the channel is full. Unless it returns true,
--- the value is not in the channel. Raises when the value cannot be copied.
---@param value any not nil: boolean, number, string, channel, blob or a table of these
---@param timeout? number seconds, >= 0; nil waits for ever
---@return true? put
---@return ("timeout"|"closed")? reason
function Channel:put(value, timeout) end

--- Takes the first value. Suspends while the channel is empty.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return any value nil when there is none
---@return ("timeout"|"closed")? reason
function Channel:get(timeout) end

--- Appends a copy of a value if there is room. Does not suspend; may be called outside of
--- jobs, too. With capacity 0 there is never room.
---@param value any as for put
---@return true? put
---@return ("full"|"closed")? reason
function Channel:try_put(value) end

--- Takes the first value if there is one that is kept for nobody. Does not suspend; may be
--- called outside of jobs, too.
---@return any value nil when there is none
---@return ("empty"|"closed")? reason
function Channel:try_get() end

--- Iterates over the values until the channel is closed and empty. Each step suspends
--- while the channel is empty. Jobs of several threads may iterate: each value goes to one.
---@return fun(channel: uvjobs.Channel): any
---@return uvjobs.Channel
function Channel:items() end

--- Closes the channel for all threads: it takes no more values, and wakes all jobs that
--- wait for it. Does not suspend.
function Channel:close() end

--- Makes a blob of the bytes of a string, which are copied. Does not suspend.
---@param bytes string
---@return uvjobs.Blob
function uvjobs.blob(bytes) end

--- Bytes that never change, and that Lua states share: sending a blob copies nothing.
---@class uvjobs.Blob: userdata
---@operator len: integer
local Blob = {}

--- A part of the bytes as a string.
---@param i? integer default 1
---@param j? integer default -1; negative positions count from the end
---@return string
function Blob:sub(i, j) end

--- A part of the bytes as a blob that shares them.
---@param i? integer default 1
---@param j? integer default -1
---@return uvjobs.Blob
function Blob:slice(i, j) end

--- The codes of bytes.
---@param i? integer default 1
---@param j? integer default i
---@return integer ...
function Blob:byte(i, j) end

--- All bytes as a string.
---@return string
function Blob:string() end

--- Makes a semaphore with `n` free permits. Does not suspend.
---@param n integer|number permits: >= 1 or math.huge
---@return uvjobs.Semaphore
function uvjobs.semaphore(n) end

--- A number of permits. They belong to no job: only `release`, the end of `with`, and the
--- end of a Permit give one back.
---@class uvjobs.Semaphore: userdata
---@field count integer|number permits that are free
local Semaphore = {}

--- Takes a permit. Suspends while none is free.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return true? acquired
---@return "timeout"? reason
function Semaphore:acquire(timeout) end

--- Takes a permit if one is free. Does not suspend.
---@return boolean acquired
function Semaphore:try_acquire() end

--- Gives a permit back, to the first job that waits for one. Does not suspend; may be
--- called outside of jobs, too.
--- Errors: "semaphore released more often than acquired".
function Semaphore:release() end

--- Calls `fn(...)` with a permit, and gives the permit back however `fn` ends. Suspends
--- while no permit is free.
--- Errors: the error of `fn`, unchanged.
---@param fn function
---@param ... any the arguments of `fn`
---@return any ... the results of `fn`
function Semaphore:with(fn, ...) end

--- Takes a permit, as a value for a `<close>` variable. Suspends while none is free.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return uvjobs.Permit? permit
---@return "timeout"? reason
function Semaphore:permit(timeout) end

--- Makes a mutex that is free. Does not suspend.
---@return uvjobs.Mutex
function uvjobs.mutex() end

--- A lock that one job has at a time. When a job ends with the lock, the next job gets it,
--- and that is reported to the exception handler.
---@class uvjobs.Mutex: userdata
local Mutex = {}

--- Locks the mutex for the current job. Suspends while another job has it.
--- Errors: "the mutex is already locked by this job".
---@param timeout? number seconds, >= 0; nil waits for ever
---@return true? locked
---@return "timeout"? reason
function Mutex:lock(timeout) end

--- Locks the mutex if it is free. Does not suspend, but has to be called in a job.
---@return boolean locked
function Mutex:try_lock() end

--- Unlocks the mutex, or hands it to the first job that waits. Does not suspend, but
--- has to be called in the job that has locked it.
--- Errors: "the mutex is not locked"; "the mutex is locked by job #7".
function Mutex:unlock() end

--- Calls `fn(...)` with the mutex locked, and unlocks it however `fn` ends. Suspends
--- while another job has it.
--- Errors: the error of `fn`, unchanged; those of `lock`.
---@param fn function
---@param ... any the arguments of `fn`
---@return any ... the results of `fn`
function Mutex:with(fn, ...) end

--- Locks the mutex, as a value for a `<close>` variable. Suspends while another job has
--- it.
--- Errors: those of `lock`.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return uvjobs.Permit? permit
---@return "timeout"? reason
function Mutex:permit(timeout) end

--- A permit of a semaphore, or the lock of a mutex. Closing the variable gives it back.
---@class uvjobs.Permit: userdata
local Permit = {}

--- Gives the permit back now; nothing happens the second time. Does not suspend.
--- Errors for a mutex: "the mutex is locked by job #7"; that it is called outside of
--- jobs.
function Permit:release() end

return uvjobs
