-- Streams, servers and datagrams. luv reads while a job waits; when it has read one piece
-- that nobody waits for, it stops reading until a job takes that piece.

local luv = require "luv"
local core = require "uvjobs.core"
local arguments = require "uvjobs.arguments"
local calls = require "uvjobs.uv.calls"
local errors = require "uvjobs.uv.errors"
local handles = require "uvjobs.uv.handles"
local reading = require "uvjobs.uv.reading"

core.own_source()

local uvjobs = core.public

local STREAMS <const> = { "tcp", "pipe", "tty" }
local IS_STREAM <const> = { tcp = true, pipe = true, tty = true }
local IS_SERVER <const> = { tcp = true, pipe = true }
local IS_UDP <const> = { udp = true }

-- A job yields after so many writes that did not have to wait, or others would starve.
local WRITES_IN_A_ROW <const> = 64

local enter, state_of = core.enter, handles.state

local function ignore() end

-- ---- reading ---------------------------------------------------------------------

local function new_reader(self, state)
  local queue = uvjobs.queue()
  state.queue = queue
  state.on_read = function(err, chunk)
    if not chunk then return handles.finish(state, err) end
    queue:try_put(chunk)
    if #queue > 0 then
      state.reading = false
      luv.read_stop(self)
    end
  end
  return queue
end

-- Makes luv read, unless there is something to take. Returns true; or nil, a message and
-- a code.
local function start_reading(self, state)
  local queue = state.queue or new_reader(self, state)
  if state.reading or #queue > 0 or queue.closed then return true end
  local ok, message, code = luv.read_start(self, state.on_read)
  if not ok then return nil, message, code end
  state.reading = true
  return true
end

local function read(self, state, timeout)
  if not state.reading then
    local ok, message, code = start_reading(self, state)
    if not ok then return nil, message, code end
  end
  local chunk, reason = state.queue:get(timeout)
  if chunk then return chunk end
  return handles.results_without_value(state, reason)
end

local reads = reading.methods(read, function(level, self, name, timeout, n)
  return handles.check_wait(level + 1, self, name, IS_STREAM, timeout, n)
end, function(level, self, name)
  handles.check_type(level + 1, self, name, IS_STREAM)
  return handles.manage(self)
end)

-- ---- writing ---------------------------------------------------------------------

local WRITE <const> = handles.call("write", "write", 3)

local function size_of(data)
  if type(data) == "string" then return #data end
  if type(data) ~= "table" then return nil end
  local size = 0
  for i = 1, #data do
    if type(data[i]) ~= "string" then return nil end
    size = size + #data[i]
  end
  return size
end

local function check_data(data, name)
  local size = size_of(data)
  if size then return size end
  if type(data) == "table" then
    arguments.fail(3, 1, name, "string or list of strings expected, got a table of other values")
  end
  arguments.fail(3, 1, name, arguments.unexpected("string or list of strings", data))
end

-- Called before each write: yields when it is time for other jobs, and in a job that is to
-- end, where yielding raises.
local function yield_sometimes(state, may_start)
  local writes = (state.writes or 0) + 1
  state.writes = writes
  if may_start and writes < WRITES_IN_A_ROW then return end
  state.writes = 0
  uvjobs.yield()
end

local luv_write, try_write = luv.write, luv.try_write

--- Suspends until the system has taken all the data. With a callback, and outside of jobs,
--- it does what luv's does.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
---@param data string|string[]
---@return true|nil written
---@return string|nil message
---@return string|nil code
local function write(self, data, callback)
  local may_start = callback == nil and enter "write"
  if may_start == nil or callback ~= nil then
    return luv_write(self, data, calls.guard(callback))
  end
  local size = type(data) == "string" and #data or check_data(data, "write")
  local state = state_of(self)
  yield_sometimes(state, may_start)
  if size == 0 then return true end
  local n, message, code = try_write(self, data)
  if n == size then return true end
  if not n and code ~= "EAGAIN" then return nil, message, code end
  local partly_done = n ~= nil and n > 0
  if partly_done then
    if type(data) == "table" then data = table.concat(data) end
    data = data:sub(n + 1)
  end
  state.writes = 0
  return calls.run(WRITE, table.pack(self, data), partly_done)
end

-- ---- accepting -------------------------------------------------------------------

local NEW_CLIENT <const> = {
  tcp = luv.new_tcp,
  pipe = function() return luv.new_pipe(false) end,
}

local function listen(self, backlog, callback)
  if callback ~= nil then return luv.listen(self, backlog, calls.guard(callback)) end
  local state = handles.manage(self)
  local incoming = uvjobs.event()
  local ok, message, code = calls.call(2, luv.listen, self, backlog, function(err)
    state.accept_error = err
    incoming:set()
  end)
  if not ok then return nil, message, code end
  state.incoming = incoming
  state.wake = function() incoming:set() end
  return ok
end

-- Returns a client; nil when there is none, because another job was quicker; or nil, a
-- message and a code.
local function accept_now(self)
  local client = NEW_CLIENT[luv.handle_get_type(self)]()
  local ok, message, code = luv.accept(self, client)
  if ok then return handles.managed(client) end
  luv.close(client)
  if code == "EAGAIN" then return nil end
  return nil, message, code
end

local function next_connection(self, state, timeout)
  local due = timeout and uvjobs.now() + timeout
  while true do
    if not state.incoming:wait(due and math.max(0, due - uvjobs.now())) then
      return nil, "timeout"
    elseif state.closed then
      return nil
    end
    state.incoming:clear()
    local err = state.accept_error
    state.accept_error = nil
    if err then return errors.results_of(err) end
    local client, message, code = accept_now(self)
    if client or message then return client, message, code end
  end
end

-- Blames the caller of the method.
local function check_server(self, name)
  handles.check_type(3, self, name, IS_SERVER)
  if not handles.manage(self).incoming then
    error(("'%s' needs a server that listens: call listen(backlog) first")
      :format(name), 3)
  end
end

--- Suspends until a client has connected, and returns its stream; nil when the server was
--- closed. Clients that nobody takes wait in the system, as many as the backlog says.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return userdata|nil client
---@return string|nil reason "timeout", or a message
---@return string|nil code of the error
local function next_client(self, timeout)
  check_server(self, "next")
  local state = handles.check_wait(2, self, "next", IS_SERVER, timeout)
  return next_connection(self, state, timeout)
end

--- Iterates over the clients that connect, until the server is closed; each step suspends.
--- Errors: misuse; an error of the server, as its message; `cancelled`, `timeout` and
--- `killed` of the current job.
---@return fun(): userdata?
local function connections(self)
  check_server(self, "connections")
  return function()
    core.check_suspend("connections", 2)
    local client, message = next_connection(self, handles.manage(self))
    if message then error(message, 2) end
    return client
  end
end

-- ---- datagrams -------------------------------------------------------------------

local function new_receiver(self, state)
  local queue = uvjobs.queue()
  state.queue = queue
  state.on_receive = function(err, data, from, flags)
    if err then
      queue:try_put { err = err }
    elseif data and from then
      queue:try_put { data = data, from = from, flags = flags }
    end
    if #queue > 0 then
      state.reading = false
      luv.udp_recv_stop(self)
    end
  end
end

--- Suspends until a datagram has come, and returns its data, its sender's address, and
--- flags. Datagrams that come while nobody waits are kept by the system, which drops those
--- for which it has no room.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return string|nil data
---@return table|string|nil from `ip`, `port` and `family`; or "timeout", or a message
---@return table|string|nil flags `partial` when it was cut; or the code of an error
local function receive(self, timeout)
  local state = handles.check_wait(2, self, "receive", IS_UDP, timeout)
  if not state.queue then new_receiver(self, state) end
  if not state.reading and #state.queue == 0 and not state.queue.closed then
    local ok, message, code = luv.udp_recv_start(self, state.on_receive)
    if not ok then return nil, message, code end
    state.reading = true
  end
  local datagram, reason = state.queue:get(timeout)
  if not datagram then return handles.results_without_value(state, reason) end
  if datagram.err then return errors.results_of(datagram.err) end
  return datagram.data, datagram.from, datagram.flags
end

-- A datagram is sent whole or not at all. When the job leaves early the datagram may still
-- be sent, and the socket stays open for other jobs.
local SEND <const> = { name = "send", fn = luv.udp_send, at = 5, abandon = ignore }

--- Suspends until the system has taken the datagram. With a callback, and outside of jobs,
--- it does what luv's does.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
---@param data string|string[]
---@param host? string an address; nil, as the port, when the socket is connected
---@param port? integer
---@return true|nil sent
---@return string|nil message
---@return string|nil code
local function send(self, data, host, port, callback)
  local may_start = callback == nil and enter "send"
  if may_start == nil or callback ~= nil then
    return calls.call(1, luv.udp_send, self, data, host, port, calls.guard(callback))
  end
  check_data(data, "send")
  yield_sometimes(handles.manage(self), may_start)
  local n, message, code = calls.call(2, luv.udp_try_send, self, data, host, port)
  if n then return true end
  if code ~= "EAGAIN" then return nil, message, code end
  return calls.run(SEND, table.pack(self, data, host, port))
end

-- ---- closing ---------------------------------------------------------------------

local RESET <const> = {
  name = "close_reset", fn = luv.tcp_close_reset, at = 2, abandon = ignore,
}

--- Suspends until the connection was reset and the handle is closed. With a callback, and
--- outside of jobs, it does what luv's does.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
---@return integer|nil done
---@return string|nil message
---@return string|nil code
local function close_reset(self, callback)
  local state = handles.manage(self)
  local can_wait = callback == nil and enter "close_reset"
  local ok, message, code
  if can_wait then
    ok, message, code = calls.run(RESET, table.pack(self))
  else
    ok, message, code = calls.call(2, luv.tcp_close_reset, self, calls.guard(callback))
  end
  if ok then handles.end_waits(state)() end
  return ok, message, code
end

-- ---- all of it ---------------------------------------------------------------------

-- Returns a function of luv's whose callback is guarded, and may be nil.
local function guarded(fn)
  local original = luv[fn]
  return function(self, callback)
    return original(self, calls.guard(callback))
  end
end

return function(uv)
  local replace = handles.replace
  local function call(...) return calls.new(handles.call(...)) end
  for name, method in pairs(reads) do handles.add(STREAMS, name, method) end
  handles.add({ "tcp", "pipe" }, "next", next_client)
  handles.add({ "tcp", "pipe" }, "connections", connections)
  handles.add({ "udp" }, "receive", receive)
  replace(uv, STREAMS, "write", "write", write)
  replace(uv, STREAMS, "write2", "write2", call("write2", "write2", 4))
  replace(uv, STREAMS, "shutdown", "shutdown", call("shutdown", "shutdown", 2))
  replace(uv, STREAMS, "listen", "listen", listen)
  replace(uv, STREAMS, "read_start", "read_start", guarded "read_start")
  replace(uv, { "tcp" }, "connect", "tcp_connect", call("connect", "tcp_connect", 4))
  replace(uv, { "pipe" }, "connect", "pipe_connect", call("connect", "pipe_connect", 3))
  if luv.pipe_connect2 then -- since luv 1.46
    replace(uv, { "pipe" }, "connect2", "pipe_connect2", call("connect2", "pipe_connect2", 4))
  end
  replace(uv, { "tcp" }, "close_reset", "tcp_close_reset", close_reset)
  replace(uv, { "udp" }, "send", "udp_send", send)
  replace(uv, { "udp" }, "recv_start", "udp_recv_start", guarded "udp_recv_start")
end
