--- Checks all time zones against oracle.lua: lua5.4 spec/schedule/all_zones.lua [ZONE...]
--- in the tree, with its paths. Zones are those of Python's zoneinfo unless they are named.
--- Takes some minutes; the status is 1 when something is wrong.

local oracle = require "spec.schedule.oracle"

local program = "python3 spec/schedule/transitions.py " .. table.concat(arg, " ")
local pipe <close> = assert(io.popen(program))
local ok, zones, changes, count = pcall(oracle.check, pipe:lines())
if not ok then
  print(zones)
  os.exit(1)
end
print(("%d zones, %d changes, %d schedules around them"):format(zones, changes, count))
os.exit(zones > 0)
