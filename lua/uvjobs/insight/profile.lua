-- Where jobs compute: samples of their stacks, in the form that flame graphs are made of.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

local profile = {}

local TYPE <const> = "uvjobs.Profile"
local RATE <const> = 100 -- samples a second

local function is_number(value, least, most)
  return type(value) == "number" and value >= least and value <= most
end

local KNOWN <const> = {
  file = arguments.kind(function(value)
    return type(value) == "string" and value ~= "" and not value:find "\0"
  end, "name of a file"),
  rate = arguments.kind(function(value) return is_number(value, 1, 1000) end,
    "number from 1 to 1000"),
  seconds = arguments.kind(function(value) return is_number(value, 0, 365 * 24 * 3600) end,
    "seconds from 0 to a year"),
}

-- What is known of profiles that have not ended: the open file.
local open = setmetatable({}, { __mode = "k" })

-- The samples as lines: "job;outer function;inner function 17".
local function lines_of(stacks)
  local keys, lines, samples = {}, {}, 0
  for stack in pairs(stacks) do keys[#keys + 1] = stack end
  table.sort(keys)
  for i, stack in ipairs(keys) do
    lines[i] = ("%s %d\n"):format(stack, stacks[stack])
    samples = samples + stacks[stack]
  end
  return table.concat(lines), samples
end

local function write(file, text)
  local ok, why = file:write(text)
  local is_closed, problem = file:close()
  if ok and is_closed then return end
  return why or problem
end

---@class uvjobs.Profile
---@field file string
---@field samples? integer that were taken; nil before the end
local Profile = {}

--- Ends the profile and writes its file. It may be called twice. It does not suspend.
--- Errors: misuse; the file cannot be written.
function Profile:close()
  local file = open[self]
  if not file then return end
  open[self] = nil
  local text, samples = lines_of(core.profile_stop() or {})
  rawset(self, "samples", samples)
  local why = write(file, text)
  if why then error(("cannot write the profile '%s': %s"):format(self.file, why), 2) end
end

arguments.refuse_others(TYPE, Profile, { "file", "samples" })

local meta = {
  __name = TYPE, __metatable = false, __index = Profile,
  __close = Profile.close, __gc = Profile.close,
}

function meta.__tostring(self)
  return ('%s: "%s" %s'):format(TYPE, self.file, open[self] and "open" or "closed")
end

function meta.__newindex(_, key)
  error(("cannot set '%s' of a %s"):format(tostring(key), TYPE), 2)
end

--- insight.profile(); blames its caller.
---@param options table
---@return uvjobs.Profile
function profile.start(options)
  if type(options) ~= "table" then
    arguments.fail(3, 1, "profile", arguments.unexpected("table", options))
  end
  options = arguments.raw(options)
  local problem = arguments.problem_of_options(options, KNOWN)
  if not problem and options.file == nil then problem = "option 'file' is missing" end
  if problem then arguments.fail(3, 1, "profile", problem) end
  local seconds = options.seconds
  if seconds then core.check_suspend("profile", 3) end
  local file, why = io.open(options.file, "w")
  if not file then
    error(("cannot write the profile '%s': %s"):format(options.file,
      (why:gsub("^.*: ", ""))), 3)
  end
  if not core.profile_start(options.rate or RATE) then
    file:close()
    error(("cannot begin the profile '%s': there is another one"):format(options.file), 3)
  end
  local self = setmetatable({ file = options.file }, meta)
  open[self] = file
  if seconds then
    local _ <close> = self
    uvjobs.sleep(seconds)
  end
  return self
end

return profile
