-- examples/13_cron.lua under a virtual date.

local uvjobs = require "uvjobs"

-- Runs the example; returns the lines that it prints.
local function play(date, ...)
  local lines = {}
  local env = setmetatable({
    print = function(...) lines[#lines + 1] = table.concat({ ... }, " ") end,
  }, { __index = _G })
  uvjobs.run({ clock = "virtual", date = date }, assert(loadfile("examples/13_cron.lua", "t", env)),
    ...)
  return lines
end

describe("the cron daemon of the examples", function()
  it("runs its table through a night in which the clocks are put forward", function()
    assert.same({
      "2026-03-29 03:00:00 CEST begins backup",
      "2026-03-29 03:25:00 CEST has ended backup",
      "2026-03-29 08:00:00 CEST begins rotate logs",
      "2026-03-29 08:00:00 CEST has ended rotate logs",
      "2026-03-29 16:00:00 CEST begins rotate logs",
      "2026-03-29 16:00:00 CEST has ended rotate logs",
      "2026-03-30 00:00:00 CEST begins rotate logs",
      "2026-03-30 00:00:00 CEST has ended rotate logs",
      "2026-03-30 02:30:00 CEST begins backup",
      "2026-03-30 02:55:00 CEST has ended backup",
      "2026-03-30 08:00:00 CEST begins rotate logs",
      "2026-03-30 08:00:00 CEST has ended rotate logs",
      "2026-03-30 09:00:00 CEST begins report",
      "2026-03-30 09:00:00 CEST Job processing failed report the printer is out of paper",
    }, play(1774742400 - 1800, "1.5"))
  end)
end)
