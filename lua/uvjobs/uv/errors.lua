-- The texts of luv's errors. Its synchronous functions give a message and a
-- code, like "ENOENT: no such file or directory: x" and "ENOENT"; its callbacks
-- get the one or the other. What waits for a callback gives both.

local luv = require "luv"

-- libuv's own codes have negative numbers from here on; those of getaddrinfo
-- are below -3000, and EOF is the lowest.
local FIRST_ERRNO <const>, LAST_ERRNO <const> = 1, 255
local RANGES <const> = { { -4095, -4023 }, { -3014, -3000 } }

local texts

local function add(number)
  local text, code = luv.translate_sys_error(number)
  if text and code and text ~= code then texts[code] = texts[code] or text end
end

local function load_texts()
  texts = {}
  for number = FIRST_ERRNO, LAST_ERRNO do add(number) end
  for _, range in ipairs(RANGES) do
    for number = range[1], range[2] do add(number) end
  end
end

local errors = {}

--- What a call returns for an error that a callback was given.
---@param err string a code, or a message that begins with one
---@return nil, string message, string code
function errors.results(err)
  local code = err:match "^[^:]+"
  if code ~= err then return nil, err, code end
  if not texts then load_texts() end
  return nil, texts[code] or err, code
end

return errors
