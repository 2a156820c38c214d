--- What a user of luv writes to run coroutines in turn: a list of those that are
--- ready, and an idle handle that resumes them once per turn of luv's loop.

local uv = require "luv"

local ready = {}

local list, idle = {}, nil

local function turn()
  local now = list
  list = {}
  for i = 1, #now do
    local ok, err = coroutine.resume(now[i])
    if not ok then error(err) end
  end
  if #list == 0 then idle:stop() end
end

--- Resumes a coroutine in the next turn.
function ready.add(co)
  list[#list + 1] = co
  if #list == 1 then idle:start(turn) end
end

--- Runs the function as the first coroutine, until nothing is left to do.
function ready.run(fn)
  idle = uv.new_idle()
  ready.add(coroutine.create(fn))
  uv.run()
  idle:close()
  uv.run()
end

return ready
