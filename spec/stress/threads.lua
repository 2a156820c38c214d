-- Several Lua states in several threads, each with a loop of its own: busy jobs with time
-- slices, deadlines and functions in threads, which all states share.
--   lua5.4 spec/stress/threads.lua [SECONDS [THREADS]]
-- For ThreadSanitizer (script/verify tsan); uvjobs must be found by the interpreter.

local luv = require "luv"

local seconds = tonumber(arg[1]) or 5
local threads = math.tointeger(tonumber(arg[2])) or 4

-- Runs in a thread: it sees no upvalues.
local function play(path, cpath, limit, seed)
  package.path, package.cpath = path, cpath
  math.randomseed(seed)
  local uvjobs = require "uvjobs"
  local count, stop = 0, uvjobs.now() + limit
  while uvjobs.now() < stop do
    uvjobs.run({ timeslice = 0.001, signals = false }, function()
      local jobs <close> = uvjobs.scheduler {
        limit = 8, timeslice = 0.001, close_timeout = 0.01,
        exception_handler = function() end,
      }
      for _ = 1, 50 do
        local kind = math.random(4)
        jobs:spawn({ timeout = 0.02 }, function()
          count = count + 1
          if kind == 1 then
            uvjobs.sleep(math.random() * 0.002)
          elseif kind == 2 then
            while true do local _ = {} end -- ThreadSanitizer delivers signals in malloc()
          elseif kind == 3 then
            assert(uvjobs.work(function(n) return n + 1 end, count) > 0)
          else
            uvjobs.work(function() while true do local _ = {} end end)
          end
        end)
      end
      jobs:wait_and_close()
    end)
  end
  assert(uvjobs.stats().live == 0 and count > 0)
end

local running = {}
for i = 1, threads do
  running[i] = assert(luv.new_thread(play, package.path, package.cpath, seconds, i))
end
for _, thread in ipairs(running) do assert(thread:join()) end
print(("%d threads, %d s: ok"):format(threads, seconds))
