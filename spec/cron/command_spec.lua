-- `uvjobs cron`, as a process of its own, with real commands.

local files = require "spec.files"
local process = require "spec.process"

local read, write = files.read, files.write

local PATIENCE <const> = 60 -- seconds until something that does not come fails the spec

describe("uvjobs cron", function()
  local dir, pid

  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(os.execute("mkdir " .. dir))
    pid = nil
  end)

  after_each(function()
    if pid then os.execute(("kill -KILL %s 2>/dev/null"):format(pid)) end
    os.execute("rm -rf " .. dir)
  end)

  --- Runs `uvjobs cron ARGUMENTS` (shell text) to its end.
  local function cron(arguments)
    local _, _, status = os.execute(("timeout 60 %s bin/uvjobs cron %s </dev/null >%s/out 2>%s/err")
      :format(process.command(), arguments, dir, dir))
    return { status = status, out = read(dir .. "/out"), err = read(dir .. "/err") }
  end

  local function crontab(text)
    write(dir .. "/tab", text)
  end

  --- Starts it in the background with the crontab of the directory.
  local function start(arguments)
    write(dir .. "/out", "")
    write(dir .. "/err", "")
    local note_pid = "sh -c 'echo $$ >" .. dir .. "/pid; exec \"$@\"' sh"
    os.execute(("(%s bin/uvjobs cron %s %s/tab </dev/null >%s/out 2>%s/err; echo $? >%s/status) &")
      :format(process.command(note_pid), arguments or "", dir, dir, dir, dir))
    pid = files.lines_of(("while [ ! -s %s/pid ]; do sleep 0.01; done; cat %s/pid")
      :format(dir, dir))[1]
  end

  local function signal(name)
    os.execute(("kill -%s %s"):format(name, pid))
  end

  --- Waits until a file of the directory has a text; returns all of it.
  local function wait_for(name, text)
    local path, deadline = dir .. "/" .. name, os.time() + PATIENCE
    repeat
      local file = io.open(path)
      local found = file and file:read "a" or ""
      if file then file:close() end
      if found:find(text, 1, true) then return found end
      os.execute "sleep 0.02"
    until os.time() > deadline
    error(("'%s' did not come into %s: %s"):format(text, name, read(dir .. "/err")))
  end

  local function status()
    return math.tointeger(tonumber((wait_for("status", "\n"))))
  end

  --- A command that says when it begins and when it has ended, which it does when the file
  --- "end" of the directory is there.
  local function long_command()
    return ("echo begun; while [ ! -e %s/end ]; do sleep 0.02; done; echo ended"):format(dir)
  end

  local function count(text, word)
    return select(2, text:gsub(word, ""))
  end

  it("runs commands with the variables and the shell of the table, and reports failures", function()
    crontab [[
      WORD="hello there"
      @every 50ms name=greet echo "$WORD"
      @every 50ms sh -c 'exit 3'
      SHELL=/no/shell
      @every 50ms name=nothing true
    ]]
    start()
    wait_for("out", "hello there\nhello there\n")
    wait_for("err", "uvjobs: sh -c 'exit 3': ended with status 3\n")
    wait_for("err", "uvjobs: nothing: cannot start '/no/shell': ENOENT")
    signal "TERM"
    assert.equal(0, status())
  end)

  it("terminates a command that takes longer than its timeout", function()
    crontab "@every 50ms timeout=100ms name=slow sleep 300"
    start()
    wait_for("err", "uvjobs: slow: did not end within 0.1 seconds, and was ended by signal 15")
    signal "INT"
    assert.equal(0, status())
  end)

  it("does not start a command twice, and says so once", function()
    crontab("@every 50ms name=long " .. long_command())
    start "--verbose"
    wait_for("err", "uvjobs: long: left out: it still runs\n")
    os.execute "sleep 0.3"
    write(dir .. "/end", "")
    wait_for("out", "begun\nended\nbegun\n")
    assert.equal(1, count(read(dir .. "/err"):match "^(.-)has ended: long", "left out"))
    signal "TERM"
    assert.equal(0, status())
  end)

  it("reads the table again on SIGHUP; what runs goes on", function()
    crontab("@every 50ms " .. long_command())
    start()
    wait_for("out", "begun")
    crontab "@every 50ms echo other"
    signal "HUP"
    wait_for("err", "read again, 1 command\n")
    wait_for("out", "other")
    write(dir .. "/end", "")
    local out = wait_for("out", "ended")
    assert.equal(1, count(out, "begun"))
    signal "TERM"
    assert.equal(0, status())
  end)

  it("leaves lines alone that are the same after SIGHUP, and resumes those that failed", function()
    crontab("@every 50ms name=long " .. long_command() .. "\n@every 50ms on_error=pause false\n")
    start "--verbose"
    wait_for("out", "begun")
    wait_for("err", "false: ended with status 1")
    local before = count(wait_for("err", "begins: false"), "begins: false")
    assert.equal(1, before)
    signal "HUP"
    wait_for("err", "read again, 2 commands")
    wait_for("err", "begins: false\nuvjobs: false: ended with status 1\n")
    assert.equal(1, count(read(dir .. "/out"), "begun"))
    write(dir .. "/end", "")
    signal "TERM"
    assert.equal(0, status())
  end)

  it("keeps the old table when the new one is wrong", function()
    crontab "@every 50ms echo old"
    start()
    wait_for("out", "old")
    crontab "61 * * * * echo new"
    signal "HUP"
    wait_for("err", "/tab:1: minute: 61 is not in 0-59, at character 1\n")
    wait_for("err", "not read again")
    local before = #read(dir .. "/out")
    wait_for("out", ("old\n"):rep(before // 4 + 2))
    signal "TERM"
    assert.equal(0, status())
  end)

  it("lets what runs finish after a signal, and starts nothing", function()
    crontab("@every 50ms overlap=all " .. long_command())
    start "--close-timeout=50"
    wait_for("out", "begun")
    signal "TERM"
    wait_for("err", "waiting for 1 command\n")
    write(dir .. "/end", "")
    assert.equal(0, status())
    assert.equal("begun\nended\n", read(dir .. "/out"))
  end)

  it("terminates what does not finish in time", function()
    crontab("@every 50ms name=stubborn echo begun; exec sleep 300")
    start "--close-timeout=1"
    wait_for("out", "begun")
    signal "TERM"
    assert.equal(1, status())
    assert.truthy(read(dir .. "/err"):find("stubborn: is terminated", 1, true))
  end)

  it("takes its commands along when a second signal ends it at once", function()
    crontab(("@every 50ms echo $$ >%s/leader; sleep 300 & echo begun; wait"):format(dir))
    start()
    wait_for("out", "begun")
    signal "TERM"
    wait_for("err", "waiting for 1 command\n")
    signal "INT"
    assert.equal(130, status())
    local leader = wait_for("leader", "\n"):match "%d+"
    local left = ("kill -0 -- -%s 2>/dev/null"):format(leader)
    local deadline = os.time() + PATIENCE
    while os.execute(left) and os.time() <= deadline do os.execute "sleep 0.02" end
    assert.is_nil((os.execute(left)))
  end)

  it("runs at most so many commands at a time", function()
    crontab(("@every 50ms echo begun one; sleep 300\n@every 50ms echo begun two; sleep 300\n"))
    start "--limit 1 --close-timeout=0.5"
    wait_for("out", "begun")
    os.execute "sleep 0.3"
    assert.equal(1, count(read(dir .. "/out"), "begun"))
    signal "TERM"
    assert.equal(1, status())
  end)

  it("says what is wrong with a table, and what is not", function()
    crontab "30 2 * * * true\n"
    assert.same({ status = 0, out = "", err = "" }, cron("--check " .. dir .. "/tab"))
    crontab "30 2 * * * true\n30 25 * * * true\n0 0 * * *\n"
    local expected = ("uvjobs: %s/tab:2: hour: 25 is not in 0-23, at character 4\n" ..
      "uvjobs: %s/tab:3: there is no command\n"):format(dir, dir)
    for _, option in ipairs { "--check", "" } do
      assert.same({ status = 1, out = "", err = expected }, cron(option .. " " .. dir .. "/tab"))
    end
    assert.same({ status = 1, out = "", err = "uvjobs: /no/tab: No such file or directory\n" },
      cron "/no/tab")
    assert.equal(1, cron("--check " .. dir).status) -- a directory
  end)

  it("prints the next times of a pattern", function()
    assert.same({
      status = 0, err = "",
      out = "2027-03-28 03:00:00 CEST\n2027-03-29 02:30:00 CEST\n2027-03-30 02:30:00 CEST\n",
    }, cron "--next 3 '30 2 * * *' --zone Europe/Berlin --from '2027-03-27 12:00'")
    assert.equal("2027-03-29 02:30:00 CEST\n", cron(
      "--next=1 --gap=skip --zone=Europe/Berlin --from='2027-03-27 12:00' '30 2 * * *'").out)
    assert.equal("2026-10-25 02:30:00 CET\n", cron(
      "--next 1 --fold second --zone Europe/Berlin --from 2026-10-24T12:00:00Z '30 2 * * *'").out)
    assert.equal("2027-01-01 00:01:30 UTC\n",
      cron "--next 1 '@every 90s' --zone UTC --from '2027-01-01 00:00'".out)
    assert.equal(10, count(cron "--next 10 '30 2 * * *'".out, "\n"))
    assert.same({ status = 1, out = "", err = "uvjobs: there is no next time\n" },
      cron "--next 3 '0 0 0 1 1 * 1999'")
    assert.same({ status = 0, out = "2199-12-31 00:00:00 UTC\n", err = "" },
      cron "--next 3 '0 0 31 12 *' --zone UTC --from '2199-01-01 00:00'")
  end)

  it("refuses what it cannot make sense of", function()
    for arguments, message in pairs {
      [""] = "a crontab is missing",
      ["--next 3"] = "a pattern, in quotes, is missing",
      ["--next"] = "option '--next' needs a value",
      ["--next 0 x"] = "option '--next': integer > 0 expected, got '0'",
      ["--next 3 30 2 '*' '*' '*'"] = "one pattern, in quotes, expected, got 5 words",
      ["--next 1 '61 * * * *'"] = "minute: 61 is not in 0-59, at character 1",
      ["--next 1 @daily --zone Mars"] = "option '--zone': unknown zone 'Mars'",
      ["--next 1 @daily --zone Mars --from '2027-01-01 00:00'"] =
        "option '--zone': unknown zone 'Mars'",
      ["--next 1 @daily --gap x"] = "option '--gap': 'run' or 'skip' expected, got 'x'",
      ["--next 1 @daily --from noon"] =
        "option '--from': a date and a time as 'YYYY-MM-DD hh:mm[:ss]' expected, got 'noon'",
      ["--next 1 @daily --check"] = "option '--check' does not go with '--next'",
      ["--zone UTC x"] = "option '--zone' does not go without '--next'",
      ["--nxt 3 x"] = "unknown option '--nxt', did you mean '--next'?",
      ["--limit=many x"] = "option '--limit': integer > 0 expected, got 'many'",
      ["--close-timeout=-1 x"] = "option '--close-timeout': seconds >= 0 expected, got '-1'",
      ["a b"] = "one crontab expected, got 2 words",
    } do
      local r = cron(arguments)
      assert.equal(2, r.status, arguments)
      assert.equal("uvjobs: " .. message, r.err:sub(1, 8 + #message))
      assert.truthy(r.err:find("\nTry 'uvjobs cron --help'.\n", 1, true))
    end
  end)

  it("prints its usage", function()
    for _, option in ipairs { "--help", "-h" } do
      local r = cron(option)
      assert.same({ 0, "" }, { r.status, r.err })
      assert.truthy(r.out:find "^usage: uvjobs cron ")
    end
  end)
end)
