--- What the specs of cqueues and http share: servers, clients, and what they must not
--- leave behind.
local assert = require "luassert"
local uvjobs = require "uvjobs"
local cqueues = require "uvjobs.cqueues"
local http = require "uvjobs.http"
local http_server = require "http.server"
local cqueues_socket = require "cqueues.socket"
local new_headers = require "http.headers".new
require "http.request"

-- What is made at the first use and stays must be made before anything is counted.
cqueues.poll(0)
uvjobs.run(function()
  assert(uvjobs.exec("true").code == 0)
  for _, socket in ipairs { cqueues_socket.pair() } do socket:close() end
end)
local jobs_helper = require "spec.helper"
local guard = require "spec.guard"

local helper = {}

-- ---- waiting -----------------------------------------------------------------------

--- Suspends the job until is_so() gives a true value, and returns that. Raises after a long time.
function helper.wait_until(is_so, what)
  for _ = 1, 15000 do
    local value = is_so()
    if value then return value end
    uvjobs.sleep(0.001)
  end
  error("nothing has come of: " .. (what or "what was waited for"), 2)
end

-- ---- what is left -------------------------------------------------------------------

--- The number of open descriptors.
function helper.descriptors()
  return guard.descriptors(1100)
end

local descriptors_before, handles_before

--- For after_each: like helper.check_clean, and no descriptor and no handle of luv is left.
function helper.check_clean()
  if helper.descriptors() ~= descriptors_before then -- a stack may still have something
    uvjobs.run(cqueues.sleep, 0)
  end
  local descriptors, handles = helper.descriptors(), guard.handles()
  local were, had = descriptors_before, handles_before
  descriptors_before, handles_before = descriptors, handles
  jobs_helper.check_clean()
  assert.equal(were, descriptors, "descriptors are left")
  assert.equal(had, handles, "handles are left")
end

-- ---- servers ------------------------------------------------------------------------

--- Sends a response; `more` has further header fields.
function helper.respond(stream, status, text, more)
  local headers = new_headers()
  headers:append(":status", status)
  headers:append("content-length", ("%d"):format(#text))
  for name, value in pairs(more or {}) do headers:append(name, value) end
  assert(stream:write_headers(headers, false))
  assert(stream:write_body_from_string(text))
end

-- Without `onerror` in the options, errors go to the exception handler.
local LISTEN <const> = {
  tls = true, ctx = true, version = true, onerror = true, intra_stream_timeout = true,
  connection_setup_timeout = true, max_concurrent = true,
}

--- A server that was set up. `options` are those of listen and of setup; `routes` is a
--- table of handlers by path, which get the stream and the headers, or one handler like
--- lua-http's. Returns a table: `server`, `scheduler`, `port`, `reports` and `serving`.
function helper.new_server(routes, options)
  local listening, ours = { host = "127.0.0.1", port = 0, tls = false }, {}
  for name, value in pairs(options or {}) do
    if LISTEN[name] then listening[name] = value else ours[name] = value end
  end
  listening.onstream = type(routes) == "function" and routes or function(_, stream)
    local headers = assert(stream:get_headers())
    local path = headers:get ":path"
    local route = routes[path:match "^[^?]*"]
    if not route then return helper.respond(stream, "404", "no such page\n") end
    return route(stream, headers)
  end
  local reports = {}
  if not ours.scheduler and not ours.exception_handler then
    ours.exception_handler = function(_, context) reports[#reports + 1] = context end
  end
  local server = assert(http_server.listen(listening))
  assert(server:listen())
  local scheduler = http.setup(server, ours)
  local _, _, port = server:localname()
  return { server = server, scheduler = scheduler, reports = reports, port = port }
end

--- Serves while `fn(web)` runs, then closes the server, and asserts that nothing is left
--- of it. Must be called in a job.
function helper.with_server(routes, options, fn)
  local web = helper.new_server(routes, options)
  local jobs <close> = uvjobs.scheduler()
  web.serving = jobs:spawn({ name = "serving" }, http.serve, web.server)
  local ok, err = xpcall(fn, function(e)
    return type(e) == "string" and debug.traceback(e) or e
  end, web)
  web.server:close()
  web.serving:wait()
  if not ok then error(err, 0) end
  if not (options and options.scheduler) then assert.equal(0, #web.scheduler) end
  return web
end

--- The same in a run of its own.
function helper.serve(routes, options, fn)
  local result
  uvjobs.run(function()
    uvjobs.timeout(600, function() result = helper.with_server(routes, options, fn) end)
  end)
  return result
end

-- ---- clients ------------------------------------------------------------------------

-- A sanitizer that was preloaded into this process would make curl hang.
local NO_SANITIZER <const> = { env = { LD_PRELOAD = false } }

--- Runs curl with these arguments; the last is a path on the server. Returns what it
--- printed, and its exit status.
function helper.curl(web, ...)
  local args = { "-sS", "--max-time", "600", ... }
  args[#args] = ("%s://127.0.0.1:%d%s"):format(web.scheme or "http", web.port, args[#args])
  local result = assert(uvjobs.exec("curl", args, NO_SANITIZER))
  return result.stdout, result.code, result.stderr
end

--- A connection to the server: a socket of cqueues.
function helper.connect(web)
  local socket = assert(cqueues_socket.connect { host = "127.0.0.1", port = web.port })
  socket:onerror(function(_, _, why) return why end)
  socket:setmode("b", "bn")
  socket:settimeout(600)
  assert(socket:connect())
  return socket
end

--- Sends text.
function helper.send(socket, text)
  assert(socket:xwrite(text, "bn"))
end

--- Reads one response with a Content-Length: its status, body, and header fields.
function helper.read_response(socket)
  local line = socket:xread "*l"
  if not line then return nil end
  local status, fields = line:match "^HTTP/1%.[01] (%d+)", {}
  while true do
    local field = assert(socket:xread "*l", "the header is cut"):gsub("\r$", "")
    if field == "" then break end
    local name, value = field:match "^(.-): (.*)$"
    fields[name:lower()] = value
  end
  local length = math.tointeger(fields["content-length"] or 0)
  local body = length > 0 and assert(socket:xread(length)) or ""
  return status, body, fields
end

--- Sends a text on a connection of its own, and returns all that comes until the other
--- side closes it.
function helper.raw(web, text)
  local socket = helper.connect(web)
  local _ <close> = setmetatable({}, { __close = function() socket:close() end })
  socket:xwrite(text, "bn")
  return socket:xread "*a" or ""
end

--- The text of a GET request; `more` has further header lines.
function helper.get(path, more)
  return ("GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"):format(path, more or "")
end

descriptors_before, handles_before = helper.descriptors(), guard.handles()

return helper
