-- uv.serve: a server whose connections are jobs. The calling job accepts them, and stops the
-- server when it is cancelled.

local luv = require "luv"
local core = require "uvjobs.core"
local arguments = require "uvjobs.arguments"
local defer = require "uvjobs.defer"
local addresses = require "uvjobs.uv.addresses"
local handles = require "uvjobs.uv.handles"

core.own_source()

local uvjobs = core.public

local expect = arguments.expect

local STOP_TIMEOUT <const> = 5 -- seconds; less than the main job has to end after a signal
local BACKLOG <const> = 128 -- clients that wait in the system
local LONGEST <const> = 1e9 -- seconds, for a stop timeout without a limit
local ACCEPT_PAUSE <const> = 0.1 -- seconds, after an error such as EMFILE

-- libuv can set SO_REUSEPORT since this version.
local REUSEPORT_SINCE <const> = 1 << 16 | 49 << 8

local OPTIONS <const> = {
  limit = expect.count(1),
  backlog = expect.positive_integer,
  stop_timeout = expect.seconds_or_forever,
  reuseport = expect.boolean,
  on_listen = expect.func,
  exception_handler = expect.func,
}

-- ---- listening -----------------------------------------------------------------------

-- Returns the address to listen on; or nil, a message and a code. Of the addresses of a name
-- it is the first in the system's order.
local function resolve(uv, host)
  local address = addresses.of_number(host)
  if address then return address end
  local list, message, code = uv.getaddrinfo(host, nil, { socktype = "stream" })
  if list then return list[1].addr end
  return nil, message, code
end

-- Whether luv can share a port. One from before libuv 1.49 ignores the option, whatever
-- libuv it is used with, and does not say of which version it is itself: so it is tried.
local shares

local function try_to_share()
  local one, two = luv.new_tcp(), luv.new_tcp()
  local function ignore() end
  one:bind("127.0.0.1", 0, { reuseport = true })
  local first = one:listen(1, ignore)
  two:bind("127.0.0.1", one:getsockname().port, { reuseport = true })
  local second = two:listen(1, ignore)
  one:close()
  two:close()
  return first ~= nil and second ~= nil
end

local function can_share()
  if luv.version() < REUSEPORT_SINCE then return false end
  if shares == nil then shares = try_to_share() end
  return shares
end

-- Returns a bound handle as a managed one, or nil, a message and a code. The to-be-closed
-- variable of the caller closes the handle in any case.
local function bind_tcp(uv, tcp, host, port, options)
  local address, message, code = resolve(uv, host)
  if not address then return nil, message, code end
  if not options.reuseport then return tcp:bind(address, port) end
  if not can_share() then
    return nil, ("ENOTSUP: sharing a port needs luv and libuv 1.49 or later, and this is %s")
      :format(luv.version_string()), "ENOTSUP"
  end
  return tcp:bind(address, port, { reuseport = true })
end

local function bind_pipe(pipe, path)
  local ok, message, code = addresses.check_path(path)
  if not ok then return nil, message, code end
  return pipe:bind(path)
end

local function listen(uv, handle, host, port, options)
  local ok, message, code
  if port then
    ok, message, code = bind_tcp(uv, handle, host, port, options)
  else
    ok, message, code = bind_pipe(handle, host)
  end
  if not ok then return nil, message, code end
  return handle:listen(options.backlog or BACKLOG)
end

-- ---- connections ---------------------------------------------------------------------

--- A server that runs.
---@class uvjobs.uv.Server
---@field handle userdata that listens
---@field fn fun(client: userdata, peer: table?)
---@field connections uvjobs.Scheduler
---@field slots uvjobs.Semaphore one permit for each further connection
---@field clients table<userdata, true> the connections that have a job, which may not have
---  begun
---@field complained boolean the last attempts to accept have failed, and this was reported

-- The body of a connection's job.
local function serve_client(server, client, peer)
  local _ <close> = defer(function()
    server.clients[client] = nil
    handles.close(client)
    server.slots:release()
  end)
  server.fn(client, peer)
end

-- Returns the peer's address, and a name for the job. A client that has disconnected has no
-- address any more: then this returns nil.
local function peer_of(server, client)
  if luv.handle_get_type(server.handle) == "pipe" then return nil, "client" end
  local peer = client:getpeername()
  return peer, peer and addresses.text(peer.ip, peer.port)
end

-- Spawns the job of a client, which takes the slot that was acquired for it.
local function admit(server, client)
  local peer, name = peer_of(server, client)
  local job = name and
    server.connections:try_spawn({ name = name }, serve_client, server, client, peer)
  if job then
    server.clients[client] = true
  else
    handles.close(client)
    server.slots:release()
  end
end

local function report(server, message)
  if server.complained then return end
  server.complained = true
  server.connections:call_exception_handler {
    message = "Accepting failed",
    exception = message,
  }
end

-- Accepts clients until the job is to end. A client is accepted only when there is a slot
-- for it: until then it waits in the system.
local function accept(server)
  while true do
    server.slots:acquire()
    local client, message = server.handle:next()
    if client then
      server.complained = false
      admit(server, client)
    else
      server.slots:release()
      report(server, message)
      uvjobs.sleep(ACCEPT_PAUSE)
    end
  end
end

-- ---- the server ----------------------------------------------------------------------

-- Errors of connections go where those of the calling job's scheduler go, unless the options
-- say otherwise.
local function new_connections(options)
  local scheduler = uvjobs.current().scheduler
  return uvjobs.scheduler {
    name = "connections",
    limit = math.huge, -- the slots are the limit
    exception_handler = options.exception_handler or function(_, context)
      scheduler:call_exception_handler(context)
    end,
  }
end

-- Closes the clients whose jobs never began.
local function close_clients(server)
  for client in pairs(server.clients) do handles.close(client) end
end

-- Accepts until the job is to end, lets the connections finish, closes the others, and raises
-- why. That clients hold on to their connections is no error, so this is not reported, as
-- wait_and_close() would.
local function run(server, stop_timeout)
  local _ <close> = defer(function() close_clients(server) end)
  local connections <close> = server.connections
  local _, err = pcall(accept, server)
  handles.close(server.handle)
  uvjobs.protect(connections.wait_idle, connections, math.min(stop_timeout, LONGEST))
  error(err, 0)
end

local function failure(host, port, message, code)
  return nil, ("cannot listen on %s: %s"):format(addresses.text(host, port), message), code
end

-- Returns what on_listen() is given.
local function address_of(handle, host, port)
  if port then return handle:getsockname() end
  return { path = host }
end

local function serve(uv, host, port, options, fn)
  local handle <close> = port and uv.new_tcp() or uv.new_pipe(false)
  local ok, message, code = listen(uv, handle, host, port, options)
  if not ok then return failure(host, port, message, code) end
  if options.on_listen then options.on_listen(address_of(handle, host, port)) end
  return run({
    handle = handle, fn = fn, connections = new_connections(options),
    slots = uvjobs.semaphore(options.limit or math.huge),
    clients = {}, complained = false,
  }, options.stop_timeout or STOP_TIMEOUT)
end

return function(uv)
  --- Listens on an address, or on the path of a Unix socket, and calls fn(client, peer) in a
  --- job of its own for each client that connects. The client is closed when fn is left, and
  --- an error of fn goes to the exception handler. Suspends until the job is to end. Then it
  --- stops listening, lets the connections finish for `stop_timeout`, closes them, and raises
  --- why the job is to end.
  --- Errors: misuse; those of on_listen; `cancelled`, `timeout` and `killed` of the current
  --- job.
  ---@param host string an address; a name, of which the first address counts; or a path
  ---@param port? integer 0 to 65535; 0 takes a free one; nil for a path
  ---@param options? table limit, backlog, stop_timeout, reuseport, on_listen and
  ---  exception_handler
  ---@param fn fun(client: userdata, peer: table?)
  ---@return nil
  ---@return string message when it cannot listen
  ---@return string code such as "EADDRINUSE"
  function uv.serve(host, port, options, fn)
    addresses.check(2, "serve", host, port, 0)
    options = options == nil and {} or arguments.raw(options)
    local problem = arguments.problem_of_options(options, OPTIONS)
    if problem then arguments.fail(2, 3, "serve", problem) end
    arguments.check_function(2, 4, "serve", fn)
    core.check_suspend("serve", 2)
    if core.interrupted() then uvjobs.yield() end -- raises why the job is to end
    return serve(uv, host, port, options, fn)
  end
end
