-- policy.limit: how many calls run at once, in all or for each key.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local frame = require "uvjobs.policy.frame"
local key_of = require "uvjobs.policy.key"

core.own_source()

local enter = core.gate_enter
local expect <const> = frame.expect

local CHANGEABLE <const> = {
  limit = expect.count(1), pending_limit = expect.count(0),
  most_wait = expect.seconds_or_forever,
}

local OPTIONS <const> = {
  name = expect.string, key = expect.func,
  limit = CHANGEABLE.limit, pending_limit = CHANGEABLE.pending_limit,
  most_wait = CHANGEABLE.most_wait,
}

-- Methods that only a limit has.
local methods = {}

local KIND -- made of them below

-- All gates that are in use: one, or those of all keys.
local function gates_of(fields)
  return fields.gates or { fields.gate }
end

--- Changes the limits while they are in use. Raising one wakes those that wait and have a
--- place now, in the same turn; lowering one ends nobody. `most_wait` holds for those that
--- come from now on. Does not suspend.
--- Errors: misuse.
---@param options { limit?: integer, pending_limit?: integer, most_wait?: number }
function methods:set(options)
  local fields = frame.fields_of(self, KIND, "set")
  local problem = arguments.problem_of_options(options, CHANGEABLE)
  if problem then arguments.fail(2, 1, "set", problem) end
  options = arguments.raw(options)
  fields.limit = options.limit or fields.limit
  fields.pending_limit = options.pending_limit or fields.pending_limit
  fields.most_wait = options.most_wait or fields.most_wait
  for _, gate in pairs(gates_of(fields)) do
    core.gate_set(gate, fields.limit, fields.pending_limit, fields.most_wait)
  end
end

KIND = frame.kind("limit", methods)

local function refuse(fields, gate)
  fields.refused = fields.refused + 1
  local running, waiting = core.gate_counts(gate)
  frame.raise("full", ("the limit%s is full: %d run, %d wait"):format(
    fields.name and (' "%s"'):format(fields.name) or "", running, waiting))
end

local function set_run(fields)
  local gate = core.gate(fields.limit, fields.pending_limit, fields.most_wait)
  fields.gate = gate
  function fields.run(fn, ...)
    if enter(gate, "call") == false then refuse(fields, gate) end
    local _ <close> = gate
    return fn(...)
  end
end

-- A gate for a key is there as long as somebody is within it.
local function gate_for(fields, ...)
  local key = key_of(fields, ...)
  local gate = fields.gates[key]
  if gate then return gate end
  gate = core.gate(fields.limit, fields.pending_limit, fields.most_wait, fields.gates, key)
  if not core.interrupted() then fields.gates[key] = gate end
  return gate
end

local function set_keyed_run(fields)
  fields.gates = {}
  function fields.run(fn, ...)
    local gate = gate_for(fields, ...)
    if enter(gate, "call") == false then refuse(fields, gate) end
    local _ <close> = gate
    return fn(...)
  end
  function fields.run_within(step, fn, ...)
    local gate = gate_for(fields, ...)
    if enter(gate, "call") == false then refuse(fields, gate) end
    local _ <close> = gate
    return step(fn, ...)
  end
end

local function stats_of(fields)
  return function()
    local running, waiting, keys = 0, 0, 0
    for _, gate in pairs(gates_of(fields)) do
      local within, outside = core.gate_counts(gate)
      running, waiting, keys = running + within, waiting + outside, keys + 1
    end
    return {
      running = running, waiting = waiting, refused = fields.refused,
      keys = fields.gates and keys or nil,
    }
  end
end

--- Makes a policy that lets at most `limit` calls run at once. At most `pending_limit` more
--- wait in line; the next gets `full` at once, and one that has waited for `most_wait`
--- seconds gets it then. Does not suspend.
--- Errors: misuse.
---@param options { limit: integer, pending_limit?: integer, most_wait?: number,
---  name?: string, key?: fun(...: any): any }
---@return uvjobs.Limit
return function(options)
  options = frame.options("limit", options, OPTIONS)
  if options.limit == nil then
    arguments.fail(2, 1, "limit",
      "option 'limit': integer >= 1 or math.huge expected, got nil")
  end
  local fields = {
    kind = "limit", name = options.name, key = options.key, limit = options.limit,
    pending_limit = options.pending_limit or math.huge,
    most_wait = options.most_wait or math.huge, refused = 0,
  }
  fields.stats = stats_of(fields)
  if options.key then set_keyed_run(fields) else set_run(fields) end
  return frame.new(KIND, fields)
end
