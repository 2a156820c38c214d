-- Time zones, against Python's zoneinfo and in both forms of tzdata.

local files = require "spec.files"
local oracle = require "spec.schedule.oracle"
local process = require "spec.process"
local schedule = require "uvjobs.schedule"

-- With rules of every kind: of the north and the south, negative daylight saving time,
-- half hours, days that do not exist, two changes a year apart by weeks, none at all.
local SAMPLE <const> = "Europe/Berlin America/New_York Australia/Lord_Howe Europe/Dublin " ..
  "America/Sao_Paulo Africa/Casablanca Pacific/Apia Asia/Kolkata America/Caracas " ..
  "Asia/Gaza Antarctica/Troll America/Nuuk Pacific/Chatham Asia/Tehran UTC Etc/GMT+12"

describe("time zones", function()
  it("say what Python's zoneinfo says, at every change", function()
    local lines = files.lines_of("LD_PRELOAD= python3 spec/schedule/zones.py " .. SAMPLE)
    assert.is_true(#lines > 1000)
    for _, line in ipairs(lines) do
      local name, time, text = line:match "^(%S+) (%d+) (.*)$"
      assert.equal(text, schedule.format(math.tointeger(time), name), line)
    end
  end)

  it("make patterns fire as a walk over every second says, around every change #R1 #R2 #R3 #R4",
    function()
      local pipe <close> = assert(io.popen("LD_PRELOAD= python3 spec/schedule/transitions.py " ..
        "Australia/Lord_Howe America/Sao_Paulo"))
      local zones, changes, count = oracle.check(pipe:lines())
      assert.equal(2, zones)
      assert.is_true(changes > 100)
      assert.is_true(count > 15000)
    end)

  it("are read from the fat and from the slim form of tzdata", function()
    local dir = files.lines_of("mktemp -d")[1]
    finally(function() os.execute("rm -r " .. dir) end)
    local zic = "PATH=$PATH:/usr/sbin zic -b %s -d %s/%s /usr/share/zoneinfo/tzdata.zi"
    local program = [[
      local schedule = require "uvjobs.schedule"
      for name in ("%s"):gmatch "%%S+" do
        for time = 0, 4102444800, 7654321 do print(name, schedule.format(time, name)) end
      end]]
    local outputs = {}
    for _, form in ipairs { "fat", "slim" } do
      assert(os.execute(zic:format(form, dir, form)))
      outputs[form] = process.run(program:format(SAMPLE), ("TZDIR=%s/%s"):format(dir, form)).out
    end
    assert.is_true(#outputs.fat > 10000)
    assert.equal(outputs.fat, outputs.slim)
  end)

  it("that are damaged are refused, and named", function()
    local dir = files.lines_of("mktemp -d")[1]
    finally(function() os.execute("rm -r " .. dir) end)
    local berlin = files.read "/usr/share/zoneinfo/Europe/Berlin"
    files.write(dir .. "/Cut", berlin:sub(1, 500))
    files.write(dir .. "/Text", "no zone at all")
    files.write(dir .. "/Empty", "")
    files.write(dir .. "/Long", berlin .. (" "):rep(2 << 20))
    assert(os.execute(("ln -s Loop %s/Loop; mkfifo %s/Pipe"):format(dir, dir)))
    local program = [[
      local schedule = require "uvjobs.schedule"
      for _, name in ipairs { "Cut", "Text", "Empty", "Long", "Loop", "Pipe" } do
        print(select(2, pcall(schedule.cron, "@daily", { zone = name })))
      end]]
    local damaged = "bad argument #2 to 'cron' (option 'zone': the file of zone '%s' is " ..
      "damaged: it is no TZif file without leap seconds)\n"
    local unknown = "bad argument #2 to 'cron' (option 'zone': unknown zone '%s')\n"
    assert.equal(damaged:format "Cut" .. damaged:format "Text" .. damaged:format "Empty" ..
      damaged:format "Long" .. unknown:format "Loop" .. unknown:format "Pipe",
      process.run(program, "TZDIR=" .. dir).out)
  end)
end)
