-- Prints a program of statements as readable Lua. In it `job[n]` stands for the n-th job that was
-- spawned, counted in a circle; `item()` for a new value; `guard(fn)` for a value of a <close>
-- variable that calls fn.

local Text = {}
Text.__index = Text

function Text:line(...)
  self.lines[#self.lines + 1] = ("  "):rep(self.depth) .. string.format(...)
end

function Text:inside(list)
  self.depth = self.depth + 1
  self:block(list)
  self.depth = self.depth - 1
end

function Text:wrap(first, list, last)
  self:line("%s", first)
  self:inside(list)
  self:line("%s", last)
end

local function time(t) return t and ("%g"):format(t) or "" end
local function comma(t) return t and (", %g"):format(t) or "" end

local function options(t)
  local parts = {}
  for key, value in pairs(t) do
    parts[#parts + 1] = type(value) == "string" and ("%s = %q"):format(key, value)
      or value == true and key .. " = true"
      or ("%s = %s"):format(key, value == math.huge and "math.huge" or ("%g"):format(value))
  end
  table.sort(parts)
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local plain = {
  yield = function() return "uvjobs.yield()" end,
  collect = function() return "collectgarbage()" end,
  context = function() return "uvjobs.context.key = item()" end,
  sleep = function(s) return ("uvjobs.sleep(%g)"):format(s.t) end,
  busy = function(s) return ("for _ = 1, %d do end"):format(s.n) end,
  fail = function(s)
    return s.what == "nil" and "error(nil)" or s.what == "table" and "error({})"
      or 'error("failed", 0)'
  end,
  put = function(s) return ("queue%d:put(item()%s)"):format(s.on, comma(s.t)) end,
  get = function(s) return ("queue%d:get(%s)"):format(s.on, time(s.t)) end,
  try_put = function(s) return ("queue%d:try_put(item())"):format(s.on) end,
  try_get = function(s) return ("queue%d:try_get()"):format(s.on) end,
  items = function(s)
    return ("local next = queue%d:items(); for _ = 1, %d do next() end"):format(s.on, s.n)
  end,
  close_queue = function(s) return ("queue%d:close()"):format(s.on) end,
  event_wait = function(s) return ("event%d:wait(%s)"):format(s.on, time(s.t)) end,
  event_set = function(s) return ("event%d:set()"):format(s.on) end,
  event_clear = function(s) return ("event%d:clear()"):format(s.on) end,
  wait = function(s) return ("job[%d]:wait(%s)"):format(s.job, time(s.t)) end,
  join = function(s) return ("job[%d]:join(%s)"):format(s.job, time(s.t)) end,
  close = function(s) return ("job[%d]:close(%s)"):format(s.job, time(s.t)) end,
  cancel = function(s) return ("job[%d]:cancel()"):format(s.job) end,
  close_scheduler = function(s) return s.on .. ":close()" end,
  wait_and_close = function(s) return ("%s:wait_and_close(%s)"):format(s.on, time(s.t)) end,
  select = function(s)
    local parts = {}
    for i, source in ipairs(s.sources) do
      parts[i] = source.kind == "job" and ("job[%d]"):format(source.on)
        or source.kind .. source.on
    end
    if s.t then parts[#parts + 1] = "timeout = " .. time(s.t) end
    return ("uvjobs.select { %s }"):format(table.concat(parts, ", "))
  end,
  await = function(s)
    return ("uvjobs.timeout(%g, uvjobs.await, resumed(%q%s%s))"):format(s.t, s.mode,
      s.mode == "later" and comma(s.after) or "", s.abandon and ", abandon" or "")
  end,
}

local function function_of(call)
  return function(self, s) self:wrap(call(s), s.body, "end)") end
end

local blocks = {}

local function spawn(self, s)
  local first = s.times > 1 and ("for _ = 1, %d do "):format(s.times) or ""
  local given = { timeout = s.timeout, priority = s.priority, key = s.key, unique = s.unique }
  local opts = next(given) and options(given) .. ", " or ""
  self:wrap(("%s%s:%s(%sfunction()"):format(first, s.on, s.kind, opts), s.body,
    s.times > 1 and "end) end" or "end)")
end

blocks.spawn, blocks.try_spawn = spawn, spawn

blocks.sliced = function_of(function() return "sliced:spawn(function()" end)
blocks.timeout = function_of(function(s) return ("uvjobs.timeout(%g, function()"):format(s.t) end)
blocks.protect = function_of(function() return "uvjobs.protect(function()" end)
blocks.pcall = function_of(function() return "pcall(function()" end)
blocks.shield = function_of(function(s) return s.on .. ":shield(function()" end)

function blocks.loop(self, s)
  self:line("for _ = 1, %d do", s.n)
  self.depth = self.depth + 1
  self:wrap("pcall(function()", s.body, "end)")
  self.depth = self.depth - 1
  self:line("end")
end

function blocks.scope(self, s)
  self:line("do")
  self.depth = self.depth + 1
  self:line("local %s <close> = uvjobs.scheduler %s", s.name, options(s.options))
  self:block(s.body)
  self.depth = self.depth - 1
  self:line("end")
end

function blocks.closing(self, s)
  self:line("do")
  self.depth = self.depth + 1
  if s.mode == "protect" then
    self:wrap("local _ <close> = guard(uvjobs.protect, function()", s.handler, "end)")
  else
    self:wrap("local _ <close> = guard(function()", s.handler,
      s.mode == "raise" and "  error({})\nend)" or "end)")
  end
  self:block(s.body)
  self.depth = self.depth - 1
  self:line("end")
end

local function locked(name)
  return function(self, s)
    if s.mode == "leak" then return self:line("%s%d:lock(%s)", name, s.on, time(s.t)) end
    if s.mode == "with" then
      return self:wrap(("%s%d:with(function()"):format(name, s.on), s.body, "end)")
    end
    self:wrap(("do local _ <close> = hold(%s%d, %q%s)"):format(name, s.on, s.mode,
      s.mode == "try" and "" or comma(s.t)), s.body, "end")
  end
end

blocks.semaphore, blocks.mutex = locked "semaphore", locked "mutex"

local function children(self, s)
  self:line("uvjobs.%s {", s.kind)
  self.depth = self.depth + 1
  for _, body in ipairs(s.bodies) do self:wrap("function()", body, "end,") end
  self.depth = self.depth - 1
  self:line("}")
end

blocks.all, blocks.race, blocks.any, blocks.settled = children, children, children, children

function blocks.map(self, s)
  self:wrap(("uvjobs.map(numbers(%d), function()"):format(s.n), s.body,
    ("end, { limit = %d })"):format(s.limit))
end

function blocks.each(self, s)
  local result = s.result
    and (", on_result = function() %s end"):format(plain[s.on_result](s.result)) or ""
  self:wrap(("uvjobs.each(numbers(%d), function()"):format(s.n), s.body,
    ("end, { limit = %d%s })"):format(s.limit, result))
end

function blocks.nursery(self, s)
  self:wrap(("uvjobs.nursery(%s, function(%s)"):format(options(s.options), s.name), s.body, "end)")
end

function blocks.coroutine(self, s)
  self:line("do -- uvjobs.coroutine: resumed %d times, then closed", s.n)
  self.depth = self.depth + 1
  self:wrap("local co <close> = generator(function()", s.body, "end)")
  self:wrap(("for _ = 1, %d do co.resume()"):format(s.n), s.between, "end")
  self.depth = self.depth - 1
  self:line("end")
end

local function shared(self, s)
  local key = s.kind == "single" and ("%d, "):format(s.key) or ""
  self:wrap(("%s%d:call(%sfunction()"):format(s.kind, s.on, key), s.body, "end)")
end

blocks.limit, blocks.rate, blocks.breaker = shared, shared, shared
blocks.single, blocks.debounce = shared, shared

blocks.retry = function_of(function(s)
  return ("uvjobs.retry({ attempts = %d, backoff = %g }, function()"):format(s.n, s.t)
end)
blocks.hedge = function_of(function(s)
  return ("policy.hedge { after = %g, most = %d }:call(function()"):format(s.t, s.n)
end)

function blocks.supervisor(self, s)
  self:line("do")
  self.depth = self.depth + 1
  self:line("local service <close> = uvjobs.supervisor %s", options {
    strategy = s.strategy, intensity = s.intensity, backoff = s.backoff,
    close_timeout = s.close_timeout })
  for _, child in ipairs(s.children) do
    self:line("service:start { restart = %q, function()", child.restart)
    self:inside(child.body)
    self:line("  uvjobs.sleep(%g)", child.life)
    if child.crashes then self:line("  error {}") end
    self:line("end }")
  end
  self:block(s.body)
  self.depth = self.depth - 1
  self:line("end")
end

function Text:block(list)
  for _, s in ipairs(list) do
    if plain[s.kind] then self:line("%s", plain[s.kind](s)) else blocks[s.kind](self, s) end
  end
end

function Text:policies(given)
  for _, kind in ipairs { "limit", "rate", "breaker", "debounce" } do
    for i, opts in ipairs(given[kind .. "s"] or {}) do
      self:line("local %s%d = policy.%s %s", kind, i, kind, options(opts))
    end
  end
  for i = 1, given.singles or 0 do self:line("local single%d = policy.single()", i) end
end

--- Returns the text of a program.
return function(program)
  local self = setmetatable({ lines = {}, depth = 0 }, Text)
  for i, opts in ipairs(program.schedulers) do
    self:line("local s%d = uvjobs.scheduler %s", i, options(opts))
  end
  for i, capacity in ipairs(program.queues) do
    self:line("local queue%d = uvjobs.queue(%s)", i, capacity == math.huge and "" or capacity)
  end
  for i, n in ipairs(program.semaphores) do
    self:line("local semaphore%d = uvjobs.semaphore(%d)", i, n)
  end
  self:policies(program.policies or {})
  if program.slices then
    self:line("local sliced = uvjobs.scheduler { timeslice = 2e-5, close_timeout = 0.25 }")
  end
  self:wrap("root:spawn(function()", program.body,
    program.patient and "end):join()" or "end):join(100)")
  return table.concat(self.lines, "\n")
end
