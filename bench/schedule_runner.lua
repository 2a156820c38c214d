-- Runs the programs of bench/schedule in rounds, and reports them. Called by it.

local rounds = dofile "bench/rounds.lua"

local first_line <const>, median <const> = rounds.first_line, rounds.median
local succeeds <const> = rounds.succeeds

local PATTERNS = {
  { "1 2 3 4 5 6", "UTC" }, { "0 0 0 29 2 *", "UTC" },
  { "0 30 2 * * MON-FRI", "Europe/Berlin" }, { "0 */15 9-17 * * *", "America/New_York" },
}

local NEXT_AT_LEAST, PARSE_AT_LEAST = 20, 10 -- times as fast as croner
local LATENESS_AT_MOST = 1.2                 -- times the p99 of sleeping jobs
local IDLE_MB_AT_MOST = 10
local MANY = 10000                           -- repetitions
local IDLE_S = 10                            -- in which wake-ups are counted

local function quote(text) return "'" .. text:gsub("'", [['\'']]) .. "'" end

local function fail(message) rounds.fail("bench/schedule", message) end

local uvjobs = rounds.interpreter() .. " bench/schedule.lua "

--- The programs of the peers that are here.
local function find_peers()
  local peers = {}
  if succeeds "node -e 0" and succeeds "test -d build/bench/croner/node_modules/croner" then
    peers.croner = "node bench/peers/croner.mjs $PWD/build/bench/croner "
  end
  for _, python in ipairs { "python3", "/usr/bin/python3" } do
    if not peers.croniter and succeeds(python .. " -c 'import croniter'") then
      peers.croniter = python .. " bench/peers/cron.py "
    end
  end
  return peers
end

local peers = find_peers()

--- The numbers that a program prints.
local function numbers_of(command)
  local numbers = rounds.numbers_of(command)
  if not numbers[1] then fail(command .. " gave no number") end
  return numbers
end

-- ---- next and parse ------------------------------------------------------------------

-- How many operations a program does, which takes each of them about a second.
local COUNTS = {
  uvjobs = { next = 1000000, parse = 200000 },
  croner = { next = 10000, parse = 10000 },
  croniter = { next = 5000, parse = 5000 },
}

--- Nanoseconds for one operation. All have to find the same times.
local function cost(name, program, side, pattern, expected)
  local n = COUNTS[name][side]
  local numbers = numbers_of(("%s%s %d %s %s"):format(program, side, n, quote(pattern[1]),
    pattern[2]))
  local sum = side == "next" and numbers[2] / n or numbers[2]
  if expected and sum ~= expected then
    fail(("%s does not find the times of '%s' that uvjobs does"):format(name, pattern[1]))
  end
  return numbers[1], sum
end

--- Adds the ratios of a round to those of a row.
local function add_ratios(row, side, pattern)
  local ours, sum = cost("uvjobs", uvjobs, side, pattern)
  row.ours = row.ours or {}
  table.insert(row.ours, ours)
  for name, program in pairs(peers) do
    row[name] = row[name] or {}
    table.insert(row[name], cost(name, program, side, pattern, sum) / ours)
  end
end

-- ---- lateness, idle ------------------------------------------------------------------

-- Where the system lets us, the lateness is not that of other programs' making.
local ahead = succeeds "chrt -f 1 true" and "chrt -f 1 " or ""

--- The 99th percentile, in milliseconds.
local function late(side) return numbers_of(("%s%s%s %d"):format(ahead, uvjobs, side, MANY))[2] end

local function switches(pid)
  local file <close> = assert(io.open(("/proc/%d/status"):format(pid)))
  return tonumber(file:read "a":match "\nvoluntary_ctxt_switches:%s*(%d+)")
end

--- Megabytes of so many idle repetitions, and how often they wake the process in a second.
local function idle()
  local pipe <close> = assert(io.popen(("echo $$; exec %sidle %d"):format(uvjobs, MANY)))
  local pid = assert(math.tointeger(tonumber(pipe:read "l")))
  local bytes = tonumber(pipe:read "l")
  os.execute "sleep 1"
  local before = switches(pid)
  os.execute("sleep " .. IDLE_S)
  local woken = (switches(pid) - before) / IDLE_S
  os.execute(("kill -KILL %d"):format(pid))
  return bytes * MANY / 1e6, woken
end

-- ---- the report ----------------------------------------------------------------------

local lines = {}

local function add(work, against, value, target, is_met)
  lines[#lines + 1] = ("| %s | %s | %s | %s | %s |"):format(work, against, value, target,
    is_met == nil and "-" or is_met and "yes" or "**no**")
end

local function three(value)
  return value >= 100 and ("%.0f"):format(value) or ("%.3g"):format(value)
end

local function report_ratios(rows, side, at_least)
  for i, pattern in ipairs(PATTERNS) do
    for _, name in ipairs { "croner", "croniter" } do
      local ratios = rows[i][name]
      if ratios then
        local middle = median(ratios)
        local is_target, is_met = name == "croner", nil
        if is_target then is_met = middle >= at_least end
        add(("%s of `%s`, %s"):format(side, pattern[1], pattern[2]), name,
          ("%s (%s..%s)"):format(three(middle), three(ratios[1]), three(ratios[#ratios])),
          is_target and ">= " .. at_least or "-", is_met)
      end
    end
  end
end

local function report_lateness(title, ours, reference, has_target)
  local ratios = {}
  for i = 1, #ours do ratios[i] = ours[i] / reference[i] end
  local middle, is_met = median(ratios), nil
  if has_target then is_met = middle <= LATENESS_AT_MOST end
  add(title, "jobs that sleep", ("%.2f (%.2f..%.2f)"):format(middle, ratios[1], ratios[#ratios]),
    has_target and "<= " .. LATENESS_AT_MOST or "-", is_met)
end

local function circumstances(n)
  local function of(command) return first_line(command) or "?" end
  return ("Measured: %s, uvjobs %s, %d rounds, Lua %s, Node %s, %s x %s, load %s before."):format(
    os.date "!%Y-%m-%d", of "git describe --always --dirty 2>/dev/null", n,
    of(rounds.interpreter() .. " -v 2>&1"):match "^Lua ([%d.]+)", of "node --version 2>/dev/null",
    of "nproc", of "grep -m 1 'model name' /proc/cpuinfo":match ":%s*(.*)" or "?",
    of "cat /proc/loadavg":match "^%S+")
end

local function main(n)
  local about = circumstances(n)
  local found = { next = {}, parse = {} }
  local ours = { every = {}, cron = {}, sleep = {}, sleep_together = {} }
  for i = 1, #PATTERNS do found.next[i], found.parse[i] = {}, {} end
  for _ = 1, n do
    for i, pattern in ipairs(PATTERNS) do
      for side, rows in pairs(found) do add_ratios(rows[i], side, pattern) end
    end
    for side, list in pairs(ours) do list[#list + 1] = late(side) end
  end
  report_ratios(found.next, "next", NEXT_AT_LEAST)
  report_ratios(found.parse, "parse", PARSE_AT_LEAST)
  report_lateness("lateness of 10,000 `every(1)`, 99th of 100", ours.every, ours.sleep, true)
  report_lateness("the same, all at the same moment", ours.cron, ours.sleep_together)
  local megabytes, woken = idle()
  add("memory of 10,000 idle repetitions", "-", ("%.1f MB"):format(megabytes),
    ("<= %d MB"):format(IDLE_MB_AT_MOST), megabytes <= IDLE_MB_AT_MOST)
  add("how often these wake the process", "-", ("%g in a second"):format(woken), "0", woken == 0)
  local text = "| work | against | ratio | target | met |\n|---|---|---|---|---|\n" ..
    table.concat(lines, "\n") .. "\n\n" .. about .. "\n"
  io.write(text)
  if peers.croner and peers.croniter then
    rounds.refresh("docs/performance.md", "bench/schedule", text)
  end
end

if #arg ~= 0 and (#arg ~= 2 or arg[1] ~= "-n") then
  rounds.fail("bench/schedule", "usage: [-n ROUNDS]", 2)
end
main((rounds.options("bench/schedule", 5)))
