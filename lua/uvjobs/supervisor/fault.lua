-- What becomes of a supervisor whose own rules fail, as they do when memory runs out: nobody knows
-- then what was begun and what was not, so it ends with that error, and its children are closed.

local core = require "uvjobs.core"
local child = require "uvjobs.supervisor.child"

core.own_source()

local UP <const>, OVER <const> = child.phases.UP, child.phases.OVER
local CLOSED <const> = child.phases.CLOSED

local fault = {}

-- All supervisors.
local supervisors <const> = setmetatable({}, { __mode = "k" })

local NO_MEMORY <const> = "not enough memory" -- as Lua says it

local stop_all, finish -- of rules.lua

--- Says how a supervisor is stopped.
---@param stop function stop_all() of rules.lua
---@param end_it function what that does at last; it may be called again
function fault.use(stop, end_it)
  stop_all, finish = stop, end_it
end

--- Makes the fields of a supervisor that are about this.
function fault.init(self)
  self._is_faulty = false -- its rules have failed, and it could not be ended yet; also set by C
  self._fault = NO_MEMORY -- with this error
  supervisors[self] = true
end

--- Whether a value is a supervisor.
---@param value any
---@return boolean
function fault.is_supervisor(value)
  return supervisors[value] ~= nil
end

-- Ends a supervisor, from whatever its rules have left.
local function stop(self)
  if self._phase == OVER or self._phase == CLOSED then return finish(self) end
  local err = self._failure
  if err == nil then err = self._fault end
  self._phase, self._walking, self._told = UP, false, false
  stop_all(self, err)
end

--- Ends a supervisor whose rules have failed. This asks for no memory, but what it closes may do
--- so. When that fails, too, it is tried again, before the loop waits the next time.
---@param err any the error with which the supervisor ends, unless it has one
function fault.fail(self, err)
  if not self._is_faulty then self._is_faulty, self._fault = true, err end
  core.note_fault()
  if pcall(stop, self) then self._is_faulty = false end
end

local function next_faulty()
  for self in next, supervisors do
    if self._is_faulty then return self end
  end
end

--- Ends those supervisors that could not be ended when their rules failed. When it fails for one of
--- them, the children of that one are closed at once instead of one after the other, and the error
--- says that this is to be called again.
function fault.retry()
  local self = next_faulty()
  while self do
    local ok, err = pcall(stop, self)
    if not ok then
      self._walking = false
      core.begin_close(self._inner)
      error(err, 0)
    end
    self._is_faulty = false
    self = next_faulty()
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
