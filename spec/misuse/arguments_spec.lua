-- No script can crash the process through the module: the fuzz of its arguments plays
-- the same programs each time.

local process = require "spec.process"

local function play(first, last)
  local pipe = assert(io.popen(("%s spec/fuzz/arguments.lua -n %d %d 2>&1 </dev/null"):format(
    process.command(), first, last)))
  local text = pipe:read "a"
  return pipe:close(), text
end

-- Each range is a process or two. A failure prints the seed, and how to replay it alone.
local RANGES <const> = { { 1, 20 }, { 1001, 1020 }, { 2001, 2020 } }

describe("everything that can be called, with anything, anywhere", function()
  for _, range in ipairs(RANGES) do
    it(("does not crash, and leaves nothing: seeds %d to %d"):format(range[1], range[2]), function()
      local ok, text = play(range[1], range[2])
      assert.is_true(ok, text)
      local seeds, calls = text:match "arguments: (%d+) seeds, (%d+) calls.*; 0 findings"
      assert.equal(range[2] - range[1] + 1, tonumber(seeds), text)
      assert.is_true(tonumber(calls) > 100, text)
    end)
  end
end)
