-- What the random schedules of schedules_spec.lua know of their queues, semaphores
-- and mutexes, and what must hold of them.

local uvjobs = require "uvjobs"
local random = require "spec.random.helper"

local World = random.new_class()

function World.new(seed)
  return setmetatable({
    random = random.generator(seed),
    trace = {},
    queues = {},
    semaphores = {},
    mutexes = {},
    jobs = {}, -- that can be cancelled and closed
    all_jobs = {}, -- these, and the children
    by_thing = {}, -- what is known of a queue, a semaphore or a mutex
    leaking = {}, -- a set: jobs that will end holding a mutex
    leaks = 0, -- their number
    reports = 0, -- as they were reported
    calls = 0, -- operations that were begun
    budget = 300,
  }, World)
end

function World:log(...)
  local line = ("%g #%d %s"):format(uvjobs.now(),
    uvjobs.current() and uvjobs.current().id or 0, table.concat({ ... }, " "))
  self.trace[#self.trace + 1] = line
  if self.verbose then print(line) end
end

--- A random time in seconds. There are few values, so that many things happen at the same time.
function World:span()
  return (self.random(7) - 1) / 4
end

--- A timeout, more often than not.
function World:maybe_span()
  return self.random(3) > 1 and self:span() or nil
end

function World:add(list, thing, known)
  known.name = ("%s%d"):format(list, #self[list] + 1)
  known.waiting = { get = 0, put = 0, take = 0 }
  self[list][#self[list] + 1] = thing
  self.by_thing[thing] = known
end

function World:build()
  for _, capacity in ipairs { 0, 1, self.random(4), math.huge } do
    self:add("queues", uvjobs.queue(capacity), { put = {}, got = {}, puts = 0, gets = 0 })
  end
  for _ = 1, 2 do
    local total = self.random(3)
    self:add("semaphores", uvjobs.semaphore(total), { total = total, held = 0 })
  end
  for _ = 1, 2 do self:add("mutexes", uvjobs.mutex(), {}) end
  self.sched = uvjobs.scheduler {
    limit = self:pick { 3, 8, math.huge },
    pending_limit = self:pick { 0, 2, math.huge },
    close_timeout = self:span(),
    exception_handler = function(_, context) self:report(context) end,
  }
end

function World:report(context)
  self:log("report", context.message)
  if context.message == "Job ended holding a mutex" then
    self.reports = self.reports + 1
    for _, mutex in ipairs(self.mutexes) do
      local known = self.by_thing[mutex]
      if known.owner == context.job then known.owner = nil end
    end
  end
end

--- For a to-be-closed variable: the job waits to "get", "put" or "take" from
--- `thing` until then, or until its stop() is called.
function World:wait(thing, kind)
  local waiting, stopped = self.by_thing[thing].waiting, false
  local function stop()
    if stopped then return end
    stopped = true
    waiting[kind] = waiting[kind] - 1
  end
  waiting[kind] = waiting[kind] + 1
  self.calls = self.calls + 1
  self:log(kind, self.by_thing[thing].name)
  return setmetatable({ stop = stop }, { __close = stop })
end

--- Calls fn(thing, ...), which waits.
function World:waiting(thing, kind, fn, ...)
  local _ <close> = self:wait(thing, kind)
  return fn(thing, ...)
end

-- ---- what is known of the things ---------------------------------------------

function World:begin_put(q)
  local known = self.by_thing[q]
  known.puts = known.puts + 1
  return { seq = known.puts, queue = q }
end

function World:end_put(q, item, ok, why)
  self:check(ok == true or ok == nil and
    (why == "timeout" or why == "closed" or why == "full"), "put returned something else")
  if ok then self.by_thing[q].put[item] = true end
  self:log("put", item.seq, tostring(ok), tostring(why))
end

function World:end_get(q, seen, item, why)
  local known = self.by_thing[q]
  self:log("got", item and item.seq or "nil", tostring(why))
  if item == nil then
    self:check(why == "timeout" or why == "closed" or why == "empty", "get returned something else")
    return
  end
  self:check(item.queue == q, "an item of another queue")
  self:check(not known.got[item], "an item came twice")
  self:check((seen[q] or 0) < item.seq, "a later item came first")
  seen[q] = item.seq
  known.got[item], known.gets = true, known.gets + 1
end

--- For a to-be-closed variable: counts a permit as held until then.
function World:hold(sem, release)
  local known = self.by_thing[sem]
  known.held = known.held + 1
  self:check(known.held <= known.total, "more permits held than there are")
  return setmetatable({}, { __close = function()
    known.held = known.held - 1
    if release then sem:release() end
  end })
end

--- The same for a mutex.
function World:own(mutex, unlock)
  local known, job = self.by_thing[mutex], uvjobs.current()
  self:check(known.owner == nil, "two own a mutex")
  known.owner = job
  return setmetatable({}, { __close = function()
    self:check(known.owner == job, "another one owns the mutex")
    known.owner = nil
    if unlock then mutex:unlock() end
  end })
end

--- Checks, while no job is ready, that every waiting job has a reason to wait.
function World:check_quiet()
  for thing, known in pairs(self.by_thing) do
    local waiting = known.waiting
    local function none(kind, why) self:check(waiting[kind] == 0, kind .. " forgotten: " .. why) end
    if known.puts then
      if #thing > 0 then none("get", "there are items") end
      if #thing < thing.capacity then none("put", "there is room") end
      if waiting.get > 0 then none("put", "somebody waits to get") end
      if thing.closed then none("get", "it is closed"); none("put", "it is closed") end
      self:check(#thing <= thing.capacity, "more items than the capacity")
    elseif known.total then
      self:check(thing.count + known.held == known.total, "permits are not conserved")
      if thing.count > 0 then none("take", "there are permits") end
    elseif known.owner == nil then
      none("take", "the mutex is free")
      self:check(tostring(thing) == "uvjobs.Mutex: free", "it has an owner")
    end
  end
end

--- The current job takes a mutex for good: it will end holding it. It is reported
--- once, however many it holds.
function World:leak(mutex)
  local known, job = self.by_thing[mutex], uvjobs.current()
  self:check(known.owner == nil, "two own a mutex")
  known.owner = job
  if self.leaking[job] then return end
  self.leaking[job] = true
  self.leaks = self.leaks + 1
end

--- Checks, after the end, that nothing was lost.
function World:check_end()
  for _, job in ipairs(self.all_jobs) do self:check(job.closed, tostring(job) .. " lives") end
  for _, q in ipairs(self.queues) do
    local known = self.by_thing[q]
    for item in function() return (q:try_get()) end do
      self:check(not known.got[item], "an item was got, and left")
      known.got[item] = true
    end
    for one in pairs(known.put) do self:check(known.got[one], "an item was lost") end
    for one in pairs(known.got) do self:check(known.put[one], "an item that was not put") end
  end
  for _, sem in ipairs(self.semaphores) do
    self:check(sem.count == self.by_thing[sem].total, "a permit was lost")
  end
  for _, mutex in ipairs(self.mutexes) do
    self:check(tostring(mutex) == "uvjobs.Mutex: free", "a mutex was left locked")
  end
  self:check(self.leaks == self.reports, "a mutex left locked was not reported, or twice")
  for _, known in pairs(self.by_thing) do
    for kind, n in pairs(known.waiting) do self:check(n == 0, "who waits to " .. kind .. "?") end
  end
end

return World
