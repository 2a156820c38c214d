--- A scheduler with priorities, keys and a rate of starts as a plain reference: lists that are
--- searched, and a history of all starts. It is told what happens, and says who starts.
--- Times are whole nanoseconds.
local reference = {}
reference.__index = reference

local NOBODY <const> = {} -- the key of jobs without one
local REMEMBERED <const> = 300

--- `options`: limit, pending_limit, key_limit, aging (ns or nil), fair, step (ns between two
--- starts, or nil), burst.
function reference.new(options)
  return setmetatable({
    options = options, now = 0, pending = {}, blocked = {}, turns = { {}, {} }, turn = 0,
    active = {}, nactive = 0, starting = {}, live = {}, starts = {}, log = {}, paused = false,
    closed = false,
  }, reference)
end

local function remove(list, value)
  for i, other in ipairs(list) do
    if other == value then return table.remove(list, i) end
  end
end

-- ---- who is next -------------------------------------------------------------------

local function has_any(line, key, level)
  for _, job in ipairs(line) do
    if job.key == key and job.level == level then return true end
  end
  return false
end

function reference:turns_of(line, key)
  local all = self.turns[line == self.pending and 1 or 2]
  all[key] = all[key] or {}
  return all[key]
end

function reference:enter_level(line, job, level)
  if not has_any(line, job.key, level) then
    self.turn = self.turn + 1
    self:turns_of(line, job.key)[level] = self.turn
  end
  job.level = level
end

local function ages_at(job, aging)
  if job.level == 0 then return math.huge end
  return job.since + (job.priority - job.level + 1) * aging
end

--- Everybody ages up to now, in the order in which it happens.
function reference:age(line)
  local aging = self.options.aging
  if not aging then return end
  while true do
    local next_one
    for _, job in ipairs(line) do
      if not next_one or ages_at(job, aging) < ages_at(next_one, aging) then next_one = job end
    end
    if not next_one or ages_at(next_one, aging) > self.now then return end
    self:enter_level(line, next_one, next_one.level - 1)
  end
end

function reference:is_open(key)
  return key == NOBODY or (self.active[key] or 0) < self.options.key_limit
end

function reference:first(line, only_open)
  local best
  self:age(line)
  for _, job in ipairs(line) do
    if only_open and not self:is_open(job.key) then goto continue end
    if not best or job.level < best.level or job.level == best.level and self.options.fair
        and self:turns_of(line, job.key)[job.level]
        < self:turns_of(line, best.key)[best.level] then
      best = job
    end
    ::continue::
  end
  return best
end

--- #P6, as it is written: no interval up to `now` has more than burst + floor(rate * length).
function reference:rate_allows(at)
  local step, burst, n = self.options.step, self.options.burst, #self.starts + #self.starting
  if not step then return true end
  for i, start in ipairs(self.starts) do
    if n - i + 2 > burst + (at - start) // step then return false end
  end
  return #self.starting + 1 <= burst
end

function reference:may_start()
  return not self.paused and not self.closed and self.nactive < self.options.limit
    and self:rate_allows(self.now)
end

-- ---- letting in --------------------------------------------------------------------

local function put(self, line, job)
  job.since = self.now
  self:enter_level(line, job, job.priority)
  table.insert(line, job)
end

local function serve(self, line, job)
  remove(line, job)
  self.turn = self.turn + 1
  self:turns_of(line, job.key)[job.level] = self.turn
end

local function give_slot(self, job)
  job.state = "active"
  self.nactive = self.nactive + 1
  self.active[job.key] = (self.active[job.key] or 0) + 1
  table.insert(self.starting, job)
end

local function give_place(self, job)
  job.state = "pending"
  self:age(self.pending)
  put(self, self.pending, job)
end

local function admitted(self, job)
  if job.key == NOBODY then return end
  table.insert(self.live, job)
  for i = #self.blocked, 1, -1 do
    local other = self.blocked[i]
    if other.unique and other.key == job.key then
      table.remove(self.blocked, i)
      other.state, other.twin = "turned away", self:oldest(job.key)
    end
  end
end

function reference:let_in()
  while true do
    local job, line = nil, self.pending
    if self:may_start() then
      job = self:first(self.pending, true)
      if not job then job, line = self:first(self.blocked, true), self.blocked end
    end
    local starts = job ~= nil
    if not job and not self.closed and #self.pending < self.options.pending_limit then
      job, line = self:first(self.blocked, false), self.blocked
    end
    if not job then return end
    serve(self, line, job)
    if starts then give_slot(self, job) else give_place(self, job) end
    if line == self.blocked then admitted(self, job) end
  end
end

--- The oldest job of a key that lives.
function reference:oldest(key)
  for _, job in ipairs(self.live) do
    if job.key == key then return job end
  end
end

-- ---- what happens ------------------------------------------------------------------

--- A job: its `id`, `priority`, `key` (or nil), `unique`.
function reference.job(job)
  job.key = job.key == nil and NOBODY or job.key
  job.state = "new"
  return job
end

--- Returns what becomes of it: its state, which is "blocked" only if the caller can wait.
function reference:spawn(job, can_wait)
  if self.closed then job.state = "refused" return job.state end
  if job.unique and self:oldest(job.key) then
    job.state, job.twin = "turned away", self:oldest(job.key)
    return job.state
  end
  self:let_in()
  if self:may_start() and self:is_open(job.key) then
    give_slot(self, job)
    admitted(self, job)
  elseif #self.pending < self.options.pending_limit then
    give_place(self, job)
    admitted(self, job)
    self:let_in()
  elseif can_wait then
    job.state = "blocked"
    self:age(self.blocked)
    put(self, self.blocked, job)
    self:let_in()
  else
    job.state = "refused"
  end
  return job.state
end

--- A job ends, or a blocked one is dropped.
function reference:leave(job, state)
  local was = job.state
  job.state = state
  self:age(self.pending)
  self:age(self.blocked)
  if was == "blocked" then
    remove(self.blocked, job)
    return
  end
  remove(self.live, job)
  if was == "pending" then
    remove(self.pending, job)
  else
    remove(self.starting, job)
    self.nactive = self.nactive - 1
    self.active[job.key] = self.active[job.key] - 1
  end
  self:let_in()
end

--- Those that have a slot and have not started do so, now.
function reference:settle()
  while #self.starting > 0 and not self.paused do
    local job = table.remove(self.starting, 1)
    job.started, job.ends = self.now, job.timeout and self.now + job.timeout
    if self.options.step then
      table.insert(self.starts, self.now)
      if #self.starts > REMEMBERED then table.remove(self.starts, 1) end
    end
    table.insert(self.log, job)
    self:let_in()
  end
end

--- When the rate allows the next start, or nil.
local function next_start(self)
  local step, burst, n = self.options.step, self.options.burst, #self.starts
  local at = 0
  if not step or self.paused or self.nactive >= self.options.limit
      or not (self:first(self.pending, true) or self:first(self.blocked, true)) then
    return
  end
  for i, start in ipairs(self.starts) do
    at = math.max(at, start + (n - i + 2 - burst) * step)
  end
  return at > self.now and at or nil
end

--- Time passes. `jobs` is a list of those that may end by their deadlines.
function reference:advance(till, jobs)
  while true do
    local at, ending = next_start(self), nil
    for _, job in ipairs(jobs) do
      if job.started and job.state == "active" and job.ends and (not at or job.ends < at) then
        at, ending = job.ends, job
      end
    end
    if not at or at > till then break end
    self.now = at
    if ending then self:leave(ending, "failed") else self:let_in() end
    self:settle()
  end
  self.now = till
end

function reference:close()
  self.closed = true
  for _, list in ipairs { self.blocked, self.pending } do
    while list[1] do
      list[1].state = "cancelled"
      table.remove(list, 1)
    end
  end
end

return reference
