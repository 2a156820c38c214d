---@meta uvjobs.insight
-- luacheck: ignore 212 241

--- `require "uvjobs.insight"`: why a program stands still. docs/insight.md describes it. Nothing
--- here suspends, and all of it can be called anywhere.
---@class uvjobs.insight
local insight = {}

--- What was seen of a job at one moment.
---@class uvjobs.insight.Record
---@field job uvjobs.Job
---@field id integer
---@field name? string
---@field state uvjobs.State
---@field scheduler uvjobs.Scheduler
---@field parent? integer the id of the job that spawned it
---@field age? number seconds since it was spawned, at most about 5 % too many; nil if unknown
---@field left? number seconds until the wait ends by itself
---@field kind string what it waits for, such as "sleep", "mutex" or "get"
---@field waits_for string the same in words
---@field holders uvjobs.insight.Record[] the jobs that it waits for, as far as they are known
---@field needs "all"|"any"|"none" which of the holders must go on so that it can
---@field likely? "all"|"any" the same, as far as can be expected, when others could help, too
---@field hold? uvjobs.insight.Hold of a pending job whose scheduler has an order: why it waits
---@field child? uvjobs.Child whose run it is
---@field thing? userdata the queue, event, semaphore or watch that it waits for
---@field doing? string what it does inside a function of the library, such as exec()
---@field times? uvjobs.Times how long it has waited, was ready and ran; nil unless measured
---@field at? string where it stands, as "file:line"

--- Why a scheduler with priorities, keys or a rate lets a pending job wait.
---@class uvjobs.insight.Hold
---@field reason "key"|"rate"|"slot" its key has reached its limit; the rate of starts allows none
---  for now; all slots are taken
---@field key? string|number with "key"
---@field limit? integer of the key, with "key"
---@field left? number seconds until a start is allowed, with "rate"
---@field urgent? integer how many pending jobs are more urgent, with "slot"
---@field keys? integer how many keys take turns, with "slot" in a fair scheduler

--- All jobs that live, at one moment, in the order of spawning.
---@return fun(): uvjobs.insight.Record?
function insight.jobs() end

--- The circles of jobs that wait for each other, so that none of them can go on: each a list
--- of records, in the order of the waits.
---@return uvjobs.insight.Record[][]
function insight.cycles() end

--- Measures, from now on or not any more, the times of jobs and the histograms of schedulers, as
--- run{ stats = true } does, until the run ends. Jobs that live already have only `times.ran`.
---@param on? boolean nil changes nothing
---@return boolean was whether it was measured until now
function insight.measure(on) end

--- What is counted and measured, as text for Prometheus (version 0.0.4 of its text format).
---@return string text
function insight.prometheus() end

---@class uvjobs.insight.TraceOptions
---@field file string the name of the file
---@field limit? number bytes, 1024 at least; 256 MiB unless said; math.huge for no limit
---@field format? "chrome"

--- Can be a to-be-closed variable.
---@class uvjobs.Trace
---@field file string
---@field state string "open", "closed", "full" when it has reached its limit, or why it failed
---@field events integer that were written
---@field bytes integer the length of the file
---@field close fun(self: uvjobs.Trace) ends it; may be called twice

--- Writes a trace of what the jobs do, for https://ui.perfetto.dev or chrome://tracing.
--- Errors: misuse; the file cannot be written; another trace is being written.
---@param options uvjobs.insight.TraceOptions
---@return uvjobs.Trace
function insight.trace(options) end

---@class uvjobs.insight.ProfileOptions
---@field file string the name of the file
---@field rate? number samples a second, from 1 to 1000; 100 unless said
---@field seconds? number the call suspends for so long, and then the profile is closed

--- Can be a to-be-closed variable.
---@class uvjobs.Profile
---@field file string
---@field samples? integer nil before it is closed
---@field close fun(self: uvjobs.Profile) ends it and writes the file; may be called twice

--- Takes samples of where jobs compute, for flame graphs. Suspends with `seconds`.
--- Errors: misuse; the file cannot be written; there is another profile.
---@param options uvjobs.insight.ProfileOptions
---@return uvjobs.Profile
function insight.profile(options) end

--- Calls `fn(...)` as a span, within the one in which the job is. Suspends if `fn` does.
---@param name string
---@param attributes? table<string, string|number|boolean>
---@param fn function
---@param ... any
---@return any ... what `fn` returns
function insight.span(name, attributes, fn, ...) end

--- The present span, as the value of the header `traceparent`.
---@return string?
function insight.traceparent() end

--- Calls `fn(...)` within the span of another process. Suspends if `fn` does.
---@param traceparent? string
---@param fn function
---@param ... any
---@return any ... what `fn` returns
function insight.follow(traceparent, fn, ...) end

---@class uvjobs.insight.OtlpOptions
---@field url string where to, with its path
---@field service string the name of the program
---@field sample? number the part of the traces that is sent, from 0 to 1; 1 unless said
---@field headers? table<string, string>
---@field batch? integer spans that are sent at once; 512 unless said
---@field interval? number seconds that spans wait for more; 5 unless said
---@field queue? integer spans that wait at most; 2048 unless said

--- Can be a to-be-closed variable.
---@class uvjobs.Otlp
---@field stats fun(self: uvjobs.Otlp): table<"queued"|"exported"|"dropped"|"failed", integer>
---@field close fun(self: uvjobs.Otlp) sends what waits, for ten seconds at most; suspends

--- Sends spans to a collector of OpenTelemetry. Needs lua-http; must be called in a job.
--- Errors: misuse; spans are being sent already.
---@param options uvjobs.insight.OtlpOptions
---@return uvjobs.Otlp
function insight.otlp(options) end

--- Why a job does not go on: a line for it, one for the job that it waits for, and so on.
---@param job uvjobs.Job|uvjobs.Child a child of a supervisor need not have a job
---@return string
function insight.why(job) end

--- Writes what every job waits for, who holds that, and where it stands: uvjobs.dump().
---@param write? fun(text: string) is called once; nil writes to standard error
function insight.dump(write) end

return insight
