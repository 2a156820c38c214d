-- Streams, servers and datagrams. What comes in is read while somebody waits for
-- it, and one piece more: then reading stops until that is taken.

local luv = require "luv"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local calls = require "uvjobs.uv.calls"
local handles = require "uvjobs.uv.handles"

core.own_source()

local STREAMS <const> = { "tcp", "pipe", "tty" }

-- A job that writes and never has to wait gives way after so many times.
local WRITES_IN_A_ROW <const> = 64

local enter, state_of = core.enter, handles.state

local function check(self, name, timeout)
  core.check_timeout(timeout, 1, name, 3)
  core.check_suspend(name, 3)
  return handles.manage(self)
end

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

-- Reads on, unless there is something to take. Returns true; or nil, a message
-- and a code.
local function read_on(self, state)
  local queue = state.queue or new_reader(self, state)
  if state.reading or #queue > 0 or queue.closed then return true end
  local ok, message, code = luv.read_start(self, state.on_read)
  if not ok then return nil, message, code end
  state.reading = true
  return true
end

local STREAM_TYPES <const> = { tcp = true, pipe = true, tty = true }

local function read(self, state, timeout)
  if not state.reading then
    local ok, message, code = read_on(self, state)
    if not ok then return nil, message, code end
  end
  local chunk, why = state.queue:get(timeout)
  if chunk then return chunk end
  return handles.why_not(state, why)
end

--- Suspends until some bytes have come, and returns them; nil at the end of the
--- stream.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return string|nil data
---@return string|nil reason "timeout", or a message
---@return string|nil code of the error
local function read_some(self, timeout)
  handles.check(self, "read_some", STREAM_TYPES, 2)
  return read(self, check(self, "read_some", timeout), timeout)
end

--- For a `for` loop: the pieces of the stream until its end. It raises the
--- message of an error.
local function chunks(self)
  handles.check(self, "chunks", STREAM_TYPES, 2)
  local state = handles.manage(self)
  return function()
    if enter "chunks" == nil then core.check_suspend("chunks", 2) end
    local chunk, message = read(self, state)
    if message then error(message, 2) end
    return chunk
  end
end

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
  error(("bad argument #1 to '%s' (string or list of strings expected, got %s)")
    :format(name, type(data) == "table" and "a table of other values"
      or core.typename(data)), 3)
end

-- Before a write: who never has to wait gives way now and then.
local function give_way(state, can_start)
  local writes = (state.writes or 0) + 1
  state.writes = writes
  if can_start and writes < WRITES_IN_A_ROW then return end
  state.writes = 0
  uvjobs.yield() -- raises if it cannot start
end

local luv_write, try_write = luv.write, luv.try_write

--- Suspends until all is written. What the system takes at once is written
--- without a request.
---@param data string|string[]
---@return true|nil, string|nil message, string|nil code
local function write(self, data, callback)
  local can_start = callback == nil and enter "write"
  if can_start == nil or callback ~= nil then
    return luv_write(self, data, calls.guard(callback))
  end
  local size = type(data) == "string" and #data or check_data(data, "write")
  local state = state_of(self)
  give_way(state, can_start)
  if size == 0 then return true end
  local n, message, code = try_write(self, data)
  if n == size then return true end
  if not n and code ~= "EAGAIN" then return nil, message, code end
  local partly = n ~= nil and n > 0
  if partly then
    if type(data) == "table" then data = table.concat(data) end
    data = data:sub(n + 1)
  end
  state.writes = 0
  return calls.run(WRITE, table.pack(self, data), partly)
end

-- ---- accepting -------------------------------------------------------------------

local NEW <const> = {
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

-- Another job may have been quicker: returns nil then.
local function accept_now(self)
  local client = NEW[luv.handle_get_type(self)]()
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
    if err then return calls.results(err) end
    local client, message, code = accept_now(self)
    if client or message then return client, message, code end
  end
end

local function check_server(self, name)
  handles.check(self, name, { tcp = true, pipe = true }, 3)
  if not handles.manage(self).incoming then
    error(("'%s' needs a server that listens: call listen(backlog) first")
      :format(name), 3)
  end
end

--- Suspends until a client has connected, and returns its stream; nil when the
--- server was closed. The system keeps those that nobody takes, up to the
--- backlog.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return userdata|nil client
---@return string|nil reason "timeout", or a message
---@return string|nil code of the error
local function next_client(self, timeout)
  check_server(self, "next")
  return next_connection(self, check(self, "next", timeout), timeout)
end

--- For a `for` loop: the clients that connect, until the server is closed. It
--- raises the message of an error.
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

--- Suspends until a datagram has come: returns its data, the address it came
--- from, and flags. Those that come while nobody waits are kept by the system, as
--- many as it likes.
---@param timeout? number seconds, >= 0; nil waits for ever
---@return string|nil data
---@return table|string|nil from `ip`, `port` and `family`; or "timeout", or a message
---@return table|string|nil flags `partial` when it was cut; or the code of an error
local function receive(self, timeout)
  handles.check(self, "receive", { udp = true }, 2)
  local state = check(self, "receive", timeout)
  if not state.queue then new_receiver(self, state) end
  if not state.reading and #state.queue == 0 and not state.queue.closed then
    local ok, message, code = luv.udp_recv_start(self, state.on_receive)
    if not ok then return nil, message, code end
    state.reading = true
  end
  local got, why = state.queue:get(timeout)
  if not got then return handles.why_not(state, why) end
  if got.err then return calls.results(got.err) end
  return got.data, got.from, got.flags
end

-- A datagram is sent whole or not at all: one that waits in the system when the
-- job leaves may still be sent, and the socket serves others.
local SEND <const> = { name = "send", fn = luv.udp_send, at = 5, abandon = function() end }

--- Suspends until the system has taken the datagram.
---@param data string|string[]
---@param host? string an address; nil, as the port, when the socket is connected
---@param port? integer
---@return true|nil, string|nil message, string|nil code
local function send(self, data, host, port, callback)
  local can_start = callback == nil and enter "send"
  if can_start == nil or callback ~= nil then
    return calls.call(1, luv.udp_send, self, data, host, port, calls.guard(callback))
  end
  check_data(data, "send")
  give_way(handles.manage(self), can_start)
  local n, message, code = calls.call(2, luv.udp_try_send, self, data, host, port)
  if n then return true end
  if code ~= "EAGAIN" then return nil, message, code end
  return calls.run(SEND, table.pack(self, data, host, port))
end

-- ---- closing ---------------------------------------------------------------------

local RESET <const> = {
  name = "close_reset", fn = luv.tcp_close_reset, at = 2, abandon = function() end,
}

--- Suspends until the connection was reset and the handle is closed.
---@return integer|nil, string|nil message, string|nil code
local function close_reset(self, callback)
  local state = handles.manage(self)
  local can_wait = callback == nil and enter "close_reset"
  if can_wait then
    local ok, message, code = calls.run(RESET, table.pack(self))
    if ok then handles.end_waits(state)() end
    return ok, message, code
  end
  local ok, message, code = calls.call(2, luv.tcp_close_reset, self, calls.guard(callback))
  if ok then handles.end_waits(state)() end
  return ok, message, code
end

-- ---- all of it ---------------------------------------------------------------------

-- With a callback of the user's own they are luv's.
local function guarded(fn)
  local original = luv[fn]
  return function(self, callback)
    return original(self, calls.guard(callback))
  end
end

return function(uv)
  local replace = handles.replace
  local function call(...) return calls.new(handles.call(...)) end
  handles.add(STREAMS, "read_some", read_some)
  handles.add(STREAMS, "chunks", chunks)
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
  replace(uv, { "tcp" }, "close_reset", "tcp_close_reset", close_reset)
  replace(uv, { "udp" }, "send", "udp_send", send)
  replace(uv, { "udp" }, "recv_start", "udp_recv_start", guarded "udp_recv_start")
end
