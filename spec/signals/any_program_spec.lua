-- One signal ends every program, whatever its jobs do: random programs, each of which gets
-- one at a random moment. spec/stress/ends.lua plays many more.

-- What is made at the first use must be made before the helper is loaded, which counts.
local ends = require "spec.signals.ends"
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

describe("one signal ends a program of busy, polite, stubborn and nested jobs", function()
  after_each(helper.check_clean)

  for _, seed in ipairs { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } do
    local title = "within its close timeouts, and leaves no process behind: seed %d #M8"
    it(title:format(seed), function()
      assert.is_nil((uvjobs.run(ends.play, seed)))
    end)
  end
end)
