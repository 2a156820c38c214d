--- Web requests as jobs: `require "uvjobs.http"`, for servers of lua-http. docs/http.md
--- describes it.
local condition = require "cqueues.condition"
local arguments = require "uvjobs.arguments"
local defer = require "uvjobs.defer"
local records = require "uvjobs.http.records"
local requests = require "uvjobs.http.request"
local servers = require "uvjobs.http.server"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"

core.own_source()

local expect = arguments.expect

local http = {}

-- ---- servers -----------------------------------------------------------------------

-- The options of setup(), besides those of a new scheduler.
local OPTIONS <const> = {
  scheduler = expect.scheduler,
  cancel_on_disconnect = expect.boolean,
  retry_after = expect.seconds,
}

local function is_server(value)
  return type(value) == "table" and type(value.add_stream) == "function" and
    type(value.add_socket) == "function"
end

-- Returns the options of setup() itself, and those for a new scheduler.
local function split_options(options)
  local own, rest = {}, {}
  for name, value in pairs(options) do
    if OPTIONS[name] then own[name] = value else rest[name] = value end
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

-- Blames the caller of setup() for wrong options.
local function new_scheduler(options)
  local ok, scheduler = pcall(uvjobs.scheduler, options)
  if ok then return scheduler end
  error((scheduler:gsub("^.-bad argument #1 to 'scheduler'", "bad argument #2 to 'setup'")), 3)
end

local function new_record(server, scheduler, options)
  return {
    server = server,
    scheduler = scheduler,
    owns_scheduler = options.scheduler == nil,
    requests = {},
    cancel_on_disconnect = options.cancel_on_disconnect ~= false,
    retry_after = ("%.0f"):format(math.ceil(options.retry_after or 1)),
    sockets = setmetatable({}, { __mode = "k" }),
    changed = condition.new(),
    closing = false,
    serving = false,
    add_socket = server.add_socket,
  }
end

--- Makes a job of every request to `server`, which is what `http.server.listen` or
--- `http.server.new` has returned. Does not suspend.
--- Errors: misuse.
---@param server table
---@param options? table those of uvjobs.scheduler, or `scheduler`; `retry_after` in
---  seconds, and `cancel_on_disconnect`
---@return uvjobs.Scheduler scheduler of the jobs
function http.setup(server, options)
  if not is_server(server) then
    arguments.fail(2, 1, "setup", arguments.unexpected("server of lua-http", server))
  elseif options ~= nil and type(options) ~= "table" then
    arguments.fail(2, 2, "setup", arguments.unexpected("table", options))
  elseif records.by_server[server] then
    arguments.fail(2, 1, "setup", "the server has been set up already")
  end
  local own, rest = split_options(options or {})
  local problem = problem_of_options(own, rest)
  if problem then arguments.fail(2, 2, "setup", problem) end
  local scheduler = own.scheduler or new_scheduler(rest)
  local record = new_record(server, scheduler, own)
  records.by_server[server] = record
  servers.wrap_onerror(record)
  server.add_stream, server.add_socket = requests.add_stream, servers.add_socket
  server.close = servers.close
  return scheduler
end

--- Runs the server in the current job until `server:close()` is called or the job is
--- cancelled. Then it stops accepting, lets the requests finish for the scheduler's
--- `wait_timeout`, and cancels those that are left. Suspends.
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

return http
