-- http.respond: a whole response in one call.

local arguments = require "uvjobs.arguments"
local new_headers = require "http.headers".new
local records = require "uvjobs.http.records"
local core = require "uvjobs.core"

core.own_source()

local function append(headers, name, value)
  local kind = type(value)
  if type(name) ~= "string" or not name:find "^[%w!#$%%&'*+%-.^_`|~]+$" then
    return ("bad name of a header field: %s"):format(tostring(name))
  elseif kind == "number" then
    value = math.type(value) == "integer" and ("%d"):format(value) or tostring(value)
  elseif kind ~= "string" or value:find "[\r\n%z]" then
    return ("header field '%s': string in one line expected, got %s"):format(name,
      kind == "string" and "one with line ends" or core.typename(value))
  end
  headers:append(name:lower(), value)
end

-- Adds the fields of a table. Returns what is wrong with one of them, or nil.
local function append_all(headers, fields)
  for name, value in pairs(fields) do
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      local problem = append(headers, name, one)
      if problem then return problem end
    end
  end
end

local function status_of(status)
  local number = math.tointeger(tonumber(status))
  return number and number >= 200 and number <= 599 and ("%d"):format(number) or nil
end

local function method_of(stream)
  local request = records.by_stream[stream]
  return request and request.method or stream.req_method
end

-- Such responses have no body, and do not say how long it is.
local function has_no_length(stream, status)
  return status == "204" or method_of(stream) == "CONNECT" and status:find "^2" ~= nil
end

local function has_body(stream, status)
  return method_of(stream) ~= "HEAD" and status ~= "304" and not has_no_length(stream, status)
end

local function fields_of(given)
  if given == nil then return {} end
  if type(given) ~= "table" then return nil end
  if type(given.each) ~= "function" then return given end
  local fields = {}
  for name, value in given:each() do
    if name:sub(1, 1) ~= ":" then
      fields[name] = fields[name] or {}
      table.insert(fields[name], value)
    end
  end
  return fields
end

-- Returns the headers; or nil, the number of a bad argument and what is wrong with it.
local function headers_of(stream, status, body, given)
  local fields = fields_of(given)
  if not fields then return nil, 4, arguments.unexpected("table", given) end
  local headers = new_headers()
  headers:append(":status", status)
  local problem = append_all(headers, fields)
  if problem then return nil, 4, problem end
  if has_no_length(stream, status) then
    headers:delete "content-length"
  elseif not headers:has "content-length" and not headers:has "transfer-encoding" then
    if status ~= "304" then headers:append("content-length", ("%d"):format(#body)) end
    if body ~= "" and not headers:has "content-type" then
      headers:append("content-type", "text/plain; charset=utf-8")
    end
  end
  return headers
end

-- Whether the handler has begun a response before: a second one is its mistake.
local function has_begun(stream)
  local request = records.by_stream[stream]
  return request and request.status and not request.failure and not request.client_gone
end

-- What reading the body has returned when the client has failed, where a handler passes it
-- on: `http.respond(stream, 200, stream:get_body_as_string())`.
local function is_failure(stream, body, given)
  local request = records.by_stream[stream]
  return request and request.failure and body == nil and type(given) == "string"
end

return function(stream, status, body, given)
  if is_failure(stream, body, given) then return nil, given end
  if type(stream) ~= "table" or type(stream.write_headers) ~= "function" then
    arguments.fail(2, 1, "respond", arguments.unexpected("stream of lua-http", stream))
  end
  local code = status_of(status)
  if not code then
    arguments.fail(2, 2, "respond", ("status from 200 to 599 expected, got %s"):format(
      tostring(status)))
  elseif body ~= nil and type(body) ~= "string" then
    arguments.fail(2, 3, "respond", arguments.unexpected("string", body))
  end
  body = body or ""
  local headers, n, problem = headers_of(stream, code, body, given)
  if not headers then arguments.fail(2, n, "respond", problem) end
  if has_begun(stream) then
    error("'respond' was called for a request whose response has begun", 2)
  end
  local sends = body ~= "" and has_body(stream, code)
  local ok, err, errno = stream:write_headers(headers, not sends)
  if ok and sends then ok, err, errno = stream:write_chunk(body, true) end
  if ok then return true end
  return nil, tostring(err or "the client has gone"), errno
end
