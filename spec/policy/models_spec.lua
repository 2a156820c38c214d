-- Policies under random calls, cancellations, kills and deadlines do what models in plain
-- Lua say (#P1 #P2 #P3 #P4 #P5 #P12 #P18). spec/stress/policies.lua plays more of it.
local list = require "spec.policy.models.list"
local world = require "spec.policy.models.world"

local SEEDS <const> = 20
local STEPS <const> = 500

describe("a policy does what its model says:", function()
  for _, name in ipairs(list) do
    it(name, function()
      local model = require("spec.policy.models." .. name)
      for seed = 1, SEEDS do
        local ok, err = pcall(world.play, seed, STEPS, model)
        assert.is_true(ok, ("seed %d: %s"):format(seed, err))
      end
    end)
  end
end)
