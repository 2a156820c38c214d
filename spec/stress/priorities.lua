-- A scheduler with priorities, keys and a rate of starts under random spawns, cancellations,
-- kills, deadlines, pauses and changes of its limits, compared with a reference in plain Lua:
--   lua5.4 spec/stress/priorities.lua [STEPS [SEED]]
-- STEPS is a million by default. The exit status is 1 when the two differ; then the seed of the
-- game is printed.

package.path = "./?.lua;" .. package.path

local play = require "spec.priorities.play"

local steps = math.tointeger(tonumber(arg[1])) or 1000000
local seed = math.tointeger(tonumber(arg[2])) or os.time()

local ok, err = pcall(play.games, steps, seed)
print(ok and ("%d steps agree, from seed %d on"):format(steps, seed) or err)
os.exit(ok)
