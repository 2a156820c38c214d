-- Random trees, compared with a reference. script/verify plays many more.
local uvjobs = require "uvjobs"
local trees = require "spec.supervisor.trees"

describe("A random tree of supervisors", function()
  for first = 1, 91, 10 do
    it(("does what the rules say, seeds %d to %d #S1 #S2 #S3 #S4 #S5 #S6 #S7 #S8 #S10")
      :format(first, first + 9), function()
        for seed = first, first + 9 do
          math.randomseed(seed)
          local tree = trees.new(math.random)
          local expected = trees.expected(tree)
          local played = uvjobs.run({ clock = "virtual" }, trees.played, tree)
          assert.is_nil(trees.difference(expected, played), "seed " .. seed)
        end
      end)
  end
end)
