--- Repetitions while the date is set by an hour and by a year, in both directions, while the
--- process is stopped for ten seconds, and while the rules of a zone change:
---   lua5.4 spec/stress/clock.lua LIBRARY
--- in the tree, with its paths. LIBRARY is libfaketime.so.1, which sets the date of this
--- process alone. Takes two minutes; the status is 1 when something is wrong.

local process = require "spec.process"
local uvjobs = require "uvjobs"

local HOUR <const> = 3600
local YEAR <const> = 365 * 86400

local failures = 0

local function check(holds, format, ...)
  print((holds and "ok      " or "FAILED  ") .. format:format(...))
  if not holds then failures = failures + 1 end
end

-- This job keeps the loop turning, because a step of the date is seen between two turns (R10).
-- Normally the kernel gives notice of a step; but libfaketime sets the date without the kernel.
local function turn()
  while true do uvjobs.sleep(0.02) end
end

local function quiet()
  return uvjobs.scheduler { exception_handler = function() end }
end

-- ---- steps -------------------------------------------------------------------------

local function set_date(path, offset)
  local file <close> = assert(io.open(path, "w"))
  file:write(("%+d\n"):format(offset))
end

-- Waits until the date has been set, and half a second more.
local function step(path, offset)
  set_date(path, offset)
  uvjobs.sleep(0.5)
end

-- Steps ahead and back; `count` is whether all that was missed is counted.
local function step_both_ways(path, repeating, name, seconds, count)
  local runs, missed = repeating.runs, repeating.missed
  step(path, seconds)
  check(repeating.runs > runs, "%s: runs after a step ahead", name)
  local more = repeating.missed - missed
  check(not count and more > 0 or math.abs(more - seconds) < 30, "%s: misses %d times", name, more)
  check(repeating.next > uvjobs.time() - 5, "%s: the next time is near", name)
  runs, missed = repeating.runs, repeating.missed
  step(path, 0)
  uvjobs.sleep(2)
  check(repeating.runs == runs and repeating.missed == missed, "%s: runs nothing after a step back",
    name)
end

local function play_steps(path)
  local turning <close> = uvjobs.scheduler()
  turning:spawn(turn)
  for _, seconds in ipairs { HOUR, YEAR } do
    local jobs = quiet()
    local function ignore() end
    local every = jobs:every(1, ignore)
    local cron = jobs:cron("* * * * * *", { zone = "Europe/Berlin" }, ignore)
    local skips = jobs:every(1, { misfire = "skip" }, ignore)
    uvjobs.sleep(2.5)
    check(every.runs > 0 and cron.runs > 0, "%d s: both run", seconds)
    local skipped = skips.runs
    local woke
    jobs:spawn(function()
      uvjobs.sleep_until(uvjobs.time() + seconds)
      woke = uvjobs.time()
    end)
    local slept = jobs:spawn(uvjobs.sleep, 20)
    uvjobs.yield()
    step_both_ways(path, every, ("every, %d s"):format(seconds), seconds, true)
    check(woke ~= nil, "%d s: sleep_until() has followed the date", seconds)
    check(slept.active, "%d s: sleep() has not", seconds)
    check(skips.runs <= skipped + 2, "%d s: skip runs %d times, those in time", seconds,
      skips.runs - skipped)
    jobs:close()
    jobs = quiet()
    step_both_ways(path, jobs:cron("* * * * * *", { zone = "Europe/Berlin" }, ignore),
      ("cron, %d s"):format(seconds), seconds, seconds == HOUR)
    jobs:close()
  end
  turning:close()
end

-- ---- a stopped process -------------------------------------------------------------

-- Counts seconds by three rules, and prints what it has come to.
local function count_seconds()
  local jobs <close> = quiet()
  local rules = {}
  for i, misfire in ipairs { "skip", "latest", "all" } do
    local times = {}
    local repeating = jobs:every(1, { misfire = misfire, overlap = "all" }, function(occurrence)
      times[#times + 1] = occurrence.time
    end)
    rules[i] = { misfire = misfire, repeating = repeating, times = times }
  end
  print "begun"
  io.stdout:flush()
  uvjobs.sleep_until(uvjobs.time() + 14)
  for _, rule in ipairs(rules) do
    local repeating, times = rule.repeating, rule.times
    local in_order = true
    for i = 2, #times do in_order = in_order and times[i] > times[i - 1] end
    print(rule.misfire, repeating.runs, repeating.missed, repeating.skipped, in_order)
  end
end

local function play_stop()
  local uv = require "uvjobs.uv"
  local pipe <close> = assert(io.popen(("%s spec/stress/clock.lua --count & echo $!; wait")
    :format(process.command()), "r"))
  local pid = assert(math.tointeger(tonumber(pipe:read "l")))
  assert(pipe:read "l" == "begun")
  uv.kill(pid, "sigstop")
  uvjobs.sleep(10)
  uv.kill(pid, "sigcont")
  for line in pipe:lines() do
    local misfire, runs, missed, skipped, in_order = line:match(
      "^(%a+)%s+(%d+)%s+(%d+)%s+(%d+)%s+(%a+)$")
    runs, missed = tonumber(runs), tonumber(missed)
    check(in_order == "true" and skipped == "0", "stopped, %s: in order", misfire)
    check(runs + missed >= 12, "stopped, %s: each second is counted: %d run, %d missed", misfire,
      runs, missed)
    if misfire == "all" then
      check(missed == 0, "stopped, all: all run")
    else
      check(missed >= 8, "stopped, %s: the time is missed", misfire)
    end
  end
end

-- ---- rules that change ------------------------------------------------------------

-- A zone is Berlin at first, and then Tokyo (R15).
local function follow_zone(dir)
  local schedule = require "uvjobs.schedule"
  local noon = schedule.cron("0 12 * * *", { zone = "Test" })
  local june = schedule.at("2026-06-01T00:00Z"):next(0)
  check(noon:next(june) == june + 10 * HOUR, "zone: noon of Berlin")
  local copy = "cp /usr/share/zoneinfo/Asia/Tokyo %s/new && mv %s/new %s/Test"
  assert(os.execute(copy:format(dir, dir, dir)))
  local begin = uvjobs.now()
  while noon:next(june) ~= june + 3 * HOUR and uvjobs.now() - begin < 100 do uvjobs.sleep(0.2) end
  check(uvjobs.now() - begin < 62, "zone: noon of Tokyo after %.0f s", uvjobs.now() - begin)
end

local function play_zone()
  local dir = os.tmpname()
  os.remove(dir)
  assert(os.execute(("mkdir %s && cp /usr/share/zoneinfo/Europe/Berlin %s/Test"):format(dir, dir)))
  local ok = os.execute(("%s spec/stress/clock.lua --zone %s"):format(
    process.command("TZDIR=" .. dir), dir))
  check(ok, "rules that change")
  os.execute("rm -r " .. dir)
end

-- ---- the program -------------------------------------------------------------------

if arg[1] == "--count" then
  uvjobs.run(count_seconds)
elseif arg[1] == "--zone" then
  uvjobs.run(follow_zone, arg[2])
elseif arg[1] == "--steps" then
  uvjobs.run(play_steps, arg[2])
else
  local path = os.tmpname()
  set_date(path, 0)
  local env = ("LD_PRELOAD=%s FAKETIME_TIMESTAMP_FILE=%s FAKETIME_NO_CACHE=1 " ..
    "FAKETIME_DONT_FAKE_MONOTONIC=1"):format(process.quote(arg[1]), path)
  local ok = os.execute(("%s spec/stress/clock.lua --steps %s"):format(process.command(env), path))
  check(ok, "steps of the date")
  os.remove(path)
  uvjobs.run(play_stop)
  play_zone()
end
os.exit(failures == 0)
