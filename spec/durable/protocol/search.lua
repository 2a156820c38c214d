--- Goes through the states of a task that the model can reach, by every sequence of steps, the
--- short ones first, and says which promise one of them breaks. FAULTS, 1 unless it is given, is
--- how many things may go wrong; MOST, a million unless it is given, how many states there may be:
---   lua spec/durable/protocol/search.lua [FAULTS [MOST]]

local model = require "spec.durable.protocol.model"

local search = {}

-- Returns what is wrong with a state, or with the step to it, or nil.
local function problem_of(old, new, keyed)
  return model.problem(new, keyed) or model.problem_of_step(old, new)
end

-- The steps to a state, as text.
local function trace(from, key)
  local names = {}
  while from[key] do
    local step = from[key]
    table.insert(names, 1, step[2])
    key = step[1]
  end
  return table.concat(names, "\n")
end

--- Searches. Returns the number of states, of how many steps at most, and whether these are all; or
--- nil, the promise that is broken, and how.
---@param given table for model.each, and `faults`, how many things may go wrong; `ready` tasks of
---  the first state, all unless it is given; `traces`, whether it is to tell how; `most` states
function search.run(given)
  local first = model.first(given.ready or given.tasks, given.faults, given.is_dead)
  local known, queue = { [model.key(first)] = true }, { first }
  local from = given.traces and {} or nil
  local count, steps, most, problem, at = 1, 0, given.most or math.huge, nil, nil
  while queue[1] and not problem and count < most do
    local following = {}
    for i = 1, #queue do
      local s = queue[i]
      model.each(s, given, function(new, name, a, t)
        if problem then return end
        local key = model.key(new)
        if known[key] then return end
        known[key], count = true, count + 1
        following[#following + 1] = new
        if from then
          from[key] = { model.key(s), ("%s (%s, %s)"):format(name, a or "-", t or "-") }
        end
        problem = problem_of(s, new, given.keyed)
        if problem then at = key end
      end)
      if problem then break end
    end
    queue, steps = following, steps + 1
  end
  if problem then return nil, problem, from and trace(from, at), count end
  return count, steps, #queue == 0
end

-- The minimal standard generator, so that a seed gives the same walk everywhere.
local function generator(seed)
  local state = seed % 2147483646 + 1
  return function(n)
    state = state * 48271 % 2147483647
    return state % n + 1
  end
end

-- One walk of at most so many steps; returns what search.walk does.
local function walk(given, random, length)
  local s, names = model.first(given.ready or given.tasks, given.faults, given.is_dead), {}
  for i = 1, length do
    local following, called = {}, {}
    model.each(s, given, function(new, name, a, t)
      following[#following + 1] = new
      called[#following] = ("%s (%s, %s)"):format(name, a or "-", t or "-")
    end)
    if #following == 0 then return end
    local n = random(#following)
    names[i] = called[n]
    local problem = problem_of(s, following[n], given.keyed)
    if problem then return problem, table.concat(names, "\n") end
    s = following[n]
  end
end

--- Walks at random, so many times. Returns the promise that was broken, how, and in which walk.
---@param given table as for search.run
function search.walk(given, walks, length)
  for seed = 1, walks do
    local problem, steps = walk(given, generator(seed), length)
    if problem then return problem, steps, seed end
  end
end

if arg and arg[0] and arg[0]:find "protocol/search%.lua$" then
  local faults = tonumber(arg[1] or 1)
  local count, steps, is_all = search.run {
    tasks = 1, faults = faults, mistakes = {}, most = tonumber(arg[2] or 1000000),
  }
  print(count and ("%d states, by every sequence of %d steps%s"):format(count, steps,
    is_all and ": all that there are" or "") or steps)
  os.exit(count ~= nil)
end

return search
