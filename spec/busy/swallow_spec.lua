-- Jobs that compute and swallow every error are stopped all the same.

debug.sethook() -- makes a table in the registry, the first time
local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local co = require "uvjobs.coroutine"

local closing, burn, forever = helper.closing, helper.burn, helper.forever

local function swallow(...)
  while true do pcall(...) end
end

-- An object whose metamethod computes for ever.
local function endless(name)
  return setmetatable({}, { [name] = forever })
end

local function in_metamethod(name, use)
  return function() swallow(use, endless(name)) end
end

-- Functions that compute for ever and resist every error. The job calls them in pcalls of its own,
-- too.
local tricks = {
  ["a pcall in a loop"] = function() swallow(forever) end,
  ["a pcall of a pcall of a pcall"] = function()
    swallow(pcall, pcall, pcall, swallow, pcall, pcall, forever)
  end,
  ["calls that are short"] = function() swallow(function() return 1 + 1 end) end,
  ["a pcall that is called by what it calls"] = function()
    local function again() pcall(again) return again() end
    again()
  end,
  ["a goto loop"] = function()
    ::again::
    pcall(function()
      ::inner::
      goto inner
    end)
    goto again
  end,
  ["tail calls"] = function()
    local function ping(pong) return pong(ping) end
    swallow(ping, ping)
  end,
  ["a tail call of pcall"] = function()
    local function again() return pcall(again, pcall(forever)) end
    while true do again() end
  end,
  ["xpcall with a message handler that raises"] = function()
    while true do xpcall(forever, error) end
  end,
  ["xpcall with a message handler that catches"] = function()
    while true do
      xpcall(forever, function() return (pcall(error)) end)
    end
  end,
  ["errors in message handlers of errors of its own"] = function()
    while true do
      xpcall(error, function() error(nil) end)
    end
  end,
  ["a comparison of table.sort"] = function()
    while true do
      pcall(table.sort, { 3, 2, 1 }, forever)
    end
  end,
  ["a comparison of table.sort that catches"] = function()
    swallow(table.sort, { 3, 2, 1 }, function(a, b) pcall(forever) return a < b end)
  end,
  ["a function of string.gsub"] = function()
    swallow(string.gsub, "text", ".", function() swallow(forever) end)
  end,
  ["a reader of load"] = function() swallow(load, function() swallow(forever) end) end,
  ["a chunk of load"] = function() load("while true do pcall(load 'while true do end') end")() end,
  ["a step of a for loop"] = function()
    swallow(function() for _ in forever do end end)
  end,
  ["building a string"] = function()
    local text = ""
    swallow(function()
      while true do text = (text .. "x"):sub(-1000) end
    end)
  end,
  ["a recursion without end"] = function()
    local function deep(n) return 1 + deep(n + 1) end
    swallow(deep, 1)
  end,
  ["a recursion without end that catches"] = function()
    local function deep(n)
      pcall(deep, n + 1)
      pcall(deep, n + 1)
    end
    while true do deep(1) end
  end,
  ["tables that are collected"] = function()
    swallow(function()
      while true do
        setmetatable({}, { __gc = function() pcall(error) end })
      end
    end)
  end,
  ["__close"] = function()
    swallow(function()
      local _ <close> = closing(forever)
      forever()
    end)
  end,
  ["__close of a block in a loop"] = function()
    while true do
      pcall(function()
        local _ <close> = closing(error)
      end)
    end
  end,
  ["uvjobs.protect"] = function() swallow(uvjobs.protect, forever) end,
  ["pcalls in uvjobs.protect"] = function() uvjobs.protect(swallow, forever) end,
  ["uvjobs.timeout"] = function() swallow(uvjobs.timeout, 60, forever) end,
  ["uvjobs.timeout that passes again and again"] = function()
    swallow(uvjobs.timeout, 0, forever)
  end,
  ["uvjobs.timeout in uvjobs.timeout"] = function()
    swallow(uvjobs.timeout, 0.001, swallow, uvjobs.timeout, 0.001, forever)
  end,
  ["uvjobs.timeout in uvjobs.protect in uvjobs.timeout"] = function()
    swallow(uvjobs.timeout, 60, uvjobs.protect, uvjobs.timeout, 0.001, forever)
  end,
  ["a coroutine"] = function() swallow(co.wrap(function() swallow(forever) end)) end,
  ["coroutines in a loop"] = function()
    while true do co.resume(co.create(forever)) end
  end,
  ["a coroutine in a coroutine"] = function()
    swallow(co.wrap(function() swallow(co.wrap(function() swallow(forever) end)) end))
  end,
  ["a coroutine that yields"] = function()
    local step = co.wrap(function() while true do pcall(co.yield) end end)
    swallow(function() while true do step() end end)
  end,
  ["calls that would suspend"] = function() swallow(uvjobs.yield) end,
  ["calls that would suspend, and computation"] = function()
    while true do
      pcall(uvjobs.sleep, 0)
      pcall(burn, 0.0005)
    end
  end,
  ["cancelling itself"] = function()
    uvjobs.current():cancel()
    swallow(forever)
  end,
  ["cancelling itself again and again"] = function()
    swallow(function()
      while true do uvjobs.current():cancel() end
    end)
  end,
  ["a debug hook"] = function()
    debug.sethook(function() pcall(error) end, "cr")
    swallow(forever)
  end,
  ["removing debug hooks"] = function()
    while true do
      debug.sethook()
      pcall(debug.sethook)
    end
  end,
}

for name, use in pairs {
  __index = function(t) return t.key end,
  __newindex = function(t) t.key = 1 end,
  __call = function(t) return t() end,
  __add = function(t) return t + 1 end,
  __unm = function(t) return -t end,
  __concat = function(t) return t .. "text" end,
  __eq = function(t) return t == endless "__eq" end,
  __lt = function(t) return t < t end,
  __le = function(t) return t <= 1 end,
  __len = function(t) return #t end,
  __tostring = tostring,
  __pairs = function(t) for _ in pairs(t) do forever() end end,
} do
  tricks["the metamethod " .. name] = in_metamethod(name, use)
end

-- These replace the hook that counts instructions, so counting cannot stop them.
local hooks = { ["a debug hook"] = true, ["removing debug hooks"] = true }

local names = {}
for name in pairs(tricks) do names[#names + 1] = name end
table.sort(names)

local settings = {
  { interrupt = "SIGURG", timeslice = math.huge, text = "" },
  { interrupt = "SIGURG", timeslice = 0.002, text = ", with slices" },
  { interrupt = "count", timeslice = math.huge, text = ", by counting" },
  { interrupt = "count", timeslice = 0.002, text = ", by counting, with slices" },
}

-- Ways to stop a job after so many seconds; start(options) spawns it. `code` is the code of the
-- error that the waiter gets.
local ways = {
  {
    name = "at its deadline", code = "killed",
    stop = function(seconds, start)
      local job = start { timeout = seconds }
      return job, pcall(job.wait, job)
    end,
  },
  {
    name = "by wait(t)", code = "timeout",
    stop = function(seconds, start)
      local started = uvjobs.event()
      local job = start({}, started)
      started:wait()
      return job, pcall(job.wait, job, seconds)
    end,
  },
}

-- Stops a job that swallows errors by this trick. Returns the job, the error that the waiter got,
-- what the `<close>` variables saw, and the messages of the reports.
local function try(trick, way, setting, seconds)
  local log, messages, job, err = helper.log(), helper.log(), nil, nil
  local function note(name)
    return closing(function(_, e) log:add(name .. " " .. tostring(uvjobs.code(e))) end)
  end
  local function work(started)
    local _ <close> = note "outer"
    local _ <close> = note "inner"
    if started then
      started:set()
      uvjobs.yield()
    end
    swallow(swallow, swallow, trick)
  end
  uvjobs.run({ interrupt = setting.interrupt }, function()
    local s <close> = uvjobs.scheduler {
      timeslice = setting.timeslice, close_timeout = 0.005,
      exception_handler = helper.recorder(messages, "message"),
    }
    local _
    job, _, err = way.stop(seconds, function(options, started)
      return s:spawn(options, work, started)
    end)
    uvjobs.sleep(0)
  end)
  return job, err, log, messages
end

-- The error may hit the job before it is in its first pcall, which proves nothing.
local function stop(trick, way, setting)
  return helper.lengthen(0.001, function(seconds)
    local job, err, log, messages = try(trick, way, setting, seconds)
    return job.state == "killed", job, err, log, messages
  end)
end

describe("a job that swallows errors is killed #M8:", function()
  after_each(helper.check_clean)

  for i, name in ipairs(names) do
    for j, way in ipairs(ways) do
      -- Each trick is tried with and without a signal, in one of two ways each.
      local setting = settings[(i + 2 * j) % #settings + 1]
      if hooks[name] and setting.interrupt == "count" then setting = settings[j] end
      it(name .. ", " .. way.name .. setting.text, function()
        local job, err, log, messages = stop(tricks[name], way, setting)
        assert.equal(way.code, uvjobs.code(err))
        assert.equal(job, err.job)
        assert.same({ "inner killed", "outer killed" }, { table.unpack(log) })
        -- Who waits past a limit is told by the `timeout` that it gets.
        assert.same(way.code == "timeout" and {} or { "Job closing timed out" },
          { table.unpack(messages) })
      end)
    end
  end
end)

describe("a <close> variable of a job that is killed", function()
  after_each(helper.check_clean)

  -- Gives a job with these handlers in its `<close>` variables so many seconds, and kills it.
  -- Returns whether the job was in its pcall by then, and what they have noted.
  local function try_to_kill(options, seconds, first, second)
    local log, job, begun = helper.log(), nil, false
    uvjobs.run(options, function()
      local s <close> = uvjobs.scheduler { close_timeout = 0.005, exception_handler = type }
      job = s:spawn({ timeout = seconds }, function()
        local _ <close> = closing(function(_, err)
          log:add("last " .. tostring(uvjobs.code(err)))
        end)
        local _ <close> = closing(function(_, err)
          log:add("second " .. uvjobs.code(err))
          if begun then second() end
          log:add "second went on"
        end)
        local _ <close> = closing(function(_, err)
          log:add("first " .. uvjobs.code(err))
          if begun then first() end
          log:add "first went on"
        end)
        swallow(swallow, function()
          begun = true
          forever()
        end)
      end)
      pcall(job.wait, job)
    end)
    assert.equal(begun and "killed" or "failed", job.state)
    return begun, { table.unpack(log) }
  end

  local function kill_with(options, first, second)
    return helper.lengthen(0.001, function(seconds)
      return try_to_kill(options, seconds, first, second)
    end)
  end

  for _, setting in ipairs { settings[1], settings[3] } do
    local options = { interrupt = setting.interrupt }

    it("that computes is interrupted, and the next one runs #M7" .. setting.text, function()
      assert.same({ "first killed", "second killed", "last killed" },
                  kill_with(options, forever, forever))
    end)

    it("that swallows errors is interrupted, and the next one runs #M7" .. setting.text, function()
      assert.same({ "first killed", "second killed", "last killed" },
                  kill_with(options, function() swallow(swallow, forever) end,
                            function() pcall(forever) swallow(error) end))
    end)

    it("that is short is not interrupted #M7" .. setting.text, function()
      assert.same({ "first killed", "first went on", "second killed", "second went on",
                    "last killed" },
                  kill_with(options, function() pcall(error) end, function() return 1 + 1 end))
    end)

    it("that raises is followed by the next one #M7" .. setting.text, function()
      assert.same({ "first killed", "second killed", "last nil" },
                  kill_with(options, uvjobs.yield, error))
    end)
  end
end)
