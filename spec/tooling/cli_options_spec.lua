-- The options of the command, and what it does about its output.

local files = require "spec.files"
local process = require "spec.process"

--- Runs shell text in which `uvjobs` is the command. Returns its status, output and errors.
local function shell(text, input)
  local base = os.tmpname()
  files.write(base, input or "")
  local command = ("uvjobs() { %s %s bin/uvjobs \"$@\"; }"):format(process.GUARD,
    process.command())
  local _, _, status = os.execute(("%s; { %s\n} <%s >%s.out 2>%s.err"):format(
    command, text, base, base, base))
  local out, err = files.read(base .. ".out"), files.read(base .. ".err")
  os.remove(base)
  os.remove(base .. ".out")
  os.remove(base .. ".err")
  return status, out, err
end

describe("the command", function()
  it("runs the text after -e, with the arguments that follow", function()
    local status, out, err = shell [[uvjobs -e 'print(#arg, arg[1], ...)' a -b]]
    assert.same({ 0, "2\ta\ta\t-b\n", "" }, { status, out, err })
  end)

  it("reads the script from standard input without a name", function()
    local status, out = shell("uvjobs --clock=virtual", "require('uvjobs').sleep(9) print(arg[0])")
    assert.same({ 0, "-\n" }, { status, out })
  end)

  it("shows its usage instead when standard input is a terminal", function()
    local command = process.command(process.sanitizer()) .. " bin/uvjobs"
    local status, out = shell("env -u LD_PRELOAD script -qec " .. process.quote(command) ..
      " /dev/null")
    assert.equal(2, status)
    assert.matches("^usage: uvjobs", out)
  end)

  it("passes run's options on", function()
    local _, out = shell [[
      uvjobs --clock=virtual -e 'print(require("uvjobs").now())'
      uvjobs --timeslice=0.002 -e 'local u = require "uvjobs"
        local stop = u.now() + 0.1 while u.now() < stop do end print(u.current().preemptions > 0)'
      uvjobs --slow=0.01 -e 'local u = require "uvjobs"
        local stop = u.now() + 0.2 while u.now() < stop do end' 2>&1 | head -n 1
      uvjobs --interrupt=SIGUSR1 --shuffle=7 --slow=false --timeslice=inf -e 'print "ran"'
      uvjobs --close-timeout=0.01 -e 'io.popen("kill -TERM $PPID"):close()
        while true do pcall(require("uvjobs").sleep, 9) end' 2>/dev/null
      echo $?
      uvjobs --signals=SIGUSR1,SIGUSR2 -e 'io.popen("kill -USR2 $PPID"):close()
        require("uvjobs").sleep(9)' 2>&1 | head -n 1
      uvjobs --signals=none -e 'io.popen("kill -TERM $PPID"):close() print "not here"'
      echo $?
    ]]
    assert.equal("0.0\ntrue\nJob blocks the loop\nran\n143\n"
      .. "uvjobs: ended by SIGUSR2\n143\n", out)
  end)

  it("prints what the loop has done with --stats", function()
    local status, out, err = shell "uvjobs --stats -e 'require(\"uvjobs\").sleep(0) return 4'"
    assert.same({ 4, "" }, { status, out })
    assert.matches("uvjobs: longest [%d.e-]+\n", err)
    assert.matches("uvjobs: spawned 1\n", err)
  end)

  it("refuses options and values that it does not know, and says what it knows", function()
    for arguments, message in pairs {
      ["--clok=virtual"] = "unknown option '--clok', did you mean '--clock'?",
      ["--stat"] = "unknown option '--stat', did you mean '--stats'?",
      ["--stats="] = "option '--stats' takes no value",
      ["--help=all"] = "option '--help' takes no value",
      ["--quiet"] = "unknown option '--quiet'",
      ["--date=2000"] = "option '--date' needs the virtual clock",
      ["--seed=x"] = "option '--seed': integer expected, got 'x'",
      ["-x"] = "unknown option '-x'",
      ["-e"] = "option '-e' needs Lua code",
      ["--slow"] = "option '--slow' needs a value: '--slow=...'",
      ["--slow=soon"] = "option '--slow': seconds or 'false' expected, got 'soon'",
      ["--slow=-1"] = "option '--slow': seconds >= 0 expected, got -1",
      ["--timeslice="] = "option '--timeslice': seconds expected, got ''",
      ["--timeslice=nan"] = "option '--timeslice': seconds expected, got 'nan'",
      ["--shuffle=1.5"] = "option '--shuffle': integer expected, got '1.5'",
      ["--clock=vrtual"] = "option '--clock': 'real' or 'virtual' expected, got 'vrtual'",
      ["--signals=SIGUSR1 --interrupt=SIGUSR1"] =
        "options 'signals' and 'interrupt' cannot both have 'SIGUSR1'",
    } do
      local status, out, err = shell("uvjobs " .. arguments .. " script.lua")
      if arguments == "-e" then status, out, err = shell "uvjobs -e" end
      if err:find("script.lua", 1, true) then -- the options were right so far
        status, out, err = shell("uvjobs " .. arguments .. " -e ''")
      end
      local expected = "uvjobs: " .. message .. "\nTry 'uvjobs --help'.\n"
      assert.same({ 2, "", expected }, { status, out, err })
    end
  end)

  it("ends with 1 when its output cannot be written", function()
    for _, arguments in ipairs { "-e 'print(1)'", "-e 'io.write(1)'",
      "-e 'for _ = 1, 1e5 do print(1) end'", "--help", "--version" } do
      local status, _, err = shell(("uvjobs %s >/dev/full"):format(arguments))
      assert.equal(1, status)
      assert.equal("uvjobs: not all output could be written to standard output\n", err)
    end
    assert.equal(3, (shell "uvjobs -e 'print(1) return 3' >/dev/full"))
    assert.equal(0, (shell "uvjobs -e 'io.stdout:close()' >/dev/full"))
  end)

  it("ends quietly with clean-up when its output has lost its reader", function()
    local status, out, err = shell(([[
      bash -c '"$@" | head -n 1; exit ${PIPESTATUS[0]}' - \
        env %s %s bin/uvjobs -e '
        local _ <close> = setmetatable({}, { __close = function() io.stderr:write "closed\n" end })
        while true do print "line" end']]):format(process.paths(), process.interpreter()))
    assert.same({ 141, "line\n", "closed\n" }, { status, out, err })
  end)
end)
