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
local CLIENTS, MESSAGES = 100, 200 -- with --load: clients, and messages of each
local PATIENCE = 10 -- seconds that a client waits for an answer

local function complain(text)
  io.stderr:write("08_echo_server.lua: ", text, "\n")
end

-- ---- the server ------------------------------------------------------------

--- Serves until a signal cancels the main job, which calls this. `on_listen` is called with
--- the address. An error of one connection is told, and ends no other.
local function serve(port, limit, grace, on_listen)
  local served, finished, now, most = 0, 0, 0, 0
  local function echo(client)
    served, now = served + 1, now + 1
    most = math.max(most, now)
    local _ <close> = setmetatable({}, { __close = function() now = now - 1 end })
    for chunk in client:chunks() do
      assert(client:write(chunk))
    end
    finished = finished + 1
  end
  local _, err, message = pcall(uv.serve, HOST, port, {
    limit = limit,
    stop_timeout = grace,
    on_listen = on_listen,
    exception_handler = function(_, context) complain(tostring(context.exception)) end,
  }, echo)
  if uvjobs.code(err) ~= "cancelled" then error(err or message, 0) end
  print(err.signal .. ": stopped")
  print(("%d connections served, at most %d at once, %d cut off"):format(served, most,
    served - finished))
end

-- ---- clients that load it --------------------------------------------------

--- Sends a message, and waits until all of it has come back.
local function round_trip(client, message)
  assert(client:write(message))
  local answer, problem = client:read_exactly(#message, PATIENCE)
  if not answer then error(problem or "the server has closed the connection", 0) end
  if answer ~= message then error("the answer is not what was sent", 0) end
end

--- The job of one client.
local function converse(port, number)
  local client <close> = assert(uv.connect(HOST, port, PATIENCE))
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
  local idle <close> = assert(uv.connect(HOST, port, PATIENCE))
  round_trip(idle, "hello\n")
  load_server(port, 20)
  uv.kill(uv.os_getpid(), "sigint") -- as Ctrl-C does
  print("the idle client sees the end:", idle:read_some(PATIENCE) == nil)
end

local function try_both()
  local clients = uvjobs.scheduler()
  local job
  serve(0, 8, 0.2, function(address) job = clients:spawn(try, address.port) end)
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
    serve(port, LIMIT, GRACE)
  elseif not load_server(port, CLIENTS) then
    os.exit(1)
  end
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
