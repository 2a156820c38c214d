--- The loads of spec/stress/soak.lua, and the books that they keep. Each load is a
--- function that plays one short episode and leaves nothing behind.
---
--- An episode runs in a lane: a job that nobody cancels, without a deadline and a
--- time slice. So what a lane counts is exact. The jobs that it makes are the ones
--- that are cancelled, closed, killed and preempted.
local luv = require "luv"
local uvjobs = require "uvjobs"
local cojobs = require "uvjobs.coroutine"
local uv = require "uvjobs.uv"

local random, code = math.random, uvjobs.code

local load = {}

local books = {
  spawned = 0, done = 0, failed = 0, cancelled = 0, killed = 0, -- jobs
  put = 0, got = 0, left = 0, -- items of queues
  interrupted = 0, -- jobs with items that were interrupted between two instructions
  connections = 0, bytes = 0, processes = 0, works = 0, requests = 0, states = 0,
  states_jobs = 0, timers = 0, complaints = 0,
  swept = 0, -- handles and files that interrupted jobs could not give back
}
load.books = books

-- ---- complaints ----------------------------------------------------------------

--- Notes that a promise was broken.
function load.complain(format, ...)
  books.complaints = books.complaints + 1
  if books.complaints > 20 then return end
  io.stderr:write("soak: ", format:format(...), "\n", debug.traceback(), "\n")
end
local complain = load.complain

local function check(condition, ...)
  if not condition then complain(...) end
end

local Failure = { __tostring = function() return "a failure on purpose" end }

local function fail()
  error(setmetatable({}, Failure))
end

--- Errors of uvjobs, and those on purpose, are all that may be raised.
local function check_error(err, what)
  if code(err) or getmetatable(err) == Failure then return end
  complain("%s raised: %s", what, tostring(err))
end

--- The exception handler of all schedulers.
function load.handler(_, context)
  if context.message == "Job ended holding a mutex" then return end
  check_error(context.exception, context.message .. ": " .. (context.traceback or ""))
end

-- ---- helpers -------------------------------------------------------------------

local function pick(list) return list[random(#list)] end

local function span(seconds) return random() * seconds end

local function closing(fn) return setmetatable({}, { __close = fn }) end

-- An error may come between any two instructions of a job that was interrupted. So
-- marks are set by one instruction, and taken away by a C function.

local function new_set() return setmetatable({}, { __call = rawset }) end

--- For a <close> variable. Once set[mark] is true, it is so until the block is left.
local function new_mark(set) return setmetatable({}, { __close = set }) end

local function check_marks(set, limit, what)
  local count = 0
  for _, value in next, set do
    if value == true then count = count + 1 end
  end
  check(count <= limit, "%d %s, not %d at most", count, what, limit)
end

-- What jobs hold is in the episode's table `held`, too: an interruption may come before a
-- <close> variable is made, and in its handler. What is left then, sweep() gives back.
local Holder = {}
Holder.__index = Holder

--- A <close> variable for what is taken later, and given back by `give_back(thing)`.
local function new_holder(held, give_back)
  return setmetatable({ held = held, give_back = give_back }, Holder)
end

--- Takes what make(...) returns.
function Holder:take(make, ...)
  uvjobs.protect(function(...)
    self.thing = assert(make(...))
    self.held[self] = true
  end, ...)
  return self.thing
end

local function give_back(holder)
  if not holder.held[holder] then return end
  holder.held[holder] = nil
  holder.give_back(holder.thing)
end

function Holder:__close() uvjobs.protect(give_back, self) end

local function sweep(held)
  for holder in pairs(held) do
    books.swept = books.swept + 1
    give_back(holder)
  end
end

local function new_scheduler(options)
  options.exception_handler = load.handler
  options.close_timeout = options.close_timeout or 0.02
  options.wait_timeout = 120
  return uvjobs.scheduler(options)
end

local function spawn(scheduler, options, fn, ...)
  local job = scheduler:spawn(options, fn, ...)
  books.spawned = books.spawned + 1
  return job
end

--- Waits for a job and counts how it ended. `allowed` has the states it may end in.
local function settle(job, allowed)
  job:join()
  local state = job.state
  books[state] = books[state] + 1
  if not allowed:find(state, 1, true) then
    complain("a job ended %s, not %s: %s", state, allowed, job:traceback())
  end
  if state ~= "done" then
    local _, err = pcall(job.wait, job)
    check_error(err, "a job")
  end
end

--- Ends a scheduler in one of two ways; true when its jobs were cancelled.
local function finish(scheduler)
  local close = random(3) == 1
  local ok, err = pcall(close and scheduler.close or scheduler.wait_and_close, scheduler)
  if not ok then check_error(err, "the end of a scheduler") end
  check(#scheduler == 0 and scheduler.closed, "jobs are left in %s", scheduler)
  return close
end

-- ---- jobs ----------------------------------------------------------------------

local function nest(depth)
  local scheduler <close> = new_scheduler {
    limit = random(3), on_error = pick { "report", "cancel" },
  }
  for _ = 1, random(3) do
    scheduler:spawn(function()
      local _ <close> = closing(function() uvjobs.protect(uvjobs.sleep, span(0.001)) end)
      uvjobs.sleep(span(0.002))
      if depth > 1 then nest(depth - 1) end
      if random(6) == 1 then fail() end
    end)
  end
end

local function ticks(n)
  for i in cojobs.wrap(function()
    for i = 1, n do
      uvjobs.sleep(span(0.001))
      cojobs.yield(i)
    end
  end) do
    check(i <= n, "a coroutine gave too much")
  end
end

-- `ends` is how a job ends that nobody ends. An error of a deadline can come between two
-- calls of pcall, too: then the job fails and is not killed.
local bodies = {
  { ends = "done", fn = function() end },
  { ends = "done", fn = function() uvjobs.yield() return 7 end },
  { ends = "done", fn = function() uvjobs.sleep(span(0.02)) end },
  { ends = "failed", fn = fail },
  { ends = "failed", fn = function() uvjobs.sleep(span(0.01)) fail() end },
  { ends = "failed", timeout = 0.02, fn = function() uvjobs.sleep(600) end },
  { ends = "killed failed", timeout = 0.02, fn = function()
    while true do pcall(uvjobs.sleep, 600) end
  end },
  { ends = "killed failed", timeout = 0.01, fn = function()
    local _ <close> = closing(function() pcall(uvjobs.sleep, 600) end)
    uvjobs.protect(uvjobs.sleep, 600)
  end },
  { ends = "done", fn = function() uvjobs.protect(uvjobs.sleep, span(0.01)) end },
  { ends = "cancelled", fn = function()
    uvjobs.current():cancel()
    local _ <close> = closing(function() uvjobs.protect(uvjobs.sleep, span(0.005)) end)
    uvjobs.yield()
  end },
  { ends = "done failed", fn = nest, 3 },
  { ends = "done", fn = ticks, 4 },
  { ends = "done", fn = function()
    local scheduler = uvjobs.current().scheduler
    local ok, err = pcall(scheduler.shield, scheduler, uvjobs.sleep, span(0.01))
    if not ok then error(err, 0) end
  end },
}

--- Jobs at the limits of a scheduler, ended in every way.
function load.jobs()
  local limit, running = random(20), new_set()
  local scheduler = new_scheduler { limit = limit, pending_limit = random(0, 30) }
  local jobs, allowed = {}, {}
  for i = 1, 100 do
    local body = pick(bodies)
    jobs[i] = spawn(scheduler, { timeout = body.timeout }, function(...)
      local mark <close> = new_mark(running)
      running[mark] = true
      check_marks(running, limit, "jobs run")
      return body.fn(...)
    end, body[1])
    allowed[i] = body.ends
    local dice, j = random(12), random(i)
    if dice > 3 then goto continue end
    allowed[j] = "done failed cancelled killed"
    if dice == 1 then jobs[j]:cancel() end
    if dice == 2 then pcall(jobs[j].close, jobs[j], span(0.01)) end
    if dice == 3 then pcall(jobs[j].wait, jobs[j], span(0.01)) end
    ::continue::
  end
  local closed = finish(scheduler)
  for i, job in ipairs(jobs) do
    settle(job, closed and "done failed cancelled killed" or allowed[i])
  end
  check_marks(running, 0, "jobs run in a closed scheduler")
end

--- Sleeps and deadlines of random lengths.
function load.timers()
  local scheduler = new_scheduler { limit = math.huge }
  local event, jobs = uvjobs.event(), {}
  local function sleeps()
    for _ = 1, random(5) do
      local seconds, start = span(0.05), uvjobs.now()
      uvjobs.sleep(seconds)
      check(uvjobs.now() >= start + seconds, "a sleep returned early")
    end
  end
  local function deadlines()
    local inner, outer = span(0.05), span(0.05)
    local start = uvjobs.now()
    local ok, err = pcall(uvjobs.timeout, outer, uvjobs.timeout, inner, uvjobs.sleep, 600)
    check(not ok and code(err) == "timeout", "a deadline raised %s", err)
    check(uvjobs.now() >= start + math.min(inner, outer), "a deadline came early")
  end
  local function waits()
    local got, why = event:wait(span(0.1))
    check(got or why == "timeout", "an event gave %s", why)
  end
  for i = 1, 200 do
    jobs[i] = spawn(scheduler, {}, pick { sleeps, deadlines, waits })
  end
  uvjobs.sleep(span(0.1))
  event:set()
  scheduler:wait_and_close()
  for _, job in ipairs(jobs) do settle(job, "done") end
  books.timers = books.timers + #jobs
end

-- ---- queues, semaphores, mutexes, events ------------------------------------------

-- A message handler: an error that no call has raised came between two instructions,
-- and what the job held in its hands then is nobody's fault.
local function note_interruption(err)
  local info = code(err) and debug.getinfo(2, "S")
  if not info or info.what ~= "C" then books.interrupted = books.interrupted + 1 end
  check_error(err, "a job with a queue")
  return err
end

--- Items go through a queue, while the jobs at both ends are cancelled.
function load.queues()
  local queue = uvjobs.queue(pick { 0, 1, 5, math.huge })
  local scheduler = new_scheduler { limit = math.huge, close_timeout = 60 }
  local state, jobs, next_id = {}, {}, 0
  local function take(id)
    check(state[id] == "putting" or state[id] == "put", "item %s was got when it was %s", id,
      state[id])
    state[id] = "got"
  end
  local function produce()
    for _ = 1, 20 do
      next_id = next_id + 1
      local id = next_id
      state[id] = "putting"
      local ok, why = queue:put(id, random(3) == 1 and span(0.002) or nil)
      if ok and state[id] == "putting" then state[id] = "put" end
      if not ok then
        check(state[id] == "putting", "item %d was refused (%s), and got", id, why)
        state[id] = "refused"
      end
      if random(5) == 1 then uvjobs.sleep(span(0.002)) end
    end
  end
  local function consume()
    while true do
      local id, why = queue:get(random(3) == 1 and span(0.002) or nil)
      if id then take(id) end
      if why == "closed" then return end
      if random(5) == 1 then uvjobs.yield() end
    end
  end
  local function traced(fn)
    local ok, err = xpcall(fn, note_interruption)
    if not ok then error(err, 0) end
  end
  local producers, consumers = {}, {}
  for _ = 1, 8 do
    producers[#producers + 1] = spawn(scheduler, {}, traced, produce)
    consumers[#consumers + 1] = spawn(scheduler, {}, traced, consume)
  end
  for _ = 1, random(6) do
    uvjobs.sleep(span(0.003))
    pick(random(2) == 1 and producers or consumers):cancel()
    consumers[#consumers + 1] = spawn(scheduler, {}, traced, consume)
  end
  -- The last consumer is one that nobody cancels.
  jobs[1] = spawn(scheduler, {}, traced, consume)
  for _, job in ipairs(producers) do job:join() end
  queue:close()
  scheduler:wait_and_close()
  table.move(producers, 1, #producers, #jobs + 1, jobs)
  table.move(consumers, 1, #consumers, #jobs + 1, jobs)
  for _, job in ipairs(jobs) do settle(job, "done cancelled") end
  check(#queue == 0, "%d items are left in a queue", #queue)
  for id = 1, next_id do
    if state[id] == "got" then books.got = books.got + 1 end
    if state[id] == "put" then books.left = books.left + 1 end
    if state[id] == "got" or state[id] == "put" then books.put = books.put + 1 end
  end
end

--- Semaphores and mutexes, whose holders are cancelled and killed.
function load.locks()
  local permits = random(3)
  local semaphore, mutex = uvjobs.semaphore(permits), uvjobs.mutex()
  local scheduler = new_scheduler { limit = math.huge }
  local event, holders, owner, jobs = uvjobs.event(), new_set(), nil, {}
  local function hold()
    semaphore:with(function()
      local mark <close> = new_mark(holders)
      holders[mark] = true
      check_marks(holders, permits, "jobs hold a semaphore")
      uvjobs.sleep(span(0.002))
    end)
  end
  local function lock()
    local me = {}
    mutex:with(function()
      owner = me
      uvjobs.sleep(span(0.002))
      check(owner == me, "two jobs hold the mutex")
    end)
  end
  local function keep() mutex:lock() end
  local function stubborn()
    local permit <close> = semaphore:permit()
    check(permit, "no permit")
    while true do pcall(uvjobs.sleep, 600) end
  end
  for i = 1, 30 do
    local fn = pick { hold, hold, lock, lock, keep, stubborn, function() event:wait() end }
    jobs[i] = spawn(scheduler, { timeout = fn == stubborn and 0.01 or nil }, fn)
  end
  for _ = 1, 5 do
    uvjobs.sleep(span(0.005))
    pick(jobs):cancel()
  end
  event:set()
  finish(scheduler)
  for _, job in ipairs(jobs) do settle(job, "done failed cancelled killed") end
  check(semaphore.count == permits, "%d permits are left of %d", semaphore.count, permits)
  check(mutex:try_lock(), "the mutex is locked for ever")
  mutex:unlock()
end

--- all, race and map, with children that fail and a caller that is cancelled.
function load.children()
  local scheduler = new_scheduler { limit = 10, close_timeout = 1 }
  local function child(i, fails)
    uvjobs.sleep(span(0.003))
    if fails and random(8) == 1 then fail() end
    return i
  end
  local function fns(fails)
    local list = {}
    for i = 1, random(8) do list[i] = function() return child(i, fails) end end
    return list
  end
  local jobs = {}
  for i = 1, 30 do
    jobs[i] = spawn(scheduler, { timeout = random(5) == 1 and span(0.01) or nil }, pick {
      function()
        for k, result in ipairs(uvjobs.all(fns(true))) do
          check(result == k, "child %d of all gave %s", k, result)
        end
      end,
      function()
        local index, result = uvjobs.race(fns(true))
        check(index == result, "race gave %s", result)
      end,
      function()
        local results = uvjobs.map({ 1, 2, 3, 4, 5, 6 }, function(item)
          return child(item, true)
        end, { limit = random(3) })
        check(results.n == 6 and results[6] == 6, "map gave %s", results[6])
      end,
      function()
        local got = uvjobs.await(function(resume)
          local timer
          uvjobs.protect(function() -- a timer that is not started is closed by nobody
            timer = luv.new_timer()
            timer:start(random(0, 3), 0, function()
              timer:close()
              resume("fired")
            end)
          end)
        end)
        check(got == "fired", "await gave %s", got)
      end,
    })
    if random(6) == 1 then pick(jobs):cancel() end
  end
  finish(scheduler)
  for _, job in ipairs(jobs) do settle(job, "done failed cancelled killed") end
end

--- Jobs that compute: in time slices, until a deadline, until they are killed.
function load.busy()
  local scheduler = new_scheduler { limit = 4, timeslice = pick { 0.001, 0.003 } }
  local function compute(n)
    local x = 1
    for i = 1, n do x = (x * 33 + i) % 65521 end
    return x
  end
  local wanted, jobs, allowed = compute(200000), {}, {}
  local kinds = {
    { ends = "done", fn = function()
      check(compute(200000) == wanted, "a preempted job computed something else")
    end },
    { ends = "failed killed", timeout = 0.005, fn = function() while true do end end },
    { ends = "killed failed", timeout = 0.005, fn = function()
      while true do pcall(function() while true do end end) end
    end },
  }
  for i = 1, 6 do
    local kind = pick(kinds)
    jobs[i], allowed[i] = spawn(scheduler, { timeout = kind.timeout }, kind.fn), kind.ends
  end
  scheduler:wait_and_close()
  for i, job in ipairs(jobs) do settle(job, allowed[i]) end
  uvjobs.sleep(0.05) -- others want the processor, too
end

-- ---- the world outside -----------------------------------------------------------

local function close_handle(handle) handle:close() end

--- An echo server on TCP; clients that talk to it, and some that leave in the middle.
function load.sockets()
  local server <close> = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(128))
  local port = server:getsockname().port
  -- Nobody cancels the server's side: each job has a handle to close.
  local served = new_scheduler { limit = math.huge }
  local accepting = spawn(served, {}, function()
    for client in server:connections() do
      served:spawn(function()
        local _ <close> = client
        while true do
          local data = client:read_some()
          if not data or not client:write(data) then return end
        end
      end)
    end
  end)
  local scheduler, jobs, held = new_scheduler { limit = 20, close_timeout = 1 }, {}, {}
  local function talk(leave)
    local holder <close> = new_holder(held, close_handle)
    local client = holder:take(uv.new_tcp)
    assert(client:connect("127.0.0.1", port))
    books.connections = books.connections + 1
    for _ = 1, random(5) do
      local text = ("x"):rep(random(20000))
      assert(client:write(text))
      if leave and random(3) == 1 then return end
      local size = 0
      while size < #text do size = size + #assert(client:read_some()) end
      check(size == #text, "an echo of %d bytes, not %d", size, #text)
      books.bytes = books.bytes + size
    end
    client:shutdown()
    check(client:read_some() == nil, "something after the end")
  end
  for i = 1, 30 do
    local fn = pick { talk, talk, function() talk(true) end, function()
      local holder <close> = new_holder(held, close_handle)
      local client = holder:take(uv.new_tcp)
      assert(client:connect("127.0.0.1", port))
      client:read_some(span(0.005)) -- nothing comes
      if random(2) == 1 then client:close_reset() end
    end }
    jobs[i] = spawn(scheduler, { timeout = random(5) == 1 and span(0.01) or nil }, fn)
    if random(6) == 1 then pick(jobs):cancel() end
  end
  local closed = finish(scheduler)
  for _, job in ipairs(jobs) do
    settle(job, closed and "done failed cancelled killed" or "done failed cancelled")
  end
  sweep(held)
  server:close()
  served:wait_and_close()
  settle(accepting, "done")
end

--- Files: written, read back, given up.
function load.files()
  local scheduler, jobs, held = new_scheduler { limit = 4, close_timeout = 1 }, {}, {}
  for i = 1, 10 do
    jobs[i] = spawn(scheduler, { timeout = random(4) == 1 and span(0.002) or nil }, function()
      local name <close> = new_holder(held, os.remove)
      local file <close> = new_holder(held, uv.fs_close)
      local path = name:take(os.tmpname)
      local fd = file:take(uv.fs_open, path, "w+", 384)
      local text = ("line\n"):rep(random(1000))
      check(uv.fs_write(fd, text, 0) == #text, "a short write")
      check(uv.fs_read(fd, #text + 1, 0) == text, "a file has something else")
      check(uv.fs_stat(path).size == #text, "a file has another size")
    end)
    if random(6) == 1 then pick(jobs):cancel() end
  end
  finish(scheduler)
  for _, job in ipairs(jobs) do settle(job, "done failed cancelled killed") end
  sweep(held)
end

-- A sanitizer that this process was given is not for the children.
local PLAIN <const> = { LD_PRELOAD = false }

--- Child processes: short ones, and some that are ended early.
function load.processes()
  local scheduler = new_scheduler { limit = 4, close_timeout = 0.2 }
  local jobs, allowed = {}, {}
  local function exec(command, args, options)
    books.processes = books.processes + 1
    options = options or {}
    options.env = PLAIN
    return uvjobs.exec(command, args, options)
  end
  local long = { "done failed cancelled killed", function() exec("sleep", { "600" }) end }
  local kinds = {
    { "done", function() check(exec("true").code == 0, "true failed") end },
    { "done", function()
      check(exec("sh", { "-c", "exit 3" }).code == 3, "sh gave another status")
    end },
    { "done", function()
      local text = ("x"):rep(random(100000))
      check(exec("cat", {}, { input = text }).stdout == text, "cat gave something else")
    end },
    { "done", function()
      local n = 0
      exec("seq", { "500" }, { on_stdout = function() n = n + 1 end })
      check(n == 500, "%d lines, not 500", n)
    end },
    { "done", function()
      local _, why = exec("sleep", { "600" }, { timeout = span(0.02) })
      check(why == "timeout", "it gave %s", why)
    end },
    { "done", function()
      local _, why = exec("yes", {}, { max_output = 10000 })
      check(why == "limit", "it gave %s", why)
    end },
    { "done", function()
      local _, why = exec("no-such-command")
      check(why == "spawn", "it gave %s", why)
    end },
    { "failed", function() exec("seq", { "9" }, { on_stdout = fail }) end },
    { "failed", function() uvjobs.timeout(span(0.02), exec, "sleep", { "600" }) end },
    long,
    { "done failed cancelled killed", function() -- does not hear SIGTERM
      exec("sh", { "-c", "trap '' TERM; exec sleep 600" })
    end, long = true },
    { "done failed cancelled killed", function() -- SIGKILL at once
      while true do pcall(exec, "sleep", { "600" }) end
    end, long = true },
  }
  long.long = true
  local ended = {}
  for i = 1, 8 do
    local kind = pick(kinds)
    jobs[i], allowed[i] = spawn(scheduler, {}, kind[2]), kind[1]
    if kind.long then ended[#ended + 1] = jobs[i] end
  end
  uvjobs.sleep(span(0.05))
  for _, job in ipairs(ended) do pcall(job.close, job, span(0.1)) end
  local closed = finish(scheduler)
  for i, job in ipairs(jobs) do
    settle(job, closed and "done failed cancelled killed" or allowed[i])
  end
end

--- Functions in other threads.
function load.work()
  local scheduler = new_scheduler { limit = 8, close_timeout = 1 }
  local jobs, allowed = {}, {}
  local kinds = {
    { "done", function()
      local list = uvjobs.work(function(t)
        for i = 1, 1000 do t[i] = i * i end
        return t
      end, { name = "squares" })
      check(#list == 1000 and list[1000] == 1000000 and list.name == "squares", "a wrong copy")
    end },
    { "done", function()
      local ok, err = pcall(uvjobs.work, function() error("in the thread", 0) end)
      check(not ok and (err == "in the thread" or code(err)), "work raised %s", tostring(err))
      if code(err) then error(err, 0) end
    end },
    { "failed", function()
      uvjobs.timeout(span(0.01), uvjobs.work, function() while true do end end)
    end },
    { "cancelled", function()
      uvjobs.current():cancel()
      uvjobs.work(function() while true do end end)
    end },
    { "done", function()
      local texts = uvjobs.map({ "a", "b", "c" }, function(text)
        return uvjobs.work(function(s) return s:rep(10000) end, text)
      end)
      check(#texts[3] == 10000, "a text of %d bytes", #texts[3])
    end },
  }
  for i = 1, 12 do
    local kind = pick(kinds)
    jobs[i], allowed[i] = spawn(scheduler, {}, kind[2]), kind[1]
    if random(10) == 1 then
      jobs[i]:cancel()
      allowed[i] = "done failed cancelled"
    end
  end
  local closed = finish(scheduler)
  for i, job in ipairs(jobs) do
    settle(job, closed and "done failed cancelled killed" or allowed[i])
  end
  books.works = books.works + #jobs
end

-- What a thread runs; luv cannot carry a large function into it.
local function other_state(path, cpath, ...)
  package.path, package.cpath = path, cpath
  require "spec.stress.soak_state"(...)
end

--- Another Lua state in a thread of its own, with a loop of its own.
function load.states()
  local done <close> = uv.new_async()
  local thread = luv.new_thread(other_state, package.path, package.cpath, random(1 << 30),
    0.2 + span(0.5), done)
  local problem, spawned = done:next()
  thread:join()
  check(problem == "", "another state: %s", problem)
  books.states = books.states + 1
  books.states_jobs = books.states_jobs + (math.tointeger(spawned) or 0)
end

-- ---- the web -----------------------------------------------------------------------

local web

--- Starts a server that lives until the end, if lua-http is there. `jobs` is the
--- scheduler of the job that serves. Returns a function that ends it.
function load.start_web(jobs)
  local found, http = pcall(require, "uvjobs.http")
  if not found then return nil end
  local new_headers = require "http.headers".new
  local function handle(_, stream)
    local request = stream:get_headers()
    if not request then return end -- it has left already
    local path = request:get ":path"
    if path == "/slow" then uvjobs.sleep(0.02) end
    if path == "/fail" then fail() end
    local headers = new_headers()
    headers:append(":status", "200")
    if not stream:write_headers(headers, false) then return end
    stream:write_body_from_string(("x"):rep(1000))
  end
  local server = assert(require "http.server".listen {
    host = "127.0.0.1", port = 0, tls = false, onstream = handle,
    onerror = function() end, -- clients leave in the middle
  })
  assert(server:listen())
  http.setup(server, { limit = 20, pending_limit = 5, exception_handler = load.handler })
  local _, _, port = server:localname()
  web = { port = port, http_request = require "http.request",
    socket = require "cqueues.socket" }
  local serving = jobs:spawn(http.serve, server)
  load.web = load.requests
  return function()
    server:close()
    serving:wait()
  end
end

local function request(path, status)
  local uri = ("http://127.0.0.1:%d%s"):format(web.port, path)
  local headers, stream = web.http_request.new_from_uri(uri):go(60)
  if not headers then return complain("a request failed: %s", stream) end
  local _ <close> = closing(function() stream:shutdown() end)
  local got = headers:get ":status"
  check(got == status or got == "503", "status %s, not %s", got, status)
  local body = stream:get_body_as_string(60)
  check(got ~= "200" or #body == 1000, "a body of %d bytes", body and #body or -1)
  books.requests = books.requests + 1
end

--- Requests, and clients that leave before the answer.
function load.requests()
  local scheduler, jobs, allowed = new_scheduler { limit = 10, close_timeout = 1 }, {}, {}
  local kinds = {
    { "done", function() request("/", "200") end },
    { "done", function() request("/slow", "200") end },
    { "done", function() request("/fail", "500") end },
    { "done", function()
      local socket = web.socket.connect { host = "127.0.0.1", port = web.port }
      local _ <close> = closing(function() socket:close() end)
      socket:onerror(function(_, _, why) return why end)
      socket:connect()
      socket:xwrite("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n", "bn")
      uvjobs.sleep(span(0.01))
    end },
    { "done failed", function() uvjobs.timeout(span(0.01), request, "/slow", "200") end },
  }
  for i = 1, 10 do
    local kind = pick(kinds)
    jobs[i], allowed[i] = spawn(scheduler, {}, kind[2]), kind[1]
  end
  scheduler:wait_and_close()
  for i, job in ipairs(jobs) do settle(job, allowed[i]) end
end

--- What runs side by side, and how many lanes of it.
load.kinds = {
  jobs = 3, timers = 1, queues = 2, locks = 1, children = 2, busy = 1, sockets = 2, files = 1,
  processes = 1, work = 1, states = 2, web = 1,
}

return load
