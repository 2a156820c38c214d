local helper = require "spec.helper"
local play = require "spec.policy.play"
local runs = require "spec.policy.play_runs"

-- Plays with so many seeds; an error says with which.
local function with_seeds(n, fn, ...)
  for seed = 1, n do
    local ok, err = pcall(play.run, fn, seed, ...)
    if not ok then error(("with the seed %d: %s"):format(seed, tostring(err)), 0) end
  end
end

describe("random use", function()
  after_each(helper.check_clean)

  it("of a rate is what a count of tokens says #P6 #P7 #P8 #P17 #P18", function()
    with_seeds(40, play.rate, 200)
  end)

  it("of a rate with keys is what a count of tokens for each says #P6 #P7 #P8", function()
    with_seeds(20, play.rate, 200, 4)
  end)

  it("of a rate that is changed has too many starts in no window #P6 #P17", function()
    with_seeds(20, play.windows, 60)
  end)

  it("of a limit is what two lists say #P9 #P17", function()
    with_seeds(40, play.limit, 200)
  end)

  it("of a breaker is what a list of all calls says #P2 #P10 #P11", function()
    with_seeds(40, runs.breaker, 200)
  end)

  it("of a single is what a list of runs says #P13", function()
    with_seeds(40, runs.single, 200)
  end)

  it("of a debounce is what a list of bursts says #P13", function()
    with_seeds(40, runs.debounce, 200)
  end)
end)
