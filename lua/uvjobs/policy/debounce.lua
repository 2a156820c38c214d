-- policy.debounce: of calls that follow each other closely only the last is run.
--
-- The calls of a burst stand in a list. A job of its own waits until the last of them has
-- been alone for long enough, or the first has waited for too long; then it runs the last
-- one. All callers of the burst get its results. A caller that leaves before, because it
-- was cancelled for instance, takes its call out of the list: it counts as if it had never
-- come.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local flight = require "uvjobs.policy.flight"
local frame = require "uvjobs.policy.frame"
local key_of = require "uvjobs.policy.key"

core.own_source()

local uvjobs = core.public

local clock, to_ns = core.clock, frame.to_ns
local expect <const> = frame.expect

local ONLY_KEY <const> = true -- without a key function

local KIND <const> = frame.kind "debounce"

local OPTIONS <const> = {
  name = expect.string, wait = expect.finite_seconds, most = expect.seconds_or_forever,
  key = expect.func,
}

-- ---- the calls of a burst ------------------------------------------------------------

-- A burst is the head of a ring: `last` and `first` are its neighbours.
local function append(burst, call)
  call.before, call.after = burst.before, burst
  burst.before.after, burst.before = call, call
end

local function remove(call)
  call.before.after, call.after.before = call.after, call.before
end

local function add_ns(time, span)
  return span < math.maxinteger - time and time + span or math.maxinteger
end

-- When the burst runs.
local function due_of(fields, burst)
  local first, last = burst.after, burst.before
  return math.min(add_ns(last.at, fields.wait), add_ns(first.at, fields.most))
end

-- The job of a burst.
local function run_burst(fields, burst)
  local due = due_of(fields, burst)
  while clock() < due do
    burst.moved:clear()
    core.wait_until(burst.moved, due)
    due = due_of(fields, burst)
  end
  burst.runs = true
  fields.runs = fields.runs + 1
  if fields.bursts[burst.key] == burst then fields.bursts[burst.key] = nil end
  local call = burst.before
  return call.fn(table.unpack(call.args, 1, call.args.n))
end

-- One whose callers have all left is about to be closed.
local function is_open(burst)
  return burst and (not burst.flight or burst.flight:is_open())
end

local function new_burst(fields, key)
  local burst = { key = key, moved = uvjobs.event(), runs = false }
  burst.before, burst.after = burst, burst
  fields.bursts[key] = burst
  return burst
end

-- ---- callers -------------------------------------------------------------------------

-- A caller leaves before the burst runs: it may run earlier or later now. When nobody is
-- left, the flight is closed.
local Call = {}

function Call.__close(call)
  local fields, burst = call.fields, call.burst
  if burst.runs then return end
  remove(call)
  if burst.after == burst then
    if fields.bursts[burst.key] == burst then fields.bursts[burst.key] = nil end
  else
    burst.moved:set()
  end
end

local function join(fields, key, fn, ...)
  flight.check()
  local burst = fields.bursts[key]
  if not is_open(burst) then burst = new_burst(fields, key) end
  local call <close> = setmetatable({
    fields = fields, burst = burst, fn = fn, args = table.pack(...), at = (clock()),
  }, Call)
  append(burst, call)
  fields.calls = fields.calls + 1
  if not burst.flight then
    burst.flight = flight.new(fields, fields.name or "debounce", run_burst, fields, burst)
  end
  return burst.flight:wait()
end

local function set_run(fields)
  if not fields.key then
    function fields.run(fn, ...) return join(fields, ONLY_KEY, fn, ...) end
    return
  end
  function fields.run(fn, ...)
    return join(fields, key_of(fields, ...), fn, ...)
  end
  function fields.run_within(step, fn, ...)
    return join(fields, key_of(fields, ...), step, fn, ...)
  end
end

--- Makes a policy under which of calls that follow each other within `wait` seconds only
--- the last is run: when no other has come for `wait` seconds, and at the latest `most`
--- seconds after the first. It runs in a job of its own, and all callers get its results.
--- Does not suspend.
--- Errors: misuse.
---@param options { wait: number, most?: number, name?: string, key?: fun(...: any): any }
---@return uvjobs.Policy
return function(options)
  options = frame.options("debounce", options, OPTIONS)
  if options.wait == nil then
    arguments.fail(2, 1, "debounce", "option 'wait': finite seconds >= 0 expected, got nil")
  end
  local fields = {
    kind = "debounce", name = options.name, key = options.key, bursts = {}, calls = 0,
    runs = 0, wait = to_ns(options.wait), most = to_ns(options.most or math.huge),
  }
  fields.stats = function()
    return { calls = fields.calls, runs = fields.runs }
  end
  set_run(fields)
  return frame.new(KIND, fields)
end
