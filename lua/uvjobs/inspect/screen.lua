-- What `uvjobs top` shows, as lines: without a terminal, so that it can be tested.

local columns = require "uvjobs.columns"
local core = require "uvjobs.core"
local words = require "uvjobs.inspect.words"

core.own_source()

local screen = {}

-- ---- text in columns ---------------------------------------------------------------------

-- The text in so many columns.
local function cut(text, width)
  text = words.shown(text)
  local length = columns.width(text)
  if length <= width then return text, length end
  if width < 1 then return "", 0 end
  text, length = columns.cut(text, width - 1)
  return text .. "~", length + 1
end

--- The text in so many columns at most.
---@param text string
---@param width integer
---@return string
function screen.cut(text, width)
  return (cut(text, width))
end

local function left(text, width)
  local short, length = cut(text, width)
  return short .. (" "):rep(width - length)
end

local function right(text, width)
  local short, length = cut(text, width)
  return (" "):rep(width - length) .. short
end

-- ---- the columns of the table ------------------------------------------------------------

local function age(seconds)
  seconds = tonumber(seconds)
  if not seconds then return "?" end
  if seconds < 100 then return ("%.1fs"):format(seconds) end
  if seconds < 6000 then return ("%.0fm"):format(seconds / 60) end
  if seconds < 360000 then return ("%.0fh"):format(seconds / 3600) end
  return ("%.0fd"):format(seconds / 86400)
end

local function count(n)
  n = tonumber(n)
  if not n then return "?" end
  if n < 100000 then return ("%d"):format(n) end
  if n < 1e8 then return ("%.0fk"):format(n / 1e3) end
  return ("%.0fM"):format(n / 1e6)
end

-- A time that is measured only if somebody wants it.
local function span(seconds)
  seconds = tonumber(seconds)
  return not seconds and "-" or seconds < 100 and ("%.2fs"):format(seconds) or age(seconds)
end

-- What it waits for, without the words that all have in common.
local function waits(job)
  return (job.waits:gsub("^it waits for ", ""):gsub("^it ", ""))
end

local function scheduler(job, loop)
  local found = loop.schedulers[tonumber(job.scheduler)]
  return found and found.name or "-"
end

---@class uvjobs.inspect.Column
local COLUMNS <const> = {
  { name = "ID", narrow = 7, wide = 8, align = right,
    text = function(job) return "#" .. job.id end },
  { name = "NAME", narrow = 10, wide = 24, align = left,
    text = function(job) return job.name or "" end },
  { name = "SCHED", narrow = 7, wide = 18, align = left, text = scheduler },
  { name = "STATE", wide = 8, align = left, text = function(job) return job.state end },
  { name = "AGE", narrow = 6, wide = 8, align = right, sort = "age",
    text = function(job) return age(job.age) end },
  { name = "RAN", narrow = 6, wide = 8, align = right, sort = "ran",
    text = function(job) return span(job.ran) end },
  { name = "READY", narrow = 6, wide = 8, align = right, sort = "ready",
    text = function(job) return span(job.ready) end },
  { name = "RUNS", narrow = 6, wide = 8, align = right, sort = "resumes",
    text = function(job) return count(job.resumes) end },
  { name = "WAITS FOR", narrow = 0, wide = 0, align = left, text = waits },
  { name = "AT", wide = 32, align = left, text = function(job) return job.at or "" end },
}

-- From so many columns on there is room for all.
local WIDE <const> = 120

local function columns_for(width)
  local which, list, rest = width >= WIDE and "wide" or "narrow", {}, width
  for _, column in ipairs(COLUMNS) do
    if column[which] then
      list[#list + 1] = { column = column, width = column[which] }
      rest = rest - column[which] - 1
    end
  end
  for _, entry in ipairs(list) do
    if entry.width == 0 then entry.width = math.max(rest + 1, 10) end
  end
  return list
end

local function row_of(list, text_of)
  local parts = {}
  for i, entry in ipairs(list) do
    parts[i] = entry.column.align(text_of(entry.column), entry.width)
  end
  return table.concat(parts, " ")
end

-- ---- the head ----------------------------------------------------------------------------

local function counts_of(loops)
  local jobs, active, pending = 0, 0, 0
  for _, loop in ipairs(loops) do
    jobs = jobs + tonumber(loop.fields.jobs)
    for _, found in ipairs(loop.schedulers) do
      active, pending = active + tonumber(found.active), pending + tonumber(found.pending)
    end
  end
  return jobs, active, pending
end

local function kinds_of(loops)
  local parts = {}
  for _, loop in ipairs(loops) do
    for _, kind in ipairs(loop.kinds) do parts[#parts + 1] = kind.jobs .. " " .. kind.name end
  end
  return table.concat(parts, ", ")
end

local function alarms_of(loops)
  local list = {}
  for _, loop in ipairs(loops) do
    for _, line in ipairs(words.circles(loop)) do list[#list + 1] = line end
    local held = words.held(loop)
    if held then list[#list + 1] = held end
  end
  return list
end

local function schedulers_of(loops)
  local parts = {}
  for _, loop in ipairs(loops) do
    for _, found in ipairs(loop.schedulers) do
      parts[#parts + 1] = ("%s %s/%s%s%s"):format(found.name or "-", found.active,
        found.limit == "none" and "inf" or found.limit,
        found.pending ~= "0" and "+" .. found.pending or "", found.paused and " paused" or "")
    end
  end
  return table.concat(parts, ", ")
end

-- A line for each, as long as they do not push the jobs away.
local function add_queues(lines, loops, room)
  local all = {}
  for _, loop in ipairs(loops) do table.move(loop.queues, 1, #loop.queues, #all + 1, all) end
  for i, queue in ipairs(all) do
    if i == room and #all > room then
      lines[#lines + 1] = { text = ("and %d more queues"):format(#all - room + 1) }
    elseif i <= room then
      lines[#lines + 1] = { text = ("queue %s: %s"):format(queue.name, words.queue(queue)) }
    end
  end
end

---@class uvjobs.inspect.View
---@field title string
---@field loops uvjobs.inspect.Loop[]
---@field sort string
---@field selected integer which row
---@field paused? boolean
---@field question? string is asked in the last line
---@field message? string is told there
---@field why? string[] lines that are shown instead of the jobs

local function rows_of(loops)
  local rows = {}
  for _, loop in ipairs(loops) do
    for _, job in ipairs(loop.jobs) do rows[#rows + 1] = { job = job, loop = loop } end
  end
  return rows
end

--- The jobs in the order in which they are shown.
---@param view uvjobs.inspect.View
---@return { job: table<string, string>, loop: uvjobs.inspect.Loop }[]
function screen.rows(view)
  return rows_of(view.loops)
end

local KEYS <const> = "q quit  j/k select  by: a age u ran r ready n runs  w why  c cancel  "
  .. "space pause"

local function foot_of(view)
  return view.question or view.message or (view.paused and "paused  " or "") .. KEYS
end

local function add_jobs(lines, view, width, room)
  local list = columns_for(width)
  lines[#lines + 1] = { style = "head", text = row_of(list, function(column)
    return column.sort == view.sort and "*" .. column.name or column.name
  end) }
  local rows = screen.rows(view)
  local first = math.max(1, math.min(view.selected - room + 2, #rows - room + 2))
  for i = first, math.min(#rows, first + room - 2) do
    local job, loop = rows[i].job, rows[i].loop
    local style = i == view.selected and "selected" or job.stuck and "alarm"
      or job.id == loop.fields.running and "runs" or nil
    lines[#lines + 1] = { style = style, text = row_of(list, function(column)
      return column.text(job, loop)
    end) }
  end
end

--- What is shown: as many lines as the terminal has rows, none of them longer than it is wide.
---@param view uvjobs.inspect.View
---@param width integer
---@param height integer
---@return { text: string, style?: string }[]
function screen.lines(view, width, height)
  local jobs, active, pending = counts_of(view.loops)
  local lines = {
    { style = "title", text = view.title },
    { text = ("%d jobs, %d active, %d pending: %s"):format(jobs, active, pending,
      kinds_of(view.loops)) },
    { text = "schedulers: " .. schedulers_of(view.loops) },
  }
  add_queues(lines, view.loops, height // 6)
  for _, alarm in ipairs(alarms_of(view.loops)) do
    if #lines < height // 3 then lines[#lines + 1] = { style = "alarm", text = alarm } end
  end
  if view.why then
    for _, line in ipairs(view.why) do
      if #lines < height - 1 then lines[#lines + 1] = { text = line } end
    end
  else
    add_jobs(lines, view, width, height - 1 - #lines)
  end
  while #lines < height - 1 do lines[#lines + 1] = { text = "" } end
  while #lines >= height do lines[#lines] = nil end
  lines[height] = { style = view.question and "alarm" or "foot", text = foot_of(view) }
  for i, line in ipairs(lines) do lines[i].text = cut(line.text, width) end
  return lines
end

return screen
