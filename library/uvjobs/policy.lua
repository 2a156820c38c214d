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

---@param list uvjobs.Policy[] the outermost first; and perhaps the option `name`
---@return uvjobs.Policy
function policy.compose(list) end

return policy
