-- What a handler calls on the stream of its request: the calls keep the limits of the
-- server, and are noted in the request.

local ce = require "cqueues.errno"
local cqueues = require "uvjobs.cqueues"
local response = require "uvjobs.http.response"
local core = require "uvjobs.core"

core.own_source()

local streams = {}

-- Bodies are sent in pieces of so many bytes. A client gets the time limit for each.
local PIECE <const> = 64 * 1024

-- What is wrong when the client has gone, or does not do its part.
local CLIENT_FAULTS <const> = {
  [ce.EPIPE] = true, [ce.ECONNRESET] = true, [ce.ENOTCONN] = true, [ce.ETIMEDOUT] = true,
  [ce.ECONNABORTED] = true, [ce.EILSEQ] = true, [ce.E2BIG] = true, [ce.EHOSTUNREACH] = true,
  [ce.ENETRESET] = true, [ce.EIO] = true,
}

-- Notes that a call has failed by a fault of the client.
local function note_failure(request, err, errno)
  if err == nil and errno == nil or CLIENT_FAULTS[errno] or type(err) == "table" then
    request.failure = err and tostring(err) or ""
    request.failure_status = errno == ce.ETIMEDOUT and "408" or errno == ce.E2BIG and "413"
      or (errno == ce.EILSEQ or errno == ce.EPIPE) and "400" or nil
  end
end

local function at_most(timeout, limit)
  if timeout and timeout < limit then return timeout, false end
  return limit ~= math.huge and limit or nil, true
end

-- What is wrong with a call that comes after the whole response: it is the handler's fault,
-- and not one of the client.
local function problem_after_end(request)
  if request.is_whole then
    return "the response has been sent already", ce.EPIPE
  end
end

-- ---- reading -------------------------------------------------------------------------

local function continue(request)
  local stream = request.stream
  if request.expects_continue and response.can_begin(stream) then
    request.expects_continue = false
    stream:write_continue(0)
  end
end

local function limit_reading(request)
  local stream, record = request.stream, request.server_record
  local get_next_chunk, get_headers = stream.get_next_chunk, stream.get_headers
  local bytes = 0
  function stream:get_next_chunk(timeout)
    continue(request)
    local seconds, is_ours = at_most(timeout, record.body_timeout)
    local chunk, err, errno = get_next_chunk(self, seconds)
    if chunk then
      bytes = bytes + #chunk
      if bytes > record.max_body then
        chunk, err, errno = nil, "the body is too large", ce.E2BIG
      end
    elseif err == nil and self.state ~= "closed" and self.state ~= "half closed (remote)" then
      err, errno = ce.strerror(ce.EPIPE), ce.EPIPE -- the body was cut
    end
    if err ~= nil and (errno ~= ce.ETIMEDOUT or is_ours) then
      note_failure(request, err, errno)
    end
    return chunk, err, errno
  end
  local unget = stream.unget
  function stream:unget(text)
    bytes = bytes - #text
    return unget(self, text)
  end
  function stream:get_headers(timeout)
    return get_headers(self, (at_most(timeout, record.body_timeout)))
  end
end

-- ---- writing -------------------------------------------------------------------------

-- HTTP/2: lua-http raises when the client has reset the stream. Here the call fails as it
-- does when the connection has ended.
local function fail_if_reset(request)
  local stream = request.stream
  if response.is_http1(stream) or stream.state ~= "closed" or request.reset_by_us or
    not stream.rst_stream_error then
    return
  end
  local err = ce.strerror(ce.ECONNRESET)
  note_failure(request, err, ce.ECONNRESET)
  return err, ce.ECONNRESET
end

-- HTTP/1: while the server stops, and when the client has made a mistake, the response
-- says that the connection ends.
local function with_close(request, headers)
  local ends = request.server_record.closing or request.failure_status
  if not ends or not response.is_http1(request.stream) then return headers end
  headers = headers:clone()
  headers:upsert("connection", "close")
  return headers
end

local function note_status(request, headers)
  local status = headers:get ":status"
  if not status or status:find "^1" and status ~= "101" then return headers end
  request.status = request.status or status
  return status == "101" and headers or with_close(request, headers)
end

-- HTTP/1: waits until the responses before this one have been sent. How long that takes is
-- not the client's fault.
local function await_turn(stream, timeout)
  local connection = stream.connection
  if response.is_http1(stream) and connection.socket and stream.state ~= "closed" and
    connection.pipeline:peek() ~= stream then
    cqueues.poll(stream.pipeline_cond, timeout)
  end
end

local function limit_headers(request)
  local stream, record = request.stream, request.server_record
  local write_headers = stream.write_headers
  function stream:write_headers(headers, ...)
    local end_stream, timeout = ...
    local problem, errno = problem_after_end(request)
    if not problem then problem, errno = fail_if_reset(request) end
    if problem then return nil, problem, errno end
    await_turn(self, timeout)
    local before = request.status
    local sent = headers and note_status(request, headers)
    local results = table.pack(pcall(write_headers, self, sent, end_stream,
      (at_most(timeout, record.body_timeout))))
    if not results[1] then -- a misuse: nothing was sent
      if self.body_write_type == nil then request.status = before end
      error(results[2], 0)
    end
    if not results[2] then note_failure(request, results[3], results[4]) end
    request.is_whole = results[2] and end_stream
    return table.unpack(results, 2, results.n)
  end
end

local function limit_chunks(request)
  local stream, record = request.stream, request.server_record
  local write_chunk = stream.write_chunk
  local function write_piece(self, piece, end_stream, timeout)
    local seconds = at_most(timeout, record.body_timeout)
    local ok, err, errno = write_chunk(self, piece, end_stream, seconds)
    if not ok then note_failure(request, err, errno) end
    request.is_whole = ok and end_stream
    return ok, err, errno
  end
  function stream:write_chunk(chunk, end_stream, timeout)
    local problem, code = problem_after_end(request)
    if not problem then problem, code = fail_if_reset(request) end
    if problem then return nil, problem, code end
    local at = 1
    while #chunk - at >= PIECE do
      local ok, err, errno = write_piece(self, chunk:sub(at, at + PIECE - 1), false, timeout)
      if not ok then return ok, err, errno end
      at = at + PIECE
    end
    return write_piece(self, at == 1 and chunk or chunk:sub(at), end_stream, timeout)
  end
end

--- Gives the stream of a request these calls.
---@param request uvjobs.http.Request
function streams.limit(request)
  limit_reading(request)
  limit_headers(request)
  limit_chunks(request)
end

-- The text of an error, also of those objects that have it in a field.
local function text_of(err)
  if type(err) == "table" and type(rawget(err, "message")) == "string" then
    return rawget(err, "message")
  end
  local ok, text = pcall(tostring, err)
  return ok and text or ""
end

--- Whether the error of a handler only says that the client has failed: that is nobody's
--- error. It is what assert() makes of the results of a call that has failed.
---@param request uvjobs.http.Request
---@param err any
---@return boolean
function streams.is_client_fault(request, err)
  local failure = request.failure
  if not failure or err == nil then return failure ~= nil end
  local text = text_of(err)
  return text:find("assertion failed!", 1, true) ~= nil or
    failure ~= "" and text:find(failure, 1, true) ~= nil
end

return streams
