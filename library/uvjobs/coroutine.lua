---@meta uvjobs.coroutine
-- luacheck: ignore 212 241

--- `require "uvjobs.coroutine"`: Lua's `coroutine` for jobs. In a coroutine that a job
--- resumes by these functions the job may suspend. Outside of jobs they do the same as
--- Lua's own.
---@class uvjobs.coroutine
local coroutine = {}

---@param co thread
---@return boolean noerror
---@return any errorobject
function coroutine.close(co) end

---@param fn async fun(...): ...
---@return thread
function coroutine.create(fn) end

---@param co? thread
---@return boolean
function coroutine.isyieldable(co) end

--- Suspends the job when the code of the coroutine suspends it.
---@async
---@param co thread
---@param ... any
---@return boolean success
---@return any ...
function coroutine.resume(co, ...) end

---@return thread running
---@return boolean ismain
function coroutine.running() end

---@param co thread
---@return "running"|"suspended"|"normal"|"dead"
function coroutine.status(co) end

---@param fn async fun(...): ...
---@return fun(...): ...
function coroutine.wrap(fn) end

---@async
---@param ... any
---@return any ...
function coroutine.yield(...) end

return coroutine
