-- A small cron daemon: it runs functions at the times of patterns, in a time zone, until it is
-- stopped, and then lets those that run finish.
--
--   script/run examples/13_cron.lua [DAYS]        runs until Ctrl-C, or for so many days
--   script/run examples/13_cron.lua --next TIME   only says what it would do after TIME
--
-- A function that still runs when its next time comes is not started twice. When the machine
-- has slept, each function runs once for all the times that it has missed.

local schedule = require "uvjobs.schedule"
local uvjobs = require "uvjobs"

local ZONE = "Europe/Berlin"
local DAY = 86400 -- seconds

local function say(...)
  print(schedule.format(math.floor(uvjobs.time()), ZONE), ...)
end

local TABLE = {
  { "30 2 * * *", "backup", function() uvjobs.sleep(1500) end },
  { "0 */8 * * *", "rotate logs", function() end },
  { "0 9 * * MON-FRI", "report", function() error("the printer is out of paper", 0) end },
}

local function report(_, context)
  say(context.message, context.job and context.job.name, context.exception)
end

local function main(days)
  local daemon <close> = uvjobs.scheduler { limit = 4, exception_handler = report }
  for _, entry in ipairs(TABLE) do
    local pattern, name, run = table.unpack(entry)
    daemon:cron(pattern, { zone = ZONE, name = name, timeout = 3600 }, function()
      say("begins", name)
      run()
      say("has ended", name)
    end)
  end
  if days then uvjobs.sleep(days * DAY) else uvjobs.event():wait() end
end -- the block is left: nothing begins any more, and what runs may finish

local function list(from)
  for _, entry in ipairs(TABLE) do
    local time = from
    for _ = 1, 3 do
      time = schedule.cron(entry[1], { zone = ZONE }):next(time)
      print(schedule.format(time, ZONE), entry[2])
    end
  end
end

local argument, from = ...
if argument == "--next" then
  list(tonumber(from))
else
  main(tonumber(argument))
end
