-- A small web application that counts prime numbers. A request makes a background job and
-- is answered at once; other requests ask for the job's state, or wait for its end. The
-- counting is done in a thread. SIGINT (Ctrl-C) or SIGTERM stops the server gently:
-- requests and background jobs get GRACE seconds to finish. A second signal ends the
-- program at once.
--
--   script/run examples/11_web_app.lua 8080     the server
--   script/run examples/11_web_app.lua          a server, a client, and then a SIGTERM
--   uvjobs examples/11_web_app.lua 8080         with the rock installed
--
--   curl -d 1000000 http://127.0.0.1:8080/jobs       makes a job
--   curl http://127.0.0.1:8080/jobs/1                its state
--   curl http://127.0.0.1:8080/jobs/1/end            its state when it has ended
--
-- It listens on the loopback address only. It needs lua-http (Debian: lua-http).

local uvjobs = require "uvjobs"
local http = require "uvjobs.http"
local signal = require "cqueues.signal"

local LIMIT, PENDING_LIMIT = 50, 100 -- requests and background jobs together
local BACKGROUND_LIMIT = 20 -- less than LIMIT, so that there is always room for requests
local KEPT = 1000 -- the server remembers as many background jobs
local GRACE = 8 -- seconds that all jobs get to finish when the server stops
local PATIENCE = 10 -- seconds that a client gets to send, and to take the answer
local HIGHEST = 10000000

local function complain(text)
  io.stderr:write("11_web_app.lua: ", text, "\n")
end

-- ---- the background jobs ---------------------------------------------------

--- Returns how many prime numbers there are up to `highest`. It runs in a thread, in a Lua
--- state of its own.
local function count_primes(highest)
  local composite, count = {}, 0
  for n = 2, highest do
    if not composite[n] then
      count = count + 1
      for multiple = n * n, highest, n do composite[multiple] = true end
    end
  end
  return count
end

--- Makes the table that the handlers share. `count` is the function that counts. `entries`
--- has the background jobs by their numbers; each entry is a table with `id`, `highest`,
--- `job`, and `count` when the job has ended.
local function new_app(count)
  return {
    count = count, entries = {}, last = 0,
    slots = uvjobs.semaphore(BACKGROUND_LIMIT),
  }
end

local function run_entry(app, entry, permit)
  local _ <close> = permit
  entry.count = app.count(entry.highest)
end

--- Makes a background job and returns its entry; nil when there are too many. The job
--- belongs to the scheduler of the server, so the server waits for it when it stops.
--- `spawn` suspends while there is no room.
local function start_entry(app, stream, highest)
  local permit = app.slots:permit(0)
  if not permit then return nil end
  local entry = { highest = highest }
  local ok, job = pcall(http.spawn, stream, run_entry, app, entry, permit)
  if not ok then
    permit:release()
    error(job, 0)
  end
  local id = app.last + 1
  entry.id, entry.job, job.name = id, job, "job " .. id
  app.last, app.entries[id], app.entries[id - KEPT] = id, entry, nil
  return entry
end

-- ---- answers ---------------------------------------------------------------

local function reply_text(stream, status, text, headers)
  http.respond(stream, status, text .. "\n", headers)
end

--- Answers with the state of a background job. Nothing in it needs quoting.
local function reply_entry(stream, status, entry, location)
  http.respond(stream, status, ('{"id":%d,"highest":%d,"state":"%s","count":%s}\n'):format(
    entry.id, entry.highest, entry.job.state, entry.count or "null"),
    { ["content-type"] = "application/json", location = location })
end

-- ---- routes ----------------------------------------------------------------

local PAGE = [[
<!DOCTYPE html>
<title>Prime numbers</title>
<p>%d jobs are counting, and %d were made. POST a number to /jobs to make one.
]]

local function show_page(app, stream)
  http.respond(stream, 200, PAGE:format(BACKGROUND_LIMIT - app.slots.count, app.last),
    { ["content-type"] = "text/html; charset=utf-8" })
end

local function post_job(app, stream)
  local text = assert(stream:get_body_as_string())
  local highest = math.tointeger(tonumber(text:match "^%s*(%d+)%s*$"))
  if not highest or highest > HIGHEST then
    return reply_text(stream, 400, ("send a number up to %d"):format(HIGHEST))
  end
  local entry = start_entry(app, stream, highest)
  if not entry then return reply_text(stream, 503, "too many jobs", { ["retry-after"] = 1 }) end
  reply_entry(stream, 202, entry, "/jobs/" .. entry.id)
end

local function show_job(app, stream, id)
  local entry = app.entries[tonumber(id)]
  if not entry then return reply_text(stream, 404, "no such job") end
  reply_entry(stream, 200, entry)
end

--- Waits for the end of a background job. When the client disconnects meanwhile, the job of
--- the request is cancelled, but not the background job.
local function await_job(app, stream, id)
  local entry = app.entries[tonumber(id)]
  if entry then entry.job:join() end
  show_job(app, stream, id)
end

local ROUTES = {
  { path = "^/$", GET = show_page },
  { path = "^/jobs$", POST = post_job },
  { path = "^/jobs/(%d+)$", GET = show_job },
  { path = "^/jobs/(%d+)/end$", GET = await_job },
}

local function methods_of(route)
  local names = {}
  for name in pairs(route) do
    if name ~= "path" then names[#names + 1] = name end
  end
  table.sort(names)
  return table.concat(names, ", ")
end

--- The job of one request. HEAD is answered like GET, without the body.
local function handle(app, stream)
  local headers = assert(stream:get_headers())
  local method, path = headers:get ":method", headers:get ":path" or "" -- CONNECT has none
  if method == "HEAD" then method = "GET" end
  for _, route in ipairs(ROUTES) do
    local capture = path:match(route.path)
    if capture then
      local handler = route[method]
      if handler then return handler(app, stream, capture) end
      return reply_text(stream, 405, "method not allowed", { allow = methods_of(route) })
    end
  end
  reply_text(stream, 404, "no such page")
end

-- ---- the server ------------------------------------------------------------

--- Listens and serves until the value that it returns is closed.
local function new_server(app, port)
  return http.server {
    port = port, onstream = function(_, stream) handle(app, stream) end,
    limit = LIMIT, pending_limit = PENDING_LIMIT, max_body = 100,
    header_timeout = PATIENCE, body_timeout = PATIENCE, stop_timeout = GRACE,
    exception_handler = function(_, context)
      complain(("%s: %s"):format(context.job and context.job.name or "the server",
        context.exception or context.message))
    end,
  }
end

--- Waits until a signal cancels the main job, which calls this, and stops the server.
--- Returns the signal, when all requests and background jobs have ended.
local function await_signal(running)
  local server <close> = running
  local ok, err = pcall(server.wait, server)
  if ok then return "closed" end
  if not uvjobs.code(err) then error(err, 0) end
  return err.signal
end

local function print_end(app, why)
  local counts = { done = 0 }
  for _, entry in pairs(app.entries) do
    local state = entry.job.state
    counts[state] = (counts[state] or 0) + 1
  end
  print(("%s: stopped, %d of %d jobs are done"):format(why, counts.done, app.last))
end

-- ---- a client that tries it ------------------------------------------------

--- Sends a request and prints it with the answer.
local function ask(server, method, path, body)
  local answer, message = http.fetch(server:url(path), { method = method, body = body })
  if not answer then error(message, 0) end
  local location = answer.headers.location
  print(("%s %s%s -> %s%s"):format(method, path, body and " " .. body or "",
    answer.status, location and " " .. location or ""))
  io.write((answer.body:gsub("[^\n]+", "  %0")))
end

--- Suspends until the scheduler has `count` active jobs.
local function await_active(scheduler, count)
  while scheduler.active_count ~= count do uvjobs.sleep(0.01) end
end

--- Sends some requests, and then the signal. Nobody counts before `go` is set, so that the
--- answers are always the same.
local function try(server, go)
  ask(server, "GET", "/")
  ask(server, "POST", "/jobs", "1000")
  ask(server, "GET", "/jobs/1")
  go:set()
  ask(server, "GET", "/jobs/1/end")
  go:clear()
  ask(server, "POST", "/jobs", "many")
  ask(server, "HEAD", "/jobs/1")
  ask(server, "DELETE", "/jobs/1")
  ask(server, "GET", "/jobs/7")
  ask(server, "GET", "/nowhere")

  -- When the signal comes, a job and a request that waits for it are under way.
  ask(server, "POST", "/jobs", "100000")
  await_active(server.scheduler, 1)
  local waiting <close> = uvjobs.scheduler()
  local answer = waiting:spawn(ask, server, "GET", "/jobs/2/end")
  await_active(server.scheduler, 2)
  signal.raise(signal.SIGTERM)
  while http.fetch(server:url()) do uvjobs.sleep(0.01) end
  print "new clients are refused"
  go:set()
  answer:wait()
end

local function try_both()
  local go = uvjobs.event()
  local app = new_app(function(highest)
    go:wait()
    return uvjobs.work(count_primes, highest)
  end)
  local server = new_server(app, 0)
  local clients = uvjobs.scheduler()
  local job = clients:spawn(function()
    local _ <close> = setmetatable({}, { __close = function() server:close() end })
    try(server, go)
  end)
  local why = await_signal(server)
  uvjobs.protect(job.wait, job)
  print_end(app, why)
end

-- ---- the command line ------------------------------------------------------

local function main(text)
  if not text then return try_both() end
  local port = math.tointeger(tonumber(text))
  if not port or port < 1 or port > 65535 then
    io.stderr:write("usage: 11_web_app.lua [PORT]\n")
    os.exit(2)
  end
  local app = new_app(function(highest)
    return uvjobs.work(count_primes, highest)
  end)
  local server = new_server(app, port)
  io.stdout:setvbuf "line"
  print(server:url())
  print_end(app, await_signal(server))
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
