-- Policies under random calls, cancellations, kills and deadlines, compared with models in
-- plain Lua:
--   lua5.4 spec/stress/policies.lua [STEPS [SEED [MODEL]]]
-- STEPS is how many attempts and ends there are for each model, a million by default; SEED is
-- the first of the seeds, each of which plays a thousand of them. The exit status is 1 when a
-- policy and its model differ.

package.path = "./?.lua;" .. package.path

local list = require "spec.policy.models.list"
local world = require "spec.policy.models.world"

local STEPS <const> = 1000 -- of a seed

local wanted = tonumber(arg[1] or 1e6)
local first = math.tointeger(tonumber(arg[2])) or os.time() * 1000
local only = arg[3]

for _, name in ipairs(list) do
  if not only or only == name then
    local model = require("spec.policy.models." .. name)
    local done, seed = 0, first
    while done < wanted do
      local ok, result = pcall(world.play, seed, STEPS, model)
      if not ok then
        print(("%s: seed %d: %s"):format(name, seed, result))
        os.exit(1)
      end
      done, seed = done + result, seed + 1
    end
    print(("%s: seeds %d to %d, %d steps"):format(name, first, seed - 1, done))
  end
end
