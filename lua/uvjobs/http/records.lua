-- What uvjobs.http knows of the servers that were set up, of their connections and of
-- their requests. The other files of this folder keep it up to date.

local cqueues = require "uvjobs.cqueues"
local uvjobs = require "uvjobs"
local socket_type = require "cqueues.socket".type
local core = require "uvjobs.core"

core.own_source()

---@class uvjobs.http.ServerRecord
---@field server table lua-http's
---@field scheduler uvjobs.Scheduler
---@field owns_scheduler boolean setup() has made it
---@field requests table<uvjobs.http.Request, true> those whose jobs have not ended
---@field cancel_on_disconnect boolean
---@field retry_after string seconds
---@field header_timeout number seconds
---@field body_timeout number seconds, or math.huge
---@field request_timeout? number seconds
---@field max_body number bytes, or math.huge
---@field stop_timeout number seconds that requests get to finish when the server stops
---@field on_end? function called at the end of each request
---@field sockets table<userdata, "silent"|"heard"> those of the connections; "heard" when a
---  request has come, or its beginning
---@field changed table a condition: signalled when serve() has to look at the record
---@field closing boolean the server takes no more requests
---@field serving boolean serve() runs
---@field add_socket function lua-http's own method
---@field stand_in? table has the place of the server in it

---@class uvjobs.http.Request
---@field server_record uvjobs.http.ServerRecord
---@field stream table lua-http's
---@field socket userdata of the connection
---@field began number when the request came, by uvjobs.now()
---@field method? string
---@field path? string without a query; only while somebody takes spans, as the next
---@field traceparent? string of the client
---@field expects_continue? boolean the client sends the body when it is told to
---@field job? uvjobs.Job nil before the head is read, and when the request was refused
---@field started boolean the job has run
---@field returned boolean the handler has returned, without an error
---@field atomic boolean it is not cancelled when the client disconnects
---@field client_gone boolean the client has disconnected, or reset the stream
---@field reset_by_us boolean HTTP/2: we have reset the stream
---@field status? string of the response, when it has begun; not of an interim one
---@field is_whole? boolean the handler has sent the response to its end
---@field failure? string why a call on the stream has failed by a fault of the client
---@field failure_status? string what to tell the client of it
---@field on_end_called boolean on_end() has been called

local WEAK <const> = { __mode = "k" }

local records = {
  ---@type table<table, uvjobs.http.ServerRecord>
  by_server = setmetatable({}, WEAK),
  ---@type table<userdata, uvjobs.http.ServerRecord>
  by_socket = setmetatable({}, WEAK),
  ---@type table<table, uvjobs.http.Request>
  by_stream = setmetatable({}, WEAK),
}

local requests_by_connection = setmetatable({}, WEAK)

--- The set of the requests of a connection whose jobs have not ended.
---@return table<uvjobs.http.Request, true>
function records.requests_on(connection)
  local set = requests_by_connection[connection]
  if not set then
    set = {}
    requests_by_connection[connection] = set
  end
  return set
end

--- Whether lua-http has not closed the socket.
function records.is_open(socket)
  return socket_type(socket) == "socket"
end

--- Wakes the coroutine of lua-http that waits for the socket.
function records.wake_connection(socket)
  cqueues.cancel(socket:pollfd())
end

--- Adds a request to those of its connection.
function records.add_request(request)
  records.requests_on(request.stream.connection)[request] = true
end

--- Adds a request that has a job to those of its server, too.
function records.add_job(request, job)
  request.job = job
  request.server_record.requests[request] = true
end

--- Removes a request that has ended. When the server stops, it wakes the connection, which
--- may have become idle and then ends.
function records.remove_request(request)
  local record, connection = request.server_record, request.stream.connection
  local left, socket = records.requests_on(connection), connection.socket
  left[request] = nil
  record.requests[request] = nil
  record.changed:signal()
  if record.closing and next(left) == nil and records.is_open(socket) then
    records.wake_connection(socket)
  end
end

local function report(record, message, err)
  record.scheduler:call_exception_handler { message = message, exception = err }
end

records.report = report

--- Calls the on_end() of a request, once.
---@param request uvjobs.http.Request
---@param err any why there was no whole response, or nil
function records.tell_end(request, err)
  local record = request.server_record
  if not record.on_end or request.on_end_called then return end
  request.on_end_called = true
  local ok, failure = pcall(record.on_end, request.stream, request.status,
    uvjobs.now() - request.began, err)
  if not ok then report(record, "HTTP on_end failed", failure) end
end

return records
