-- How far something is, in words and as a bar. Nothing here writes anything.

local core = require "uvjobs.core"
local widths = require "uvjobs.columns"

core.own_source()

local text = {}

local PREFIXES <const> = { "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" }

local MOST_DIGITS <const> = 1e15 -- from there on a number is written with an exponent

-- A number without a fraction that is none.
local function number(n)
  if n >= MOST_DIGITS then return ("%.3g"):format(n) end
  return n % 1 == 0 and ("%d"):format(n) or ("%.1f"):format(n)
end

-- Bytes with a prefix; other numbers as they are.
local function amount(n, unit)
  if unit ~= "bytes" then return number(n) end
  local i = 1
  while n >= 1024 and i < #PREFIXES do n, i = n / 1024, i + 1 end
  if i == 1 or n >= MOST_DIGITS then return ("%s %sB"):format(number(n), PREFIXES[i]) end
  return ("%.1f %sB"):format(n, PREFIXES[i])
end

--- "2 s", "3:05" (minutes), "1:02:03" (hours)
---@param seconds number
---@return string
function text.duration(seconds)
  local whole = math.floor(math.min(seconds, 1e9) + 0.5)
  if whole < 60 then return ("%d s"):format(whole) end
  if whole < 3600 then return ("%d:%02d"):format(whole // 60, whole % 60) end
  return ("%d:%02d:%02d"):format(whole // 3600, whole // 60 % 60, whole % 60)
end

local function rate_of(progress, now)
  local elapsed = now - progress.began
  if elapsed <= 0 or progress.count == 0 then return nil end
  return progress.count / elapsed
end

local function rate_text(rate, unit)
  if unit == "bytes" or rate >= 10 then return amount(math.floor(rate + 0.5), unit) .. "/s" end
  return ("%.1f/s"):format(rate)
end

local function fraction_of(progress)
  if not progress.total then return nil end
  return progress.total > 0 and math.min(progress.count / progress.total, 1) or 1
end

local function count_text(progress)
  local count, unit = amount(progress.count, progress.unit), progress.unit
  if progress.total then count = count .. " of " .. amount(progress.total, unit) end
  return unit and unit ~= "bytes" and ("%s %s"):format(count, unit) or count
end

-- The end of a line: how fast it goes, and how long it still takes; or has taken, in the end.
local function pace_text(progress, now)
  local parts, rate = {}, rate_of(progress, now)
  if rate then parts[#parts + 1] = rate_text(rate, progress.unit) end
  if progress.ended then
    parts[#parts + 1] = "in " .. text.duration(now - progress.began)
  elseif rate and progress.total and progress.count <= progress.total then
    parts[#parts + 1] = text.duration((progress.total - progress.count) / rate) .. " left"
  end
  return parts
end

--- A line of plain text, without a bar.
---@param progress table the state of a Progress
---@param now number uvjobs.now()
---@return string
function text.line(progress, now)
  local parts = { count_text(progress) }
  local fraction = fraction_of(progress)
  if fraction then parts[1] = ("%s (%d %%)"):format(parts[1], math.floor(fraction * 100)) end
  table.move(pace_text(progress, now), 1, 2, 2, parts)
  local line = table.concat(parts, ", ")
  return progress.label and ("%s: %s"):format(progress.label, line) or line
end

local BAR <const> = 24 -- the most columns of a bar, with its brackets
local LEAST_BAR <const> = 8

local function bar(fraction, columns)
  local room = columns - 2
  local full = math.floor(fraction * room)
  local head = full < room and full > 0 and ">" or ""
  local filled = ("="):rep(full - #head) .. head
  return ("[%s%s]"):format(filled, (" "):rep(room - #filled))
end

--- A line with a bar, if there is room for one, of at most so many columns.
---@param progress table the state of a Progress
---@param now number uvjobs.now()
---@param columns integer of the terminal
---@return string
function text.bar(progress, now, columns)
  local line = text.line(progress, now)
  local fraction = fraction_of(progress)
  local room = math.min(BAR, columns - widths.width(line) - 1)
  if fraction and room >= LEAST_BAR then line = ("%s %s"):format(bar(fraction, room), line) end
  return (widths.cut(line, columns))
end

return text
