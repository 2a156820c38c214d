-- Makes the program of a seed: a tree of statements, which consists of numbers and names only.
-- So it can be printed, run again, and made smaller.

local tree = {}

--- Returns a generator (splitmix64) whose numbers are the same everywhere. random(n) returns a
--- number from 1 to n.
function tree.random(seed)
  local state = seed
  return function(n)
    state = state + 0x9e3779b97f4a7c15
    local x = state
    x = (x ~ (x >> 30)) * 0xbf58476d1ce4e5b9
    x = (x ~ (x >> 27)) * 0x94d049bb133111eb
    return ((x ~ (x >> 31)) >> 1) % n + 1
  end
end

local Maker = {}
Maker.__index = Maker

function Maker:pick(list) return list[self.random(#list)] end

function Maker:chance(n) return self.random(n) == 1 end

--- Returns seconds. There are only a few values, so that many things happen at the same time.
function Maker:span() return (self.random(7) - 1) / 4 end

--- Returns a time limit. It is seldom nil, because a call without a limit may wait for ever.
function Maker:limit() return not self:chance(8) and self:span() or nil end

--- Returns the number of a job. Which job it stands for depends on how many there are when the
--- statement runs.
function Maker:job() return self.random(64) end

-- ---- statements --------------------------------------------------------------

local make = {}

local function simple(...)
  for _, kind in ipairs { ... } do make[kind] = function() return {} end end
end

simple("yield", "collect", "context")

local function with_limit(list, ...)
  for _, kind in ipairs { ... } do
    make[kind] = function(self) return { on = self:pick(self[list]), t = self:limit() } end
  end
end

with_limit("queues", "put", "get", "try_put", "try_get")
with_limit("events", "event_wait", "event_set", "event_clear")

function make.sleep(self) return { t = self:span() } end
function make.busy(self) return { n = self.random(40) * 100 } end
function make.fail(self) return { what = self:pick { "string", "table", "table", "nil" } } end
function make.items(self) return { on = self:pick(self.queues), n = self.random(4) } end

function make.close_queue(self)
  return self:chance(3) and { on = self:pick(self.queues) } or nil
end

function make.wait(self) return { job = self:job(), t = self:chance(2) and self:span() or nil } end
function make.join(self) return { job = self:job(), t = self:limit() } end
function make.close(self) return { job = self:job(), t = self:chance(3) and self:span() or nil } end
function make.cancel(self) return { job = self:job() } end

function make.spawn(self, depth)
  local made = {
    on = self:pick(self.scheds),
    times = self:chance(2) and self.random(5) or 1,
    timeout = self:chance(4) and self:span() or nil,
  }
  if self.ranks then
    made.priority = self:chance(2) and self:pick { 0, 4, 5, 9 } or nil
    made.key = self:chance(2) and self:pick { "a", "b", 1 } or nil
    made.unique = made.key and self:chance(4) or nil
  end
  made.body = self:block(depth + 1)
  return made
end

make.try_spawn = make.spawn

function make.sliced(self, depth)
  if not self.slices then return nil end
  local was = self.weights
  self.weights = self.sliced_weights
  local made = { n = self.random(40) * 100, body = self:block(depth + 1) }
  self.weights = was
  return made
end

function Maker:sched_options()
  local made = {
    limit = self:pick { 1, 1, 2, 3, math.huge },
    pending_limit = self:pick { 0, 1, 2, math.huge },
    -- not 0: then what a killed job closes may be interrupted at once
    close_timeout = self.random(6) / 4,
    wait_timeout = self:span() * 4,
    on_error = self:chance(4) and "cancel" or nil,
  }
  if self.ranks then
    made.aging = self:chance(3) and self.random(4) / 4 or nil
    made.fair = self:chance(3) or nil
    made.key_limit = self:chance(3) and self.random(2) or nil
    made.start_rate = self:chance(4) and self:pick { 1, 2, 8 } or nil
    made.start_burst = made.start_rate and self.random(2)
  end
  return made
end

--- A block that has a scheduler of its own.
function Maker:with_scheduler(made, depth)
  made.name = ("s%d"):format(#self.scheds + 1)
  table.insert(self.scheds, made.name)
  table.insert(self.scheds, made.name) -- twice: statements of the block often use it
  made.body = self:block(depth + 1)
  table.remove(self.scheds)
  return made
end

function make.scope(self, depth)
  return self:with_scheduler({ options = self:sched_options() }, depth)
end

function make.timeout(self, depth) return { t = self:span(), body = self:block(depth + 1) } end
function make.protect(self, depth) return { body = self:block(depth + 1) } end
function make.pcall(self, depth) return { body = self:block(depth + 1) } end
function make.loop(self, depth) return { n = 1 + self.random(4), body = self:block(depth + 1) } end

function make.closing(self, depth)
  return {
    mode = self:pick { "plain", "protect", "protect", "raise" },
    handler = self:block(depth + 2),
    body = self:block(depth + 1),
  }
end

function make.semaphore(self, depth)
  return {
    on = self:pick(self.semaphores), mode = self:pick { "acquire", "with", "permit", "try" },
    t = self:limit(), body = self:block(depth + 1),
  }
end

function make.mutex(self, depth)
  return {
    on = self:pick(self.mutexes), mode = self:pick { "lock", "with", "permit", "try", "leak" },
    t = self:limit(), body = self:block(depth + 1),
  }
end

function make.close_scheduler(self) return { on = self:pick(self.scheds) } end

function make.wait_and_close(self)
  return { on = self:pick(self.scheds), t = self:chance(2) and self:span() or nil }
end

function make.shield(self, depth)
  return { on = self:pick(self.scheds), body = self:block(depth + 1) }
end

local function children(self, depth)
  local bodies = {}
  for i = 1, self.random(3) do bodies[i] = self:block(depth + 1) end
  return { bodies = bodies }
end

make.all, make.race, make.any, make.settled = children, children, children, children

function make.map(self, depth)
  return { n = self.random(5), limit = self.random(3), body = self:block(depth + 1) }
end

-- What on_result does is one statement that ends at once when it is cancelled: so `each` raises
-- in time.
function make.each(self, depth)
  local made = make.map(self, depth)
  if self:chance(2) then
    made.on_result = self:pick { "yield", "sleep", "sleep", "fail" }
    made.result = make[made.on_result](self)
    made.result.kind = made.on_result
  end
  return made
end

function make.select(self)
  local sources = {}
  for i = 1, self.random(3) do
    local kind = self:pick { "queue", "queue", "event", "job" }
    sources[i] = { kind = kind, on = kind == "queue" and self:pick(self.queues)
      or kind == "event" and self:pick(self.events) or self:job() }
  end
  return { sources = sources, t = self:limit() }
end

function make.nursery(self, depth)
  local options = self:sched_options()
  options.on_error, options.wait_timeout = nil, nil -- a nursery has its own
  return self:with_scheduler({ options = options }, depth)
end

function make.await(self)
  return {
    mode = self:pick { "now", "later", "later", "never" }, after = self:span(),
    t = self:span(), abandon = self:chance(2) or nil,
  }
end

function make.coroutine(self, depth)
  return { n = self.random(3), body = self:block(depth + 1), between = self:block(depth + 2) }
end

-- ---- policies ----------------------------------------------------------------

local function with_policy(list, ...)
  for _, kind in ipairs { ... } do
    make[kind] = function(self, depth)
      if not self.policies then return nil end
      return { on = self:pick(self.policies[list]), key = self.random(2),
        body = self:block(depth + 1) }
    end
  end
end

with_policy("limits", "limit")
with_policy("rates", "rate")
with_policy("breakers", "breaker")
with_policy("singles", "single")
with_policy("debounces", "debounce")

function make.retry(self, depth)
  if not self.policies then return nil end
  return { n = self.random(4), t = self:span(), body = self:block(depth + 1) }
end

make.hedge = make.retry

function make.supervisor(self, depth)
  if not self.policies then return nil end
  local made = {}
  for i = 1, self.random(3) do
    made[i] = {
      restart = self:pick { "permanent", "transient", "temporary" },
      life = self:span(), crashes = self:chance(2) or nil, body = self:block(depth + 2),
    }
  end
  return {
    strategy = self:pick { "one_for_one", "rest_for_one", "one_for_all" },
    intensity = self.random(4) - 1, backoff = self:span(), close_timeout = self.random(2) / 4,
    children = made, body = self:block(depth + 1),
  }
end

-- The options of the policies of a program.
function Maker:policies_of_program()
  return {
    limits = { { limit = self.random(2), pending_limit = self:pick { 0, 1, 3, math.huge },
      most_wait = self:chance(2) and self:span() or math.huge } },
    rates = { { rate = self:pick { 1, 4, 8 }, burst = self.random(2),
      most_wait = self:chance(2) and self:span() or math.huge } },
    breakers = { { window = 2, minimum = self.random(3), ratio = 0.5, probes = self.random(2),
      open = self.random(4) / 4 } },
    singles = 1,
    debounces = { { wait = self:span(), most = 1 } },
  }
end

-- ---- blocks ------------------------------------------------------------------

local function list_of(weights)
  local list = {}
  for kind, weight in pairs(weights) do
    for _ = 1, weight do list[#list + 1] = kind end
  end
  table.sort(list)
  return list
end

local LEAVES <const> = 4 -- statements deeper than this have no blocks

local leaf = {
  sleep = 9, yield = 4, fail = 3, put = 5, get = 5, try_put = 2, try_get = 2, items = 1,
  close_queue = 1, event_wait = 3, event_set = 3, event_clear = 1, wait = 5, join = 3,
  close = 3, cancel = 4, close_scheduler = 1, wait_and_close = 1, await = 3, context = 2,
  select = 4,
}

local block = {
  spawn = 14, try_spawn = 4, scope = 4, timeout = 4, protect = 3, pcall = 6, loop = 3,
  closing = 6, semaphore = 6, mutex = 6, shield = 3, all = 2, race = 2, map = 2,
  coroutine = 2, sliced = 4, nursery = 5, any = 2, settled = 2, each = 2,
}

-- In a program that has policies.
local policies = {
  limit = 8, rate = 6, breaker = 6, single = 6, debounce = 4, retry = 8, hedge = 5,
  supervisor = 6,
}

local sliced = {
  busy = 12, sleep = 4, yield = 4, fail = 1, wait = 1, join = 2, close = 1, cancel = 2,
  timeout = 3, pcall = 4, closing = 3, protect = 2, event_set = 1,
}

-- Most programs prefer some kinds of statements, so that several jobs use the same thing.
local themes = {
  {}, { "put", "get", "spawn", "spawn", "items" }, { "semaphore", "spawn", "cancel" },
  { "mutex", "spawn", "cancel" }, { "event_wait", "event_set", "spawn" },
  { "spawn", "shield", "close_scheduler", "wait_and_close" }, { "wait", "close", "spawn" },
  { "nursery", "spawn", "fail" }, { "select", "put", "spawn", "event_set", "event_clear" },
  { "each", "any", "settled", "sleep" },
}

local function with_theme(list, theme, leaf_only)
  local made = table.move(list, 1, #list, 1, {})
  for _, kind in ipairs(theme) do
    for _ = 1, (leaf_only and not leaf[kind]) and 0 or 15 do made[#made + 1] = kind end
  end
  return made
end

local sliced_leaf = { busy = 4, sleep = 2, yield = 2, cancel = 1, join = 1 }

local leaves = list_of(leaf)
local sliced_leaves = list_of(sliced_leaf)
local all = list_of((function()
  local both = {}
  for _, from in ipairs { leaf, block } do
    for kind, weight in pairs(from) do both[kind] = weight end
  end
  return both
end)())

function Maker:statement(depth)
  local deep = self.weights == self.sliced_weights and sliced_leaves or self.leaves
  local kind = self:pick(depth >= LEAVES and deep or self.weights)
  self.left = self.left - 1
  local made = make[kind](self, depth)
  if made == nil then return { kind = "yield" } end
  made.kind = kind
  return made
end

function Maker:block(depth)
  local made = {}
  if depth > LEAVES + 1 then return made end
  for i = 1, self.random(4) do
    if self.left <= 0 then break end
    made[i] = self:statement(depth)
  end
  return made
end

-- The root goes on after a statement that has failed, so that more of the program runs.
function Maker:root()
  local made = {}
  while self.left > 0 do
    local statement = self:statement(0)
    made[#made + 1] = statement.kind == "spawn" and statement
      or { kind = "pcall", body = { statement } }
  end
  return made
end

local function things(self, n, fn)
  local list = {}
  for i = 1, n do list[i] = fn(self) end
  return list
end

local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

--- Returns the program of a seed.
function tree.program(seed)
  local self = setmetatable({ random = tree.random(seed) }, Maker)
  local theme = self:pick(themes)
  self.weights, self.leaves = with_theme(all, theme), with_theme(leaves, theme, true)
  self.sliced_weights = list_of(sliced)
  self.left = 10 + self.random(90)
  self.slices = self:chance(10)
  self.ranks = self:chance(3)
  self.scheds = { "s1", "s2" }
  local program = {
    seed = seed, shuffle = self.random(1 << 40), slices = self.slices,
    schedulers = things(self, 2, self.sched_options),
    queues = things(self, 2, function() return self:pick { 0, 1, 2, math.huge } end),
    semaphores = things(self, 2, function() return self:pick { 1, 1, 2, 3 } end),
    mutexes = 2, events = 2, patient = self:chance(4),
  }
  for _, name in ipairs { "queues", "semaphores", "mutexes", "events" } do
    self[name] = numbers(self.random(2))
  end
  if self:chance(20) then table.insert(self.weights, "collect") end
  if self:chance(4) then
    program.policies = self:policies_of_program()
    self.policies = { limits = { 1 }, rates = { 1 }, breakers = { 1 }, singles = { 1 },
      debounces = { 1 } }
    for _, kind in ipairs(list_of(policies)) do table.insert(self.weights, kind) end
  end
  program.body = self:root()
  return program
end

--- Calls fn(block) for each block of statements in a block, itself first.
function tree.each_block(list, fn)
  fn(list)
  for _, statement in ipairs(list) do
    if statement.body then tree.each_block(statement.body, fn) end
    if statement.handler then tree.each_block(statement.handler, fn) end
    if statement.between then tree.each_block(statement.between, fn) end
    for _, body in ipairs(statement.bodies or {}) do tree.each_block(body, fn) end
    for _, child in ipairs(statement.children or {}) do tree.each_block(child.body, fn) end
  end
end

return tree
