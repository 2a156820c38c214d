-- How uvjobs.exec ends early: by its options, an error in a function, and whatever
-- ends the job. No process may be left, and no handle.
local luv = require "luv"
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local exec_helper = require "spec.exec.helper"
local guard = require "spec.guard"

local exec, raises, in_run = uvjobs.exec, helper.raises, helper.in_run

-- A script for sh that prints its process number and sleeps for a minute.
local SLEEPER <const> = "echo $$; exec sleep 60"
local exists, runs, wait_until = exec_helper.exists, exec_helper.runs, exec_helper.wait_until
local STUBBORN <const> = exec_helper.STUBBORN

-- Stages in which a call of exec can be ended. Each function calls exec, and calls begun(pid) when
-- it has come to its stage.
local stages = {
  reading = function(begun)
    return exec("sh", { "-c", SLEEPER }, { on_stdout = function(pid) begun(tonumber(pid)) end })
  end,
  ["writing its input"] = function(begun)
    return exec("sh", { "-c", SLEEPER }, {
      input = ("x"):rep(3000000),
      on_stdout = function(pid) begun(tonumber(pid)) end,
    })
  end,
  ["in its function"] = function(begun)
    return exec("sh", { "-c", SLEEPER }, {
      on_stdout = function(pid)
        begun(tonumber(pid))
        uvjobs.sleep(60)
      end,
    })
  end,
  ["waiting for the end of a process that has closed its output"] = function(begun)
    local number
    return exec("sh", { "-c", "echo $$; exec >&- 2>&-; exec sleep 60" }, {
      on_stdout = function(pid)
        number = tonumber(pid)
        uvjobs.current().scheduler:spawn(function() begun(number) end)
      end,
    })
  end,
  ["in a group"] = function(begun)
    return exec("sh", { "-c", SLEEPER }, {
      group = true,
      on_stdout = function(pid) begun(tonumber(pid)) end,
    })
  end,
}

describe("exec", function()
  guard.install(function() uvjobs.run(exec, "true") end)

  -- Spawns a call, and waits until it has come to its stage. Returns the job, the scheduler and the
  -- number of the process, which is nil when the job ended before.
  local function begin(stage, options, wrap)
    local scheduler = uvjobs.scheduler(options)
    local number
    local job = scheduler:spawn(function()
      local function call() return stage(function(pid) number = pid end) end
      if wrap then return wrap(call) end
      return call()
    end)
    wait_until(function() return number or job.closed end)
    helper.yield(3)
    return job, scheduler, number
  end

  -- Time limits in seconds. One that passes too early, on a slow machine, is followed by the next.
  local TIMES <const> = { 0.15, 1.5, 15 }

  for name, stage in pairs(stages) do
    it("ends the process when the job is cancelled while " .. name, in_run(function()
      local job, _, pid = begin(stage)
      assert.is_true(exists(pid))
      job:cancel()
      assert.equal(job, raises("cancelled", job.wait, job).job)
      assert.is_false(exists(pid))
    end))

    it("ends the process when a deadline passes while " .. name, in_run(function()
      for _, seconds in ipairs(TIMES) do
        local code
        local job, _, pid = begin(stage, nil, function(call)
          code = uvjobs.code(select(2, pcall(uvjobs.timeout, seconds, call)))
        end)
        job:wait()
        assert.equal("timeout", code)
        if pid then return assert.is_false(exists(pid)) end
      end
      assert.is_true(false, "it never began")
    end))

    it("ends the process when the scheduler is closed while " .. name, in_run(function()
      local job, scheduler, pid = begin(stage, { close_timeout = 30 })
      scheduler:close()
      assert.equal("cancelled", job.state)
      assert.is_false(exists(pid))
    end))

    it("ends the process when the job is killed while " .. name, in_run(function()
      local job, scheduler, pid = begin(stage, {
        close_timeout = 0.02,
        exception_handler = helper.ignore,
      }, uvjobs.protect)
      scheduler:close()
      assert.equal("killed", job.state)
      wait_until(function() return not exists(pid) end)
    end))
  end

  it("leaves nothing when run ends in the middle of it", function()
    local pid = uvjobs.run(function()
      return (select(3, begin(stages.reading, { close_timeout = 30 })))
    end)
    assert.is_false(exists(pid))
  end)

  it("does nothing in a job that is cancelled already", in_run(function()
    local scheduler <close> = uvjobs.scheduler()
    local path = os.tmpname()
    os.remove(path)
    local job = scheduler:spawn(function()
      uvjobs.current():cancel()
      return uvjobs.code(select(2, pcall(exec, "sh", { "-c", "touch " .. path })))
    end)
    assert.equal("cancelled", job:wait())
    assert.is_nil(io.open(path))
  end))

  it("kills a process that ignores SIGTERM", in_run(function()
    local job, _, pid = begin(function(begun)
      return exec("sh", { "-c", STUBBORN }, {
        on_stdout = function(line) begun(tonumber(line)) end,
      })
    end)
    job:cancel()
    raises("cancelled", job.wait, job)
    assert.is_false(exists(pid))
  end))

  it("lets a process end in its own way", in_run(function()
    local path = os.tmpname()
    local job = begin(function(begun)
      return exec("sh", { "-c", ("trap 'echo good bye >%s; exit 3' TERM; echo $$; "
        .. "while :; do sleep 0.01; done"):format(path) }, {
        on_stdout = function(line) begun(tonumber(line)) end,
      })
    end, { close_timeout = 30 })
    job:cancel()
    raises("cancelled", job.wait, job)
    local file <close> = assert(io.open(path))
    assert.equal("good bye\n", file:read "a")
    os.remove(path)
  end))

  it("raises the error of a function, unchanged, and ends the process", in_run(function()
    for _, name in ipairs { "on_stdout", "on_stderr" } do
      local failure, pid = { "of the function" }, nil
      local ok, err = pcall(exec, "sh", { "-c", "echo $$; echo $$ >&2; exec sleep 60" }, {
        [name] = function(line)
          pid = tonumber(line)
          error(failure)
        end,
      })
      assert.is_false(ok)
      assert.equal(failure, err)
      assert.is_false(exists(pid))
    end
  end))

  -- ---- options that end it -----------------------------------------------------------

  -- exec in a job that has a minute to end. A process that got SIGTERM has as long before SIGKILL.
  local function patient_exec(...)
    local jobs <close> = uvjobs.scheduler { close_timeout = 60 }
    return jobs:spawn(exec, ...):wait()
  end

  it("returns what there was when its timeout has passed", in_run(function()
    local start = uvjobs.now()
    local result, why, rest, message =
      patient_exec("sh", { "-c", "exec sleep 60" }, { timeout = 0.05 })
    assert.is_true(uvjobs.now() - start >= 0.05)
    assert.is_nil(result)
    assert.equal("timeout", why)
    assert.same({
      ok = false, signal = 15, stdout = "", stderr = "",
      message = "'sh' did not end within 0.05 seconds, and was ended by signal 15 (SIGTERM)",
    }, rest)
    assert.equal(rest.message, message)
    for _, seconds in ipairs(TIMES) do
      result, why, rest = exec("sh", { "-c", "echo out; echo err >&2; exec sleep 60" },
        { timeout = seconds })
      assert.is_nil(result)
      assert.equal("timeout", why)
      if rest.stderr ~= "" then break end
    end
    assert.same({ "out\n", "err\n" }, { rest.stdout, rest.stderr })
    assert.equal("timeout", (select(2, exec("sleep", { "60" }, { timeout = 0 }))))
  end))

  it("returns normally before its timeout", in_run(function()
    assert.equal("x\n", exec("echo", { "x" }, { timeout = 3600 }).stdout)
    assert.equal(0, exec("true", {}, { timeout = 3600 }).code)
  end))

  it("ends its timeout also while others hold the output open", in_run(function()
    for _, seconds in ipairs(TIMES) do
      local _, why, rest = exec("sh", { "-c", "sleep 60 & echo $!; exit 5" },
        { timeout = seconds })
      assert.equal("timeout", why)
      local pid = tonumber(rest.stdout)
      if pid then
        assert.is_true(runs(pid))
        luv.kill(pid, "sigkill")
        if rest.code == 5 then return end
      end
    end
    assert.is_true(false, "it never ended")
  end))

  it("ends a process that prints more than the limit", in_run(function()
    for _, stream in ipairs { "stdout", "stderr" } do
      local script = "head -c 5000 /dev/zero; exec sleep 60"
      if stream == "stderr" then script = "exec >&2; " .. script end
      local result, why, rest = patient_exec("sh", { "-c", script }, { max_output = 4999 })
      assert.is_nil(result)
      assert.equal("limit", why)
      assert.equal(("\0"):rep(4999), rest[stream])
      assert.equal(15, rest.signal)
    end
    assert.equal(5000, #exec("head", { "-c", "5000", "/dev/zero" }, { max_output = 5000 }).stdout)
    assert.equal("", exec("true", {}, { max_output = 0 }).stdout)
    local _, why, rest = exec("echo", {}, { max_output = 0 })
    assert.equal("limit", why)
    assert.equal("", rest.stdout)
  end))

  it("kills a process that prints too much and ignores SIGTERM", in_run(function()
    local _, why, rest = exec("sh", { "-c", "trap '' TERM; echo 1234567890; exec sleep 60" },
      { max_output = 5 })
    assert.equal("limit", why)
    assert.same({
      ok = false, signal = 9, stdout = "12345", stderr = "",
      message = "'sh' wrote more than 5 bytes to its standard output, "
        .. "and was ended by signal 9 (SIGKILL)",
    }, rest)
  end))

  it("ends a process whose line does not end, but not one with many lines", in_run(function()
    local count = 0
    local options = { max_output = 1000, on_stdout = function() count = count + 1 end }
    local _, why, rest = patient_exec("sh",
      { "-c", "echo short; head -c 1500 /dev/zero; exec sleep 60" }, options)
    assert.equal("limit", why)
    assert.equal(15, rest.signal)
    assert.equal(1, count)
    assert.equal(0, exec("seq", { "3000" }, options).code)
    assert.equal(3001, count)
  end))

  -- ---- groups ----------------------------------------------------------------------------

  local function grandchild(group)
    for _, seconds in ipairs(TIMES) do
      local _, why, rest = exec("sh", { "-c", "sleep 60 & echo $!; wait" },
        { timeout = seconds, group = group })
      assert.equal("timeout", why)
      local pid = tonumber(rest.stdout)
      if pid then return pid end
    end
  end

  it("ends what the process has started, with a group", in_run(function()
    local pid = grandchild(true)
    wait_until(function() return not runs(pid) end)
  end))

  it("leaves alone what the process has started, without a group", in_run(function()
    local pid = grandchild(false)
    assert.is_true(runs(pid))
    luv.kill(pid, "sigkill")
  end))

  it("ends a group when the job is cancelled, also what ignores SIGTERM", in_run(function()
    local first, second
    local job = begin(function(begun)
      return exec("sh", { "-c", "(trap '' TERM; echo $$; exec sleep 60) & echo $!; wait" }, {
        group = true,
        on_stdout = function(line)
          first, second = second, tonumber(line)
          if first then begun(second) end
        end,
      })
    end, { close_timeout = 30 })
    job:cancel()
    raises("cancelled", job.wait, job)
    wait_until(function() return not runs(first) and not runs(second) end)
  end))

  it("gives the process a group of its own only when asked", in_run(function()
    local function group_of_child(options)
      local stat = exec("cat", { "/proc/self/stat" }, options).stdout
      local pid, group = stat:match "^(%d+) %(cat%) %a %d+ (%d+)"
      return tonumber(pid), tonumber(group)
    end
    local pid, group = group_of_child { group = true }
    assert.equal(pid, group)
    pid, group = group_of_child {}
    assert.not_equal(pid, group)
  end))
end)
