-- The programs whose instructions `bench/instructions` counts:
--   lua5.4 bench/instructions.lua OPERATION N
-- runs the operation N times. They are fixed: a change makes the figures of
-- before useless.
--
-- The virtual clock, and at least 50 jobs that are ready in every turn: so what
-- the loop does between two turns does not depend on how fast they were.

math.randomseed(1, 2)
collectgarbage("generational")

local TOGETHER = 100 -- jobs that do the same at once

local function nothing() end

--- Runs fn(uvjobs, jobs) in a job, with a scheduler.
local function with(options, fn)
  local uvjobs = require "uvjobs"
  uvjobs.run({ clock = "virtual", signals = false, interrupt = "none" }, function()
    options.wait_timeout = 1e9
    local jobs <close> = uvjobs.scheduler(options)
    fn(uvjobs, jobs)
  end)
end

--- Runs `repeated` in jobs that are there together, n times altogether.
local function together(n, repeated)
  with({ limit = math.huge }, function(uvjobs, jobs)
    for _ = 1, TOGETHER do
      jobs:spawn(function()
        for _ = 1, n // TOGETHER do repeated(uvjobs, jobs) end
      end)
    end
  end)
end

local operations = {}

--- For scale: what is counted is Lua's own.
function operations.bare(n)
  for _ = 1, n do coroutine.resume(coroutine.create(nothing)) end
end

function operations.spawn(n)
  with({ limit = TOGETHER, pending_limit = TOGETHER }, function(_, jobs)
    for _ = 1, n do jobs:spawn(nothing) end
  end)
end

function operations.spawn_wait(n)
  together(n, function(_, jobs) jobs:spawn(nothing):wait() end)
end

--- A scheduler for one job.
function operations.scheduler(n)
  together(n, function(uvjobs)
    local jobs = uvjobs.scheduler()
    jobs:spawn(nothing)
    jobs:wait_and_close()
  end)
end

operations["yield"] = function(n)
  together(n, function(uvjobs) uvjobs.yield() end)
end

--- About fifty jobs wake up in each turn, out of a thousand.
function operations.sleep(n)
  local TIMES, JOBS = 20, 1000
  with({ limit = JOBS }, function(uvjobs, jobs)
    for _ = 1, JOBS do
      jobs:spawn(function()
        for _ = 1, n // JOBS do uvjobs.sleep(math.random(TIMES)) end
      end)
    end
  end)
end

--- A message each way between two jobs, over two queues of capacity 1.
function operations.put_get(n)
  local PAIRS = TOGETHER // 2
  with({ limit = math.huge }, function(uvjobs, jobs)
    for _ = 1, PAIRS do
      local there, back = uvjobs.queue(1), uvjobs.queue(1)
      jobs:spawn(function()
        for i = 1, n // PAIRS do
          there:put(i)
          back:get()
        end
      end)
      jobs:spawn(function()
        for _ = 1, n // PAIRS do back:put(there:get()) end
      end)
    end
  end)
end

--- Waiting for an event that the first job of a turn sets.
function operations.wait(n)
  with({ limit = math.huge }, function(uvjobs, jobs)
    local event = uvjobs.event()
    for _ = 1, TOGETHER do
      jobs:spawn(function()
        for _ = 1, n // TOGETHER do
          event:wait()
          event:clear()
        end
      end)
    end
    for _ = 1, n // TOGETHER do
      uvjobs.yield()
      event:set()
    end
  end)
end

--- A job is spawned, put to sleep, cancelled, and awaited; a thousand at once.
-- A full collection follows each thousand, and there is none in between: where
-- the collector's cycles happen to fall would make more of a difference than
-- what is measured.
function operations.cancel(n)
  local JOBS = 1000
  with({ limit = math.huge }, function(uvjobs, jobs)
    local handles = {}
    collectgarbage("stop")
    for _ = 1, n // JOBS do
      for i = 1, JOBS do handles[i] = jobs:spawn(uvjobs.sleep, 3600) end
      uvjobs.yield()
      for i = 1, JOBS do handles[i]:cancel() end
      for i = 1, JOBS do handles[i]:join() end
      collectgarbage()
    end
  end)
end

operations[arg[1]](assert(math.tointeger(arg[2])))
