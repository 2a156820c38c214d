-- A service of four parts that crash, each in its own way, and how a supervisor keeps it up:
-- in which order the parts start, what goes with which, and that all stop in reverse.
--
--   script/run examples/19_supervised.lua
--   uvjobs examples/19_supervised.lua         with the rock installed
--
-- The parts:
--   store    has to connect before the others can start; loses its connection twice
--   index    is built from the store, so it starts anew with it (rest_for_one)
--   web      answers requests; one of them makes it compute for ever
--   import   ends when its work is done; its first try fails. It runs again when a part before it
--            in the order starts again.
--
-- What would take a second in a service takes a fortieth of one here.

local uvjobs = require "uvjobs"

local SECOND = 1 / 40
local DAY = 86400 * SECOND

local function say(...)
  print(table.concat({ ... }, " "))
end

--- For a `<close>` variable: says that a part has ended.
local function goodbye(name)
  return setmetatable({}, { __close = function() say(name, "ends") end })
end

local function store(child)
  local _ <close> = goodbye "store"
  uvjobs.sleep(0.5 * SECOND) -- connects
  child:ready { query = function() return "a row" end }
  say("store is connected")
  uvjobs.sleep(child.restarts < 2 and 10 * SECOND or DAY)
  error("connection lost", 0)
end

local function index(_, service)
  local _ <close> = goodbye "index"
  say("index is built from", service:get("store").query())
  uvjobs.sleep(DAY)
end

local function web(child)
  local _ <close> = goodbye "web"
  say("web listens")
  uvjobs.sleep(25 * SECOND)
  while child.restarts == 0 do end -- the request that it does not expect
  uvjobs.sleep(DAY)
end

local function import(child)
  local _ <close> = goodbye "import"
  uvjobs.sleep(2 * SECOND)
  if child.restarts == 0 then error("line 7 is damaged", 0) end
  say("import is done")
end

--- Says what the supervisor does: its exception handler.
local function report(_, context)
  say(("%s: %s (%s)"):format(context.message, context.child.name, tostring(context.exception)))
end

local function main()
  local service <close> = uvjobs.supervisor {
    name = "service", strategy = "rest_for_one", intensity = 5, period = 60 * SECOND,
    backoff = { base = SECOND, factor = 2, max = 30 * SECOND, jitter = 0 },
    exception_handler = report,
  }
  service:start { name = "store", ready = true, start_timeout = 5, close_timeout = 2, store }
  service:start { name = "index", index, service }
  -- What follows needs neither the store nor the index, nor each other.
  local others = service:start { name = "others", supervisor = { backoff = 2 * SECOND } }
  others:start { name = "web", busy_limit = 2 * SECOND, web }
  others:start { name = "import", restart = "transient", import }

  service:wait(60 * SECOND)
  for child in service:children() do say(tostring(child), "restarts:", child.restarts) end
  for child in others:children() do say(tostring(child), "restarts:", child.restarts) end
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main() else uvjobs.run(main) end
