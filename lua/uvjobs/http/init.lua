--- Web requests as jobs: `require "uvjobs.http"`, for servers of lua-http. docs/http.md
--- describes it.
local needs = require "uvjobs.needs"
needs("uvjobs.http", "cqueues")
require "uvjobs.cqueues" -- finds lua-http, too, where Debian has it
needs("uvjobs.http", "http.server")
local condition = require "cqueues.condition"
local arguments = require "uvjobs.arguments"
local defer = require "uvjobs.defer"
local records = require "uvjobs.http.records"
local requests = require "uvjobs.http.request"
local respond = require "uvjobs.http.respond"
local servers = require "uvjobs.http.server"
local service = require "uvjobs.http.service"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"

core.own_source()

local expect = arguments.expect

local http = {}

-- ---- servers -----------------------------------------------------------------------

-- Seconds that requests get to finish when the server stops, unless the program says
-- otherwise: less than the 10 seconds after which a signal ends the main job by force.
local STOP_TIMEOUT <const> = 5
local LONGEST <const> = 365 * 24 * 3600

-- The options of setup(), besides those of a new scheduler.
local OPTIONS <const> = {
  scheduler = expect.scheduler,
  cancel_on_disconnect = expect.boolean,
  retry_after = expect.finite_seconds,
  header_timeout = expect.seconds_or_forever,
  body_timeout = expect.seconds_or_forever,
  request_timeout = expect.seconds_or_forever,
  max_body = expect.count(0),
  stop_timeout = expect.seconds_or_forever,
  on_end = expect.func,
}

local function is_server(value)
  return type(value) == "table" and type(value.add_stream) == "function" and
    type(value.add_socket) == "function"
end

-- Returns the options that are known, and the others.
local function split_options(options, known)
  local own, rest = {}, {}
  for name, value in next, options do
    if known[name] then own[name] = value else rest[name] = value end
  end
  return own, rest
end

local function problem_of_options(own, rest)
  local problem = arguments.problem_of_options(own, OPTIONS)
  if problem then return problem end
  if own.scheduler and next(rest) ~= nil then
    return ("option '%s' is for a new scheduler, and 'scheduler' is given")
      :format(tostring((next(rest))))
  end
end

-- Makes a scheduler; or returns nil and what is wrong with the options. A name that is
-- not known may have been meant for one of the options `known`.
local function new_scheduler(options, known)
  local ok, scheduler = pcall(uvjobs.scheduler, options)
  if ok then return scheduler end
  local problem = tostring(scheduler):match "bad argument #1 to 'scheduler' %((.*)%)$"
  if not problem then error(scheduler, 0) end
  local key, hint = problem:match "^unknown option '(.-)', (.*)$"
  if not key then return nil, problem end
  local names = {}
  for name in hint:gsub("^known:", ""):gmatch "[%w_]+" do names[name] = true end
  for name in pairs(known) do names[name] = true end
  return nil, arguments.unknown_option(key, names)
end

-- How long requests may take when the server stops: also when the scheduler's own limit is
-- longer, since that is for all its jobs.
local function stop_timeout_of(options, rest, scheduler)
  local seconds = options.stop_timeout
  if not seconds and (options.scheduler or rest.wait_timeout) and
    scheduler.wait_timeout < math.huge then
    seconds = scheduler.wait_timeout
  end
  return math.min(seconds or STOP_TIMEOUT, LONGEST)
end

local function finite(value)
  if value ~= math.huge then return value end
end

local function new_record(server, scheduler, options, stop_timeout)
  return {
    server = server,
    scheduler = scheduler,
    owns_scheduler = options.scheduler == nil,
    requests = {},
    cancel_on_disconnect = options.cancel_on_disconnect ~= false,
    retry_after = ("%.0f"):format(math.ceil(options.retry_after or 1)),
    header_timeout = options.header_timeout or 10,
    body_timeout = options.body_timeout or 30,
    request_timeout = finite(options.request_timeout),
    max_body = options.max_body or 16 * 1024 * 1024,
    stop_timeout = stop_timeout,
    on_end = options.on_end,
    sockets = setmetatable({}, { __mode = "k" }),
    changed = condition.new(),
    closing = false,
    serving = false,
    add_socket = server.add_socket,
  }
end

-- A client that does not finish its TLS handshake, or the preface of HTTP/2, is as slow as
-- one that does not finish its headers.
local function limit_connection_setup(server, record)
  if rawget(server, "connection_setup_timeout") == nil then
    server.connection_setup_timeout = finite(record.header_timeout)
  end
end

-- Makes of the options of setup() what install() needs; or returns nil and what is wrong
-- with them. `known` has the names that a misspelt one may have been meant for.
local function prepare(options, known)
  local own, rest = split_options(options, OPTIONS)
  local problem = problem_of_options(own, rest)
  if problem then return nil, problem end
  local scheduler = own.scheduler
  if not scheduler then
    scheduler, problem = new_scheduler(rest, known)
    if not scheduler then return nil, problem end
  end
  return { own = own, scheduler = scheduler, stop_timeout = stop_timeout_of(own, rest, scheduler) }
end

-- Sets the server up. Returns its record.
local function install(server, plan)
  local record = new_record(server, plan.scheduler, plan.own, plan.stop_timeout)
  records.by_server[server] = record
  limit_connection_setup(server, record)
  servers.wrap_onerror(record)
  server.add_stream, server.add_socket = requests.add_stream, servers.add_socket
  server.close = servers.close
  return record
end

--- Makes a job of every request to `server`, which is what `http.server.listen` or
--- `http.server.new` has returned. Does not suspend.
--- Errors: misuse.
---@param server table
---@param options? table those of uvjobs.scheduler, or `scheduler`; and those in OPTIONS
---@return uvjobs.Scheduler scheduler of the jobs
function http.setup(server, options)
  if not is_server(server) then
    arguments.fail(2, 1, "setup", arguments.unexpected("server of lua-http", server))
  elseif options ~= nil and type(options) ~= "table" then
    arguments.fail(2, 2, "setup", arguments.unexpected("table", options))
  elseif records.by_server[server] then
    arguments.fail(2, 1, "setup", "the server has been set up already")
  end
  local plan, problem = prepare(options or {}, OPTIONS)
  if not plan then arguments.fail(2, 2, "setup", problem) end
  return install(server, plan).scheduler
end

--- Runs the server in the current job until `server:close()` is called or the job is
--- cancelled. Then it stops accepting, lets the requests finish for `stop_timeout`, and
--- cancels those that are left. Suspends.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
---@param server table that was set up
function http.serve(server)
  local record = records.by_server[server]
  if not record then
    arguments.fail(2, 1, "serve", is_server(server) and "the server has not been set up"
      or arguments.unexpected("server of lua-http", server))
  elseif record.serving then
    arguments.fail(2, 1, "serve", "the server is being served already")
  end
  core.check_suspend("serve", 2)
  servers.serve(record)
end

-- ---- requests ----------------------------------------------------------------------

--- The scheduler of a server. Does not suspend.
---@param server table
---@return uvjobs.Scheduler? scheduler nil for a server that was not set up
function http.get_scheduler_from_server(server)
  local record = records.by_server[server]
  return record and record.scheduler
end

--- The scheduler of the server that the stream came to. Does not suspend.
---@param stream table
---@return uvjobs.Scheduler? scheduler nil when the server was not set up
function http.get_scheduler_from_stream(stream)
  local request = records.by_stream[stream]
  return request and request.server_record.scheduler
end

--- The same, but raises when there is none. Does not suspend.
--- Errors: misuse.
---@param stream table
---@return uvjobs.Scheduler
function http.get_scheduler(stream)
  local scheduler = http.get_scheduler_from_stream(stream)
  if scheduler then return scheduler end
  error("the stream belongs to no server that was set up by uvjobs.http", 2)
end

--- Spawns a job in the scheduler of the stream's server. The job goes on when the client
--- disconnects. Suspends, and raises, as scheduler:spawn does.
---@param stream table
---@param ... any the arguments of scheduler:spawn
---@return uvjobs.Job
function http.spawn(stream, ...)
  return http.get_scheduler(stream):spawn(...)
end

--- Calls scheduler:shield of the scheduler of the stream's server. Suspends, and raises,
--- as that does.
---@param stream table
---@param ... any the arguments of scheduler:shield
---@return any ... the results of the function
function http.shield(stream, ...)
  return http.get_scheduler(stream):shield(...)
end

--- Makes a handler whose job is not cancelled while it runs when the client disconnects.
--- Does not suspend.
--- Errors: misuse.
---@param handler fun(server: table, stream: table, ...: any): ...: any
---@return fun(server: table, stream: table, ...: any): ...: any atomic
function http.atomic(handler)
  arguments.check_function(2, 1, "atomic", handler)
  return function(server, stream, ...)
    local request = records.by_stream[stream]
    if not request then return handler(server, stream, ...) end
    local atomic_before = request.atomic
    local _ <close> = defer(function() request.atomic = atomic_before end)
    request.atomic = true
    return handler(server, stream, ...)
  end
end

--- Sends a whole response. Suspends until the client has taken it.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
---@param stream table
---@param status integer|string
---@param body? string
---@param headers? table<string, string|number|string[]> or one of http.headers
---@return true? sent nil when the client has gone, or does not take it
---@return string? message
---@return integer? errno
function http.respond(stream, status, body, headers)
  return respond(stream, status, body, headers) -- a tail call, because it blames our caller
end

-- ---- a server in one call --------------------------------------------------------------

--- Listens, and makes a job of every request. Serves in a job of its own until the value is
--- closed, which leaving the block of a to-be-closed variable does: that is the graceful
--- stop of `serve`. Suspends.
--- Errors: misuse, also when the address cannot be used; `cancelled`, `timeout` and
--- `killed` of the current job.
---@param options table `onstream`, `host`, `port` or `path`; others of http.server.listen;
---  and those of setup
---@return uvjobs.http.Server
function http.server(options)
  local server = service.new(options, prepare, install, OPTIONS) -- it blames our caller
  return server
end

http.fetch = require "uvjobs.http.fetch"

return http
