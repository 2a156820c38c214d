-- Runs scripts of users, which may do anything, such as loop for ever or catch every
-- error. Each script has a deadline, and the rest of the program goes on beside it: here
-- that is a job that ticks every 5 ms.
--
--   script/run examples/07_runaway.lua
--   uvjobs examples/07_runaway.lua          -- with the rock installed

local uvjobs = require "uvjobs"

-- The scripts of the users. "endless" never leaves the loop in its lines 2 to 4.
local SCRIPTS = {
  { name = "sum", text = [[
    local sum = 0
    for i = 1, 3000000 do sum = sum + i end
    return sum
  ]] },
  { name = "endless", text = [[
    local n = 0
    while true do
      n = n + 1
    end
  ]] },
  { name = "stubborn", text = [[
    local log <close> = setmetatable({}, { __close = function()
      print "  stubborn: closing my files"
    end })
    while true do
      pcall(function()
        while true do end
      end)
    end
  ]] },
  { name = "sorter", text = [[
    table.sort({ 3, 1, 2 }, function() while true do end end)
  ]] },
}

-- Returns what a script may use. With uvjobs.coroutine the coroutines of a script are
-- interrupted like the script itself.
local function environment()
  return {
    pairs = pairs, ipairs = ipairs, print = print, pcall = pcall, error = error,
    setmetatable = setmetatable, math = math, string = string, table = table,
    coroutine = require "uvjobs.coroutine",
  }
end

--- Counts how often the loop has run it.
local function tick(ticks)
  while true do
    uvjobs.sleep(0.005)
    ticks.n = ticks.n + 1
  end
end

--- Runs a script with a deadline. Returns its job, and what pcall returns.
local function run_script(scripts, script)
  local chunk = assert(load(script.text, "=" .. script.name, "t", environment()))
  local job = scripts:spawn({ name = script.name, timeout = 0.3 }, chunk)
  local result = table.pack(pcall(job.wait, job))
  return job, table.unpack(result, 1, result.n)
end

local function main()
  local scripts <close> = uvjobs.scheduler {
    timeslice = 0.005,   -- seconds after which other jobs get a turn
    close_timeout = 0.1, -- seconds for clean-up after the deadline
    exception_handler = function(_, context)
      local line = context.traceback:match "stubborn:%d+"
      print(("  %s: %s, at %s"):format(context.job.name, context.message, line))
    end,
  }
  local own <close> = uvjobs.scheduler()
  local ticks = { n = 0 }
  local ticker = own:spawn(tick, ticks)

  for _, script in ipairs(SCRIPTS) do
    local before = ticks.n
    local job, ok, result = run_script(scripts, script)
    print(script.name, job.state, ok and result or uvjobs.code(result))
    if script.name == "endless" then
      print("  preempted, and the ticker went on:", job.preemptions > 0, ticks.n > before)
    end
  end
  ticker:close()
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
