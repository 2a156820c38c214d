-- For arguments.lua: this file has the places of a program in which functions are called, and
-- makes the objects that they are called with.

local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"
local cojobs = require "uvjobs.coroutine"
local values = require "arguments_values"

local random, pick = math.random, values.pick

local M = {}

local function ignore() end

-- ---- objects -------------------------------------------------------------------------

local function an_error()
  local _, err = pcall(uvjobs.timeout, 0, uvjobs.yield)
  return err
end

--- Returns new objects of every type, with their kinds. In a job it makes more of them.
function M.new_objects(world)
  local in_job = uvjobs.current()
  local scheduler = uvjobs.scheduler {
    limit = pick { 1, 2, math.huge }, pending_limit = pick { 0, 1, 100 },
    exception_handler = ignore, close_timeout = 0.01, on_error = pick { "report", "cancel" },
  }
  local closed = uvjobs.scheduler { name = "closed" }
  closed:close()
  local semaphore, mutex = uvjobs.semaphore(1), uvjobs.mutex()
  local queue, full = uvjobs.queue(), uvjobs.queue(1)
  full:try_put(1)
  local ended = uvjobs.queue()
  ended:close()
  local list = {
    { "scheduler", scheduler }, { "scheduler", closed }, { "event", uvjobs.event() },
    { "queue", queue }, { "queue", full }, { "queue", ended }, { "semaphore", semaphore },
    { "mutex", mutex }, { "job", (scheduler:try_spawn(values.fn(world))) },
    { "job", (scheduler:try_spawn({ timeout = values.seconds(world) }, values.fn(world))) },
    { "items", queue:items() }, { "context", uvjobs.context }, { "error", M.saved_error },
    { "permit", M.saved_permit },
    { "policy", policy.retry { attempts = 2, backoff = 0.001 } },
    { "policy", policy.hedge { after = 0.001 } },
    { "policy", policy.rate { rate = 1000, burst = 3, key = tostring, keys = 2 } },
    { "policy", policy.rate { rate = 1000 } },
    { "policy", policy.limit { limit = 1, pending_limit = 2, key = tostring } },
    { "policy", policy.breaker { minimum = 2, open = 0.001, probes = 2 } },
    { "policy", policy.single() },
    { "policy", policy.debounce { wait = 0.001 } },
    { "policy", policy.compose { policy.timeout(0.01), policy.retry { backoff = 0 } } },
    { "supervisor", M.saved_supervisor }, { "child", M.saved_child },
  }
  if in_job then
    list[#list + 1] = { "job", in_job }
    local service = uvjobs.supervisor {
      intensity = pick { 0, 5 }, backoff = pick { 0, 0.001 }, close_timeout = 0.01,
      strategy = pick { "one_for_one", "one_for_all", "rest_for_one" }, exception_handler = ignore,
    }
    list[#list + 1] = { "supervisor", service }
    for i = 1, random(0, 3) do
      local ok, child = pcall(service.start, service, { name = "c" .. i,
        restart = pick { "permanent", "transient", "temporary" }, values.fn(world) })
      if ok then list[#list + 1] = { "child", child } end
    end
    list[#list + 1] = { "error", an_error() }
    if pcall(semaphore.permit, semaphore, 0) then semaphore:release() end
    local ok, permit = pcall(mutex.permit, mutex, 0)
    if ok and permit then list[#list + 1] = { "permit", permit } end
    pcall(uvjobs.await, function(resume)
      list[#list + 1] = { "resume", resume }
      if random(2) == 1 then resume() end
      error "left"
    end)
  end
  return list
end

-- These objects can only be made in a job, so one of each type is made now.
uvjobs.run({ clock = "virtual" }, function()
  M.saved_error = an_error()
  M.saved_permit = uvjobs.semaphore(1):permit()
  M.saved_supervisor = uvjobs.supervisor { close_timeout = 0.01 }
  M.saved_child = M.saved_supervisor:start { name = "saved", ignore, restart = "transient" }
  M.saved_supervisor:close()
end)

-- ---- places --------------------------------------------------------------------------

local function closing(handler) return setmetatable({}, { __close = handler }) end

local function handled(world, options)
  options.exception_handler = function() world.act(1) end
  options.close_timeout = 0.005
  return uvjobs.scheduler(options)
end

-- Places that any Lua code can be in, in a job or outside.
local anywhere = {
  plain = function(world) world.act(3) end,
  pcall = function(world) pcall(pcall, pcall, function() world.act(2) end) end,
  finalizer = function(world)
    setmetatable({}, { __gc = function() world.act(2) end })
    collectgarbage(pick { "collect", "step" })
  end,
  resurrected = function(world) -- before and after the finalizers of what it has
    local older = setmetatable({}, { __gc = function(t)
      for _, o in ipairs(t) do world.keep(o[2], o[1]) end
      world.act(2)
    end })
    local objects = M.new_objects(world)
    local newer = setmetatable({}, { __gc = function() world.act(1) end })
    for i, o in ipairs(objects) do older[i], newer[i] = o, o end
    newer, older, objects = nil, nil, nil -- luacheck: ignore
    collectgarbage()
  end,
  close_handler = function(world)
    pcall(function()
      local _ <close> = closing(function() world.act(2) end)
      if random(2) == 1 then error(values.value(world)) end
    end)
  end,
  hook = function(world)
    local events = pick { "", "c", "r", "l", "crl" }
    debug.sethook(function() debug.sethook() world.act(1) end, events, random(0, 1) + 1)
    for i = 1, 5 do ignore(i) end
    world.act(1)
    debug.sethook()
  end,
  coroutine = function(world)
    local co = coroutine.create(function() world.act(2) coroutine.yield() world.act(1) end)
    world.keep(co)
    for _ = 1, random(3) do coroutine.resume(co) end
  end,
  cocoroutine = function(world)
    local co = cojobs.create(function() world.act(2) cojobs.yield() world.act(1) end)
    world.keep(co)
    for _ = 1, random(3) do cojobs.resume(co) end
    if random(2) == 1 then cojobs.close(co) end
  end,
  sort = function(world)
    pcall(table.sort, { 3, 1, 2 }, function(a, b) world.act(1) return a < b end)
  end,
  gsub = function(world) ("ab"):gsub(".", function() world.act(1) end) end,
  metamethod = function(world)
    local t = setmetatable({}, { __index = function() world.act(1) end, __lt = function()
      world.act(1)
      return true
    end })
    return t.x, t < t
  end,
  message_handler = function(world)
    xpcall(error, function(...) world.act(2) return ... end, "x")
  end,
  deep_c = function(world)
    local function nest(n)
      if n == 0 then world.act(1) return end
      return (("x"):gsub(".", function() nest(n - 1) end))
    end
    pcall(nest, random(150, 200))
  end,
  deep_pcall = function(world)
    local function nest(n)
      if n == 0 then return world.act(1) end
      pcall(nest, n - 1)
    end
    pcall(nest, random(150, 200))
  end,
  overflow = function(world)
    local acted
    local function f(n)
      local ok = pcall(f, n + 1)
      if not ok and not acted then
        acted = true
        world.act(1)
      end
    end
    local function g() return 1 + g() end
    pcall(f, 1)
    if random(4) == 1 then xpcall(g, function() world.act(1) end) end
  end,
  load = function(world) load(function() world.act(1) end) end,
}

local function spawn(world, fn)
  local scheduler = handled(world, { timeslice = pick { math.huge, 0.01 } })
  world.keep(scheduler, "scheduler")
  local job = scheduler:try_spawn(fn)
  world.keep(job, "job")
  return job
end

-- Places that only a job can be in. The jobs that they spawn end with the run.
local in_jobs = {
  job = function(world)
    spawn(world, function()
      world.keep(coroutine.running())
      world.act(2)
      uvjobs.sleep(values.seconds(world))
      world.act(2)
    end)
    uvjobs.sleep(0.001)
    world.act(2)
  end,
  cancelled = function(world)
    local job = spawn(world, function()
      for _ = 1, 3 do pcall(uvjobs.sleep, 1) world.act(2) end
    end)
    uvjobs.yield()
    job:cancel()
    uvjobs.yield()
  end,
  killed = function(world)
    local job = spawn(world, function()
      local _ <close> = closing(function() world.act(3) end)
      for _ = 1, 1000 do pcall(uvjobs.sleep, 1) end -- should nobody come to close it
    end)
    uvjobs.yield()
    pcall(job.close, job, 0.001)
  end,
  protect = function(world) uvjobs.protect(world.act, 3) end,
  late = function(world) uvjobs.timeout(0, world.act, 3) end,
  handler = function(world)
    local scheduler = handled(world, {})
    scheduler:try_spawn(error, values.value(world))
    scheduler:call_exception_handler({ message = "x" })
    uvjobs.sleep(0.001)
  end,
  luv = function(world)
    if not world.uv then return end
    local event, timer = uvjobs.event(), world.new_timer()
    timer:start(0, 0, function()
      if not timer:is_closing() then timer:close() end
      event:set()
      world.act(2)
    end)
    event:wait(1)
  end,
  start = function(world) uvjobs.await(function(resume) world.act(2) resume() return 1 end) end,
  abandon = function(world)
    uvjobs.timeout(0.001, uvjobs.await, function() return function() world.act(2) end end)
  end,
  children = function(world)
    local fn = function() world.act(1) uvjobs.yield() world.act(1) end
    pcall(pick { uvjobs.all, uvjobs.race, uvjobs.any, uvjobs.settled }, { fn, fn })
    local left = 3
    pcall(uvjobs.map, function()
      world.act(1)
      left = left - 1
      if left > 0 then return left end
    end, fn, { limit = random(2) })
  end,
  with = function(world) uvjobs.mutex():with(world.act, 2) end,
  exec = function(world)
    if not world.uv or random(8) > 1 then return end
    uvjobs.exec("cat", {}, { input = "a\nb", on_stdout = function() world.act(1) end,
      timeout = 1 })
  end,
  busy = function(world) -- interrupted, now and then
    spawn(world, function()
      local stop = os.clock() + 0.002
      while os.clock() < stop do
        local _ <close> = closing(function() world.act(1) end)
      end
    end)
    uvjobs.sleep(0.001)
  end,
}

-- Places outside of all jobs.
local outside = {
  embedded = function(world)
    world.keep(uvjobs.start(function() world.act(2) uvjobs.sleep(0) world.act(2) end), "job")
    for _ = 1, random(4) do uvjobs.step() end
  end,
  attached = function(world)
    if not world.uv then return end
    local attached = uvjobs.attach(world.uv)
    world.keep(attached, "attachment")
    world.keep(uvjobs.start(function() world.act(2) end), "job")
    world.uv.run(pick { "nowait", "nowait", "once" })
    world.act(1)
    attached:close()
  end,
  callback = function(world)
    if not world.uv then return end
    local timer = world.new_timer()
    timer:start(0, 0, function()
      if not timer:is_closing() then timer:close() end
      world.act(2)
    end)
    world.uv.run "nowait"
  end,
  run = function(world)
    uvjobs.run({ clock = "virtual", signals = false }, function() world.act(2) end)
  end,
}

local function play(world, list)
  local name = pick(values.sorted_keys(list))
  world.cover("place " .. name, 0, "place")
  if world.trace then world.trace("-- %s", name) end
  list[name](world)
end

--- Calls functions in n random places, in the running job or outside of jobs.
function M.play(world, n)
  for _ = 1, n do
    if world.calls <= 0 then return end
    for _, o in ipairs(M.new_objects(world)) do world.keep(o[2], o[1]) end
    if random(2) == 1 then
      pcall(play, world, anywhere)
    else
      pcall(play, world, uvjobs.current() and in_jobs or outside)
    end
  end
end

return M
