-- insight.trace().

local helper = require "spec.helper"
local insight = require "uvjobs.insight"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--- Calls fn(path) with the name of a file that is removed afterwards.
local function with_file(fn)
  local path = os.tmpname()
  local ok, err = xpcall(fn, debug.traceback, path)
  os.remove(path)
  if not ok then error(err, 0) end
end

--- The numbers of events by their phases; raises when it is no good trace.
local function check(path)
  local call = ("LD_PRELOAD= python3 spec/insight/trace_check.py %s 2>&1"):format(path)
  local pipe = assert(io.popen(call))
  local said = pipe:read "a"
  assert(pipe:close(), said)
  local counts = {}
  for phase, n in said:gmatch "(%a)=(%d+)" do counts[phase] = tonumber(n) end
  return counts
end

local function virtual(fn) return uvjobs.run({ clock = "virtual" }, fn) end

--- Runs a program in a process of its own, by a shell command in which %s is the interpreter.
local function shell(command, source, ...)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(source)
  file:close()
  local call = ("lua5.4 %s %s"):format(path, table.concat({ ... }, " "))
  local pipe = assert(io.popen(command:format(call) .. " 2>&1"))
  local said = pipe:read "a"
  pipe:close()
  os.remove(path)
  return said
end

describe("insight.trace", function()
  after_each(helper.check_clean)

  it("has jobs, stretches, and arrows from spawn to start and from wake to resume #I11", function()
    with_file(function(path)
      virtual(function()
        local jobs <close> = helper.quiet { name = "shop" }
        local trace = insight.trace { file = path }
        local queue = uvjobs.queue(1)
        jobs:spawn({ name = "put" }, function()
          for i = 1, 3 do
            uvjobs.sleep(1)
            queue:put(i)
          end
        end)
        jobs:spawn({ name = "get" }, function() for _ = 1, 3 do queue:get() end end)
        jobs:spawn(error, "no")
        jobs:spawn(print):cancel()
        jobs:wait_idle()
        assert.equal("open", trace.state)
        trace:close()
        assert.equal("closed", trace.state)
        local counts, text = check(path), read(path)
        assert.equal(#text, trace.bytes)
        -- The main job, which goes on, and four others.
        assert.same({ 5, 4 }, { counts.b, counts.e })
        assert.equal(9, counts.X)
        assert.equal(3 + 3, counts.s) -- three spawns, three items
        assert.matches('"name":"put","args":{"job":%d+}', text)
        assert.matches('"name":"shop","args":{"state":"failed"}', text)
        assert.matches('"name":"shop","args":{"state":"cancelled"}', text)
        assert.matches('"ph":"X","pid":%d+,"tid":1,"ts":1000000.000,"dur":0.000,"name":"put"', text)
        assert.is_true(counts.C >= 1)
      end)
    end)
  end)

  it("is the same each time under the virtual clock, but for the numbers #I3", function()
    local texts = {}
    for i = 1, 2 do
      with_file(function(path)
        virtual(function()
          local _ <close> = insight.trace { file = path }
          local jobs <close> = uvjobs.scheduler { limit = 2 }
          for _ = 1, 5 do jobs:spawn(uvjobs.sleep, 1) end
        end)
        texts[i] = read(path):gsub('"id":%d+', ""):gsub('"job":%d+', ""):gsub('"parent":%d+', "")
      end)
    end
    assert.equal(texts[1], texts[2])
  end)

  it("escapes names, whatever is in them #I11", function()
    with_file(function(path)
      virtual(function()
        local trace <close> = insight.trace { file = path }
        local jobs <close> = uvjobs.scheduler { name = ("\"\\\n"):rep(99) }
        jobs:spawn(function() end)
        for _, name in ipairs { '"', "\\", "\n\0\27", "\xff\xc3", "ä€😀", ("€"):rep(100), "" } do
          jobs:spawn({ name = name }, function() end)
        end
        for i = 1, 5000 do jobs:spawn({ name = "many " .. i }, function() end) end
        jobs:wait_idle()
        trace:close()
        check(path)
      end)
      assert.matches("ä€😀", read(path), 1, true)
    end)
  end)

  it("is never longer than its limit, and ends there #I11", function()
    for _, limit in ipairs { 1024, 1500.5, 70000 } do
      with_file(function(path)
        virtual(function()
          local trace <close> = insight.trace { file = path, limit = limit }
          for _ = 1, 2000 do uvjobs.yield() end
          assert.equal("full", trace.state)
          assert.is_false(insight.measure())
          assert.is_nil(uvjobs.scheduler():spawn(function() end).times)
          assert.is_true(#read(path) <= limit and #read(path) > limit - 400)
          assert.equal(#read(path), trace.bytes)
          trace:close()
          check(path)
        end)
      end)
    end
  end)

  it("has no limit with math.huge", function()
    with_file(function(path)
      virtual(function()
        local trace <close> = insight.trace { file = path, limit = math.huge, format = "chrome" }
        for _ = 1, 2000 do uvjobs.yield() end
        trace:close()
        assert.is_true(check(path).X >= 1999)
      end)
    end)
  end)

  it("says at once that its file cannot be written", function()
    local function message(file) return helper.message(insight.trace, { file = file }) end
    assert.equal("cannot write the trace '/no/such/t.json': No such file or directory",
      message "/no/such/t.json")
    assert.equal("cannot write the trace '/': Is a directory", message "/")
    if io.open "/dev/full" then
      assert.equal("cannot write the trace '/dev/full': No space left on device",
        message "/dev/full")
    end
  end)

  it("refuses bad options", function()
    for expected, options in pairs {
      ["option 'file' is missing"] = {},
      ["option 'file': name of a file expected, got ''"] = { file = "" },
      ["option 'file': name of a file expected, got 1"] = { file = 1 },
      ["option 'limit': number of bytes >= 1024 or math.huge expected, got 0"] =
        { file = "x", limit = 0 },
      ["option 'limit': number of bytes >= 1024 or math.huge expected, got nan"] =
        { file = "x", limit = 0 / 0 },
      ["option 'format': 'chrome' expected, got 'json'"] = { file = "x", format = "json" },
      ["unknown option 'fil', did you mean 'file'?"] = { fil = "x" },
    } do
      assert.equal(("bad argument #1 to 'trace' (%s)"):format(expected),
        helper.message(insight.trace, options))
    end
    assert.equal("bad argument #1 to 'trace' (table expected, got no value)",
      (helper.message(insight.trace):gsub("got nil", "got no value")))
  end)

  it("is one at a time, can be closed twice, and is closed when it is collected", function()
    with_file(function(path)
      local trace = insight.trace { file = path }
      assert.matches("another trace is being written",
        helper.message(insight.trace, { file = path }))
      trace:close()
      trace:close()
      assert.matches("^uvjobs.Trace: .* closed$", tostring(trace))
      assert.is_false(pcall(function() return trace.stat end))
      assert.is_false(pcall(function() trace.state = 1 end))
      local second = insight.trace { file = path }
      assert.same({ "closed", "open" }, { trace.state, second.state })
      trace:close()
      assert.equal("open", second.state)
      second = nil -- luacheck: ignore 311
      collectgarbage()
      collectgarbage()
      insight.trace { file = path }:close()
      check(path)
    end)
  end)

  it("can be begun and ended by jobs at any moment, and cancelled everywhere", function()
    with_file(function(path)
      virtual(function()
        local jobs <close> = helper.quiet { limit = 5, stats = true }
        for i = 1, 60 do
          jobs:spawn(function()
            local ok, trace = pcall(insight.trace, { file = path, limit = 1024 + i * 100 })
            uvjobs.sleep(i % 3)
            if ok and i % 2 == 0 then trace:close() end
          end)
        end
        jobs:wait_idle()
      end)
      collectgarbage()
      collectgarbage()
      check(path)
      for _, way in ipairs { "cancel", "kill" } do
        testing.cancel_everywhere({ by = way }, function()
          local _ <close> = insight.trace { file = path }
          local jobs <close> = uvjobs.scheduler()
          for _ = 1, 3 do jobs:spawn(uvjobs.sleep, 1) end
        end)
      end
    end)
  end)

  it("is whole JSON when the process is killed #I11", function()
    with_file(function(path)
      for _, seconds in ipairs { 0.15, 0.2, 0.3 } do
        shell("timeout -s KILL " .. seconds .. " %s", [[
          local uvjobs, insight = require "uvjobs", require "uvjobs.insight"
          uvjobs.run(function()
            local trace = insight.trace { file = ... }
            while true do uvjobs.sleep(0.0001) end
          end)
        ]], path)
        if #read(path) > 0 then check(path) end -- it may have had no time to begin
      end
    end)
  end)

  it("writes what a job does that never suspends again before it is killed #I11", function()
    with_file(function(path)
      shell("timeout -s KILL 60 %s", [[
        local uvjobs, insight = require "uvjobs", require "uvjobs.insight"
        uvjobs.run(function(path)
          local trace = insight.trace { file = path }
          for _ = 1, 51 do uvjobs.yield() end -- the first stretch began before it
          local function slices()
            local file <close> = io.open(path)
            return select(2, file:read "a":gsub('"ph":"X"', ""))
          end
          while slices() < 50 do end
          os.execute "kill -9 $PPID"
          while trace do end
        end, ...)
      ]], path)
      assert.equal(50, check(path).X)
    end)
  end)

  it("stops when the disk is full, says so once, and the program goes on", function()
    with_file(function(path)
      local said = shell("trap '' XFSZ; ulimit -f 200; %s", [[
        local uvjobs, insight = require "uvjobs", require "uvjobs.insight"
        uvjobs.run(function(path)
          local trace <close> = insight.trace { file = path, limit = math.huge }
          for _ = 1, 20000 do uvjobs.yield() end
          print(trace.state)
        end, ...)
      ]], path)
      assert.equal("uvjobs: the trace ends here, since its file cannot be written: File too large\n"
        .. "File too large\n", said)
      check(path)
    end)
  end)
end)
