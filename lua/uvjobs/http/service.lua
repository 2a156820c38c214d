-- http.server: a server that listens, is set up and serves, as one value.

local arguments = require "uvjobs.arguments"
local http_server = require "http.server"
local records = require "uvjobs.http.records"
local servers = require "uvjobs.http.server"
local threads = require "uvjobs.http.threads"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"

core.own_source()

local service = {}

local expect = arguments.expect

-- The options that are lua-http's. It checks those that say no more here.
local function anything() return nil end

local LISTEN <const> = {
  onstream = arguments.kind(function(value)
    return type(value) == "function" or type(value) == "string"
  end, "function or name of a module"),
  threads = arguments.kind(function(value)
    return math.type(value) == "integer" and value >= 1 and value <= 1024
  end, "integer from 1 to 1024"),
  workers = expect.workers, data = anything,
  onerror = expect.func, host = expect.string, path = expect.string,
  port = function(value)
    local port = math.tointeger(tonumber(value))
    if not port or port < 0 or port > 65535 then return "port from 0 to 65535" end
  end,
  tls = expect.boolean, ctx = anything, version = anything, max_concurrent = expect.count(1),
  connection_setup_timeout = expect.seconds, intra_stream_timeout = expect.seconds,
  family = anything, v6only = expect.boolean, reuseaddr = expect.boolean,
  reuseport = expect.boolean, mode = anything, mask = anything, unlink = expect.boolean,
}

---@class uvjobs.http.Server
---@field scheduler? uvjobs.Scheduler of the requests; nil with parts in threads, as `server`
---@field server? table lua-http's
---@field workers? uvjobs.Workers in whose threads the parts are
---@field jobs uvjobs.Scheduler has the job that serves
---@field serving uvjobs.Job
---@field _stop fun(self: uvjobs.http.Server) begins to stop it
---@field _scheme "http"|"https"
local Server = {}
Server.__index = Server
Server.__name = "uvjobs.http.Server"

local function check_self(self, name)
  if getmetatable(self) ~= Server then
    arguments.fail_self(3, name, "uvjobs.http.Server", self)
  end
end

--- The port on which it listens. Does not suspend.
---@return integer? port nil for a socket with a path
function Server:port()
  check_self(self, "port")
  return self._address[2]
end

--- The address on which it listens. Does not suspend.
---@return string host or the path of the socket
---@return integer? port
function Server:address()
  check_self(self, "address")
  return self._address[1], self._address[2]
end

--- The URL of a path on the server. Does not suspend.
---@param path? string default "/"
---@return string url
function Server:url(path)
  check_self(self, "url")
  local host, port = self:address()
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return ("%s://%s:%d%s"):format(self._scheme, host, port, path or "/")
end

--- Waits until the server has stopped: until somebody closes it. Suspends.
--- Errors: `cancelled`, `timeout` and `killed` of the current job; what has ended the job
--- that serves.
function Server:wait()
  check_self(self, "wait")
  self.serving:wait()
end

-- Whether the server waits for the current job when it stops.
local function is_awaited(self)
  local job = uvjobs.current()
  if job == self.serving then return true end
  if not self.server then return false end
  local record = records.by_server[self.server]
  if record.owns_scheduler and job.scheduler == record.scheduler then return true end
  for request in pairs(record.requests) do
    if request.job == job then return true end
  end
  return false
end

--- Stops the server: accepts no more, lets the requests finish for `stop_timeout`, and
--- cancels those that are left. Returns when all have ended; the second time, too. Suspends,
--- and is not cancelled meanwhile; where it cannot suspend, and in a job for which the server
--- waits, such as a handler, it only begins to stop.
function Server:close()
  check_self(self, "close")
  self:_stop()
  if core.can_suspend() and not is_awaited(self) then
    uvjobs.protect(self.jobs.wait_and_close, self.jobs)
  end
end

Server.__close = Server.close

function Server:__tostring()
  local host, port = self:address()
  return ("uvjobs.http.Server: %s%s"):format(host, port and ":" .. port or "")
end

arguments.refuse_others("uvjobs.http.Server", Server, {
  "scheduler", "server", "jobs", "serving", "workers",
})

local function split(options)
  local listen, rest = {}, {}
  for name, value in next, options do
    if LISTEN[name] then listen[name] = value else rest[name] = value end
  end
  return listen, rest
end

-- The options of listening come after the others: a name that is not known may be one of
-- those that are missed here.
local function problem_of(listen)
  local problem = arguments.problem_of_options(listen, LISTEN)
  if problem then return problem end
  if not listen.onstream then return "option 'onstream' expected" end
  if not listen.path and not listen.port then return "option 'port' or 'path' expected" end
end

-- Listens. Returns lua-http's server; or nil and a message.
local function new_listening(listen)
  if not listen.path then listen.host = listen.host or "127.0.0.1" end
  if listen.tls == nil then listen.tls = listen.ctx ~= nil end
  local server, message = http_server.listen(listen)
  if not server then return nil, message end
  local ok
  ok, message = server:listen()
  if ok then return server end
  server:close()
  return nil, message
end

-- The names of all options that are not the scheduler's.
local function all_names(known)
  local names = {}
  for _, set in ipairs { LISTEN, known } do
    for name in pairs(set) do names[name] = true end
  end
  return names
end

-- Whether it has parts in threads.
local function has_parts(listen)
  return listen.threads ~= nil or listen.workers ~= nil
end

-- What is wrong with the address is wrong in all threads. No other server may have the port:
-- the system would divide the connections between that one and ours.
local function check_address(listen)
  if listen.port == 0 or listen.reuseport then return true end
  local server, message = new_listening { host = listen.host, port = listen.port, tls = false,
    family = listen.family, v6only = listen.v6only, onstream = print }
  if server then server:close() end
  return server ~= nil, message
end

local function address_of(server)
  local _, host, port = server:localname()
  return { host, math.tointeger(port) }
end

local function stop_single(self)
  servers.close(self.server)
end

local function start(server, record)
  local self = setmetatable({
    server = server, scheduler = record.scheduler, _address = address_of(server),
    _scheme = server.tls and "https" or "http", _stop = stop_single,
    jobs = uvjobs.scheduler { close_timeout = record.stop_timeout + 1 },
  }, Server)
  self.serving = self.jobs:spawn({ name = "server" }, servers.serve, record)
  return self
end

local function start_parts(listen, rest, plan)
  local self = setmetatable({
    _scheme = (listen.tls or listen.ctx) and "https" or "http", _stop = threads.stop,
    jobs = uvjobs.scheduler {
      close_timeout = plan.stop_timeout + 3, exception_handler = rest.exception_handler,
    },
  }, Server)
  threads.start(self, listen, rest, plan.stop_timeout)
  return self
end

-- Returns the function that a module returns; or nil and what is wrong with it.
local function function_of(module)
  local ok, handler = pcall(require, module)
  if not ok then return nil, ("option 'onstream': %s"):format(tostring(handler)) end
  if type(handler) == "function" then return handler end
  return nil, ("option 'onstream': module '%s' that returns a function expected, got %s"):format(
    module, core.typename(handler))
end

-- Returns what lua-http calls; or nil and what is wrong with the option.
local function handler_of(listen)
  local handler, data, problem = listen.onstream, listen.data, nil
  if type(handler) == "string" then handler, problem = function_of(handler) end
  if data == nil or problem then return handler, problem end
  return function(server, stream) return handler(server, stream, data) end
end

local function cannot_listen(listen, message)
  error(("cannot listen on %s: %s"):format(listen.path or
    ("%s:%d"):format(listen.host, listen.port), message), 4)
end

local function problem_of_parts(listen, rest)
  return has_parts(listen) and threads.problem_of(listen, rest) or nil
end

--- Has the place of http.server(). `prepare`, `install` and `known` are http.setup's.
function service.new(options, prepare, install, known)
  if type(options) ~= "table" then
    arguments.fail(3, 1, "server", arguments.unexpected("table", options))
  end
  core.check_suspend("server", 3)
  local listen, rest = split(options)
  local plan, problem = prepare(rest, all_names(known))
  problem = problem or problem_of(listen) or problem_of_parts(listen, rest)
  if problem then arguments.fail(3, 1, "server", problem) end
  if has_parts(listen) then
    listen.host = listen.host or "127.0.0.1"
    local ok, message = check_address(listen)
    if not ok then cannot_listen(listen, message) end
    return start_parts(listen, rest, plan)
  end
  listen.onstream, problem = handler_of(listen)
  if problem then arguments.fail(3, 1, "server", problem) end
  local server, message = new_listening(listen)
  if not server then cannot_listen(listen, message) end
  return start(server, install(server, plan))
end

return service
