-- Messages go at random between jobs of several threads until they have died out. A run is stuck
-- then, and never before; under the virtual clock the same happens with the same seed.
--   lua5.4 spec/stress/crew.lua [SECONDS [SEED]]
-- For ThreadSanitizer (script/verify tsan) too; uvjobs must be found by the interpreter.

local uvjobs = require "uvjobs"

local seconds = tonumber(arg[1]) or 5
local seed = math.tointeger(tonumber(arg[2])) or os.time()

-- A job that passes each message on to another one, at random, until it has gone so far as it
-- should; sometimes it sleeps, yields, or lets another job of its thread do it. What has gone far
-- enough is counted in `arrived`.
local function pass_on(n, channels, arrived, sleeps)
  local inner = require "uvjobs"
  math.randomseed(n)
  local jobs <close> = inner.scheduler()
  local function send(message)
    if message == 0 then arrived:put(n) else channels[math.random(#channels)]:put(message - 1) end
  end
  for message in channels[n]:items() do
    local how = math.random(sleeps and 6 or 5)
    if how == 1 then inner.yield() end
    if how == 6 then inner.sleep(math.random() / 1000) end
    if how == 2 then jobs:spawn(send, message) else send(message) end
  end
end

-- Returns in which order the messages arrived.
local function play(options, number)
  local order, got = {}, 0
  math.randomseed(number)
  local njobs, nmessages = math.random(2, 6), math.random(1, 12)
  local sleeps = math.random(2) == 1
  local ok, err = pcall(uvjobs.run, options, function()
    local workers <close> = uvjobs.workers { threads = math.random(3) }
    local channels, arrived = {}, uvjobs.channel(math.random(3))
    for i = 1, njobs do channels[i] = uvjobs.channel() end
    for i = 1, njobs do workers:spawn(pass_on, i, channels, arrived, sleeps) end
    for _ = 1, nmessages do channels[math.random(njobs)]:put(math.random(0, 30)) end
    while true do
      order[#order + 1] = arrived:get()
      got = got + 1
    end
  end)
  assert(not ok and tostring(err):find("^run is stuck"), err)
  assert(got == nmessages, ("stuck after %d of %d messages, number %d"):format(
    got, nmessages, number))
  local _, listed = err:gsub("waiting to get from a channel", "")
  assert(listed == njobs + 1, err) -- and the main job
  return table.concat(order, " ")
end

local stop, rounds = os.time() + seconds, 0
repeat
  local number = seed + rounds
  play({}, number)
  local one = play({ clock = "virtual", shuffle = number }, number)
  local other = play({ clock = "virtual", shuffle = number }, number)
  assert(one == other, ("number %d: %s and %s"):format(number, one, other))
  rounds = rounds + 1
until os.time() > stop
assert(uvjobs.stats().live == 0)
print(("crew, %g s, seed %d: %d rounds: ok"):format(seconds, seed, rounds))
