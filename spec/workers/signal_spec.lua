-- A signal and the threads of workers, in a process of its own.

local process = require "spec.process"

describe("a signal", function()
  it("closes the main job, whose end closes the workers and runs their clean-up #W15", function()
    local result = process.run [[
      local uvjobs = require "uvjobs"
      local ok, err = pcall(uvjobs.run, { close_timeout = 60 }, function()
        local workers <close> = uvjobs.workers { threads = 2, close_timeout = 60 }
        local said = uvjobs.channel(2)
        for i = 1, 2 do
          workers:spawn(function(out, n)
            local _ <close> = setmetatable({}, { __close = function(_, problem)
              io.stdout:write("cleaned up, " .. require "uvjobs".code(problem) .. "\n"):flush()
            end })
            out:put(n)
            if n == 1 then while true do end end
            require "uvjobs".sleep(60)
          end, said, i)
        end
        said:get()
        said:get()
        io.popen "kill -INT $PPID":close()
        uvjobs.sleep(60)
      end)
      print(ok, uvjobs.code(err))
      local status = io.open "/proc/self/status"
      print(not status or tonumber(status:read "a":match "Threads:%s*(%d+)") <= 2)
    ]]
    assert.equal("", result.err)
    assert.equal("cleaned up, cancelled\ncleaned up, cancelled\nfalse\tcancelled\ntrue\n",
      result.out)
  end)
end)
