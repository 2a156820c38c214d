-- A chat server over TCP, for `nc` or `telnet`: the first line of a client is its name, and
-- each further line goes to everybody. Nobody waits for a slow client: what is for it waits
-- in a queue of its own, and when BACKLOG lines wait there, the client is dropped. A client
-- that says nothing for IDLE seconds is dropped, too. SIGINT (Ctrl-C) or SIGTERM says
-- goodbye to all and ends.
--
--   script/run examples/15_chat_server.lua 7000
--   script/run examples/15_chat_server.lua         tries it with clients of its own
--   uvjobs examples/15_chat_server.lua 7000        with the rock installed
--
-- It listens on the loopback address only. It needs luv (Debian: lua-luv).

local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"

local HOST = "127.0.0.1"
local LIMIT = 1000 -- clients at once
local LONGEST = 1000 -- bytes of a line
local BACKLOG = 100 -- lines
local IDLE = 3600 -- seconds
local GRACE = 3 -- seconds that clients get to take the goodbye

--- The clients that have said their name: `members` has a table for each, by its name,
--- with a `queue` for what it is to be told, and an event for its being dropped.
local function new_room()
  return { members = {}, closed = false }
end

local function say(room, text)
  for name, member in pairs(room.members) do
    local _, why = member.queue:try_put(text)
    if why == "full" then
      room.members[name] = nil
      member.dropped:set()
    end
  end
end

--- Says goodbye. The queues are closed, so the clients are hung up on when they have taken
--- what is in them.
local function close(room)
  room.closed = true
  say(room, "* the server stops")
  for _, member in pairs(room.members) do member.queue:close() end
end

--- Returns the name of a client that may come in, or nil.
local function greet(room, client)
  client:write("Your name?\n")
  local name = client:read_line(LONGEST, 60)
  if not name or room.closed then return nil end
  if name:find "^[%w_-]+$" and not room.members[name] then return name end
  client:write("This name is taken, or has more than letters and digits.\n")
end

--- The job of one connection. It has three children, and ends with the first of them: one
--- that reads, one that writes, and one that waits until the client is dropped. What a
--- client does is no error of the server: reading and writing return nil when it has gone.
local function converse(room, client)
  client:send_buffer_size(65536) -- what it does not take waits in our queue
  local name = greet(room, client)
  if not name then return end
  local member = { queue = uvjobs.queue(BACKLOG), dropped = uvjobs.event() }
  room.members[name] = member
  say(room, "* " .. name .. " comes in")
  local _ <close> = setmetatable({}, { __close = function()
    if room.members[name] == member then room.members[name] = nil end
    say(room, "* " .. name .. " has left")
  end })
  uvjobs.race {
    function()
      for line in function() return (client:read_line(LONGEST, IDLE)) end do
        say(room, name .. ": " .. line:gsub("%c", "?"))
      end
    end,
    function()
      for text in member.queue:items() do
        if not client:write { text, "\n" } then return end
      end
    end,
    function() member.dropped:wait() end,
  }
end

--- Serves until a signal cancels the main job, which calls this. Returns the signal.
local function serve(port, on_listen)
  local room, jobs = new_room(), uvjobs.scheduler()
  local server = jobs:spawn(function()
    assert(uv.serve(HOST, port, {
      limit = LIMIT, stop_timeout = GRACE, on_listen = on_listen,
    }, function(client) converse(room, client) end))
  end)
  local _, err = pcall(server.wait, server)
  if not err.signal then error(err, 0) end
  close(room)
  server:cancel()
  uvjobs.protect(server.join, server)
  return err.signal
end

-- ---- trying it -------------------------------------------------------------

local function enter(port, name)
  local client = assert(uv.connect(HOST, port, 10))
  client:read_line()
  client:write { name, "\n" }
  return client
end

--- Reads until a line contains `text`, and returns that line.
local function expect(client, text)
  for line in client:lines() do
    if line:find(text, 1, true) then return line end
  end
end

local function try(port)
  local anna <close> = enter(port, "anna")
  print(expect(anna, "comes in"))
  local bert <close> = enter(port, "bert")
  print(expect(anna, "comes in"))
  print(expect(bert, "comes in"))
  anna:write("hello\n")
  print("to bert:", expect(bert, "hello"))
  local again <close> = enter(port, "bert")
  print("to the other bert:", again:read_line())

  -- One that reads nothing: the others go on.
  local stalled <close> = uv.new_tcp()
  assert(stalled:connect(HOST, port))
  stalled:recv_buffer_size(4096)
  stalled:write("stalled\n")
  print(expect(anna, "comes in"))
  local long, lines = ("x"):rep(LONGEST), 0
  repeat
    anna:write { long, "\n" }
    local line = anna:read_line()
    lines = lines + 1
  until line == "* stalled has left"
  print("dropped, and the others got every line:", lines > BACKLOG)

  -- One that sends a line without end, and one that vanishes.
  local flood <close> = enter(port, "flood")
  flood:write(long:rep(100))
  print(expect(anna, "flood has left"))
  enter(port, "hasty"):close_reset()
  print(expect(anna, "hasty has left"))

  uv.kill(uv.os_getpid(), "sigterm")
  print("to anna:", expect(anna, "stops"))
  print("and then the end:", anna:read_line())
end

local function try_it()
  local clients = uvjobs.scheduler()
  local job
  local signal = serve(0, function(address) job = clients:spawn(try, address.port) end)
  uvjobs.protect(job.wait, job)
  print(signal)
end

-- ---- the command line ------------------------------------------------------

local function main(text)
  if not text then return try_it() end
  local port = math.tointeger(tonumber(text))
  if not port or port < 1 or port > 65535 then
    io.stderr:write("usage: 15_chat_server.lua [PORT]\n")
    os.exit(2)
  end
  print(serve(port) .. ": stopped")
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
