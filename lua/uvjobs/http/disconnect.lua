-- What is done when the client disconnects, or resets a stream.

local records = require "uvjobs.http.records"
local response = require "uvjobs.http.response"
local core = require "uvjobs.core"

core.own_source()

local disconnect = {}

--- Ends a request whose job has ended without having run. One that has run ends its
--- request itself.
function disconnect.end_unstarted(request)
  if request.started or not request.job.closed then return end
  records.remove_request(request)
  response.cut(request)
  records.tell_end(request, "the job was ended before it ran")
end

--- Notes that the client waits for the request no longer, and cancels its job. Does not
--- suspend.
function disconnect.note_gone(request)
  if request.client_gone then return end
  request.client_gone = true
  if not request.job then
    -- The coroutine that waits for the head of the request looks at it again.
    local headers_cond = request.stream.recv_headers_cond
    if headers_cond then headers_cond:signal() end
    return
  end
  if request.server_record.cancel_on_disconnect and not request.atomic then
    request.job:cancel()
    disconnect.end_unstarted(request)
  end
end

--- The same for all requests of a connection.
function disconnect.note_connection_gone(connection)
  local requests = {}
  for request in pairs(records.requests_on(connection)) do
    requests[#requests + 1] = request
  end
  for _, request in ipairs(requests) do disconnect.note_gone(request) end
end

return disconnect
