-- Steps of the date do not matter to leases (D10). A library shows another date to a process.

if not pcall(require, "uvjobs.store.sqlite") then return end

local base = require "spec.helper"
local durable = require "spec.durable.helper"
local files = require "spec.files"
local process = require "spec.process"
local stores = require "spec.durable.stores"
local uvjobs = require "uvjobs"

-- Debian's package faketime has it.
local LIBRARY <const> = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"

local WORKER <const> = [[
local uvjobs, durable = require "uvjobs", require "uvjobs.durable"
io.stdout:setvbuf "no"
uvjobs.run(function()
  local store <close> = durable.open("sqlite:" .. %q)
  store:define("kind", function()
    print("begun", math.floor(uvjobs.time()))
    uvjobs.sleep(3)
    print "ended"
  end)
  local _ <close> = store:work { lease = 2, exception_handler = function(_, context)
    print(context.message)
  end }
  uvjobs.sleep(3600)
end)
]]

describe("a lease", function()
  after_each(base.check_clean)

  for _, step in ipairs { "+1y", "-1y", "+1h", "-1h" } do
    it(("is kept by a process whose date is off by %s, and by the others #D10"):format(step),
      function()
        local file = io.open(LIBRARY)
        if not file or os.getenv "LD_PRELOAD" then return end
        file:close()
        local path = stores.new_path()
        local script, out = files.temporary(WORKER:format(path)), os.tmpname()
        uvjobs.run(function()
          local store <close> = require "uvjobs.durable".open("sqlite:" .. path)
          local id = durable.put(store, { date = 1 })
          local env = ("LD_PRELOAD=%s FAKETIME=%s FAKETIME_DONT_FAKE_MONOTONIC=1"):format(
            LIBRARY, step)
          local pipe <close> = io.popen(("%s %s >%s 2>&1 & echo $!"):format(
            process.command(env), script, out))
          local pid = pipe:read "n"
          local me = durable.join(store)
          repeat -- as long as it runs, which is longer than its lease, we look for the dead
            uvjobs.sleep(0.1)
            store:_call { op = "beat", process = me, lease = 60000000 }
            local task = store:get(id)
          until task and task.state == "done"
          assert.same({ 1, 0 }, { store:get(id).attempt, store:get(id).crashes })
          assert.matches("^begun\t%d+\nended\n$", files.read(out))
          os.execute("kill " .. pid)
          store:_call { op = "leave", process = me }
        end)
        os.remove(script)
        os.remove(out)
        stores.remove(path)
      end)
  end
end)
