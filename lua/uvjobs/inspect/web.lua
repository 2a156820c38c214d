-- `uvjobs web`: serves the page and its data, to this machine only, and to nobody without the
-- token. It is a process of its own, and asks others as the other commands do.

local core = require "uvjobs.core"
local http = require "uvjobs.http"
local json = require "uvjobs.inspect.json"
local page = require "uvjobs.inspect.page"
local uvjobs = require "uvjobs"

core.own_source()

local web = {}

-- ---- who may ask -------------------------------------------------------------------------

local function random_hex(bytes)
  local file <close> = assert(io.open("/dev/urandom", "rb"))
  return (file:read(bytes):gsub(".", function(char) return ("%02x"):format(char:byte()) end))
end

-- Takes the same time wherever they differ.
local function is_equal(a, b)
  if #a ~= #b then return false end
  local difference = 0
  for i = 1, #a do difference = difference | (a:byte(i) ~ b:byte(i)) end
  return difference == 0
end

-- A page of somebody else, whose name leads to this machine, has another host.
local function is_loopback(authority)
  local host = (authority or ""):lower():gsub(":%d+$", "")
  return host == "127.0.0.1" or host == "localhost" or host == "[::1]"
end

-- ---- answers -----------------------------------------------------------------------------

local HEADERS <const> = {
  ["cache-control"] = "no-store",
  ["x-content-type-options"] = "nosniff",
  ["referrer-policy"] = "no-referrer",
  ["x-frame-options"] = "DENY",
}

local POLICY <const> = "default-src 'none'; connect-src 'self'; style-src 'nonce-%s'; "
  .. "script-src 'nonce-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

local function respond(stream, status, body, more)
  local headers = {}
  for name, value in pairs(HEADERS) do headers[name] = value end
  for name, value in pairs(more) do headers[name] = value end
  return http.respond(stream, status, body, headers)
end

local function respond_json(stream, status, value)
  return respond(stream, status, json.encode(value), { ["content-type"] = "application/json" })
end

local function respond_page(stream)
  local nonce = random_hex(16)
  return respond(stream, 200, page(nonce), {
    ["content-type"] = "text/html; charset=utf-8",
    ["content-security-policy"] = POLICY:format(nonce, nonce),
  })
end

-- Processes are asked by calls that block, in other threads.
local function look(pid, sort)
  return uvjobs.work(function(...)
    return require "uvjobs.inspect.report".process(...)
  end, pid, sort)
end

local function list(pids)
  return uvjobs.work(function(...)
    return require "uvjobs.inspect.report".list(...)
  end, pids)
end

local function cancel(pid, id, loop)
  return uvjobs.work(function(...)
    return require "uvjobs.inspect.ask".cancel(...)
  end, pid, id, loop)
end

-- ---- requests ----------------------------------------------------------------------------

local SORTS <const> = { age = true, ran = true, ready = true, resumes = true }

-- The number of a process that the page may ask about; or nil.
local function pid_of(query, allowed)
  local pid = query.pid and query.pid:match "^%d+$" and math.tointeger(tonumber(query.pid))
  if not pid or pid < 1 or pid > 0x7fffffff then return nil end
  if #allowed == 0 then return pid end
  for _, one in ipairs(allowed) do
    if one == pid then return pid end
  end
end

local routes = {}

routes["GET /"] = function(stream) return respond_page(stream) end

routes["GET /api/processes"] = function(stream, _, allowed)
  return respond(stream, 200, list(allowed), { ["content-type"] = "application/json" })
end

routes["GET /api/look"] = function(stream, query, allowed)
  local pid = pid_of(query, allowed)
  local sort = query.sort or "age"
  if not pid or not SORTS[sort] then return respond_json(stream, 400, { error = "bad query" }) end
  local text, problem = look(pid, sort)
  if not text then return respond_json(stream, 404, { error = problem }) end
  return respond(stream, 200, text, { ["content-type"] = "application/json" })
end

routes["POST /api/cancel"] = function(stream, query, allowed)
  local pid, id = pid_of(query, allowed), query.job and query.job:match "^%d+$"
  if not pid or not id or query.loop and not query.loop:find "^%d+$" then
    return respond_json(stream, 400, { error = "bad query" })
  end
  local answer, problem = cancel(pid, id, query.loop)
  if not answer then return respond_json(stream, 409, { error = problem }) end
  return respond_json(stream, 200, {})
end

local function read_query(text)
  local query = {}
  for name, value in (text or ""):gmatch "([^&=]+)=([^&]*)" do query[name] = value end
  return query
end

local function handler_of(token, allowed)
  return function(_, stream)
    local headers = assert(stream:get_headers())
    local method, target = headers:get ":method", headers:get ":path" or ""
    local path, rest = target:match "^([^?]*)%??(.*)$"
    local query = read_query(rest)
    local given = headers:get "x-token" or path == "/" and query.token or ""
    if not is_loopback(headers:get ":authority") then
      return respond_json(stream, 403, { error = "the Host header is not of this machine" })
    elseif not is_equal(given, token) then
      return respond_json(stream, 403, { error = "the token is wrong: see what uvjobs web prints" })
    end
    local route = routes[method .. " " .. path]
    if not route then return respond_json(stream, 404, { error = "there is no such page" }) end
    return route(stream, query, allowed)
  end
end

--- Serves until a signal ends it. It suspends.
---@param port integer 0 for one that is free
---@param allowed integer[] numbers of the processes that may be asked about; empty for all
---@param told fun(url: string) is called with the address of the page when it can be opened
function web.serve(port, allowed, told)
  local token = random_hex(16)
  local server <close> = http.server {
    host = "127.0.0.1", port = port, onstream = handler_of(token, allowed), limit = 8,
    pending_limit = 32,
  }
  told(server:url("/?token=" .. token))
  server:wait()
end

return web
