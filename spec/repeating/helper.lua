--- What the specs of repetitions share.
local testing = require "uvjobs.testing"

local repetition = {}

repetition.START = 1767225600 -- 2026-01-01 00:00 UTC

--- The it() of busted, which only specs see, for functions that run in a job under the virtual
--- clock, from START on.
function repetition.from_start(it)
  return function(title, fn)
    it(title, testing.wrap({ date = repetition.START, timeout = math.huge }, fn))
  end
end

return repetition
