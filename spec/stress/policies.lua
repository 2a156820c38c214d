-- Policies under random calls, cancellations, kills and deadlines, compared with models in
-- plain Lua:
--   lua5.4 spec/stress/policies.lua [STEPS [SEED [MODEL]]]
-- STEPS is how many attempts and ends there are for each model, a million by default; SEED is
-- the first of the seeds, each of which plays a thousand of them at most. The exit status is 1
-- when a policy and its model differ.

package.path = "./?.lua;" .. package.path

local list = require "spec.policy.models.list"
local play = require "spec.policy.play"
local runs = require "spec.policy.play_runs"
local world = require "spec.policy.models.world"

local STEPS <const> = 1000 -- of a seed

local wanted = tonumber(arg[1] or 1e6)
local first = math.tointeger(tonumber(arg[2])) or os.time() * 1000
local only = arg[3]

-- Plays a model with one seed after the other; play_one(seed) returns the number of steps.
local function play_model(name, play_one)
  if only and only ~= name then return end
  local done, seed = 0, first
  while done < wanted do
    local ok, result = pcall(play_one, seed)
    if not ok then
      print(("%s: seed %d: %s"):format(name, seed, result))
      os.exit(1)
    end
    done, seed = done + result, seed + 1
  end
  print(("%s: seeds %d to %d, %d steps"):format(name, first, seed - 1, done))
end

for _, name in ipairs(list) do
  local model = require("spec.policy.models." .. name)
  play_model(name, function(seed) return world.play(seed, STEPS, model) end)
end

-- Each has as many steps as it can have before its model, which goes over all calls again and
-- again, becomes slow.
for _, kind in ipairs {
  { "rate", play.rate, 300 }, { "rate_keys", play.rate, 300, 5 },
  { "rate_windows", play.windows, 25 }, { "limit", play.limit, 300 },
  { "breaker", runs.breaker, 300 }, { "single", runs.single, 300 },
  { "debounce", runs.debounce, 300 },
} do
  local name, fn, steps, keys = table.unpack(kind)
  play_model(name, function(seed)
    play.run(fn, seed, steps, keys)
    return steps
  end)
end
