---@meta uvjobs.testing
-- luacheck: ignore 212 241

--- `require "uvjobs.testing"`: tests of jobs. docs/testing.md describes it.
---@class uvjobs.testing
local testing = {}

---@class uvjobs.TestOptions
---@field clock? "virtual"|"real" default "virtual"
---@field date? number at which the virtual clock starts, in seconds since 1970
---@field timeout? number seconds
---@field seeds? integer|integer[] random orders to run the test in
---@field leaks? boolean whether what is left over is an error; default true
---@field reports? boolean whether a report that nobody hears is an error; default true

---@class uvjobs.CancelOptions
---@field by? "cancel"|"kill" default "cancel"
---@field setup? function is called each time before `fn`
---@field check? function is called each time after it
---@field close_timeout? number seconds
---@field limit? integer how many suspensions there may be

--- Lets time pass under the virtual clock, and settles.
---@async
---@param seconds number >= 0, finite
function testing.advance(seconds) end

--- Yields until no other job is ready.
---@async
function testing.settle() end

--- Sets the date under the virtual clock. Does not suspend.
---@param time number seconds since 1970
function testing.set_date(time) end

--- Describes the jobs that live beside the current one. Does not suspend.
---@return string[] texts one for each job
function testing.leaks() end

--- Makes an exception handler that collects what it is called with. Does not suspend.
---@return uvjobs.ExceptionHandler handler
---@return uvjobs.Context[] contexts
function testing.collect() end

--- Makes a function for a test runner that runs `fn` as the main job. Does not suspend.
---@param options? uvjobs.TestOptions
---@param fn function
---@return function test
---@overload fun(fn: function): function
function testing.wrap(options, fn) end

--- Calls the test runner's `it` with the title, and with wrap(options, fn).
---@param title string
---@param options? uvjobs.TestOptions
---@param fn function
---@return any ...
---@overload fun(title: string, fn: function): ...
function testing.it(title, options, fn) end

--- Calls `fn` again and again, each time in a job that is cancelled at a later suspension.
--- Errors: misuse; what was not clean; the errors of `fn`, `setup` and `check`.
---@async
---@param options? uvjobs.CancelOptions
---@param fn function
---@return integer suspensions
---@overload fun(fn: function): integer
function testing.cancel_everywhere(options, fn) end

return testing
