-- Checks of the arguments and options of functions that are written in Lua. The
-- messages are those of src/lua/base/args.c: they name the function and the argument,
-- and say what was expected and what came.

local core = require "uvjobs.core"

local arguments = {}

-- ---- raising -----------------------------------------------------------------------

--- Raises "bad argument #n to 'name' (problem)".
---@param level integer whom the error blames, counted as for error()
---@param n integer place of the argument, not counting `self`
---@param name string what the function is called
---@param problem string
function arguments.fail(level, n, name, problem)
  error(("bad argument #%d to '%s' (%s)"):format(n, name, problem), level + 1)
end

--- Raises "bad self to 'name' (expected expected, got type)".
---@param level integer whom the error blames, counted as for error()
---@param name string what the method is called
---@param expected string a type
---@param self any what came
function arguments.fail_self(level, name, expected, self)
  error(("bad self to '%s' (%s expected, got %s)"):format(
    name, expected, core.typename(self)), level + 1)
end

--- Returns "expected expected, got type", for arguments.fail().
---@param expected string
---@param value any what came
---@return string problem
function arguments.unexpected(expected, value)
  return ("%s expected, got %s"):format(expected, core.typename(value))
end

--- The same for an element of a list.
---@param expected string
---@param i integer the index of the element
---@param value any what came
---@return string problem
function arguments.unexpected_element(expected, i, value)
  return ("%s expected as element %d, got %s"):format(
    expected, i, core.typename(value))
end

--- Raises unless the argument is a function.
---@param level integer whom the error blames, counted as for error()
function arguments.check_function(level, n, name, value)
  if type(value) ~= "function" then
    arguments.fail(level + 1, n, name, arguments.unexpected("function", value))
  end
end

-- ---- properties --------------------------------------------------------------------

--- Raises "unknown property 'key' of a type, did you mean 'name'?", as src/lua/base/object.c does.
---@param level integer whom the error blames, counted as for error()
---@param type_name string
---@param key any
---@param known table<string, any> the names of all properties and methods
function arguments.fail_property(level, type_name, key, known)
  local shown = type(key) == "string" and ("'%s'"):format(key) or ("[%s]"):format(tostring(key))
  error(("unknown property %s of a %s%s"):format(shown, type_name,
    arguments.did_you_mean(key, known)), level + 1)
end

--- Makes the table of methods of a type, which is the `__index` of its objects, raise for a name
--- that it does not have. A name that begins with a `_` is private, and gives nil.
---@param type_name string
---@param methods table<string, function>
---@param fields? string[] the names of the public fields of objects, which may be nil
function arguments.refuse_others(type_name, methods, fields)
  local known = {}
  for name in pairs(methods) do
    if not name:find "^_" then known[name] = true end
  end
  for _, name in ipairs(fields or {}) do known[name] = true end
  setmetatable(methods, { __index = function(_, key)
    if known[key] or type(key) == "string" and key:find "^_" then return nil end
    arguments.fail_property(2, type_name, key, known)
  end })
end

-- ---- kinds of values ---------------------------------------------------------------

--- A kind of value is a function: it returns nil for a value of that kind, and for
--- another one what was expected, in words; and, where the value is a table of which one
--- entry is to blame, also what came there. Where the value is a table of options itself,
--- it returns nil, nil, and what is wrong with that.
---@alias uvjobs.Kind fun(value: any): string?, string?, string?

--- Makes a kind of a function that tells whether a value is of that kind.
---@param is_good fun(value: any): boolean
---@param expected string
---@return uvjobs.Kind
function arguments.kind(is_good, expected)
  return function(value)
    if not is_good(value) then return expected end
  end
end

local function kind_of_type(name)
  return arguments.kind(function(value) return type(value) == name end, name)
end

local expect = {
  boolean = kind_of_type "boolean",
  func = kind_of_type "function",
  string = kind_of_type "string",
  seconds_or_forever = arguments.kind(function(value)
    return type(value) == "number" and value >= 0
  end, "seconds >= 0 or math.huge"),
  positive_integer = arguments.kind(function(value)
    return math.type(value) == "integer" and value >= 1
  end, "integer > 0"),
  whole_number = arguments.kind(function(value) -- a float may stand for it
    local integer = type(value) == "number" and math.tointeger(value)
    return integer and integer >= 1
  end, "integer >= 1"),
  progress = arguments.kind(function(value)
    return core.typename(value) == "uvjobs.Progress"
  end, "uvjobs.Progress"),
  workers = arguments.kind(function(value)
    return getmetatable(value) == "uvjobs.Workers"
  end, "uvjobs.Workers"),
  scheduler = arguments.kind(function(value)
    return core.typename(value) == "uvjobs.Scheduler"
  end, "uvjobs.Scheduler"),
}

expect.seconds = arguments.kind(function(value)
  return type(value) == "number" and value >= 0 -- math.huge is no limit
end, "seconds >= 0")

function expect.finite_seconds(value)
  if value == math.huge then return "finite seconds >= 0" end
  if type(value) == "number" and value >= 0 then return nil end
  return "seconds >= 0"
end

--- The kind of integers >= least, and math.huge.
---@param least integer
---@return uvjobs.Kind
function expect.count(least)
  return arguments.kind(function(value)
    if type(value) ~= "number" then return false end
    if value == math.huge then return true end
    local integer = math.tointeger(value)
    return integer ~= nil and integer >= least
  end, ("integer >= %d or math.huge"):format(least))
end

--- One of two words.
---@return uvjobs.Kind
function expect.either(first, second)
  return arguments.kind(function(value)
    return value == first or value == second
  end, ("'%s' or '%s'"):format(first, second))
end

arguments.expect = expect

-- ---- tables of options -------------------------------------------------------------

--- What a value looks like in a message.
---@param value any
---@return string
function arguments.shown(value)
  if value ~= value then return "nan" end -- tostring() may give "-nan"
  if type(value) == "number" then return tostring(value) end
  if type(value) == "string" then return ("'%s'"):format(value) end
  return core.typename(value)
end

local function list_of_names(known)
  local names = {}
  for name in pairs(known) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

--- ", did you mean 'name'?", or nothing when no known name is near.
---@param key any
---@param known table<string, any> the known ones
---@return string
function arguments.did_you_mean(key, known)
  local nearest = type(key) == "string" and core.nearest(key, known)
  return nearest and (", did you mean '%s'?"):format(nearest) or ""
end

--- What to say of an option that is not known.
---@param key any
---@param known table<string, any> the known ones
---@return string
function arguments.unknown_option(key, known)
  if type(key) ~= "string" then
    return ("unknown option [%s], known: %s"):format(tostring(key), list_of_names(known))
  end
  local nearest = core.nearest(key, known)
  return ("unknown option '%s', %s"):format(key, nearest and
    ("did you mean '%s'?"):format(nearest) or "known: " .. list_of_names(known))
end

--- Returns "expected expected, got value", for arguments.fail().
---@param expected string
---@param value any what came
---@return string problem
function arguments.unexpected_value(expected, value)
  return ("%s expected, got %s"):format(expected, arguments.shown(value))
end

--- A table of options as problem_of_options() reads it, which is raw: what a metatable would add
--- has not been checked.
---@param given any
---@return any the same value, or a copy of a table that has a metatable
function arguments.raw(given)
  if type(given) ~= "table" or getmetatable(given) == nil then return given end
  local copy = {}
  for name, value in next, given do copy[name] = value end
  return copy
end

--- What is wrong with a table of options, or nil. It is read raw, as C reads those of other calls:
--- the error of a `__pairs` would be blamed on uvjobs.
---@param given any
---@param known table<string, uvjobs.Kind>
---@return string? problem
function arguments.problem_of_options(given, known)
  if type(given) ~= "table" then return arguments.unexpected("table", given) end
  for name, value in next, given do
    local kind = known[name]
    if not kind then return arguments.unknown_option(name, known) end
    local expected, came, problem = kind(value)
    if problem then return ("option '%s': %s"):format(name, problem) end
    if expected then
      return ("option '%s': %s expected, got %s"):format(
        name, expected, came or arguments.shown(value))
    end
  end
end

return arguments
