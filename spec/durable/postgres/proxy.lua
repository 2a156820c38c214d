--- A way to the server of UVJOBS_POSTGRES that can be cut.
local process = require "spec.process"

local proxy = {}

local function socket_of(host) return host .. "/.s.PGSQL.5432" end

--- Starts one. Returns a table with `where`, its connection string, `cut()`, `mend()` and `stop()`.
function proxy.start()
  local host = (os.getenv "UVJOBS_POSTGRES"):match "host=([^&]*)"
  local place = os.tmpname()
  os.remove(place)
  assert(os.execute("mkdir " .. place))
  -- A sanitizer is for our own programs.
  local pipe <close> = assert(io.popen(("env LD_PRELOAD= python3 spec/durable/postgres/proxy.py " ..
    "%s %s >/dev/null 2>&1 </dev/null & echo $!"):format(process.quote(socket_of(place)),
    process.quote(socket_of(host)))))
  local pid = pipe:read "n"
  assert(os.execute(("until test -S %s; do sleep 0.02; done"):format(socket_of(place))))
  local function signal(name) os.execute(("kill -%s %d 2>/dev/null"):format(name, pid)) end
  return {
    where = "postgres://uvjobs@/postgres?host=" .. place,
    cut = function() signal "STOP" end,
    mend = function() signal "CONT" end,
    stop = function()
      signal "KILL"
      os.execute("rm -rf " .. place)
    end,
  }
end

return proxy
