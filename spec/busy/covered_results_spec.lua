-- What a job computes where Lua cannot yield is the same however often others run on top of it.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local function work(x, n)
  for i = 1, n do x = (x * 33 + i) % 65521 end
  return x
end

-- Programs by name: each returns what it has computed.
local programs = {}

function programs.sort()
  local list, x = {}, 1
  for i = 1, 150 do
    x = work(x, 3)
    list[i] = { key = x % 50, at = i }
  end
  table.sort(list, function(a, b)
    work(a.key, 8)
    if a.key == b.key then return a.at < b.at end
    return a.key < b.key
  end)
  local sum = 0
  for i, v in ipairs(list) do sum = (sum * 31 + v.at * i) % 65521 end
  return sum
end

function programs.gsub()
  local depth = 0
  local function replace(text)
    depth = depth + 1
    local result = text:gsub("%a+", function(word)
      work(#word, 20)
      if depth < 4 and #word > 3 then return replace(word:sub(1, 3) .. " " .. word:sub(4)) end
      return #word .. word:upper()
    end)
    depth = depth - 1
    return result
  end
  return replace(("lorem ipsum dolor sit "):rep(20))
end

function programs.metamethods()
  local meta = {}
  meta.__index = function(_, i) return ("%d,"):format(work(i, 20)) end
  meta.__len = function() return 200 end
  meta.__tostring = function(self) work(1, 100) return table.concat(self) end
  return tostring(setmetatable({}, meta))
end

function programs.load()
  local count, x = 0, 0
  local chunk = assert(load(function()
    count, x = count + 1, work(count, 30)
    if count == 1 then return "local t = { " end
    if count < 200 then return ("%d, "):format(x) end
    if count == 200 then return "} local s = 0 for i, v in ipairs(t) do s = s + i * v end" end
    if count == 201 then return " return s" end
  end))
  return chunk()
end

local function generate(library)
  local function tree(depth)
    library.yield(work(depth, 500))
    if depth > 0 then
      for value in library.wrap(function() tree(depth - 1) tree(depth - 1) end) do
        library.yield(value + depth)
      end
    end
  end
  local sum = 0
  for value in library.wrap(function() tree(5) end) do sum = (sum * 7 + value) % 65521 end
  return sum
end

function programs.coroutines() return generate(coroutine) end

function programs.mixed()
  local sums = {}
  for i = 1, 30 do sums[i] = i * 7 % 31 end
  table.sort(sums, coroutine.wrap(function(a, b)
    while true do
      work(a, 30)
      a, b = coroutine.yield(a < b)
    end
  end))
  return table.concat(sums, " ") .. generate(require "uvjobs.coroutine")
end

function programs.garbage()
  local made = 0
  local text = ("abcdefgh"):rep(40):gsub(".", function(c)
    local parts = {}
    for i = 1, 10 do parts[i] = { c .. i } end
    made = made + #parts
    if made % 200 == 0 then collectgarbage("step", 10) end
    return parts[made % 10 + 1][1]
  end)
  return text .. made
end

local expected, names = {}, {}
for name, program in pairs(programs) do
  expected[name], names[#names + 1] = program(), name
end
table.sort(names)

--- Runs each program in several jobs at once until there were so many preemptions.
local function compare(jobs, list, rounds)
  local preemptions = 0
  for _ = 1, rounds do
    local running = {}
    for i, name in ipairs(list) do running[i] = jobs:spawn(programs[name]) end
    for i, name in ipairs(list) do
      assert.equal(expected[name], running[i]:wait(), name)
      preemptions = preemptions + running[i].preemptions
    end
  end
  return preemptions
end

describe("a computation in the middle of a C function gives the same result", function()
  after_each(helper.check_clean)

  for _, name in ipairs(names) do
    it("as undisturbed, when others of its kind run on top of it: " .. name, function()
      helper.virtual(function()
        local jobs <close> = uvjobs.scheduler { timeslice = 1e-5 }
        assert.is_true(compare(jobs, { name, name, name, name }, 5) >= 200)
      end)
    end)
  end

  it("beside all the others, over thousands of interruptions", function()
    helper.virtual(function()
      local jobs <close> = uvjobs.scheduler { timeslice = 1e-5 }
      assert.is_true(compare(jobs, names, 40) >= 5000)
    end)
  end)

  it("where instructions are counted in real time", function()
    uvjobs.run({ interrupt = "count" }, function()
      local jobs <close> = uvjobs.scheduler { timeslice = 1e-9 }
      assert.is_true(compare(jobs, names, 10) >= 1000)
    end)
  end)

  it("where a signal interrupts it, with I/O beside it", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler { timeslice = 0.0005 }
      local preemptions, ticks, stop, due = 0, 0, false, uvjobs.now() + 120
      jobs:spawn(function() while not stop do uvjobs.sleep(0.0001) ticks = ticks + 1 end end)
      repeat
        preemptions = preemptions + compare(jobs, names, 1)
      until preemptions >= 200 and ticks > 20 or uvjobs.now() > due
      stop = true
      assert.is_true(preemptions >= 200 and ticks > 20)
    end)
  end)
end)
