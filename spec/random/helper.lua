--- What random programs and random schedules share: the base of their worlds, which know what the
--- jobs have done and check it. A world has a `trace`, a list of lines.
local random = {}

--- A generator that gives the same numbers on every machine: `fn(n)` is one of 1 to n.
function random.generator(seed)
  local state = seed * 7919 + 12345
  return function(n)
    state = (state * 1103515245 + 12345) % 2147483648
    return state // 65536 % n + 1
  end
end

--- A class of worlds.
function random.new_class()
  local World = {}
  World.__index = World

  --- Like assert, but a pcall around it changes nothing: the world is broken.
  function World:check(condition, message)
    if condition then return end
    self.broken = self.broken or debug.traceback(message, 2)
    error(message, 2)
  end

  function World:pick(list)
    return list[self.random(#list)]
  end

  return World
end

return random
