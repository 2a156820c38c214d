-- A trace of what the jobs do, in a file for Chrome and Perfetto.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"

core.own_source()

local trace = {}

local TYPE <const> = "uvjobs.Trace"

-- A trace has its limit at once if there is none: a file that grows without end fills the disk.
local LIMIT <const> = 256 * 2 ^ 20
local LEAST <const> = 1024

local KNOWN <const> = {
  file = arguments.kind(function(value)
    return type(value) == "string" and value ~= "" and not value:find "\0"
  end, "name of a file"),
  format = arguments.kind(function(value) return value == "chrome" end, "'chrome'"),
  limit = arguments.kind(function(value)
    return type(value) == "number" and value >= LEAST
  end, "number of bytes >= 1024 or math.huge"),
}

local PROPERTIES <const> = { close = true, state = true, events = true, bytes = true, file = true }

-- The number of the trace, by the object; and what is known of one that has ended.
local numbers = setmetatable({}, { __mode = "k" })
local ended = setmetatable({}, { __mode = "k" })

---@class uvjobs.Trace
---@field file string the name of the file
---@field state string "open", "closed", "full" when it has reached its limit, or why it failed
---@field events integer that were written
---@field bytes integer length of the file
local Trace = {}

local function read(self)
  if ended[self] then return ended[self] end
  local state, number, events, bytes = core.trace_state()
  if number ~= numbers[self] then -- another one has begun since
    return { state = "closed", events = 0, bytes = 0 }
  end
  local now = { state = state, events = events, bytes = bytes }
  if state ~= "open" then ended[self] = now end
  return now
end

--- Ends the trace, and closes its file. It may be called twice. It does not suspend.
function Trace:close()
  if not numbers[self] then arguments.fail_self(2, "close", TYPE, self) end
  if read(self).state == "open" then
    core.trace_stop()
    read(self)
  end
end

local meta = { __name = TYPE, __metatable = false }

function meta.__index(self, key)
  if key == "close" then return Trace.close end
  if key == "state" or key == "events" or key == "bytes" then return read(self)[key] end
  arguments.fail_property(2, TYPE, key, PROPERTIES)
end

function meta.__newindex(_, key)
  error(("cannot set '%s' of a %s"):format(tostring(key), TYPE), 2)
end

function meta.__tostring(self)
  return ('%s: "%s" %s'):format(TYPE, self.file, read(self).state)
end

meta.__close = Trace.close
meta.__gc = function(self)
  if numbers[self] then Trace.close(self) end
end

--- The options are checked by now.
---@param options table
---@return uvjobs.Trace? trace nil when the file cannot be written
---@return string? why
local function start(options)
  local limit = options.limit or LIMIT
  local bytes = limit < 2 ^ 62 and math.floor(limit) or nil
  local number, why = core.trace_start(options.file, bytes)
  if not number then return nil, why end
  local self = setmetatable({ file = options.file }, meta)
  numbers[self] = number
  return self
end

--- insight.trace(); blames its caller.
---@param options table
---@return uvjobs.Trace
function trace.start(options)
  if type(options) ~= "table" then
    arguments.fail(3, 1, "trace", arguments.unexpected("table", options))
  end
  options = arguments.raw(options)
  local problem = arguments.problem_of_options(options, KNOWN)
  if not problem and options.file == nil then problem = "option 'file' is missing" end
  if problem then arguments.fail(3, 1, "trace", problem) end
  local self, why = start(options)
  if not self then error(("cannot write the trace '%s': %s"):format(options.file, why), 3) end
  return self
end

return trace
