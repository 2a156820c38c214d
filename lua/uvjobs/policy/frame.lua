-- What all policies have in common. A policy is a value that decides how a function is
-- called: not at all, again, or with a limit. It has the methods `call`, `wrap` and
-- `stats`.
--
-- A new kind of policy is a file that returns its constructor, for policy/init.lua:
--
--   local frame = require "uvjobs.policy.frame"
--   local KNOWN <const> = { name = frame.expect.string, size = frame.expect.count(1) }
--   local KIND <const> = frame.kind "twice"
--
--   return function(options)
--     options = frame.options("twice", options, KNOWN) -- blames the constructor's caller
--     local calls = 0
--     return frame.new(KIND, {
--       name = options.name,
--       run = function(fn, ...)
--         calls = calls + 1
--         fn(...)
--         return fn(...)
--       end,
--       stats = function() return { calls = calls } end,
--     })
--   end
--
-- `run(fn, ...)` calls `fn(...)` as the policy wants it, in the job of the caller, which
-- can suspend. It may be called by several jobs at a time. `fn` is the function of the
-- user or, in a composition, the `run` of the policy within; so a kind that looks at the
-- arguments of the user's function, as for a key, also gives `run_within(step, fn, ...)`,
-- which calls `step(fn, ...)`, and finds them behind `fn`. A kind that cannot be a part
-- of a composition gives `refusal` instead, a text that says why. A kind whose `run` is
-- short may also give `bind(inner)`, which returns a function that does around `inner` what
-- `run` does around its argument: that saves a call.
--
-- Other fields of the table are the kind's own. The methods of a kind, which are given
-- as in frame.kind("twice", { reset = function(self) ... end }), begin with
-- `local fields = frame.fields_of(self, KIND, "reset")`, which is this table.
--
-- `run` must let through at once what ends the job of its caller, which
-- frame.ends_caller(err) tells, and count it as nothing. On the way on which all is well
-- it should make neither tables nor closures, which cost more than the rest. Functions of
-- the user that decide something, such as a key, are called by frame.consult(fn, ...), in which
-- nothing can suspend. Errors are made by frame.raise(); mistakes of the user that are found
-- in a call are told by frame.blame().

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public
local check_suspend = core.check_suspend

local TYPE <const> = "uvjobs.Policy"

local frame = { expect = arguments.expect }

-- What each policy does, by policy: it is found in one look, which tells whether a value
-- is a policy besides.
---@type table<uvjobs.Policy, function>
local runs = setmetatable({}, { __mode = "k" })

-- What frame.new() was given, by policy.
---@type table<uvjobs.Policy, table>
local records = setmetatable({}, { __mode = "k" })

-- ---- methods of all policies -------------------------------------------------------

---@class uvjobs.Policy
local methods = {}

--- Calls `fn(...)` as the policy says, in the current job. Suspends.
--- Errors: misuse; those of `fn`; those that the policy adds; `cancelled`, `timeout` and
--- `killed` of the current job.
---@param fn function
---@param ... any is passed on
---@return any ... what `fn` returns
methods.call = core.caller(runs)

--- Makes a function that calls `fn` as the policy says. Does not suspend.
--- Errors: misuse.
---@param fn function
---@return function wrapped suspends, and raises what call() raises
function methods:wrap(fn)
  local run = runs[self]
  if not run then arguments.fail_self(2, "wrap", TYPE, self) end
  arguments.check_function(2, 1, "wrap", fn)
  return function(...)
    check_suspend("call", 2)
    return run(fn, ...)
  end
end

--- What has happened so far, as a new table; see the kinds of policies. Does not suspend.
--- Errors: misuse only.
---@return table<string, any>
function methods:stats()
  if not runs[self] then arguments.fail_self(2, "stats", TYPE, self) end
  return records[self].stats()
end

-- ---- kinds -------------------------------------------------------------------------

local function describe(self)
  if not runs[self] then arguments.fail_self(2, "tostring", TYPE, self) end
  if self.name then return ('%s: %s "%s"'):format(TYPE, self.kind, self.name) end
  return ("%s: %s"):format(TYPE, self.kind)
end

local function refuse_property(key, known)
  arguments.fail_property(3, TYPE, key, known)
end

--- Makes a kind of policies.
---@param name string such as "retry"
---@param own_methods? table<string, function>
---@return table kind
function frame.kind(name, own_methods)
  local known = {}
  for key, method in pairs(methods) do known[key] = method end
  for key, method in pairs(own_methods or {}) do known[key] = method end
  setmetatable(known, { __index = function(_, key)
    if key ~= "name" then refuse_property(key, known) end
  end })
  return {
    __name = TYPE, __metatable = false, __index = known, __tostring = describe, kind = name,
    __newindex = function(_, key) refuse_property(key, known) end,
  }
end

--- Makes a policy.
---@param kind table
---@param fields { name?: string, run: function, run_within?: function, stats: function,
---  refusal?: string }
---@return uvjobs.Policy
function frame.new(kind, fields)
  local policy = setmetatable({ kind = kind.kind, name = fields.name }, kind)
  fields.of_kind = kind
  runs[policy], records[policy] = fields.run, fields
  return policy
end

--- The fields that a policy of this kind was made with; blames the caller of a method when
--- it is none.
---@param self any
---@param kind table
---@param method string
---@param level? integer 1 when a function calls this that the method has called
---@return table fields
function frame.fields_of(self, kind, method, level)
  local fields = records[self]
  if fields and fields.of_kind == kind then return fields end
  error(("bad self to '%s' (%s of the kind '%s' expected, got %s)"):format(method, TYPE,
    kind.kind, fields and ("one of the kind '%s'"):format(self.kind) or core.typename(self)),
    3 + (level or 0))
end

--- The fields of any policy; nil for another value.
---@param value any
---@return table? fields
function frame.find(value)
  return records[value]
end

--- All policies that there are: `for policy in frame.all() do`.
---@return fun(): uvjobs.Policy?
function frame.all()
  local list, i = {}, 0
  for policy in pairs(records) do list[#list + 1] = policy end
  return function()
    i = i + 1
    return list[i]
  end
end

-- ---- for the constructors and the functions of kinds -------------------------------

--- Checks the options of a constructor, and blames its caller.
---@param name string of the constructor
---@param given any nil stands for no options
---@param known table<string, uvjobs.Kind>
---@return table options
function frame.options(name, given, known)
  if given == nil then return {} end
  local problem = arguments.problem_of_options(given, known)
  if problem then arguments.fail(3, 1, name, problem) end
  return arguments.raw(given)
end

--- Whether an error says that the job which caught it is to end: its own `cancelled` or
--- `killed`, or one of a deadline or a nursery around the policy. It must go on its way.
---@param err any
---@return boolean
function frame.ends_caller(err)
  local code = uvjobs.code(err)
  if code ~= "cancelled" and code ~= "killed" and code ~= "timeout" then return false end
  local job = err.job
  if job ~= nil then return job == uvjobs.current() and code ~= "timeout" end
  return core.interrupted()
end

--- Seconds, >= 0, as the integer nanoseconds of core.clock(), rounded up.
---@param seconds number
---@return integer ns math.maxinteger for what is too long
function frame.to_ns(seconds)
  return math.tointeger(math.ceil(seconds * 1e9)) or math.maxinteger
end

--- Calls a function of the user that decides something, in which nothing can suspend.
---@type fun(fn: function, ...: any): ...: any
frame.consult = core.consult

-- A job can be given so many arguments, besides a few that a policy adds.
frame.MOST_ARGUMENTS = 200

--- The same function with these arguments, for a job that could not be given so many.
---@param fn function
---@param ... any
---@return fun(): ...: any
function frame.with_arguments(fn, ...)
  local args = table.pack(...)
  return function() return fn(table.unpack(args, 1, args.n)) end
end

local OWN <const> = "uvjobs/policy/" -- in the names of these files

--- Raises an error for a mistake in how a policy is used, which is found while it works: it
--- blames the code outside of policies that called the policy, however many are around it.
---@param text string
function frame.blame(text)
  local level = 2
  local caller = debug.getinfo(level, "S")
  while caller and (caller.what == "C" or caller.source:find(OWN, 1, true)) do
    level = level + 1
    caller = debug.getinfo(level, "S")
  end
  error(text, caller and level or 0)
end

--- Raises an error of a policy.
---@param code "open"|"limited"|"full"
---@param text string
---@param retry_after? number seconds after which it is worth while to call again
---@param cause? any the error because of which
function frame.raise(code, text, retry_after, cause)
  error(core.make_error(code, text, retry_after, cause), 0)
end

return frame
