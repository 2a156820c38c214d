-- uvjobs.exec: child processes.
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
require "uvjobs.exec" -- which exec() loads when it is called
local helper = require "spec.helper"
local world = require "spec.uv_helper"

local message = helper.message

-- A sanitizer that this process was given by LD_PRELOAD is not for the children.
local function exec(command, args, options)
  options = options or {}
  options.env = options.env or {}
  options.env.LD_PRELOAD = false
  return uvjobs.exec(command, args, options)
end

local function sh(text, options)
  return exec("sh", { "-c", text }, options)
end

local function in_run(fn)
  return function() return uvjobs.run(fn) end
end

-- The processes that this one has started and nobody has waited for.
local function children()
  local pids = {}
  for _, path in ipairs(assert(luv.fs_opendir("/proc/self/task", nil, 100)):readdir()) do
    local file = io.open("/proc/self/task/" .. path.name .. "/children")
    for pid in (file and file:read("a") or ""):gmatch("%d+") do pids[#pids + 1] = pid end
    if file then file:close() end
  end
  return pids
end

local function exists(pid)
  return luv.kill(pid, 0) ~= nil
end

local function wait_until_gone(pid)
  while exists(pid) do uvjobs.sleep(0.001) end
end

local function check()
  world.check_clean()
  collectgarbage()
  assert.same({}, children())
end

describe("exec returns", function()
  after_each(check)

  it("the exit status, and what was written", in_run(function()
    assert.same({ code = 3, signal = 0, stdout = "out\n", stderr = "err\n" },
      sh "echo out; echo err >&2; exit 3")
  end))

  it("the signal that ended it", in_run(function()
    local result = sh "kill -9 $$"
    assert.equal(9, result.signal)
    assert.equal(0, result.code)
  end))

  it("nil, a message and a code when it cannot be started", in_run(function()
    assert.same({ nil, "ENOENT: no such file or directory", "ENOENT" }, { exec("no-such-command") })
    local _, _, code = exec("true", {}, { cwd = "/does/not/exist" })
    assert.equal("ENOENT", code)
  end))

  it("every byte of a large output, and of both streams at once", in_run(function()
    local result = sh [[head -c 3000000 /dev/zero; head -c 2000000 /dev/zero >&2]]
    assert.equal(3000000, #result.stdout)
    assert.equal(2000000, #result.stderr)
  end))

  it("arguments unchanged, with no shell between", in_run(function()
    local args = { "%s|", "a b", "$HOME", "'", "", "*", "\n", "-n" }
    assert.equal("a b|$HOME|'||*|\n|-n|", exec("printf", args).stdout)
  end))
end)

describe("exec gives the process", function()
  after_each(check)

  it("its input, however large, or none", in_run(function()
    local input = ("0123456789"):rep(300000)
    assert.equal(input, exec("cat", {}, { input = input }).stdout)
    assert.equal("abc", exec("cat", {}, { input = { "a", "", "bc" } }).stdout)
    assert.equal("", exec("cat").stdout)
    assert.equal("", exec("cat", {}, { input = "" }).stdout)
  end))

  it("input that it need not read to the end", in_run(function()
    assert.equal("x", exec("head", { "-c", "1" }, { input = ("x"):rep(3000000) }).stdout)
    assert.equal(0, exec("true", {}, { input = ("x"):rep(3000000) }).code)
  end))

  it("changes to the environment, and what it had", in_run(function()
    local env = { A = "1", B = "two" }
    assert.equal("1 two set\n", sh("echo $A $B ${PATH:+set}", { env = env }).stdout)
    luv.os_setenv("UVJOBS_SPEC", "ours")
    assert.equal("ours\n", sh("echo ${UVJOBS_SPEC-unset}").stdout)
    env = { UVJOBS_SPEC = false }
    assert.equal("unset\n", sh("echo ${UVJOBS_SPEC-unset}", { env = env }).stdout)
    luv.os_unsetenv("UVJOBS_SPEC")
  end))

  it("a directory to run in", in_run(function()
    assert.equal("/\n", exec("pwd", {}, { cwd = "/" }).stdout)
  end))

  it("descriptors in place of pipes", in_run(function()
    local path = world.file("input")
    local out = path .. ".out"
    local from, to = assert(uv.fs_open(path, "r", 0)), assert(uv.fs_open(out, "w", 384))
    assert.same({ code = 0, signal = 0, stderr = "" },
      exec("cat", {}, { stdin = from, stdout = to }))
    uv.fs_close(from)
    uv.fs_close(to)
    assert.equal(5, uv.fs_stat(out).size)
    os.remove(path)
    os.remove(out)
  end))
end)

describe("exec calls on_stdout", function()
  after_each(check)

  local function lines_of(text, options)
    local lines = {}
    options = options or {}
    options.on_stdout = function(line) lines[#lines + 1] = line end
    local result, why = sh(text, options)
    return lines, result, why
  end

  it("with each line, without its end", in_run(function()
    local lines, result = lines_of [[printf 'a\n\nb\r\nlast']]
    assert.same({ "a", "", "b\r", "last" }, lines)
    assert.is_nil(result.stdout)
    assert.same({}, (lines_of "true"))
    assert.same({ "" }, (lines_of "echo"))
  end))

  it("and waits while that suspends", in_run(function()
    local open, most = 0, 0
    sh("seq 100", { on_stdout = function()
      open = open + 1
      most = math.max(most, open)
      uvjobs.yield()
      open = open - 1
    end })
    assert.equal(1, most)
  end))

  it("and ends the process when that raises: the error arrives unchanged #M12", in_run(function()
    local failure = {}
    local ok, err = pcall(sh, "echo x; exec sleep 100", {
      on_stdout = function() error(failure) end,
    })
    assert.is_false(ok)
    assert.equal(failure, err)
  end))

  it("but not with a line without an end beyond max_output", in_run(function()
    local lines, result, why = lines_of("yes | tr -d '\\n'", { max_output = 100000 })
    assert.same({ {}, nil, "limit" }, { lines, result, why })
  end))
end)

describe("exec ends the process", function()
  after_each(check)

  it("after its timeout, and returns what it had", in_run(function()
    local result, why, partly = sh("echo begun; exec sleep 100", { timeout = 0.2 })
    assert.is_nil(result)
    assert.equal("timeout", why)
    assert.same({ code = 0, signal = 15, stdout = "begun\n", stderr = "" }, partly)
  end))

  it("beyond its limit of output", in_run(function()
    local result, why, partly = exec("yes", {}, { max_output = 10 })
    assert.same({ nil, "limit" }, { result, why })
    assert.equal("y\ny\ny\ny\ny\n", partly.stdout)
    assert.equal("1234567890", exec("printf", { "1234567890" }, { max_output = 10 }).stdout)
    assert.equal("", exec("true", {}, { max_output = 0 }).stdout)
  end))

  it("by force when it ignores SIGTERM", in_run(function()
    local _, why, partly = sh("trap '' TERM; echo begun; while :; do sleep 0.01; done",
      { timeout = 0.2, group = true })
    assert.equal("timeout", why)
    assert.equal(9, partly.signal)
  end))

  it("with all that it has started, in a group", in_run(function()
    local _, _, partly = sh("sleep 100 & echo $!; wait", { timeout = 0.2, group = true })
    wait_until_gone(tonumber(partly.stdout))
  end))

  -- Runs a child that prints its number and sleeps; ends its job by `stop`.
  local function stopped(stop, text)
    local pid
    local jobs = uvjobs.scheduler { exception_handler = function() end }
    local job = jobs:spawn(sh, text or "echo $$; exec sleep 100",
      { on_stdout = function(line) pid = tonumber(line) end })
    while not pid do uvjobs.sleep(0.001) end
    pcall(stop, job)
    job:join()
    wait_until_gone(pid)
    return job.state
  end

  it("when its job is closed, cancelled, or out of time #M5", in_run(function()
    assert.equal("cancelled", stopped(function(job) job:close() end))
    assert.equal("cancelled", stopped(function(job) job:cancel() end))
    assert.equal("done", stopped(function(job) job:join(); end, "echo $$"))
    assert.equal("cancelled", stopped(function(job) job.scheduler:close() end))
  end))

  it("when its job is closed and it ignores SIGTERM #M8", in_run(function()
    local deaf = "trap '' TERM; echo $$; while :; do sleep 0.01; done"
    assert.not_equal("active", stopped(function(job) job:close() end, deaf))
    assert.not_equal("active", stopped(function(job) job:close(0) end, deaf))
  end))

  it("when its job is killed", in_run(function()
    stopped(function(job) job:close(0) end)
  end))

  it("when a deadline passes", in_run(function()
    local pid
    helper.raises("timeout", uvjobs.timeout, 0.3, sh, "echo $$; exec sleep 100",
      { on_stdout = function(line) pid = tonumber(line) end })
    wait_until_gone(assert(pid))
  end))
end)

describe("many at once", function()
  after_each(check)

  it("run under a limit", in_run(function()
    local numbers = {}
    for i = 1, 50 do numbers[i] = i end
    local outputs = uvjobs.map(numbers, function(i)
      return exec("echo", { tostring(i) }).stdout
    end, { limit = 8 })
    for i = 1, 50 do assert.equal(i .. "\n", outputs[i]) end
  end))
end)

describe("misuse of exec", function()
  after_each(check)

  it("names the argument, and starts nothing", in_run(function()
    local cases = {
      { "bad argument #1 to 'exec' (string expected, got nil)" },
      { "bad argument #1 to 'exec' (string without a zero byte expected)", "a\0b" },
      { "bad argument #2 to 'exec' (list of strings expected, got string)", "true", "x" },
      { "bad argument #2 to 'exec' (string expected as element 2, got number)",
        "true", { "a", 1 } },
      { "bad argument #3 to 'exec' (table expected, got number)", "true", {}, 1 },
      { "bad argument #3 to 'exec' (unknown option 'timout', did you mean 'timeout'?)",
        "true", {}, { timout = 1 } },
      { "bad argument #3 to 'exec' (option 'timeout': seconds >= 0 expected, got -1)",
        "true", {}, { timeout = -1 } },
      { "bad argument #3 to 'exec' (option 'timeout': seconds >= 0 expected, got nan)",
        "true", {}, { timeout = 0 / 0 } },
      { "bad argument #3 to 'exec' (option 'input': string or list of strings expected, "
        .. "got table)",
        "true", {}, { input = { 1 } } },
      { "bad argument #3 to 'exec' (option 'env': table of names to strings or false "
        .. "expected, got table)",
        "true", {}, { env = { A = 1 } } },
      { "bad argument #3 to 'exec' (options 'input' and 'stdin' exclude each other)",
        "true", {}, { input = "", stdin = 0 } },
      { "bad argument #3 to 'exec' (option 'max_output': integer >= 0 or math.huge expected, "
        .. "got 1.5)",
        "true", {}, { max_output = 1.5 } },
    }
    for _, case in ipairs(cases) do
      local text = message(function()
        local _ = uvjobs.exec(table.unpack(case, 2, 4))
      end)
      assert.equal(case[1], (text:gsub("%-nan", "nan")))
    end
  end))

  it("outside a job raises", function()
    assert.equal("'exec' must be called in a job", message(uvjobs.exec, "true"))
  end)

  it("in a cancelled job starts nothing #M5", in_run(function()
    local job = uvjobs.scheduler():spawn(function()
      uvjobs.current():cancel()
      uvjobs.exec("touch", { "/tmp/uvjobs-must-not-be" })
    end)
    job:join()
    assert.equal("cancelled", job.state)
    assert.is_nil(luv.fs_stat("/tmp/uvjobs-must-not-be"))
  end))
end)
