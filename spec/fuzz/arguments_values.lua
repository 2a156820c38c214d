-- For arguments.lua: this file makes random values of every type, and functions that raise,
-- yield, collect garbage and call back into the module.

local uvjobs = require "uvjobs"
local cojobs = require "uvjobs.coroutine"

local random = math.random

local M = {}

function M.pick(list)
  return list[random(#list)]
end

local pick = M.pick

local MEGABYTE <const> = ("x"):rep(1 << 20)
local NAN <const> = 0 / 0
local INF <const> = math.huge

local function ignore() end

-- ---- numbers and strings ---------------------------------------------------------

local constants = {
  ["true"] = true, ["false"] = false, zero = 0, ["-0.0"] = -0.0, one = 1, two = 2, minus = -1,
  half = 0.5, small = 0.001, fraction = 1.5, huge = 1e300, inf = INF, ["-inf"] = -INF, nan = NAN,
  ["-nan"] = -NAN, maxint = math.maxinteger, minint = math.mininteger, int31 = 1 << 31,
  int32 = 1 << 32, ["2^53"] = 2.0 ^ 53, ["2^63"] = 2.0 ^ 63, tiny = 5e-324, float = 3.0,
  empty = "", letter = "x", zeros = "a\0b\0", numeric = "10", percent = "%s%n%d%", mb = MEGABYTE,
  word = "name", bytes = "\xff\xfe\27", line = "a\nb", print = tostring, error = error,
  yield = coroutine.yield, select = select, pcall = pcall, rawequal = rawequal,
  unpack = table.unpack,
  collect = collectgarbage, type = type, ignore = ignore, stderr = io.stderr,
}

--- Returns valid seconds; on the real clock only short times.
function M.seconds(world)
  if world.real then return pick { 0, 0, 0.001, 0.002, 0.01 } end
  return pick { 0, 0.001, 0.5, 1, 3, 60, 1e9, 1e300, math.maxinteger, 5e-324 }
end

-- ---- functions that do something ---------------------------------------------------

-- Each of these gets the world and returns a function.
local functions = {
  noop = function() return ignore end,
  raise = function(world)
    return function() error(M.value(world), random(0, 3)) end
  end,
  raise_text = function() return function() error("fuzz", random(0, 3)) end end,
  yield = function() return function(...) return coroutine.yield(...) end end,
  call = function(world) return function() world.act(2) end end,
  call_and_give = function(world)
    return function() world.act(1) return M.value(world), M.value(world) end
  end,
  identity = function() return function(...) return ... end end,
  suspend = function(world)
    return function(...)
      if random(2) == 1 then uvjobs.yield() else uvjobs.sleep(M.seconds(world)) end
      return ...
    end
  end,
  swallow = function(world)
    return function()
      for _ = 1, 3 do pcall(uvjobs.sleep, M.seconds(world)) end
    end
  end,
  thread = function(world) -- its coroutine is for others to play with
    return function(...)
      world.keep(coroutine.running())
      world.act(1)
      uvjobs.sleep(M.seconds(world))
      return ...
    end
  end,
  collect = function() return function() collectgarbage(pick { "collect", "step" }) end end,
  deep = function() -- a stack overflow, in C or, as that takes long, now and then in Lua
    local function f() return 1 + f() end
    local function g(s) return (s:gsub(".", g)) end
    return random(10) == 1 and f or function() return g "x" end
  end,
  many = function() return function() return table.unpack({}, 1, random(1000)) end end,
  wrap = function(world) return coroutine.wrap(M.fn(world)) end,
  cowrap = function(world) return cojobs.wrap(M.fn(world)) end,
  closes = function(world)
    return function(...)
      local _ <close> = setmetatable({}, { __close = M.fn(world) })
      world.act(1)
      return ...
    end
  end,
  own = function(world)
    local target = pick(world.targets)
    return target.fn
  end,
}

local function sorted_keys(t)
  local keys = {}
  for key in next, t do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

M.sorted_keys = sorted_keys

local function_names, constant_names = sorted_keys(functions), sorted_keys(constants)

--- Returns a random function, and the name of its kind.
function M.fn(world)
  local name = pick(function_names)
  world.made = world.made + 1
  if world.made > 5000 then return ignore, "noop" end
  return functions[name](world), name
end

-- ---- tables --------------------------------------------------------------------------

local EVENTS <const> = {
  "__index", "__newindex", "__call", "__len", "__eq", "__lt", "__le", "__concat", "__tostring",
  "__pairs", "__close", "__gc", "__name", "__mode", "__metatable", "__add", "__unm",
}

--- Returns a table whose metamethods do anything.
local function evil(world)
  local meta = {}
  for _, event in ipairs(EVENTS) do
    if random(3) == 1 then
      meta[event] = random(4) == 1 and M.simple() or (M.fn(world))
    end
  end
  if meta.__len then -- a list that never ends is not what is looked for
    meta.__len = pick { function() return pick { 0, 1, 3, -1, 1.5, "x" } end, error,
      function() world.act(1) return 2 end, coroutine.yield }
  end
  if random(2) == 1 then meta.__name = pick { "x\0y", MEGABYTE, 1, true, "%s" } end
  return setmetatable({}, meta)
end

local OPTIONS <const> = {
  "name", "limit", "pending_limit", "close_timeout", "wait_timeout", "timeslice",
  "exception_handler", "on_error", "timeout", "signals", "clock", "slow", "stats", "interrupt",
  "input", "env", "cwd", "stdin", "stdout", "stderr", "on_stdout", "on_stderr", "max_output",
  "group", "message", "exception", "job",
}

local KNOWN <const> = {
  scheduler = { "name", "limit", "pending_limit", "close_timeout", "wait_timeout", "timeslice",
    "exception_handler", "on_error" },
  spawn = { "name", "timeout" },
  try_spawn = { "name", "timeout" },
  run = { "timeslice", "slow", "stats", "interrupt", "signals" },
  start = { "name", "timeout", "timeslice", "slow", "stats", "interrupt" },
  map = { "limit" },
  retry = { "attempts", "backoff", "when", "delay" },
  exec = { "input", "env", "cwd", "stdin", "on_stdout", "on_stderr", "timeout",
    "kill_timeout", "max_output", "group" },
}

local function count() return pick { 1, 2, 100, INF, math.maxinteger } end
local function flag() return random(2) == 1 end

-- Valid values of each option.
local right = {
  name = function() return pick { "", "x", "a\0b" } end,
  attempts = function() return pick { 1, 2, 5 } end,
  backoff = function() return pick { 0, 0.001, {}, { base = 0.01, jitter = "none" } } end,
  when = function(world) return (M.fn(world)) end,
  delay = function(world) return (M.fn(world)) end,
  limit = count,
  pending_limit = function() return pick { 0, 1, 100, INF, math.maxinteger } end,
  close_timeout = M.seconds,
  wait_timeout = M.seconds,
  timeout = M.seconds,
  kill_timeout = M.seconds,
  slow = function() return pick { 0, 0.1, 1e300, false } end,
  timeslice = function(world) -- preempting a deep recursion is slow
    return pick { 0.01, INF, world.real and 0.01 or 1e-9 }
  end,
  exception_handler = function(world) return (M.fn(world)) end,
  on_error = function() return pick { "report", "cancel" } end,
  stats = flag, signals = flag, group = flag,
  interrupt = function() return pick { "SIGURG", "SIGUSR1", "SIGPROF", "count", "none" } end,
  input = function() return pick { "", "x", { "a", "b" }, MEGABYTE } end,
  env = function() return { A = "b", C = false } end,
  cwd = function() return "." end,
  stdin = function() return pick { 0, 1000, 2 } end,
  on_stdout = function(world) return (M.fn(world)) end,
  on_stderr = function(world) return (M.fn(world)) end,
  max_output = function() return pick { 0, 1, INF } end,
}

--- Returns options for a function. Some have wrong values, some are unknown.
function M.options(world, name)
  local options, known = {}, KNOWN[name] or OPTIONS
  for _ = 1, random(0, 4) do
    local key = pick(known)
    options[key] = (right[key] or M.simple)(world)
  end
  if random(6) == 1 then options[pick(OPTIONS)] = M.value(world) end
  if random(12) == 1 then
    local key = M.value(world)
    if key ~= nil and key == key then options[key] = M.value(world) end
  end
  -- A run on the real clock that nobody ends would wait for a year.
  if world.real and type(options.close_timeout) == "number" and options.close_timeout > 0.01 then
    options.close_timeout = 0.01
  end
  return options
end

local tables = {
  table = function() return {} end,
  list = function(world)
    local list = {}
    for i = 1, random(4) do list[i] = M.value(world) end
    return list
  end,
  functions = function(world)
    local list = {}
    for i = 1, random(4) do list[i] = M.fn(world) end
    return list
  end,
  callable = function(world) return setmetatable({}, { __call = M.fn(world) }) end,
  evil = evil,
  closing = function(world) return setmetatable({}, { __close = M.fn(world) }) end,
  finalized = function(world) return setmetatable({}, { __gc = M.fn(world) }) end,
  cycle = function() local t = {} t.t, t[1] = t, t return t end,
  options = function(world) return M.options(world) end,
  module = function() return uvjobs end,
  luv = function(world) return world.uv or {} end,
  fake_luv = function(world) -- a luv that lies is trusted
    return world.internal and { new_poll = M.fn(world), new_idle = M.fn(world),
      new_timer = M.fn(world), backend_fd = M.fn(world) } or {}
  end,
}

local table_names = sorted_keys(tables)

-- ---- coroutines and handles -------------------------------------------------------------

local threads = {
  suspended = function() return coroutine.create(ignore) end,
  yielded = function()
    local co = coroutine.create(coroutine.yield)
    coroutine.resume(co)
    return co
  end,
  dead = function()
    local co = coroutine.create(ignore)
    coroutine.resume(co)
    return co
  end,
  failed = function()
    local co = coroutine.create(error)
    coroutine.resume(co, {})
    return co
  end,
  running = function() return (coroutine.running()) end,
  timer = function(world)
    return world.uv and world.new_timer() or io.stderr
  end,
  closed_timer = function(world)
    if not world.uv then return io.stderr end
    local timer = world.new_timer()
    timer:close()
    return timer
  end,
}

local thread_names = sorted_keys(threads)

--- Returns a constant, and its name.
function M.simple()
  local name = pick(constant_names)
  return constants[name], name
end

--- Returns any value, and the name of its kind.
function M.value(world)
  local dice = random(20)
  if dice <= 1 then return nil, "nil" end
  if dice <= 7 then return M.simple() end
  if dice <= 10 then return M.fn(world) end
  if dice <= 13 then
    local name = pick(table_names)
    return tables[name](world), name
  end
  if dice <= 14 then
    local name = pick(thread_names)
    return threads[name](world), name
  end
  return world.object()
end

return M
