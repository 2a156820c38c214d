-- The bytes that were read from a stream and that nobody has taken yet. They stay in the
-- pieces in which they came, so that a long line costs one copy, however many pieces it has.

local core = require "uvjobs.core"

core.own_source()

--- The pieces are parts[first] to parts[last].
---@class uvjobs.uv.Buffer
---@field parts string[] none of them is empty
---@field first integer
---@field last integer
---@field from integer where the bytes of the first part begin that were not taken
---@field size integer how many bytes there are
---@field clean integer no part up to this one has a newline
local Buffer = {}
Buffer.__index = Buffer

local CR <const> = 13

local buffer = {}

--- Returns an empty buffer.
---@return uvjobs.uv.Buffer
function buffer.new()
  return setmetatable({
    parts = {}, first = 1, last = 0, from = 1, size = 0, clean = 0,
  }, Buffer)
end

--- Appends a piece, which may not be empty.
---@param piece string
function Buffer:add(piece)
  self.last = self.last + 1
  self.parts[self.last] = piece
  self.size = self.size + #piece
end

-- Returns where the next newline is: the number of the part, and the place in it.
local function find_newline(self)
  for i = math.max(self.clean + 1, self.first), self.last do
    local at = self.parts[i]:find("\n", i == self.first and self.from or 1, true)
    if at then return i, at end
    self.clean = i
  end
end

-- Returns how many bytes there are up to place `at` in part `i`.
local function length_to(self, i, at)
  if i == self.first then return at - self.from + 1 end
  local length = #self.parts[self.first] - self.from + 1 + at
  for j = self.first + 1, i - 1 do length = length + #self.parts[j] end
  return length
end

-- Returns the bytes up to place `at` in part `i`.
local function text_to(self, i, at)
  local parts, first = self.parts, self.first
  if i == first then return parts[i]:sub(self.from, at) end
  local pieces = { parts[first]:sub(self.from) }
  for j = first + 1, i - 1 do pieces[#pieces + 1] = parts[j] end
  pieces[#pieces + 1] = parts[i]:sub(1, at)
  return table.concat(pieces)
end

-- Drops the bytes up to place `at` in part `i`.
local function drop_to(self, i, at)
  local parts = self.parts
  self.size = self.size - length_to(self, i, at)
  for j = self.first, i - 1 do parts[j] = nil end
  self.first, self.from = i, at + 1
  if at == #parts[i] then
    parts[i] = nil
    self.first, self.from = i + 1, 1
  end
  self.clean = self.first - 1
  if self.size == 0 then self.first, self.last, self.clean = 1, 0, 0 end
end

-- Whether the byte before place `at` in part `i` is a carriage return.
local function has_return_before(self, i, at)
  if i == self.first then return at > self.from and self.parts[i]:byte(at - 1) == CR end
  if at > 1 then return self.parts[i]:byte(at - 1) == CR end
  return self.parts[i - 1]:byte(-1) == CR
end

-- The last bytes are a line that has not ended yet. It is too long already, unless its last
-- byte may be half of the line's end.
local function is_too_long(self, max)
  if self.size <= max then return false end
  return self.size > max + 1 or self.parts[self.last]:byte(-1) ~= CR
end

--- Takes a line, which it returns without its end.
---@param max number of bytes that it may have, without its end
---@return string|nil line nil when there is none
---@return true|nil too_long when the next line has more bytes; nothing is taken then
function Buffer:take_line(max)
  local i, at = find_newline(self)
  if not i then return nil, is_too_long(self, max) or nil end
  local length = length_to(self, i, at) - 1
  if has_return_before(self, i, at) then length = length - 1 end
  if length > max then return nil, true end
  local line = text_to(self, i, at):sub(1, length)
  drop_to(self, i, at)
  return line
end

--- Takes the first `n` bytes, of which there may not be fewer.
---@param n integer
---@return string
function Buffer:take(n)
  if n == 0 then return "" end
  local i, at = self.first, self.from + n - 1
  while at > #self.parts[i] do
    at = at - #self.parts[i]
    i = i + 1
  end
  local text = text_to(self, i, at)
  drop_to(self, i, at)
  return text
end

--- Takes the bytes of the first piece, of which there has to be one.
---@return string
function Buffer:take_piece()
  return self:take(#self.parts[self.first] - self.from + 1)
end

return buffer
