-- http.fetch: a request to a server, and its whole response.

local arguments = require "uvjobs.arguments"
local ce = require "cqueues.errno"
local cqueues = require "uvjobs.cqueues"
local defer = require "uvjobs.defer"
local cqueues_socket = require "cqueues.socket"
local http_request = require "http.request"
local uri_patterns = require "lpeg_patterns.uri"
local core = require "uvjobs.core"
local spans = require "uvjobs.http.spans"

core.own_source()

local expect = arguments.expect

local OPTIONS <const> = {
  method = arguments.kind(function(value)
    return type(value) == "string" and value:find "^%w+$" ~= nil
  end, "name of a method"),
  headers = arguments.kind(function(value) return type(value) == "table" end, "table"),
  body = expect.string,
  timeout = expect.seconds_or_forever,
  redirects = arguments.kind(function(value)
    return math.type(value) == "integer" and value >= 0
  end, "integer >= 0"),
  max_body = expect.count(0),
  ctx = function() return nil end,
  version = arguments.kind(function(value)
    return value == 1 or value == 1.1 or value == 2
  end, "1, 1.1 or 2"),
  proxy = arguments.kind(function(value)
    return type(value) == "string" or value == false
  end, "URL or false"),
}

local TIMEOUT <const> = 60              -- seconds
local REDIRECTS <const> = 5
local MAX_BODY <const> = 16 * 1024 * 1024 -- bytes

-- ---- the sockets of a call -----------------------------------------------------------

-- lua-http does not say which socket it opens until the whole request has been sent. So
-- sockets are noted when cqueues makes them, by the coroutine that asks for one.
local sockets_by_coroutine = setmetatable({}, { __mode = "k" })
local original_connect = cqueues_socket.connect

-- The server of a call of connect(), in words.
local function peer_of(options)
  if type(options) ~= "table" or not options.host then return "the server" end
  local host = tostring(options.host)
  return (host:find(":", 1, true) and "[%s]:%s" or "%s:%s"):format(host, tostring(options.port))
end

function cqueues_socket.connect(...)
  local results = table.pack(original_connect(...))
  local sockets = sockets_by_coroutine[coroutine.running()]
  if sockets and results[1] then sockets[#sockets + 1] = results[1] end
  if sockets then sockets.peer = peer_of(...) end
  return table.unpack(results, 1, results.n)
end

local function close_all(sockets)
  for _, socket in ipairs(sockets) do
    if cqueues_socket.type(socket) == "socket" then socket:close() end
  end
end

-- ---- the request ---------------------------------------------------------------------

local URI <const> = uri_patterns.uri * -1

-- Returns the parts of a URL of http or https; or nil.
local function parse(url)
  local uri = type(url) == "string" and not url:find "[%c ]" and URI:match(url)
  if uri and uri.host and (uri.scheme == "http" or uri.scheme == "https") then return uri end
end

-- Returns what is wrong with a field, or nil.
local function problem_of_field(name, value)
  if type(name) ~= "string" or not name:find "^[%w!#$%%&'*+%-.^_`|~]+$" then
    return ("option 'headers': bad name of a field: %s"):format(tostring(name))
  elseif type(value) ~= "string" and type(value) ~= "number" or
    tostring(value):find "[\r\n%z]" then
    return ("option 'headers': field '%s': string in one line expected"):format(name)
  end
end

local function problem_of(options)
  local problem = arguments.problem_of_options(options, OPTIONS)
  if problem then return problem end
  for name, value in pairs(options.headers or {}) do
    problem = problem_of_field(name, value)
    if problem then return problem end
  end
end

local function new_request(uri, options)
  local request = http_request.new_from_uri(uri)
  request.follow_redirects = false
  request.max_redirects = options.redirects or REDIRECTS
  request.cookie_store = false -- one that all calls of the program share is no help
  request.ctx, request.version = options.ctx, options.version
  if options.proxy ~= nil then request.proxy = options.proxy end
  if options.proxy == false then request.proxies = false end
  request.headers:upsert(":method", (options.method or "GET"):upper())
  if options.body then
    request:set_body(options.body)
    request.headers:delete "expect" -- it costs a second where the server does not know it
  end
  for name, value in pairs(options.headers or {}) do
    local field = name:lower() == "host" and ":authority" or name:lower()
    request.headers:upsert(field, tostring(value))
  end
  return request
end

-- ---- the response --------------------------------------------------------------------

-- Makes what fetch() returns of a failure: nil, a message and a code.
local function failure(call, what, code)
  return nil, ("%s %s: %s"):format(call.method, call.url, what), code
end

-- Such errors come from connecting. Those of cqueues' resolver are so many negative numbers.
local OF_CONNECTING <const> = {
  [ce.ECONNREFUSED] = true, [ce.ENETUNREACH] = true, [ce.EHOSTUNREACH] = true,
  [ce.ENETDOWN] = true, [ce.EADDRNOTAVAIL] = true, [ce.EACCES] = true,
}
local DNS_BASE <const>, DNS_COUNT <const> = -0x646E7340, 64

local function is_of_connecting(errno)
  return errno and (OF_CONNECTING[errno] or
    errno >= DNS_BASE and errno < DNS_BASE + DNS_COUNT)
end

local ENDED <const> = "the connection has ended"
local CUT <const> = "the body was cut"

-- What the system's texts do not say of a response.
local MEANINGS <const> = {
  [ce.EILSEQ] = "the response is malformed", [ce.EPIPE] = ENDED, [ce.ECONNRESET] = ENDED,
}

-- What an error says: without the name of a C function before it, and without a traceback.
-- HTTP/2: lua-http may still wait for a socket that it has closed.
local function text_of(err, errno)
  if err == nil or tostring(err):find("(socket closed)", 1, true) then return ENDED end
  return MEANINGS[errno] or (tostring(err):match "^[^\n]*":gsub("^[%l_]+: ", ""))
end

local function failure_of(call, err, errno)
  if errno == ce.ETIMEDOUT then
    return failure(call, ("no response within %g seconds"):format(call.timeout), "timeout")
  end
  local text = text_of(err, errno)
  if is_of_connecting(errno) then
    text = ("cannot connect to %s: %s"):format(call.sockets.peer or "the server", text)
  end
  return failure(call, text, "network")
end

local function left(call)
  return call.due and math.max(0, call.due - cqueues.monotime())
end

-- Returns the body; or the values of a failure.
local function read_body(call, headers, stream)
  local pieces, bytes = {}, 0
  while true do
    local piece, err, errno = stream:get_next_chunk(left(call))
    -- A body with a length that ends early is an error for newer releases of lua-http only.
    if errno == ce.EPIPE then return failure(call, CUT, "network") end
    if not piece and (err or errno) then return failure_of(call, err, errno) end
    if not piece then break end
    pieces[#pieces + 1], bytes = piece, bytes + #piece
    if bytes > call.max_body then
      return failure(call, ("the body has more than %d bytes"):format(call.max_body), "limit")
    end
    -- A server that sends faster than we read must not hold up other jobs, nor the limit.
    if call.due and left(call) <= 0 then return failure_of(call, nil, ce.ETIMEDOUT) end
    if #pieces % 64 == 0 then cqueues.sleep(0) end
  end
  local length = tonumber(headers:get "content-length" or "")
  if length and bytes < length and call.method ~= "HEAD" and
    headers:get ":status" ~= "304" then
    return failure(call, CUT, "network")
  end
  return table.concat(pieces)
end

local function plain(headers)
  local fields = {}
  for name, value in headers:each() do
    if name:sub(1, 1) ~= ":" then
      fields[name] = fields[name] and fields[name] .. ", " .. value or value
    end
  end
  return fields
end

-- ---- redirects -----------------------------------------------------------------------

local REDIRECTED <const> = {
  ["301"] = true, ["302"] = true, ["303"] = true, ["307"] = true, ["308"] = true,
}

-- Returns the request that a response leads to; or the values of a failure. What is secret
-- is for the first server alone.
local function follow(call, request, headers)
  if request.max_redirects <= 0 then return failure(call, "too many redirects", "redirects") end
  local next_request, message = request:handle_redirect(headers)
  if not next_request then return failure(call, message, "redirects") end
  if next_request.host ~= request.host or next_request.port ~= request.port or
    request.tls and not next_request.tls then
    next_request.headers:delete "authorization"
    next_request.headers:delete "cookie"
  end
  return next_request
end

-- ---- all of it -----------------------------------------------------------------------

-- Sends one request. Returns the headers and the stream of the response, or as go() does.
local function go(call, request)
  local ok, headers, stream, errno = pcall(request.go, request, left(call))
  if ok then return headers, stream, errno end
  if type(headers) == "string" then return nil, headers end
  error(headers, 0)
end

local function run(call, request)
  while true do
    local headers, stream, errno = go(call, request)
    if not headers then return failure_of(call, stream, errno) end
    local status = headers:get ":status"
    if not (REDIRECTED[status] and headers:has "location") or call.redirects == 0 then
      local body, message, code = read_body(call, headers, stream)
      if not body then return nil, message, code end
      return {
        status = math.tointeger(tonumber(status)), headers = plain(headers), body = body,
        url = call.url, all_headers = headers,
      }
    end
    local message, code
    request, message, code = follow(call, request, headers)
    if not request then return nil, message, code end
    close_all(call.sockets)
    call.url, call.method = request:to_uri(false), request.headers:get ":method"
  end
end

local function new_call(url, options)
  local timeout = options.timeout or TIMEOUT
  return {
    url = url, method = (options.method or "GET"):upper(), timeout = timeout,
    due = timeout < math.huge and cqueues.monotime() + timeout or nil,
    redirects = options.redirects or REDIRECTS, max_body = options.max_body or MAX_BODY,
    sockets = {},
  }
end

--- Sends a request, and reads the whole response. Its connection is closed when the call
--- returns, and when it is cancelled. Suspends.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
---@param url string of http or https
---@param options? table `method` (default "GET"), `headers` (a table), `body` (string),
---  `timeout` (seconds for all of it, default 60), `redirects` (how many are followed,
---  default 5), `max_body` (bytes, default 16 MiB), `ctx`, `version`, `proxy`
---@return { status: integer, headers: table<string, string>, body: string, url: string }?
---@return string? message why there is none
---@return "timeout"|"limit"|"redirects"|"network"? code
return function(url, options)
  local uri = parse(url)
  if not uri then
    arguments.fail(2, 1, "fetch", type(url) == "string" and
      ("URL of http or https expected, got '%s'"):format(url) or
      arguments.unexpected("string", url))
  end
  options = options == nil and {} or arguments.raw(options)
  local problem = problem_of(options)
  if problem then arguments.fail(2, 2, "fetch", problem) end
  core.check_suspend("fetch", 2)
  local call, running = new_call(url, options), coroutine.running()
  local before = sockets_by_coroutine[running]
  sockets_by_coroutine[running] = call.sockets
  local _ <close> = defer(function()
    sockets_by_coroutine[running] = before
    close_all(call.sockets)
  end)
  return spans.fetch(run, call, new_request(uri, options))
end
