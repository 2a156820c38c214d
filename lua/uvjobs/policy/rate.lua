-- policy.rate: how often calls may start, in all or for each key. The arithmetic is in
-- src/core/rate.h, waiting in src/lua/policy/rate.c.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local frame = require "uvjobs.policy.frame"
local key_of = require "uvjobs.policy.key"

core.own_source()

local take = core.rate_take

local MOST_KEYS <const> = 0x7fffffff
local MOST_SECONDS <const> = 4e9 -- 127 years

local expect <const> = frame.expect

local is_rate = arguments.kind(function(value)
  return type(value) == "number" and value > 0
end, "number > 0")

local is_keys = arguments.kind(function(value)
  local integer = type(value) == "number" and math.tointeger(value)
  return integer and integer >= 1 and integer <= MOST_KEYS
end, ("integer from 1 to %d"):format(MOST_KEYS))

local CHANGEABLE <const> = {
  rate = is_rate, burst = expect.whole_number, most_wait = expect.seconds_or_forever,
}

local OPTIONS <const> = {
  name = expect.string, rate = is_rate, burst = expect.whole_number, key = expect.func,
  keys = is_keys, most_wait = expect.seconds_or_forever,
}

-- What is wrong with a rate and a burst together, or nil: times are counted in nanoseconds.
local function problem_of(rate, burst)
  if burst / rate < MOST_SECONDS then return nil end
  return ("a bucket of %d would take %g s to fill, and must take less than %g s"):format(
    burst, burst / rate, MOST_SECONDS)
end

-- Methods that only a rate has.
local methods = {}

local KIND -- made of them below

-- The rates without keys, by policy: their `try` is all in C.
---@type table<uvjobs.Rate, userdata>
local rates = setmetatable({}, { __mode = "k" })

local function try_otherwise(self, ...)
  local fields = frame.fields_of(self, KIND, "try")
  return core.rate_try(fields.core, key_of(fields, ...))
end

--- Takes a token if one is there and nobody waits for one. Does not suspend.
--- Errors: misuse.
---@param ... any what the key function gets
---@return boolean taken
---@return number? retry_after seconds after which it is worth while to try again
---@type fun(self: uvjobs.Rate, ...: any): boolean, number?
methods.try = core.rate_trier(rates, try_otherwise)

--- Changes the rate while it is in use. What is missing from a bucket, in tokens, stays.
--- Those that wait and for whom there is a token now are woken in the same turn. Does not
--- suspend.
--- Errors: misuse.
---@param options { rate?: number, burst?: integer, most_wait?: number }
function methods:set(options)
  local fields = frame.fields_of(self, KIND, "set")
  local problem = arguments.problem_of_options(options, CHANGEABLE)
  if problem then arguments.fail(2, 1, "set", problem) end
  options = arguments.raw(options)
  local rate, burst = options.rate or fields.rate, options.burst or fields.burst
  local most_wait = options.most_wait or fields.most_wait
  problem = problem_of(rate, burst)
  if problem then arguments.fail(2, 1, "set", problem) end
  core.rate_set(fields.core, rate, math.tointeger(burst), most_wait)
  fields.rate, fields.burst, fields.most_wait = rate, burst, most_wait
end

KIND = frame.kind("rate", methods)

local function describe(fields)
  return fields.name and ('the rate "%s"'):format(fields.name) or "the rate"
end

local function refuse(fields, seconds)
  frame.raise("limited", ("%s refuses the call: it could start in %.9g s"):format(
    describe(fields), seconds), seconds)
end

-- What a rate does that has one bucket.
local function set_run(fields)
  local rate = fields.core
  function fields.run(fn, ...)
    local seconds = take(rate, "call")
    if seconds then refuse(fields, seconds) end
    return fn(...)
  end
end

-- And one that has a bucket for each key.
local function set_keyed_run(fields)
  local rate = fields.core
  function fields.run(fn, ...)
    local seconds = take(rate, "call", key_of(fields, ...))
    if seconds then refuse(fields, seconds) end
    return fn(...)
  end
  function fields.run_within(step, fn, ...)
    local seconds = take(rate, "call", key_of(fields, ...))
    if seconds then refuse(fields, seconds) end
    return step(fn, ...)
  end
end

local function stats_of(fields)
  return function()
    local taken, waited, refused, waiting, keys = core.rate_counts(fields.core)
    return { taken = taken, waited = waited, refused = refused, waiting = waiting, keys = keys }
  end
end

--- Makes a policy that lets at most `rate` calls start in a second, and `burst` at once
--- after a pause. The others wait in line; one that would have to wait beyond its deadline,
--- or for longer than `most_wait`, gets `limited` at once. Does not suspend.
--- Errors: misuse.
---@param options { rate: number, burst?: integer, most_wait?: number, name?: string,
---  key?: fun(...: any): any, keys?: integer }
---@return uvjobs.Rate
return function(options)
  options = frame.options("rate", options, OPTIONS)
  local rate, burst = options.rate, options.burst or 1
  if rate == nil then
    arguments.fail(2, 1, "rate", "option 'rate': number > 0 expected, got nil")
  elseif options.keys and not options.key then
    arguments.fail(2, 1, "rate", "option 'keys' needs the option 'key'")
  end
  local problem = problem_of(rate, burst)
  if problem then arguments.fail(2, 1, "rate", problem) end
  local fields = {
    kind = "rate", name = options.name, rate = rate, burst = burst, key = options.key,
    most_wait = options.most_wait or math.huge,
  }
  fields.core = core.rate(rate, math.tointeger(burst), fields.most_wait,
    options.key and math.tointeger(options.keys or 10000))
  fields.stats = stats_of(fields)
  if options.key then set_keyed_run(fields) else set_run(fields) end
  local policy = frame.new(KIND, fields)
  if not options.key then rates[policy] = fields.core end
  return policy
end
