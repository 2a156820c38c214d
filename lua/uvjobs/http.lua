--- Web requests as jobs: `require "uvjobs.http"`, for servers of lua-http. What it
--- does is in docs/http.md.
local cqueues = require "uvjobs.cqueues"
local condition = require "cqueues.condition"
local ce = require "cqueues.errno"
local socket_type = require "cqueues.socket".type
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"

core.own_source()

-- ---- finding lua-http --------------------------------------------------------------

-- Debian has it, and what it needs, below the paths of older releases of Lua only.
-- They are pure Lua, and run on 5.4.
local DEBIAN_PATH <const> = "/usr/share/lua/5.3/?.lua;/usr/share/lua/5.3/?/init.lua;" ..
  "/usr/share/lua/5.2/?.lua;/usr/share/lua/5.2/?/init.lua"
local DEBIAN_MODULES <const> = {
  http = true, lpeg_patterns = true, fifo = true, binaryheap = true, basexx = true,
  compat53 = true,
}

local function search_debian(name)
  if not DEBIAN_MODULES[name:match "^[^.]+"] then return nil end
  local path, message = package.searchpath(name, DEBIAN_PATH)
  if not path then return message end
  return assert(loadfile(path)), path
end

if not package.searchpath("http.server", package.path) then
  table.insert(package.searchers, search_debian)
end

local new_headers = require "http.headers".new

-- ---- what is known of a server --------------------------------------------------------

---@class uvjobs.http.State
---@field server table
---@field scheduler userdata
---@field owns_scheduler boolean
---@field requests table<uvjobs.http.Request, true> that are being worked on
---@field cancel_on_disconnect boolean
---@field retry_after string
---@field sockets table<userdata, true> those of the connections
---@field changed table a condition: something for serve() to look at
---@field closing boolean no more requests are taken
---@field serving boolean serve() runs

---@class uvjobs.http.Request
---@field state uvjobs.http.State
---@field stream table
---@field job? userdata
---@field started boolean the job has run
---@field returned boolean the handler has, without an error
---@field atomic boolean it is not cancelled when the client goes away
---@field gone boolean the client has
---@field own_reset boolean we have reset the stream ourselves
---@field answered boolean HTTP/2: the headers of a response were sent

local WEAK <const> = { __mode = "k" }

local states = setmetatable({}, WEAK)         -- by server
local states_by_socket = setmetatable({}, WEAK)
local requests = setmetatable({}, WEAK)       -- by stream
local live = setmetatable({}, WEAK)           -- by connection: a set of requests

local REFUSAL_TIME <const> = 1 -- seconds that a refused request gets to be read
local ERROR_TIME <const> = 1   -- ... and the answer to one that failed
local SETUP_TIME <const> = 0.5 -- ... and a connection without any, at the end

local function live_of(connection)
  local set = live[connection]
  if not set then
    set = {}
    live[connection] = set
  end
  return set
end

-- ---- the client goes away ------------------------------------------------------------

local drop

-- When the server stops, the connection's coroutine has to see that it is idle.
local function forget(request)
  local state, connection = request.state, request.stream.connection
  local busy, socket = live_of(connection), connection.socket
  busy[request] = nil
  state.requests[request] = nil
  state.changed:signal()
  if state.closing and next(busy) == nil and socket_type(socket) == "socket" then
    cqueues.cancel(socket:pollfd())
  end
end

-- One whose job never ran has nobody else to end it.
local function drop_unstarted(request)
  if request.started or not request.job.closed then return end
  forget(request)
  drop(request)
end

local function client_gone(request)
  if request.gone then return end
  request.gone = true
  if request.state.cancel_on_disconnect and not request.atomic then
    request.job:cancel()
    drop_unstarted(request)
  end
end

local function connection_gone(connection)
  local gone = {}
  for request in pairs(live_of(connection)) do gone[#gone + 1] = request end
  for _, request in ipairs(gone) do client_gone(request) end
end

-- HTTP/2: a stream that the client has reset, and whether a response has begun.
local function watch_stream(request)
  local stream = request.stream
  local set_state, rst_stream = stream.set_state, stream.rst_stream
  local write_headers = stream.write_headers
  if not rst_stream then return end
  function stream:write_headers(headers, ...)
    local status = headers:get ":status"
    if status and not status:find "^1" then request.answered = true end
    return write_headers(self, headers, ...)
  end
  function stream:rst_stream(...)
    request.own_reset = true
    return rst_stream(self, ...)
  end
  function stream:set_state(state)
    local result = set_state(self, state)
    if state == "closed" and self.rst_stream_error and not request.own_reset then
      client_gone(request)
    end
    return result
  end
end

-- lua-http's server asks each connection for its next request, and gives up after
-- a time without one, also when others are still being worked on: then nobody reads
-- from the connection any more. Ours goes on asking; and so it sees when the client
-- has gone. For some malformed frames of HTTP/2 lua-http raises: the connection's
-- coroutine would end, and nobody would close it.
local function watch_connections(module)
  local methods = require(module).methods
  local original = methods.get_next_incoming_stream
  methods.get_next_incoming_stream = function(self, timeout)
    local state = states_by_socket[self.socket or false]
    if not state then return original(self, timeout) end
    local busy = live_of(self)
    while true do
      if state.closing and next(busy) == nil then timeout = 0 end
      local ok, stream, err, errno = pcall(original, self, timeout)
      if not ok then stream, err, errno = nil, stream, nil end
      if stream then return stream end
      if errno ~= ce.ETIMEDOUT then
        -- A handler that has taken the socket, for a WebSocket, looks after it.
        if self.socket then connection_gone(self) end
        return nil, err, errno
      elseif next(busy) == nil then
        if state.closing then return nil end
        return nil, err, errno
      end
    end
  end
end

-- ---- one request -----------------------------------------------------------------------

-- HTTP/1: the headers say nothing sensible about the body.
local function has_no_sense(stream)
  return not stream.rst_stream and stream.has_main_headers and
    stream.body_read_type == nil and
    (stream.state == "open" or stream.state == "half closed (local)")
end

-- lua-http steps a stream of HTTP/1 until its body was read. Where the body has no end,
-- or the client has left in the middle of it, it would do so for ever, without
-- waiting. A step that changes nothing is the last.
local h1_step = require "http.h1_stream".methods.step

local function guarded_step(stream, timeout)
  local state, count = stream.state, stream.stats_recv
  local headers, chunks = stream.headers_fifo:length(), stream.chunk_fifo:length()
  local ok, err, errno = h1_step(stream, timeout)
  if ok and stream.state == state and stream.stats_recv == count and
    stream.headers_fifo:length() == headers and stream.chunk_fifo:length() == chunks then
    return nil, ce.strerror(ce.EPIPE), ce.EPIPE
  end
  return ok, err, errno
end

local function can_answer(stream)
  if stream.state == "closed" or stream.state == "half closed (local)" then
    return false
  end
  return stream.body_write_type == nil -- HTTP/1
    and not requests[stream].answered
end

-- A request of HTTP/1 that nobody can make sense of: it is the client's fault.
local function is_malformed(stream)
  local connection = stream.connection
  return has_no_sense(stream) or (not stream.rst_stream and
    socket_type(connection.socket) == "socket" and connection:error "r" == ce.EILSEQ)
end

-- Sends a status, and nothing else. The request has to be read first.
local function answer(stream, status, seconds, retry_after)
  if stream.state == "idle" and not stream:get_headers(seconds) then
    if stream.state == "idle" then return end
    status = "400"
  elseif is_malformed(stream) then
    status = "400"
  end
  if not can_answer(stream) then return end
  local headers = new_headers()
  headers:append(":status", status)
  headers:append("content-length", "0")
  if retry_after then headers:append("retry-after", retry_after) end
  stream:write_headers(headers, true, seconds)
end

-- A stream that cannot be told anything any more has ended all the same: the
-- connection waits for it.
local function end_stream(stream)
  if stream.rst_stream and (stream.state == "open" or stream.state == "half closed (remote)") then
    -- shutdown() would say NO_ERROR, as if the response were whole.
    pcall(stream.rst_stream, stream, "the handler did not finish", 0)
  end
  pcall(stream.shutdown, stream)
  if stream.state ~= "closed" then pcall(stream.set_state, stream, "closed") end
end

-- Ends the connection, or with HTTP/2 the stream, with what was not sent yet. What
-- lua-http has to wait for it does in a coroutine of its own.
function drop(request)
  local stream = request.stream
  local connection = stream.connection
  local socket = connection.socket
  if stream.state ~= "closed" and not stream.rst_stream and
    socket_type(socket) == "socket" then
    socket:shutdown()
  end
  local cq = request.state.server.cq
  if cq then cq:wrap(end_stream, stream) end
end

-- However the handler has ended.
local Finish = {}

function Finish.__close(request, err)
  local stream = request.stream
  local job = uvjobs.current()
  forget(request)
  if request.returned and core.can_suspend() and not core.interrupted() then
    if not pcall(stream.shutdown, stream) then drop(request) end
  elseif not request.returned and uvjobs.code(err) ~= "killed" and not request.gone and
    not (uvjobs.code(err) == "cancelled" and err.job == job) and
    core.can_suspend() and can_answer(stream) then
    pcall(uvjobs.protect, answer, stream, "500", ERROR_TIME)
    drop(request)
  else
    drop(request)
  end
end

Finish.__index = Finish

local function handle(request)
  local _ <close> = request
  local state = request.state
  request.started = true
  state.server.onstream(state.server, request.stream)
  request.returned = true
end

local function refuse(state, stream)
  pcall(answer, stream, "503", REFUSAL_TIME, state.retry_after)
  pcall(stream.shutdown, stream)
end

local function add_stream(server, stream)
  local state = states[server]
  local request = setmetatable({ state = state, stream = stream }, Finish)
  requests[stream] = request
  if not stream.rst_stream then stream.step = guarded_step end
  local job = state.scheduler:try_spawn({ name = "request" }, handle, request)
  if not job then return refuse(state, stream) end
  request.job = job
  live_of(stream.connection)[request] = true
  state.requests[request] = true
  watch_stream(request)
  return true
end

-- ---- a server ----------------------------------------------------------------------------

local function add_socket(server, socket)
  local state = states[server]
  state.sockets[socket] = true
  states_by_socket[socket] = state
  return state.add_socket(server, socket)
end

local function report(state, message, err)
  state.scheduler:call_exception_handler { message = message, exception = err }
end

-- Errors of single connections must not end the server.
local function wrap_onerror(state)
  local user = rawget(state.server, "onerror_")
  state.server.onerror_ = function(server, context, op, err, errno)
    if user then
      local ok, failure = pcall(user, server, context, op, err, errno)
      if not ok then report(state, "HTTP error handler failed", failure) end
    else
      report(state, "HTTP connection failed",
        err and ("%s: %s"):format(op, tostring(err)) or op)
    end
  end
end

local OPTIONS <const> = {
  scheduler = "uvjobs.Scheduler", cancel_on_disconnect = "boolean", retry_after = "number",
}

local function bad(name, n, message)
  error(("bad argument #%d to '%s' (%s)"):format(n, name, message), 3)
end

local function is_server(value)
  return type(value) == "table" and type(value.add_stream) == "function" and
    type(value.add_socket) == "function"
end

-- Ours, and those for a new scheduler.
local function split_options(opts)
  local ours, rest = {}, {}
  for name, value in pairs(opts) do
    if OPTIONS[name] then ours[name] = value else rest[name] = value end
  end
  return ours, rest
end

-- What is wrong with its options is the fault of who calls setup().
local function new_scheduler(opts)
  local ok, scheduler = pcall(uvjobs.scheduler, opts)
  if ok then return scheduler end
  error((scheduler:gsub("^.-bad argument #1 to 'scheduler'", "bad argument #2 to 'setup'")), 3)
end

local http = {}

local close_server

--- Makes a job of every request to `server`, which is what `http.server.listen` or
--- `new` has returned. Does not suspend.
---@param server table
---@param opts? table options of uvjobs.scheduler, or `scheduler`; and our own
---@return userdata scheduler
function http.setup(server, opts)
  if not is_server(server) then
    bad("setup", 1, "server of lua-http expected, got " .. core.typename(server))
  elseif opts ~= nil and type(opts) ~= "table" then
    bad("setup", 2, "table expected, got " .. core.typename(opts))
  elseif states[server] then
    bad("setup", 1, "the server has been set up already")
  end
  local ours, rest = split_options(opts or {})
  local retry_after = ours.retry_after or 1
  for name, value in pairs(ours) do
    if core.typename(value) ~= OPTIONS[name] then
      bad("setup", 2, ("option '%s': %s expected, got %s"):format(
        name, OPTIONS[name], core.typename(value)))
    end
  end
  if not (retry_after >= 0 and retry_after < math.huge) then
    bad("setup", 2, ("option 'retry_after': seconds >= 0 expected, got %s"):format(
      retry_after))
  elseif ours.scheduler and next(rest) ~= nil then
    bad("setup", 2, ("option '%s' is for a new scheduler, and 'scheduler' is given")
      :format(tostring((next(rest)))))
  end
  local state = {
    server = server,
    scheduler = ours.scheduler or new_scheduler(rest),
    owns_scheduler = ours.scheduler == nil,
    requests = {},
    cancel_on_disconnect = ours.cancel_on_disconnect ~= false,
    retry_after = ("%.0f"):format(math.ceil(retry_after)),
    sockets = setmetatable({}, WEAK),
    changed = condition.new(),
    closing = false,
    serving = false,
    add_socket = server.add_socket,
  }
  states[server] = state
  wrap_onerror(state)
  server.add_stream, server.add_socket, server.close = add_stream, add_socket, close_server
  return state.scheduler
end

-- ---- serving -----------------------------------------------------------------------------

local step = core.cqueues_step

-- Runs what is ready of the server. Errors end a coroutine of lua-http, not more.
local function run(state)
  local cq = state.server.cq
  while cq do
    local ok, message, _, _ = step(cq, 0)
    if ok then return end
    report(state, "HTTP connection failed", message)
    cq = state.server.cq
  end
end

-- The sockets that are still open. Those that lua-http has closed are forgotten.
local function open_sockets(state)
  local list = {}
  for socket in pairs(state.sockets) do
    if socket_type(socket) == "socket" then
      list[#list + 1] = socket
    else
      state.sockets[socket] = nil
    end
  end
  return list
end

local function stop_accepting(state)
  local server = state.server
  state.closing = true
  if server.socket then
    server.socket:close()
    server.socket = nil
  end
  server.pause_cond:signal()
  -- Connections that wait for a request look again.
  for _, socket in ipairs(open_sockets(state)) do
    cqueues.cancel(socket:pollfd())
  end
end

-- Those that have not sent anything when the server stops.
local function cut_silent(state)
  for _, socket in ipairs(open_sockets(state)) do
    if socket:stat().rcvd.count == 0 then socket:shutdown() end
  end
end

local function cut_all(state)
  for _, socket in ipairs(open_sockets(state)) do socket:close() end
end

-- Runs the server until `is_done`, or until the time has come.
local function run_until(state, is_done, due)
  while state.server.cq and not is_done() do
    local left = due and due - uvjobs.now()
    if left and left <= 0 then return end
    cqueues.poll(state.server.cq, state.changed, left)
    run(state)
  end
end

-- Lets requests finish. Returns until when there is time for that.
local function drain(state)
  local server, scheduler = state.server, state.scheduler
  local due = uvjobs.now() + scheduler.wait_timeout
  local function is_empty() return server.n_connections <= 0 end
  stop_accepting(state)
  run_until(state, is_empty, math.min(due, uvjobs.now() + SETUP_TIME))
  cut_silent(state)
  run_until(state, is_empty, due)
  return due
end

-- Only those of this server, when others share its scheduler.
local function cancel_requests(state)
  local jobs = {}
  for request in pairs(state.requests) do jobs[#jobs + 1] = request.job end
  for _, job in ipairs(jobs) do job:cancel() end
  for _, job in ipairs(jobs) do pcall(job.close, job) end
end

local function stop(state)
  local due = drain(state)
  if state.owns_scheduler then
    state.scheduler:wait_and_close(math.max(0, due - uvjobs.now()))
  else
    cancel_requests(state)
  end
  local left = {}
  for request in pairs(state.requests) do left[#left + 1] = request end
  for _, request in ipairs(left) do drop_unstarted(request) end
  run(state)
end

-- What lua-http's own close() does, without waiting.
local function close_all(state)
  local server = state.server
  cut_all(state)
  state.serving = false
  server.cq = nil
  if server.socket then
    server.socket:close()
    server.socket = nil
  end
  server.pause_cond:signal()
  server.connection_done:signal()
end

--- Stops the server: serve() ends, or, where nobody serves, everything is closed now.
function close_server(server)
  local state = states[server]
  if state.serving then
    state.closing = true
    state.changed:signal()
    return true
  end
  stop_accepting(state)
  if core.can_suspend() and state.owns_scheduler then
    state.scheduler:wait_and_close()
  end
  close_all(state)
  return true
end

--- Runs the server in the current job: until it is closed, or the job is cancelled.
--- Then it stops accepting, lets the requests finish for the scheduler's
--- `wait_timeout`, and cancels them. Suspends.
---@param server table that was set up
function http.serve(server)
  local state = states[server]
  if not state then
    bad("serve", 1, is_server(server) and "the server has not been set up" or
      "server of lua-http expected, got " .. core.typename(server))
  elseif state.serving then
    bad("serve", 1, "the server is being served already")
  end
  core.check_suspend("serve", 2)
  state.serving = true
  local _ <close> = setmetatable({}, { __close = function()
    local _ <close> = setmetatable({}, { __close = function() close_all(state) end })
    if core.can_suspend() then
      uvjobs.protect(stop, state)
    end
  end })
  run_until(state, function() return state.closing end)
end

-- ---- jobs of a request ----------------------------------------------------------------

--- The scheduler of the server, or nil. Does not suspend.
function http.get_scheduler_from_server(server)
  local state = states[server]
  return state and state.scheduler
end

--- The scheduler of the server that the stream came to, or nil. Does not suspend.
function http.get_scheduler_from_stream(stream)
  local request = requests[stream]
  return request and request.state.scheduler
end

--- The same; raises when there is none.
function http.get_scheduler(stream)
  local scheduler = http.get_scheduler_from_stream(stream)
  if scheduler then return scheduler end
  error("the stream belongs to no server that was set up by uvjobs.http", 2)
end

--- A job on the scheduler of the stream's server, see scheduler:spawn. It goes on when
--- the client goes away.
function http.spawn(stream, ...)
  return http.get_scheduler(stream):spawn(...)
end

--- See scheduler:shield.
function http.shield(stream, ...)
  return http.get_scheduler(stream):shield(...)
end

--- A handler that runs to its end when the client goes away.
---@param handler fun(server: table, stream: table, ...: any): ...: any
function http.atomic(handler)
  if type(handler) ~= "function" then
    bad("atomic", 1, "function expected, got " .. core.typename(handler))
  end
  return function(server, stream, ...)
    local request = requests[stream]
    if not request then return handler(server, stream, ...) end
    local before = request.atomic
    local _ <close> = setmetatable({}, { __close = function()
      request.atomic = before
    end })
    request.atomic = true
    return handler(server, stream, ...)
  end
end

watch_connections "http.h1_connection"
watch_connections "http.h2_connection"

return http
