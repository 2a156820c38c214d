-- uvjobs.progress: how far something long is, on the terminal or in a log.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local screen = require "uvjobs.progress.screen"

core.own_source()

local uvjobs = core.public

local expect = arguments.expect

---@class uvjobs.Progress
local Progress = { __name = "uvjobs.Progress" }

local methods = {}

-- The state of each progress, which is what the screen refers to: so one that nobody refers
-- to any more is collected, and ends.
local states = setmetatable({}, { __mode = "k" })

local amount = arguments.kind(function(value)
  return type(value) == "number" and value >= 0 and value < math.huge
end, "finite number >= 0")

local OPTIONS <const> = {
  total = amount,
  label = expect.string,
  unit = expect.string,
  every = expect.seconds_or_forever,
  silent = expect.boolean,
}

local DEFAULT_EVERY <const> = 5 -- seconds

-- Texts stay on one line, and carry no commands for the terminal, which can also begin with a
-- character from U+0080 to U+009F.
local function clean(text)
  return text and (text:gsub("%c", " "):gsub("\xC2[\x80-\x9F]", " "))
end

-- A sum of integers does not wrap round.
local function sum(a, b)
  local result = a + b
  return result >= a and result or a + 0.0 + b
end

local function state_of(self, name)
  local state = states[self]
  if not state then arguments.fail_self(3, name, "uvjobs.Progress", self) end
  return state
end

local function check_amount(name, value)
  local expected = amount(value)
  if expected then
    arguments.fail(3, 1, name, arguments.unexpected_value(expected, value))
  end
end

local function update(state)
  if not state.is_silent and not state.ended then screen.update(state) end
end

--- Adds to the amount that is done. Does not suspend.
---@param n? number >= 0; default 1
function methods:add(n)
  local state = state_of(self, "add")
  if n == nil then n = 1 end
  check_amount("add", n)
  state.count = sum(state.count, n)
  update(state)
end

--- Sets the amount that is done. Does not suspend.
---@param n number >= 0
function methods:set(n)
  local state = state_of(self, "set")
  check_amount("set", n)
  state.count = n
  update(state)
end

--- Changes how much there is to do; nil when that is not known. Does not suspend.
---@param n? number >= 0
function methods:set_total(n)
  local state = state_of(self, "set_total")
  if n ~= nil then check_amount("set_total", n) end
  state.total = n
  update(state)
end

--- Changes the label. Does not suspend.
---@param label? string
function methods:set_label(label)
  local state = state_of(self, "set_label")
  if label ~= nil and type(label) ~= "string" then
    arguments.fail(2, 1, "set_label", arguments.unexpected("string", label))
  end
  state.label = clean(label)
  update(state)
end

--- Ends it: its last line stays, and later calls show nothing. Closing it again does nothing.
--- Does not suspend.
function methods:close()
  local state = state_of(self, "close")
  if state.ended then return end
  state.ended = true
  if not state.is_silent then screen.remove(state) end
end

-- Properties that can be read.
local PROPERTIES <const> = { count = true, total = true, label = true, unit = true }

local known <const> = {}
for name in pairs(methods) do known[name] = true end
for name in pairs(PROPERTIES) do known[name] = true end

function Progress.__index(self, key)
  if methods[key] then return methods[key] end
  if PROPERTIES[key] then return state_of(self, key)[key] end
  arguments.fail_property(2, "uvjobs.Progress", key, known)
end

function Progress.__newindex()
  error("the properties of a progress cannot be set; use its methods", 2)
end

function Progress.__close(self) methods.close(self) end
Progress.__gc = Progress.__close

--- Shows how far something is: as a bar, with rate and time left, at the foot of a terminal;
--- or, where standard error is no terminal, as a line now and then. Does not suspend.
--- Errors: misuse.
---@param options? uvjobs.ProgressOptions
---@return uvjobs.Progress progress to be closed
return function(options)
  local problem = options ~= nil and arguments.problem_of_options(options, OPTIONS)
  if problem then arguments.fail(3, 1, "progress", problem) end
  options = arguments.raw(options) or {}
  local state = {
    count = 0, total = options.total, label = clean(options.label), unit = clean(options.unit),
    every = options.every or DEFAULT_EVERY, began = uvjobs.now(),
    is_silent = options.silent or os.getenv "UVJOBS_PROGRESS" == "0",
  }
  local self = setmetatable({}, Progress)
  states[self] = state
  if not state.is_silent then screen.add(state) end
  return self
end
