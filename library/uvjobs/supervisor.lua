---@meta uvjobs.supervisor
-- luacheck: ignore 212 241

--- What uvjobs.supervisor() makes. docs/supervision.md describes it.

---@class uvjobs.BackoffOptions
---@field base? number seconds; default 0.1
---@field factor? number >= 1; default 2
---@field max? number seconds; default 30
---@field jitter? number|"full"|"none"|"equal"|"decorrelated" 0 to 1; default 0.2

---@class uvjobs.SupervisionOptions
---@field backoff? number|uvjobs.BackoffOptions a number is the same wait each time
---@field reset_after? number seconds; default 60
---@field start_timeout? number seconds; default math.huge
---@field close_timeout? number seconds; default 5, for a supervisor math.huge
---@field busy_limit? number seconds > 0; default math.huge
---@field keep_trying? boolean default false

---@class uvjobs.SupervisorOptions: uvjobs.SupervisionOptions
---@field name? string
---@field strategy? "one_for_one"|"one_for_all"|"rest_for_one" default "one_for_one"
---@field intensity? integer >= 0 or math.huge; default 10
---@field period? number seconds > 0; default 10
---@field auto_shutdown? "never"|"any"|"all" default "never"
---@field exception_handler? fun(scheduler: uvjobs.Scheduler, context: table)

---@class uvjobs.ChildOptions: uvjobs.SupervisionOptions
---@field [1]? fun(child: uvjobs.Child, ...: any) what it runs, and behind it what that gets
---@field n? integer how many elements there are, when some are nil
---@field name? string
---@field restart? "permanent"|"transient"|"temporary" default "permanent"
---@field ready? boolean default false
---@field significant? boolean default false
---@field supervisor? uvjobs.SupervisorOptions instead of a function

---@class uvjobs.Supervisor
---@field name? string
---@field strategy string
---@field closed boolean children can be started no more
---@operator len: integer
local Supervisor = {}

--- Adds a child, and starts it behind those that were added before.
--- Errors: misuse; `closed`; what its first start has failed with.
---@async
---@param options uvjobs.ChildOptions
---@return uvjobs.Child|uvjobs.Supervisor
function Supervisor:start(options) end

--- Stops a child, until restart() is called.
---@async
---@param which string|uvjobs.Child
function Supervisor:stop(which) end

--- Stops a child if it runs, and starts it.
--- Errors: misuse; `closed`.
---@async
---@param which string|uvjobs.Child
function Supervisor:restart(which) end

--- Stops a child if it runs, and takes it away.
---@async
---@param which string|uvjobs.Child
function Supervisor:delete(which) end

--- What a child is ready with, in its present run.
---@param which string|uvjobs.Child
---@return any value
function Supervisor:get(which) end

--- The child with this name.
---@param name string
---@return uvjobs.Child?
function Supervisor:child(name) end

--- For a `for` loop: the children in their order.
---@return fun(): uvjobs.Child?
function Supervisor:children() end

---@return { specs: integer, active: integer, supervisors: integer, workers: integer }
function Supervisor:count_children() end

--- Waits until the supervisor ends.
--- Errors: `intensity`; what a first start has failed with.
---@async
---@param timeout? number seconds
---@return true?
---@return "timeout"?
function Supervisor:wait(timeout) end

--- Stops all children in reverse.
---@async
function Supervisor:close() end

---@class uvjobs.Child
---@field name? string
---@field state "queued"|"waiting"|"starting"|"running"|"stopping"|"stopped"|"ended"|"deleted"
---@field job? uvjobs.Job of its present run
---@field restart "permanent"|"transient"|"temporary"
---@field restarts integer
---@field last_error any
---@field next_start? number a time of uvjobs.now()
---@field history { time: number, state: string, error: any }[] at most 10
---@field supervisor uvjobs.Supervisor
local Child = {}

--- Says that the present run is ready.
---@param value? any
function Child:ready(value) end

--- Waits until a run is ready.
---@async
---@param timeout? number seconds
---@return any value what it is ready with, or true; or nil
---@return ("timeout"|"closed")? why
function Child:wait_ready(timeout) end
