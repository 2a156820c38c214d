-- Where progress is shown: as bars at the foot of a terminal, or as lines in a log.
--
-- The bars are drawn when something moves, at most so often, and by nobody else: a job that
-- drew them would keep `run` from finding that all others are stuck. `print` draws them anew,
-- so that its lines stay whole above them.

local core = require "uvjobs.core"
local text = require "uvjobs.progress.text"

core.own_source()

local uvjobs = core.public

local STDERR <const> = 2
local REDRAW <const> = 0.1 -- seconds at least from one drawing to the next

local screen = {}

local shown = {} -- the progresses whose bars are at the foot of the terminal
local drawn = 0 -- how many lines of the terminal they take now
local drawn_at = -math.huge
local original_print -- what `print` was before it was ours the last time
local first_print -- what it was before it was ours at all
local prints = false -- print_above() is being called

local function write(...)
  pcall(io.stderr.write, io.stderr, ...)
end

-- The text that takes the bars away, and puts the cursor where the first one was.
local function erasure()
  local parts = {}
  for i = 1, drawn do parts[i] = "\27[1A\27[2K" end
  drawn = 0
  return table.concat(parts)
end

-- The bars, as many as there is room for. A bar that is one column shorter than the terminal
-- never breaks into two lines.
local function bars(now, columns, rows)
  local lines, most = {}, math.max(1, rows - 1)
  for i = 1, math.min(#shown, most) do lines[i] = text.bar(shown[i], now, columns - 1) end
  if #shown > most then lines[most] = ("and %d more"):format(#shown - most + 1) end
  drawn = #lines
  lines[#lines + 1] = ""
  return table.concat(lines, "\n")
end

local function draw()
  local columns, rows = core.terminal_size(STDERR)
  if not columns then return end
  drawn_at = uvjobs.now()
  write(erasure(), bars(drawn_at, math.max(columns, 2), rows))
end

local function end_print()
  prints = false
  if #shown > 0 then draw() end
end

-- Takes the place of `print` while there are bars. It shows them again also when print fails.
-- A program may have kept it, and call it when there are no bars any more, or in a `print` of
-- its own, which is the original one then.
local function print_above(...)
  if prints then return first_print(...) end
  if drawn > 0 then write(erasure()) end
  prints = true
  local _ <close> = setmetatable({}, { __close = end_print })
  original_print(...)
  if #shown > 0 then io.stdout:flush() end
end

local function take_print()
  if print == print_above then return end
  original_print = print
  first_print = first_print or print
  _G.print = print_above
end

-- A program that has set another `print` meanwhile keeps that.
local function give_print_back()
  if print == print_above then _G.print = original_print end
end

local function index_of(progress)
  for i, other in ipairs(shown) do
    if other == progress then return i end
  end
end

--- Begins to show a progress.
function screen.add(progress)
  progress.is_on_terminal = core.terminal_size(STDERR) ~= nil and os.getenv "TERM" ~= "dumb"
  progress.told_at = uvjobs.now()
  if not progress.is_on_terminal then return end
  shown[#shown + 1] = progress
  if #shown == 1 then take_print() end
  draw()
end

--- Called when a progress has changed.
function screen.update(progress)
  local now = uvjobs.now()
  if progress.is_on_terminal then
    if now - drawn_at >= REDRAW or now < drawn_at then draw() end
  elseif now - progress.told_at >= progress.every then
    progress.told_at = now
    write(text.line(progress, now), "\n")
  end
end

--- Shows the last line of a progress, which stays, and nothing of it any more.
function screen.remove(progress)
  local last = text.line(progress, uvjobs.now()) .. "\n"
  if not progress.is_on_terminal then return write(last) end
  table.remove(shown, index_of(progress))
  write(erasure(), last)
  if #shown > 0 then draw() else give_print_back() end
end

return screen
