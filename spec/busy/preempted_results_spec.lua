-- Preemption does not change the result of a computation: each of the programs below runs many
-- times at once and is interrupted at many places.
local uvjobs = require "uvjobs"
local job_coroutine = require "uvjobs.coroutine"
local helper = require "spec.helper"

-- A number, or text, that depends on all that a program has added to it.
local function checksum()
  local sum = 7
  return function(value)
    local text = type(value) == "number" and ("%.14g"):format(value) or tostring(value)
    for i = 1, #text do sum = (sum * 31 + text:byte(i)) & 0xffffffff end
    return sum
  end
end

-- Programs by name: each gets a function add(value), and has no other effects.
local programs = {}

function programs.closures(add)
  local function counter(step)
    local n = 0
    return function() n = n + step return n end, function(m) n = m end
  end
  local functions = {}
  for i = 1, 40 do
    local get, set = counter(i)
    functions[i] = function() get() if get() > 90 then set(i % 5) end return get() + i end
  end
  for _ = 1, 12 do
    for i = 1, #functions do add(functions[i]()) end
  end
end

function programs.varargs(add)
  local function sum(...)
    local total = 0
    for i = 1, select("#", ...) do total = total + (select(i, ...) or 0.5) end
    return total
  end
  local function rotate(n, first, ...)
    if n == 0 then return first, ... end
    local packed = table.pack(...)
    packed[packed.n + 1] = first
    return rotate(n - 1, table.unpack(packed, 1, packed.n + 1))
  end
  local function twice(...) return ..., ... end
  for i = 1, 60 do
    add(sum(rotate(i % 9, i, nil, 3, nil, 5, twice(i, 2))))
    add(select(-2, rotate(3, 1, 2, 3, i)))
    add((twice(rotate(2, "a", i, "c"))))
    add(select("#", twice(twice(nil, nil)), sum(twice(i))))
  end
end

local function generate(library, add)
  local function tree(depth)
    if depth > 0 then return { tree(depth - 1), depth, tree(depth - 1) } end
  end
  local function walk(node)
    if not node then return "leaf" end
    walk(node[1])
    local reply = library.yield(node[2], node)
    add(reply)
    return walk(node[3])
  end
  local root = tree(6)
  for round = 1, 3 do
    local thread = library.create(walk)
    local _, value = library.resume(thread, root)
    while value ~= "leaf" do
      add(value)
      _, value = library.resume(thread, value + round)
    end
    add(library.status(thread))
    for depth in library.wrap(function() walk(root) end) do add(depth) end
    add((select(2, pcall(library.wrap(function() walk(root[1]) error("e", 0) end)))))
  end
end

function programs.lua_coroutines(add) generate(coroutine, add) end
function programs.job_coroutines(add) generate(job_coroutine, add) end

-- The work of a metamethod, in the middle of the instruction that called it.
local function work(n)
  local x = n
  for i = 1, 15 do x = (x * 33 + i) % 10007 end
  return x
end

function programs.index_metamethods(add)
  local store = {}
  local proxy = setmetatable({}, {
    __index = function(_, k) return work(#tostring(k)) + (store[k] or 0) end,
    __newindex = function(_, k, v) store[k] = work(v) end,
    __call = function(_, a, ...) return work(a), ... end,
    __len = function() return work(5) end,
  })
  local derived = setmetatable({}, { __index = setmetatable({}, { __index = proxy }) })
  for i = 1, 50 do
    proxy.name, proxy[i], proxy[3] = i, i + 1, #proxy
    proxy["x" .. i % 7] = proxy.name + proxy[i] - derived[3]
    add(derived.name + #proxy)
    add(select("#", proxy(i, derived[i], proxy(i))))
    local a, b = proxy(i, i), { proxy(i, proxy(7, 8)) }
    add(a + #b + b[2])
  end
end

local number = {}

local function value_of(v) return type(v) == "table" and v.value or v end
local function make(v) return setmetatable({ value = v }, number) end

local function binary(fn)
  return function(a, b) return make(work(fn(value_of(a), value_of(b)) // 1 & 0xffff)) end
end

for name, fn in pairs {
  __add = function(a, b) return a + b end, __sub = function(a, b) return a - b end,
  __mul = function(a, b) return a * b end, __div = function(a, b) return a / (b + 1) end,
  __mod = function(a, b) return a % (b + 1) end, __pow = function(a, b) return a + 3 * b end,
  __idiv = function(a, b) return a // (b + 1) end, __band = function(a, b) return a & b end,
  __bor = function(a, b) return a | b end, __bxor = function(a, b) return a ~ b end,
  __shl = function(a, b) return a << b % 8 end, __shr = function(a, b) return a >> b % 8 end,
} do number[name] = binary(fn) end

function number.__unm(a) return make(work(-a.value & 0xff)) end
function number.__bnot(a) return make(work(~a.value & 0xff)) end

function number.__concat(a, b) return value_of(a) % 100 .. "," .. work(#tostring(value_of(b))) end

function number.__eq(a, b) return work(a.value) == work(b.value) end
function number.__lt(a, b) return work(value_of(a)) < work(value_of(b)) end
function number.__le(a, b) return work(value_of(a)) <= work(value_of(b)) end

function programs.arithmetic_metamethods(add)
  for i = 1, 25 do
    local a, b = make(i), make(i * 3)
    add(((a + b) * 3 - 7 * a + (5 + b)).value)
    add(((a / b) + (a % 3) + (3 % b) + (a ^ b) + (2 ^ a) + a // 4 + 90 // a).value)
    add(((a & b) | (a ~ 5) & ~b).value + (-a + -b).value)
    add(((a << 2) + (1 << a) + (b >> 1) + (400 >> b)).value)
  end
end

function programs.comparing_metamethods(add)
  for i = 1, 25 do
    local a, b, same = make(i), make(i * 3 % 11), make(i)
    add(tostring(a == same) .. tostring(a ~= b) .. tostring(a < b) .. tostring(a <= b))
    add(tostring(a > 4) .. tostring(4 >= b) .. tostring(a < 400) .. tostring(b <= 2.5))
    if a < b and not (b <= a or a == same) then add("yes") else add("no") end
    while a < b do a = a + 1 add(a.value) if a == b or a.value % 3 == 0 then break end end
  end
end

-- Two operands at a time: Lua 5.4.4 itself, in any coroutine, gives a wrong result
-- when the stack grows in a metamethod while more of them are on it.
function programs.concat_metamethods(add)
  for i = 1, 60 do
    local a = make(i)
    local text = i .. a
    add(a .. "x")
    add("y" .. text)
    add(select(2, pcall(function() return a .. text end)))
    add(1.5 .. a)
  end
end

function programs.close_variables(add)
  local function closing(n)
    return setmetatable({}, { __close = function(_, err)
      add(work(n))
      if err then add(err) end
      if n % 5 == 0 then error("close " .. n, 0) end
    end })
  end
  local function leave(n)
    local _ <close> = closing(n)
    for i = 1, 3 do
      local _ <close> = closing(n + i)
      if i == 2 and n % 3 == 0 then goto continue end
      if i == 2 and n % 7 == 0 then error("left " .. n, 0) end
      if i == 3 and n % 4 == 0 then return n, closing(n).x, "r" end
      ::continue::
    end
    return work(n), "end"
  end
  for n = 1, 25 do
    local packed = table.pack(pcall(leave, n))
    add(packed.n) add(packed[1]) add(packed[2])
    for i in (function(_, c) if c < 3 then return c + 1 end end), nil, 0, closing(n * 5 + 1) do
      add(i)
    end
  end
end

function programs.strings(add)
  local s = ""
  for i = 1, 150 do
    s = s:sub(-60) .. ("%d:%5.2f|%s|%q;"):format(i, i / 7, ("ab"):rep(i % 4), "n\n" .. i)
    if i % 5 == 0 then add(s) end
    add(s:upper():reverse():byte(i % 20 + 1))
    add(tostring(s < "3" .. i) .. tostring(s:sub(1, 3) <= s:sub(2, 4)) .. #s)
  end
  add(select("#", s:byte(1, -1)))
  add(table.concat({ s, "end" }, "-"))
end

function programs.sort(add)
  local list, calls = {}, 0
  for i = 1, 120 do list[i] = work(i * 7) end
  table.sort(list, function(a, b) calls = calls + 1 return work(a) < work(b) end)
  add(table.concat(list, " "))
  add(calls)
  table.sort(list)
  add(table.concat(list, ";"))
end

function programs.gsub(add)
  local text = ("the quick brown fox "):rep(12)
  add((text:gsub("%w+", function(word) return work(#word) .. word:reverse() end)))
  add((text:gsub("(%w)(%w+)", function(a, b) if a > "f" then return b .. a end end)))
  local lookup = setmetatable({}, { __index = function(_, k) return k .. work(#k) end })
  add((text:gsub("%a+", lookup)))
  for a, b in text:gmatch("(%a+) (%a+)") do add(a < b and a or b) end
end

function programs.errors(add)
  local function fail(n) if n == 0 then error({ code = 3 }) end return (fail(n - 1)) end
  for i = 1, 30 do
    for level = 0, 2 do
      local function raise() error("m" .. i, level) end
      add((select(2, pcall(function() raise() return 1 end)):gsub("^.*/", "")))
    end
    local ok, err = pcall(pcall, fail, i)
    add(ok) add(err)
    add((select(2, xpcall(fail, function(e) return work(e.code) end, i % 9))))
    add((select(2, xpcall(function() return nil + i end, function() return work(i) end))))
    add(select("#", pcall(function(...) return i, ... end, nil, nil)))
    add((select(3, pcall(xpcall, error, function(e) return e .. i end, "x"))))
  end
end

function programs.loops(add)
  for i = 1, 9 do
    for k = 10, -10, -i do add(k) end
    for x = 0, 1, 0.125 do add(x * i) end
    for k = math.maxinteger - 2, math.maxinteger do add(k) end
    for k, v in pairs { 10, 20, 30, i } do add(k * v) end
    for k, v in ipairs { "a", "b", i, nil, 5 } do add(k .. v) end
    local pairs_of = setmetatable({}, { __pairs = function()
      return function(_, k) if k < i then return k + 1, work(k) end end, nil, 0
    end })
    for k, v in pairs(pairs_of) do add(k + v) end
    local n = 0
    repeat local m = n + i n = m until m > 40
    while n > 0 do n = n - 7 if n % 5 == 0 then goto next end add(n) ::next:: end
  end
end

function programs.goto_and_arithmetic(add)
  local n, x, f = 27, 0x9E3779B97F4A7C15, 0.1
  ::again::
  x = x ~ x << 13 x = x ~ x >> 7 x = x ~ x << 17
  f = (f * 3.7 * (1 - f)) % 1.0
  if n % 2 == 0 then n = n // 2 else n = 3 * n + 1 end
  add(x % 1000003 + n) add(f) add(x // 7 | ~n) add(-7 // 2 + -7 % 3.5 + 2 ^ (n % 9))
  add(math.type(n / 1) .. tostring(x < n) .. (math.tointeger(f) or "no"))
  if n ~= 1 then goto again end
end

function programs.recursion(add)
  local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
  local function ackermann(m, n)
    if m == 0 then return n + 1 end
    if n == 0 then return ackermann(m - 1, 1) end
    return ackermann(m - 1, ackermann(m, n - 1))
  end
  local function tail(n, acc) if n == 0 then return acc end return tail(n - 1, acc * 3 % 1009) end
  local function deep(n) if n == 0 then return 0 end return 1 + deep(n - 1) end
  add(fib(14)) add(ackermann(2, 9)) add(tail(3000, 1)) add(deep(1500))
end

function programs.assignments_and_tables(add)
  local a, b, c, t = 1, 2, 3, {}
  local function three(n) return n, n + 1, nil, n + 3 end
  for i = 1, 120 do
    a, b, c = b, c, a + i % 3
    t[a % 10], a, t[b % 10] = b, a + 1, a
    local list = { i, three(i), [20] = a, three(b), x = b, three(c) }
    local all = { three(three(i)) }
    local i1, i2, _, i4, none = three(i)
    add(#list * a + list[3] + list[20] + list.x) add(all[4]) add(i1 + i2 + i4)
    add(none) add(t[i % 10]) add(#{ table.unpack(list, 1, 3) }) add((three(i)))
  end
end

function programs.objects(add)
  local Account = {}
  Account.__index = Account
  function Account.new(n) return setmetatable({ n = n, log = {} }, Account) end
  function Account:deposit(v) self.n = self.n + v self.log[#self.log + 1] = v return self end
  function Account:total(...) return self.n + select("#", ...), ... end
  local Special = setmetatable({}, { __index = Account })
  Special.__index = Special
  function Special:deposit(v) return Account.deposit(self, work(v)) end
  for i = 1, 60 do
    local s = setmetatable(Account.new(i), i % 2 == 0 and Special or Account)
    add(s:deposit(i):deposit(3):deposit(#s.log):total(nil, nil, i))
    add(table.concat(s.log, ","))
    local chunk = load(("local s = ... return s:total(%d, ...)"):format(i))
    add(select("#", chunk(s, i)))
  end
end

local names, expected = {}, {}
for name in pairs(programs) do names[#names + 1] = name end
table.sort(names)

local function compute(name)
  local add = checksum()
  programs[name](add)
  return add("end")
end

for _, name in ipairs(names) do expected[name] = compute(name) end

-- Runs `copies` of a program at once, each shifted by some instructions, and
-- returns how often they were preempted.
local function compare(jobs, name, copies)
  local all, preemptions = {}, 0
  for i = 1, copies do
    all[i] = jobs:spawn(function()
      for _ = 1, 37 * i do end
      return compute(name)
    end)
  end
  for i = 1, copies do
    assert.equal(expected[name], all[i]:wait(), name)
    preemptions = preemptions + all[i].preemptions
  end
  return preemptions
end

describe("a computation that is preempted", function()
  after_each(helper.check_clean)

  for _, name in ipairs(names) do
    it(("gives the same result as undisturbed: %s"):format(name:gsub("_", " ")), function()
      helper.virtual(function()
        local jobs <close> = uvjobs.scheduler { timeslice = 1e-5 }
        assert.is_true(compare(jobs, name, 12) >= 100)
      end)
    end)
  end

  it("gives the same results beside all the others", function()
    helper.virtual(function()
      local jobs <close> = uvjobs.scheduler { timeslice = 1e-5 }
      local total = 0
      for i, results in ipairs(uvjobs.map(names, function(name)
        return { name, compare(jobs, name, 3) }
      end)) do
        assert.equal(names[i], results[1])
        total = total + results[2]
      end
      assert.is_true(total > 2000)
    end)
  end)

  it("gives the same results where instructions are counted in real time", function()
    uvjobs.run({ interrupt = "count" }, function()
      local jobs <close> = uvjobs.scheduler { timeslice = 1e-9 }
      local total = 0
      for _, name in ipairs(names) do total = total + compare(jobs, name, 3) end
      assert.is_true(total > 2000)
    end)
  end)

  it("gives the same results where a signal interrupts it", function()
    uvjobs.run(function()
      local before, fewest = uvjobs.stats().preemptions, math.huge
      local function preemptions() return uvjobs.stats().preemptions - before end
      local jobs = uvjobs.scheduler { timeslice = 0.0005, on_error = "cancel" }
      for _, name in ipairs(names) do
        jobs:spawn(function()
          for _ = 1, 500 do
            assert.equal(expected[name], compute(name), name)
            if preemptions() >= 300 then break end
          end
          fewest = math.min(fewest, uvjobs.current().preemptions)
        end)
      end
      jobs:wait_and_close()
      assert.is_true(preemptions() >= 300)
      assert.is_true(fewest > 0)
    end)
  end)
end)
