--- A PgBouncer for specs, in transaction mode, before the server of UVJOBS_POSTGRES.
local files = require "spec.files"

local pooler = {}

local CONFIG <const> = [[
[databases]
postgres = host=%s user=uvjobs
[pgbouncer]
listen_addr =
unix_socket_dir = %s
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = %d
logfile = %s/log
pidfile = %s/pid
]]

local function host() return (os.getenv "UVJOBS_POSTGRES"):match "host=([^&]*)" end

--- Whether the program and what it needs are there.
function pooler.is_there()
  return host() ~= nil and
    (os.execute "PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null 2>&1") == true
end

--- Starts one, with so many sessions of the server, 3 unless it is given. Returns a table with
--- `where`, its connection string, and `stop()`.
function pooler.start(size)
  local place = os.tmpname()
  os.remove(place)
  assert(os.execute("mkdir -m 777 " .. place))
  files.write(place .. "/ini", CONFIG:format(host(), place, size or 3, place, place))
  local user = os.execute 'test "$(id -u)" -eq 0' and
    "setpriv --reuid=postgres --regid=postgres --clear-groups " or ""
  assert(os.execute(("PATH=$PATH:/usr/sbin; %spgbouncer -q -d %s/ini >/dev/null 2>&1 </dev/null")
    :format(user, place)))
  -- It goes into the background before it has its socket.
  assert(os.execute(("n=0; until [ -S %s/.s.PGSQL.6432 ] || [ $n -eq 6000 ]; do sleep 0.01;"
    .. " n=$((n + 1)); done; [ $n -lt 6000 ] || { cat %s/log; false; }"):format(place, place)))
  return {
    where = "postgres://uvjobs@/postgres?port=6432&host=" .. place,
    stop = function()
      os.execute(("kill $(cat %s/pid); rm -rf %s"):format(place, place))
    end,
  }
end

return pooler
