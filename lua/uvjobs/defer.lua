local core = require "uvjobs.core"

core.own_source()

--- For a to-be-closed variable: `fn` is called when the block is left, however it is.
---@param fn fun(deferred: table, err: any) gets the error by which the block is left
---@return table deferred
return function(fn)
  return setmetatable({}, { __close = fn })
end
