-- What the client gets when the handler gives it nothing, or nothing whole: a response
-- without a body, or the end of the connection.

local ce = require "cqueues.errno"
local cqueues = require "uvjobs.cqueues"
local reasons = require "http.h1_reason_phrases"
local h2_methods = require "http.h2_stream".methods
local new_headers = require "http.headers".new
local records = require "uvjobs.http.records"
local core = require "uvjobs.core"

core.own_source()

local response = {}

-- Seconds and bytes that a client gets to send what nobody wants, before the connection
-- ends: closed at once, it could be reset before the client has read its answer.
local LINGER_TIME <const> = 1
local LINGER_BYTES <const> = 512 * 1024

-- Only streams of HTTP/2 can be reset.
local function is_http1(stream)
  return not stream.rst_stream
end

response.is_http1 = is_http1

--- Whether the response has not begun.
function response.can_begin(stream)
  return stream.state ~= "idle" and stream.state ~= "closed" and
    stream.state ~= "half closed (local)" and
    stream.connection.socket ~= nil -- a handler may have taken it, for a WebSocket
    and stream.body_write_type == nil -- HTTP/1
    and not records.by_stream[stream].status
end

--- Sends a status without a body, unless the response has begun. Suspends for at most
--- `seconds`.
---@param stream table
---@param status string
---@param seconds number
---@param retry_after? string seconds
function response.send_status(stream, status, seconds, retry_after)
  if not response.can_begin(stream) then return end
  local headers = new_headers()
  headers:append(":status", status)
  headers:append("content-length", "0")
  if retry_after then headers:append("retry-after", retry_after) end
  stream:write_headers(headers, true, seconds)
end

-- ---- the end -------------------------------------------------------------------------

-- Ends a stream, with whatever can still be sent. It counts as closed also when nothing
-- can: the connection waits for its streams.
local function end_stream(stream)
  local connection = stream.connection
  if not is_http1(stream) and
    (stream.state == "open" or stream.state == "half closed (remote)") then
    -- shutdown() would say NO_ERROR, as if the response were whole.
    pcall(stream.rst_stream, stream, "the handler did not finish", 0)
  end
  pcall(stream.shutdown, stream)
  if stream.state ~= "closed" then pcall(stream.set_state, stream, "closed") end
  -- lua-http does not count streams of HTTP/2 that never began.
  if not is_http1(stream) and connection.n_active_streams == 0 then
    connection:onidle()(connection)
  end
end

-- Reads what the client still sends. Suspends the coroutine of the server.
local function linger(socket)
  local due, bytes = cqueues.monotime() + LINGER_TIME, 0
  while bytes < LINGER_BYTES and records.is_open(socket) do
    local piece, _, errno = socket:xread(-4096, "b", 0)
    local left = due - cqueues.monotime()
    if piece then
      bytes = bytes + #piece
    elseif errno ~= ce.ETIMEDOUT or left <= 0 then
      return
    else
      cqueues.poll(socket, left)
    end
  end
end

--- Whether the response of a handler that has failed is whole, because it is only a status.
function response.can_finish(request)
  local state = request.stream.state
  return state == "half closed (local)" or state == "closed"
end

local function controller_of(request)
  return request.server_record.server.cq
end

--- Ends the connection, or with HTTP/2 the stream, without what was not sent yet. Does
--- not suspend: lua-http has to wait, which it does in a coroutine of the server.
function response.cut(request)
  local stream = request.stream
  local socket = stream.connection.socket
  if stream.state ~= "closed" and is_http1(stream) and records.is_open(socket) then
    socket:shutdown()
  end
  local controller = controller_of(request)
  if controller then controller:wrap(end_stream, stream) end
end

-- HTTP/1: reads what is left of a body. lua-http's shutdown() does so only as far as it has
-- come, and then closes the connection, perhaps before the client has read its answer.
-- (HTTP/2 resets the stream, which a client is to expect.) Suspends the coroutine of the
-- server.
local function read_rest(stream)
  local due, bytes = cqueues.monotime() + LINGER_TIME, stream.stats_recv + LINGER_BYTES
  while stream.state ~= "closed" and stream.stats_recv < bytes do
    local left = due - cqueues.monotime()
    if left <= 0 or not stream:step(left) then break end
  end
  local socket = stream.connection.socket
  if stream.state ~= "closed" and records.is_open(socket) then socket:shutdown() end
end

local function end_after_body(stream)
  pcall(read_rest, stream)
  end_stream(stream)
end

--- Ends a request whose response is whole. Suspends the job, or not for long.
function response.finish(request)
  local stream = request.stream
  if is_http1(stream) and stream.state == "half closed (local)" then
    local controller = controller_of(request)
    if controller then controller:wrap(end_after_body, stream) end
  elseif not pcall(stream.shutdown, stream) then
    response.cut(request)
  end
end

-- ---- requests that become no job -----------------------------------------------------

local function write_refusal(stream, status, seconds, retry_after)
  local connection = stream.connection
  local due = cqueues.monotime() + seconds
  while connection.pipeline:peek() ~= stream do -- others are answered first
    local left = due - cqueues.monotime()
    if left <= 0 then return end
    cqueues.poll(stream.pipeline_cond, left)
  end
  local socket = connection.socket
  if not records.is_open(socket) then return end
  records.by_stream[stream].status = status
  socket:xwrite(("HTTP/1.1 %s %s\r\ncontent-length: 0\r\n%sconnection: close\r\n\r\n"):format(
    status, reasons[status], retry_after and "retry-after: " .. retry_after .. "\r\n" or ""),
    "bn", math.max(0, due - cqueues.monotime()))
  socket:shutdown "w"
  linger(socket)
end

local function can_go_on(stream)
  return not is_http1(stream) or stream.state == "half closed (remote)"
end

-- HTTP/2: some clients lose an answer that comes before they have sent their body. So a
-- body that comes soon is dropped first.
local function drop_body(stream)
  local due, bytes = cqueues.monotime() + LINGER_TIME, 0
  while bytes < LINGER_BYTES do
    local left = due - cqueues.monotime()
    local piece = left > 0 and h2_methods.get_next_chunk(stream, left)
    if not piece then return end
    bytes = bytes + #piece
  end
end

--- Answers a request without a job, and ends it. Suspends the coroutine of the server, in
--- which it must be called.
---@param request uvjobs.http.Request
---@param status string
---@param seconds number
---@param retry_after? string seconds
function response.refuse(request, status, seconds, retry_after)
  local stream = request.stream
  if can_go_on(stream) then
    if not is_http1(stream) then pcall(drop_body, stream) end
    pcall(response.send_status, stream, status, seconds, retry_after)
    pcall(stream.shutdown, stream)
  else
    pcall(write_refusal, stream, status, seconds, retry_after)
  end
  response.discard(request)
end

--- Ends a request whose client has gone. Does not suspend for long.
function response.discard(request)
  local stream = request.stream
  local socket = stream.connection.socket
  if stream.state ~= "closed" and is_http1(stream) and records.is_open(socket) then
    socket:shutdown()
  end
  end_stream(stream)
end

return response
