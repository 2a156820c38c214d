-- Checks what must hold of a program when it has ended.

local World = require "spec.fuzz.programs_world"
local uvjobs = require "uvjobs"

local function by_seq(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted, function(a, b) return a.seq < b.seq end)
  return sorted
end

-- The n-th get that succeeded has returned the item of the n-th put: so no call was overtaken,
-- and no item was lost or came twice. Items that nobody got are still in the queue.
local function check_queue(self, known)
  local puts, gets = by_seq(known.puts), by_seq(known.gets)
  for i, get in ipairs(gets) do
    local put = puts[i]
    self:check(put and put.item == get.item, "queue %d: item %d came, and not %s", known.id,
      get.item.number, put and put.item.number)
  end
  for i = #gets + 1, #puts do
    local item = known.thing:try_get()
    self:check(item == puts[i].item, "queue %d: item %d is lost", known.id,
      puts[i].item.number)
  end
  self:check(#known.thing == 0, "queue %d: an item that was not put", known.id)
end

-- A call that came first was served first, or in the same turn.
local function check_line(self, known, name)
  for line, calls in pairs(known.calls) do
    local latest = 0
    for _, call in ipairs(by_seq(calls)) do
      self:check(latest <= call.turn + 1 or self.sliced, "%s %s: %s out of order", name,
        known.name or known.id, line)
      latest = math.max(latest, call.turn)
    end
  end
end

-- In no interval more jobs of a scheduler have started than its rate allows. An interval that
-- begins with a start and ends right after one is the worst.
local function check_rate(self, name, starts, rate, burst)
  for i = 1, #starts do
    for k = i, #starts do
      local most = burst + math.floor(rate * (starts[k] - starts[i]) + 1e-6)
      self:check(k - i + 1 <= most, "%s: %d starts from %g to %g", name, k - i + 1, starts[i],
        starts[k])
    end
  end
end

local function check_things(self)
  for _, name in ipairs { "queues", "semaphores", "mutexes", "schedulers" } do
    for _, known in ipairs(self[name]) do check_line(self, known, name) end
  end
  for _, known in ipairs(self.queues) do check_queue(self, known) end
  for _, known in ipairs(self.semaphores) do
    self:check(known.thing.count == known.total and known.held == 0, "semaphore %d: %d permits",
      known.id, known.thing.count)
  end
  for _, name in ipairs { "limits", "rates" } do
    for _, known in ipairs(self[name]) do check_line(self, known, name) end
  end
  for _, known in ipairs(self.limits) do
    local stats = known.thing:stats()
    self:check(stats.running == 0 and stats.waiting == 0 and known.running == 0,
      "limit %d: %d run, %d wait", known.id, stats.running, stats.waiting)
  end
  for _, known in ipairs(self.rates) do
    check_rate(self, "rate", known.starts, known.options.rate, known.options.burst)
    self:check(known.thing:stats().waiting == 0, "rate %d: jobs wait", known.id)
  end
  for _, known in ipairs(self.breakers) do
    self:check(known.thing:stats().probing == 0, "breaker %d: a probe is lost", known.id)
  end
  for _, known in ipairs(self.singles) do
    self:check(known.thing:stats().running == 0, "single %d: a run is left", known.id)
  end
  for _, known in ipairs(self.mutexes) do
    self:check(tostring(known.thing) == "uvjobs.Mutex: free", "mutex %d: locked", known.id)
  end
end

-- Exactly one of these gets an error: the calls that wait for the job when it ends, the caller of
-- its nursery, or the exception handler.
local function check_error(self, record)
  local times = record.reports + record.raised
  if record.unreported then
    return self:check(times == 0, "J%d: its error was reported", record.id)
  end
  if record.error == nil then -- one nil is like the other
    return self:check(record.reports <= 1, "J%d: reported %d times", record.id, times)
  end
  if record.delivered > 0 then
    return self:check(times == 0, "J%d: its error was delivered, and reported or raised %d times",
      record.id, times)
  end
  -- A parent that is killed while it raises the error raises `killed` instead.
  local killed = record.parent and record.parent.killing or
    record.entry and record.entry.was_killed
  if (record.maybe or killed) and times == 0 then return end
  if times == 0 and record.left then
    return self:check(false, "J%d: its error was lost with a waiter that left", record.id)
  end
  self:check(times == 1, "J%d: its error was reported or raised %d times", record.id, times)
end

local function check_record(self, record)
  local job = record.job
  if not job then
    return self:check(not record.started, "J%d ran, and is unknown", record.id)
  end
  local state, id = job.state, record.id
  self:check(job.closed and record.ended_seq, "J%d has not ended", id)
  self:check(state == record.state, "J%d was %s and is %s", id, record.state, state)
  if record.kind == "main" or record.entry and record.entry.options.timeslice then
    return -- what is noted in a busy job may be interrupted, too
  end
  self:check(record.op == nil, "J%d still waits", id)
  self:check((record.started or false) == (record.is_over or false), "J%d has no end", id)
  self:check((state == "done") == (record.returned == true), "J%d: done, or not?", id)
  self:check(record.started or state == "cancelled", "J%d never ran", id)
  self:check(record.mutex_reports == (record.leaks and 1 or 0), "J%d: %d reports of a mutex",
    id, record.mutex_reports)
  local reports = record.reports
  if state == "failed" then
    check_error(self, record)
  elseif state == "killed" then
    self:check(record.killing and (reports == 1 or reports == 0 and (record.late or record.maybe)),
      "J%d: killed, %d reports", id, reports)
  else
    self:check(reports == 0, "J%d: %s, and reported", id, state)
  end
  if state == "cancelled" and record.started then
    self:check(uvjobs.code(record.error) == "cancelled" and record.error.job == job,
      "J%d: not its own error", id)
  end
end

-- A job that has ended still returns its results, each time the same.
local function check_results(self, record)
  if record.kind == "child" or not record.job or record.kind == "main" then return end
  if record.entry.options.timeslice then return end
  local ok, first, token = pcall(record.job.wait, record.job)
  local state = record.state
  if state == "done" then
    self:check(ok and first == record.id and token == record.token, "J%d: other results",
      record.id)
  elseif state == "failed" then
    self:check(not ok and rawequal(first, record.error), "J%d: another error", record.id)
  else
    self:check(not ok and uvjobs.code(first) == state and first.job == record.job,
      "J%d: not its state", record.id)
  end
end

--- Checks the whole program when the run is over. `ok` and `err` are what run() returned.
function World:check_end(ok, err)
  local stats = uvjobs.stats()
  self:check(stats.live == 0 and stats.ready == 0 and stats.timers == 0, "jobs live: %d",
    stats.live)
  self.stuck = not ok and tostring(err):find "^run is stuck"
  self:check(ok or self.stuck, "run raised %s", err)
  self:check(not self.stuck or not self.finite, "run is stuck, but J%s waits for a time",
    self.finite)
  for _, record in ipairs(self.records) do
    if record.job then self:look(record) end
    check_record(self, record)
    check_results(self, record)
  end
  for _, entry in ipairs(self.schedulers) do
    local running = entry.options.timeslice and 0 or entry.running -- they may miscount
    self:check(entry.s.closed and #entry.s == 0 and running == 0 and entry.shields == 0,
      "%s: open, or jobs live", entry.name)
    if entry.options.start_rate then
      check_rate(self, entry.name, entry.starts, entry.options.start_rate,
        entry.options.start_burst)
    end
  end
  check_things(self)
end

return World
