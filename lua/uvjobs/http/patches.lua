-- What is changed in lua-http: in its connections, for all those of servers that were set
-- up, and in the streams of their requests.

require "uvjobs.cqueues"
local ce = require "cqueues.errno"
local disconnect = require "uvjobs.http.disconnect"
local records = require "uvjobs.http.records"
local response = require "uvjobs.http.response"
local core = require "uvjobs.core"

core.own_source()

local patches = {}

-- ---- connections -------------------------------------------------------------------

-- lua-http's server asks each connection for its next request. After a time without one
-- it gives up, also while other requests are being handled, and then nobody reads from
-- the connection any more. This one goes on reading for as long as there are requests,
-- and so it sees when the client disconnects.
-- For some malformed frames of HTTP/2 lua-http raises. Here that is an error like others:
-- otherwise the connection's coroutine would end, and nobody would close the connection.
local function next_stream(original, connection, timeout)
  local record = records.by_socket[connection.socket or false]
  if not record then return original(connection, timeout) end
  local requests = records.requests_on(connection)
  while true do
    if record.closing and next(requests) == nil then timeout = 0 end
    local ok, stream, err, errno = pcall(original, connection, timeout)
    if not ok then stream, err, errno = nil, stream, nil end
    if stream then return stream end
    if errno ~= ce.ETIMEDOUT then
      -- Without a socket a handler has taken it, for a WebSocket, and looks after it.
      if connection.socket then disconnect.note_connection_gone(connection) end
      return nil, err, errno
    elseif next(requests) == nil then
      if record.closing then return nil end
      return nil, err, errno
    end
  end
end

local function patch_connections(module)
  local methods = require(module).methods
  local original = methods.get_next_incoming_stream
  methods.get_next_incoming_stream = function(self, timeout)
    return next_stream(original, self, timeout)
  end
end

patch_connections "http.h1_connection"
patch_connections "http.h2_connection"

-- A socket of cqueues forgets at a write that it is polled for reading. lua-http writes
-- window updates also between the read that has found nothing and the poll, and would then
-- poll for nothing: the rest of a body would be heard by nobody.
local function patch_events()
  local methods = require "http.h2_connection".methods
  local original = methods.events
  function methods:events()
    local events = original(self)
    if not events or not self.had_eagain or events:find("r", 1, true) then return events end
    return events .. "r"
  end
end

patch_events()

-- A job that waits for its own stream reads the frames of all. What it leaves is in the
-- memory of the socket, and the descriptor does not show it any more. So the coroutine of
-- the connection, which has polled the descriptor, is told to look.
local function patch_steps()
  local methods = require "http.h2_connection".methods
  local original = methods.step
  function methods:step(timeout)
    local ok, err, errno = original(self, timeout)
    if not self.had_eagain then self.new_streams_cond:signal() end
    return ok, err, errno
  end
end

patch_steps()

-- The frames of one header block must not have others between them. When the socket takes
-- no more, lua-http would let other jobs write in the middle of the block.
local function patch_frames()
  local HEADERS <const>, PUSH_PROMISE <const>, CONTINUATION <const> = 1, 5, 9
  local END_HEADERS <const> = 4
  local methods = require "http.h2_connection".methods
  local original = methods.write_http2_frame
  function methods:write_http2_frame(kind, flags, id, payload, timeout, flush)
    if (kind == HEADERS or kind == PUSH_PROMISE or kind == CONTINUATION) and
      flags & END_HEADERS == 0 then
      flush = "f" -- only into the buffer
    end
    return original(self, kind, flags, id, payload, timeout, flush)
  end
end

patch_frames()

-- A client may have sent more of a body when it hears that its stream was reset. lua-http
-- ends the connection then; here those frames are dropped, as HTTP/2 demands.
local function patch_data()
  local h2_stream = require "http.h2_stream"
  local DATA <const> = h2_stream.frame_types.DATA
  local original = h2_stream.frame_handlers[DATA]
  h2_stream.frame_handlers[DATA] = function(stream, flags, payload, deadline)
    local request = records.by_stream[stream]
    if not request or stream.state ~= "closed" or not request.reset_by_us then
      return original(stream, flags, payload, deadline)
    end
    if #payload > 0 then stream.connection:write_window_update(#payload, 0) end
    return true
  end
end

patch_data()

-- lua-http waits until a chunk is there as a whole, however large it says that it is.
local function patch_chunks()
  local methods = require "http.h1_connection".methods
  local original = methods.read_body_chunk
  function methods:read_body_chunk(timeout)
    local record = records.by_socket[self.socket or false]
    if not record or record.max_body == math.huge then return original(self, timeout) end
    local line, err, errno = self.socket:xread("*L", timeout)
    if not line then return nil, err, errno end
    if not self.socket:unget(line) then return nil, ce.strerror(ce.EPIPE), ce.EPIPE end
    local size = line:match "^%x+"
    if size and (#size > 8 or tonumber(size, 16) > record.max_body) then
      return nil, "the body is too large", ce.E2BIG
    end
    return original(self, timeout)
  end
end

patch_chunks()

-- ---- streams -----------------------------------------------------------------------

-- lua-http steps a stream of HTTP/1 until its body was read. When the body has no end, or
-- the client disconnects in the middle of it, lua-http would do so for ever without
-- waiting. So a step that changes nothing fails.
local original_step = require "http.h1_stream".methods.step

local function step_once(stream, timeout)
  local state, bytes = stream.state, stream.stats_recv
  local headers, chunks = stream.headers_fifo:length(), stream.chunk_fifo:length()
  local ok, err, errno = original_step(stream, timeout)
  if ok and stream.state == state and stream.stats_recv == bytes and
    stream.headers_fifo:length() == headers and stream.chunk_fifo:length() == chunks then
    return nil, ce.strerror(ce.EPIPE), ce.EPIPE
  end
  return ok, err, errno
end

--- Gives a new stream the changed methods.
function patches.stream(stream)
  if response.is_http1(stream) then stream.step = step_once end
end

--- HTTP/2: notes when the client resets the stream.
function patches.request(request)
  local stream = request.stream
  if response.is_http1(stream) then return end
  local set_state, rst_stream = stream.set_state, stream.rst_stream
  function stream:rst_stream(...)
    request.reset_by_us = true
    return rst_stream(self, ...)
  end
  function stream:set_state(state)
    local result = set_state(self, state)
    if state == "closed" and self.rst_stream_error and not request.reset_by_us then
      disconnect.note_gone(request)
    end
    return result
  end
end

return patches
