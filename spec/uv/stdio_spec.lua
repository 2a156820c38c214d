-- uv.stdin, uv.stdout and uv.stderr, in processes of their own, whose standard streams are
-- files, pipes, sockets, terminals, or closed.
local files = require "spec.files"
local process = require "spec.process"

local OPEN <const> = [[
  local uvjobs = require "uvjobs"
  local uv = require "uvjobs.uv"
  local function main(fn) uvjobs.run(fn) end
]]

local COPY <const> = OPEN .. [[
  main(function()
    local out = assert(uv.stdout())
    for line in assert(uv.stdin()):lines() do assert(out:write { line, ".\n" }) end
  end)
]]

-- Runs a script by the shell: `%s` in the text is its command, and `%q` the same as one word.
-- Returns what the shell prints.
local function shell(text, script)
  local path = files.temporary(script)
  local command = process.command() .. " " .. path
  local runner = files.temporary(text:gsub("%%[sq]", {
    ["%s"] = command, ["%q"] = process.quote(command),
  }))
  local pipe = assert(io.popen(process.GUARD .. " sh " .. runner .. " 2>&1"))
  local out = pipe:read("a")
  pipe:close()
  os.remove(path)
  os.remove(runner)
  return out
end

local COUNT <const> = 20000 -- more than a pipe takes

local function numbers(ending)
  local list = {}
  for i = 1, COUNT do list[i] = i .. ending end
  return table.concat(list)
end

describe("the standard streams", function()
  for title, text in pairs {
    ["from a pipe to a pipe"] = "seq COUNT | %s | cat",
    ["from a file to a pipe"] = "seq COUNT >$0.in; %s <$0.in | cat; rm $0.in",
    ["from a pipe to a file"] = "seq COUNT | %s >$0.out; cat $0.out; rm $0.out",
    ["to the end of a file"] = "seq COUNT | %s >>$0.out; cat $0.out; rm $0.out",
  } do
    it("are copied " .. title, function()
      assert.equal(numbers ".\n", (shell(text:gsub("COUNT", COUNT), COPY)))
    end)
  end

  it("work with a terminal, which programs that we start have as well", function()
    local script = OPEN .. [[main(function()
      local line = uv.stdin():read_line()
      assert(uv.stdout():write("got " .. line .. "\n"))
      assert(uv.stderr():write("to stderr\n"))
      os.execute("test -t 0 && test -t 1 && test -t 2 && echo inherited")
      print "printed"
    end)]]
    local text = "(echo hello; sleep 2) | script -qec %q /dev/null"
    if not os.execute("command -v script >/dev/null") then return end -- no pseudo-terminals here
    local out = shell(text, script):gsub("\r", "")
    assert.matches("got hello\nto stderr\ninherited\nprinted\n", out, 1, true)
  end)

  it("leave a pipe blocking for others, so that print writes all", function()
    local script = OPEN .. [[main(function()
      assert(uv.stdout():write("first\n"))
      for _ = 1, 3000 do print(("x"):rep(100)) end
      io.stdout:flush()
    end)]]
    assert.equal("3001\n", shell("%s | (sleep 0.3; wc -l)", script):gsub(" ", ""))
  end)

  it("write what was printed before them first", function()
    local script = OPEN .. [[main(function()
      io.stdout:setvbuf("full")
      print "one"
      uv.stdout():write("two\n")
    end)]]
    assert.equal("one\ntwo\n", shell("%s | cat", script))
  end)

  it("give nil at the end of an empty input", function()
    local script = OPEN .. "main(function() print(uv.stdin():read_some()) end)"
    assert.equal("nil\n", shell("%s </dev/null", script))
    assert.equal("nil\n", shell("true | %s", script))
  end)

  it("refuse what they cannot read, and do not abort", function()
    local script = OPEN .. "main(function() print(uv.stdin()) end)"
    assert.equal("nil\tENOTSUP: standard input is no terminal, pipe, stream socket or file\t" ..
      "ENOTSUP\n", shell("%s </", script))
  end)

  it("say that a descriptor is closed", function()
    local script = OPEN .. [[
      local luv = require "luv"
      main(function()
        luv.fs_close(0)
        print(uv.stdin())
      end)
    ]]
    assert.equal("nil\tEBADF: bad file descriptor: standard input is closed\tEBADF\n",
      shell("%s", script))
  end)

  it("return an error when nobody reads any more, or the disk is full", function()
    local script = OPEN .. [[main(function()
      uvjobs.protect(function()
        local message, code
        repeat message, code = select(2, uv.stdout():write("x\n")) until message
        uv.stderr():write { message, " ", code, "\n" }
      end)
    end)]]
    -- SIGPIPE cancels the job, which may end before it is told.
    assert.equal("EPIPE: broken pipe EPIPE", shell("%s | true", script):match "^[^\n]*")
    assert.equal("ENOSPC: no space left on device ENOSPC\n", shell("%s >/dev/full", script))
  end)

  it("lose nothing when a reader gives up #M6", function()
    local script = OPEN .. [[main(function()
      local input = uv.stdin()
      local jobs = uvjobs.scheduler()
      local lines, round = 0, 0
      while true do
        round = round + 1
        local job = jobs:spawn(function()
          local line = input:read_line()
          if line then lines = lines + 1 end
          return line
        end)
        for _ = 1, round % 4 do uvjobs.yield() end
        job:cancel()
        job:join()
        if job.state == "done" and not job:wait() then break end
      end
      print(lines)
    end)]]
    assert.equal("500\n", shell("seq 500 | %s", script))
    assert.equal("500\n", shell("seq 500 >$0.in; %s <$0.in; rm $0.in", script))
  end)

  it("are the same until they are closed, and may be closed twice", function()
    local script = OPEN .. [[main(function()
      local input = uv.stdin()
      print(input == uv.stdin(), input:read_line())
      print(uv.stdin():read_line())
      input:close()
      input:close()
      print(input:is_closing(), input == uv.stdin())
    end)]]
    local expected = "true\t1\n2\ntrue\tfalse\n"
    assert.equal(expected, shell("seq 9 | %s", script))
    assert.equal(expected, shell("seq 9 >$0.in; %s <$0.in; rm $0.in", script))
  end)

  it("of files name bad arguments, and refuse what was closed", function()
    local script = OPEN .. [[main(function()
      local out = uv.stdout()
      local function try(...) uv.stderr():write(tostring(select(2, pcall(...))) .. "\n") end
      try(out.write, out, 1)
      try(out.write, out, { "x", 1 })
      try(out.write, io.stdout, "x")
      try(out.read_line, out, -1)
      out:close()
      uv.stderr():write(select(2, out:write("x")) .. "\n")
      assert(uv.stdout():write("goes on\n"))
    end)]]
    assert.equal([[
bad argument #1 to 'write' (string or list of strings expected, got number)
bad argument #1 to 'write' (string expected as element 2, got number)
bad self to 'write' (uvjobs.uv.File expected, got FILE*)
bad argument #1 to 'read_line' (integer >= 0 or math.huge expected, got -1)
EBADF: bad file descriptor
goes on
]], (shell("%s >$0.out; cat $0.out; rm $0.out", script):gsub("[^\n:]*:%d+: ", "")))
  end)
end)
