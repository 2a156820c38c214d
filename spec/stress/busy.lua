-- Busy jobs by the thousand, on the real clock: 200 at a time, on schedulers with
-- and without time slices, that compute, suspend, swallow errors, and are
-- cancelled, closed and killed at random. What they compute must be right, and
-- nothing may be left of them.
--
-- Usage: lua5.4 spec/stress/busy.lua [seconds [seed]]
-- It prints its seed, and one line at the end; the exit status is 1 when a promise
-- was broken. (The same seed makes the same choices, not the same schedule.)
--
-- Under valgrind, 3.19 at least, a signal needs a stack that has been used before:
--   valgrind lua5.4 -e 'local function f(n) if n > 0 then ("x"):gsub("x", function()
--     f(n - 1) end) end end f(150)' spec/stress/busy.lua

local uvjobs = require "uvjobs"
local cojobs = require "uvjobs.coroutine"
local insight = require "uvjobs.insight"

local seconds = tonumber(arg[1]) or 60
local seed = math.tointeger(arg[2] or os.time())
math.randomseed(seed)
local random, now, code = math.random, uvjobs.now, uvjobs.code
io.stdout:setvbuf("line")
print(("busy: seed %d, %g seconds"):format(seed, seconds))

-- Nothing in this process can stop a C function that hangs: a child does, unless
-- the pipe to it is closed before.
local guard <const> = io.popen(("env -u LD_PRELOAD timeout %d cat >/dev/null;"
  .. " [ $? -ne 124 ] || { echo 'busy: it hangs' >&2; kill -KILL $PPID; }")
  :format(3 * seconds // 1 + 60), "w")

--- Ends the program. No pcall of a job stops that.
local function violation(format, ...)
  io.stderr:write(debug.traceback(("busy: seed %d: "):format(seed) .. format:format(...)), "\n")
  os.exit(1)
end

local function check(condition, ...)
  if not condition then violation(...) end
end

local function pick(list)
  return list[random(#list)]
end

local Failure = { __tostring = function() return "a failure on purpose" end }

--- Errors of uvjobs, and those on purpose, are all that may be raised.
local function check_error(err, traceback)
  check(code(err) or getmetatable(err) == Failure, "unexpected error: %s\n%s", err,
    traceback or "")
end

-- ---- shared books ----------------------------------------------------------------
-- Between any two instructions other jobs may run, or an error may come. So books
-- are kept by single instructions and by C functions.

--- A set of marks. One that leaves its block calls rawset(set, mark, err): it
--- is not `true` in the set any more.
local function new_set(mode)
  return setmetatable({}, { __call = rawset, __mode = mode })
end

--- For a <close> variable; it is in the set when `set[mark] = true` has run after it.
local function new_mark(set)
  return setmetatable({}, { __close = set })
end

--- No other job runs in the middle of it.
local count_marks = load([[
  local set = ...
  local count = 0
  for _, value in next, set do
    if value == true then count = count + 1 end
  end
  return count
]], "@count_marks")
uvjobs.keep_whole(count_marks)

local function check_marks(set, limit, what)
  local count = count_marks(set)
  check(count <= limit, "%d %s, not %d at most", count, what, limit)
end

-- ---- work whose result is known ----------------------------------------------------

local Number = {}
Number.__index = function(_, key) return #key end
Number.__add = function(a, b) return setmetatable({ n = (a.n + b.n) % 65521 }, Number) end
Number.__mul = function(a, b) return setmetatable({ n = a.n * b % 65521 }, Number) end
Number.__lt = function(a, b) return a.n < b.n end
Number.__concat = function(a, b) return setmetatable({ n = (a.n * 31 + b.n) % 65521 }, Number) end
Number.__call = function(self, x) return (self.n + x) % 65521 end

local function generator(lib, n, suspend)
  return lib.wrap(function()
    local x = 1
    for i = 1, n do
      for j = 1, 50 do x = (x * 33 + j) % 65521 end
      if suspend and i % 100 == 0 then suspend() end
      lib.yield(x)
    end
  end)
end

local function sum_of(next_value)
  local sum = 0
  for x in next_value do sum = (sum + x) % 65521 end
  return sum
end

local work = {
  function(n) -- arithmetic
    local x, y = 1, 0.5
    for i = 1, n * 20 do
      x = (x * 1103515245 + i) % 2147483648
      y = y * 0.5 + x // 65536 % 7
    end
    return x + y
  end,
  function(n) -- strings
    local parts, text = {}, ""
    for i = 1, n do
      parts[i] = ("%d:%s"):format(i, ("x"):rep(i % 7))
      if i % 8 == 0 then text = text:sub(-50) .. parts[i] end
    end
    local sum = 0
    for word in (table.concat(parts, ",") .. text):gmatch("%d+") do sum = sum + #word end
    return sum
  end,
  function(n) -- tables
    local t, sum = {}, 0
    for i = 1, n do table.insert(t, i % 3 == 0 and 1 or #t + 1, i) end
    for i = 1, n do t["k" .. i % 100] = t[i] end
    for _, v in pairs(t) do sum = sum + v end
    return sum
  end,
  function(n) -- closures, variadic functions, recursion
    local function compose(f, g) return function(...) return f(g(...)) end end
    local function first(x, ...) return (x + select("#", ...)) % 65521, ... end
    local f = function(...) return ... end
    for _ = 1, 20 do f = compose(first, f) end
    local x = 1
    for _ = 1, n // 4 do x = f(x, "a", nil, "b") end
    local function fib(k) return k < 2 and k or fib(k - 1) + fib(k - 2) end
    return x + fib(10)
  end,
  function(n) -- pcall
    local sum = 0
    for i = 1, n do
      local ok, err = pcall(function()
        if i % 2 == 0 then error(i, 0) end
        return pcall(error, i, 0)
      end)
      if code(err) then error(err, 0) end -- an interruption that is not ours to swallow
      sum = sum + (ok and 1 or err)
    end
    return sum
  end,
  function(n) -- table.sort
    local t, x, sum = {}, 1, 0
    for i = 1, n do
      x = (x * 1103515245 + 12345) % 2147483648
      t[i] = x // 65536
    end
    table.sort(t, function(a, b) return a > b end)
    for i, v in ipairs(t) do sum = (sum * 3 + v + i) % 65521 end
    return sum
  end,
  function(n) -- callbacks of gsub
    local sum = 0
    local text = ("lorem ipsum "):rep(n // 8):gsub("%a+", function(word)
      for _ = 1, 10 do sum = (sum * 7 + #word) % 65521 end
      return word:upper()
    end)
    return sum + #text
  end,
  function(n) -- metamethods
    local a = setmetatable({ n = 1 }, Number)
    for i = 1, n do
      a = a + a * 3 .. a
      if a < setmetatable({ n = 100 }, Number) then a.n = a(i) + a.field end
    end
    return a.n
  end,
  function(n) -- an __index that C calls, and the reader of load
    local list = setmetatable({}, {
      __len = function() return n // 8 end,
      __index = function(_, i)
        local x = i
        for j = 1, 30 do x = (x * 33 + j) % 65521 end
        return x
      end,
    })
    local parts = { "local s = 0 for _, v in ipairs {", table.concat(list, ","),
      "} do s = (s + v) % 65521 end return s" }
    local i = 0
    return assert(load(function()
      i = i + 1
      for _ = 1, n do end
      return parts[i]
    end))()
  end,
  function(n) return sum_of(generator(coroutine, n // 8)) end,
  function(n) return sum_of(generator(cojobs, n // 8)) end,
}

local sizes = { 20, 100, 400, 1500, 4000 }
local expected = {}
local unit -- of time: what the largest work takes here, in a build and under a tool
do
  local start = os.clock()
  for kind, fn in ipairs(work) do
    expected[kind] = {}
    for size, n in ipairs(sizes) do expected[kind][size] = fn(n) end
  end
  unit = math.max(0.001, (os.clock() - start) / #work)
end

local function compute(kind, size)
  return work[kind](sizes[size])
end

local function span(units)
  return random() * units * unit
end

local function some_work()
  local kind, size = random(#work), random(#sizes)
  local got = compute(kind, size)
  check(got == expected[kind][size], "work %d of %d gave %s", kind, sizes[size], got)
  return got
end

-- ---- what jobs do ------------------------------------------------------------------

-- Jobs of whose forced end somebody may have been told by a `timeout`, and not the handler.
local told = setmetatable({}, { __mode = "k" })

local counts = { done = 0, failed = 0, cancelled = 0, killed = 0 }
local killed_ids = {} -- of the jobs that were killed, since the begin of the run
local made, preempted = 0, 0
local PERMITS <const> = 3
local targets, shared = {}, nil

local function suspend()
  if random(2) == 1 then uvjobs.yield() else uvjobs.sleep(span(0.2)) end
end

local acts
local function act(world, depth)
  pick(acts)(world, depth + 1)
end

local function traced(err)
  if not code(err) then check_error(err, debug.traceback()) end
  return err
end

--- Acts; swallows most errors.
local function act_some(world, depth)
  if depth > 3 then return some_work() end
  for _ = 1, random(3) do
    local ok, err = xpcall(act, traced, world, depth)
    if not ok then check_error(err) end
    if not ok and random(4) == 1 then error(err, 0) end
  end
end

local function job_options()
  return { timeout = random(4) == 1 and span(30) or nil }
end

local function new_child_scheduler(world)
  return uvjobs.scheduler {
    limit = random(4), timeslice = pick { 0.001, 0.001, math.huge }, close_timeout = span(5),
    wait_timeout = span(100), exception_handler = world.handler,
    on_error = pick { "report", "cancel" },
  }
end

local function children(count)
  local kinds, fns = {}, {}
  for i = 1, count do
    local kind, size = random(#work), random(3)
    kinds[i] = expected[kind][size]
    fns[i] = function()
      if random(2) == 1 then suspend() end
      return compute(kind, size)
    end
  end
  return fns, kinds
end

local function check_results(results, wanted)
  for i, want in ipairs(wanted) do
    check(results[i] == want, "child %d gave %s, not %s", i, results[i], want)
  end
end

acts = {
  some_work, some_work, some_work, some_work, suspend, suspend,
  function() shared.queue:put(some_work(), span(2)) end,
  function() shared.queue:get(span(2)) end,
  function()
    shared.mutex:with(function()
      local me = {}
      shared.owner = me
      some_work()
      if random(2) == 1 then suspend() end
      check(shared.owner == me, "two jobs hold the mutex")
    end)
  end,
  function()
    shared.semaphore:with(function()
      local mark <close> = new_mark(shared.holders)
      shared.holders[mark] = true
      check_marks(shared.holders, PERMITS, "jobs hold the semaphore")
      some_work()
      suspend()
    end)
  end,
  function() shared.event:set() some_work() shared.event:clear() end,
  function() shared.event:wait(span(2)) end,
  function(world, depth) uvjobs.timeout(span(3), act_some, world, depth) end,
  function(world, depth) uvjobs.protect(act_some, world, depth) end,
  function() -- until the time is up, or the job is killed, or it has had enough
    uvjobs.timeout(span(2), function()
      for _ = 1, random(20) do pcall(some_work) end
    end)
  end,
  function(world, depth) -- <close> variables, one in C and one in Lua
    local mark <close> = new_mark(world.open)
    world.open[mark] = true
    made = made + 1 -- not exact
    local calls = 0
    local _ <close> = setmetatable({}, { __close = function(_, err)
      calls = calls + 1
      check(calls == 1, "a <close> variable was closed twice")
      if err ~= nil then check_error(err) end
      some_work()
    end })
    act_some(world, depth)
  end,
  function(world) -- a coroutine that suspends its job
    local resume = generator(cojobs, 300, suspend)
    local mark <close> = new_mark(world.open)
    world.open[mark] = true
    local inner = cojobs.wrap(function()
      local deep <close> = new_mark(world.open)
      world.open[deep] = true
      return sum_of(resume)
    end)
    check(inner() == sum_of(generator(coroutine, 300)), "a coroutine gave something else")
  end,
  function() -- cannot suspend in there
    table.sort({ 3, 1, 2 }, function(a, b)
      local ok, err = pcall(uvjobs.yield)
      check(not ok and (code(err) or err:find "across a C call"), "it could suspend")
      return a < b
    end)
  end,
  function(world)
    local s <close> = new_child_scheduler(world)
    for _ = 1, random(6) do s:spawn(job_options(), some_work) end
    if random(3) == 1 then some_work() end
    if random(4) == 1 then s:close() end
  end,
  function()
    local fns, wanted = children(random(5))
    check_results(uvjobs.all(fns), wanted)
  end,
  function()
    local fns, wanted = children(random(5))
    local index, result = uvjobs.race(fns)
    check(result == wanted[index], "the first child gave %s", result)
  end,
  function()
    local fns, wanted = children(random(8))
    check_results(uvjobs.map(fns, function(fn) return fn() end, { limit = random(3) }), wanted)
  end,
  function()
    local value = random(1000)
    local got = uvjobs.await(function(resume)
      if random(2) == 1 then resume(value) return end
      shared.scheduler:try_spawn(function() suspend() resume(value) end)
      return function() end
    end)
    check(got == value, "await gave %s, not %d", got, value)
  end,
  function(world) world.scheduler:shield(some_work) end,
  function() -- a hook of the job's own; it may forget it
    local seen = 0
    debug.sethook(function() seen = seen + 1 end, pick { "", "c", "r", "l", "crl" }, random(100))
    some_work()
    if random(2) == 1 then debug.sethook() end
  end,
  function() collectgarbage("step", random(50)) end,
  function() setmetatable({}, { __gc = function() compute(1, 1) end }) end,
  function() -- others
    local target = targets[random(#targets)]
    local how = random(5)
    if not target or target == uvjobs.current() then return end
    if how == 1 then target:cancel() end
    if how == 2 then target:join(span(2)) end
    if how == 3 then told[target] = true; pcall(target.close, target, span(2)) end
    if how == 4 then told[target] = true; pcall(target.wait, target, span(2)) end
  end,
  function() error(setmetatable({}, Failure)) end,
}

--- The function of most jobs.
local function body(world, kind, size)
  local mark <close> = new_mark(world.running)
  world.running[mark] = true
  check_marks(world.running, world.limit, "jobs run")
  act_some(world, 0)
  return compute(kind, size)
end

--- Calls fn where Lua cannot yield.
local function within_c(fn)
  if random(2) == 1 then
    table.sort({ 2, 1 }, function() fn() return false end)
  else
    coroutine.wrap(fn)()
  end
end

local function computes_for_ever()
  while true do pcall(some_work) end
end

--- It never ends by itself, and swallows everything.
local function stubborn(world)
  local mark <close> = new_mark(world.running)
  world.running[mark] = true
  while true do
    if random(20) == 1 then pcall(within_c, computes_for_ever) end
    pcall(pick { some_work, suspend, some_work })
  end
end

-- ---- one scheduler after the other -------------------------------------------------

local function new_world()
  local world = { running = new_set("k"), open = new_set(), limit = random(50), jobs = {},
    wanted = {}, killed = {} }
  function world.handler(_, context)
    check(uvjobs.current() == nil, "a handler was called in a job")
    if context.message == "Job closing timed out" then
      check(not world.killed[context.job], "a kill was reported twice")
      world.killed[context.job] = true
    elseif context.message == "Waiting timed out" then
      for _, job in ipairs(context.jobs) do told[job] = true end
    elseif context.message ~= "Job blocks the loop" then
      check_error(context.exception, context.traceback)
    end
  end
  world.scheduler = uvjobs.scheduler {
    limit = world.limit, pending_limit = random(0, 20), close_timeout = span(10),
    wait_timeout = 1, timeslice = pick { 0.001, 0.001, 0.001, 0.003, math.huge },
    exception_handler = world.handler, on_error = random(8) == 1 and "cancel" or "report",
  }
  return world
end

local function spawn(world)
  local kind, size = random(#work), random(#sizes)
  local options, fn = job_options(), body
  if random(40) == 1 then options, fn = { timeout = span(10) }, stubborn end
  local ok, job = pcall(world.scheduler.spawn, world.scheduler, options, fn, world, kind, size)
  if not ok then
    check(code(job) == "closed", "spawn raised %s", job)
    return nil
  end
  world.jobs[#world.jobs + 1] = job
  world.wanted[job] = expected[kind][size]
  targets[random(#targets)] = job
  return job
end

local function check_job(world, job)
  local state = job.state
  local ok, result = pcall(job.wait, job)
  check(counts[state], "it ended %s", state)
  check(ok == (state == "done"), "it is %s, but raises %s", state, result)
  check(not ok or result == world.wanted[job], "it gave %s", result)
  if not ok then check_error(result) end
  check(ok or (state == "killed" or state == "cancelled") == (code(result) == state
    and result.job == job), "it is %s, but raises %s", state, result)
  check(state ~= "killed" or world.killed[job] or told[job], "a kill was not reported")
  check(job.state == state, "it ended twice")
  counts[state] = counts[state] + 1
  if state == "killed" then killed_ids[job.id] = true end
  preempted = preempted + (job.preemptions > 0 and 1 or 0)
end

local function check_world(world)
  local scheduler = world.scheduler
  check(scheduler.closed and #scheduler == 0 and scheduler.active_count == 0
    and scheduler.pending_count == 0, "jobs are left in %s", scheduler)
  check(count_marks(world.running) == 0, "jobs run in a closed scheduler")
  check(count_marks(world.open) == 0, "<close> variables were not closed")
  for _, job in ipairs(world.jobs) do check_job(world, job) end
end

--- Jobs on one scheduler, for a while.
local function play()
  local world = new_world()
  local stop = now() + span(300)
  repeat
    local job = spawn(world)
    if not job then break end
    local dice = random(60)
    if dice == 1 then uvjobs.sleep(span(5)) end
    if dice == 2 then job:cancel() end
    if dice == 3 then told[job] = true; pcall(job.close, job, span(3)) end
    if dice == 4 then told[job] = true; pcall(job.wait, job, span(10)) end
  until now() > stop
  if random(2) == 1 then
    world.scheduler:close()
  else -- the error of a nursery
    local ok, err = pcall(world.scheduler.wait_and_close, world.scheduler, span(100))
    if not ok then check_error(err) end
  end
  check_world(world)
end

--- A job that is killed cannot wait for its own children: they are being closed when it has
--- ended, and have their own close timeout for it. Nothing else may be left of closed schedulers.
local function end_orphans()
  for record in insight.jobs() do
    if record.job ~= uvjobs.current() then
      check(record.state == "closing" and record.scheduler.closed and killed_ids[record.parent],
        "%s lives, of job #%s", record.job, record.parent)
      record.job:join()
    end
  end
  killed_ids = {}
end

local function main(stop)
  shared = {
    queue = uvjobs.queue(5), mutex = uvjobs.mutex(), semaphore = uvjobs.semaphore(PERMITS),
    event = uvjobs.event(), holders = new_set("k"), scheduler = uvjobs.scheduler(),
  }
  for i = 1, 200 do targets[i] = false end
  do
    local lanes <close> = uvjobs.scheduler { timeslice = 0.001, on_error = "cancel",
      wait_timeout = 1e6 }
    for _ = 1, 8 do -- times 25 jobs
      lanes:spawn(function()
        while now() < stop do play() end
      end)
    end
  end
  shared.scheduler:wait_and_close()
  check(shared.semaphore.count == PERMITS, "a permit is lost")
  check(shared.mutex:try_lock(), "the mutex is locked")
  shared.mutex:unlock()
  end_orphans()
  check(uvjobs.stats().live == 1, "%d jobs live", uvjobs.stats().live)
  for i = 1, 200 do targets[i] = false end
  shared = nil
end

-- ---- the program ---------------------------------------------------------------------

local function memory()
  for _ = 1, 4 do collectgarbage() end
  return collectgarbage("count")
end

local ways = { "SIGURG", "SIGUSR1", "count", "SIGURG" }
local start, used = now(), {}
for round, way in ipairs(ways) do
  uvjobs.run({ interrupt = way, slow = round == 2 and 0.01 or nil, stats = round == 3 }, main,
    start + seconds * round / #ways)
  check(uvjobs.stats().live == 0 and uvjobs.current() == nil, "jobs are left")
  used[round] = memory()
end

local stats = uvjobs.stats()
local total = counts.done + counts.failed + counts.cancelled + counts.killed
print(("busy: %.0f s, %d jobs: %d done, %d failed, %d cancelled, %d killed; %d spawned in all;"
  .. " %d preemptions, of %d jobs; %d <close> variables; memory %.0f KB, then %.0f KB")
  :format(now() - start, total, counts.done, counts.failed, counts.cancelled, counts.killed,
    stats.spawned, stats.preemptions, preempted, made, used[1], used[#used]))
for state, count in pairs(counts) do check(count > 0, "no job was %s", state) end
check(stats.preemptions > 0 and preempted > 0, "no job was preempted")
check(used[#used] < used[1] * 1.5 + 500, "memory grows")
guard:close()
