-- uvjobs.cron.crontab: what the lines of a crontab mean.

local crontab = require "uvjobs.cron.crontab"
local schedule = require "uvjobs.schedule"

local NOW <const> = 1767225600 -- 2026-01-01 00:00 UTC

local function read(text)
  local entries, problems = crontab.read(text, NOW)
  assert.same({}, problems)
  return entries
end

--- The problems of a text, a line each.
local function problems_of(text)
  local _, problems = crontab.read(text, NOW)
  local lines = {}
  for i, problem in ipairs(problems) do lines[i] = problem.line .. ": " .. problem.text end
  return table.concat(lines, "\n")
end

local function first_of(entry, zone)
  return schedule.format(entry.schedule:next(NOW), zone or "UTC")
end

describe("a crontab", function()
  it("has comments, empty lines, and lines of a pattern and a command", function()
    local entries = read "# a comment\n\n  \t\n30 2 * * *  backup --all\t\n\t@daily true # here\r\n"
    assert.equal(2, #entries)
    assert.equal("backup --all", entries[1].command)
    assert.equal(4, entries[1].line)
    assert.equal("true # here", entries[2].command) -- that comment is the shell's
    assert.equal("/bin/sh", entries[2].shell)
  end)

  it("has patterns of 5 to 7 fields, nicknames, and @every", function()
    local function pattern(line)
      local entry = read("CRON_TZ=UTC\n" .. line)[1]
      return first_of(entry) .. " " .. entry.command
    end
    assert.equal("2026-01-01 02:30:00 UTC echo 7", pattern "30 2 * * * echo 7")
    assert.equal("2026-01-01 00:00:20 UTC true", pattern "20 * * * * * true")
    assert.equal("2027-01-01 00:00:00 UTC true", pattern "0 0 0 1 1 * 2027 true")
    assert.equal("2026-01-05 00:00:00 UTC monitor", pattern "0 0 * * MON monitor")
    assert.equal("2026-01-30 00:00:00 UTC L.sh", pattern "0 0 * * FRI#L L.sh")
    assert.equal("2026-01-02 00:00:00 UTC ./7", pattern "@daily ./7")
    assert.equal("2026-01-01 00:00:30 UTC true", pattern "@every 30s true")
    assert.equal("2026-01-01 01:30:00 UTC true", pattern "@every\t1h30m  true")
  end)

  it("takes a name of a day or a month for the command where there is no other", function()
    local function split(line)
      local entry = read("CRON_TZ=UTC\n" .. line)[1]
      return first_of(entry) .. " " .. entry.command
    end
    assert.equal("2026-01-01 03:00:00 UTC sat", split "0 3 * * * sat")
    assert.equal("2026-01-01 03:00:00 UTC dec --all 1", split "0 3 * * *  dec  --all 1")
    assert.equal("2026-01-01 03:00:00 UTC sat a.cnf", split "0 3 * * * name=x sat a.cnf")
    assert.equal("2026-01-03 00:03:00 UTC mon.sh", split "0 3 0 * * sat mon.sh")
    assert.equal("2026-01-03 00:03:00 UTC sat -x", split "0 3 0 * * sat sat -x")
    assert.equal("1: there is no command", problems_of "0 3 0 * * SAT")
    assert.equal("1: there is no command", problems_of "0 3 * * sat")
  end)

  it("has options in front of the command", function()
    local entry = read([[
      0 0 * * * overlap=one timeout=1h30m misfire=all misfire_limit=5 jitter=500ms ]] ..
      [[on_error=pause name="night backup" zone=Asia/Tokyo gap=skip fold=both  ]] ..
      [[PATH=/bin run -x=1]])[1]
    assert.same({
      overlap = "one", misfire = "all", misfire_limit = 5, jitter = 0.5, on_error = "pause",
      name = "night backup",
    }, entry.options)
    assert.equal(5400, entry.timeout)
    assert.equal("night backup", entry.name)
    assert.equal("PATH=/bin run -x=1", entry.command)
    assert.equal("2026-01-02 00:00:00 JST", first_of(entry, "Asia/Tokyo"))
    assert.equal("2026-01-01 00:00:10 UTC",
      first_of(read("@every 1m anchor=0 phase=10s true")[1]))
  end)

  it("sets zones and variables for the lines below", function()
    local entries = read [[
      0 12 * * * zone=UTC a
      CRON_TZ = Asia/Tokyo
      MODE="two words"
      SHELL=/bin/bash
      0 12 * * * b
      MODE='x'
      EMPTY=
      0 12 * * * c
    ]]
    assert.same({}, entries[1].env)
    assert.same({ MODE = "two words", SHELL = "/bin/bash" }, entries[2].env)
    assert.same({ MODE = "x", SHELL = "/bin/bash", EMPTY = "" }, entries[3].env)
    assert.equal("/bin/bash", entries[3].shell)
    assert.equal("2026-01-01 12:00:00 UTC", first_of(entries[1]))
    assert.equal("2026-01-01 12:00:00 JST", first_of(entries[2], "Asia/Tokyo"))
  end)

  it("tells entries that do the same from others", function()
    local function key(text) return read(text)[1].key end
    assert.equal(key "0 0 * * * a", key "# x\n0  0 * * *\ta")
    assert.equal(key "0 0 * * * jitter=1 overlap=one a", key "0 0 * * * overlap=one jitter=1s a")
    for _, other in ipairs { "0 0 * * * b", "1 0 * * * a", "0 0 * * * overlap=one a",
      "CRON_TZ=UTC\n0 0 * * * a", "X=1\n0 0 * * * a", "SHELL=/bin/sh\n0 0 * * * a" } do
      assert.not_equal(key "0 0 * * * a", key(other))
    end
  end)

  it("names what is wrong, line by line", function()
    assert.equal(table.concat({
      "1: minute: 61 is not in 0-59, at character 1",
      "2: unknown option 'overlp', did you mean 'overlap'?",
      "3: there is no command",
      "4: option 'timeout': seconds, or a text such as '1h30m', expected, got '5x'",
      "5: option 'overlap': 'skip', 'one', 'all', 'cancel' or 'allow' expected, got 'x'",
      "6: @reboot is not supported: it names no time",
      "7: never matches before 2200",
      "8: a time such as '30s' or '1h30m' expected, got 'often'",
      "9: seconds >= 0.001 expected, got 0",
      "10: CRON_TZ: unknown zone 'Europe/Berln', did you mean 'Europe/Berlin'?",
      "11: option 'zone': unknown zone 'Europe/Pariss', did you mean 'Europe/Paris'?",
      "12: option 'misfire_limit': integer expected, got 'many'",
      "13: unknown option 'folds', did you mean 'fold'?",
      "14: a time is missing behind '@every', such as '30s'",
    }, "\n"), problems_of [[
61 * * * * a
0 0 * * * overlp=skip a
0 0 * * * overlap=skip
0 0 * * * timeout=5x a
0 0 * * * overlap=x a
@reboot a
0 0 30 2 * a
@every often a
@every 0s a
CRON_TZ=Europe/Berln
0 0 * * * zone=Europe/Pariss a
0 0 * * * misfire_limit=many a
0 0 * * * folds=first a
@every]])
    assert.truthy(problems_of "@every 5s zone=UTC a":find "^1: unknown option 'zone'")
    assert.truthy(problems_of "hello":find "^1: 0 fields, but 5 are wanted")
    assert.truthy(problems_of "* * * * true":find "^1: 4 fields, but 5 are wanted")
  end)

  it("reads any bytes", function()
    local state = 1
    local function below(bound)
      state = state * 6364136223846793005 + 1442695040888963407
      return (state >> 33) % bound
    end
    local likely <const> = "* 0 5 @every 1h =\"' \n\n#name=zone=/x,-L% CRON_TZ"
    for _ = 1, 2000 do
      local bytes = {}
      for i = 1, below(80) do
        local at = 1 + below(#likely)
        bytes[i] = below(9) == 0 and string.char(below(256)) or likely:sub(at, at)
      end
      local text = table.concat(bytes)
      local entries, problems = crontab.read(text, NOW)
      for _, entry in ipairs(entries) do assert.is_true(entry.schedule:next(NOW) > NOW) end
      for _, problem in ipairs(problems) do assert.truthy(#problem.text > 0) end
    end
  end)
end)

describe("a duration", function()
  it("is a number of seconds, or numbers with units", function()
    for text, seconds in pairs {
      ["90"] = 90, ["0.5"] = 0.5, ["30s"] = 30, ["5m"] = 300, ["1h30m"] = 5400, ["2d"] = 172800,
      ["1w"] = 604800, ["250ms"] = 0.25, ["1.5h"] = 5400, ["1m1m"] = 120,
    } do
      assert.equal(seconds, crontab.duration(text), text)
    end
    for _, text in ipairs { "", "s", "5x", "-5s", "1h 30m", "5s!", "1..5s", "0x10", "inf",
      "1e3" } do
      assert.is_nil(crontab.duration(text), text)
    end
  end)
end)
