-- What sockets are polled for. A socket of cqueues knows what its last operation has waited
-- for, and forgets it at the next one: when a job waits to read, and another job writes to
-- the same socket before the controller begins to poll it, the socket would be polled for
-- nothing, and the first job would wait for ever. So it is noted when the job calls poll().

local socket_type = require "cqueues.socket".type
local core = require "uvjobs.core"

core.own_source()

local noted_events = {}

--- Returns what each of the sockets among the objects is polled for, by its place there.
---@param objects { [integer]: any, n: integer }
---@return table<integer, string>
function noted_events.of(objects)
  local noted = {}
  for i = 1, objects.n do
    if socket_type(objects[i]) == "socket" then noted[i] = objects[i]:events() end
  end
  return noted
end

--- Replaces those sockets that have forgotten it, by tables that cqueues polls for the same.
--- Must be called right before they are polled. Raises when one was closed meanwhile: cqueues
--- would raise in the middle of a step.
---@param objects { [integer]: any, n: integer }
---@param noted table<integer, string>
---@return table<table, userdata>? sockets by the tables that have their places; nil when
---  there are none, which is nearly always so
function noted_events.restore(objects, noted)
  local sockets
  for i, events in pairs(noted) do
    local socket = objects[i]
    if socket_type(socket) ~= "socket" then
      error(("cannot poll %s: socket closed"):format(core.typename(socket)), 0)
    elseif socket:events() ~= events then
      objects[i] = { pollfd = socket:pollfd(), events = events, timeout = socket:timeout() }
      sockets = sockets or {}
      sockets[objects[i]] = socket
    end
  end
  return sockets
end

--- Returns the objects that are ready, with the sockets themselves.
---@param sockets table<table, userdata>? what restore() has returned
function noted_events.originals(sockets, ...)
  if not sockets then return ... end
  local ready = table.pack(...)
  for i = 1, ready.n do ready[i] = sockets[ready[i]] or ready[i] end
  return table.unpack(ready, 1, ready.n)
end

return noted_events
