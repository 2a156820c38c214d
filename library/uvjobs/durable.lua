---@meta uvjobs.durable
-- luacheck: ignore 212 241

--- `require "uvjobs.durable"`: jobs that survive the process. docs/durable.md describes it.
---@class uvjobs.durable
local durable = {}

---@class uvjobs.StoreOptions
---@field args_limit? integer bytes that the arguments of a task may take; default 262144
---@field durability? "full"|"normal" SQLite: what survives a loss of power; default "full"
---@field network? boolean SQLite: allows a file on a network file system
---@field schema? string PostgreSQL: where the tables are; default "uvjobs"
---@field listen? string PostgreSQL: connection string for hints, past a pooler; default the same

---@class uvjobs.KindOptions
---@field queue? string default "default"
---@field attempts? integer how often a task is tried at most; default 20
---@field backoff? number|uvjobs.Backoff seconds, or a table; default { base = 1, max = 3600 }
---@field timeout? number seconds that an attempt may take
---@field priority? integer from 0, the most urgent, to 9; default 5
---@field keep_done? number seconds that a task is kept when it is done; default 0
---@field keep_dead? number seconds when it is dead or cancelled; default 30 days
---@field most_crashes? integer at this number it is dead; default 3

---@class uvjobs.TaskOptions
---@field delay? number seconds
---@field at? number seconds since 1970
---@field priority? integer from 0 to 9
---@field key? string while a task of this kind and key is live, no other is stored
---@field on_key? "keep"|"replace"|"debounce"
---@field queue? string
---@field attempts? integer
---@field remote? boolean allows a kind that is not defined here

---@class uvjobs.StoreScheduleOptions
---@field misfire? "skip"|"latest"|"all" default "latest"
---@field misfire_limit? integer default 100
---@field misfire_grace? number seconds
---@field priority? integer
---@field queue? string
---@field attempts? integer
---@field key? string
---@field on_key? "keep"|"replace"|"debounce"
---@field remote? boolean

---@class uvjobs.QueueOptions
---@field limit? integer|number how many tasks run at once; default 10
---@field key_limit? integer|number how many of one key
---@field aging? number seconds after which a task that waits counts as one level more urgent

---@class uvjobs.WorkOptions
---@field queues? table<string, integer|number|uvjobs.QueueOptions> default { default = 10 }
---@field lease? number seconds from 2 to 3600; default 15
---@field wait_timeout? number seconds; default 5
---@field close_timeout? number seconds; default 1
---@field timeslice? number seconds; default 0.05
---@field exception_handler? fun(scheduler: uvjobs.Scheduler, context: table)

---@class uvjobs.TaskError
---@field at number seconds since 1970
---@field attempt integer
---@field message string
---@field traceback? string
---@field code? uvjobs.Code
---@field crashed? true its process died

---@alias uvjobs.TaskState "scheduled"|"ready"|"running"|"done"|"dead"|"cancelled"

---@class uvjobs.TaskInfo
---@field id integer
---@field kind string
---@field queue string
---@field state uvjobs.TaskState
---@field args any
---@field saved any
---@field priority integer
---@field key? string
---@field attempt integer
---@field attempts integer
---@field crashes integer
---@field reason? "failed"|"crashed"|"corrupt" why it is dead
---@field errors uvjobs.TaskError[]
---@field cancelling? true
---@field process? integer that runs it
---@field due number seconds since 1970, and so are the next ones
---@field enqueued number
---@field started? number
---@field ended? number

---@class uvjobs.TaskFilter
---@field state? uvjobs.TaskState
---@field queue? string
---@field kind? string with * and ?
---@field key? string
---@field after? integer an id
---@field limit? integer

--- What the function of a kind gets.
---@class uvjobs.Task
---@field id integer
---@field kind string
---@field queue string
---@field key? string
---@field priority integer
---@field attempt integer 1 in the first
---@field attempts integer
---@field crashes integer
---@field saved any what `save` has stored last
---@field errors uvjobs.TaskError[] those of earlier attempts
---@field enqueued number
---@field due number
local Task = {}

--- Stores a value with the task, which the next attempt finds in `saved`.
--- Errors: `lost`; `unavailable`.
---@async
---@param value any
function Task:save(value) end

--- Makes the task run again after so many seconds, when its function has returned.
---@param seconds number
function Task:snooze(seconds) end

---@class uvjobs.Transaction
local Transaction = {}

---@async
---@param kind string
---@param args any
---@param options? uvjobs.TaskOptions
---@return integer id
---@return boolean new
function Transaction:enqueue(kind, args, options) end

---@async
---@param sql string
---@param ... nil|boolean|number|string
---@return any[][] rows with `names` and `changes`
function Transaction:execute(sql, ...) end

---@class uvjobs.Work
local Work = {}

--- Claims nothing more, lets tasks end for the wait_timeout, and gives back what has not ended.
---@async
function Work:close() end

---@class uvjobs.StoreStats
---@field queues table<string, table>
---@field processes integer

---@class uvjobs.StoreSchedule
---@field name string
---@field schedule string
---@field kind string
---@field queue string
---@field args any
---@field last? number seconds since 1970
---@field next? number

---@class uvjobs.Store
local Store = {}

---@param kind string
---@param options uvjobs.KindOptions
---@param fn async fun(task: uvjobs.Task, args: any)
---@overload fun(self: uvjobs.Store, kind: string, fn: async fun(task: uvjobs.Task, args: any))
function Store:define(kind, options, fn) end

---@async
---@param kind string
---@param args any
---@param options? uvjobs.TaskOptions
---@return integer id
---@return boolean new
function Store:enqueue(kind, args, options) end

---@async
---@param list table[] of { kind, args, options }
---@return integer[] ids
---@return boolean[] new
function Store:enqueue_all(list) end

---@async
---@param fn async fun(tx: uvjobs.Transaction): ...: any
---@return any ...
function Store:transaction(fn) end

---@async
---@param kind string
---@param args any
---@param options? uvjobs.TaskOptions
---@return string sql
---@return any[] parameters
function Store:sql_for(kind, args, options) end

---@param options? uvjobs.WorkOptions
---@return uvjobs.Work
function Store:work(options) end

---@async
---@param name string
---@param schedule uvjobs.Schedule
---@param kind string
---@param args any
---@param options? uvjobs.StoreScheduleOptions
function Store:schedule(name, schedule, kind, args, options) end

---@async
---@param name string
---@return boolean existed
function Store:unschedule(name) end

---@async
---@return uvjobs.StoreSchedule[]
function Store:schedules() end

---@async
---@param id integer
---@param timeout? number seconds
---@return "done"|"dead"|"cancelled"|nil state
---@return "timeout"? why
function Store:wait(id, timeout) end

---@async
---@param id integer
---@return uvjobs.TaskInfo?
function Store:get(id) end

---@param filter? uvjobs.TaskFilter
---@return async fun(): uvjobs.TaskInfo?
function Store:tasks(filter) end

---@async
---@return uvjobs.StoreStats
function Store:stats() end

---@async
---@param id integer
---@return boolean live
function Store:cancel(id) end

---@async
---@param id integer
---@return true?
---@return "gone"|"duplicate"|nil why
function Store:retry(id) end

---@async
---@return integer count
function Store:prune() end

---@async
---@param queue string
---@return boolean before
function Store:pause(queue) end

---@async
---@param queue string
---@return boolean before
function Store:resume(queue) end

---@async
function Store:close() end

--- Opens a store: "memory:", or "sqlite:" and a path.
---@async
---@param where string
---@param options? uvjobs.StoreOptions
---@return uvjobs.Store
function durable.open(where, options) end

return durable
