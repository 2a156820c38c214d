-- Sends one signal to each of many random programs that want to live for ever, and measures
-- that they end within the bound that their close timeouts give them, with nothing left.
--
-- Usage: lua5.4 spec/stress/ends.lua [times [seed]], in the root of the tree
-- Two play at a time. It prints the first seed, each program that has not ended as it should,
-- and one line at the end; the exit status is 1 when there was one. A program is played again
-- by: spec/stress/ends.lua 1 SEED

local uvjobs = require "uvjobs"
local ends = require "spec.signals.ends"

local times = math.tointeger(arg[1] or 100)
local seed = math.tointeger(arg[2] or os.time() % 1000000)
io.stdout:setvbuf("line")
print(("ends: %d programs, the first has the seed %d"):format(times, seed))

local problems, longest, nearest = 0, 0, 0

uvjobs.run(function()
  local next_seed = seed
  local function play_some()
    while next_seed < seed + times do
      next_seed = next_seed + 1
      local problem, seconds, bound = ends.play(next_seed - 1)
      if problem then
        problems = problems + 1
        print("ends: " .. problem)
      else
        longest = math.max(longest, seconds)
        nearest = math.max(nearest, seconds / bound)
      end
    end
  end
  uvjobs.all { play_some, play_some }
end)

print(("ends: %d programs, the longest end took %.1f s, %.0f %% of its bound at most; %d problems")
  :format(times, longest, nearest * 100, problems))
os.exit(problems == 0, true)
