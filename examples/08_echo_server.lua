-- A TCP server that sends back what it gets. Each connection is a job; at most LIMIT of
-- them are served at once, and further clients wait in the system's queue. SIGINT (Ctrl-C)
-- or SIGTERM stops it gently: it accepts no more clients, lets the connections finish for
-- GRACE seconds, and then cancels them. A second signal ends the program at once.
--
--   script/run examples/08_echo_server.lua 7000          the server
--   script/run examples/08_echo_server.lua --load 7000   clients that load it
--   script/run examples/08_echo_server.lua               both, and then a SIGINT
--   uvjobs examples/08_echo_server.lua 7000              with the rock installed
--
-- It listens on the loopback address only. It needs luv (Debian: lua-luv).

local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"

local HOST = "127.0.0.1"
local LIMIT = 50 -- connections at once
local GRACE = 5 -- seconds that connections get to finish when the server stops
local BACKLOG = 128 -- clients that may wait in the system's queue
local CLIENTS, MESSAGES = 100, 200 -- with --load: clients, and messages of each
local PATIENCE = 10 -- seconds that a client waits for an answer

local function complain(text)
  io.stderr:write("08_echo_server.lua: ", text, "\n")
end

-- ---- the server ------------------------------------------------------------

local function listen(port)
  local server = uv.new_tcp()
  assert(server:bind(HOST, port))
  assert(server:listen(BACKLOG))
  return server
end

--- The job of one connection. Its errors go to the exception handler, for instance when the
--- client disconnects while something is sent to it.
local function echo(stream, counts)
  local client <close> = stream
  for chunk in client:chunks() do
    assert(client:write(chunk))
  end
  counts.finished = counts.finished + 1
end

--- Spawns a job for a client. At the limit `spawn` suspends, and no client is accepted
--- meanwhile.
local function admit(connections, client, counts)
  local ok, err = pcall(connections.spawn, connections, echo, client, counts)
  if not ok then
    client:close()
    error(err, 0)
  end
  counts.served = counts.served + 1
  counts.most = math.max(counts.most, connections.active_count)
end

--- Accepts clients until the job is cancelled.
local function accept(server, connections, counts)
  while true do
    local client, message = server:next()
    if client then
      admit(connections, client, counts)
    else
      complain("cannot accept: " .. message) -- too many open files, for instance
      uvjobs.sleep(0.1)
    end
  end
end

--- Serves until a signal cancels the main job, which calls this. Waiting for the
--- connections is protected then, because a cancelled job cannot wait otherwise.
local function serve(listening, options)
  local server <close> = listening
  local counts = { served = 0, finished = 0, most = 0 }
  local connections = uvjobs.scheduler {
    limit = options.limit,
    pending_limit = 0,
    exception_handler = function(_, context)
      complain(tostring(context.exception))
    end,
  }
  local _, err = pcall(accept, server, connections, counts)
  if uvjobs.code(err) ~= "cancelled" then error(err, 0) end
  print(err.signal .. ": stopping")
  server:close()
  uvjobs.protect(connections.wait_and_close, connections, options.grace)
  print(("%d connections served, at most %d at once, %d cut off"):format(counts.served,
    counts.most, counts.served - counts.finished))
end

-- ---- clients that load it --------------------------------------------------

local function connect(port)
  local client = uv.new_tcp()
  local ok, message = client:connect(HOST, port)
  if ok then return client end
  client:close()
  error("cannot connect: " .. message, 0)
end

--- Sends a message, and waits until all of it has come back.
local function round_trip(client, message)
  assert(client:write(message))
  local answer = ""
  while #answer < #message do
    local chunk, problem = client:read_some(PATIENCE)
    if not chunk then error(problem or "the server has closed the connection", 0) end
    answer = answer .. chunk
  end
  if answer ~= message then error("the answer is not what was sent", 0) end
end

--- The job of one client.
local function converse(port, number)
  local client <close> = connect(port)
  for i = 1, MESSAGES do
    round_trip(client, ("client %d sends message %d\n"):format(number, i))
  end
end

--- Runs all clients at once, and waits for them. Returns whether none has failed.
local function load_server(port, clients)
  local started = uvjobs.now()
  local failed = 0
  do
    local jobs <close> = uvjobs.scheduler {
      limit = clients,
      wait_timeout = 3600,
      exception_handler = function(_, context)
        failed = failed + 1
        complain(("client failed: %s"):format(context.exception))
      end,
    }
    for i = 1, clients do jobs:spawn(converse, port, i) end
  end
  local good = clients - failed
  print(("%d clients got all %d answers, %d failed"):format(good, MESSAGES, failed))
  io.stderr:write(("%.0f round trips per second\n"):format(
    good * MESSAGES / (uvjobs.now() - started)))
  return failed == 0
end

-- ---- both ------------------------------------------------------------------

--- Loads the server while one more client is connected. That client still is when the
--- signal comes, and so it is cut off.
local function try(port)
  local idle <close> = connect(port)
  round_trip(idle, "hello\n")
  load_server(port, 20)
  uv.kill(uv.os_getpid(), "sigint") -- as Ctrl-C does
  print("the idle client sees the end:", idle:read_some(PATIENCE) == nil)
end

local function try_both()
  local server = listen(0)
  local clients = uvjobs.scheduler()
  local job = clients:spawn(try, server:getsockname().port)
  serve(server, { limit = 8, grace = 0.2 })
  uvjobs.protect(job.wait, job)
end

-- ---- the command line ------------------------------------------------------

local function usage()
  io.stderr:write("usage: 08_echo_server.lua [[--load] PORT]\n")
  os.exit(2)
end

local function main(first, second)
  if not first then return try_both() end
  local loads = first == "--load"
  local port = math.tointeger(tonumber(loads and second or first))
  if not port or port < 1 or port > 65535 then usage() end
  if not loads then
    serve(listen(port), { limit = LIMIT, grace = GRACE })
  elseif not load_server(port, CLIENTS) then
    os.exit(1)
  end
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
