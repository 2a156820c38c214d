-- `uvjobs top`: looks at a process once a second, and shows its jobs.

local ask = require "uvjobs.inspect.ask"
local core = require "uvjobs.core"
local processes = require "uvjobs.inspect.processes"
local screen = require "uvjobs.inspect.screen"
local why = require "uvjobs.inspect.why"
local words = require "uvjobs.inspect.words"

core.own_source()

local top = {}

-- A change is shown after so many seconds at most, of which a look takes some; how long it waits
-- at least between two looks, so that the process is not looked at all the time; and how many
-- jobs it asks for: more than any terminal shows.
local INTERVAL_S <const> = 1
local LEAST_S <const> = 0.25
local MOST <const> = 300

local STYLES <const> = {
  title = "\27[1m", head = "\27[7m", selected = "\27[44;97m", alarm = "\27[31m", runs = "\27[32m",
  foot = "\27[2m",
}
local PLAIN_STYLES <const> = { head = "\27[7m", selected = "\27[7m" }

-- ---- keys --------------------------------------------------------------------------------

local SORT_KEYS <const> = { a = "age", u = "ran", r = "ready", n = "resumes" }

local function selected(view)
  return screen.rows(view)[view.selected]
end

local function move(view, by)
  view.selected = math.max(1, math.min(view.selected + by, #screen.rows(view)))
end

local keys = {}

function keys.q(view) view.over = true end
function keys.j(view) move(view, 1) end
function keys.k(view) move(view, -1) end
keys["\27[B"], keys["\27[A"] = keys.j, keys.k
keys["\27[6~"] = function(view) move(view, 20) end
keys["\27[5~"] = function(view) move(view, -20) end
keys["\3"], keys["\4"] = keys.q, keys.q
keys[" "] = function(view) view.paused = not view.paused end

-- Each loop of a process has numbers of its own.
local function find_again(loops, row)
  local id, number = row.job.id, row.loop.fields.number
  for _, loop in ipairs(loops) do
    if loop.fields.number == number and loop.by_id[id] then return loop.by_id[id], loop end
  end
  return nil, ("job #%s has ended"):format(id)
end

-- The chain of holders needs all jobs.
function keys.w(view)
  local row = selected(view)
  if view.why or not row then
    view.why = nil
    return
  end
  local loops, problem = view.ask "look"
  local job, loop
  if loops then job, loop = find_again(loops, row) end
  if job then view.why = why.lines(loop, job) else view.message = problem or loop end
end

function keys.c(view)
  local row = selected(view)
  if not row then return end
  if not row.loop.fields.control then
    view.message = "the program does not allow it: run{ inspect = { control = true } }"
    return
  end
  view.cancels = row
  view.question = ("cancel job %s? (y/n)"):format(words.label(row.job))
end

local function answer_question(view, key)
  local row = view.cancels
  view.question, view.cancels = nil, nil
  if key ~= "y" and key ~= "Y" then return end
  local _, problem = view.cancel(row.job.id, row.loop.fields.number)
  view.message = problem or ("job #%s is cancelled"):format(row.job.id)
  view.wants_look = true
end

--- What a key does.
---@param view uvjobs.inspect.View
---@param key string its bytes
function top.press(view, key)
  if view.question then return answer_question(view, key) end
  view.message = nil
  if SORT_KEYS[key] then
    view.sort, view.selected, view.wants_look = SORT_KEYS[key], 1, true
  elseif keys[key] then
    keys[key](view)
  end
end

-- Several keys can have come at once.
local function split(text)
  local list = {}
  while #text > 0 do
    local key = text:match "^\27%[%d*[%a~]" or text:sub(1, 1)
    list[#list + 1] = key
    text = text:sub(#key + 1)
  end
  return list
end

-- ---- the view ----------------------------------------------------------------------------

--- A view of a process.
---@param pid integer
---@return uvjobs.inspect.View
function top.view(pid)
  local process = processes.get(pid)
  return {
    title = ("uvjobs top: process %d: %s"):format(pid, process and process.command or "?"),
    loops = {}, sort = "age", selected = 1,
    ask = function(question) return ask.look(pid, question) end,
    cancel = function(...) return ask.cancel(pid, ...) end,
  }
end

--- Looks at the process.
---@param view uvjobs.inspect.View
---@return boolean? ok
---@return string? problem
---@return boolean? has_ended
function top.look(view)
  local loops, problem, has_ended = view.ask(("top %s %d"):format(view.sort, MOST))
  if not loops then return nil, problem, has_ended end
  view.loops = loops
  move(view, 0)
  return true
end

local function styles()
  if os.getenv "NO_COLOR" and os.getenv "NO_COLOR" ~= "" then return PLAIN_STYLES end
  return STYLES
end

local function draw(view)
  local width, height = core.terminal_size(1)
  local parts, style_of = { "\27[H" }, styles()
  for i, line in ipairs(screen.lines(view, width, height)) do
    local style = style_of[line.style]
    parts[#parts + 1] = ("%s%s%s\27[K%s"):format(
      style or "", line.text, style and "\27[0m" or "", i < height and "\r\n" or "")
  end
  io.stdout:write(table.concat(parts), "\27[J")
  io.stdout:flush()
end

-- Waits for keys until the next look is due.
local function wait(view, limit)
  draw(view)
  local waited = 0
  repeat
    local text = core.read_keys(limit / 4)
    if not text then view.over = true end
    if text == "" then waited = waited + limit / 4 end
    for _, key in ipairs(split(text or "")) do top.press(view, key) end
    draw(view)
  until view.over or view.wants_look or waited >= limit and not view.paused
  view.wants_look = false
end

--- How long to wait after a look that took so long: what changes just after its moment is to be
--- shown by the next one in time.
---@param took number seconds
---@return number seconds
function top.pause_after(took)
  return math.max(INTERVAL_S - 2 * took, LEAST_S)
end

local function show(view)
  while not view.over do
    local begun = core.monotonic()
    local ok, problem, has_ended = top.look(view)
    if has_ended then return problem end
    if not ok then view.message = problem end
    wait(view, top.pause_after(core.monotonic() - begun))
  end
end

--- Shows a process on the terminal until a key ends it.
---@param view uvjobs.inspect.View that has looked already
---@return string? problem why it has ended, if not by a key
function top.run(view)
  core.take_terminal()
  io.stdout:write "\27[?1049h\27[?25l"
  local ok, problem = pcall(show, view)
  io.stdout:write "\27[?25h\27[?1049l"
  io.stdout:flush()
  core.give_back_terminal()
  if not ok then error(problem, 0) end
  return problem
end

--- What is shown at one moment, for what is no terminal.
---@param view uvjobs.inspect.View that has looked already
---@param width integer
---@param height integer
---@return string[] lines
function top.once(view, width, height)
  local list = {}
  for i, line in ipairs(screen.lines(view, width, height)) do
    list[i] = line.text:gsub("%s+$", "")
  end
  list[#list] = nil -- the keys
  while list[#list] == "" do list[#list] = nil end
  return list
end

return top
