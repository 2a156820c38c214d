-- uvjobs.exec ends in bounded time, whatever the process and the functions do; and what
-- a process may still do that is to end.
local luv = require "luv"
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local exec_helper = require "spec.exec.helper"
local guard = require "spec.guard"

local exec, in_run = uvjobs.exec, helper.in_run
local exists, runs, wait_until = exec_helper.exists, exec_helper.runs, exec_helper.wait_until
local STUBBORN <const> = exec_helper.STUBBORN

-- Seconds. A process that ends by itself would take longer.
local ENDLESS <const> = 600

-- Time limits in seconds. One that passes too early, on a slow machine, is followed by the next.
local TIMES <const> = { 0.15, 1.5, 15 }

-- exec in a job whose children have little time when they are closed.
local function hasty_exec(...)
  local jobs <close> = helper.quiet { close_timeout = 0.05 }
  return jobs:spawn(exec, ...):wait()
end

describe("the time of exec", function()
  guard.install(function() uvjobs.run(exec, "true") end)

  it("is limited while a function is suspended, which is cancelled then", in_run(function()
    for _, seconds in ipairs(TIMES) do
      local line, code
      local result, why, rest, message = exec("sh", { "-c", "echo a; echo b; exec sleep 600" }, {
        timeout = seconds,
        on_stdout = function(text)
          line = text
          code = uvjobs.code(select(2, pcall(uvjobs.sleep, ENDLESS)))
          uvjobs.sleep(0)
        end,
      })
      assert.is_nil(result)
      assert.equal("timeout", why)
      assert.equal(15, rest.signal)
      assert.matches("^'sh' did not end within ", message)
      if line then return assert.same({ "a", "cancelled" }, { line, code }) end
    end
    assert.is_true(false, "the function was never called")
  end))

  it("is limited when a function swallows its cancellation", in_run(function()
    for _, seconds in ipairs(TIMES) do
      local called
      local _, why = hasty_exec("sh", { "-c", "echo a; exec sleep 600" }, {
        timeout = seconds,
        on_stdout = function()
          called = true
          while true do pcall(uvjobs.sleep, ENDLESS) end
        end,
      })
      assert.equal("timeout", why)
      if called then return end
    end
    assert.is_true(false, "the function was never called")
  end))

  it("is limited when a function computes", in_run(function()
    for _, swallows in ipairs { false, true } do
      local called
      local function compute()
        called = true
        while true do end
      end
      local function swallow()
        while true do pcall(compute) end
      end
      for _, seconds in ipairs(TIMES) do
        local _, why, rest = hasty_exec("sh", { "-c", "echo a; exec sleep 600" },
          { timeout = seconds, on_stdout = swallows and swallow or compute })
        assert.equal("timeout", why)
        assert.equal(15, rest.signal)
        if called then break end
      end
      assert.is_true(called)
    end
  end))

  it("is told once: a function that had to be killed for it is not reported", in_run(function()
    local reports, called = {}, false
    local jobs <close> = uvjobs.scheduler {
      close_timeout = 0.05, exception_handler = helper.recorder(reports, "message"),
    }
    for _, seconds in ipairs(TIMES) do
      local _, why = jobs:spawn(exec, "sh", { "-c", "echo a; exec sleep 600" }, {
        timeout = seconds,
        on_stdout = function()
          called = true
          while true do pcall(uvjobs.sleep, ENDLESS) end
        end,
      }):wait()
      assert.equal("timeout", why)
      if called then break end
    end
    assert.is_true(called)
    assert.same({}, reports)
  end))

  -- The function that is cancelled because the time is over cancels the job in turn, while
  -- that waits for the function.
  it("reports nothing besides when the job is cancelled at the same time", in_run(function()
    local reports, called = {}, false
    local jobs <close> = uvjobs.scheduler {
      close_timeout = 10,
      exception_handler = helper.recorder(reports, "message"),
    }
    for _, seconds in ipairs(TIMES) do
      local job
      job = jobs:spawn(exec, "sh", { "-c", "echo a; exec sleep 600" }, {
        timeout = seconds,
        on_stdout = function()
          pcall(uvjobs.sleep, ENDLESS)
          called = true
          job:cancel()
          uvjobs.protect(uvjobs.sleep, 0.01)
        end,
      })
      job:join()
      if called then break end
    end
    assert.is_true(called)
    assert.same({}, reports)
  end))

  it("is limited when a function is suspended after the end of the process", in_run(function()
    for _, seconds in ipairs(TIMES) do
      local _, why, rest, message = exec("sh", { "-c", "echo a; exit 5" }, {
        timeout = seconds,
        on_stdout = function() uvjobs.sleep(ENDLESS) end,
      })
      assert.equal("timeout", why)
      if rest.code == 5 then
        assert.is_false(rest.ok)
        assert.matches("^'sh' left its output open for .*, and ended with status 5$", message)
        return
      end
    end
    assert.is_true(false, "it never ended")
  end))

  it("does not depend on a function of the other stream when output has a limit", in_run(function()
    local _, why, rest = exec("sh", { "-c", "echo a >&2; echo 123456; exec sleep 600" }, {
      max_output = 5,
      on_stderr = function() uvjobs.sleep(ENDLESS) end,
    })
    assert.equal("limit", why)
    assert.equal("12345", rest.stdout)
  end))

  it("is limited while nobody reads the input", in_run(function()
    local _, why = exec("sleep", { "600" }, { input = ("x"):rep(3000000), timeout = 0.05 })
    assert.equal("timeout", why)
  end))

  it("does not depend on the input of a process that has ended", in_run(function()
    local result = exec("sh", { "-c", "exec 3<&0; sleep 600 <&3 >/dev/null 2>&1 & echo $!" },
      { input = ("x"):rep(3000000) })
    assert.is_true(result.ok)
    local pid = tonumber(result.stdout)
    assert.is_true(runs(pid))
    luv.kill(pid, "sigkill")
  end))

  it("has no limit by math.huge", in_run(function()
    local result = exec("echo", { "hi" }, { timeout = math.huge, kill_timeout = math.huge })
    assert.same({ ok = true, code = 0, signal = 0, stdout = "hi\n", stderr = "" }, result)
    assert.is_true(exec("true", {}, { timeout = 1e300 }).ok)
  end))

  it("is not prolonged by a process that cannot be killed", in_run(function()
    local kill, pid = luv.kill, nil
    local _ <close> = setmetatable({}, { __close = function() luv.kill = kill end })
    luv.kill = function(number) ---@diagnostic disable-line: duplicate-set-field
      pid = number
      return nil, "EPERM: operation not permitted", "EPERM"
    end
    local _, why, rest, message = exec("sleep", { "600" }, { timeout = 0, kill_timeout = 0.01 })
    luv.kill = kill
    assert.equal("timeout", why)
    assert.is_nil(rest.code)
    assert.same({ false, 0 }, { rest.ok, rest.signal })
    assert.equal("'sleep' did not end within 0 seconds, "
      .. "and has not ended: EPERM: operation not permitted", message)
    kill(pid, "sigkill")
    wait_until(function() return not exists(pid) end)
  end))
end)

describe("the kill timeout of exec", function()
  -- Returns the signal that has ended a process that ignores SIGTERM, and the seconds it took.
  local function stop_stubborn(close_timeout, kill_timeout)
    local jobs <close> = helper.quiet { close_timeout = close_timeout }
    local started = uvjobs.now()
    local _, why, rest = jobs:spawn(exec, "sh", { "-c", STUBBORN },
      { max_output = 0, kill_timeout = kill_timeout }):wait()
    assert.equal("limit", why)
    return rest.signal, uvjobs.now() - started
  end

  it("is as long as asked", in_run(function()
    local signal, seconds = stop_stubborn(60, 0.2)
    assert.equal(9, signal)
    assert.is_true(seconds >= 0.2 and seconds < 40)
    assert.equal(9, (stop_stubborn(60, 0)))
  end))

  it("is a second at least where nobody closes the job", in_run(function()
    local signal, seconds = stop_stubborn(0.01)
    assert.equal(9, signal)
    assert.is_true(seconds >= 1)
  end))

  it("is no longer than the job has time", in_run(function()
    for _, seconds in ipairs { 60, math.huge } do
      local pid
      local jobs = helper.quiet { close_timeout = 0.2 }
      local job = jobs:spawn(exec, "sh", { "-c", STUBBORN }, {
        kill_timeout = seconds,
        on_stdout = function(line) pid = tonumber(line) end,
      })
      wait_until(function() return pid end)
      jobs:close()
      assert.is_true(job.closed)
      wait_until(function() return not exists(pid) end)
    end
  end))
end)

describe("a process that exec ends", function()
  -- Ends with much output when it gets SIGTERM.
  local TALKATIVE <const> = [[
    trap 'head -c 300000 /dev/zero; echo end >&2; echo end >"$0"; exit 3' TERM
    echo up >&2
    while :; do sleep 0.01; done]]

  local function contents(path)
    local file <close> = assert(io.open(path))
    os.remove(path)
    return file:read "a"
  end

  it("may say what it likes, and its last words are there", in_run(function()
    local path = os.tmpname()
    local jobs <close> = uvjobs.scheduler { close_timeout = 60 }
    for _, seconds in ipairs(TIMES) do
      local _, why, rest = jobs:spawn(exec, "sh", { "-c", TALKATIVE, path },
        { timeout = seconds }):wait()
      assert.equal("timeout", why)
      if rest.code == 3 and #rest.stdout == 300000 and rest.stderr == "up\nend\n" then
        return assert.equal("end\n", contents(path))
      end
    end
    assert.is_true(false, "its last words were never there")
  end))

  it("may write as much as it likes though the job is cancelled", in_run(function()
    local path, up = os.tmpname(), uvjobs.event()
    local jobs <close> = uvjobs.scheduler { close_timeout = 60 }
    local job = jobs:spawn(exec, "sh", { "-c", TALKATIVE, path },
      { on_stderr = function() up:set() end })
    up:wait()
    job:close()
    assert.equal("cancelled", job.state)
    assert.equal("end\n", contents(path))
  end))

  it("may write as much as it likes after its limit", in_run(function()
    local path = os.tmpname()
    local jobs <close> = uvjobs.scheduler { close_timeout = 60 }
    local _, why, rest = jobs:spawn(exec, "sh", { "-c", TALKATIVE, path },
      { max_output = 1 }):wait()
    assert.equal("limit", why)
    assert.same({ 3, false, "u" }, { rest.code, rest.ok, rest.stderr })
    assert.matches("^'sh' wrote more than 1 bytes to its standard error, and ended", rest.message)
    assert.equal("end\n", contents(path))
  end))
end)

describe("the standard error of exec", function()
  local SCRIPT <const> = "for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done"

  it("can be merged into the output, in order", in_run(function()
    local lines = {}
    for i = 1, 5 do lines[i] = ("out %d\nerr %d\n"):format(i, i) end
    assert.same({ ok = true, code = 0, signal = 0, stdout = table.concat(lines) },
      exec("sh", { "-c", SCRIPT }, { stderr = "stdout" }))
  end))

  it("can be merged into the lines", in_run(function()
    local lines = {}
    local result = exec("sh", { "-c", SCRIPT }, {
      stderr = "stdout",
      on_stdout = function(line) lines[#lines + 1] = line end,
    })
    assert.same({ ok = true, code = 0, signal = 0 }, result)
    assert.equal("out 1 err 1 out 2 err 2", table.concat(lines, " ", 1, 4))
    assert.equal(10, #lines)
  end))

  it("can be merged into a descriptor", in_run(function()
    local path = os.tmpname()
    local fd <const> = assert(luv.fs_open(path, "w", 384))
    assert.same({ ok = true, code = 0, signal = 0 },
      exec("sh", { "-c", SCRIPT }, { stdout = fd, stderr = "stdout" }))
    luv.fs_close(fd)
    local file <close> = assert(io.open(path))
    os.remove(path)
    assert.matches("^out 1\nerr 1\nout 2\nerr 2\n", file:read "a")
  end))

  it("is merged also where it is much, and the limit is for both", in_run(function()
    local script = "head -c 500000 /dev/zero >&2; head -c 400000 /dev/zero"
    assert.equal(900000, #exec("sh", { "-c", script }, { stderr = "stdout" }).stdout)
    local _, why, rest = exec("sh", { "-c", script }, { stderr = "stdout", max_output = 450000 })
    assert.equal("limit", why)
    assert.equal(450000, #rest.stdout)
  end))

  it("leaves no descriptor open when it is merged", in_run(function()
    local function count() return #exec("ls", { "/proc/" .. luv.os_getpid() .. "/fd" }).stdout end
    exec("true", {}, { stderr = "stdout" })
    local before = count()
    for _ = 1, 5 do
      exec("true", {}, { stderr = "stdout" })
      exec("no-such-command", {}, { stderr = "stdout", input = "x" })
    end
    assert.equal(before, count())
  end))
end)
