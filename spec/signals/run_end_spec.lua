-- How a run ends that gets stuck, or is sent a signal.

local helper = require "spec.helper"

local function child(text)
  return helper.child([[
    local uvjobs = require "uvjobs"
    local pid = io.open("/proc/self/stat"):read("n")
    io.stdout:setvbuf("no")
  ]] .. text, "timeout -s KILL 20")
end

local with_luv = package.searchpath("luv", package.cpath) and it or pending

describe("a run", function()
  it("that is stuck ends, though a scheduler's close timeout never does", function()
    for _, clock in ipairs { "real", "virtual" } do
      local r = child(([[
        local job
        local ok, err = pcall(uvjobs.run, { clock = "%s" }, function()
          local s = uvjobs.scheduler { close_timeout = 1e18, exception_handler = function() end }
          job = s:spawn(uvjobs.protect, function() uvjobs.event():wait() end)
          uvjobs.yield()
          if "%s" == "virtual" then uvjobs.event():wait() end
        end)
        io.write(tostring(ok), " ", job.state, " ", err)
      ]]):format(clock, clock))
      assert.equal(0, r.status)
      assert.equal("", r.err)
      assert.matches("^false killed run is stuck: nothing can wake any of these jobs\n", r.out)
    end
  end)

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
    local r = child [[
      local luv = require "luv"
      local n, timer, watcher = 0, luv.new_timer(), luv.new_signal()
      watcher:start("sigint", function() n = n + 1 end)
      uvjobs.run(function() uvjobs.sleep(0.01) end)
      local left = 4
      timer:start(20, 20, function()
        left = left - 1
        if left == 0 then
          timer:close()
          watcher:close()
        else
          luv.kill(pid, "sigint")
        end
      end)
      luv.run()
      io.write(n, " signals")
    ]]
    assert.same({ status = 0, out = "3 signals", err = "" }, r)
  end)

  with_luv("leaves a signal to luv's handle that was started in it", function()
    local r = child [[
      local luv = require "luv"
      local n, timer, watcher = 0, luv.new_timer(), luv.new_signal()
      uvjobs.run(function()
        watcher:start("sigterm", function() n = n + 1 end)
        uvjobs.sleep(0.01)
      end)
      local left = 4
      timer:start(20, 20, function()
        left = left - 1
        if left == 0 then
          timer:close()
          watcher:close()
        else
          luv.kill(pid, "sigterm")
        end
      end)
      luv.run()
      io.write(n, " signals")
    ]]
    assert.same({ status = 0, out = "3 signals", err = "" }, r)
  end)
end)
