-- The functions that uvjobs puts into the table `coroutine` do what Lua's own do: random programs.
local helper = require "spec.helper"

-- Keeps Lua's own functions, and makes programs of them or of those that come in their place.
local PROGRAMS <const> = [[
  local own = {}
  for name, fn in pairs(coroutine) do own[name] = fn end
  local uvjobs = require "uvjobs"

  local MOST_STEPS <const>, MOST_DEPTH <const> = 400, 25

  local function play(lib, seed)
    local log, names, count, cos, depth, steps = {}, {}, 0, {}, 0, 0
    local act
    local function random(n)
      seed = (seed * 1103515245 + 12345) % 2147483648
      return (seed >> 8) % n + 1
    end
    local function name(value)
      if type(value) ~= "thread" and type(value) ~= "table" then return tostring(value) end
      if not names[value] then
        count = count + 1
        names[value] = type(value) .. count
      end
      return names[value]
    end
    local function note(...)
      local list = table.pack(...)
      for i = 1, list.n do list[i] = name(list[i]) end
      log[#log + 1] = table.concat(list, " ")
    end
    local function closing()
      return setmetatable({}, { __close = function(_, err)
        note("close", err, lib.isyieldable(), select(2, lib.running()))
        if random(4) == 1 then act() end
        if random(5) == 1 then error("close " .. random(9), random(3) - 1) end
      end })
    end
    local function body(...)
      note("body", ...)
      local _ <close> = random(2) == 1 and closing() or nil
      for _ = 1, random(4) do act() end
      return table.unpack({ 1, nil, 3 }, 1, random(4) - 1)
    end
    local function go_on(co)
      if type(co) == "thread" then note("resume", lib.resume(co, random(9), "x"))
      else note("call", pcall(co, random(9))) end
    end
    local actions = {
      function() cos[#cos + 1] = lib.create(body) end,
      function() cos[#cos + 1] = lib.wrap(body) end,
      go_on, go_on, go_on, go_on,
      function(co)
        if type(co) ~= "thread" then return co(random(3)) end
        note("close", lib.status(co), pcall(lib.close, co))
        note("closed", lib.status(co))
      end,
      function() note("yield", pcall(lib.yield, random(9))) end,
      function() if lib.isyieldable() then note("yield", lib.yield(random(9), nil)) end end,
      function() error(random(2) == 1 and "error " .. random(9) or {}, random(3) - 1) end,
      function() note("pcall", pcall(act)) end,
      function() table.sort({ 3, 2, 1 }, function(a, b)
        if random(6) == 1 then act() end
        return a < b
      end) end,
      function() ("ab"):gsub(".", function() act() end) end,
      function() for a, b in lib.wrap(body) do
        note("for", a, b)
        if random(3) == 1 then break end
      end end,
    }
    function act()
      steps, depth = steps + 1, depth + 1
      local _ <close> = setmetatable({}, { __close = function() depth = depth - 1 end })
      if steps > MOST_STEPS or depth > MOST_DEPTH then return end
      local action = actions[random(#actions)]
      local co = #cos > 0 and cos[random(#cos)] or lib.create(body)
      action(co)
    end
    for _ = 1, 20 do note("top", pcall(act)) end
    return table.concat(log, "\n")
  end

  local function check(first, last)
    for seed = first, last do
      local expected, got = play(own, seed), play(coroutine, seed)
      if expected ~= got then error("seed " .. seed .. "\n" .. expected .. "\n---\n" .. got, 0) end
    end
  end
]]

local function child(source)
  local r = helper.child(PROGRAMS .. source)
  assert.same({ status = 0, err = "", out = "same\n" }, r)
end

describe("random programs of Lua's coroutines do the same with uvjobs", function()
  it("outside of jobs", function()
    child [[ check(1, 100) print "same" ]]
  end)

  it("in a job", function()
    child [[ uvjobs.run(check, 101, 200) print "same" ]]
  end)

  it("in jobs that run on top of each other #M15", function()
    child [[
      uvjobs.run({ clock = "virtual" }, function()
        local jobs <close> = uvjobs.scheduler { timeslice = 5e-6 }
        local list = {}
        for i = 1, 4 do list[i] = jobs:spawn(check, 200 + 30 * i, 229 + 30 * i) end
        for i = 1, 4 do list[i]:wait() end
        assert(uvjobs.stats().preemptions > 10)
      end)
      print "same"
    ]]
  end)
end)
