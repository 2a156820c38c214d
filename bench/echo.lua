-- Echo: N round trips of 64 bytes between a server and 20 connections, each of which
-- sends the next message when the last one has come back. The server is a process of
-- its own; the client is this one, in plain luv on both sides. Prints the time of one
-- round trip, and the CPU time that the server takes for it, in nanoseconds.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

local CONNECTIONS <const> = 20
local MESSAGE <const> = ("x"):rep(64)

-- ---- the servers -----------------------------------------------------------

-- Each says where it listens, and ends when the client closes its standard input;
-- then it prints how many seconds of CPU it has used since it listened.

local function announce(server)
  io.stdout:write(server:getsockname().port, "\n"):flush()
  return os.clock()
end

local function finish(began)
  io.stdout:write(os.clock() - began, "\n")
  os.exit()
end

local function on_end_of_input(luv, fn)
  local input = luv.new_pipe(false)
  assert(input:open(0))
  input:read_start(function(_, chunk)
    if not chunk then fn() end
  end)
end

local SERVERS <const> = {
  uvjobs = function()
    local uvjobs = require "uvjobs"
    local uv = require "uvjobs.uv"
    local function echo(stream)
      local client <close> = stream
      for chunk in client:chunks() do client:write(chunk) end
    end
    uvjobs.run(function()
      local server = uv.new_tcp()
      assert(server:bind("127.0.0.1", 0))
      assert(server:listen(128))
      local began = announce(server)
      on_end_of_input(require "luv", function() finish(began) end)
      local jobs <close> = uvjobs.scheduler()
      for client in server:connections() do jobs:spawn(echo, client) end
    end)
  end,

  luv = function()
    local uv = require "luv"
    local server = uv.new_tcp()
    assert(server:bind("127.0.0.1", 0))
    assert(server:listen(128, function()
      local client = uv.new_tcp()
      server:accept(client)
      client:read_start(function(_, chunk)
        if chunk then client:write(chunk) else client:close() end
      end)
    end))
    local began = announce(server)
    on_end_of_input(uv, function() finish(began) end)
    uv.run()
  end,
}

-- ---- the client ------------------------------------------------------------

--- Starts a server as a child process. Returns a function that ends it, and its port.
local function start_server(uv, name)
  local input, output = uv.new_pipe(false), uv.new_pipe(false)
  assert(uv.spawn(uv.exepath(), {
    args = { arg[0], "serve-" .. name },
    stdio = { input, output, 2 },
  }, function() end))
  local text, ended = "", false
  output:read_start(function(_, chunk)
    text = text .. (chunk or "")
    ended = not chunk
  end)
  while not text:find "\n" do
    if ended then error("the server has not started", 0) end
    uv.run "once"
  end
  local port = math.tointeger(tonumber(text:match "^%d+"))
  return function()
    input:close()
    while not ended do uv.run "once" end
    return tonumber(text:match "\n(%S+)")
  end, port
end

local function round_trips(uv, port, n)
  local sent, received = 0, 0
  local clients = {}
  local function send(client)
    if sent == n then return end
    sent = sent + 1
    client:write(MESSAGE)
  end
  for i = 1, CONNECTIONS do
    local client, got = uv.new_tcp(), 0
    clients[i] = client
    client:connect("127.0.0.1", port, function(problem)
      assert(not problem, problem)
      client:read_start(function(_, chunk)
        got = got + #assert(chunk, "the server has closed the connection")
        if got < #MESSAGE then return end
        got = got - #MESSAGE
        received = received + 1
        if received == n then uv.stop() end
        send(client)
      end)
      send(client)
    end)
  end
  uv.run()
  for _, client in ipairs(clients) do client:close() end
end

local sides = {}
for name, serve in pairs(SERVERS) do
  sides["serve-" .. name] = function() return serve end
  sides[name] = function(n)
    local uv = require "luv"
    local stop, port = start_server(uv, name)
    round_trips(uv, port, CONNECTIONS * 50) -- it warms up
    return function()
      local began = uv.hrtime()
      round_trips(uv, port, n)
      local took_ns = uv.hrtime() - began
      local cpu_ns = stop() * 1e9
      return ("%.1f"):format(took_ns / n), ("%.1f"):format(cpu_ns / (n + CONNECTIONS * 50))
    end
  end
end

common.main(100000, sides)
