-- One request: from the stream of lua-http that it comes in to the end of its job.

local cqueues = require "uvjobs.cqueues"
local head = require "uvjobs.http.head"
local patches = require "uvjobs.http.patches"
local records = require "uvjobs.http.records"
local response = require "uvjobs.http.response"
local spans = require "uvjobs.http.spans"
local streams = require "uvjobs.http.stream"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"

core.own_source()

local REFUSAL_TIME <const> = 1 -- seconds to tell a client that its request is refused
local ERROR_TIME <const> = 1   -- seconds to send the status of a handler that failed

local Request = {} -- the metatable of requests

-- ---- the job -------------------------------------------------------------------------

-- Whether the error is not the handler's own, but the end that its job was given.
local function is_end_of_job(err)
  local code = uvjobs.code(err)
  return code == "killed" or code == "cancelled" and err.job == uvjobs.current()
end

-- The status that tells the client of an error.
local function status_of(request, err)
  if request.failure_status then return request.failure_status end
  local late = request.deadline and uvjobs.code(err) == "timeout" and
    uvjobs.now() >= request.deadline
  return late and "503" or "500"
end

local function can_suspend()
  return core.can_suspend() and not core.interrupted()
end

-- Sends a status, if that is still possible.
local function tell_client(request, status)
  if not request.client_gone and response.can_begin(request.stream) then
    pcall(uvjobs.protect, response.send_status, request.stream, status, ERROR_TIME)
  end
end

-- Ends a request that has failed: with this status, unless the response has begun.
local function end_with(request, status)
  tell_client(request, status)
  if request.status and response.can_finish(request) then return response.finish(request) end
  response.cut(request)
end

-- The handler has returned.
local function end_well(request)
  if not can_suspend() then return response.cut(request) end
  if request.failure then
    if request.failure_status then return end_with(request, request.failure_status) end
    return response.cut(request)
  end
  if response.can_begin(request.stream) then
    if not request.client_gone then
      records.report(request.server_record, "HTTP handler gave no response", "no response")
    end
    tell_client(request, "500")
  end
  response.finish(request)
end

local function end_badly(request, err)
  if is_end_of_job(err) or not core.can_suspend() then return response.cut(request) end
  end_with(request, status_of(request, err))
end

-- A job whose client has failed is not one that has failed: it ends as cancelled, also when
-- it was cancelled already.
local function end_as_cancelled()
  uvjobs.current():cancel()
  uvjobs.yield()
end

-- Leaves the response as the handler has left it, or makes the best of what it has left.
function Request:__close(err)
  records.remove_request(self)
  if self.returned then end_well(self) else end_badly(self, err) end
  records.tell_end(self, not self.returned and (err == nil and "nil" or err) or
    self.failure)
  if not self.returned and streams.is_client_fault(self, err) and core.can_suspend() then
    end_as_cancelled()
  end
end

-- The function of the job.
local function handle(request)
  local _ <close> = request
  local record = request.server_record
  request.started = true
  request.deadline = record.request_timeout and uvjobs.now() + record.request_timeout
  spans.serve(request, record.server.onstream, record.server, request.stream)
  request.returned = true
end

-- ---- before there is a job -----------------------------------------------------------

-- Ends a request that becomes no job.
local function refuse(request, status, why, retry_after)
  records.remove_request(request)
  response.refuse(request, status, REFUSAL_TIME, retry_after)
  records.tell_end(request, why)
end

-- The client has gone before it has asked for anything.
local function forget(request)
  records.remove_request(request)
  response.discard(request)
end

-- HTTP/2: the coroutine of the connection reads the frames. Returns like head.read().
local function await_headers(request)
  local record, stream = request.server_record, request.stream
  local due = cqueues.monotime() + record.header_timeout
  while stream.recv_headers_fifo:length() == 0 do
    local left = due - cqueues.monotime()
    if request.client_gone or stream.state == "closed" then return nil, "gone" end
    if left <= 0 then return nil, "408" end
    cqueues.poll(stream.recv_headers_cond, left)
  end
  return true
end

local WHY <const> = {
  ["408"] = "the head of the request did not come in time",
  ["413"] = "the body is too large",
  ["414"] = "the request line is too long",
  ["431"] = "the head of the request is too large",
}

local function first_headers(stream)
  return (stream.headers_fifo or stream.recv_headers_fifo):peek()
end

-- HTTP/2: lua-http looks at the length only when the body comes.
local function is_too_large(request, headers)
  local length = tonumber(headers:get "content-length" or "", 10)
  return length and length > request.server_record.max_body
end

local function look_at_head(request)
  local stream = request.stream
  local headers = first_headers(stream)
  request.method = headers:get ":method"
  spans.look(request, headers)
  request.expects_continue = headers:has "expect" and response.is_http1(stream) and
    stream.peer_version == 1.1
  if is_too_large(request, headers) then return "413" end
end

local function start_job(request)
  local record = request.server_record
  local options = { name = "request", timeout = record.request_timeout }
  local job = record.scheduler:try_spawn(options, handle, request)
  if not job then
    return refuse(request, "503", "there is no room for the request", record.retry_after)
  end
  records.add_job(request, job)
end

-- Reads the head of the request, and then makes its job. Runs in a coroutine of lua-http,
-- so that a client that sends slowly, or nothing, has no job and takes no slot.
local function receive(request)
  local record, stream = request.server_record, request.stream
  local ok, problem
  if response.is_http1(stream) then
    ok, problem = head.read(stream, record.header_timeout, record.max_body)
  else
    ok, problem = await_headers(request)
  end
  if ok then problem = look_at_head(request) end
  if problem == "gone" then
    forget(request)
  elseif problem then
    refuse(request, problem, WHY[problem] or "the request is malformed")
  else
    start_job(request)
  end
end

local requests = {}

--- Takes a new request. It has the place of lua-http's `server:add_stream(stream)`. Does
--- not suspend.
---@param server table
---@param stream table
---@return true added
function requests.add_stream(server, stream)
  local record = records.by_server[server]
  local request = setmetatable({
    server_record = record, stream = stream, socket = stream.connection.socket,
    began = uvjobs.now(),
  }, Request)
  records.by_stream[stream] = request
  if request.socket then record.sockets[request.socket] = "heard" end
  patches.stream(stream)
  patches.request(request)
  streams.limit(request)
  records.add_request(request)
  server.cq:wrap(receive, request)
  return true
end

return requests
