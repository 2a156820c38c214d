-- Serving, stopping and closing a server that was set up.

local cqueues = require "uvjobs.cqueues"
local defer = require "uvjobs.defer"
local disconnect = require "uvjobs.http.disconnect"
local records = require "uvjobs.http.records"
local response = require "uvjobs.http.response"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"

core.own_source()

-- Seconds that a connection gets to send the head of a request when the server stops.
local HEAD_TIME <const> = 0.5

local servers = {}

-- ---- what lua-http's server calls ----------------------------------------------------

-- The end of a connection whose coroutine has raised. lua-http would leave it open. It
-- raises where a server that stops has closed the socket meanwhile.
local function end_connection(record, socket, message)
  local server, is_open = record.server, records.is_open(socket)
  if is_open then socket:close() end
  server.n_connections = server.n_connections - 1
  server.connection_done:signal(1)
  if is_open or not record.closing then
    records.report(record, "HTTP connection failed", message)
  end
end

-- Stands for the server while lua-http's add_socket() wraps its coroutine, which is then
-- called where its errors can be caught.
local function new_stand_in(record)
  local controller = {}
  function controller.wrap(_, handle_socket, _, socket)
    record.server.cq:wrap(function()
      local ok, message = pcall(handle_socket, record.server, socket)
      if not ok then end_connection(record, socket, message) end
    end)
  end
  return setmetatable({}, {
    __index = function(_, key)
      if key == "cq" then return controller end
      return record.server[key]
    end,
    __newindex = function(_, key, value) record.server[key] = value end,
  })
end

--- Has the place of lua-http's `server:add_socket(socket)`: notes the socket, too.
function servers.add_socket(server, socket)
  local record = records.by_server[server]
  record.sockets[socket] = "silent"
  records.by_socket[socket] = record
  record.stand_in = record.stand_in or new_stand_in(record)
  return record.add_socket(record.stand_in, socket)
end

--- Makes errors of single connections go to the program's `onerror`. When it has none, only
--- the server's own errors are reported, such as that there are no descriptors left: what
--- clients do wrong is not the program's error. What `onerror` raises is reported: it must
--- not end the server.
function servers.wrap_onerror(record)
  local user_handler = rawget(record.server, "onerror_")
  record.server.onerror_ = function(server, context, operation, err, errno)
    if user_handler then
      local ok, failure = pcall(user_handler, server, context, operation, err, errno)
      if not ok then records.report(record, "HTTP error handler failed", failure) end
    elseif operation == "accept" then
      records.report(record, "HTTP server cannot accept", err)
    end
  end
end

-- ---- running -------------------------------------------------------------------------

local step = require "uvjobs.cqueues.insides".step

-- Runs everything of the server that is ready. An error ends the coroutine of lua-http
-- that has raised it, and is reported.
local function run_ready(record)
  local controller = record.server.cq
  while controller do
    local ok, message, _, _ = step(controller, 0)
    if ok then return end
    records.report(record, "HTTP connection failed", message)
    controller = record.server.cq
  end
end

-- Runs the server until is_done(), or until the time `due`.
local function run_until(record, is_done, due)
  while record.server.cq and not is_done() do
    local seconds = due and due - uvjobs.now()
    if seconds and seconds <= 0 then return end
    cqueues.poll(record.server.cq, record.changed, seconds)
    run_ready(record)
  end
end

-- ---- stopping ------------------------------------------------------------------------

-- Returns the sockets that are open, and forgets those that lua-http has closed.
local function open_sockets(record)
  local list = {}
  for socket in pairs(record.sockets) do
    if records.is_open(socket) then
      list[#list + 1] = socket
    else
      record.sockets[socket] = nil
    end
  end
  return list
end

local function close_listener(server)
  if server.socket then
    server.socket:close()
    server.socket = nil
  end
  server.pause_cond:signal()
end

-- HTTP/2: says that no further request is taken.
local function send_goaway(record)
  local told = {}
  for request in pairs(record.requests) do
    local connection = request.stream.connection
    if not response.is_http1(request.stream) and not told[connection] then
      told[connection] = true
      pcall(connection.write_goaway_frame, connection, nil, 0, nil, 0)
    end
  end
end

-- After this no connection is accepted, and connections without a request end.
local function stop_accepting(record)
  record.closing = true
  close_listener(record.server)
  send_goaway(record)
  for _, socket in ipairs(open_sockets(record)) do records.wake_connection(socket) end
end

-- Ends the connections that have no request yet: in the middle of a TLS handshake, of the
-- preface of HTTP/2 or of the head of a request, or before. A handshake delays shutdown().
local function shut_down_silent(record)
  local busy = {}
  for request in pairs(record.requests) do busy[request.socket] = true end
  for _, socket in ipairs(open_sockets(record)) do
    if record.sockets[socket] == "silent" then
      socket:close()
    elseif not busy[socket] then
      socket:shutdown()
    end
  end
end

-- Lets requests finish for `stop_timeout`. Returns when that is over.
local function drain(record)
  local server = record.server
  local due = uvjobs.now() + record.stop_timeout
  local function has_no_connections() return server.n_connections <= 0 end
  stop_accepting(record)
  run_until(record, has_no_connections, math.min(due, uvjobs.now() + HEAD_TIME))
  shut_down_silent(record)
  run_until(record, has_no_connections, due)
  return due
end

-- Cancels the requests of this server alone: others may share its scheduler.
local function cancel_requests(record)
  local jobs = {}
  for request in pairs(record.requests) do jobs[#jobs + 1] = request.job end
  for _, job in ipairs(jobs) do job:cancel() end
  uvjobs.map(jobs, function(job) pcall(job.close, job) end)
end

-- Ends the jobs that are left at the time `due`, those that handlers have spawned as well.
local function end_jobs(record, due)
  if not record.owns_scheduler then return cancel_requests(record) end
  local seconds = due - uvjobs.now()
  if seconds > 0 and next(record.requests) == nil then
    record.scheduler:wait_and_close(seconds)
  else
    record.scheduler:close()
  end
end

local function stop(record)
  local due = drain(record)
  end_jobs(record, due)
  local unfinished = {}
  for request in pairs(record.requests) do unfinished[#unfinished + 1] = request end
  for _, request in ipairs(unfinished) do disconnect.end_unstarted(request) end
  run_ready(record)
end

-- Does what lua-http's own close() does, without waiting.
local function release(record)
  local server = record.server
  for _, socket in ipairs(open_sockets(record)) do socket:close() end
  record.serving = false
  server.cq = nil
  close_listener(server)
  server.connection_done:signal()
end

--- Has the place of lua-http's `server:close()`. While serve() runs, this makes it stop the
--- server. Otherwise everything is closed here; in a job, and unless others share the
--- scheduler, it suspends first to let the requests finish.
---@return true
function servers.close(server)
  local record = records.by_server[server]
  if record.serving then
    record.closing = true
    record.changed:signal()
    return true
  end
  stop_accepting(record)
  if core.can_suspend() and record.owns_scheduler then
    record.scheduler:wait_and_close(record.stop_timeout)
  end
  release(record)
  return true
end

--- Runs the server in the current job until it is closed or the job is cancelled, and
--- stops it, for no longer than `stop_timeout` and the scheduler's close timeout.
--- Suspends.
---@param record uvjobs.http.ServerRecord
function servers.serve(record)
  record.serving = true
  local _ <close> = defer(function()
    local _ <close> = defer(function() release(record) end)
    if core.can_suspend() then uvjobs.protect(stop, record) end
  end)
  run_until(record, function() return record.closing end)
end

return servers
