-- What a process inherits from its parent: docs/process.md says what uvjobs does about it.

local helper = require "spec.helper"
local process = require "spec.process"
local files = require "spec.files"

local PRELUDE <const> = [[
  local uvjobs = require "uvjobs"
  io.stdout:setvbuf("no")
]]

--- Runs `lua5.4 script`, with shell text after it, and returns what that prints and its status.
local function shell(script, rest, before)
  local path = files.temporary(PRELUDE .. script)
  local pipe = io.popen(("{ %s %s %s %s %s; } 2>&1; echo status $?"):format(
    before or "", process.GUARD, process.command(), path, rest or ""))
  local out = pipe:read "a"
  pipe:close()
  os.remove(path)
  local text, status = out:match "^(.*)status (%d+)\n$"
  return text, tonumber(status)
end

describe("standard descriptors that are closed at the start", function()
  for _, closed in ipairs { "<&-", ">&-", "2>&-", "<&- >&- 2>&-" } do
    it("are those of an empty file from then on: " .. closed, function()
      local path = os.tmpname()
      shell(([[
        local result = uvjobs.run(function()
          uvjobs.sleep(0)
          return uvjobs.exec("sh", { "-c", "cat; echo out; echo err >&2" }, { input = "in\n" })
        end)
        local file <close> = io.open("%s", "w")
        file:write(result.stdout, result.stderr)
      ]]):format(path), closed)
      assert.equal("in\nout\nerr\n", files.read(path))
      os.remove(path)
    end)
  end

  it("do not become those of files that the program opens", function()
    local path = os.tmpname()
    shell(([[
      local file <close> = io.open("%s", "w")
      print "to nowhere"
      io.stderr:write "to nowhere"
      file:write "data"
    ]]):format(path), ">&- 2>&-")
    assert.equal("data", files.read(path))
    os.remove(path)
  end)
end)

describe("signals that are blocked at the start", function()
  it("do not keep exec from hearing that a child has ended", function()
    local r = helper.child(PRELUDE .. [[
      print(uvjobs.run(uvjobs.exec, "true").code)
      local job = uvjobs.start(uvjobs.exec, "true")
      while not job.closed do uvjobs.step() end
      print(job.state)
    ]], "env --block-signal=CHLD")
    assert.same({ status = 0, out = "0\ndone\n", err = "" }, r)
  end)

  it("are blocked again after the run", function()
    local r = helper.child(PRELUDE .. [[
      local function blocked() -- the masks are in hexadecimal
        local mask = io.open("/proc/self/status"):read("a"):match "SigBlk:%s*(%x+)"
        return tonumber(mask, 16)
      end
      local before = blocked()
      uvjobs.run(uvjobs.exec, "true")
      print(before ~= 0, before == blocked())
    ]], "env --block-signal=CHLD --block-signal=TERM")
    assert.equal("true\ttrue\n", r.out)
  end)
end)

describe("SIGPIPE", function()
  it("ends the children of io.popen and os.execute, whatever was loaded #M14", function()
    local r = helper.child(PRELUDE .. [[
      require "uvjobs.uv"
      uvjobs.run(function()
        -- The shell prints what has ended the writer: 128 + 13.
        print(io.popen("bash -c 'yes | head -n 1 >&2; echo ${PIPESTATUS[0]}' 2>/dev/null"):read "a")
        os.execute("bash -c 'yes | head -n 1 >&2; echo ${PIPESTATUS[0]}' 2>/dev/null")
      end)
    ]])
    assert.equal("141\n\n141\n", r.out)
  end)

  for _, loaded in ipairs { "uvjobs", "uvjobs.uv" } do
    it("ends a run that goes on printing into a broken pipe, with " .. loaded, function()
      local out = shell(([[
        require "%s"
        local ok, err = pcall(uvjobs.run, function()
          local _ <close> = setmetatable({}, { __close = function()
            print "again"
            io.stderr:write "clean-up\n"
          end })
          while true do print "line" end -- a job that computes
        end)
        io.stderr:write(uvjobs.code(err), " by ", err.signal, "\n")
      ]]):format(loaded), "| head -n 1")
      assert.equal("line\nclean-up\ncancelled by SIGPIPE\n", out)
    end)

    it("ends a program outside of a run as usual, with " .. loaded, function()
      local out = shell(([[
        require "%s"
        while true do print "line" end
      ]]):format(loaded), "| head -n 1")
      assert.equal("line\n", out)
    end)
  end

  it("ends nothing when a socket has lost its reader", function()
    local r = helper.child(PRELUDE .. [[
      local uv = require "uvjobs.uv"
      uvjobs.run(function()
        local luv = require "luv"
        local fds = luv.socketpair("stream", 0)
        local mine, other = uv.new_pipe(false), uv.new_pipe(false)
        mine:open(fds[1])
        other:open(fds[2])
        other:close()
        local ok, err
        repeat ok, err = mine:write("x") until not ok
        print(err)
      end)
      print "alive"
    ]])
    assert.matches("EPIPE.*\nalive\n$", r.out)
  end)
end)

describe("few descriptors", function()
  it("give an error that says so, and never a crash", function()
    for limit = 4, 40, 3 do
      local out, status = shell([[
        local ok, err = pcall(uvjobs.run, function()
          uvjobs.sleep(0)
          return uvjobs.exec("true")
        end)
        print(ok and "ran" or tostring(err))
      ]], "", ("ulimit -n %d;"):format(limit))
      assert.is_true(status < 128, ("%d descriptors: status %d: %s"):format(limit, status, out))
    end
  end)
end)

describe("an environment without anything", function()
  it("is enough", function()
    local r = helper.child(PRELUDE .. [[
      print(os.getenv "HOME", os.getenv "PATH")
      print(uvjobs.run(uvjobs.exec, "/bin/echo", { "hello" }).stdout)
    ]], ("env -i %s %s"):format(process.sanitizer(), process.paths()))
    assert.same({ status = 0, out = "nil\tnil\nhello\n\n", err = "" }, r)
  end)
end)

describe("the umask", function()
  it("is left alone, and children inherit it", function()
    local out = shell([[
      require "uvjobs.uv"
      print(uvjobs.run(uvjobs.exec, "sh", { "-c", "umask" }).stdout)
    ]], "", "umask 027;")
    assert.equal("0027\n\n", out)
  end)
end)
