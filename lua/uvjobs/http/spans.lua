-- The spans of requests, for OpenTelemetry: of those that come, and of those that are sent. A
-- header `traceparent` (W3C Trace Context) goes with them.

local core = require "uvjobs.core"
local span = require "uvjobs.insight.span"

core.own_source()

local spans = {}

-- ---- requests that come --------------------------------------------------------------

--- The head of a request is there. More than one traceparent is none.
---@param request uvjobs.http.Request
---@param headers table of lua-http
function spans.look(request, headers)
  if not span.sink() then return end
  local traceparent, another = headers:get "traceparent"
  request.traceparent = not another and traceparent or nil
  request.path = (headers:get ":path" or ""):match "^[^?]*"
end

local function answer(request, fn, ...)
  fn(...)
  local status = math.tointeger(tonumber(request.status))
  span.note("http.response.status_code", status)
  if status and status >= 500 then span.fail(request.status) end
end

--- Calls fn(...), which answers a request, as a span while somebody takes spans. It is within that
--- of the client, and otherwise begins a trace.
---@param request uvjobs.http.Request
---@param fn function
---@param ... any
function spans.serve(request, fn, ...)
  if not span.sink() then
    fn(...)
    return
  end
  span.within({
    name = request.method or "HTTP", kind = span.SERVER,
    parent = span.parse(request.traceparent) or false,
    attributes = { ["http.request.method"] = request.method, ["url.path"] = request.path },
  }, answer, request, fn, ...)
end

-- ---- requests that are sent ----------------------------------------------------------

local function add_header(request)
  if not request.headers:has "traceparent" then
    request.headers:upsert("traceparent", span.traceparent())
  end
end

local function send(run, call, request)
  add_header(request)
  local response, message, code = run(call, request)
  if not response then
    span.fail(code)
    return nil, message, code
  end
  span.note("http.response.status_code", response.status)
  if response.status >= 400 then span.fail(tostring(response.status)) end
  return response
end

--- Calls run(call, request), which sends a request, as a span if the job is in one.
---@param run fun(call: table, request: table): table?, string?, string?
---@param call table of fetch.lua
---@param request table of lua-http
---@return table? response
---@return string? message
---@return string? code
function spans.fetch(run, call, request)
  if not span.traceparent() then return run(call, request) end
  if not span.sink() then
    add_header(request)
    return run(call, request)
  end
  return span.within({
    name = call.method, kind = span.CLIENT,
    attributes = {
      ["http.request.method"] = call.method, ["server.address"] = request.host,
      ["server.port"] = request.port,
    },
  }, send, run, call, request)
end

return spans
