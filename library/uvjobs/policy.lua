---@meta uvjobs.policy
-- luacheck: ignore 212 241

--- `require "uvjobs.policy"`: how functions are called that may fail. docs/policies.md
--- describes it.
---@class uvjobs.policy
local policy = {}

---@class uvjobs.Policy
---@field kind string such as "compose"
---@field name? string the option of that name
local Policy = {}

--- Calls `fn(...)` as the policy says.
--- Errors: those of `fn`, and those that the policy adds.
---@async
---@param fn fun(...: any): ...: any
---@param ... any
---@return any ... what `fn` returns
function Policy:call(fn, ...) end

--- Makes a function that calls `fn` as the policy says.
---@param fn fun(...: any): ...: any
---@return async fun(...: any): ...: any
function Policy:wrap(fn) end

--- What has happened so far, as a new table.
---@return table<string, any>
function Policy:stats() end

---@class uvjobs.RetryOptions: uvjobs.RetryValues
---@field budget? number >= 0: retries for each call
---@field name? string

---@param options? uvjobs.RetryOptions
---@return uvjobs.Policy
function policy.retry(options) end

---@param seconds number|{ seconds: number, name?: string } >= 0 or math.huge
---@return uvjobs.Policy
function policy.timeout(seconds) end

---@class uvjobs.HedgeOptions
---@field after number|string seconds >= 0, or a quantile such as "p95"
---@field initial? number seconds, until 20 calls are known; default 1
---@field most? integer calls; default 2
---@field name? string

---@param options uvjobs.HedgeOptions
---@return uvjobs.Policy
function policy.hedge(options) end

---@class uvjobs.RateOptions
---@field rate number calls a second, > 0; or math.huge
---@field burst? integer how many may start at once; default 1
---@field most_wait? number seconds; a call that would wait longer is refused
---@field key? fun(...: any): any of the arguments of a call
---@field keys? integer how many keys are known at most; default 10000
---@field name? string

---@class uvjobs.Rate: uvjobs.Policy
local Rate = {}

--- Takes a token if one is there. Does not suspend.
---@param ... any for the function `key`
---@return boolean taken
---@return number? retry_after seconds
function Rate:try(...) end

--- Changes the rate while it is in use. Does not suspend.
---@param options { rate?: number, burst?: integer, most_wait?: number }
function Rate:set(options) end

--- At most so many calls start in a second.
--- Errors of calls: `limited`, with `retry_after`.
---@param options uvjobs.RateOptions
---@return uvjobs.Rate
function policy.rate(options) end

---@class uvjobs.LimitOptions
---@field limit integer how many calls run at once; or math.huge
---@field pending_limit? integer how many more may wait; default math.huge
---@field most_wait? number seconds after which a call that waits is refused
---@field key? fun(...: any): any of the arguments of a call
---@field name? string

---@class uvjobs.Limit: uvjobs.Policy
local Limit = {}

--- Changes the limits while they are in use. Does not suspend.
---@param options { limit?: integer, pending_limit?: integer, most_wait?: number }
function Limit:set(options) end

--- At most so many calls run at once.
--- Errors of calls: `full`.
---@param options uvjobs.LimitOptions
---@return uvjobs.Limit
function policy.limit(options) end

---@alias uvjobs.BreakerState "closed"|"open"|"half_open"

---@class uvjobs.BreakerOptions
---@field ratio? number of calls that fail, > 0 and <= 1; default 0.5
---@field window? number seconds; default 10
---@field minimum? integer of calls in the window; default 20
---@field open? number seconds; default 5
---@field probes? integer default 1
---@field slow? number seconds; a call that takes longer has failed
---@field when? fun(err: any): boolean whether an error is a failure
---@field on_change? fun(state: uvjobs.BreakerState, before: uvjobs.BreakerState, key: any)
---@field key? fun(...: any): any of the arguments of a call
---@field keys? integer how many keys are known at most; default 10000
---@field name? string

---@class uvjobs.Breaker: uvjobs.Policy
local Breaker = {}

---@param key? any of a breaker with keys
---@return uvjobs.BreakerState
function Breaker:state(key) end

--- Opens it by hand. Does not suspend.
---@param seconds? number > 0; default: until close() is called
---@param key? any of a breaker with keys
function Breaker:open(seconds, key) end

--- Closes it by hand. Does not suspend.
---@param key? any of a breaker with keys
function Breaker:close(key) end

--- Does not call what fails too often, for a while.
--- Errors of calls: `open`, with `retry_after`.
---@param options? uvjobs.BreakerOptions
---@return uvjobs.Breaker
function policy.breaker(options) end

---@class uvjobs.Single: uvjobs.Policy
local Single = {}

--- Calls `fn(...)`, unless it runs already for this key; then waits for that.
---@async
---@param key any
---@param fn fun(...: any): ...: any
---@param ... any
---@return any ... what `fn` returns
function Single:call(key, fn, ...) end

---@param fn fun(key: any, ...: any): ...: any
---@return async fun(key: any, ...: any): ...: any
function Single:wrap(fn) end

--- One run at a time for each key, whose results all callers get. With the option `key` it
--- is called as every other policy.
---@overload fun(options: { key: (fun(...: any): any), name?: string }): uvjobs.Policy
---@param options? { name?: string }
---@return uvjobs.Single
function policy.single(options) end

---@class uvjobs.DebounceOptions
---@field wait number seconds without another call after which a call is run
---@field most? number seconds after the first call; default math.huge
---@field key? fun(...: any): any of the arguments of a call
---@field name? string

--- Of calls that follow each other closely only the last is run.
---@param options uvjobs.DebounceOptions
---@return uvjobs.Policy
function policy.debounce(options) end

---@param list uvjobs.Policy[] the outermost first; and perhaps the option `name`
---@return uvjobs.Policy
function policy.compose(list) end

return policy
