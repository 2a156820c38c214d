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
