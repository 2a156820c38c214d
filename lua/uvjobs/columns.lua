-- How many columns of a terminal a text takes.

local core = require "uvjobs.core"

core.own_source()

local columns = {}

-- Characters of East Asian scripts and pictures, which take two columns each, and marks that take
-- none: the blocks of Unicode in which they are, from one to the other. Terminals differ in single
-- characters.
-- https://www.unicode.org/reports/tr11/
local BLOCKS <const> = {
  { 0x300, 0x36f, 0 }, { 0x1100, 0x115f, 2 }, { 0x200b, 0x200f, 0 }, { 0x2e80, 0x303e, 2 },
  { 0x3041, 0xa4cf, 2 }, { 0xac00, 0xd7a3, 2 }, { 0xf900, 0xfaff, 2 }, { 0xfe00, 0xfe0f, 0 },
  { 0xfe30, 0xfe6f, 2 }, { 0xff01, 0xff60, 2 }, { 0xffe0, 0xffe6, 2 }, { 0x1f300, 0x1f64f, 2 },
  { 0x1f680, 0x1f6ff, 2 }, { 0x1f900, 0x1faff, 2 }, { 0x20000, 0x3fffd, 2 },
}

local function width_of(code)
  if code < 0x300 then return 1 end
  for _, block in ipairs(BLOCKS) do
    if code < block[1] then return 1 end
    if code <= block[2] then return block[3] end
  end
  return 1
end

--- The columns that a text takes.
---@param text string without control characters; what is no UTF-8 counts by its bytes
---@return integer
function columns.width(text)
  if not text:find "[\x80-\xff]" or not utf8.len(text) then return #text end
  local width = 0
  for _, code in utf8.codes(text) do width = width + width_of(code) end
  return width
end

--- As much of the beginning of a text as so many columns have room for.
---@param text string
---@param most integer
---@return string
---@return integer width the columns that it takes
function columns.cut(text, most)
  local width = columns.width(text)
  if width <= most then return text, width end
  if most < 1 then return "", 0 end
  if width == #text then return text:sub(1, most), most end
  local taken = 0
  for at, code in utf8.codes(text) do
    local more = width_of(code)
    if taken + more > most then return text:sub(1, at - 1), taken end
    taken = taken + more
  end
  return text, taken
end

return columns
