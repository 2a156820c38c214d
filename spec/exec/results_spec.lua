-- uvjobs.exec: what it returns, and its options. Misuse is in misuse_spec.lua, and how it
-- is left early in ended_early_spec.lua.
local luv = require "luv"
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local guard = require "spec.guard"

local exec, in_run = uvjobs.exec, helper.in_run

local function sh(script, options)
  return exec("sh", { "-c", script }, options)
end

-- The lines that a shell script prints, as on_stdout gets them.
local function lines_of(script, options)
  local lines = {}
  options = options or {}
  options.on_stdout = function(line) lines[#lines + 1] = line end
  local result = assert(sh(script, options))
  assert.is_nil(result.stdout)
  return lines
end

describe("exec", function()
  guard.install(function() uvjobs.run(exec, "true") end)

  -- ---- results -------------------------------------------------------------------

  it("returns the status and the output", in_run(function()
    assert.same({ ok = true, code = 0, signal = 0, stdout = "", stderr = "" }, exec("true"))
    assert.same({
      ok = false, code = 1, signal = 0, stdout = "", stderr = "",
      message = "'false' ended with status 1",
    }, exec("false", {}))
    assert.same({
      ok = false, code = 7, signal = 0, stdout = "out", stderr = "err\n",
      message = "'sh' ended with status 7",
    }, sh("printf out; echo err >&2; exit 7"))
    assert.equal(1, select("#", exec("true")))
  end))

  it("returns the signal that ended the process, and no status then", in_run(function()
    assert.same({
      ok = false, signal = 9, stdout = "before\n", stderr = "",
      message = "'sh' was ended by signal 9 (SIGKILL)",
    }, sh("echo before; kill -KILL $$"))
    assert.equal("'sh' was ended by signal 6 (SIGABRT)", sh("kill -ABRT $$").message)
    assert.equal("'sh' was ended by signal 29 (SIGIO)", sh("kill -IO $$").message)
    local last = sh("kill -64 $$")
    assert.equal("'sh' was ended by signal 64", last.message)
    assert.is_nil(last.code)
  end))

  it("passes arguments as they are, without a shell", in_run(function()
    local result = exec("printf", { "<%s>", "a b", "", "$HOME", "*", "'\"\\", "\n", "\xff" })
    assert.equal("<a b><><$HOME><*><'\"\\><\n><\xff>", result.stdout)
  end))

  it("looks the command up in PATH, and takes a path", in_run(function()
    assert.equal(0, exec("/bin/sh", { "-c", ":" }).code)
    assert.equal(3, sh("exit 3", { env = { PATH = "/nowhere:/bin" } }).code)
  end))

  -- What exec returns where it fails, packed.
  local function failure(...)
    return table.pack(exec(...))
  end

  it("says which command could not be started", in_run(function()
    local text = "cannot start 'no-such-command': ENOENT: no such file or directory"
    assert.same({ n = 5, nil, "spawn", nil, text, "ENOENT" }, failure("no-such-command"))
    text = "cannot start '/etc/passwd': EACCES: permission denied"
    assert.same({ n = 5, nil, "spawn", nil, text, "EACCES" }, failure("/etc/passwd"))
    assert.matches("^cannot start '': ENOENT", failure("")[4])
    assert.equal("cannot start 'ls -l': ENOENT: no such file or directory (no shell is involved: "
      .. "the arguments are a list of their own)", failure("ls -l")[4])
    assert.equal("E2BIG", failure("true", { ("x"):rep(200000) })[5])
    assert.equal("ENOENT", failure("true", {}, { env = { PATH = "/nowhere" } })[5])
  end))

  it("says which descriptor was not open", in_run(function()
    for _, name in ipairs { "stdin", "stdout", "stderr" } do
      local text = ("cannot start 'true' with %s = 999: EBADF: bad file descriptor"):format(name)
      assert.same({ n = 5, nil, "spawn", nil, text, "EBADF" },
        failure("true", {}, { [name] = 999 }))
    end
  end))

  it("lets the other jobs run meanwhile", in_run(function()
    local event = uvjobs.event()
    local jobs <close> = uvjobs.scheduler()
    local cat = jobs:spawn(function()
      return sh("echo ready; read line; echo $line", {
        input = "line\n",
        on_stdout = function(line)
          if line == "ready" then event:wait() end
        end,
      })
    end)
    uvjobs.yield()
    assert.is_true(cat.active)
    event:set()
    assert.equal(0, cat:wait().code)
  end))

  it("keeps bytes as they are", in_run(function()
    local all = {}
    for i = 0, 255 do all[#all + 1] = string.char(i) end
    local bytes = table.concat(all):rep(20)
    assert.equal(bytes, exec("cat", {}, { input = bytes }).stdout)
  end))

  it("carries much in and out at once, without getting stuck", in_run(function()
    local text = ("0123456789abcdef"):rep(256 * 1024) -- 4 MiB
    local result = exec("cat", {}, { input = text })
    assert.equal(#text, #result.stdout)
    assert.is_true(text == result.stdout)
    result = sh("head -c 500000 /dev/zero >&2; head -c 400000 /dev/zero; cat >&2", { input = text })
    assert.equal(400000, #result.stdout)
    assert.equal(500000 + #text, #result.stderr)
  end))

  it("runs many at once, as many as the limit lets", in_run(function()
    local most, running = 0, 0
    local results = uvjobs.map(function()
      running = running + 1
      return running <= 50 and running or nil
    end, function(i)
      local child = sh("read n; echo $n; exit $n", {
        input = i .. "\n",
        env = { NUMBER = tostring(i) },
      })
      most = math.max(most, uvjobs.current().scheduler.active_count)
      return child
    end, { limit = 10 })
    assert.equal(50, results.n)
    assert.is_true(most <= 10)
    for i = 1, 50 do
      local child = results[i]
      assert.same({ i, 0, i .. "\n", "" },
        { child.code, child.signal, child.stdout, child.stderr })
    end
  end))

  -- ---- input ------------------------------------------------------------------------

  it("gives no input unless asked", in_run(function()
    assert.equal("", exec("cat").stdout)
    assert.equal("", exec("cat", {}, { input = "" }).stdout)
    assert.equal("", exec("cat", {}, { input = {} }).stdout)
  end))

  it("takes a list of strings as input", in_run(function()
    assert.equal("onetwo\0three",
      exec("cat", {}, { input = { "one", "", "two\0", "three" } }).stdout)
    local many = {}
    for i = 1, 3000 do many[i] = ("%d,"):format(i):rep(100) end
    assert.is_true(table.concat(many) == exec("cat", {}, { input = many }).stdout)
  end))

  it("does not mind a process that does not read its input", in_run(function()
    local much = ("x"):rep(1000000)
    assert.equal(0, exec("true", {}, { input = much }).code)
    assert.equal("first\n", sh("read line; echo $line; exec <&-; exit 0", {
      input = "first\n" .. much,
    }).stdout)
    local result = sh("exec <&-; echo closed; exit 3", { input = { much, much } })
    assert.same({ 3, "closed\n", "" }, { result.code, result.stdout, result.stderr })
  end))

  it("is not ended by SIGPIPE", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        for _ = 1, 20 do
          assert(uvjobs.exec("true", {}, { input = ("x"):rep(500000) }).code == 0)
        end
        print "alive"
      end)
    ]]
    assert.same({ status = 0, out = "alive\n", err = "" }, r)
  end)

  it("reads from and writes to descriptors", in_run(function()
    local path = os.tmpname()
    local fd <const> = assert(luv.fs_open(path, "w+", 384))
    assert.same({ ok = true, code = 0, signal = 0, stderr = "err\n" },
      sh("echo out; echo err >&2", { stdout = fd }))
    assert.same({ ok = true, code = 0, signal = 0, stdout = "" },
      sh("echo more >&2", { stderr = fd }))
    luv.fs_close(fd)
    local input <const> = assert(luv.fs_open(path, "r", 0))
    assert.equal("out\nmore\n", exec("cat", {}, { stdin = input }).stdout)
    assert.is_truthy(luv.fs_fstat(input)) -- it stays ours
    luv.fs_close(input)
    os.remove(path)
  end))

  -- ---- env and cwd ---------------------------------------------------------------------

  it("changes the environment by names", in_run(function()
    local show = 'printf "<%s>" "$ONE" "${TWO-unset}" "${HOME-unset}"'
    local ours = os.getenv "HOME"
    assert.equal(("<1><><%s>"):format(ours),
      sh(show, { env = { ONE = "1", TWO = "" } }).stdout)
    assert.equal("<a=b\n><unset><unset>",
      sh(show, { env = { ONE = "a=b\n", HOME = false } }).stdout)
    assert.equal(("<><unset><%s>"):format(ours), sh(show, { env = {} }).stdout)
    assert.equal(("<><unset><%s>"):format(ours), sh(show, { env = { NEVER = false } }).stdout)
    assert.equal(ours, os.getenv "HOME")
    assert.is_nil(os.getenv "ONE")
  end))

  it("runs in another directory", in_run(function()
    assert.equal("/\n", exec("pwd", {}, { cwd = "/" }).stdout)
  end))

  it("says which directory could not be entered", in_run(function()
    local text = "cannot start 'pwd' in the directory '/no/such': ENOENT: no such file or directory"
    assert.same({ n = 5, nil, "spawn", nil, text, "ENOENT" },
      table.pack(exec("pwd", {}, { cwd = "/no/such" })))
    text = "cannot start 'pwd' in the directory '/etc/passwd': ENOTDIR: not a directory"
    assert.same({ n = 5, nil, "spawn", nil, text, "ENOTDIR" },
      table.pack(exec("pwd", {}, { cwd = "/etc/passwd" })))
    assert.matches("^cannot start 'no%-such': ENOENT",
      (select(4, exec("no-such", {}, { cwd = "/" }))))
  end))

  -- ---- lines -------------------------------------------------------------------------------

  it("calls a function with each line, without its end", in_run(function()
    assert.same({ "one", "", "two", "" }, lines_of [[printf 'one\n\ntwo\n\n']])
    assert.same({ "one", "two" }, lines_of [[printf 'one\ntwo']])
    assert.same({ "one\r", "\r", "two\0x", "\r" }, lines_of [[printf 'one\r\n\r\ntwo\0x\n\r']])
    assert.same({}, lines_of ":")
    assert.same({ "" }, lines_of "echo")
  end))

  it("puts lines together that come in pieces", in_run(function()
    local go = uvjobs.event()
    local jobs <close> = uvjobs.scheduler()
    local path = os.tmpname()
    os.remove(path)
    local lines = {}
    local child = jobs:spawn(sh, "printf start >&2; printf 'a'; echo >&2;" ..
      ("while [ ! -e %s ]; do sleep 0.01; done;"):format(path) .. [[printf 'b\nc']], {
      on_stderr = function() go:set() end,
      on_stdout = function(line) lines[#lines + 1] = line end,
    })
    go:wait()
    uvjobs.sleep(0.01)
    assert.same({}, lines)
    io.open(path, "w"):close()
    child:wait()
    os.remove(path)
    assert.same({ "ab", "c" }, lines)
  end))

  it("splits much into lines", in_run(function()
    local count, sum = 0, 0
    assert(exec("seq", { "50000" }, {
      on_stdout = function(line)
        count = count + 1
        sum = sum + tonumber(line)
        assert(count == tonumber(line))
      end,
    }))
    assert.equal(50000, count)
    assert.equal(50000 * 50001 // 2, sum)
  end))

  it("takes the lines of both streams, or of one", in_run(function()
    local out, err = {}, {}
    local result = sh("echo out; echo err >&2", {
      on_stdout = function(line) out[#out + 1] = line end,
      on_stderr = function(line) err[#err + 1] = line end,
    })
    assert.same({ ok = true, code = 0, signal = 0 }, result)
    assert.same({ { "out" }, { "err" } }, { out, err })
    result = sh("echo out; echo err >&2", { on_stderr = function() end })
    assert.same({ ok = true, code = 0, signal = 0, stdout = "out\n" }, result)
  end))

  it("calls the function in a child job, with the context of the caller", in_run(function()
    local caller = uvjobs.current()
    uvjobs.context.exec_spec = "here"
    local job, context
    sh("echo line", { on_stdout = function()
      job, context = uvjobs.current(), uvjobs.context.exec_spec
    end })
    assert.not_equal(caller, job)
    assert.equal("here", context)
    assert.equal("done", job.state)
  end))

  it("lets the process wait while the function suspends", in_run(function()
    local go, seen = uvjobs.event(), 0
    local path = os.tmpname()
    local jobs <close> = uvjobs.scheduler()
    -- The system and the pipe between hold some 500 KiB: what is more has to wait.
    local child = jobs:spawn(sh, ("head -c 1500000 /dev/zero | tr '\\0' '\\n'; echo end >%s")
      :format(path), {
      on_stdout = function()
        seen = seen + 1
        if seen == 10 then go:wait() end
      end,
    })
    while seen < 10 do uvjobs.yield() end
    uvjobs.sleep(0.05)
    assert.equal(10, seen)
    assert.equal(0, luv.fs_stat(path).size)
    go:set()
    assert.equal(0, child:wait().code)
    assert.equal(1500000, seen)
    os.remove(path)
  end))
end)
