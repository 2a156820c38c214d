-- The process is stopped for a while, as by Ctrl-Z or on a machine that hangs.
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local world = require "spec.uv.helper"

-- A script for sh that stops its parent, writes, and lets the parent go on after some seconds.
local STOP <const> = [[
read go
kill -STOP $PPID
echo data
echo stopped > "$1"
sleep "$2"
kill -CONT $PPID
]]

-- Waits for data with a deadline that passes while the process is stopped. Returns the data or the
-- code of the error, and whether the data was written before the deadline.
local function read_across_a_stop(deadline)
  local input <close> = uv.new_pipe()
  local output <close> = uv.new_pipe()
  local path = os.tmpname()
  local child <close> = assert(uv.spawn("sh", {
    args = { "-c", STOP, "sh", path, ("%g"):format(1.5 * deadline) },
    stdio = { input, output },
  }))
  input:write "go\n"
  local began = uv.hrtime()
  local ok, data = pcall(uvjobs.timeout, deadline, output.read_some, output)
  local in_time = uv.hrtime() - began > 1.4e9 * deadline and io.lines(path)() == "stopped"
  child:wait()
  os.remove(path)
  return ok and data or uvjobs.code(data), in_time
end

describe("after a stop of the process", function()
  after_each(world.check_clean)

  it("what came before a deadline is not lost to it", function()
    local got, in_time
    uvjobs.run(function()
      local deadline = 0.05
      repeat -- the child may be slower than the deadline
        got, in_time = read_across_a_stop(deadline)
        deadline = 2 * deadline
      until in_time
    end)
    assert.equal("data\n", got)
  end)
end)
