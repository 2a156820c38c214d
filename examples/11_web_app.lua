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
local http_server = require "http.server"
local new_headers = require "http.headers".new
local http_request = require "http.request"
local signal = require "cqueues.signal"

local HOST = "127.0.0.1"
local LIMIT, PENDING_LIMIT = 50, 100 -- requests and background jobs together
local BACKGROUND_LIMIT = 20 -- less than LIMIT, so that there is always room for requests
local KEPT = 1000 -- the server remembers as many background jobs
local GRACE = 10 -- seconds that all jobs get to finish when the server stops
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

--- Makes an answer: what handlers return.
local function reply(status, kind, body, headers)
  return { status = status, type = kind, body = body, headers = headers or {} }
end

local function reply_text(status, text, headers)
  return reply(status, "text/plain", text .. "\n", headers)
end

--- Makes an answer with the state of a background job. Nothing in it needs quoting.
local function reply_entry(status, entry, headers)
  return reply(status, "application/json", ('{"id":%d,"highest":%d,"state":"%s","count":%s}\n')
    :format(entry.id, entry.highest, entry.job.state, entry.count or "null"), headers)
end

local function send(stream, answer, is_head)
  local headers = new_headers()
  headers:append(":status", answer.status)
  headers:append("content-type", answer.type .. "; charset=utf-8")
  headers:append("content-length", ("%d"):format(#answer.body))
  for name, value in pairs(answer.headers) do headers:append(name, value) end
  local ok, message = stream:write_headers(headers, is_head, PATIENCE)
  if ok and not is_head then
    ok, message = stream:write_body_from_string(answer.body, PATIENCE)
  end
  if not ok then error("cannot answer: " .. tostring(message), 0) end
end

-- ---- routes ----------------------------------------------------------------

local PAGE = [[
<!DOCTYPE html>
<title>Prime numbers</title>
<p>%d jobs are counting, and %d were made. POST a number to /jobs to make one.
]]

local function show_page(app)
  return reply("200", "text/html", PAGE:format(BACKGROUND_LIMIT - app.slots.count, app.last))
end

local function post_job(app, stream)
  local text = stream:get_body_chars(100, PATIENCE) or "" -- "" also when nothing comes
  local highest = math.tointeger(tonumber(text:match "^%s*(%d+)%s*$"))
  if not highest or highest > HIGHEST then
    return reply_text("400", ("send a number up to %d"):format(HIGHEST))
  end
  local entry = start_entry(app, stream, highest)
  if not entry then
    return reply_text("503", "too many jobs", { ["retry-after"] = "1" })
  end
  return reply_entry("202", entry, { location = "/jobs/" .. entry.id })
end

local function show_job(app, _, id)
  local entry = app.entries[tonumber(id)]
  if not entry then return reply_text("404", "no such job") end
  return reply_entry("200", entry)
end

--- Waits for the end of a background job. When the client disconnects meanwhile, the job of
--- the request is cancelled, but not the background job.
local function await_job(app, stream, id)
  local entry = app.entries[tonumber(id)]
  if entry then entry.job:join() end
  return show_job(app, stream, id)
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

--- Returns the answer to a request.
local function dispatch(app, stream, method, path)
  for _, route in ipairs(ROUTES) do
    local capture = path:match(route.path)
    if capture then
      local handler = route[method]
      if handler then return handler(app, stream, capture) end
      return reply_text("405", "method not allowed", { allow = methods_of(route) })
    end
  end
  return reply_text("404", "no such page")
end

--- The job of one request. Its errors go to the exception handler, for instance when the
--- client does not take its answer.
local function handle(app, stream)
  local headers = assert(stream:get_headers(PATIENCE))
  local method = headers:get ":method"
  local path = headers:get ":path":match "^[^?]*"
  local is_head = method == "HEAD"
  send(stream, dispatch(app, stream, is_head and "GET" or method, path), is_head)
end

-- ---- the server ------------------------------------------------------------

local function listen(app, port)
  local server = assert(http_server.listen {
    host = HOST, port = port, tls = false,
    onstream = function(_, stream) handle(app, stream) end,
    onerror = function(_, _, operation, message)
      complain(operation .. ": " .. tostring(message))
    end,
  })
  assert(server:listen())
  http.setup(server, {
    limit = LIMIT,
    pending_limit = PENDING_LIMIT,
    wait_timeout = GRACE,
    exception_handler = function(_, context)
      complain(("%s: %s"):format(context.job and context.job.name or context.message,
        context.exception))
    end,
  })
  return server
end

--- Serves until a signal cancels the main job, which calls this, or the server is closed.
--- Returns why it has stopped, when all requests and background jobs have ended.
local function serve(server)
  local ok, err = pcall(http.serve, server)
  if ok then return "closed" end
  if uvjobs.code(err) ~= "cancelled" then error(err, 0) end
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

--- Sends a request. Returns the headers and the body of the answer; or nil and a message.
local function fetch(port, method, path, body)
  local request = http_request.new_from_uri(("http://%s:%d%s"):format(HOST, port, path))
  request.proxies = false
  request.headers:upsert(":method", method)
  if body then request:set_body(body) end
  local headers, stream = request:go(PATIENCE)
  if not headers then return nil, stream end
  local text, message = stream:get_body_as_string(PATIENCE)
  if not text then return nil, message end
  return headers, text
end

--- Sends a request and prints it with the answer.
local function ask(port, method, path, body)
  local headers, text = fetch(port, method, path, body)
  if not headers then error(("%s %s: %s"):format(method, path, text), 0) end
  local location = headers:get "location"
  print(("%s %s%s -> %s%s"):format(method, path, body and " " .. body or "",
    headers:get ":status", location and " " .. location or ""))
  io.write((text:gsub("[^\n]+", "  %0")))
end

--- Suspends until the scheduler has `count` active jobs.
local function await_active(scheduler, count)
  while scheduler.active_count ~= count do uvjobs.sleep(0.01) end
end

--- Sends some requests, and then the signal. Nobody counts before `go` is set, so that the
--- answers are always the same.
local function try(port, scheduler, go)
  ask(port, "GET", "/")
  ask(port, "POST", "/jobs", "1000")
  ask(port, "GET", "/jobs/1")
  go:set()
  ask(port, "GET", "/jobs/1/end")
  go:clear()
  ask(port, "POST", "/jobs", "many")
  ask(port, "HEAD", "/jobs/1")
  ask(port, "DELETE", "/jobs/1")
  ask(port, "GET", "/jobs/7")
  ask(port, "GET", "/nowhere")

  -- When the signal comes, a job and a request that waits for it are under way.
  ask(port, "POST", "/jobs", "100000")
  await_active(scheduler, 1)
  local waiting <close> = uvjobs.scheduler()
  local answer = waiting:spawn(ask, port, "GET", "/jobs/2/end")
  await_active(scheduler, 2)
  signal.raise(signal.SIGTERM)
  while fetch(port, "GET", "/") do uvjobs.sleep(0.01) end
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
  local server = listen(app, 0)
  local _, _, port = server:localname()
  local clients = uvjobs.scheduler()
  local job = clients:spawn(function()
    local _ <close> = setmetatable({}, { __close = function() server:close() end })
    try(port, http.get_scheduler_from_server(server), go)
  end)
  local why = serve(server)
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
  local server = listen(app, port)
  io.stdout:setvbuf "line"
  print(("http://%s:%d/"):format(HOST, port))
  print_end(app, serve(server))
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
