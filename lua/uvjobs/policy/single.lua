-- policy.single: one run at a time for each key, whose results all callers get.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local flight = require "uvjobs.policy.flight"
local frame = require "uvjobs.policy.frame"
local key_of = require "uvjobs.policy.key"

core.own_source()

local uvjobs = core.public

local OPTIONS <const> = { name = frame.expect.string, key = frame.expect.func }

-- The run of a key, whose job takes it off when it ends.
local function fly(flights, key, fn, ...)
  local _ <close> = setmetatable({}, { __close = function() flights[key] = nil end })
  return fn(...)
end

local function refuse_own_key(fields)
  frame.blame(("a job cannot wait for itself: it runs for the single%s, and calls it with "
    .. "the same key"):format(fields.name and (' "%s"'):format(fields.name) or ""))
end

-- Joins the run of the key, or begins one. A run that all callers have left and that has
-- not ended yet is waited for first: there are never two.
local function join(fields, key, fn, ...)
  flight.check()
  local flights = fields.flights
  local current = flights[key]
  while current and not current:is_open() do
    current.job:join()
    if flights[key] == current then flights[key] = nil end
    current = flights[key]
  end
  if current then
    if current.job == uvjobs.current() then refuse_own_key(fields) end
    fields.shared = fields.shared + 1
  else
    fields.runs = fields.runs + 1
    current = flight.new(fields, fields.name or "single", fly, flights, key, fn, ...)
    flights[key] = current
  end
  return current:wait()
end

local function stats_of(fields)
  return function()
    local running = 0
    for _, current in pairs(fields.flights) do
      if not current.job.closed then running = running + 1 end
    end
    return { runs = fields.runs, shared = fields.shared, running = running }
  end
end

local function new_fields(options)
  local fields = {
    kind = "single", name = options.name, key = options.key, flights = {}, runs = 0, shared = 0,
  }
  fields.stats = stats_of(fields)
  return fields
end

-- ---- with a key function: as every other policy --------------------------------------

local KEYED <const> = frame.kind "single"

local function new_keyed(options)
  local fields = new_fields(options)
  function fields.run(fn, ...)
    return join(fields, key_of(fields, ...), fn, ...)
  end
  function fields.run_within(step, fn, ...)
    return join(fields, key_of(fields, ...), step, fn, ...)
  end
  return frame.new(KEYED, fields)
end

-- ---- without: the key is an argument -------------------------------------------------

local methods = {}

local KIND -- made of them below

local function check_key(level, name, key)
  if key == nil or key ~= key then
    arguments.fail(level + 1, 1, name, ("key expected, got %s"):format(
      key == nil and "nil" or "nan"))
  end
end

--- Calls `fn(...)` in a job of its own, unless it runs already for this key; then waits for
--- that. Suspends. A caller that is cancelled leaves the others alone; when the last has
--- left, the job is closed.
--- Errors: misuse; those of `fn`, the same value for all; `cancelled`, `timeout` and
--- `killed` of the current job.
---@param key any neither nil nor NaN
---@param fn function
---@param ... any is passed on
---@return any ... what `fn` returns, for all callers
function methods:call(key, fn, ...)
  local fields = frame.fields_of(self, KIND, "call")
  check_key(2, "call", key)
  arguments.check_function(2, 2, "call", fn)
  core.check_suspend("call", 2)
  return join(fields, key, fn, ...)
end

--- Makes a function whose first argument is the key; `fn` gets that, too. Does not suspend.
--- Errors: misuse.
---@param fn fun(key: any, ...: any): ...: any
---@return fun(key: any, ...: any): ...: any
function methods:wrap(fn)
  local fields = frame.fields_of(self, KIND, "wrap")
  arguments.check_function(2, 1, "wrap", fn)
  return function(key, ...)
    check_key(2, "call", key)
    core.check_suspend("call", 2)
    return join(fields, key, fn, key, ...)
  end
end

KIND = frame.kind("single", methods)

local function refuse_run()
  error("a policy.single without the option 'key' gets the key from call()", 0)
end

--- Makes a policy under which of several calls with the same key only the first runs, and
--- all get its results. Does not suspend.
--- Errors: misuse.
---@param options? { name?: string, key?: fun(...: any): any } with `key`, it is called as
---  every other policy; without, the key is the first argument of call()
---@return uvjobs.Single
return function(options)
  options = frame.options("single", options, OPTIONS)
  if options.key then return new_keyed(options) end
  local fields = new_fields(options)
  fields.run = refuse_run
  fields.refusal = "a single needs the option 'key' to be a part of a composition"
  return frame.new(KIND, fields)
end
