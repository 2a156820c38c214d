-- The arguments of uvjobs.exec: what is wrong with them, and the options with their
-- defaults.

local core = require "uvjobs.core"
local arguments = require "uvjobs.arguments"

core.own_source()

local expect = arguments.expect

local options = {}

local MAX_OUTPUT <const> = 16 * 1024 * 1024 -- bytes, of each stream

-- Kinds of values. Those of tables also return what came in words, because that is an
-- entry of the table and not the table.

local function text_without_zero(value)
  if type(value) ~= "string" then return "string" end
  if value:find "\0" then return "string without a zero byte", "one that has it" end
end

local function input(value)
  if type(value) == "string" then return nil end
  if type(value) ~= "table" or (#value == 0 and next(value) ~= nil) then
    return "string or list of strings"
  end
  for i = 1, #value do
    if type(value[i]) ~= "string" then
      return ("string as element %d"):format(i), arguments.shown(value[i])
    end
  end
end

-- What is wrong with one entry of `env`.
local function environment_entry(name, text)
  if type(name) ~= "string" then
    return "table of names to strings or false", ("the key [%s]"):format(tostring(name))
  elseif name == "" or name:find "[=\0]" then
    return "names without '=' and zero bytes",
      name == "" and "an empty name" or ("the name '%s'"):format(name)
  elseif text == false then
    return nil
  end
  local expected, came = text_without_zero(text)
  if not expected then return nil end
  return ("%s%s for '%s'"):format(expected, came and "" or " or false", name),
    came or arguments.shown(text)
end

local function environment(value)
  if type(value) ~= "table" then return "table of names to strings or false" end
  for name, text in next, value do
    local expected, came = environment_entry(name, text)
    if expected then return expected, came end
  end
end

local function is_descriptor(value)
  return math.type(value) == "integer" and value >= 0 and value < 1 << 31
end

local descriptor = arguments.kind(is_descriptor, "descriptor")

local KINDS <const> = {
  input = input,
  env = environment,
  cwd = text_without_zero,
  stdin = descriptor,
  stdout = descriptor,
  stderr = arguments.kind(function(value)
    return value == "stdout" or is_descriptor(value)
  end, "descriptor or 'stdout'"),
  on_stdout = expect.func,
  on_stderr = expect.func,
  group = expect.boolean,
  progress = expect.progress,
  timeout = expect.seconds_or_forever,
  kill_timeout = expect.seconds_or_forever,
  max_output = expect.count(0),
}

-- At most one option of each pair may be given.
local EXCLUSIVE <const> = {
  { "input", "stdin" }, { "on_stdout", "stdout" }, { "on_stderr", "stderr" },
}

local function problem_of_command(command)
  if type(command) ~= "string" then
    return arguments.unexpected("string", command)
  elseif command:find "\0" then
    return "string without a zero byte expected"
  end
end

-- A key that is not an index is most likely an option in the wrong argument.
local function problem_of_args(args)
  if type(args) ~= "table" then
    return arguments.unexpected("list of strings", args)
  end
  for i = 1, #args do
    if type(args[i]) ~= "string" then
      return arguments.unexpected_element("string", i, args[i])
    elseif args[i]:find "\0" then
      return ("string without a zero byte expected as element %d"):format(i)
    end
  end
  for key in next, args do
    if type(key) == "string" and key ~= "n" then -- table.pack() sets `n`
      return ("list of strings expected, got a table with the key '%s'"):format(key)
    end
  end
end

local function problem_of_options(given)
  local problem = arguments.problem_of_options(given, KINDS)
  if problem then return problem end
  given = arguments.raw(given)
  for _, pair in ipairs(EXCLUSIVE) do
    if given[pair[1]] ~= nil and given[pair[2]] ~= nil then
      return ("options '%s' and '%s' exclude each other"):format(pair[1], pair[2])
    end
  end
end

--- What is wrong with the arguments of exec().
---@return string? problem nil when they are good
---@return integer? n the place of the bad argument
function options.problem(command, args, given)
  local problem = problem_of_command(command)
  if problem then return problem, 1 end
  problem = problem_of_args(args)
  if problem then return problem, 2 end
  problem = problem_of_options(given)
  if problem then return problem, 3 end
end

-- The defaults of the options whose absence is not simply nil. nil and math.huge both
-- mean no time limit, and an event takes the former.
--- Returns the options with their defaults.
---@param given uvjobs.ExecOptions good ones
function options.with_defaults(given)
  local all = {}
  for name, value in next, given do all[name] = value end
  if all.timeout == math.huge then all.timeout = nil end
  all.max_output = math.min(all.max_output or MAX_OUTPUT, math.maxinteger)
  return all
end

return options
