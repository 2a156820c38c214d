--- What the first workers, and the first channel that is waited for, make once for the process or
--- the Lua state: threads, memory and descriptors that stay.
local uvjobs = require "uvjobs"

return function()
  uvjobs.run(function()
    local workers <close> = uvjobs.workers { threads = 1 }
    local channel = uvjobs.channel(1)
    workers:spawn(function(out)
      require "uvjobs".sleep(0.02)
      out:put(true)
    end, channel)
    channel:get()
  end)
end
