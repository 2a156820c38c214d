-- The options of supervisors and of their children: what is wrong with them, and what
-- holds where they say nothing.

local arguments = require "uvjobs.arguments"
local backoff = require "uvjobs.policy.backoff"
local child = require "uvjobs.supervisor.child"
local core = require "uvjobs.core"
local nested = require "uvjobs.supervisor.nested"

core.own_source()

local expect <const> = arguments.expect

local options = {}

-- ---- kinds of values ---------------------------------------------------------------

-- One of some words. For another word, the nearest one is named.
local function one_of(...)
  local words, known = { ... }, {}
  for i, word in ipairs(words) do
    known[word] = true
    words[i] = ("'%s'"):format(word)
  end
  local last = table.remove(words)
  local expected = table.concat(words, ", ") .. " or " .. last
  return function(value)
    if known[value] then return nil end
    if type(value) ~= "string" then return expected end
    return expected, ("'%s'%s"):format(value, arguments.did_you_mean(value, known))
  end
end

local positive_seconds = arguments.kind(function(value)
  return type(value) == "number" and value > 0
end, "seconds > 0")

-- What both kinds of options have: that of a supervisor holds for its children.
local COMMON <const> = {
  backoff = backoff.kind,
  reset_after = expect.seconds_or_forever,
  start_timeout = expect.seconds_or_forever,
  close_timeout = expect.seconds_or_forever,
  busy_limit = arguments.kind(function(value)
    return type(value) == "number" and value > 0
  end, "seconds > 0 or math.huge"),
  keep_trying = expect.boolean,
}

local function with_common(known)
  for name, kind in pairs(COMMON) do known[name] = kind end
  return known
end

local SUPERVISOR <const> = with_common {
  name = expect.string,
  strategy = one_of("one_for_one", "one_for_all", "rest_for_one"),
  intensity = expect.count(0),
  period = positive_seconds,
  auto_shutdown = one_of("never", "any", "all"),
  exception_handler = expect.func,
}

-- A supervisor in a supervisor is named as the child.
local NESTED <const> = {}
for name, kind in pairs(SUPERVISOR) do NESTED[name] = kind end
NESTED.name = nil

local function supervisor(value)
  if core.typename(value) ~= "table" then return "table" end -- nor a Supervisor
  return nil, nil, arguments.problem_of_options(value, NESTED)
end

local CHILD <const> = with_common {
  name = expect.string,
  restart = one_of("permanent", "transient", "temporary"),
  ready = expect.boolean,
  significant = expect.boolean,
  supervisor = supervisor,
}

-- ---- what holds --------------------------------------------------------------------

local LONGEST_PAUSE <const> = 30 -- seconds, unless the option says otherwise

local function full_backoff(given)
  given = arguments.raw(given)
  if type(given) == "table" and given.jitter == nil then
    local with_jitter = { jitter = 0.2 }
    for name, value in next, given do with_jitter[name] = value end
    given = with_jitter
  end
  return backoff.complete(given, LONGEST_PAUSE)
end

local DEFAULTS <const> = {
  strategy = "one_for_one", intensity = 10, period = 10, auto_shutdown = "never",
  backoff = full_backoff {}, reset_after = 60, start_timeout = math.huge,
  close_timeout = 5, busy_limit = math.huge, keep_trying = false,
}

local function complete(given, defaults)
  local full, pauses = {}, rawget(given, "backoff")
  for name, value in pairs(defaults) do full[name] = value end
  for name, value in next, given do full[name] = value end
  if pauses then full.backoff = full_backoff(pauses) end
  return full
end

--- The options of a supervisor; raises for the caller of the calling function.
---@param given any
---@return table options with those that are not given
function options.of_supervisor(given)
  if given == nil then given = {} end
  local problem = arguments.problem_of_options(given, SUPERVISOR)
  if problem then arguments.fail(3, 1, "supervisor", problem) end
  return complete(given, DEFAULTS)
end

--- The options of a supervisor in a supervisor, whose handler it takes.
function options.of_nested(given, name, parent)
  local full = complete(given, DEFAULTS)
  full.name = name
  full.exception_handler = full.exception_handler or parent.exception_handler
  return full
end

-- ---- children ----------------------------------------------------------------------

local function fail(problem)
  arguments.fail(5, 1, "start", problem)
end

-- What is wrong with the options of a child, besides the values of single ones.
local function problem_of_child(self, given)
  if given.on ~= nil then
    return "option 'on': children on worker threads are not part of this version"
  elseif given.supervisor and given[1] ~= nil then
    return "options 'supervisor' and a function: a child is one of them"
  elseif given.supervisor and (given.ready ~= nil or not given.name) then
    return given.name and "option 'ready': a supervisor is ready when its children are"
      or "option 'supervisor': such a child has a name"
  elseif not given.supervisor and type(given[1]) ~= "function" then
    return ("function expected as element 1, got %s"):format(core.typename(given[1]))
  elseif given.significant and (given.restart or "permanent") == "permanent" then
    return "option 'significant': the child is permanent, so it never ends by itself"
  elseif given.significant and self._options.auto_shutdown == "never" then
    return "option 'significant': the supervisor has no 'auto_shutdown'"
  elseif given.name and self._names[given.name] then
    return ("option 'name': there is a child '%s' already"):format(given.name)
  end
end

local MAX_ELEMENTS <const> = 240 -- as many arguments as a job may have

-- The first thing that is wrong with what start() was given; the arguments of the function
-- are the elements behind it.
local function check_child(self, given)
  if type(given) ~= "table" then fail(arguments.unexpected("table", given)) end
  for name, value in next, given do
    if name ~= 1 and (math.type(name) ~= "integer" or name < 1) then
      local kind = CHILD[name]
      if kind then
        local expected, came, problem = kind(value)
        if problem then
          fail(("option '%s': %s"):format(name, problem))
        elseif expected then
          fail(("option '%s': %s expected, got %s"):format(
            name, expected, came or arguments.shown(value)))
        end
      elseif name == "n" then
        if math.type(value) ~= "integer" or value < 0 or value > MAX_ELEMENTS then
          fail(("option 'n': integer from 0 to %d expected, got %s"):format(
            MAX_ELEMENTS, arguments.shown(value)))
        end
      elseif name ~= "on" then
        fail(arguments.unknown_option(name, CHILD))
      end
    end
  end
  local problem = problem_of_child(self, given)
  if problem then fail(problem) end
end

local SHARED <const> = {
  "restart", "ready", "significant", "start_timeout", "close_timeout", "busy_limit",
  "keep_trying", "reset_after",
}

-- Makes the options of a child; those that it has not are its supervisor's.
local function new_kind(self, given)
  local of_self, kind = self._options, { supervisor = self }
  for _, name in ipairs(SHARED) do
    kind[name] = given[name]
    if kind[name] == nil then kind[name] = of_self[name] end
  end
  kind.restart = kind.restart or "permanent"
  kind.backoff = given.backoff and full_backoff(given.backoff) or of_self.backoff
  if given.supervisor then
    kind.ready = true
    kind.close_timeout = given.close_timeout or math.huge
  end
  if kind.busy_limit == math.huge then kind.busy_limit = nil end
  if kind.busy_limit or kind.start_timeout < math.huge then
    kind.close_after_limit = kind.close_timeout
  end
  return kind
end

-- What distinguishes the options of children that have unusual ones.
local function long_key_of(given)
  local parts = {}
  for i, name in ipairs(SHARED) do parts[i] = tostring(given[name]) end
  return table.concat(parts, " ")
end

local IS_USUAL <const> = { name = true, restart = true, ready = true, n = true }
local READY <const> = {
  permanent = "permanent, ready", transient = "transient, ready", temporary = "temporary, ready",
}

-- The usual ones are found without making a string.
local function key_of(given)
  for name in next, given do
    if not IS_USUAL[name] and math.type(name) ~= "integer" then return long_key_of(given) end
  end
  local restart = given.restart or "permanent"
  return given.ready and READY[restart] or restart
end

-- Children with equal options share them.
local function kind_of(self, given)
  if given.supervisor or given.backoff then return new_kind(self, given) end
  local key, kinds = key_of(given), self._kinds
  local kind = kinds[key]
  if not kind then
    kind = new_kind(self, given)
    kinds[key] = kind
    if key == kind.restart and not kind.busy_limit then self._plain_kinds[key] = kind end
  end
  return kind
end

-- What the function of a child gets behind the child.
local function arguments_of(given)
  local n = given.n or #given
  if n < 2 then return nil end
  return table.pack(table.unpack(given, 2, n))
end

--- Makes a child of what start() was given; raises for the caller of start().
---@param self uvjobs.Supervisor
---@return uvjobs.Child
function options.new_child(self, given)
  check_child(self, given)
  local kind = kind_of(self, given)
  local one = child.new(given.name or false, given[1] or nested.run, kind)
  local given_arguments, context = arguments_of(given), core.get_context()
  if kind.ready or given_arguments or context then
    local more = child.more(one)
    more.arguments, more.context = given_arguments, context
    more.first = kind.ready and not given.supervisor and not kind.keep_trying or nil
  end
  return one
end

return options
