-- Writes JSON, as RFC 8259 has it.

local core = require "uvjobs.core"

core.own_source()

local json = {}

local ESCAPES <const> = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\t"] = "\\t",
}

local function escape(char)
  return ESCAPES[char] or ("\\u%04x"):format(char:byte())
end

-- Bytes that are no UTF-8 are taken for Latin-1. All controls are escaped, so that a terminal
-- does not obey them; `<` is, so that the text can stand in a page.
local function string_of(text)
  if not utf8.len(text) then
    text = text:gsub("[\x80-\xff]", function(char) return utf8.char(char:byte()) end)
  end
  text = text:gsub('[%c"\\<\x7f]', escape):gsub("\xc2([\x80-\x9f])", escape)
  return '"' .. text .. '"'
end

local function number_of(number)
  if number ~= number or number == math.huge or number == -math.huge then return "null" end
  return math.type(number) == "integer" and tostring(number) or ("%.14g"):format(number)
end

local encode

local function list_of(list)
  local parts = {}
  for i, value in ipairs(list) do parts[i] = encode(value) end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function object_of(object)
  local names, parts = {}, {}
  for name in pairs(object) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do parts[i] = string_of(name) .. ":" .. encode(object[name]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- A value as JSON. A table with an element 1, or with the metatable json.list, is a list.
---@param value any
---@return string
function encode(value)
  if type(value) == "table" then
    if value[1] ~= nil or getmetatable(value) == json.list then return list_of(value) end
    return object_of(value)
  end
  if type(value) == "string" then return string_of(value) end
  if type(value) == "number" then return number_of(value) end
  return value == nil and "null" or tostring(value)
end

json.list = {}
json.encode = encode

return json
