-- What the client gets when the handler gives it nothing, or nothing whole: a response
-- without a body, or the end of the connection.

require "uvjobs.http.debian"
local ce = require "cqueues.errno"
local new_headers = require "http.headers".new
local records = require "uvjobs.http.records"
local core = require "uvjobs.core"

core.own_source()

local response = {}

-- Only streams of HTTP/2 can be reset.
local function is_http1(stream)
  return not stream.rst_stream
end

response.is_http1 = is_http1

--- Whether the response has not begun.
function response.can_begin(stream)
  if stream.state == "closed" or stream.state == "half closed (local)" then
    return false
  end
  return stream.body_write_type == nil -- HTTP/1
    and not records.by_stream[stream].headers_sent
end

-- HTTP/1: the headers were read, and do not say where the body ends.
local function has_body_without_end(stream)
  return is_http1(stream) and stream.has_main_headers and
    stream.body_read_type == nil and
    (stream.state == "open" or stream.state == "half closed (local)")
end

-- Whether this is a request of HTTP/1 that nobody can read.
local function is_malformed(stream)
  local connection = stream.connection
  return has_body_without_end(stream) or (is_http1(stream) and
    records.is_open(connection.socket) and connection:error "r" == ce.EILSEQ)
end

--- Sends a status without a body, unless the response has begun. A request that was not
--- read is read first; a malformed one gets status 400. Suspends, for at most `seconds`
--- to read and as long again to write.
---@param stream table
---@param status string
---@param seconds number
---@param retry_after? string seconds
function response.send_status(stream, status, seconds, retry_after)
  if stream.state == "idle" and not stream:get_headers(seconds) then
    if stream.state == "idle" then return end
    status = "400"
  elseif is_malformed(stream) then
    status = "400"
  end
  if not response.can_begin(stream) then return end
  local headers = new_headers()
  headers:append(":status", status)
  headers:append("content-length", "0")
  if retry_after then headers:append("retry-after", retry_after) end
  stream:write_headers(headers, true, seconds)
end

-- Ends a stream, with whatever can still be sent. It counts as closed also when nothing
-- can: the connection waits for its streams.
local function end_stream(stream)
  if not is_http1(stream) and
    (stream.state == "open" or stream.state == "half closed (remote)") then
    -- shutdown() would say NO_ERROR, as if the response were whole.
    pcall(stream.rst_stream, stream, "the handler did not finish", 0)
  end
  pcall(stream.shutdown, stream)
  if stream.state ~= "closed" then pcall(stream.set_state, stream, "closed") end
end

--- Ends the connection, or with HTTP/2 the stream, without what was not sent yet. Does
--- not suspend: lua-http has to wait, which it does in a coroutine of the server.
function response.cut(request)
  local stream = request.stream
  local socket = stream.connection.socket
  if stream.state ~= "closed" and is_http1(stream) and records.is_open(socket) then
    socket:shutdown()
  end
  local controller = request.server_record.server.cq
  if controller then controller:wrap(end_stream, stream) end
end

return response
