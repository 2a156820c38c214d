--- Schedules: how long it takes to find the next time of a pattern and to read one, how late
--- repetitions are, and what idle ones cost. Run by bench/schedule; the sides are
---   next N PATTERN ZONE, parse N PATTERN       ns and a check sum
---   every N, sleep N, cron N                   lateness of N at 1 Hz: median, p99, least, in ms
---   idle N                                     bytes for each; then it waits for its end

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")
local schedule = require "uvjobs.schedule"
local uvjobs = require "uvjobs"

local BEGIN <const> = 1767225600 -- 2026-01-01 00:00 UTC
local CHAIN <const> = 10         -- times that follow each other, from there
local SECONDS <const> = 8        -- of lateness, after two that do not count

local sides = {}

local function cpu_of(n, work)
  collectgarbage "generational"
  local began = os.clock()
  local sum = work()
  print(("%.1f %d"):format((os.clock() - began) * 1e9 / n, sum))
end

function sides.next(n, pattern, zone)
  local made = schedule.cron(pattern, { zone = zone })
  cpu_of(n, function()
    local sum, time = 0, BEGIN
    for i = 1, n do
      time = made:next(time)
      sum = sum + time // 1
      if i % CHAIN == 0 then time = BEGIN end
    end
    return sum
  end)
end

function sides.parse(n, pattern, zone)
  local options = { zone = zone }
  cpu_of(n, function()
    local made
    for _ = 1, n do made = schedule.cron(pattern, options) end
    return made:next(BEGIN) // 1
  end)
end

-- ---- lateness ------------------------------------------------------------------------

--- Runs what `begin` starts, which calls its argument with how late something was.
local function lateness(begin)
  local samples, counts = {}, false
  uvjobs.run(function()
    local jobs = uvjobs.scheduler { limit = math.huge }
    begin(jobs, function(late)
      if counts then samples[#samples + 1] = late end
    end)
    uvjobs.sleep(2)
    counts = true
    uvjobs.sleep(SECONDS)
    counts = false
    jobs:close()
  end)
  print(common.percentiles(samples))
end

function sides.every(n)
  lateness(function(jobs, note)
    local function ended(occurrence) note(uvjobs.time() - occurrence.time) end
    for i = 1, n do jobs:every(1, { anchor = BEGIN + i / n }, ended) end
  end)
end

-- All of them at the same moments: what cron patterns do.
function sides.cron(n)
  lateness(function(jobs, note)
    local function ended(occurrence) note(uvjobs.time() - occurrence.time) end
    for _ = 1, n do jobs:cron("* * * * * *", { zone = "UTC" }, ended) end
  end)
end

local function sleeper(due, note)
  while true do
    uvjobs.sleep(due - uvjobs.now())
    note(uvjobs.now() - due)
    due = due + 1
  end
end

function sides.sleep(n)
  lateness(function(jobs, note)
    local begin = uvjobs.now() + 1
    for i = 1, n do jobs:spawn(sleeper, begin + i / n, note) end
  end)
end

function sides.sleep_together(n)
  lateness(function(jobs, note)
    local begin = uvjobs.now() + 1
    for _ = 1, n do jobs:spawn(sleeper, begin, note) end
  end)
end

-- ---- idle ----------------------------------------------------------------------------

function sides.idle(n)
  uvjobs.run(function()
    local jobs = uvjobs.scheduler()
    jobs:cron("0 0 1 1 *", { zone = "Europe/Berlin" }, print)
    collectgarbage()
    local before = common.memory "VmRSS"
    for _ = 1, n do jobs:cron("0 0 1 1 *", { zone = "Europe/Berlin" }, print) end
    collectgarbage()
    print(("%.0f"):format((common.memory "VmRSS" - before) / n))
    io.stdout:flush()
    uvjobs.event():wait()
  end)
end

local side, n = sides[arg[1]], math.tointeger(tonumber(arg[2]))
if not side or not n then
  io.stderr:write("usage: bench/schedule.lua SIDE N [PATTERN ZONE]\n")
  os.exit(2)
end
side(n, arg[3], arg[4])
