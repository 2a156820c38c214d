-- Random programs of jobs, in a random order, keep the promises. A part of what
-- spec/fuzz/programs.lua does, for all changes; `lua5.4 spec/fuzz/programs.lua -s
-- SEED` prints and explains a seed that fails.

local check = require "spec.fuzz.programs_check"
local helper = require "spec.helper"

local COUNTS <const> = { asan = 400, debug = 600, coverage = 400 }
local LAST <const> = COUNTS[os.getenv "UVJOBS_PRESET"] or 2500

local function checked(seed)
  local broken = check.seed(seed)
  if broken then error(check.report(seed, true), 0) end
end

describe("a random program", function()
  after_each(helper.check_clean)

  it("keeps the promises #M1 #M2 #M3 #M4 #M5 #M6 #M7 #M8 #M9 #M10", function()
    for seed = 1, LAST do checked(seed) end
  end)

  it("does the same again with the same seed #M16", function()
    for seed = LAST + 1, LAST + 50 do
      local program = check.tree.program(seed)
      local broken, one = check.play(program)
      local _, two = check.play(check.tree.program(seed))
      assert.is_nil(broken)
      assert.is_true(#one > 3)
      assert.same(one, two)
    end
  end)

  it("does something that is worth it", function()
    local states, stuck = {}, 0
    for seed = 1, 100 do
      local _, _, world = check.play(check.tree.program(seed))
      stuck = stuck + (world.stuck and 1 or 0)
      for _, record in ipairs(world.records) do
        local state = record.job and record.job.state or "refused"
        states[state] = (states[state] or 0) + 1
      end
    end
    for _, state in ipairs { "done", "failed", "cancelled", "killed", "refused" } do
      assert.is_true((states[state] or 0) >= 5, state)
    end
    assert.is_true(stuck > 0 and stuck < 50)
  end)

  it("makes those that fail smaller", function()
    local program = check.tree.program(1)
    table.insert(program.body, { kind = "pcall", body = { { kind = "sleep", t = 0.5 } } })
    local play = check.play
    finally(function() check.play = play end)
    check.play = function(made) -- "fails" as long as it sleeps for so long at its end
      local found = false
      check.tree.each_block(made.body, function(list)
        for _, statement in ipairs(list) do
          found = found or statement.kind == "sleep" and statement.t == 0.5
        end
      end)
      return found and "it sleeps" or nil, {}, {}
    end
    check.shrink(program, "it sleeps")
    assert.same({ { kind = "sleep", t = 0.5 } }, program.body)
  end)
end)
