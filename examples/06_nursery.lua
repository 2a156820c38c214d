-- Jobs that belong together: when one of them fails, the others are cancelled and clean
-- up, and its error is raised where they were started. No error is lost. First this runs
-- a service of three parts, and then it calls `uvjobs.all` and `uvjobs.map`, which do the
-- same for functions.
--
--   script/run examples/06_nursery.lua
--   uvjobs examples/06_nursery.lua          -- with the rock installed

local uvjobs = require "uvjobs"

-- ---- the parts of the service ----------------------------------------------

--- Receives requests until the connection breaks.
local function receive(requests)
  for i = 1, 3 do
    uvjobs.sleep(0.02)
    requests:put("request " .. i)
  end
  uvjobs.sleep(0.02)
  error("receiver: connection lost", 0)
end

--- Answers requests. The answers are saved however the job ends.
local function answer(requests)
  local answered = {}
  local _ <close> = setmetatable({}, { __close = function()
    uvjobs.protect(uvjobs.sleep, 0.01) -- saving takes time
    print(("  answerer: saved %d answers"):format(#answered))
  end })
  for request in requests:items() do answered[#answered + 1] = request end
end

--- Writes statistics now and then. Its clean-up fails.
local function measure()
  local _ <close> = setmetatable({}, { __close = function()
    error("meter: disk full", 0)
  end })
  while true do uvjobs.sleep(60) end
end

--- Gets all errors but the first.
local function print_error(_, context)
  print(("  handler: %s: %s"):format(context.job.name, context.exception))
end

local function serve()
  local requests = uvjobs.queue(10)
  uvjobs.nursery({ exception_handler = print_error }, function(parts)
    parts:spawn({ name = "receiver" }, receive, requests)
    parts:spawn({ name = "answerer" }, answer, requests)
    parts:spawn({ name = "meter" }, measure)
    local _, err = pcall(uvjobs.sleep, 60) -- waits for orders
    print("  serve: " .. uvjobs.code(err))
  end) -- raises the first error, when all parts have ended
end

-- ---- functions as children -------------------------------------------------

--- Simulates a request that takes `delay` seconds.
local function fetch(name, delay, problem)
  local ok, err = pcall(uvjobs.sleep, delay)
  if not ok then
    print(("  %s: %s"):format(name, uvjobs.code(err)))
    error(err, 0)
  end
  if problem then error(name .. ": " .. problem, 0) end
  return name .. " loaded"
end

local function show(ok, ...)
  print(ok and "  returned:" or "  raised:", ...)
end

local function main()
  print "1. a nursery: one part fails"
  show(pcall(serve))

  print "2. all: every function returns"
  local loaded = uvjobs.all {
    function() return fetch("user", 0.06) end,
    function() return fetch("settings", 0.03) end,
  }
  show(true, table.concat(loaded, ", "))

  print "3. all: one fails, the others are cancelled"
  show(pcall(uvjobs.all, {
    function() return fetch("user", 60) end,
    function() return fetch("settings", 0.03, "not found") end,
    function() return fetch("history", 60) end,
  }))

  print "4. map: ten pages, at most three at once"
  local now, most = 0, 0
  local pages = uvjobs.map({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, function(page)
    now = now + 1
    most = math.max(most, now)
    uvjobs.sleep(0.01)
    now = now - 1
    return page * page
  end, { limit = 3 })
  show(true, table.concat(pages, " "))
  print(("  at most %d at once"):format(most))

  print "5. map: the third page fails, the fourth is cancelled, no more are begun"
  show(pcall(uvjobs.map, { 1, 2, 3, 4, 5, 6 }, function(page)
    return fetch("page " .. page, page == 4 and 60 or 0.02,
      page == 3 and "damaged" or nil)
  end, { limit = 2 }))
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
