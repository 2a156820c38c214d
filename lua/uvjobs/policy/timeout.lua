-- policy.timeout: a deadline for each call.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local frame = require "uvjobs.policy.frame"

core.own_source()

local uvjobs = core.public
local call_with_deadline <const> = uvjobs.timeout

local KIND <const> = frame.kind "timeout"
local OPTIONS <const> = {
  name = frame.expect.string,
  seconds = frame.expect.seconds_or_forever,
}

-- What a policy knows. As a to-be-closed variable it counts timeouts.
local Timeout = {}

function Timeout.__close(self, err)
  if err ~= nil and uvjobs.code(err) == "timeout" and not frame.ends_caller(err) then
    self.timeouts = self.timeouts + 1
  end
end

local function call(self, fn, ...)
  self.calls = self.calls + 1
  local _ <close> = self
  return call_with_deadline(self.seconds, fn, ...)
end

-- Returns the options; blames the caller of policy.timeout().
local function read(options)
  if type(options) == "number" then
    local expected = OPTIONS.seconds(options)
    if expected then
      arguments.fail(3, 1, "timeout", arguments.unexpected_value(expected, options))
    end
    return { seconds = options }
  elseif type(options) ~= "table" then
    arguments.fail(3, 1, "timeout", arguments.unexpected("seconds or table", options))
  end
  options = arguments.raw(options)
  local problem = arguments.problem_of_options(options, OPTIONS)
    or options.seconds == nil and "option 'seconds' is missing"
  if problem then arguments.fail(3, 1, "timeout", problem) end
  return options
end

--- Makes a policy that gives each call a deadline. Does not suspend.
--- Errors: misuse.
---@param options number|{ seconds: number, name?: string }
---@return uvjobs.Policy
return function(options)
  options = read(options)
  local self = setmetatable({ seconds = options.seconds, calls = 0, timeouts = 0 }, Timeout)
  return frame.new(KIND, {
    name = options.name,
    run = function(fn, ...) return call(self, fn, ...) end,
    stats = function() return { calls = self.calls, timeouts = self.timeouts } end,
  })
end
