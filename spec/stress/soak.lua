-- A mixed load for a long time: jobs that end in every way, timers, queues, sockets,
-- files, child processes, threads, web requests, busy jobs, other Lua states; all at
-- once. Nothing may grow, and nothing may be left.
--
-- Usage: lua5.4 spec/stress/soak.lua [seconds [seed]], in the root of the tree
-- Every few seconds the load pauses, and a line says what there is at rest. The exit
-- status is 1 when a promise was broken. What counts is said at the end.

local luv = require "luv"
local uvjobs = require "uvjobs"
local load = require "spec.stress.soak_load"

local seconds = tonumber(arg[1]) or 600
local seed = math.tointeger(arg[2] or os.time())
math.randomseed(seed)
io.stdout:setvbuf("line")

local books, complain = load.books, load.complain
local INTERVAL <const> = math.max(2, math.min(10, seconds / 60))
-- How long what was given up may take to end, such as a child process on a machine
-- that is busy. What is a leak never ends: it is not waited for so long again.
local patience = 60

-- Nothing in this process can stop a C function that hangs: a child does, unless
-- the pipe to it is closed before.
local guard <const> = io.popen(("env -u LD_PRELOAD timeout %d cat >/dev/null;"
  .. " [ $? -ne 124 ] || { echo 'soak: it hangs' >&2; kill -KILL $PPID; }")
  :format(2 * seconds // 1 + 600), "w")

-- ---- what there is -------------------------------------------------------------------

local function entries(path)
  local count = 0
  local dir = assert(luv.fs_opendir(path, nil, 64))
  while true do
    local list = luv.fs_readdir(dir)
    if not list then break end
    count = count + #list
  end
  luv.fs_closedir(dir)
  return count
end

-- A thread may end while its list is read.
local function children()
  local count = 0
  local dir = assert(luv.fs_opendir("/proc/self/task", nil, 1000))
  for _, task in ipairs(luv.fs_readdir(dir) or {}) do
    local file = io.open("/proc/self/task/" .. task.name .. "/children")
    local text = file and file:read("a") or ""
    if file then file:close() end
    for _ in text:gmatch("%d+") do count = count + 1 end
  end
  luv.fs_closedir(dir)
  return count
end

local function handles()
  local count = 0
  luv.walk(function() count = count + 1 end)
  return count
end

--- What is open, as text: for complaints.
local function open_things()
  local list = {}
  luv.walk(function(handle)
    list[#list + 1] = ("%s%s"):format(handle, handle:is_active() and " (active)" or "")
  end)
  for fd = 0, 1000 do
    local what = luv.fs_readlink("/proc/self/fd/" .. fd)
    if what then list[#list + 1] = fd .. " " .. what end
  end
  return table.concat(list, "\n")
end

local EXACT <const> = { "live", "work", "descriptors", "handles", "threads", "children" }

local function look()
  collectgarbage()
  collectgarbage()
  local stats = uvjobs.stats()
  return {
    live = stats.live, work = stats.work, handles = handles(), children = children(),
    descriptors = entries("/proc/self/fd"), threads = entries("/proc/self/task"),
    lua = collectgarbage("count"), rss = luv.resident_set_memory() / 1024,
  }
end

local function difference(a, b)
  local list = {}
  for _, name in ipairs(EXACT) do
    if a[name] ~= b[name] then
      list[#list + 1] = ("%d %s, not %d"):format(a[name], name, b[name])
    end
  end
  return list[1] and table.concat(list, ", ")
end

--- Looks until there is what `wanted` has, or what there was `before`, for two seconds
--- on end, when that is not given.
local function at_rest(wanted)
  local stop, now, same = uvjobs.now() + patience, look(), 0
  repeat
    if wanted and not difference(now, wanted) then return now end
    uvjobs.sleep(0.1)
    local before = now
    now = look()
    same = difference(now, before) and 0 or same + 1
    if not wanted and same == 20 then return now end
  until uvjobs.now() > stop
  complain("at rest: %s\n%s", wanted and difference(now, wanted) or "it does not come to rest",
    open_things())
  patience = 5
  return now
end

-- ---- lateness ------------------------------------------------------------------------

local lateness = { n = 0 }
local measuring = false

local function ticker()
  while true do
    local due = uvjobs.now() + 0.001
    uvjobs.sleep(0.001)
    if measuring then
      lateness.n = lateness.n + 1
      lateness[lateness.n] = (uvjobs.now() - due) * 1000
    end
  end
end

--- Returns the median, the 99th percentile and the highest of the latenesses so far, in
--- milliseconds, and begins anew.
local function take_lateness()
  local list = table.move(lateness, 1, lateness.n, 1, {})
  lateness = { n = 0 }
  table.sort(list)
  local function at(part) return list[math.max(1, math.ceil(part * #list))] or 0 end
  return at(0.5), at(0.99), at(1)
end

-- ---- the load ------------------------------------------------------------------------

--- Runs all loads until the time has come; each once, at least.
local function play(stop)
  local lanes <close> = uvjobs.scheduler {
    limit = math.huge, wait_timeout = 1e6,
    exception_handler = function(_, context)
      complain("a lane ended: %s\n%s", context.exception, context.traceback)
    end,
  }
  for name, count in pairs(load.kinds) do
    for _ = 1, load[name] and count or 0 do
      lanes:spawn({ name = name }, function()
        repeat load[name]() until uvjobs.now() >= stop
      end)
    end
  end
end

local function median(list, from, to)
  local part = table.move(list, from, to, 1, {})
  table.sort(part)
  return part[(#part + 1) // 2]
end

local failures = 0

local function verdict(ok, format, ...)
  if not ok then failures = failures + 1 end
  print(("%-7s "):format(ok and "ok" or "FAILED") .. format:format(...))
end

-- Memory in the last third may be more than in the second by this factor, and so many KB besides.
local MORE <const> = 1.03
local FREE <const> = { lua = 256, rss = 4096 }

local function judge_memory(name, what, list)
  local n = #list
  if n < 6 then return print(("%-7s %s: too few lines to say"):format("-", what)) end
  local second = median(list, n // 3 + 1, 2 * n // 3)
  local last = median(list, 2 * n // 3 + 1, n)
  verdict(last <= second * MORE + FREE[name],
    "%s: %.0f KB in the last third, %.0f KB in the second; %.0f KB allowed", what, last, second,
    second * MORE + FREE[name])
end

local function judge(lines, unequal)
  local b = books
  print ""
  judge_memory("lua", "memory of Lua", lines.lua)
  judge_memory("rss", "memory of the process", lines.rss)
  verdict(unequal == 0, "live jobs, descriptors, handles, threads and children at rest:"
    .. " as at the beginning in %d of %d lines", #lines.lua - unequal, #lines.lua)
  local ended = b.done + b.failed + b.cancelled + b.killed
  verdict(b.spawned == ended and math.min(b.done, b.failed, b.cancelled, b.killed) > 0,
    "jobs: %d spawned = %d done + %d failed + %d cancelled + %d killed",
    b.spawned, b.done, b.failed, b.cancelled, b.killed)
  verdict(b.put == b.got + b.left and b.left <= b.interrupted,
    "items of queues: %d put = %d got + %d lost by jobs interrupted between two instructions"
    .. " (%d were)", b.put, b.got, b.left, b.interrupted)
  verdict(b.complaints == 0, "%d complaints: errors that were not provoked, and wrong results",
    b.complaints)
  print(("also: %d jobs with timers, %d connections, %d bytes echoed, %d child processes,"
    .. " %d calls of work, %d web requests, %d other states with %d jobs, %d handles and files"
    .. " of jobs interrupted before they could close them")
    :format(b.timers, b.connections, b.bytes, b.processes, b.works, b.requests, b.states,
      b.states_jobs, b.swept))
  print(("soak: %s"):format(failures == 0 and "passed" or failures .. " failed"))
end

local LINE <const> = "%6.0f s %8d jobs %6.0f/s  lua %5.0f KB  rss %6.0f KB  fds %d  live %d"
  .. "  handles %d  threads %d  children %d  late %.2f %.2f %.1f ms"

local function main()
  local others = uvjobs.scheduler { name = "others" }
  local tick = others:spawn({ name = "ticker" }, ticker)
  local stop_web = load.start_web(others)
  print(("soak: seed %d, %g seconds%s"):format(seed, seconds,
    stop_web and "" or ", without lua-http"))
  print "Memory, descriptors, ... are taken at rest; lateness (median, 99 %, highest) under load."
  -- What is loaded or made at the first use, and stays, comes before the beginning.
  play(uvjobs.now() + INTERVAL)
  local first = at_rest()
  local start, lines, unequal = uvjobs.now(), { lua = {}, rss = {} }, 0
  local function jobs_ended()
    local stats = uvjobs.stats()
    return stats.spawned - stats.live + books.states_jobs
  end
  local at_first = jobs_ended()
  local before = at_first
  while uvjobs.now() < start + seconds do
    local began = uvjobs.now()
    measuring = true
    play(math.min(began + INTERVAL, start + seconds))
    measuring = false
    local lasted, ended = uvjobs.now() - began, jobs_ended()
    local p50, p99, highest = take_lateness() -- before memory is looked at
    local now = at_rest(first)
    if difference(now, first) then unequal = unequal + 1 end
    lines.lua[#lines.lua + 1], lines.rss[#lines.rss + 1] = now.lua, now.rss
    print(LINE:format(uvjobs.now() - start, ended - at_first, (ended - before) / lasted,
      now.lua, now.rss, now.descriptors, now.live, now.handles, now.threads, now.children,
      p50, p99, highest))
    before = ended
  end
  judge(lines, unequal)
  if stop_web then stop_web() end
  tick:cancel()
  tick:join()
end

-- The main job is preempted, too.
uvjobs.run({ timeslice = 0.01 }, main)
local stats = uvjobs.stats()
if stats.live ~= 0 then
  failures = failures + 1
  print(("FAILED  %d jobs live after the run"):format(stats.live))
end
guard:close()
os.exit(failures == 0, true)
