-- Tables of options of functions in Lua: reading them, and what to say of a wrong one.

local core = require "uvjobs.core"

local options = {}

-- How a message shows a value.
local function got(value)
  if type(value) == "number" then return tostring(value) end
  if type(value) == "string" then return ("'%s'"):format(value) end
  return core.typename(value)
end

--- What is wrong with a table of options, or nil. `known` has a pair for each: a function
--- that says whether a value is good, and what is expected in words.
function options.wrong(given, known)
  if type(given) ~= "table" then
    return "table expected, got " .. core.typename(given)
  end
  for name, value in pairs(given) do
    local option = known[name]
    if not option then
      return ("unknown option '%s', did you mean '%s'?"):format(
        tostring(name), core.nearest(tostring(name), known))
    elseif not option[1](value) then
      return ("option '%s': %s expected, got %s"):format(
        name, option[2], got(value))
    end
  end
end

return options
