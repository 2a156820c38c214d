--- What workers make once for the process when their jobs wait for the outside, too: for a
--- function in a thread, which may have a run of its own, and for a child process.
local uvjobs = require "uvjobs"
local warm_up = require "spec.workers.warm_up"

return function()
  warm_up()
  uvjobs.run(function()
    local workers <close> = uvjobs.workers { threads = 1 }
    uvjobs.work(function()
      require "uvjobs".run(function() require "uvjobs".sleep(0.001) end)
    end)
    workers:call(function()
      local inner = require "uvjobs"
      inner.work(function() end)
      inner.exec("true")
    end)
  end)
end
