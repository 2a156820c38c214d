-- Repetition on a scheduler: every(), cron(), at() and repeating() of schedulers, and
-- what of the type uvjobs.Repeating suspends. When an occurrence starts is decided in C:
-- src/repeat/repeat.c. The methods of schedulers load this module when they are called
-- for the first time.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local options_of = require "uvjobs.repeating_options"
local schedule = require "uvjobs.schedule"

core.own_source()

local uvjobs = core.public

local SCHEDULER <const> = "uvjobs.Scheduler"
local SCHEDULE <const> = "uvjobs.Schedule"
local REPEATING <const> = "uvjobs.Repeating"

-- ---- arguments ---------------------------------------------------------------------

local NO_OPTIONS <const> = {}

-- A function that gets these arguments behind the occurrence.
local function with_arguments(fn, ...)
  local given = table.pack(...)
  return function(occurrence)
    return fn(occurrence, table.unpack(given, 1, given.n))
  end
end

-- Checks what a method of a scheduler was called with behind its first argument; returns
-- the options, and the function, which takes the occurrence only.
local function read_arguments(name, self, options, fn, ...)
  if core.typename(self) ~= SCHEDULER then
    arguments.fail_self(3, name, SCHEDULER, self)
  end
  if type(options) == "function" then
    if fn == nil and select("#", ...) == 0 then return NO_OPTIONS, options end
    return NO_OPTIONS, with_arguments(options, fn, ...)
  end
  if options == nil and fn == nil then
    arguments.fail(3, 2, name, arguments.unexpected("function or table of options", options))
  end
  local problem = arguments.problem_of_options(options, options_of.known[name])
  if problem then arguments.fail(3, 2, name, problem) end
  arguments.check_function(3, 3, name, fn)
  options = arguments.raw(options)
  if select("#", ...) == 0 then return options, fn end
  return options, with_arguments(fn, ...)
end

-- Makes a schedule for the method `name`; blames the caller of the method for errors.
local function make(name, fn, ...)
  local ok, made = pcall(fn, ...)
  if ok then return made end
  if type(made) == "string" then
    made = made:gsub("^[^\n]-:%d+: ", ""):gsub("to '%l+'", ("to '%s'"):format(name), 1)
  end
  error(made, 3)
end

-- ---- methods of schedulers ---------------------------------------------------------

local methods = {}

--- Calls a function at each time of a schedule, in a job of its own. Does not suspend.
---@param when uvjobs.Schedule|number a number repeats so many seconds, from now on
---@param options? uvjobs.RepeatingOptions
---@param fn fun(occurrence: uvjobs.Occurrence, ...: any)
---@param ... any is passed on
---@return uvjobs.Repeating
--- Errors: misuse; `closed`.
function methods.repeating(self, when, options, fn, ...)
  options, fn = read_arguments("repeating", self, options, fn, ...)
  if type(when) == "number" then
    when = make("repeating", schedule.every, when, { anchor = uvjobs.time() })
  elseif core.typename(when) ~= SCHEDULE then
    arguments.fail(2, 1, "repeating",
      arguments.unexpected(SCHEDULE .. " or seconds", when))
  end
  return core.repeating(self, when, fn, options)
end

--- repeating() for schedule.every(), whose anchor is now unless it is given.
function methods.every(self, seconds, options, fn, ...)
  options, fn = read_arguments("every", self, options, fn, ...)
  local of_schedule = options_of.schedule(options) or {}
  if of_schedule.anchor == nil then of_schedule.anchor = uvjobs.time() end
  local when = make("every", schedule.every, seconds, of_schedule)
  return core.repeating(self, when, fn, options)
end

--- repeating() for schedule.cron().
function methods.cron(self, pattern, options, fn, ...)
  options, fn = read_arguments("cron", self, options, fn, ...)
  local when = make("cron", schedule.cron, pattern, options_of.schedule(options))
  return core.repeating(self, when, fn, options)
end

--- repeating() for schedule.at(). A time that has passed is missed, so it runs at once
--- unless the options say otherwise.
function methods.at(self, time, options, fn, ...)
  options, fn = read_arguments("at", self, options, fn, ...)
  local when = make("at", schedule.at, time, options_of.schedule(options))
  return core.repeating(self, when, fn, options)
end

-- ---- methods of uvjobs.Repeating ---------------------------------------------------

---@class uvjobs.Repeating
local Repeating = core.types.repeating_methods

--- Ends the repetition: no occurrence starts any more, and those that run are closed, as
--- job:close() does it. An occurrence may call it: then it goes on itself. Suspends until
--- they have ended.
---@param timeout? number seconds; default: the close timeout of the scheduler
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
function Repeating:close(timeout)
  if core.typename(self) ~= REPEATING then
    arguments.fail_self(2, "close", REPEATING, self)
  end
  if timeout ~= nil then core.check_timeout(timeout, 1, "close", 2) end
  if self.running > 0 then core.check_suspend("close", 2) end
  self:stop()
  for _, job in ipairs(core.close_occurrences(self, timeout)) do job:join() end
end

return methods
