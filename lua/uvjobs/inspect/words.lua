-- What was seen of a process, in words: from the lines of its answer.

local core = require "uvjobs.core"

core.own_source()

local words = {}

-- Characters that are not shown, but change what a terminal does or the order in which others
-- are shown: the controls of ISO 6429, as UTF-8 has those of 8 bits, and those of Unicode for
-- text from right to left, which can make a line look like another one.
local UNSEEN <const> = { "%c", "\xc2[\x80-\x9f]", "\xe2\x80[\x8e\x8f\xa8-\xae]",
  "\xe2\x81[\xa6-\xa9]" }

local function valid(text)
  local parts, from = {}, 1
  local _, bad = utf8.len(text)
  while bad do
    parts[#parts + 1] = text:sub(from, bad - 1)
    from = bad + 1
    _, bad = utf8.len(text, from)
  end
  parts[#parts + 1] = text:sub(from)
  return table.concat(parts, "?")
end

--- A text that a terminal shows as it is, whatever a program has put into a name: bytes that are
--- no UTF-8, and characters that are not shown, are "?".
---@param text string
---@return string
function words.shown(text)
  text = valid(text)
  for _, pattern in ipairs(UNSEEN) do text = text:gsub(pattern, "?") end
  return text
end

--- `#7 "import"`
---@param job table<string, string>
---@return string
function words.label(job)
  return job.name and ("#%s %s"):format(job.id, words.quote(job.name)) or "#" .. job.id
end

--- A name in quotes, on one line.
---@param name string
---@return string
function words.quote(name)
  return (("%q"):format(name):gsub("\\\n", "\\n"))
end

--- Seconds for people.
---@param seconds number
---@return string
function words.seconds(seconds)
  if seconds < 100 then return ("%.3g s"):format(seconds) end
  if seconds < 7200 then return ("%.0f min"):format(seconds / 60) end
  if seconds < 172800 then return ("%.0f h"):format(seconds / 3600) end
  return ("%.0f days"):format(seconds / 86400)
end

--- How old some jobs are, or nil when that is not known.
---@param jobs table<string, string>[]
---@return string?
function words.ages(jobs)
  local least, most
  for _, job in ipairs(jobs) do
    local age = tonumber(job.age)
    if age then least, most = math.min(least or age, age), math.max(most or age, age) end
  end
  if not least then return nil end
  local from, to = words.seconds(least), words.seconds(most)
  return from == to and from or ("%s to %s"):format(from, to)
end

--- The name of the scheduler of a job.
---@param loop uvjobs.inspect.Loop
---@param job table<string, string>
---@return string
function words.scheduler(loop, job)
  local scheduler = loop.schedulers[tonumber(job.scheduler)]
  local name = scheduler and scheduler.name
  return name and words.quote(name) or "a scheduler without a name"
end

--- The jobs that wait for each other, as lines.
---@param loop uvjobs.inspect.Loop
---@return string[]
function words.circles(loop)
  local list = {}
  for i, circle in ipairs(loop.circles) do
    local labels = {}
    for j, id in ipairs(circle) do labels[j] = words.label(loop.by_id[id]) end
    labels[#labels + 1] = labels[1]
    list[i] = "these jobs wait for each other, each for the next: " .. table.concat(labels, ", ")
  end
  return list
end

-- Counts that are older are said to be. That a task is ready for less is not worth a word.
local OLD_S <const>, WAITS_S <const> = 5, 1

local function counts_of(queue)
  local oldest, counted = tonumber(queue.oldest) or 0, tonumber(queue.counted)
  local waits = oldest > WAITS_S and " for up to " .. words.seconds(oldest) or ""
  return {
    queue.running .. " running", queue.ready .. " ready" .. waits,
    queue.scheduled .. " scheduled", queue.dead .. " dead",
    counted > OLD_S and ("counted %s ago"):format(words.seconds(counted)) or nil,
  }
end

--- How many tasks a queue has, on a line.
---@param queue table<string, string>
---@return string
function words.queue(queue)
  local parts = queue.counted and counts_of(queue)
    or { queue.counting and "not counted yet" or "not counted" }
  if queue.limit then
    local limit = queue.limit == "none" and "inf" or queue.limit
    table.insert(parts, 1, ("%s/%s here"):format(queue.here, limit))
  end
  if queue.paused then parts[#parts + 1] = "paused" end
  return table.concat(parts, ", ")
end

-- A job that has run for less is not worth a word.
local LONG_S <const> = 0.05

-- Why the loop does not answer, from the traceback of the job.
local function reason_of(traceback)
  local name = (traceback or ""):match "^stack traceback:\n%s*%[C%]: in ([^\n]*)"
  if not name then return "does not answer" end
  return ("is in %s of C"):format(name:match "^%a+ '[^']*'" or "a function")
end

--- Which job holds the loop; nil when none has for long.
---@param loop uvjobs.inspect.Loop
---@return string?
function words.held(loop)
  local fields = loop.fields
  local job, held = loop.by_id[fields.running], tonumber(fields.held)
  if not job then
    return fields.outside and "the loop does not answer, and no job runs in it" or nil
  end
  if not held or held < LONG_S and not fields.outside then return nil end
  local text = ("job %s has run for %s without a pause"):format(
    words.label(job), words.seconds(held))
  if not fields.outside then return text end
  return ("%s, and %s"):format(text, reason_of(fields.traceback))
end

--- Where the job stands that holds the loop, as lines.
---@param loop uvjobs.inspect.Loop
---@return string[]
function words.stack(loop)
  local list = {}
  for line in (loop.fields.traceback or ""):gmatch "[^\n]+" do
    if not line:find "^stack traceback:" and line ~= "\t[C]: in ?" then
      list[#list + 1] = line:gsub("^\t", "")
    end
  end
  return list
end

return words
