-- The lines of which an answer consists: a word and fields, with tabs between them. A field
-- is `name=value`; what would break a line is escaped.

local core = require "uvjobs.core"

core.own_source()

local lines = {}

-- No value is longer than this, whatever a name has in it, so that no line is longer than
-- what is read of one.
local MOST_VALUE <const> = 8000

local ESCAPES <const> = { ["\t"] = "\\t", ["\n"] = "\\n", ["\r"] = "\\r", ["\\"] = "\\\\" }
local MEANINGS <const> = { t = "\t", n = "\n", r = "\r", ["\\"] = "\\" }

--- A line without its end. Fields that are nil or false are left out, and true is "yes".
---@param word string
---@param fields any[] name, value, name, value and so on
---@param n integer how many these are
---@return string
function lines.encode(word, fields, n)
  local parts = { word }
  for i = 1, n, 2 do
    local value = fields[i + 1]
    if value then
      local text = value == true and "yes" or tostring(value)
      if #text > MOST_VALUE then text = text:sub(1, MOST_VALUE) .. " (cut off)" end
      if text:find "[\t\n\r\\]" then text = text:gsub("[\t\n\r\\]", ESCAPES) end
      parts[#parts + 1] = fields[i] .. "=" .. text
    end
  end
  return table.concat(parts, "\t")
end

--- The word of a line, and its fields as texts.
---@param line string
---@return string word
---@return table<string, string> fields
function lines.decode(line)
  local fields = {}
  for name, value in line:gmatch "\t([%a_]+)=([^\t]*)" do
    fields[name] = value:gsub("\\(.)", MEANINGS)
  end
  return line:match "^[^\t]*", fields
end

return lines
