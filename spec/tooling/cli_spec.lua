-- The command, run as a process of its own.

local files = require "spec.files"
local process = require "spec.process"

local quote, read, write = process.quote, files.read, files.write

describe("the command", function()
  local dir, script

  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(os.execute("mkdir " .. dir))
    script = dir .. "/script.lua"
  end)

  after_each(function()
    os.execute("rm -rf " .. dir)
  end)

  --- Runs `uvjobs ARGUMENTS` (shell text) in the tree; `input` is its standard
  --- input. Returns a table of status, out and err.
  local function uvjobs(arguments, input)
    write(dir .. "/in", input or "")
    local _, kind, status = os.execute(("%s %s bin/uvjobs %s <%s/in >%s/out 2>%s/err")
      :format(process.GUARD, process.command(), arguments, dir, dir, dir))
    assert.equal("exit", kind)
    return { status = status, out = read(dir .. "/out"), err = read(dir .. "/err") }
  end

  --- Runs a script with this text.
  local function run(text, arguments)
    write(script, text)
    return uvjobs(quote(script) .. " " .. (arguments or ""))
  end

  describe("with a script", function()
    it("runs it as the main job", function()
      local r = run [[
        local uvjobs = require "uvjobs"
        uvjobs.sleep(0.01)
        print(uvjobs.current().state)
      ]]
      assert.same({ status = 0, out = "active\n", err = "" }, r)
    end)

    it("ends the jobs that the script leaves behind", function()
      local r = run [[
        local uvjobs = require "uvjobs"
        local jobs = uvjobs.scheduler()
        jobs:spawn(uvjobs.sleep, 3600)
        uvjobs.yield()
        print("end")
      ]]
      assert.same({ status = 0, out = "end\n", err = "" }, r)
    end)

    it("passes the arguments as ... and in arg", function()
      local r = run([[
        print(select("#", ...), ...)
        print(#arg, arg[0], arg[1], arg[2], arg[3])
      ]], [[one "two words" '']])
      assert.equal(("3\tone\ttwo words\t\n3\t%s\tone\ttwo words\t\n"):format(script), r.out)
    end)

    it("gives what stands before it in arg negative indices", function()
      local r = run("print(arg[-1], arg[-2] ~= nil, arg[-3])", "one")
      assert.equal("bin/uvjobs\ttrue\tnil\n", r.out)
    end)

    it("passes options after the script to the script", function()
      assert.equal("--help\t-v\n", run("print(...)", "--help -v").out)
    end)

    it("skips a first line that starts with #!", function()
      assert.equal("here\n", run("#!/usr/bin/env uvjobs\nprint 'here'").out)
    end)

    it("takes a script whose name starts with - after --", function()
      write(dir .. "/-odd.lua", "print(arg[0])")
      local r = uvjobs("-- " .. dir .. "/-odd.lua")
      assert.same({ status = 0, out = dir .. "/-odd.lua\n", err = "" }, r)
    end)

    it("ends with the integer that the script returns", function()
      for _, status in ipairs { 0, 3, 255 } do
        assert.equal(status, run("return " .. status).status)
      end
    end)

    it("ignores whatever else the script returns", function()
      for _, value in ipairs { "3.0", "'3'", "true", "false", "nil, 3", "{}" } do
        assert.same({ status = 0, out = "", err = "" }, run("return " .. value))
      end
    end)

    it("refuses an integer that is no exit status", function()
      for _, value in ipairs { "256", "-1", "math.mininteger" } do
        local r = run("return " .. value)
        assert.equal(1, r.status)
        assert.matches("^uvjobs: the script returned %-?%d+, which is no exit status", r.err)
      end
    end)
  end)

  it("reads the script from standard input for -", function()
    local r = uvjobs("- a b", 'require("uvjobs").sleep(0)\nprint(arg[0], ...)\n')
    assert.same({ status = 0, out = "-\ta\tb\n", err = "" }, r)
  end)

  describe("when the script fails", function()
    it("prints the message and the traceback, and ends with 1", function()
      local r = run "local function inner() error 'no luck' end\nprint 'first'\ninner()\n"
      assert.equal(1, r.status)
      assert.equal("first\n", r.out)
      local first = r.err:match("^[^\n]*")
      assert.equal("uvjobs: " .. script .. ":1: no luck", first)
      assert.truthy(r.err:find("stack traceback:", 1, true))
      assert.truthy(r.err:find("script.lua:1: in", 1, true))
      assert.truthy(r.err:find("script.lua:3: in main chunk", 1, true))
    end)

    it("does so too after it was suspended", function()
      local r = run "require('uvjobs').sleep(0.01)\nerror('late')\n"
      assert.equal(1, r.status)
      assert.truthy(r.err:find("script.lua:2: late", 1, true))
      assert.truthy(r.err:find("script.lua:2: in main chunk", 1, true))
    end)

    it("prints the error of a job that it waits for", function()
      local r = run [[
        local jobs = require("uvjobs").scheduler()
        jobs:spawn(function() error("in the job", 0) end):wait()
      ]]
      assert.equal(1, r.status)
      assert.equal("uvjobs: in the job", r.err:match("^[^\n]*"))
    end)

    it("uses __tostring of an error object", function()
      local r = run "error(setmetatable({}, { __tostring = function() return 'odd' end }))"
      assert.equal(1, r.status)
      assert.equal("uvjobs: odd", r.err:match("^[^\n]*"))
    end)

    it("describes an error object that has no text", function()
      assert.truthy(run("error {}").err:find("^uvjobs: %(error object is a table value%)\n"))
      local none = select(2, pcall(error, nil)) or "(error object is a nil value)" -- of Lua 5.5
      assert.equal("uvjobs: " .. none, run("error()").err:match("^[^\n]*"))
      local r = run "error(setmetatable({}, { __tostring = function() error 'x' end }))"
      assert.equal(1, r.status)
      assert.truthy(r.err:find("^uvjobs: %(error object is a table value%)\n"))
    end)

    it("ends with 1 when it cancels itself", function()
      local r = run [[
        local uvjobs = require "uvjobs"
        uvjobs.current():cancel()
        uvjobs.sleep(1)
      ]]
      assert.equal(1, r.status)
      assert.truthy(r.err:find("^uvjobs: .*cancelled"))
    end)

    it("prints where a stack overflow was", function()
      local r = run "local function f() return 1 + f() end\nf()"
      assert.equal(1, r.status)
      assert.truthy(r.err:find("stack overflow", 1, true))
    end)
  end)

  describe("when the script cannot be loaded", function()
    it("ends with 1 for a syntax error", function()
      local r = run "x = = 1"
      assert.same({ 1, "" }, { r.status, r.out })
      assert.truthy(r.err:find("^uvjobs: .-script%.lua:1: unexpected symbol near '='"))
    end)

    it("ends with 1 for a missing file", function()
      local r = uvjobs(dir .. "/missing.lua")
      assert.equal(1, r.status)
      assert.truthy(r.err:find("^uvjobs: cannot open .-missing%.lua"))
    end)

    it("ends with 1 for a syntax error on standard input", function()
      local r = uvjobs("-", "x = = 1")
      assert.equal(1, r.status)
      assert.truthy(r.err:find("^uvjobs: stdin:1:"))
    end)
  end)

  describe("when the script calls os.exit", function()
    it("ends with its status", function()
      assert.equal(7, run("os.exit(7)").status)
      assert.equal(1, run("os.exit(false)").status)
      assert.equal(0, run("os.exit(true)").status)
    end)

    it("ends with its status from a job, closing the state", function()
      local r = run [[
        local uvjobs = require "uvjobs"
        local jobs = uvjobs.scheduler()
        jobs:spawn(uvjobs.sleep, 3600)
        jobs:spawn(function() uvjobs.sleep(0.01); os.exit(9, true) end)
        uvjobs.sleep(3600)
      ]]
      assert.same({ status = 9, out = "", err = "" }, r)
    end)
  end)

  describe("on a signal", function()
    -- $PPID is the interpreter that runs the script, because popen starts the shell.
    local SLEEP = [[
      local uvjobs = require "uvjobs"
      local clean <close> = setmetatable({}, { __close = function() print "clean" end })
      local kill <close> = io.popen("sleep 0.1; kill -%s $PPID")
      uvjobs.sleep(3600)
    ]]

    it("ends a sleep with 130 after Ctrl-C", function()
      local r = run(SLEEP:format("INT"))
      assert.same({ status = 130, out = "clean\n", err = "uvjobs: interrupted\n" }, r)
    end)

    it("ends a sleep with 143 after SIGTERM", function()
      local r = run(SLEEP:format("TERM"))
      assert.same({ status = 143, out = "clean\n", err = "uvjobs: terminated\n" }, r)
    end)

    it("cancels the script's jobs too", function()
      local r = run [[
        local uvjobs = require "uvjobs"
        local jobs <close> = uvjobs.scheduler()
        jobs:spawn(function()
          local clean <close> = setmetatable({}, { __close = function() print "clean" end })
          uvjobs.sleep(3600)
        end)
        uvjobs.yield()
        local kill <close> = io.popen("kill -INT $PPID")
        uvjobs.sleep(3600)
      ]]
      -- On a slow machine the signal comes before the sleep, which gives a traceback.
      r.err = r.err:match "^[^\n]*\n"
      assert.same({ status = 130, out = "clean\n", err = "uvjobs: interrupted\n" }, r)
    end)

    it("ends at once on the second", function()
      local r = run [[
        local uvjobs = require "uvjobs"
        local function kill() return io.popen("kill -INT $PPID") end
        pcall(function()
          local one <close> = kill()
          uvjobs.sleep(3600)
        end)
        local two <close> = kill()
        uvjobs.protect(uvjobs.sleep, 3600)
        print "not reached"
      ]]
      assert.equal(130, r.status)
      assert.equal("", r.out)
    end)

    it("ends with what the script does after it caught the cancellation", function()
      local r = run [[
        local uvjobs = require "uvjobs"
        local ok, err = pcall(function()
          local kill <close> = io.popen("kill -INT $PPID")
          uvjobs.sleep(3600)
        end)
        print(ok, uvjobs.code(err), err.signal)
      ]]
      assert.same({ status = 0, out = "false\tcancelled\tSIGINT\n", err = "" }, r)
    end)
  end)

  describe("with options", function()
    it("prints its version", function()
      for _, option in ipairs { "-v", "--version" } do
        local r = uvjobs(option)
        assert.same({ 0, "" }, { r.status, r.err })
        assert.equal((" (%s)\n"):format(_VERSION), r.out:match("^uvjobs %d+%.%d+%.%d+(.*)$"))
      end
    end)

    it("prints its usage", function()
      for _, option in ipairs { "-h", "--help" } do
        local r = uvjobs(option)
        assert.same({ 0, "" }, { r.status, r.err })
        assert.truthy(r.out:find("^usage: uvjobs "))
      end
    end)

    it("ends with 2 for one it does not know", function()
      for option, name in pairs { ["-x"] = "-x", ["--limit=3"] = "--limit", ["-vv"] = "-vv" } do
        local r = uvjobs(option .. " script.lua")
        assert.same({ 2, "" }, { r.status, r.out })
        assert.equal(1, (r.err:find(("uvjobs: unknown option '%s'"):format(name), 1, true)))
      end
    end)
  end)
end)
