-- A web server on all processors: each thread has a server of its own, and all of them listen on
-- one port. POST a number to /primes, and the answer is how many primes there are up to it; while
-- one thread counts, the others answer. What each thread has in its memory is its own, so what all
-- of them know together, here the number of requests, goes through a channel to the program.
--
--   script/run examples/22_web_cores.lua [PORT [THREADS]]
--   uvjobs examples/22_web_cores.lua 8080
--
-- Without a port it asks itself some questions, prints the answers and stops. With one it serves
-- until SIGINT or SIGTERM; requests that have come by then are still answered.
-- It needs lua-http (Debian: lua-http; rock: http).

local uvjobs = require "uvjobs"
local http = require "uvjobs.http"

local HIGHEST <const> = 10000000
local GRACE <const> = 5 -- seconds for requests to finish when the server stops

-- Runs in each thread. It can use nothing from outside but what `require` finds there, and `data`.
local function handle(_, stream, data)
  local http <const> = require "uvjobs.http" -- luacheck: ignore 431

  local function count_primes(highest)
    local count, composite = 0, {}
    for n = 2, highest do
      if not composite[n] then
        count = count + 1
        for multiple = n * n, highest, n do composite[multiple] = true end
      end
    end
    return count
  end

  local headers = assert(stream:get_headers())
  local method, path = headers:get ":method", headers:get ":path"
  data.requests:put(path)
  if path == "/" then
    return http.respond(stream, 200, "POST a number to /primes\n")
  elseif path ~= "/primes" then
    return http.respond(stream, 404, "no such page\n")
  elseif method ~= "POST" then
    return http.respond(stream, 405, "method not allowed\n", { allow = "POST" })
  end
  local highest = math.tointeger(tonumber(assert(stream:get_body_as_string())))
  if not highest or highest < 1 or highest > data.highest then
    return http.respond(stream, 400, ("send a number up to %d\n"):format(data.highest))
  end
  http.respond(stream, 200, ("%d\n"):format(count_primes(highest)))
end

--- Counts the requests of all threads, until the channel is closed.
local function count(requests, counts)
  for path in requests:items() do counts[path] = (counts[path] or 0) + 1 end
end

--- Sends a request and prints it with the answer.
local function ask(server, method, path, body)
  local answer, message = http.fetch(server:url(path), { method = method, body = body })
  if not answer then error(message, 0) end
  io.write(method, " ", path, body and " " .. body or "", " -> ", answer.status, " ", answer.body)
end

--- Some questions, and then many at once.
local function try(server)
  ask(server, "GET", "/")
  ask(server, "POST", "/primes", "1000")
  ask(server, "POST", "/primes", "many")
  ask(server, "GET", "/primes")
  ask(server, "GET", "/nowhere")
  local numbers = {}
  for i = 1, 40 do numbers[i] = i * 1000 end
  local sum = 0
  uvjobs.each(numbers, function(number)
    local answer = assert(http.fetch(server:url "/primes", {
      method = "POST", body = ("%d"):format(number),
    }))
    sum = sum + answer.body -- not in one expression with what suspends
  end, { limit = 8 })
  print(("%d answers: %d primes"):format(#numbers, sum))
end

local function main(port, threads)
  local requests <const>, counts <const> = uvjobs.channel(1000), {}
  local counting <close> = uvjobs.scheduler()
  local counter = counting:spawn(count, requests, counts)
  do
    local server <close> = http.server {
      threads = threads or 2, port = port or 0, onstream = handle, stop_timeout = GRACE,
      max_body = 100, limit = 50, pending_limit = 100, -- of each thread
      data = { requests = requests, highest = HIGHEST },
    }
    if port then
      print(server:url())
      pcall(server.wait, server) -- until a signal cancels this job; protect() holds that off below
    else
      try(server)
    end
  end -- all threads have stopped
  requests:close()
  uvjobs.protect(counter.wait, counter)
  print(("%d requests for /primes"):format(counts["/primes"] or 0))
end

local port, threads = math.tointeger(tonumber(arg[1])), math.tointeger(tonumber(arg[2]))
if arg[1] and not port or arg[2] and not threads then
  io.stderr:write "usage: 22_web_cores.lua [PORT [THREADS]]\n"
  return 2
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(port, threads) else uvjobs.run(main, port, threads) end
