-- The head of a request of HTTP/1: it is read whole before lua-http sees it, and what makes
-- no sense is refused here. So every fault has its status, and lua-http, which cannot bear
-- a line that comes in two parts, parses what is there already.

local ce = require "cqueues.errno"
local cqueues = require "uvjobs.cqueues"
local core = require "uvjobs.core"

core.own_source()

local head = {}

local MOST_BYTES <const> = 64 * 1024
local MOST_LINE <const> = 16 * 1024 -- of the request line
local MOST_FIELDS <const> = 90      -- lua-http reads up to 100 with its own
local TOKEN <const> = "[%w!#$%%&'*+%-.^_`|~]+"

-- ---- reading it ----------------------------------------------------------------------

-- Whether the head is whole, or cannot become one. Malformed line ends are found later.
local function is_whole(text)
  local line = text:match "^[^\n]*\n"
  if not line then return #text > MOST_LINE end
  if line == "\n" or not line:find "%S+ %S+ HTTP/1%.[01]\r\n$" then return true end
  return #text > MOST_BYTES or text:find("\n\r?\n") ~= nil
end

-- Empty lines before the request are left out.
local function without_empty_lines(text)
  return (text:gsub("^[\r\n]*\r\n", ""))
end

-- Reads until is_whole(), and leaves the text in the socket's buffer. Returns it; or nil
-- and "gone" or "timeout". Suspends the coroutine of the server.
local function read(socket, due)
  local text = ""
  while true do
    local piece, _, errno = socket:xread(-MOST_BYTES, "b", 0)
    if piece then
      text = without_empty_lines(text .. piece)
      if is_whole(text) then
        if not socket:unget(text) then return nil, "gone" end
        return text
      end
    elseif errno == ce.ETIMEDOUT then
      local left = due - cqueues.monotime()
      if left <= 0 then return nil, text == "" and "gone" or "timeout" end
      cqueues.poll(socket, left)
    else
      return nil, "gone"
    end
  end
end

-- ---- the request line ----------------------------------------------------------------

local function problem_of_line(line)
  if #line > MOST_LINE then return "414" end
  local method, version = line:match("^(" .. TOKEN .. ") %S+ HTTP/(%d%.%d)\r\n$")
  if not method or line:find "[%c\128-\255].*\r\n$" then return "400" end
  if not version:find "^1%.[01]$" then return "505" end
  if method:find "%W" then return "501" end -- lua-http does not know such names
end

-- ---- the fields ----------------------------------------------------------------------

-- Returns the values of each field by its name in lower case; or nil and a status.
local function fields_of(text)
  local fields, count, at = {}, 0, 1
  while text:sub(at, at + 1) ~= "\r\n" do
    local from, to, name, value = text:find("^(" .. TOKEN .. "):[ \t]*([^\r\n%z]*)\r\n", at)
    if not from then return nil, "400" end
    count, at, name = count + 1, to + 1, name:lower()
    if count > MOST_FIELDS then return nil, "431" end
    fields[name] = fields[name] or {}
    table.insert(fields[name], (value:gsub("[ \t]+$", "")))
  end
  return fields
end

local function problem_of_length(values, max_body)
  for i = 1, #values do
    if not values[i]:find "^%d+$" or values[i] ~= values[1] then return "400" end
  end
  if #values[1] > 15 or tonumber(values[1]) > max_body then return "413" end
end

-- The body of a request must have an end that both sides see at the same place.
local function problem_of_body(fields, version, max_body)
  local coding, length = fields["transfer-encoding"], fields["content-length"]
  if not coding then return length and problem_of_length(length, max_body) end
  if length or version == "1.0" then return "400" end
  local name = table.concat(coding, ","):lower()
  if name == "chunked" then return nil end
  if not name:find("^[%s,]*" .. TOKEN) or not name:find "chunked%s*$" then return "400" end
  return "501"
end

local function problem_of_fields(fields, version, max_body)
  local host = fields.host
  if host and #host > 1 or not host and version == "1.1" then return "400" end
  local expect = fields.expect
  if expect and expect[1]:lower() ~= "100-continue" then return "417" end
  return problem_of_body(fields, version, max_body)
end

-- ---- all of it -----------------------------------------------------------------------

local function problem_of(text, max_body)
  local line = text:match "^[^\n]*\n" or text
  local problem = problem_of_line(line)
  if problem then return problem end
  if #text > MOST_BYTES then return "431" end
  local fields
  fields, problem = fields_of(text:sub(#line + 1))
  if not fields then return problem end
  return problem_of_fields(fields, line:match "HTTP/(.*)\r\n$", max_body)
end

--- Waits for the head of the stream's request, and has lua-http parse it. Returns true; or
--- nil, and "gone" or a status: nothing was sent then. Suspends the coroutine of the server
--- in which it must be called.
---@param stream table
---@param seconds number
---@param max_body number
function head.read(stream, seconds, max_body)
  local socket = stream.connection.socket
  local text, why = read(socket, cqueues.monotime() + seconds)
  if not text then return nil, why == "timeout" and "408" or "gone" end
  local problem = problem_of(text, max_body)
  if problem then return nil, problem end
  local ok, parsed = pcall(stream.step, stream, 0)
  if ok and parsed and stream.headers_fifo:length() > 0 then return true end
  return nil, "400"
end

return head
