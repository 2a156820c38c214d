-- Random programs of jobs under the virtual clock. Whatever they do, every job ends once, limits
-- hold, nobody waits for ever, and the same seed gives the same program.
--
-- SEED=n replays one program and prints its trace; SEEDS=n tries that many.

local helper = require "spec.helper"
local random = require "spec.random.helper"
local uvjobs = require "uvjobs"

local only = tonumber(os.getenv("SEED"))
local first, last = only or 1, only or tonumber(os.getenv("SEEDS")) or 300

local final = { done = true, failed = true, cancelled = true, killed = true }

-- ---- what one program knows, and what is checked in it -------------------------

local World = random.new_class()

local function new_world(seed)
  return setmetatable({
    random = random.generator(seed),
    trace = {},
    records = {}, -- of every job and every shielded function
    by_job = {},
    scheds = {},
    events = {},
    waits = {}, -- a set: calls that wait for a job and have not returned
    budget = 250,
  }, World)
end

function World:log(...)
  self.trace[#self.trace + 1] = ("%g %s"):format(uvjobs.now(), table.concat({ ... }, " "))
end

--- A random time in seconds. There are few values, so that many things happen at the same time.
function World:span()
  return (self.random(8) - 1) / 4
end

-- The limit of a wait has passed, or nothing else can end the wait.
function World:late(context)
  self:check(#context.jobs > 0 and uvjobs.current() == nil, "nobody is late")
  for _, job in ipairs(context.message == "Waiting timed out" and context.jobs or {}) do
    local record = self.by_job[job]
    if record then record.told = true end
  end
end

function World:add_scheduler()
  local s
  s = uvjobs.scheduler {
    stats = true,
    on_start = function(job) self:announced(s, job, "starts") end,
    on_end = function(job) self:announced(s, job, "ends") end,
    limit = self:pick { 1, 2, 3, math.huge },
    pending_limit = self:pick { 0, 1, 3, math.huge },
    close_timeout = self:span(),
    wait_timeout = self:span() * 2,
    exception_handler = function(from, context)
      if context.jobs then return self:late(context) end
      local record = self.by_job[context.job]
      self:check(from == s and record, "reported by the wrong scheduler")
      self:check(uvjobs.current() == nil, "reported inside a job")
      record.reports = record.reports + 1
      self:log("report", record.id, context.message)
    end,
  }
  self.scheds[#self.scheds + 1] = s
  self.scheds[s] = { running = 0, most = s.limit, most_pending = s.pending_limit,
                     starts = {}, ends = {}, shielded = {} }
  return s
end

function World:announced(sched, job, what)
  local jobs = self.scheds[sched][what]
  self:check(uvjobs.current() == nil, "announced inside a job")
  self:check(jobs[job] == nil and job.scheduler == sched, "announced twice, or elsewhere")
  self:check(job.closed == (what == "ends"), "announced too early or too late")
  jobs[job] = true
end

--- How many there may be: the limit, or as many as there were when it was lowered.
local function bound(limit, most, now)
  return math.max(limit, math.min(most, now))
end

function World:check_limits()
  for _, s in ipairs(self.scheds) do
    local pending, active = 0, 0
    for job in s:jobs() do
      if job.pending then pending = pending + 1 else active = active + 1 end
    end
    local counts = self.scheds[s]
    self:check(pending == s.pending_count and pending <= counts.most_pending, "pending_limit")
    self:check(active == s.active_count and active <= counts.most, "limit")
    self:check(counts.running <= counts.most, "more jobs run than the limit allows")
    counts.most = bound(s.limit, counts.most, active)
    counts.most_pending = bound(s.pending_limit, counts.most_pending, pending)
    self:check(#s == pending + active, "length")
    self:check(not s.closed or pending == 0, "pending jobs in a closed scheduler")
    self:check(pending == 0 or active >= s.limit or s.paused,
               "a job is pending beside a free slot")
  end
end

local function code_of(err)
  return uvjobs.code(err) or "error"
end

--- Calls fn(...), which waits for the job of `target`.
function World:waiting(target, fn, ...)
  local wait <close> = setmetatable({ target = target }, {
    __close = function(wait) self.waits[wait] = nil end,
  })
  self.waits[wait] = true
  return fn(...)
end

--- All waiters of jobs that had ended when this was called last are gone.
function World:check_waiters()
  for wait in pairs(self.waits) do
    self:check(not wait.late, "a waiter of an ended job was not woken")
    wait.late = wait.target.closed
  end
end

-- ---- the jobs ----------------------------------------------------------------

local actions, weights
local suspends = { sleep = true, yield = true, event = true, shield = true }

function World:act(record, depth)
  if self.budget <= 0 then return end
  self.budget = self.budget - 1
  local name = self:pick(weights)
  local doomed = suspends[name] and not record.protected and record.job.state == "closing"
  self:log(record.id, name)
  actions[name](self, record, depth + 1)
  self:check(not doomed, "an operation of a cancelled job did not raise")
  self:log(record.id, name, "returned")
end

function World:acts(record, depth)
  if depth > 4 then return end
  for _ = 1, self.random(4) do
    local ok, err = pcall(self.act, self, record, depth)
    if not ok and self.random(5) == 1 then error(err, 0) end
    if not ok then self:log(record.id, "caught", code_of(err)) end
  end
end

function World:new_record(sched, shielded)
  local record = { id = #self.records + 1, sched = sched, shielded = shielded }
  for _, count in ipairs { "starts", "closes", "reports", "opened", "handled" } do
    record[count] = 0
  end
  self.records[record.id] = record
  return record
end

--- The function of every job.
local function body(world, record)
  local job = uvjobs.current()
  local counts = world.scheds[record.sched]
  record.job, world.by_job[job] = job, record
  counts.shielded[job] = record.shielded
  record.starts = record.starts + 1
  world:log(record.id, "starts")
  world:check(record.shielded or not record.sched.paused, "a job started while paused")
  local _ <close> = setmetatable({}, { __close = function(_, err)
    if not record.shielded then counts.running = counts.running - 1 end
    record.closes = record.closes + 1
    record.error = err
    world:log(record.id, "ends", err == nil and "-" or code_of(err))
  end })
  if not record.shielded then counts.running = counts.running + 1 end
  world:check_limits()
  world:acts(record, 0)
  record.returned = true
  return record.id
end

function World:spawned(record, job)
  record.job, self.by_job[job] = job, record
  self:check_limits()
end

local function spawn_options(world)
  return { timeout = world.random(4) == 1 and world:span() or nil }
end

function World:other_job(record)
  if #self.records == 0 then return nil end
  local other = self:pick(self.records)
  return other ~= record and other.job and not other.shielded and other or nil
end

-- Runs fn and checks that it took `most` seconds at most, and `least` at least
-- unless it raised.
local function timed(world, least, most, fn, ...)
  local start = uvjobs.now()
  local got = table.pack(pcall(fn, ...))
  local took = uvjobs.now() - start
  world:check(took <= most + 1e-9, "it took too long")
  world:check(not got[1] or took >= least - 1e-9, "it returned early")
  if not got[1] then
    if uvjobs.code(got[2]) == "timeout" and got[2].job then
      world.by_job[got[2].job].told = true -- its closer knows, so nobody else need be told
    end
    error(got[2], 0)
  end
  return table.unpack(got, 2, got.n)
end

actions = {
  sleep = function(world)
    local span = world:span()
    timed(world, span, span, uvjobs.sleep, span)
  end,
  yield = function(world) timed(world, 0, 0, uvjobs.yield) end,
  spawn = function(world)
    local sched = world:pick(world.scheds)
    local closed, record = sched.closed, world:new_record(sched)
    local ok, job = pcall(sched.spawn, sched, spawn_options(world), body, world, record)
    record.refused = not ok
    if not ok then error(job, 0) end
    world:check(not closed, "spawned in a closed scheduler")
    world:spawned(record, job)
  end,
  try_spawn = function(world)
    local sched = world:pick(world.scheds)
    local record = world:new_record(sched)
    local job = sched:try_spawn(spawn_options(world), body, world, record)
    if job then world:spawned(record, job) else record.refused = true end
  end,
  wait = function(world, record)
    local other = world:other_job(record)
    if not other then return end
    other.asked = true
    local span = world.random(2) == 1 and world:span() or nil
    local most = span and span + other.sched.close_timeout or math.huge
    local ok, result = pcall(world.waiting, world, other.job, timed, world, 0, most,
      other.job.wait, other.job, span)
    world:check(not ok or result == other.id and other.job.state == "done", "a wrong result")
    if not ok then error(result, 0) end
  end,
  join = function(world, record)
    local other = world:other_job(record)
    if not other then return end
    local span = world.random(2) == 1 and world:span() or nil
    local ended = world:waiting(other.job, timed, world, 0, span or math.huge,
      other.job.join, other.job, span)
    world:check(not ended or other.job.closed, "joined a job that lives")
  end,
  close = function(world, record)
    local other = world:other_job(record)
    if not other then return end
    other.asked = true
    local span = world:span()
    world:waiting(other.job, timed, world, 0, span, other.job.close, other.job, span)
    world:check(other.job.closed, "closed a job that lives")
  end,
  cancel = function(world, record)
    local other = world:other_job(record)
    if other then other.job:cancel() end
  end,
  set = function(world) world:pick(world.events):set() end,
  clear = function(world) world:pick(world.events):clear() end,
  event = function(world)
    local span = world:span()
    timed(world, 0, span, uvjobs.event().wait, world:pick(world.events), span)
  end,
  timeout = function(world, record, depth)
    uvjobs.timeout(world:span(), world.acts, world, record, depth)
  end,
  protect = function(world, record, depth)
    local was = record.protected
    local _ <close> = setmetatable({}, { __close = function() record.protected = was end })
    record.protected = true
    uvjobs.protect(world.acts, world, record, depth)
  end,
  fail = function(world, record) error({ record.id, world.budget }) end,
  closing = function(world, record, depth)
    local mode = world.random(4)
    record.opened = record.opened + 1
    local _ <close> = setmetatable({}, { __close = function()
      record.handled = record.handled + 1
      if mode == 1 then uvjobs.protect(uvjobs.sleep, world:span()) end
      if mode == 2 then world:acts(record, depth + 2) end
      if mode == 3 then error({ "handler" }) end
    end })
    world:acts(record, depth)
  end,
  shield = function(world)
    local sched = world:pick(world.scheds)
    sched:shield(body, world, world:new_record(sched, true))
  end,
  await = function(world)
    local span, mode, abandoned = world:span(), world.random(3), 0
    local ok, got = pcall(uvjobs.timeout, 1, uvjobs.await, function(resume)
      if mode == 1 then resume("early") end
      if mode == 2 then
        local record = world:new_record(world.scheds[1])
        record.refused = true -- it is no job with the usual body
        world.scheds[1]:try_spawn(function()
          world.by_job[uvjobs.current()] = record
          uvjobs.sleep(span)
          resume("late")
          resume("twice")
        end)
      end
      return function() abandoned = abandoned + 1 end
    end)
    world:check(abandoned <= (ok and 0 or 1), "abandoned too often")
    if not ok then error(got, 0) end
    world:check(got == (mode == 1 and "early" or "late"), "a wrong value")
  end,
  set_limits = function(world)
    local sched = world:pick(world.scheds)
    local counts = world.scheds[sched]
    world:check_limits()
    counts.most, counts.most_pending = math.huge, math.huge -- until it is checked
    sched.limit = world:pick { 1, 2, 3, math.huge }
    sched.pending_limit = world:pick { 0, 1, 3, math.huge }
    counts.most = math.max(sched.limit, sched.active_count)
    counts.most_pending = math.max(sched.pending_limit, sched.pending_count)
    world:check_limits()
  end,
  pause = function(world)
    local sched = world:pick(world.scheds)
    sched:pause()
    local _ <close> = setmetatable({}, { __close = function() sched:resume() end })
    uvjobs.sleep(world:span())
  end,
  wait_idle = function(world, record)
    local sched = world:pick(world.scheds)
    if sched == record.sched then return end
    local span = world:span()
    local idle, reason = timed(world, 0, span, sched.wait_idle, sched, span)
    world:check(idle and #sched == 0 or reason == "timeout", "idle, or not?")
  end,
  close_scheduler = function(world)
    local sched = world:pick(world.scheds)
    timed(world, 0, sched.close_timeout, sched.close, sched)
  end,
  wait_and_close = function(world, record)
    local sched = world:pick(world.scheds)
    if sched == record.sched then return end
    local span = world:span()
    timed(world, 0, span + sched.close_timeout, sched.wait_and_close, sched, span)
    world:check(#sched == 0 and sched.closed, "left open or with jobs")
  end,
}

weights = {}
for name, weight in pairs {
  sleep = 6, yield = 3, spawn = 7, try_spawn = 3, wait = 4, join = 3, close = 2, cancel = 2,
  set = 2, clear = 1, event = 2, timeout = 3, protect = 2, fail = 1, closing = 4, shield = 1,
  await = 2, close_scheduler = 1, wait_and_close = 1, set_limits = 2, pause = 1, wait_idle = 1,
} do
  for _ = 1, weight do weights[#weights + 1] = name end
end
table.sort(weights)

-- ---- a program ---------------------------------------------------------------

local function check_record(record)
  local job, state = record.job, record.job and record.job.state
  if record.refused or not job then
    assert(record.starts == 0, "a job that was not admitted ran")
    return
  end
  assert(final[state] and job.closed and not job.active and not job.pending, "it did not end")
  assert(record.starts <= 1 and record.closes == record.starts, "not one start and one end")
  assert(record.opened == record.handled, "a <close> variable was not run once")
  assert((state == "done") == (record.returned == true), "done, or not?")
  assert(record.starts == 1 or state == "cancelled", "it never ran")
  if state == "failed" then
    assert(record.error ~= nil and select(2, pcall(job.wait, job)) == record.error, "its error")
    assert(record.asked or record.shielded or record.reports == 1, "a failure went unseen")
  elseif state == "cancelled" and record.starts == 1 then
    assert(uvjobs.code(record.error) == "cancelled" and record.error.job == job, "its own error")
  end
  assert(record.reports <= (state == "failed" and 1 or 0) or state == "killed", "reported")
  assert(state ~= "killed" or record.reports == 1 or record.told and record.reports == 0,
    "a kill went unseen")
end

--- The totals of a scheduler agree with what was announced. A job that never started is not
--- announced, and a shielded function is not counted.
local function check_totals(sched, counts)
  local totals, seen = sched:stats(), { done = 0, failed = 0, cancelled = 0, killed = 0 }
  for job in pairs(counts.starts) do assert(counts.ends[job], "its end was not announced") end
  for job in pairs(counts.ends) do
    assert(counts.starts[job], "its start was not announced")
    if not counts.shielded[job] then seen[job.state] = seen[job.state] + 1 end
  end
  for state, count in pairs(seen) do
    assert(totals[state] == count or state == "cancelled" and totals[state] > count, state)
  end
  assert(totals.spawned == totals.done + totals.failed + totals.cancelled + totals.killed)
  assert(totals.waiting_time >= 0 and totals.running_time >= 0, "the times")
end

--- Runs the program of a seed; returns its trace as text.
local function play(seed)
  local world = new_world(seed)
  uvjobs.run({ clock = "virtual" }, function()
    for i = 1, 3 do world:add_scheduler(); world.events[i] = uvjobs.event() end
    for i = 1, 20 do
      if i <= 8 then pcall(uvjobs.timeout, 1, actions.spawn, world) end
      uvjobs.sleep(0.5)
      world:check_limits()
      world:check_waiters()
    end
  end)
  assert(not world.broken, world.broken)
  assert(next(world.waits) == nil, "somebody still waits")
  for _, s in ipairs(world.scheds) do
    assert(#s == 0 and s.closed and s.active_count == 0 and s.pending_count == 0, "it lives")
    assert(world.scheds[s].running == 0, "a job still runs")
    check_totals(s, world.scheds[s])
  end
  for _, record in ipairs(world.records) do
    local ok, err = pcall(check_record, record)
    if not ok then error(("job %d (%s): %s"):format(record.id, record.job, err), 0) end
  end
  return table.concat(world.trace, "\n"), world
end

local function checked(seed)
  local ok, trace, world = xpcall(play, debug.traceback, seed)
  if not ok then error(("seed %d (replay: SEED=%d): %s"):format(seed, seed, trace), 0) end
  return trace, world
end

describe("a random program of jobs", function()
  after_each(helper.check_clean)

  it("keeps the promises and leaves nothing behind #M2 #M4 #M5 #M7 #M8 #M9 #M10", function()
    local states = {}
    for seed = first, last do
      local trace, world = checked(seed)
      if only then print(trace) end
      for _, record in ipairs(world.records) do
        if record.job then states[record.job.state] = (states[record.job.state] or 0) + 1 end
      end
    end
    if not only then -- the programs are worth something
      for state in pairs(final) do assert.is_true((states[state] or 0) > 20, state) end
    end
  end)

  it("is the same every time for the same seed #M16", function()
    for seed = first, math.min(last, first + 49) do
      local one, two = checked(seed), checked(seed)
      assert(one == two, "seed " .. seed .. " gave two traces")
      assert.is_true(#one > 0)
    end
  end)
end)
