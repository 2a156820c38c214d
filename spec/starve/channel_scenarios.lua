-- Scenarios of channels while memory is short, for scenarios.lua. What a scenario has made is gone
-- when it has failed: so afterwards nobody waits in the line of a channel.

local uvjobs = require "uvjobs"

return function(add_run, quiet, equals)
  add_run("a channel that is full and empty in turn", function()
    local channel, jobs <close> = uvjobs.channel(1), quiet()
    local sum = 0
    local putter = jobs:spawn(function()
      for i = 1, 4 do channel:put { i, { name = "item" } } end
      channel:close()
    end)
    repeat
      local item = channel:get(1)
      sum = sum + (item and item[1] or 0)
    until not item
    putter:wait() -- raises its error if there is one
    return sum
  end, equals(10))

  -- The second try has memory: what was not put is not there, and what was not got still is.
  add_run("messages that there is no memory for", function()
    local channel, other = uvjobs.channel(), uvjobs.channel()
    local value = { 7, { "text" }, other, uvjobs.blob "bytes" }
    if not pcall(channel.try_put, channel, value) then channel:try_put(value) end
    assert(#channel == 1)
    local ok, got = pcall(channel.try_get, channel)
    if not ok then
      assert(#channel == 1)
      got = channel:try_get()
    end
    assert(got[3] == other and got[4]:string() == "bytes")
    return got[1], got[2][1], #channel
  end, equals(7, "text", 0))

  add_run("select with a channel", function()
    local channel, queue, jobs <close> = uvjobs.channel(), uvjobs.queue(), quiet()
    local putter = jobs:spawn(function()
      uvjobs.sleep(1)
      channel:put "late"
    end)
    local _, value = uvjobs.select { queue, channel, timeout = 2 }
    putter:wait()
    return value
  end, equals "late")
end
