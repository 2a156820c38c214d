-- run{ signals = ... }: which signals end a run.

local helper = require "spec.helper"

local PRELUDE <const> = [[
  local uvjobs = require "uvjobs"
  io.stdout:setvbuf("no")
  local function raise_signal(name) io.popen("kill -" .. name .. " $PPID"):close() end
  local function try(options, name)
    local ok, err = pcall(uvjobs.run, options, function()
      raise_signal(name)
      uvjobs.sleep(60)
    end)
    print(ok, uvjobs.code(err), err.signal)
  end
]]

describe("the signals of a run", function()
  it("are those that are named", function()
    for _, name in ipairs { "INT", "TERM", "HUP", "QUIT", "USR1", "USR2" } do
      local r = helper.child(PRELUDE ..
        ("try({ signals = { 'SIG%s', 'SIGTERM' } }, '%s')"):format(name, name))
      assert.equal(("false\tcancelled\tSIG%s\n"):format(name), r.out)
    end
  end)

  it("do not include others", function()
    for _, list in ipairs { "{ 'SIGHUP' }", "{}", "false" } do
      local r = helper.child(PRELUDE .. ("try({ signals = %s }, 'TERM')"):format(list))
      assert.same({ "", "signal 15" }, { r.out, r.status == 143 and "signal 15" or r.status })
    end
  end)

  it("stay ignored when the process was started so, as by nohup", function()
    local r = helper.child(PRELUDE .. [[
      uvjobs.run({ signals = { "SIGHUP", "SIGTERM" } }, function() raise_signal "HUP" end)
      try({ signals = { "SIGHUP", "SIGTERM" } }, "TERM")
    ]], "env --ignore-signal=HUP")
    assert.equal("false\tcancelled\tSIGTERM\n", r.out)
  end)

  it("are heard though the process was started with them blocked", function()
    local r = helper.child(PRELUDE .. "try({}, 'TERM')", "env --block-signal=TERM")
    assert.equal("false\tcancelled\tSIGTERM\n", r.out)
  end)

  it("have their usual effect again after the run", function()
    local r = helper.child(PRELUDE .. [[
      uvjobs.run({ signals = { "SIGUSR1" } }, uvjobs.sleep, 0)
      raise_signal "USR1"
      print "still here"
    ]])
    assert.equal("", r.out)
  end)

  it("must be names that are known, in a list, and not that of interrupt", function()
    local uvjobs = require "uvjobs"
    local function message(options)
      return select(2, pcall(uvjobs.run, options, print))
    end
    local names = "list of 'SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1' and 'SIGUSR2'"
    local function refused(given, expected)
      local bad = "bad argument #1 to 'run' (option 'signals': %s expected, got "
      assert.matches(bad:format(expected), message { signals = given }, 1, true)
    end
    refused({ "SIGINT", "SIGKILL" }, names)
    refused({ 1 }, names)
    refused({ name = "SIGINT" }, names)
    refused("SIGINT", "boolean or list of names like 'SIGTERM'")
    assert.equal("bad argument #1 to 'run' (options 'signals' and 'interrupt' cannot both have "
      .. "'SIGUSR1')", message { signals = { "SIGUSR1" }, interrupt = "SIGUSR1" })
  end)
end)
