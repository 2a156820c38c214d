-- policy.breaker: does not call what fails too often, for a while. The states are in
-- circuit.lua; this file has the time, the errors of calls, and the keys.

local arguments = require "uvjobs.arguments"
local circuit = require "uvjobs.policy.circuit"
local core = require "uvjobs.core"
local frame = require "uvjobs.policy.frame"
local key_of = require "uvjobs.policy.key"

core.own_source()

local uvjobs = core.public

local consult, clock, finish = frame.consult, core.clock, circuit.finish
local to_ns = frame.to_ns
local expect <const> = frame.expect

local NS <const> = 1e9

local is_ratio = arguments.kind(function(value)
  return type(value) == "number" and value > 0 and value <= 1
end, "number > 0 and <= 1")

local is_span = arguments.kind(function(value)
  return type(value) == "number" and value > 0 and value < math.huge
end, "finite seconds > 0")

local OPTIONS <const> = {
  name = expect.string, ratio = is_ratio, window = is_span, minimum = expect.whole_number,
  open = is_span, probes = expect.whole_number, slow = expect.seconds, when = expect.func,
  on_change = expect.func, key = expect.func, keys = expect.whole_number,
}

-- Times of another clock mean nothing: then all that was counted is forgotten. No call is
-- under way, as no run under the virtual clock begins or ends while one is.
local function forget(fields, which)
  fields.clock = which
  for _, state in fields.each() do circuit.reset(state) end
end

local function sync_clock(fields)
  local now, which = clock()
  if fields.clock ~= which then forget(fields, which) end
  return now
end

-- ---- calls -------------------------------------------------------------------------

-- What an error of a call says of the other side: 1 that it has failed; 0 that it has
-- answered; nil nothing, because the job was cancelled or killed that made the call. (A
-- deadline that passed is a failure: the other side took too long.)
local function failure_of(fields, err)
  local code = uvjobs.code(err)
  if code == "cancelled" or code == "killed" then
    local job = err.job
    if job == nil or job == uvjobs.current() then return nil end
  end
  if fields.when and not consult(fields.when, err) then return 0 end
  return 1
end

-- A pass is the to-be-closed variable of a call. In the state closed all calls have the
-- same one, unless the time is taken of each; and where there are no keys, a guard in C is
-- in its place as long as no call fails.
local Pass = {}

-- Marks that the function has returned: an error can be nil, so that it is told from none
-- by this alone. The pass is closed in the next moment, before any other job runs.
local function succeed(pass, ...)
  pass.has_returned = true
  return ...
end

function Pass.__close(pass, err)
  local fields, number = pass.fields, pass.number
  local now = sync_clock(fields)
  if pass.has_returned then
    pass.has_returned = false
    local failure = fields.slow and now - pass.began > fields.slow and 1 or 0
    return finish(pass.circuit, number, failure, now)
  end
  local ok, failure = pcall(failure_of, fields, err)
  if ok then
    finish(pass.circuit, number, failure, now)
  else -- the function `when` has failed: its error goes to the caller
    finish(pass.circuit, number, 1, now)
    error(failure, 0)
  end
end

local function new_pass(fields, state, number, now)
  return setmetatable({
    fields = fields, circuit = state, number = number, began = now, has_returned = false,
  }, Pass)
end

local function refuse(fields, wait)
  fields.counts.refused = fields.counts.refused + 1
  local seconds = wait and wait / NS
  frame.raise("open", ("the breaker%s is open%s"):format(
    fields.name and (' "%s"'):format(fields.name) or "",
    seconds and (": it lets a call through in %.9g s"):format(seconds) or ""), seconds)
end

-- Lets a call in, or raises `open`.
local function enter(fields, state)
  local now = sync_clock(fields)
  local number, wait = circuit.enter(state, now)
  if not number then refuse(fields, wait) end
  if number == true and not fields.slow then return state.ordinary end
  return new_pass(fields, state, number, now)
end

local close_pass = Pass.__close

-- ---- changes of the state ---------------------------------------------------------

-- An error of the function of the user must not take the place of what a call returns.
local function call_on_change(fields, state, before, key)
  fields.counts[state] = fields.counts[state] + 1
  if not fields.on_change then return end
  local ok, err = pcall(consult, fields.on_change, state, before, key)
  if ok then return end
  local job = uvjobs.current()
  if not job then error(err, 0) end
  job.scheduler:call_exception_handler {
    message = "Function on_change of a breaker failed", job = job, exception = err,
  }
end

local function new_circuit(fields, key, is_guarded)
  local state = circuit.new(fields.rules, function(_, now_is, before)
    call_on_change(fields, now_is, before, key)
  end, is_guarded)
  state.ordinary = new_pass(fields, state, true)
  return state
end

-- ---- one for all, or one for each key ----------------------------------------------

local function set_one(fields)
  local state = new_circuit(fields, nil, not fields.slow)
  fields.circuit = state
  fields.find = function() return state end
  fields.look = fields.find
  fields.each = function() return next, { state } end
  local function run(fn, ...)
    local pass <close> = enter(fields, state)
    return succeed(pass, fn(...))
  end
  local function failed(err) close_pass(state.ordinary, err) end
  local function opens(now) circuit.open(state, now + fields.rules.open) end
  function fields.bind(inner) return core.guard(state.window, run, failed, opens, inner) end
  fields.run = fields.bind()
end

-- Circuits by key. The list is in the order of use: a circuit has the neighbours `older`
-- and `newer`; `fields.ring` is its head.
local function unlink(state)
  state.older.newer, state.newer.older = state.newer, state.older
end

local function append(ring, state)
  state.older, state.newer = ring.older, ring
  ring.older.newer, ring.older = state, state
end

-- Drops one: the closed one that was not used for longest; and where none is closed, the
-- one that was not used for longest.
local function drop_one(fields)
  local ring = fields.ring
  local state = ring.newer
  while state ~= ring and state.state ~= "closed" do state = state.newer end
  if state == ring then state = ring.newer end
  unlink(state)
  fields.circuits[state.key] = nil
  fields.count = fields.count - 1
end

local function find_or_make(fields, key)
  local state = fields.circuits[key]
  if state then
    unlink(state)
    append(fields.ring, state)
    return state
  end
  if fields.count >= fields.keys then drop_one(fields) end
  state = new_circuit(fields, key)
  state.key = key
  fields.circuits[key], fields.count = state, fields.count + 1
  append(fields.ring, state)
  return state
end

local function set_keyed(fields)
  local ring = {}
  ring.older, ring.newer = ring, ring
  fields.circuits, fields.count, fields.ring = {}, 0, ring
  fields.find = function(key) return find_or_make(fields, key) end
  fields.look = function(key) return fields.circuits[key] end
  fields.each = function() return next, fields.circuits end
  local function find(...)
    return find_or_make(fields, key_of(fields, ...))
  end
  function fields.run(fn, ...)
    local pass <close> = enter(fields, find(...))
    return succeed(pass, fn(...))
  end
  function fields.run_within(step, fn, ...)
    local pass <close> = enter(fields, find(...))
    return succeed(pass, step(fn, ...))
  end
end

-- ---- methods -----------------------------------------------------------------------

-- Methods that only a breaker has.
local methods = {}

local KIND -- made of them below

-- Checks what a method is called with, and blames the caller of the method.
local function check(self, name, n, key)
  local fields = frame.fields_of(self, KIND, name, 1)
  sync_clock(fields)
  if fields.key and (key == nil or key ~= key) then
    arguments.fail(3, n, name, "the breaker has a circuit for each key: key expected, got nil")
  elseif not fields.key and key ~= nil then
    arguments.fail(3, n, name, "the breaker has no keys")
  end
  return fields
end

--- Opens it by hand. Calls that are under way go on. Does not suspend.
--- Errors: misuse.
---@param seconds? number > 0, or math.huge: until close() is called (default)
---@param key? any of a breaker with keys
function methods:open(seconds, key)
  local fields = check(self, "open", 2, key)
  if seconds ~= nil and not (type(seconds) == "number" and seconds > 0) then
    arguments.fail(2, 1, "open",
      arguments.unexpected_value("seconds > 0 or math.huge", seconds))
  end
  local span = seconds and to_ns(seconds) or math.maxinteger
  local now = clock()
  circuit.open(fields.find(key), span < math.maxinteger - now and now + span or math.maxinteger)
end

--- Closes it by hand, and forgets what was counted. A key that is not known is closed.
--- Does not suspend.
--- Errors: misuse.
---@param key? any of a breaker with keys
function methods:close(key)
  local state = check(self, "close", 1, key).look(key)
  if state then circuit.close(state) end
end

--- The state in which a call would find it: "closed", "open" or "half_open". To ask for a
--- key is no use of it, and lets no other be forgotten. Does not suspend.
--- Errors: misuse.
---@param key? any of a breaker with keys
---@return "closed"|"open"|"half_open"
function methods:state(key)
  local state = check(self, "state", 1, key).look(key)
  return state and circuit.state_at(state, (clock())) or "closed"
end

KIND = frame.kind("breaker", methods)

local function stats_of(fields)
  return function()
    sync_clock(fields)
    local counts = fields.counts
    local stats = {
      refused = counts.refused, opened = counts.open, closed = counts.closed,
      probing = 0, keys = fields.key and fields.count or nil,
    }
    for _, state in fields.each() do stats.probing = stats.probing + state.probing end
    if not fields.key then stats.state = circuit.state_at(fields.circuit, (clock())) end
    return stats
  end
end

local function rules_of(options)
  return {
    ratio = options.ratio or 0.5,
    window = to_ns(options.window or 10),
    minimum = math.tointeger(options.minimum or 20),
    open = to_ns(options.open or 5),
    probes = math.tointeger(options.probes or 1),
  }
end

--- Makes a policy that counts which calls fail. When in the last `window` seconds at least
--- `minimum` calls ended, and `ratio` of them failed, every call gets `open` at once for
--- `open` seconds. Then at most `probes` calls are let through at once, until as many have
--- succeeded or one has failed. Does not suspend.
--- Errors: misuse.
---@param options? { ratio?: number, window?: number, minimum?: integer, open?: number,
---  probes?: integer, slow?: number, when?: (fun(err: any): boolean), name?: string,
---  on_change?: fun(state: string, before: string, key: any),
---  key?: (fun(...: any): any), keys?: integer }
---@return uvjobs.Breaker
return function(options)
  options = frame.options("breaker", options, OPTIONS)
  if options.keys and not options.key then
    arguments.fail(2, 1, "breaker", "option 'keys' needs the option 'key'")
  end
  local fields = {
    kind = "breaker", name = options.name, rules = rules_of(options), when = options.when,
    on_change = options.on_change, key = options.key, keys = options.keys or 10000,
    slow = options.slow and options.slow ~= math.huge and to_ns(options.slow) or nil,
    counts = { refused = 0, open = 0, closed = 0, half_open = 0 },
  }
  if options.key then set_keyed(fields) else set_one(fields) end
  local _
  _, fields.clock = clock()
  fields.stats = stats_of(fields)
  return frame.new(KIND, fields)
end
