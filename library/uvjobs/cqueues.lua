---@meta uvjobs.cqueues
-- luacheck: ignore 212 241

--- `require "uvjobs.cqueues"` returns cqueues itself. When it has been loaded, all that waits
--- in cqueues suspends the job that calls it. docs/http.md describes it.
---@class uvjobs.cqueues
---@field VENDOR string
---@field VERSION number
---@field _POLL lightuserdata
local cqueues = {}

--- Takes a descriptor, or an object that has one, out of all controllers. Does not suspend.
---@param ... integer|table|userdata
function cqueues.cancel(...) end

---@return function ... makers of the library's metamethods
function cqueues.create() end

--- Replaces a method of controllers. Does not suspend.
---@param name string
---@param fn function
---@return function? old
function cqueues.interpose(name, fn) end

---@return function
function cqueues.loader() end

---@return number seconds of the monotonic clock
function cqueues.monotime() end

--- Makes a controller. Does not suspend.
---@return userdata controller
function cqueues.new() end

--- Suspends until an object is ready: a number of seconds, or something with the methods
--- `pollfd`, `events` and `timeout`.
---@async
---@param ... any
---@return any ... those that are ready
function cqueues.poll(...) end

---@param ... any
function cqueues.reset(...) end

---@return userdata? controller in a job, one that is always stepped
---@return boolean? is_main
function cqueues.running() end

---@async
---@param seconds number
function cqueues.sleep(seconds) end

---@param value any
---@return "controller"|nil
function cqueues.type(value) end

return cqueues
