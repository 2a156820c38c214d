-- policy.compose: several policies as one.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local frame = require "uvjobs.policy.frame"

core.own_source()

local KIND <const> = frame.kind "compose"
local OPTIONS <const> = { name = frame.expect.string }

-- Returns the policies of the list; blames the caller of compose().
local function check(list)
  if type(list) ~= "table" then
    arguments.fail(3, 1, "compose", arguments.unexpected("list of policies", list))
  end
  local policies, others = {}, {}
  for i = 1, #list do
    local fields = frame.find(list[i])
    if not fields then
      arguments.fail(3, 1, "compose",
        arguments.unexpected_element("uvjobs.Policy", i, list[i]))
    elseif fields.refusal then
      arguments.fail(3, 1, "compose", ("element %d: %s"):format(i, fields.refusal))
    end
    policies[i] = list[i]
  end
  for key, value in next, list do
    if policies[key] == nil then others[key] = value end
  end
  local problem = arguments.problem_of_options(others, OPTIONS)
  if problem then arguments.fail(3, 1, "compose", problem) end
  if #policies == 0 then
    arguments.fail(3, 1, "compose", "at least one policy expected, got none")
  end
  return policies
end

-- Adds the policies that a list consists of: a composition in it stands for its parts. For
-- the statistics one that has a name stands for itself.
local function flatten(policies, into, keeps_named)
  for _, policy in ipairs(policies) do
    local parts = frame.find(policy).parts
    if parts and not (keeps_named and policy.name) then
      flatten(parts, into, keeps_named)
    else
      into[#into + 1] = policy
    end
  end
  return into
end

-- What the fields' policy does around `inner`, which gets the function of the user first.
local function around(fields, inner)
  local run_within, run = fields.run_within, fields.run
  if run_within then
    return function(fn, ...) return run_within(inner, fn, ...) end
  end
  if fields.bind then return fields.bind(inner) end
  return function(fn, ...) return run(inner, fn, ...) end
end

-- What a list of policies does that has no compositions in it.
local function chain(policies)
  local run = frame.find(policies[#policies]).run
  for i = #policies - 1, 1, -1 do run = around(frame.find(policies[i]), run) end
  return run
end

-- The names of the policies' statistics: a name, or else the kind, with a number from the
-- second of them on.
local function names_of(policies)
  local names, counts = {}, {}
  for i, policy in ipairs(policies) do
    local name = policy.name or policy.kind
    counts[name] = (counts[name] or 0) + 1
    names[i] = counts[name] == 1 and name or ("%s_%d"):format(name, counts[name])
  end
  return names
end

--- Makes one policy of several: the first of them is the outermost. Does not suspend.
--- Errors: misuse.
---@param list uvjobs.Policy[] at least one, and perhaps the option `name`
---@return uvjobs.Policy
return function(list)
  list = arguments.raw(list)
  local parts = check(list)
  local shown = flatten(parts, {}, true)
  local names = names_of(shown)
  return frame.new(KIND, {
    name = list.name,
    parts = parts,
    run = chain(flatten(parts, {}, false)),
    stats = function()
      local stats = {}
      for i, name in ipairs(names) do stats[name] = shown[i]:stats() end
      return stats
    end,
  })
end
