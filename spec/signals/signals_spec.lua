-- SIGINT and SIGTERM, in child processes.
local helper = require "spec.helper"

local function child(text)
  return helper.child([[
    local uvjobs = require "uvjobs"
    local pid = io.open("/proc/self/stat"):read("n")
    io.stdout:setvbuf("no")
  ]] .. text)
end

-- Runs this text, and then luv's loop, in which a timer sends `signal` three times. Prints how
-- many of them the handle `watcher` got, which `count` counts.
local function count_in_luv(signal, text)
  return child(([[
    local luv = require "luv"
    local n, watcher = 0, luv.new_signal()
    local function count() n = n + 1 end
    %s
    local left, timer = 4, luv.new_timer()
    timer:start(20, 20, function()
      left = left - 1
      if left == 0 then
        timer:close()
        watcher:close()
      else
        luv.kill(pid, "%s")
      end
    end)
    luv.run()
    io.write(n, " signals")
  ]]):format(text, signal))
end

local with_luv = package.searchpath("luv", package.cpath) and it or pending

describe("a signal", function()
  -- The beginning of every script. raise_signal(name) sends a signal to the process.
  local prelude = [[
    local uvjobs = require "uvjobs"
    local pid = io.open("/proc/self/stat"):read("n")
    local function raise_signal(name) io.popen("kill -" .. name .. " " .. pid):close() end
    io.stdout:setvbuf("no")
    -- Where the signal is raised: in the sleep, or between two instructions before it.
    local function raise_and_sleep(name)
      raise_signal(name)
      uvjobs.sleep(60)
    end
  ]]

  for _, name in ipairs { "INT", "TERM" } do
    it("SIG" .. name .. " cancels the main job, and run raises an error that names it", function()
      local r = helper.child(prelude .. ([[
        local ok, err = pcall(uvjobs.run, function()
          local jobs <close> = uvjobs.scheduler()
          jobs:spawn(function()
            local _ <close> = setmetatable({}, { __close = function() print("cleaned up") end })
            uvjobs.sleep(60)
          end)
          uvjobs.yield()
          raise_signal "%s"
          uvjobs.sleep(60)
        end)
        print(ok, uvjobs.code(err), err.signal, err.job.state)
        print(err.message:match("by SIG%%a+"))
      ]]):format(name))
      assert.same({
        status = 0, err = "",
        out = ("cleaned up\nfalse\tcancelled\tSIG%s\tcancelled\nby SIG%s\n"):format(name, name),
      }, r)
    end)

    it("SIG" .. name .. " a second time ends the process with 128+N at once", function()
      local r = helper.child(prelude .. ([[
        uvjobs.run(function()
          pcall(raise_and_sleep, "%s")
          print("cancelled")
          raise_signal "%s"
          uvjobs.protect(uvjobs.sleep, 60)
          print("still here")
        end)
      ]]):format(name, name))
      assert.equal("cancelled\n", r.out)
      assert.equal(name == "INT" and 130 or 143, r.status)
    end)
  end

  it("a second time ends the process even when a job never suspends", function()
    local r = helper.child(prelude .. [[
      uvjobs.run(function()
        pcall(raise_and_sleep, "INT")
        raise_signal "INT"
        local deadline = uvjobs.now() + 2
        while uvjobs.now() < deadline do end
        print("still here")
      end)
    ]])
    assert.equal("", r.out)
    assert.equal(130, r.status)
  end)

  it("kills a main job that goes on after the close timeout of run #M8", function()
    for _, stubborn in ipairs {
      "while true do end", "while true do pcall(uvjobs.sleep, 60) end",
      "uvjobs.protect(uvjobs.sleep, 60)",
      "table.sort({ 1, 2, 3 }, function() while true do end end)",
    } do
      local r = helper.child(prelude .. ([[
        local ok, err = pcall(uvjobs.run, { close_timeout = 0.05 }, function()
          local _ <close> = setmetatable({}, { __close = function() print "cleaned up" end })
          pcall(raise_and_sleep, "TERM")
          %s
        end)
        print(ok, uvjobs.code(err), err.signal)
        print(err.message:match("by SIG%%a+"))
      ]]):format(stubborn))
      assert.equal("cleaned up\nfalse\tkilled\tSIGTERM\nby SIGTERM\n", r.out)
    end
  end)

  it("lets jobs that are polite, and what waits for them, end beside a busy one", function()
    for _, wait in ipairs { "polite:wait()", "serving:wait_and_close(60)", "busy:join()" } do
      local r = helper.child(prelude .. ([[
        local computing <close> = uvjobs.scheduler { close_timeout = 60 }
        local serving = uvjobs.scheduler { close_timeout = 60 }
        print(pcall(uvjobs.run, { close_timeout = 60 }, function()
          local polite = serving:spawn(function()
            local _ <close> = setmetatable({}, { __close = function() print "polite" end })
            uvjobs.sleep(60)
          end)
          local busy = computing:spawn(function()
            local _ <close> = setmetatable({}, { __close = function() print "busy" end })
            raise_signal "INT"
            while true do end
          end)
          local _ <close> = setmetatable({}, { __close = function()
            uvjobs.protect(serving.close, serving)
            print "main"
          end })
          %s
        end))
      ]]):format(wait))
      assert.matches("^polite\nmain\nbusy\nfalse\t[^\n]* was cancelled by SIGINT\n$", r.out)
    end
  end)

  it("ends a run under the virtual clock though a child process lives on", function()
    local r = helper.child(prelude .. [[
      local ok, err = pcall(uvjobs.run, { clock = "virtual", close_timeout = 0.1 }, function()
        uvjobs.protect(uvjobs.exec, "sh", { "-c", "kill -TERM $PPID; exec sleep 60" })
      end)
      print(ok, uvjobs.code(err), err.signal)
    ]])
    assert.equal("false\tkilled\tSIGTERM\n", r.out)
  end)

  it("does not reach the main job with signals = false", function()
    local r = helper.child(prelude .. [[
      uvjobs.run({ signals = false }, function()
        print("running")
        raise_signal "TERM"
        uvjobs.sleep(60)
        print("still here")
      end)
    ]])
    assert.equal("running\n", r.out)
    assert.not_equal(0, r.status)
  end)

  it("has its usual effect again after the run", function()
    local r = helper.child(prelude .. [[
      uvjobs.run(function() uvjobs.sleep(0) end)
      print("ran")
      raise_signal "TERM"
      print("still here")
    ]])
    assert.equal("ran\n", r.out)
    assert.not_equal(0, r.status)
  end)

  it("of one run does not reach the next", function()
    local r = helper.child(prelude .. [[
      print(pcall(uvjobs.run, function()
        raise_signal "INT"
        uvjobs.sleep(60)
      end))
      print(uvjobs.run(function()
        uvjobs.sleep(0.01)
        return "second run"
      end))
    ]])
    assert.matches("^false\tjob.* was cancelled by SIGINT\nsecond run\n$", r.out)
    assert.equal(0, r.status)
  end)

  it("is heard at once when the last handle of luv was just closed", function()
    local r = helper.child(prelude .. [[
      local uv = require "luv"
      local ok, err = pcall(uvjobs.run, function()
        local timer = uv.new_timer()
        timer:start(3600000, 0, function() end)
        uvjobs.sleep(0.01) -- luv's descriptor has been watched
        timer:close()
        raise_signal "INT"
        uvjobs.sleep(3600)
      end)
      print(ok, err.signal)
    ]])
    assert.equal("false\tSIGINT\n", r.out)
  end)

  it("is named also when the main job had not begun", function()
    local r = helper.child(prelude .. [[
      uvjobs.scheduler():spawn(function() -- runs before the main job
        raise_signal "TERM"
        local stop = uvjobs.now() + 0.05
        while uvjobs.now() < stop do end
        uvjobs.sleep(0)
      end)
      local ok, err = pcall(uvjobs.run, function() uvjobs.sleep(60) end)
      print(ok, uvjobs.code(err), err.signal)
    ]])
    assert.equal("false\tcancelled\tSIGTERM\n", r.out)
  end)

  it("wakes a run under the virtual clock that only waits for I/O", function()
    local r = helper.child(prelude .. [[
      local uv = require "luv"
      local ok, err = pcall(uvjobs.run, { clock = "virtual" }, function()
        local timer = uv.new_timer()
        timer:start(60000, 0, function() end)
        raise_signal "INT"
        uvjobs.await(function() return function() timer:close() end end)
      end)
      print(ok, err.signal)
    ]])
    assert.equal("false\tSIGINT\n", r.out)
  end)
end)

describe("a run", function()
  it("under the virtual clock that only sleeps is cancelled by a signal", function()
    for _, name in ipairs { "INT", "TERM" } do
      local r = child(([[
        local ok, err = pcall(uvjobs.run, { clock = "virtual" }, function()
          io.popen("kill -%s " .. pid):close()
          for _ = 1, 2e7 do uvjobs.sleep(1) end
        end)
        io.write(tostring(ok), " ", uvjobs.code(err) or "", " ", err.signal or "")
      ]]):format(name))
      assert.same({ status = 0, out = "false cancelled SIG" .. name, err = "" }, r)
    end
  end)

  with_luv("leaves a signal to luv's handle that was started before it", function()
    local r = count_in_luv("sigint", [[
      watcher:start("sigint", count)
      uvjobs.run(function() uvjobs.sleep(0.01) end)
    ]])
    assert.same({ status = 0, out = "3 signals", err = "" }, r)
  end)

  with_luv("leaves a signal to luv's handle that was started in it", function()
    local r = count_in_luv("sigterm", [[
      uvjobs.run(function()
        watcher:start("sigterm", count)
        uvjobs.sleep(0.01)
      end)
    ]])
    assert.same({ status = 0, out = "3 signals", err = "" }, r)
  end)
end)
