--- How much is open, for specs that compare before and after.
local luv = require "luv"

local counts = {}

--- The descriptors of the process that are open, of the lowest 256.
function counts.descriptors()
  collectgarbage()
  local count = 0
  for fd = 0, 255 do count = count + (luv.fs_fstat(fd) and 1 or 0) end
  return count
end

--- The handles of luv's loop, after it has let go of those that were closed.
function counts.handles()
  for _ = 1, 3 do luv.run "nowait" end
  local count = 0
  luv.walk(function() count = count + 1 end)
  return count
end

return counts
