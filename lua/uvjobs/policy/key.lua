-- The key function of a policy that does something for each key.

local core = require "uvjobs.core"
local frame = require "uvjobs.policy.frame"

core.own_source()

local consult = frame.consult

local function refuse(fields, key)
  frame.blame(("the key function of the %s%s returned %s"):format(fields.kind,
    fields.name and (' "%s"'):format(fields.name) or "", key == nil and "nil" or "nan"))
end

--- Calls the option `key` of a policy with the arguments of a call.
---@param fields { kind: string, name?: string, key: fun(...: any): any }
---@return any key neither nil nor NaN, which no table can have
return function(fields, ...)
  local key = consult(fields.key, ...)
  if key == nil or key ~= key then refuse(fields, key) end
  return key
end
