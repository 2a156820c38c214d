-- Functions on their way to another Lua state: their code is copied, and nothing else.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"

core.own_source()

local fn = {}

local codes <const> = setmetatable({}, { __mode = "k" })

--- Why a function cannot be copied, or nil.
---@param value function
---@return string? problem
function fn.problem(value)
  if codes[value] then return nil end
  if debug.getinfo(value, "S").what == "C" then return "Lua function expected, got a C function" end
  for i = 1, math.huge do
    local name = debug.getupvalue(value, i)
    if not name then return nil end
    if name ~= "_ENV" then
      return ("function without upvalues expected, got one that uses '%s'"):format(name)
    end
  end
end

--- The code of a function that can be copied. It is kept as long as the function is.
---@param value function
---@return string
function fn.code(value)
  local code = codes[value]
  if not code then
    code = string.dump(value)
    codes[value] = code
  end
  return code
end

--- Raises unless the argument is a function that can be copied.
---@param level integer whom the error blames, counted as for error()
function fn.check(level, n, name, value)
  arguments.check_function(level + 1, n, name, value)
  local problem = fn.problem(value)
  if problem then arguments.fail(level + 1, n, name, problem) end
end

return fn
