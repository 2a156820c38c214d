-- Workers: jobs that return, fail, compute, sleep, swallow their cancellation and are killed, while
-- pools of threads come and go.
--   lua5.4 spec/stress/workers.lua [SECONDS [SEED]]
-- For ThreadSanitizer (script/verify tsan) too; uvjobs must be found by the interpreter.

local uvjobs = require "uvjobs"

local seconds = tonumber(arg[1]) or 5
local seed = math.tointeger(tonumber(arg[2])) or os.time()
math.randomseed(seed)

local counts = {}

local function note(state) counts[state] = (counts[state] or 0) + 1 end

-- What a job does, by its number.
local kinds <const> = {
  function(n) return n, { n } end,
  function(n) error { n } end,
  function() while true do local _ = {} end end, -- ThreadSanitizer delivers signals in malloc()
  function(n) require "uvjobs".sleep(n % 7 / 1000) return n end,
  function() while true do pcall(require "uvjobs".sleep, 0.001) end end,
  function(n)
    local inner = require "uvjobs"
    return #inner.map({ n, n, n }, function(i) inner.yield() return i end)
  end,
}

local function end_somehow(job)
  local how = math.random(5)
  if how == 1 then
    job:cancel()
  elseif how == 2 then
    pcall(job.close, job, math.random() * 0.01)
  end
end

local function play(stop)
  local workers <close> = uvjobs.workers {
    threads = math.random(3), limit = 16, close_timeout = 0.01,
    exception_handler = function() end,
  }
  for n = 1, 60 do
    if uvjobs.now() > stop then break end
    local job = workers:spawn({ timeout = 0.03, report = false },
      kinds[math.random(#kinds)], n)
    if math.random(3) == 1 then uvjobs.sleep(math.random() * 0.004) end
    end_somehow(job)
    uvjobs.current().scheduler:spawn(function()
      job:join()
      note(job.state)
    end)
  end
  if math.random(4) == 1 then workers:close() end
end

uvjobs.run(function()
  local stop = uvjobs.now() + seconds
  while uvjobs.now() < stop do play(stop) end
end)
assert(uvjobs.stats().live == 0)
local text = {}
for state, n in pairs(counts) do text[#text + 1] = ("%d %s"):format(n, state) end
table.sort(text)
print(("workers, %g s, seed %d: %s: ok"):format(seconds, seed, table.concat(text, ", ")))
