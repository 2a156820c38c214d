--- The server that the specs of the store in PostgreSQL use: UVJOBS_POSTGRES is its connection
--- string, by a user who may make schemas. Each store has a schema of its own.
local server = {}

server.where = os.getenv "UVJOBS_POSTGRES"

local count = 0

--- Runs statements; returns the result of the last.
function server.run(...)
  local link = require "uvjobs.durable.postgres.link"
  local opened = link.open(server.where, {
    censor = function(message) return message end, timeout = 10,
  })
  local result
  for _, text in ipairs { ... } do result = opened:simple(text)[1] end
  opened:close()
  return result
end

-- The server's processes that serve stores, but for the one that asks.
local OTHERS <const> = [[SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'
  AND pid <> pg_backend_pid()]]

--- Ends at most so many connections.
function server.end_connections(most)
  server.run(("SELECT pg_terminate_backend(pid) FROM (%s ORDER BY random() LIMIT %d) p"):format(
    OTHERS, most))
end

--- Asks pg_ctl: "-m fast restart". A sanitizer of this process is none for the server.
function server.control(what)
  assert(os.execute(("env -u LD_PRELOAD -u LSAN_OPTIONS %s %s >/dev/null </dev/null"):format(
    os.getenv "UVJOBS_POSTGRES_CONTROL", what)))
end

-- The server itself, which makes one for each connection.
local FATHER <const> = [[SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int]]

--- Stops the server and its processes that serve stores, until the value is closed: they keep their
--- connections and say nothing, as behind a network that is cut.
function server.freeze()
  local pids = {}
  for i, row in ipairs(server.run(OTHERS)) do pids[i] = row[1] end
  local stopped = #pids
  pids[stopped + 1] = server.run(FATHER)[1][1]
  local list = table.concat(pids, " ")
  assert(os.execute("kill -STOP " .. list))
  return setmetatable({ count = stopped }, { __close = function()
    os.execute("kill -CONT " .. list .. " 2>/dev/null")
  end })
end

--- A schema that is not there yet, as an element of spec/durable/stores.lua has it.
function server.new_place()
  count = count + 1
  local schema = ("spec_%d_%d"):format(os.time(), math.random(1000000000) + count)
  return {
    where = server.where, options = { schema = schema }, schema = schema,
    remove = function() server.run("DROP SCHEMA IF EXISTS " .. schema .. " CASCADE") end,
  }
end

return server
