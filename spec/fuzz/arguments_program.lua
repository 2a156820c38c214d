-- For arguments.lua: this file plays the program of one seed. It makes random calls of all
-- functions that reflection finds in the module.

local uvjobs = require "uvjobs"
local cojobs = require "uvjobs.coroutine"
local policy = require "uvjobs.policy"
local values = require "arguments_values"

local random, pick = math.random, values.pick

local function ignore() end

-- ---- what can be called --------------------------------------------------------------

local function add_functions(targets, prefix, t, extra)
  for _, name in ipairs(values.sorted_keys(t)) do
    if type(t[name]) == "function" and t[name] ~= uvjobs.exit then -- that ends the process
      local target = { name = prefix .. name, short = name, fn = t[name] }
      for key, value in next, extra or {} do target[key] = value end
      targets[#targets + 1] = target
    end
  end
end

-- Where __index is a function, it keeps the table of methods as an upvalue: in C the first
-- table, in Lua the upvalue with the name `methods`.
local function methods_of(meta)
  if type(meta.__index) == "table" then return meta.__index end
  if type(meta.__index) == "function" and debug.getinfo(meta.__index, "S").what == "Lua" then
    for i = 1, 9 do
      local name, value = debug.getupvalue(meta.__index, i)
      if name == "methods" then return value end
    end
  end
  if type(meta.__index) == "function" and debug.getinfo(meta.__index, "S").what == "C" then
    for i = 1, 9 do
      local name, value = debug.getupvalue(meta.__index, i)
      if not name then break end
      if type(value) == "table" then return value end
    end
  end
  return {}
end

--- Returns all functions of the module, of its objects and their metatables; with `internal`
--- also those that only `require "uvjobs.core"` and the debug library reach.
local function find_targets(objects, internal)
  local targets, seen = {}, {}
  add_functions(targets, "", uvjobs)
  add_functions(targets, "coroutine.", cojobs)
  add_functions(targets, "policy.", policy)
  for _, kind in ipairs(values.sorted_keys(objects)) do
    local meta = debug.getmetatable(objects[kind])
    if type(meta) == "table" and not seen[meta] then
      seen[meta] = true
      local self = { self = kind }
      add_functions(targets, kind .. ":", methods_of(meta), self)
      local plain = {}
      for name, fn in next, meta do if name ~= "__index" or type(fn) == "function" then
        plain[name] = fn
      end end
      add_functions(targets, kind .. ".", plain, self)
    end
  end
  if internal then
    local core = require "uvjobs.core"
    add_functions(targets, "core.", core)
    add_functions(targets, "core.cqueues.", core.cqueues)
    for _, name in ipairs(values.sorted_keys(debug.getregistry())) do
      local meta = debug.getregistry()[name]
      if name:find "^uvjobs%." and type(meta) == "table" and not seen[meta] then
        add_functions(targets, name .. ".", meta)
      end
    end
  end
  return targets
end

-- The arguments that each function expects, one letter for each: see CLASSES.
local signatures = {
  run = "of", sleep = "s", timeout = "sf", protect = "f", await = "f", exec = "wlo", work = "f",
  start = "of", attach = "u", all = "l", select = "l", race = "l", any = "l", settled = "l",
  map = "lfo", each = "lfo", scheduler = "o", spawn = "of",
  try_spawn = "of", shield = "f", wait_and_close = "s", close = "s", has = "j", wait = "s",
  join = "s", call_exception_handler = "c", queue = "n", put = "vs", get = "s", try_put = "v",
  semaphore = "n", acquire = "s", permit = "s", lock = "s", with = "f", code = "v", debug = "v",
  retry = "of", hedge = "o", compose = "l", call = "f",
  create = "f", resume = "tv", wrap = "f", status = "t", __index = "k", __newindex = "kv",
}

local PROPERTIES <const> = {
  "state", "pending", "active", "closed", "id", "name", "scheduler", "resumes", "preemptions",
  "cpu_time", "limit", "pending_limit", "close_timeout", "wait_timeout", "timeslice",
  "active_count", "pending_count", "exception_handler", "on_error", "capacity", "count", "code",
  "message", "job", "signal", "wait", "nothing",
}

local good = {
  s = values.seconds,
  f = values.fn,
  o = values.options,
  l = function(world)
    local list = {}
    for i = 1, random(0, 4) do list[i] = values.fn(world) end
    return list
  end,
  j = function(world) return world.object "job" end,
  u = function(world) return world.uv end,
  v = values.value,
  w = function() return pick { "true", "cat", "false", "no-such-command", "" } end,
  n = function() return pick { 0, 1, 2, 5, math.huge, math.maxinteger } end,
  c = function(world) return { message = "x", exception = values.value(world) } end,
  t = function(world) return pick(world.threads) or coroutine.create(ignore) end,
  k = function() return pick(PROPERTIES) end,
}

local CLASSES <const> = { s = "seconds", f = "function", o = "options", l = "functions",
  j = "job", u = "luv", v = "any", w = "word", n = "number", c = "context", t = "thread",
  k = "property" }

-- ---- one call ------------------------------------------------------------------------

--- Checks that an error message makes sense to a user. An error that is not a string is one
--- of uvjobs, or comes from a function of the fuzzer.
local function check_error(target, err, world)
  if type(err) ~= "string" then return end
  local bad
  local name = err:match "uvjobs/[%w_/]+%.lua:%d+: bad argument #%-?%d+ to '([^']*)'"
  if err:find "uvjobs/[%w_/]+%.lua:%d+: attempt to [^y]" or name and not world.names[name]
    or err:find "uvjobs%.State" or err:find "%(null%)" then
    bad = "an error from inside"
  elseif not target.internal and err:find "^[^\n]*bad argument #%-?%d+ to '" then
    local what = err:match "bad argument #%-?%d+ to '[^']+' (%b())"
    if not what or #what < 6 then bad = "an error that does not say what was expected" end
  end
  if bad then world.violation("%s: %s: %s", target.name, bad, err:sub(1, 500)) end
end

-- A run that a program makes must end: under the virtual clock it does. A signal ends the
-- process there and then, because what the program calls would catch the error of a signal.
local function tame_run(args)
  if uvjobs.current() then return end
  if type(args[1]) == "function" then
    table.insert(args, 1, { clock = "virtual", signals = false })
    args.n = args.n + 1
  elseif type(args[1]) == "table" then
    rawset(args[1], "clock", "virtual")
    rawset(args[1], "signals", false)
  end
end

local function tame(world, target, args)
  if target.fn == uvjobs.run then tame_run(args) end
  local takes_items = target.fn == uvjobs.map or target.fn == uvjobs.each
  if takes_items and type(args[1]) == "function" then -- the items must end
    local next_item, left = args[1], 20
    args[1] = function()
      left = left - 1
      if left > 0 then return next_item() end
    end
  end
  if world.real and target.short == "__newindex" and args[2] == "close_timeout" then
    args[3] = 0.01
  end
end

local function make_arguments(world, target)
  local args, signature = { n = 0 }, signatures[target.short] or ""
  local function add(value, kind)
    args.n = args.n + 1
    args[args.n] = value
    world.cover(target.name, args.n, kind)
  end
  local wrong = random(3) == 1
  if target.self then
    if wrong and random(3) == 1 then
      add(values.value(world))
    else
      add(world.object(target.self), target.self)
    end
  end
  for i = 1, #signature do
    local class = signature:sub(i, i)
    if class == "o" and random(2) == 1 and i == 1 then goto continue end
    if wrong and random(2) == 1 then
      add(values.value(world))
    else
      add(good[class](world, target.short), CLASSES[class])
    end
    ::continue::
  end
  for _ = 1, random(0, 2) do add(values.value(world)) end
  if wrong then args.n = random(0, args.n) end
  if random(200) == 1 then args.n = pick { 239, 240, 241, 249, 250, 255, 300, 5000, 900000 } end
  return args
end

--- Returns a text about the arguments, for the trace. It calls no metamethod.
local function describe(args)
  local texts = {}
  for i = 1, math.min(args.n, 9) do
    local value = args[i]
    local meta = type(value) == "userdata" and debug.getmetatable(value)
    texts[i] = type(value) == "string" and ("%q"):format(value:sub(1, 20))
      or type(value) == "number" and tostring(value) or meta and tostring(meta.__name)
      or type(value)
  end
  return table.concat(texts, ", ") .. (args.n > 9 and (", ... %d"):format(args.n) or "")
end

local function call(world)
  local target = pick(world.targets)
  if (target.short == "work" or target.short == "exec") and random(10) > 1 then return end
  local args = make_arguments(world, target)
  tame(world, target, args)
  if world.trace then world.trace("%s(%s)", target.name, describe(args)) end
  world.count = world.count + 1
  local results = table.pack(pcall(target.fn, table.unpack(args, 1, args.n)))
  if not results[1] then check_error(target, results[2], world) end
  for i = 2, math.min(results.n, 5) do world.keep(results[i]) end
end

-- ---- operators, and what Lua's own functions do with our objects ------------------------

local operators = {
  function(o) return o[pick(PROPERTIES)] end,
  function(o, v) return o[v] end,
  function(o, v, world)
    local key = pick(PROPERTIES)
    if world.real and key == "close_timeout" then v = 0.01 end
    o[key] = v
  end,
  function(o, v) o[v] = v end,
  function(o) return #o end,
  function(o, v) return o(v) end,
  function(o, v) return o .. v end,
  function(o, v) return o == v, o < v end,
  function(o, v) return o + v, -o, o & v end,
  function(o) return tostring(o), ("%s"):format(o) end,
  function(o) return pairs(o)(o) end,
  function(o) for _ in o do if random(2) == 1 then break end end end,
  function(o) local _ <close> = o end,
  function(o, v) local _ <close> = o error(v) end,
  function(o) return getmetatable(o), setmetatable(o, {}) end,
  function(o) return table.unpack(o, 1, 3) end,
  function(o) return table.concat({ o, o }) end,
  function(o) return next(o), rawget(o, 1), rawlen(o), rawequal(o, o) end,
  function(o) return string.rep(o, 2), math.floor(o), load(o) end,
  function(o) return coroutine.wrap(function() local _ <close> = o coroutine.yield() end)() end,
  function(o, v) return debug.setuservalue(o, v, 9) end, -- there is none with this number
  function(o) return debug.getuservalue(o, 1) end,
  function(o) return debug.getmetatable(o).__gc(o) end,
}

local function operate(world)
  local n = random(#operators)
  local object, kind = world.object()
  world.cover("operator " .. n, 1, kind)
  world.count = world.count + 1
  local ok, err = pcall(operators[n], object, values.value(world), world)
  if not ok then check_error({ name = "operator " .. n }, err, world) end
end

-- ---- attacks ---------------------------------------------------------------------------

local function thread_of(world) return pick(world.threads) or coroutine.running() end

-- Not what Lua keeps on the stack for itself, whose names begin with a parenthesis: a loop
-- trusts its counter and its step. From Lua 5.5 on it trusts its variable, too, which is a number.
local function set_variable(co, level, n, value)
  local name, old = debug.getlocal(co, level, n)
  if name and name:sub(1, 1) ~= "(" and type(old) ~= "number" then
    debug.setlocal(co, level, n, value)
  end
end

-- The objects that have another metatable for a while, with their own. They are not in variables of
-- a function that runs, where debug.setlocal could take them away.
local changed = {}

local function give_back()
  local last = table.remove(changed)
  debug.setmetatable(last.object, last.meta)
end

-- Does something while an object has another metatable. If the object were collected with that
-- one, Lua would not call its __gc, and some objects would be freed while lists of C refer to
-- them. So the object is kept, nothing can suspend meanwhile, as what is suspended may never go on,
-- and even a job that is killed gives the metatable back.
local function with_metatable(world, object, meta)
  changed[#changed + 1] = { object = object, meta = debug.getmetatable(object) }
  local _ <close> = setmetatable({}, { __close = give_back })
  debug.setmetatable(object, meta)
  string.gsub("x", "x", function() world.act(2) end)
end

local attacks = {
  function(world) coroutine.resume(thread_of(world), values.value(world)) end,
  function(world) coroutine.close(thread_of(world)) end,
  function(world) cojobs.resume(thread_of(world), values.value(world)) end,
  function(world) cojobs.close(thread_of(world)) end,
  function(world)
    local co = thread_of(world)
    coroutine.wrap(function() coroutine.resume(co) end)()
  end,
  function(world) debug.traceback(thread_of(world), "x", random(0, 3)) end,
  function(world) -- an error in one of the main program, or of luv, would end it
    local co = thread_of(world)
    if not world.is_foreign(co) then
      debug.sethook(co, (values.fn(world)), "crl", random(0, 3))
    end
  end,
  function(world) debug.sethook(thread_of(world)) end,
  function(world)
    local co = thread_of(world)
    if world.is_foreign(co) then return end
    for level = 0, 5 do
      local info = debug.getinfo(co, level, "S")
      if not info then break end
      if info.what ~= "C" then set_variable(co, level, random(3), values.value(world)) end
    end
  end,
  function(world) -- for a while
    local object = world.object()
    if type(object) == "userdata" then
      with_metatable(world, object, random(2) == 1 and {} or nil)
    end
  end,
  function(world) -- the metatable of another type
    local a, b = world.object(), world.object()
    if type(a) == "userdata" and type(b) == "userdata" then
      with_metatable(world, a, debug.getmetatable(b))
    end
  end,
  function() collectgarbage "collect" end,
  function() collectgarbage("step", random(100)) end,
  function() collectgarbage "generational" end,
  function() collectgarbage "incremental" end,
  function(world) world.forget() end,
  function(world) -- a value that is closed with the job of somebody else
    local co = thread_of(world)
    world.keep(coroutine.wrap(function()
      local _ <close> = world.object()
      coroutine.yield(co)
    end))
  end,
  function(world)
    local event, target = values.fn(world), pick(world.targets)
    pcall(uvjobs.work, pick { target.fn, event, function(...) return ... end },
      world.object(), values.value(world))
  end,
  function(world)
    if not uvjobs.current() then return end
    local what = pick { "sleep", "yield", "event", "queue", "scheduler", "current", "now", "all" }
    pcall(uvjobs.work, function(name, value)
      local jobs = require "uvjobs"
      pcall(jobs[name], value)
      return (select(2, pcall(jobs.run, { clock = "virtual" }, jobs[name], value)))
    end, what, pick { 1, "x", {}, false, -1 })
    world.count = world.count + 1
  end,
}

--- Returns a function that makes n random calls in the place where it is called.
local function new_act(world)
  return function(n)
    for _ = 1, n do
      if world.calls <= 0 then return end
      world.calls = world.calls - 1
      if world.calls == world.exit_at then world.exit() end
      local dice = random(12)
      if dice <= 8 then
        call(world)
      elseif dice <= 10 then
        operate(world)
      else
        pcall(pick(attacks), world)
      end
    end
  end
end

return {
  find_targets = find_targets,
  new_act = new_act,
  check_error = check_error,
}
