-- Programs in plain Lua that allocate a lot, and use nothing of uvjobs: they are measured with
-- and without its heap, which serves a whole Lua state once uvjobs is loaded.
--
--   lua5.4 bench/programs.lua PROGRAM [N]
--
-- prints the CPU time in seconds, and the growth of the memory of the process in bytes: at its
-- most, and when all that the program had made was collected. UVJOBS_HEAP=0 switches the heap off.
-- uvjobs is loaded in any case, so its own memory counts on neither side. bench/programs runs all
-- of them on both sides, and prints the table of docs/performance.md.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

-- Random numbers of our own: the same in every run and with every Lua.
local function generator(seed)
  return function(n)
    seed = (seed * 1103515245 + 12345) & 0x7fffffff
    return (seed >> 8) % n + 1
  end
end

-- Each returns what it keeps to its end, if that is more than a few values.
local programs = {}

-- Binary trees, the benchmark of the Computer Language Benchmarks Game: one that stays, and
-- many that are made, counted and dropped.
function programs.trees(n)
  local function tree(depth)
    if depth == 0 then return {} end
    return { tree(depth - 1), tree(depth - 1) }
  end
  local function count(node)
    return node[1] and 1 + count(node[1]) + count(node[2]) or 1
  end
  local kept, sum = tree(17), 0
  for _ = 1, n do sum = sum + count(tree(12)) end
  assert(sum == n * (2 ^ 13 - 1) and count(kept) == 2 ^ 18 - 1)
end

-- A text that is cut into words and put together in another order, and counts by word.
function programs.strings(n)
  local random = generator(1)
  local counts = {}
  for i = 1, n do
    local words = {}
    for k = 1, 50 do words[k] = ("word%d"):format(random(20000)) end
    local line = table.concat(words, " ")
    for word in line:reverse():gmatch "%S+" do
      counts[word] = (counts[word] or 0) + 1
    end
    counts[i % 1000] = line
  end
  return counts
end

-- Records with six fields, in lists that are filtered, mapped and sorted.
function programs.tables(n)
  local random = generator(2)
  local kept = {}
  for i = 1, n do
    local list = {}
    for k = 1, 100 do
      list[k] = {
        id = k, name = "n" .. k, price = random(1000), x = 1.5, y = k / 3, tags = { k, i },
      }
    end
    local dear = {}
    for _, one in ipairs(list) do
      if one.price > 500 then dear[#dear + 1] = { one.id, one.price, one } end
    end
    table.sort(dear, function(a, b)
      if a[2] ~= b[2] then return a[2] > b[2] end
      return a[1] < b[1]
    end)
    kept[i % 500 + 1] = dear
  end
  return kept
end

-- Closures that call each other, and iterators.
function programs.closures(n)
  local function adder(x)
    return function(y)
      return function(z) return x + y + z end
    end
  end
  local function range(k)
    local i = 0
    return function()
      i = i + 1
      if i <= k then return i end
    end
  end
  local sum, kept = 0, {}
  for i = 1, n do
    for k in range(100) do
      local f = adder(i)(k)
      sum = sum + f(1)
      kept[(i * 100 + k) % 50000 + 1] = f
    end
  end
  return kept, sum
end

-- Values that are written as JSON and read again, by a small reader in plain Lua.
function programs.json(n)
  local write

  local function write_list(value)
    local parts = {}
    for i, one in ipairs(value) do parts[i] = write(one) end
    return "[" .. table.concat(parts, ",") .. "]"
  end

  function write(value)
    if type(value) ~= "table" then
      return type(value) == "string" and ("%q"):format(value) or tostring(value)
    end
    if value[1] ~= nil then return write_list(value) end
    local keys, parts = {}, {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys)
    for i, key in ipairs(keys) do parts[i] = ("%q:%s"):format(key, write(value[key])) end
    return "{" .. table.concat(parts, ",") .. "}"
  end

  local read

  local function read_parts(text, at, last, add)
    while text:byte(at) ~= last do
      at = add(at)
      if text:byte(at) == 44 then at = at + 1 end
    end
    return at + 1
  end

  function read(text, at)
    local first = text:sub(at, at)
    local value, next_at = {}, nil
    if first == "{" then
      return value, read_parts(text, at + 1, 125, function(i)
        local key, after = read(text, i)
        value[key], after = read(text, after + 1)
        return after
      end)
    elseif first == "[" then
      return value, read_parts(text, at + 1, 93, function(i)
        value[#value + 1], next_at = read(text, i)
        return next_at
      end)
    elseif first == '"' then
      local stop = text:find('"', at + 1, true)
      return text:sub(at + 1, stop - 1), stop + 1
    end
    local number = text:match("^[%w.-]+", at)
    return tonumber(number), at + #number
  end

  local random = generator(3)
  local kept = {}
  for i = 1, n do
    local list = {}
    for k = 1, 40 do
      list[k] = { id = k, name = "name " .. random(1000), scores = { random(10), random(10), 0.5 } }
    end
    local text = write { list = list, page = i }
    local value = read(text, 1)
    assert(value.page == i and #value.list == 40)
    kept[i % 200 + 1] = value
    kept[i % 50 + 1000] = text
  end
  return kept
end

-- A cache of which what was not used for longest is dropped, with values of 20 to 2,000 bytes.
function programs.cache(n)
  local random = generator(4)
  local limit = 20000
  local entries, size = {}, 0
  local ends = {}
  ends.after, ends.before = ends, ends
  local function unlink(entry)
    entry.before.after, entry.after.before = entry.after, entry.before
  end
  local function link(entry)
    entry.after, entry.before = ends.after, ends
    ends.after.before, ends.after = entry, entry
  end
  for _ = 1, n do
    local key = "key" .. (random(200) * random(400))
    local entry = entries[key]
    if entry then
      unlink(entry)
    else
      entry = { key = key, value = ("x"):rep(20 + random(1980)) .. key }
      entries[key] = entry
      size = size + 1
    end
    link(entry)
    if size > limit then
      local oldest = ends.before
      unlink(oldest)
      entries[oldest.key] = nil
      size = size - 1
    end
  end
end

-- Phases, each with strings of one size: of n bytes a tenth is kept, at random, and the rest is
-- garbage when the next phase begins. This is what a heap with blocks of fixed sizes is worst at.
local function phases(n, least, most, step)
  local random = generator(5)
  local kept, serial = {}, 0
  local function phase(size)
    local pad = ("x"):rep(math.max(size - 40, 1))
    local all = {}
    for i = 1, n // size do
      serial = serial + 1
      all[i] = pad .. ("%012d"):format(serial)
    end
    for i = 1, #all do
      if random(10) == 1 then kept[#kept + 1] = all[i] end
    end
  end
  for size = least, most, step do
    phase(size)
    collectgarbage()
  end
  return kept
end

function programs.sizes(n) return phases(n, 64, 2048, 16) end
programs["sizes-small"] = function(n) return phases(n, 64, 512, 16) end
programs["sizes-large"] = function(n) return phases(n, 520, 2048, 16) end

-- Long enough to be measured, at most some seconds.
local DEFAULTS <const> = {
  trees = 300, strings = 20000, tables = 10000, closures = 40000, json = 3000, cache = 600000,
  sizes = 8000000, ["sizes-small"] = 24000000, ["sizes-large"] = 8000000,
}

local sides = {}
for name, program in pairs(programs) do
  sides[name] = function(n)
    require "uvjobs"
    local before = common.memory "VmRSS"
    return function()
      local began = os.clock()
      program(n)
      local cpu = os.clock() - began
      collectgarbage()
      collectgarbage()
      return ("%.3f"):format(cpu), ("%d"):format(common.memory "VmHWM" - before),
        ("%d"):format(common.memory "VmRSS" - before)
    end
  end
end

common.main(DEFAULTS[arg[1]] or 1, sides)
