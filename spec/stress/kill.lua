-- Sends SIGINT or SIGTERM at random moments to a program in which much is going on: jobs
-- that wait, compute, fail and end, child processes, work in threads, locks. What has begun
-- must be cleaned up, and the exit status must be right; a second signal, which one
-- in four gets, ends the program at once.
--
-- Usage: lua5.4 spec/stress/kill.lua [times [seed]], in the root of the tree
-- It prints its seed, and one line at the end; the exit status is 1 when a promise was
-- broken.

local uvjobs = require "uvjobs"
local kill = require "spec.signals.helper"

local times = math.tointeger(arg[1] or 100)
local seed = math.tointeger(arg[2] or os.time())
math.randomseed(seed)
local random = math.random
io.stdout:setvbuf("line")
print(("kill: seed %d, %d times"):format(seed, times))

-- It says "+name" when something is to be cleaned up, and at the end "-name" for what was not.
-- An interruption may come before enter(): "-name" alone is right.
local PROGRAM <const> = [[
  math.randomseed(SEED)
  local random, last = math.random, 0
  local open = {} -- true for what is
  local function entry()
    last = last + 1
    local name = last
    local variable = setmetatable({ name = name }, {
      __close = function(self, err) open[self] = err end,
    })
    open[variable] = true -- until it is closed
    return variable, name
  end
  local function enter(name) io.write("+", name, "\n") end

  say "begin"
  local ok, err = pcall(uvjobs.run, function()
    local main <close>, name = entry()
    enter(name)
    local mutex, queue = uvjobs.mutex(), uvjobs.queue(2)
    local function body(depth)
      local _ <close>, mine = entry()
      enter(mine)
      local kind = random(12)
      if kind == 1 then uvjobs.sleep(random() * 0.01) end
      if kind == 2 then uvjobs.sleep(600) end
      if kind == 3 then mutex:with(uvjobs.sleep, random() * 0.002) end
      if kind == 4 then queue:put(1, 0.01) queue:get(0.01) end
      if kind == 5 then error("on purpose", 0) end
      if kind == 6 then uvjobs.exec("sleep", { random(2) == 1 and "0" or "600" }) end
      if kind == 7 then uvjobs.work(function() for _ = 1, 1e5 do end end) end
      if kind == 8 then
        local stop = uvjobs.now() + random() * 0.01
        while uvjobs.now() < stop do end
      end
      if kind == 9 then uvjobs.protect(uvjobs.sleep, random() * 0.005) end
      if kind == 10 and depth < 3 then
        uvjobs.all { function() body(depth + 1) end, function() body(depth + 1) end }
      end
      if kind == 11 and depth < 3 then
        local nested <close> = uvjobs.scheduler {
          limit = 1, timeslice = 0.001, close_timeout = 600, exception_handler = function() end,
        }
        nested:spawn(body, depth + 1)
        nested:spawn(body, depth + 1)
      end
      if kind == 12 then uvjobs.timeout(random() * 0.01, uvjobs.sleep, 600) end
    end
    -- What is cleaned up on a machine that is slow must not be killed for it.
    local jobs <close> = uvjobs.scheduler {
      limit = 20, pending_limit = 5, timeslice = 0.002, close_timeout = 600,
      exception_handler = function() end,
    }
    while true do
      jobs:spawn({ timeout = random(3) == 1 and 0.02 or nil }, body, 1)
      if random(8) == 1 then uvjobs.sleep(random() * 0.005) end
    end
  end)
  for variable, value in next, open do
    if value == true then say("-" .. variable.name) end
  end
  say(ok and "it ended by itself" or "end")
  os.exit(err.signal == "SIGINT" and 130 or err.signal == "SIGTERM" and 143 or 1, true)
]]

local problems = 0

local function complain(result, format, ...)
  problems = problems + 1
  io.stderr:write(("kill: seed %d: "):format(seed), format:format(...), "\n",
    table.concat(result.out, "\n", math.max(1, #result.out - 40)), "\n", result.err, "\n")
end

local function check_balance(result)
  local begun = {}
  for _, line in ipairs(result.out) do
    local sign, name = line:match "^([+-])(%d+)$"
    if sign == "+" then begun[name] = true end
    if sign == "-" and begun[name] then complain(result, "%s was not cleaned up", name) end
  end
end

local counts = { early = 0, cleaned = 0, second = 0, late = 0 }

--- Two signals that come together may be delivered in any order.
local function is_status(code, names)
  for _, name in ipairs(names) do
    if code == kill.STATUS[name] then return true end
  end
  return false
end

-- SIGINT came before run() took it, or after: then the interpreter raises an error, in the
-- script and not in a job: in pcall() itself, or when that has returned. Nothing is left open
-- by then.
local function is_by_interpreter(result, names)
  local at = result.err:match "^[^\n]*: interrupted!\nstack traceback:\n(.*in main chunk)\n"
  return result.code == 1 and (names[1] == "sigint" or names[2] == "sigint") and at ~= nil and
    (at:find "^[^\n]*'pcall'\n[^\n]*main chunk$" or not at:find("'pcall'", 1, true))
end

local function check_result(result, names)
  local first, last = result.out[1], result.out[#result.out]
  if first ~= "begin" or #result.out == 1 and (result.code == 1 or result.signal ~= 0) then
    -- The interpreter's own behaviour: SIGINT raises an error there.
    counts.early = counts.early + 1
    local by_interpreter = result.code == 1 and (names[1] == "sigint" or names[2] == "sigint")
    if result.signal == 0 and not by_interpreter and not is_status(result.code, names) then
      complain(result, "status %d before the run", result.code)
    end
  elseif is_by_interpreter(result, names) then
    counts.late = counts.late + 1
    check_balance(result)
  elseif result.signal ~= 0 then -- between the handlers and the ends of the run
    counts.late = counts.late + 1
    if #result.out > 1 and last ~= "end" and #names == 1 then
      complain(result, "it was ended by signal %d", result.signal)
    end
  elseif last ~= "end" then
    counts.second = counts.second + 1
    if #names == 1 then complain(result, "it ended without its clean-up") end
    if not is_status(result.code, names) then complain(result, "status %d", result.code) end
  else
    counts.cleaned = counts.cleaned + 1
    if not is_status(result.code, names) then complain(result, "status %d", result.code) end
    check_balance(result)
    if result.err ~= "" then complain(result, "it wrote to standard error") end
    if result.left then complain(result, "processes are left") end
  end
end

local function play()
  local signals = { "sigint", "sigterm" }
  local names = { signals[random(2)] }
  if random(4) == 1 then names[2] = names[1] == "sigint" and "sigterm" or "sigint" end
  local begun, gone = uvjobs.event(), false
  local result = kill.play {
    script = PROGRAM:gsub("SEED", random(1 << 30)),
    on_line = function(_, line) if line == "begin" then begun:set() end end,
    on_start = function(process)
      -- Most are counted from the begin of the run, a few from that of the process.
      if random(10) > 1 then begun:wait() end
      uvjobs.sleep(random() * 0.06)
      for i, name in ipairs(names) do
        if i > 1 then uvjobs.sleep(random() * 0.003) end
        process:signal(name)
      end
      gone = true
    end,
    may_leave = function(so_far) return so_far.out[#so_far.out] ~= "end" end,
  }
  if not gone then complain(result, "it ended before it was sent a signal") end
  check_result(result, names)
end

uvjobs.run(function()
  for _ = 1, times do
    local ok, err = pcall(uvjobs.timeout, 120, play)
    if not ok then
      problems = problems + 1
      io.stderr:write(("kill: seed %d: "):format(seed), tostring(err), "\n")
    end
  end
end)

print(("kill: %d times: %d cleaned up, %d ended by the second signal, %d before the run,"
  .. " %d at its edges; %d problems"):format(times, counts.cleaned, counts.second, counts.early,
  counts.late, problems))
if counts.cleaned == 0 then problems = problems + 1 end
os.exit(problems == 0, true)
