-- For process_spec.lua: a program that runs tasks of the kind "note", each of which adds a row to
-- the table `note`, until it is killed.
--   lua program.lua WHERE SCHEMA SECONDS [LEASE]
local durable = require "uvjobs.durable"
local uvjobs = require "uvjobs"

local where, schema, seconds, lease = ...
local NOTE <const> = "INSERT INTO " .. schema .. ".note (n) VALUES ($1)"

uvjobs.run(function()
  local store <close> = durable.open(where, { schema = schema })
  store:define("note", { backoff = 0, attempts = 1000, most_crashes = 1000, keep_done = 3600 },
    function(_, n)
      store:transaction(function(tx) tx:execute(NOTE, n) end)
      uvjobs.sleep(tonumber(seconds))
    end)
  local _ <close> = store:work {
    queues = { default = 4 }, lease = tonumber(lease or 2), exception_handler = function() end,
  }
  uvjobs.sleep(3600)
end)
