-- What the threads of spec/stress/soak.lua run: a load in a Lua state of its own.
-- At the end the handle `done` is sent a text, "" when all went well, and the number
-- of jobs.
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"

local random = math.random

local function handler(_, context)
  local err = context.exception
  if err ~= "on purpose" and not uvjobs.code(err) then
    io.stderr:write("soak: in another state: ", tostring(err), "\n")
    os.exit(1)
  end
end

-- What a job does, by its kind.
local kinds = {
  function() uvjobs.sleep(random() * 0.01) end,
  function() error("on purpose", 0) end,
  function(queue) queue:put(1, 0.001) queue:get(0.001) end,
  function() uv.fs_stat "." end,
  function() uvjobs.race { uvjobs.yield, function() uvjobs.sleep(600) end } end,
  function() while true do pcall(uvjobs.sleep, 600) end end, -- until it is killed
}

local function play(queue)
  local jobs <close> = uvjobs.scheduler {
    limit = 10, timeslice = 0.002, close_timeout = 0.02, wait_timeout = 120,
    exception_handler = handler,
  }
  for _ = 1, 40 do
    local kind = random(#kinds)
    local job = jobs:spawn({ timeout = kind == #kinds and 0.005 or nil }, kinds[kind], queue)
    if random(5) == 1 then job:cancel() end
  end
  if random(3) == 1 then jobs:close() end
end

return function(seed, seconds, done)
  math.randomseed(seed)
  local ok, err = pcall(uvjobs.run, { signals = false }, function()
    local stop, queue = uvjobs.now() + seconds, uvjobs.queue(3)
    repeat play(queue) until uvjobs.now() > stop
  end)
  local stats = uvjobs.stats()
  if ok and stats.live > 0 then ok, err = false, stats.live .. " jobs live" end
  done:send(ok and "" or tostring(err), stats.spawned)
end
