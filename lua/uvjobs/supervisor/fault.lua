-- What becomes of a supervisor whose own rules fail, as they do when memory runs out: nobody knows
-- then what was begun and what was not, so it ends with that error, and its children are closed.

local core = require "uvjobs.core"
local child = require "uvjobs.supervisor.child"

core.own_source()

local UP <const>, OVER <const> = child.phases.UP, child.phases.OVER
local CLOSED <const> = child.phases.CLOSED

local fault = {}

local stop_all -- of rules.lua

--- Says how a supervisor is stopped.
---@param stop function stop_all() of rules.lua
function fault.use(stop)
  stop_all = stop
end

--- Ends a supervisor whose rules have failed, from whatever they have left. This asks for no
--- memory, but what it closes may do so. When that fails, too, all children are closed at once
--- instead of one after the other, and each of them that ends tries to go on.
---@param err any the error with which the supervisor ends, unless it has one
function fault.fail(self, err)
  local phase = self._phase
  if phase == OVER or phase == CLOSED then return end
  if self._failure ~= nil then err = self._failure end
  self._phase, self._walking, self._told = UP, false, false
  if not pcall(stop_all, self, err) then
    self._walking = false
    core.begin_close(self._inner)
  end
end

--- Calls a function of the rules; if it fails, the supervisor ends. Returns as pcall() does.
---@return boolean ok
---@return any err
function fault.attempt(self, fn, ...)
  local ok, err = pcall(fn, ...)
  if not ok then fault.fail(self, err) end
  return ok, err
end

--- Calls a function of the rules; if it fails, the supervisor ends, and the error is raised.
function fault.guard(self, fn, ...)
  local ok, err = fault.attempt(self, fn, ...)
  if not ok then error(err, 0) end
end

return fault
