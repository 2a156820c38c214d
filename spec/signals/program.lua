--- A random program that wants to live for ever, as text: spec/signals/any_program_spec.lua
--- and spec/stress/ends.lua send it one signal. It is made by the process that runs it, from
--- a seed, so that a failure can be played again. It prints in how many seconds it must have
--- ended at the latest, which follows from its close timeouts, and then "ready".

return [[
  local SEED = math.tointeger(os.getenv "SEED")
  math.randomseed(SEED)
  local cojobs = require "uvjobs.coroutine"
  local random = math.random
  local function one_of(list) return list[random(#list)] end

  -- The seconds that each forced end can take, one after the other.
  local bound = 0
  local njobs = 0

  local function forever() while true do end end

  -- ---- what a job does when it is to end ------------------------------------

  local ENDS = {
    function() end,
    function() uvjobs.sleep(600) end,
    function() uvjobs.protect(uvjobs.sleep, 600) end,
    function() pcall(uvjobs.sleep, 600) forever() end,
    function() while true do pcall(uvjobs.yield) end end,
    function() error("an error while it cleans up", 0) end,
    function()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(forever)
      uvjobs.protect(uvjobs.sleep, 600)
    end,
    function() uvjobs.protect(uvjobs.exec, "sleep", { "600" }) end,
  }

  -- Returns a variable to close, or nil. A handler that is ended by force has had a close
  -- timeout for itself.
  local function clean_up(close_timeout)
    if random(3) > 1 then return nil end
    bound = bound + close_timeout
    return closing(one_of(ENDS))
  end

  -- ---- what a job does ---------------------------------------------------------

  local make

  local function spawn_some(jobs, depth, close_timeout)
    for _ = 1, random(3) do
      if njobs < 16 then jobs:spawn(make(depth + 1, close_timeout)) end
    end
  end

  -- Some job is always there, and so is never reported.
  local function options_of_scheduler()
    local close_timeout = random() * 0.3
    return {
      close_timeout = close_timeout, wait_timeout = 600,
      timeslice = one_of { 0.002, math.huge, math.huge },
      on_error = one_of { "report", "report", "cancel" },
      exception_handler = function() end,
    }, close_timeout
  end

  local lock, queue, never = uvjobs.mutex(), uvjobs.queue(1), uvjobs.event()

  local SIMPLE = {
    function() while true do uvjobs.sleep(random() * 0.02) end end, -- polite
    function() while true do uvjobs.yield() end end,
    function() never:wait() end,
    function() while true do queue:put(1) end end,
    function() while true do queue:get() end end,
    function() lock:with(uvjobs.sleep, 600) end,
    forever,                                                       -- busy
    function() uvjobs.sleep(random() * 0.1) forever() end,
    function() uvjobs.timeout(0.05, forever) end,
    function() table.sort({ 1, 2, 3, 4 }, forever) end,
    function() cojobs.wrap(forever)() end,
    function() lock:with(forever) end,
    function() while true do pcall(forever) end end,                -- swallowing
    function() while true do pcall(uvjobs.sleep, 600) end end,
    function() while true do pcall(queue.get, queue) end end,
    function() while true do pcall(uvjobs.timeout, 0.01, uvjobs.sleep, 600) end end,
    function() uvjobs.protect(uvjobs.sleep, 600) end,                -- protected
    function() uvjobs.protect(forever) end,
    function() while true do uvjobs.protect(pcall, forever) end end,
    function() uvjobs.exec("sleep", { "600" }) end,                  -- children by exec
    function() while true do pcall(uvjobs.exec, "sleep", { "0.01" }) end end,
    function() uvjobs.exec("sh", { "-c", "trap '' TERM INT; exec sleep 600" }) end,
    function() uvjobs.work(function() while true do end end) end,
  }

  local WAITS = { -- for jobs of a scheduler
    function(jobs) jobs:wait_and_close(600) end,
    function(jobs) for job in jobs:jobs() do job:wait() end end,
    function(jobs) for job in jobs:jobs() do job:join() end end,
    function(jobs) while true do pcall(jobs.wait_and_close, jobs, 600) uvjobs.yield() end end,
    function() uvjobs.sleep(600) end,
    function() forever() end,
    function(jobs) uvjobs.protect(jobs.wait_and_close, jobs, 600) end,
    function(jobs) jobs:shield(one_of(SIMPLE)) end,
    function(jobs) while true do jobs:spawn(uvjobs.sleep, 0) uvjobs.yield() end end,
  }

  local function supervisor(depth)
    return function()
      local options, close_timeout = options_of_scheduler()
      local jobs <close> = uvjobs.scheduler(options)
      spawn_some(jobs, depth, close_timeout)
      one_of(WAITS)(jobs)
    end
  end

  local function family(depth)
    return function()
      local fns = {}
      for i = 1, random(3) do fns[i] = make(depth + 1, 0.1) end
      one_of { uvjobs.all, uvjobs.race }(fns)
    end
  end

  --- Returns the function of a job.
  function make(depth, close_timeout)
    njobs = njobs + 1
    bound = bound + close_timeout
    local body
    if depth < 3 and random(2) == 1 then
      body = one_of { supervisor, family }(depth)
    else
      body = one_of(SIMPLE)
    end
    local first, second = clean_up(close_timeout), clean_up(close_timeout)
    local swallows = random(4) == 1
    return function()
      local _ <close> = first
      local _ <close> = second
      if swallows then pcall(body) end
      body()
    end
  end

  -- In real time, under any clock.
  local function live_on()
    uvjobs.await(function(resume)
      local timer = luv.new_timer()
      timer:start(600000, 0, resume)
      return function() timer:close() end
    end)
  end

  local close_timeout = 0.1 + random()
  local interrupt = one_of { "SIGURG", "SIGURG", "SIGUSR1", "count" }
  local clock = one_of { "real", "real", "real", "virtual" }
  local main = make(1, 0.1)
  -- Jobs beside the main one, which nobody waits for.
  local others, options, others_timeout = {}, options_of_scheduler()
  for i = 1, random(0, 4) do others[i] = make(2, others_timeout) end
  run({ close_timeout = close_timeout, interrupt = interrupt, clock = clock }, function()
    local jobs = uvjobs.scheduler(options)
    for _, fn in ipairs(others) do jobs:spawn(fn) end
    -- Nested jobs are made when they are spawned: each can have two clean-ups, and exec
    -- waits twice for its child.
    -- A program in which nothing can happen any more would end by itself.
    uvjobs.scheduler():spawn(function() while true do uvjobs.sleep(1) end end)
    say(("bound %.1f"):format(close_timeout + bound + (16 - njobs) * 0.9 + 1))
    say "ready"
    local ok, err = pcall(main)
    if not ok and uvjobs.current().state == "closing" then error(err, 0) end
    live_on()
  end)
]]
