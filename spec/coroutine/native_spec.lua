-- `uvjobs.coroutine` against Lua's own `coroutine`: the same programs, run with
-- either, give the same values and the same messages.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local ours = require "uvjobs.coroutine"

local ignore, closing = helper.ignore, helper.closing

local function count(...) return select("#", ...), ... end

-- The error that `fn()` raises.
local function raised(fn) return select(2, pcall(fn)) end

-- The first of `n` nested coroutines, each of which resumes the next.
local function nest(co, n, fn)
  if n == 0 then return fn() end
  return select(2, co.resume(co.create(nest), co, n - 1, fn))
end

-- Lists of { title, program }. A program gets the table of functions.
local programs = {}
local function program(title, fn)
  programs[#programs + 1] = { title, fn }
end

-- ---- values ----------------------------------------------------------------

program("pass values both ways, and nils", function(co)
  local c = co.create(function(...)
    local n = select("#", ...)
    local a, b, d = co.yield(n, ...)
    local m = count(co.yield(d, nil, b, nil, a, nil))
    return m, nil
  end)
  local list = { table.pack(co.resume(c, nil, 1, nil)), table.pack(co.resume(c, 1, 2, 3, 4)),
                 table.pack(co.resume(c, nil, nil)), table.pack(co.resume(c, 1)) }
  return list, co.status(c)
end)

program("pass none", function(co)
  local c = co.create(function(...)
    local a = count(...)
    local b = count(co.yield())
    return a + b
  end)
  return count(co.resume(c)), count(co.resume(c)), count(co.resume(c))
end)

for _, n in ipairs { 1, 21, 250, 200000 } do
  program(("pass %d values"):format(n), function(co)
    local c = co.create(function(...)
      return count(co.yield(...))
    end)
    local values = {}
    for i = 1, n do values[i] = i end
    local there = table.pack(co.resume(c, table.unpack(values)))
    local back = table.pack(co.resume(c, table.unpack(values)))
    return there.n, there[1], there[2], there[n + 1], back.n, back[2], back[n + 2]
  end)
end

program("refuse a million values", function(co)
  local function many(n) return table.unpack({}, 1, n) end
  local list = {}
  for _, n in ipairs { 600000, 999500, 1000000 } do
    local taker, giver = co.create(function(...) co.yield() return ... end), co.create(many)
    for _, m in ipairs { n, 600000 } do
      list[#list + 1] = table.pack(pcall(function() return co.resume(taker, many(m)) end))
    end
    list[#list + 1] = table.pack(co.status(taker), select("#", co.resume(giver, n)))
    list[#list + 1] = raised(function()
      return (function(...) return ..., co.wrap(many)(600000) end)(many(500000))
    end)
  end
  return list
end)

program("keep the identity of what is passed", function(co)
  local sent, back = {}, function() end
  local c = co.create(function(v) return co.yield(v) end)
  local _, got = co.resume(c, sent)
  local _, result = co.resume(c, back)
  return got == sent, result == back
end)

program("iterate in a for loop", function(co)
  local function permute(a, n)
    if n == 0 then co.yield(table.concat(a)) end
    for i = 1, n do
      a[n], a[i] = a[i], a[n]
      permute(a, n - 1)
      a[n], a[i] = a[i], a[n]
    end
  end
  local list = {}
  for text in co.wrap(function() permute({ "a", "b", "c" }, 3) end) do list[#list + 1] = text end
  return list
end)

program("wrap inside wrap", function(co)
  local evens = co.wrap(function()
    for i in co.wrap(function() for i = 1, 9 do co.yield(i, -i) end end) do
      if i % 2 == 0 then co.yield(i) end
    end
  end)
  return evens(), evens(), evens(), evens(), count(evens())
end)

-- ---- errors ----------------------------------------------------------------

local errors = { "text", 42, 4.5, true, false, { "table" }, print, io.stdout, ours.create(print) }
errors.n = 10 -- the last is nil

for i = 1, errors.n do
  program(("raise a value (%d, %s)"):format(i, type(errors[i])), function(co)
    local value = errors[i]
    local function fail() error(value) end
    local ok, err = co.resume(co.create(fail))
    local wok, werr = pcall(co.wrap(fail))
    local f = co.wrap(function() co.yield() fail() end)
    f()
    local fok, ferr = pcall(f)
    return ok, rawequal(err, value) or err, wok, rawequal(werr, value) or werr,
           fok, rawequal(ferr, value) or ferr
  end)
end

program("say where a wrapped function was called", function(co)
  local function fail() error("boom", 0) end
  local f = co.wrap(fail)
  return {
    raised(co.wrap(fail)),
    raised(function() f() end),
    raised(function() f() end), -- it is dead now
    raised(function() co.wrap(function() co.wrap(fail)() end)() end),
    raised(function() return co.wrap(fail)() end),
    raised(function() for _ in co.wrap(fail) do ignore() end end),
    raised(function() co.wrap(error)("boom", 2) end),
    raised(function() co.wrap(function() local x = nil; return x.y end)() end),
  }
end)

program("run handlers of a wrap that fails, and raise the last error", function(co)
  local seen, one, two = {}, {}, {}
  local function see(_, err) seen[#seen + 1] = err end
  local err = raised(co.wrap(function()
    local _ <close> = closing(see)
    local _ <close> = closing(function(_, e) see(_, e) error(two) end)
    local _ <close> = closing(see)
    error(one)
  end))
  local f = co.wrap(function()
    local _ <close> = closing(function() error("from the handler", 0) end)
    co.yield()
    error("lost", 0)
  end)
  f()
  return err == two, seen[1] == one, seen[2] == one, seen[3] == two, #seen, raised(f)
end)

program("keep the variables of a resume that fails until close", function(co)
  local seen = {}
  local c = co.create(function()
    local _ <close> = closing(function(_, err) seen[#seen + 1] = err end)
    error("boom", 0)
  end)
  local ok, err = co.resume(c)
  local before = #seen
  return ok, err, before, co.status(c), table.pack(co.close(c)), seen, table.pack(co.close(c))
end)

program("resume what cannot be resumed", function(co)
  local dead, outer = co.create(ignore), nil
  co.resume(dead)
  local failed = co.create(error)
  co.resume(failed, "boom")
  outer = co.create(function()
    return co.resume(co.create(function() return co.resume(outer, 1, 2) end))
  end)
  local f
  f = co.wrap(function() f(1, 2) end)
  return table.pack(co.resume(dead, 1)), table.pack(co.resume(failed, 1)),
         table.pack(co.resume((co.running()))), table.pack(co.resume(outer)),
         table.pack(co.resume(co.create(function() return co.resume((co.running()), 3) end))),
         raised(function() f() end)
end)

program("refuse bad arguments", function(co)
  local calls = {
    function(...) co.create(...) end, function(...) co.resume(...) end,
    function(...) co.wrap(...) end, function(...) co.status(...) end,
    function(...) co.close(...) end,
  }
  local list = {}
  for _, call in ipairs(calls) do
    for _, value in ipairs { 1, "x", {}, io.stdout, setmetatable({}, { __call = print }), false } do
      list[#list + 1] = raised(function() call(value) end)
    end
    list[#list + 1] = raised(function() call(nil) end)
    -- close() takes the coroutine that runs from Lua 5.5 on.
    if call ~= calls[5] then list[#list + 1] = raised(call) end
  end
  -- Releases of Lua differ in what they call the type.
  for i, text in ipairs(list) do list[i] = text:gsub("coroutine expected", "thread expected") end
  return list
end)

-- ---- close -----------------------------------------------------------------

program("close what is suspended, dead, not started or normal", function(co)
  local log = {}
  local function add(name)
    return closing(function(_, err) log[#log + 1] = name; log[#log + 1] = tostring(err) end)
  end
  local function body()
    local _ <close> = add "first"
    local _ <close> = add "second"
    co.yield(1)
  end
  local suspended, fresh, dead = co.create(body), co.create(body), co.create(ignore)
  co.resume(suspended)
  co.resume(dead)
  local list = {}
  for _, c in ipairs { suspended, fresh, dead, suspended } do
    list[#list + 1] = table.pack(co.close(c))
    list[#list + 1] = co.status(c)
    list[#list + 1] = table.pack(co.resume(c))
  end
  local outer
  outer = co.create(function()
    return co.wrap(function() return raised(function() co.close(outer) end) end)()
  end)
  return list, log, table.pack(co.resume(outer)), co.close(outer)
end)

if _VERSION == "Lua 5.4" then
  program("refuse to close themselves", function(co)
    return co.wrap(function() return raised(function() co.close((co.running())) end) end)()
  end)
else
  program("close themselves, past everything that runs in them", function(co)
    local seen = {}
    local function body(fails, ...)
      local _ <close> = closing(function(_, err)
        seen[#seen + 1] = tostring(err)
        if fails then error("of closing", 0) end
      end)
      local args = table.pack(...)
      pcall(string.gsub, "x", "x", function() co.close(table.unpack(args, 1, args.n)) end)
      seen[#seen + 1] = "after"
    end
    local list = {}
    for _, fails in ipairs { false, true } do
      local c
      c = co.create(function() body(fails) end)
      list[#list + 1] = table.pack(co.resume(c))
      list[#list + 1] = co.status(c)
      c = co.create(function() body(fails, c) end)
      list[#list + 1] = table.pack(co.resume(c))
      list[#list + 1] = table.pack(pcall(co.wrap(function() body(fails) end)))
    end
    return list, seen
  end)
end

program("close with a handler that fails", function(co)
  local one, two, seen = {}, {}, nil
  local c = co.create(function()
    local _ <close> = closing(function(_, err) seen = err error(two) end)
    local _ <close> = closing(function() error(one) end)
    co.yield()
  end)
  co.resume(c)
  local ok, err = co.close(c)
  return ok, err == two, seen == one, co.status(c), co.close(c)
end)

-- ---- the state of one ------------------------------------------------------

program("know the status in every state", function(co)
  local list, c = {}, nil
  local function note() list[#list + 1] = co.status(c) end
  c = co.create(function()
    note(co.wrap(note)())
    co.yield()
    error "boom"
  end)
  note()
  note(co.resume(c))
  note(co.resume(c))
  return list, co.status((co.running())), co.status(co.create(print))
end)

program("know what runs and whether it can yield", function(co)
  local main, is_main = co.running()
  local c = co.create(function(self)
    local running, inner_main = co.running()
    return running == self, inner_main, co.isyieldable(), co.isyieldable(main)
  end)
  local fresh = co.isyieldable(c)
  local sorted
  table.sort({ 2, 1 }, function(a, b) sorted = co.isyieldable() return a < b end)
  return is_main, co.isyieldable(), fresh, sorted, co.resume(c, c)
end)

-- ---- where it may yield ----------------------------------------------------

program("yield across pcall, metamethods, iterators and handlers", function(co)
  local meta = {
    __index = function(_, k) return co.yield(k) end,
    __add = function() return co.yield "add" end,
    __concat = function() return co.yield "concat" end,
    __lt = function() return co.yield "lt" end,
    __eq = function() return co.yield "eq" end,
    __call = function(_, v) return co.yield(v) end,
    __close = function() co.yield "close" end,
  }
  local object = setmetatable({}, meta)
  local c = co.wrap(function()
    local list = { object.field, object + 1, object .. "", object < object, object("call"),
                   object == setmetatable({}, meta) }
    for i in function(_, i) return co.yield(i or "nil") end do list[#list + 1] = i end
    list[#list + 1] = table.pack(pcall(co.yield, "pcall"))
    list[#list + 1] = table.pack(pcall(function() error(co.yield "error", 0) end))
    list[#list + 1] = table.pack(xpcall(error, function(e) return e end, "x"))
    do local _ <close> = object end
    list[#list + 1] = raised(function() local _ <close> = object; error("closed", 0) end)
    list[#list + 1] = co.isyieldable()
    return list
  end)
  local log = { c() }
  for i = 1, 50 do
    local v = c(i ~= 8 and i or nil)
    log[#log + 1] = v
    if type(v) == "table" then return log end
  end
end)

program("not yield across a C function, and go on", function(co)
  local c = co.create(function()
    local sort = raised(function() table.sort({ 2, 1 }, co.yield) end)
    local gsub = raised(function() string.gsub("x", "x", function() co.yield() end) end)
    return sort, gsub, co.yield "still here"
  end)
  return table.pack(co.resume(c)), table.pack(co.resume(c, "end"))
end)

program("nest 50 deep", function(co)
  return nest(co, 50, function() return "deep", co.isyieldable() end),
         nest(co, 50, function() error("boom", 0) end)
end)

program("overflow the C stack by resuming", function(co)
  local function deeper(n)
    local ok, err = co.resume(co.create(deeper), n + 1)
    if not ok then return n > 100, err end
    return ok and err, select(3, co.resume(co.create(function() return 1, "usable" end)))
  end
  local function wrapped() return co.wrap(wrapped)() end
  local err = raised(wrapped)
  return deeper(0), (err:gsub("[^ ]*:%d+: ", "")), err:match "C stack overflow"
end)

-- ---- memory ----------------------------------------------------------------

program("collect what is suspended, with its variables unrun", function(co)
  local weak, ran = setmetatable({}, { __mode = "k" }), 0
  for i = 1, 20 do
    local c = co.create(function(self)
      local _ <close> = closing(function() ran = ran + 1 end)
      co.yield(self)
    end)
    co.resume(c, c)
    weak[c] = i
    local f = co.wrap(co.yield)
    f(f)
    weak[f] = i
  end
  collectgarbage()
  collectgarbage()
  return next(weak) == nil, ran
end)

program("collect garbage inside", function(co)
  local c = co.wrap(function(v)
    for i = 1, 3 do
      collectgarbage()
      v = co.yield(v .. i)
      collectgarbage "step"
    end
    return v
  end)
  return c "a", c "b", c "c", c "d"
end)

-- ---- the comparison --------------------------------------------------------

local places = {
  { "outside run", function(fn, co) return fn(co) end },
  { "in the main job", function(fn, co) return helper.virtual(fn, co) end },
  { "in a job", function(fn, co)
    return helper.virtual(function()
      local s <close> = uvjobs.scheduler()
      return s:spawn(fn, co):wait()
    end)
  end },
  { "in a coroutine in a job", function(fn, co)
    return helper.virtual(function() return ours.wrap(fn)(co) end)
  end },
}

for _, place in ipairs(places) do
  describe("coroutines of uvjobs " .. place[1], function()
    after_each(helper.check_clean)

    for _, case in ipairs(programs) do
      it(case[1] .. " like Lua's own", function()
        local expected = table.pack(place[2](case[2], coroutine))
        assert.is_true(expected.n > 0 and expected[1] ~= nil, "the program gives nothing")
        assert.same(expected, table.pack(place[2](case[2], ours)))
      end)
    end
  end)
end
