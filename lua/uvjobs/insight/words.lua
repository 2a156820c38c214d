-- Jobs, and what they wait for, in words.

local core = require "uvjobs.core"

core.own_source()

local words = {}

-- %q writes a line break as one, after a backslash; here a text is to stay on its line.
local function one_line(text)
  return (text:gsub("\\?\n", "\\n"))
end

-- What a job waits for, by the kind of its wait.
local WORDS <const> = {
  run = "it runs",
  ready = "it is ready to run",
  covered = "it is busy, and others run on top of it",
  start = "it is about to start",
  sleep = "it sleeps",
  await = "it waits for a callback, in await",
  work = "it waits for a function in another thread",
  poll = "it waits for I/O, in cqueues.poll",
  repeating = "it waits for a repetition to be over",
  rate = "it waits for its turn by a rate",
  limit = "it waits for a place of a limit",
  get = "it waits for an item of a queue",
  put = "it waits for room in a queue",
  receive = "it waits for a message of a channel",
  send = "it waits for room in a channel",
  event = "it waits for an event",
  permit = "it waits for a permit of a semaphore",
  mutex = "it waits for a mutex",
  select = "it waits for the first of several, in select",
  job = "it waits for the end of",
  close = "it closes",
  shield = "it waits for the shielded",
  wait = "it waits",
}

-- What of a scheduler a job waits for.
local OF_SCHEDULER <const> = {
  slot = "it waits for a slot of %s",
  place = "it waits to spawn a job on %s",
  idle = "it waits until %s has no job",
  alone = "it waits for the other jobs of %s",
}

--- `#7 "import"`
---@param record uvjobs.insight.Record
---@return string
function words.label(record)
  return record.name and one_line(("#%d %q"):format(record.id, record.name)) or "#" .. record.id
end

--- The labels of jobs, of which at most `most` are named.
---@param records uvjobs.insight.Record[]
---@param most integer
---@return string
function words.labels(records, most)
  local list = {}
  for i = 1, math.min(#records, most) do list[i] = words.label(records[i]) end
  local text = table.concat(list, ", ")
  return #records > most and ("%s and %d more"):format(text, #records - most) or text
end

---@param scheduler uvjobs.Scheduler
---@return string
function words.scheduler(scheduler)
  local name = scheduler.name
  return name and one_line(("scheduler %q"):format(name)) or "a scheduler without a name"
end

local HOLD <const> = {
  mutex = "locked by", permit = "held by", slot = "taken by", place = "full of",
}

local function with_holders(text, record)
  if not record.holders[1] then return text end
  local labels = words.labels(record.holders, 3)
  if record.kind == "job" or record.kind == "close" or record.kind == "shield" then
    return ("%s job %s"):format(text, labels)
  end
  return HOLD[record.kind] and ("%s, %s %s"):format(text, HOLD[record.kind], labels) or text
end

--- Seconds for people.
---@param seconds number
---@return string
function words.seconds(seconds)
  if seconds < 100 then return ("%.3g s"):format(seconds) end
  if seconds < 7200 then return ("%.0f min"):format(seconds / 60) end
  return ("%.0f h"):format(seconds / 3600)
end

-- Why a scheduler with an order lets a job wait, to be added to what it waits for.
local HOLDS <const> = {
  key = function(hold)
    return (" for a job of its key, of which %s may run"):format(
      hold.limit == 1 and "1" or "at most " .. hold.limit)
  end,
  rate = function(hold)
    return (", which starts none for %s"):format(words.seconds(hold.left))
  end,
  slot = function(hold)
    local text = hold.urgent > 0 and (", behind %d more urgent"):format(hold.urgent) or ""
    if (hold.keys or 0) > 1 then text = ("%s, where %d keys take turns"):format(text, hold.keys) end
    return text
  end,
}

--- Who ends the run of a child, to be added; "" for nobody.
---@param record uvjobs.insight.Record
---@return string
function words.fate(record)
  local one = record.child
  if not one or one.state ~= "stopping" then return "" end
  return ", which its supervisor ends"
end

--- What a job waits for, as a clause.
---@param record uvjobs.insight.Record
---@param scheduler? uvjobs.Scheduler that it waits for
---@param is_timeless? boolean without the time that is left
---@return string
function words.wait(record, scheduler, is_timeless)
  if record.doing then return one_line(record.doing) end
  local text = OF_SCHEDULER[record.kind]
  if text and scheduler then
    text = text:format(words.scheduler(scheduler))
    if scheduler.paused then return text .. ", which is paused" end
    if record.hold then text = text .. HOLDS[record.hold.reason](record.hold) end
  end
  text = with_holders(text or WORDS[record.kind], record)
  if record.left and not is_timeless then
    text = ("%s, %s left"):format(text, words.seconds(record.left))
  end
  return text
end

return words
