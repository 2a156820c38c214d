-- One request: from the stream of lua-http that it comes in to the end of its job.

local patches = require "uvjobs.http.patches"
local records = require "uvjobs.http.records"
local response = require "uvjobs.http.response"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"

core.own_source()

local REFUSAL_TIME <const> = 1 -- seconds to read a request that is refused, and to say so
local ERROR_TIME <const> = 1   -- seconds to send the status of a handler that failed

local Request = {} -- the metatable of requests

-- Whether the error is the handler's own, and not the end that its job was given.
local function is_handler_error(request, err)
  local code = uvjobs.code(err)
  if request.client_gone or code == "killed" then return false end
  return not (code == "cancelled" and err.job == uvjobs.current())
end

-- Leaves the response as the handler has left it, or makes the best of what it has left.
function Request:__close(err)
  local stream = self.stream
  records.remove_request(self)
  if self.returned and core.can_suspend() and not core.interrupted() then
    if not pcall(stream.shutdown, stream) then response.cut(self) end
    return
  end
  if not self.returned and is_handler_error(self, err) and
    core.can_suspend() and response.can_begin(stream) then
    pcall(uvjobs.protect, response.send_status, stream, "500", ERROR_TIME)
  end
  response.cut(self)
end

-- The function of the job.
local function handle(request)
  local _ <close> = request
  local server = request.server_record.server
  request.started = true
  server.onstream(server, request.stream)
  request.returned = true
end

local function refuse(record, stream)
  pcall(response.send_status, stream, "503", REFUSAL_TIME, record.retry_after)
  pcall(stream.shutdown, stream)
end

local requests = {}

--- Spawns the job of a new request, or refuses the request when there is no room. It has
--- the place of lua-http's `server:add_stream(stream)`, and runs in a coroutine of
--- lua-http, which it suspends to refuse.
---@param server table
---@param stream table
---@return true? added
function requests.add_stream(server, stream)
  local record = records.by_server[server]
  local request = setmetatable({ server_record = record, stream = stream }, Request)
  records.by_stream[stream] = request
  patches.stream(stream)
  local job = record.scheduler:try_spawn({ name = "request" }, handle, request)
  if not job then return refuse(record, stream) end
  request.job = job
  records.add_request(request)
  patches.request(request)
  return true
end

return requests
