-- policy.retry, and its short form uvjobs.retry.

local arguments = require "uvjobs.arguments"
local backoff = require "uvjobs.policy.backoff"
local budget = require "uvjobs.policy.budget"
local core = require "uvjobs.core"
local frame = require "uvjobs.policy.frame"

core.own_source()

local uvjobs = core.public
local expect <const> = frame.expect
local rescue <const>, ends_caller <const> = core.rescue, frame.ends_caller

local KIND <const> = frame.kind "retry"
local DEFAULT_ATTEMPTS <const> = 3
local DEFAULT_MAX <const> = 10 -- seconds

local SHORT_OPTIONS <const> = {
  attempts = expect.count(1),
  backoff = backoff.kind,
  when = expect.func,
  delay = expect.func,
}

local OPTIONS <const> = {
  name = expect.string,
  budget = arguments.kind(function(value)
    return type(value) == "number" and value >= 0
  end, "number >= 0"),
}
for name, kind in pairs(SHORT_OPTIONS) do OPTIONS[name] = kind end

-- What a policy knows. As a to-be-closed variable it notes that a block has failed. An error
-- can be nil: so a block that returns says so, in `has_returned`, directly before it is
-- left, when nothing else can run.
local Retry = {}

function Retry.__close(self, err)
  if self.has_returned then
    self.has_returned = false
  elseif not ends_caller(err) then
    self.failed = self.failed + 1
  end
end

local function succeed(self, ...)
  self.has_returned = true
  return ...
end

local function new(options, counter)
  local part = options.budget
  return setmetatable({
    attempts = options.attempts or DEFAULT_ATTEMPTS,
    backoff = backoff.complete(options.backoff, DEFAULT_MAX),
    budget = part and part < math.huge and budget.new(part) or nil,
    when = options.when,
    delay = options.delay,
    counter = counter, -- of calls
    has_returned = false,
    retried = 0, failed = 0, out_of_time = 0, out_of_budget = 0,
  }, Retry)
end

-- ---- whether and when --------------------------------------------------------------

-- A sleep of so many seconds, which are 292 years, does not end: uj_seconds_to_ns().
local NEVER <const> = 2 ^ 63 / 1e9

local function give_up(self, err, why)
  self.failed = self.failed + 1
  if why then self[why] = self[why] + 1 end
  error(err, 0)
end

-- Calls a function of the user that decides something. When it fails, so does the call.
local function decide(self, fn, ...)
  local _ <close> = self
  return succeed(self, frame.consult(fn, ...))
end

-- Returns how long to wait by the option `delay`; nil when that leaves it to the back-off.
local function delay_of(self, err, attempt)
  local seconds = decide(self, self.delay, err, attempt)
  if seconds == nil or expect.seconds(seconds) == nil then return seconds end
  self.failed = self.failed + 1
  error(("'delay' of a retry must return seconds >= 0 or nil, got %s"):format(
    arguments.shown(seconds)), 0)
end

-- How long to wait after an attempt, and which part of that is the back-off's. Errors of
-- policies know when it is worth while to try again; the back-off comes on top, lest all
-- do it at once.
local function delay_after(self, err, attempt, previous)
  if self.delay then
    local seconds = delay_of(self, err, attempt)
    if seconds then return seconds, previous end
  end
  local seconds = backoff.delay(self.backoff, attempt, previous)
  local least = uvjobs.code(err) and err.retry_after or 0
  return least + seconds, seconds
end

-- Whether so many seconds lie before the earliest deadline of the job, and pass at all.
local function is_time_for(seconds)
  local remaining = uvjobs.remaining()
  return seconds < NEVER and (not remaining or seconds < remaining)
end

local function check_budget(self, err)
  if not budget.allows(self.budget, uvjobs.now(), core.counted(self.counter)) then
    give_up(self, err, "out_of_budget")
  end
end

-- Waits until the next attempt, or raises the error of the last one. The budget is checked
-- before the wait, which would be for nothing without one, and after it, because that is when
-- the retry begins.
local function pause(self, err, attempt, previous)
  if ends_caller(err) then error(err, 0) end
  if core.interrupted() or self.when and not decide(self, self.when, err, attempt) then
    give_up(self, err)
  end
  local seconds, of_backoff = delay_after(self, err, attempt, previous)
  if not is_time_for(seconds) then give_up(self, err, "out_of_time") end
  if self.budget then check_budget(self, err) end
  uvjobs.sleep(seconds)
  if self.budget then
    check_budget(self, err)
    budget.take(self.budget, uvjobs.now(), core.counted(self.counter))
  end
  self.retried = self.retried + 1
  return of_backoff
end

-- ---- calling -----------------------------------------------------------------------

-- An attempt after which there is none: its error is not caught, so its traceback shows
-- where it was raised.
local function call_last(self, fn, ...)
  local _ <close> = self
  return succeed(self, fn(...))
end

-- The first attempt has failed.
local function call_again(self, err, fn, ...)
  local previous
  for attempt = 2, self.attempts do
    previous = pause(self, err, attempt - 1, previous)
    if attempt == self.attempts then return call_last(self, fn, ...) end
    local results = table.pack(pcall(fn, ...))
    if results[1] then return table.unpack(results, 2, results.n) end
    err = results[2]
  end
end

local function call(self, fn, ...)
  if self.attempts == 1 then return call_last(self, fn, ...) end
  return rescue(call_again, self, fn, ...)
end

-- A function that does as call(): around its first argument; or around `inner`, when that
-- is given.
local function bind(self, inner)
  if self.attempts > 1 then return core.rescuer(self.counter, call_again, self, inner) end
  if inner then
    return function(...)
      core.counted(self.counter, 1)
      return call(self, inner, ...)
    end
  end
  return function(...)
    core.counted(self.counter, 1)
    return call(self, ...)
  end
end

local function stats_of(self)
  return {
    calls = core.counted(self.counter), retried = self.retried, failed = self.failed,
    out_of_time = self.out_of_time, out_of_budget = self.out_of_budget,
  }
end

local retry = {}

--- Makes a policy that calls a function again when it fails. Does not suspend.
--- Errors: misuse.
---@param options? uvjobs.RetryOptions
---@return uvjobs.Policy
function retry.new(options)
  options = frame.options("retry", options, OPTIONS)
  local self = new(options, core.counter())
  return frame.new(KIND, {
    name = options.name,
    run = bind(self),
    bind = function(inner) return bind(self, inner) end,
    stats = function() return stats_of(self) end,
  })
end

--- uvjobs.retry: calls a function, and again when it fails. Suspends.
--- Errors: misuse; the last error of the function; `cancelled`, `timeout` and `killed` of
--- the current job.
---@param first uvjobs.RetryOptions|function the function when there are no options
---@param ... any the function, and what is passed on to it
---@return any ... what the function returns
function retry.call(first, ...)
  if type(first) == "function" then
    core.check_suspend("retry", 2)
    return call(new {}, first, ...)
  end
  local problem = arguments.problem_of_options(first, SHORT_OPTIONS)
  if type(first) ~= "table" then
    problem = arguments.unexpected("table or function", first)
  end
  if type(first) == "table" and rawget(first, "budget") ~= nil then
    problem = "option 'budget' is one of uvjobs.policy.retry, as it is about many calls"
  end
  if problem then arguments.fail(2, 1, "retry", problem) end
  arguments.check_function(2, 2, "retry", (...))
  core.check_suspend("retry", 2)
  return call(new(arguments.raw(first)), ...)
end

return retry
