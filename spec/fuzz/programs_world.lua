-- The world is what the fuzzer knows of a running program: its jobs, its queues, locks and
-- events, and the calls that wait. It checks what must hold of them at each moment;
-- programs_end.lua checks what must hold when the program has ended.

local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"

local World = {}
World.__index = World

local EPSILON <const> = 1e-7
-- A job whose calls are refused so many times in a row is slowed down: the next may take time.
local REFUSALS <const> = 90

function World.new(program)
  local self = setmetatable({
    program = program, sliced = program.slices,
    trace = {}, records = {}, by_job = {}, live = {}, jobs = {},
    schedulers = {}, by_name = {}, -- their entries
    queues = {}, semaphores = {}, mutexes = {}, events = {},
    limits = {}, rates = {}, breakers = {}, singles = {}, debounces = {},
    seq = 0, budget = 400, now = 0, turn = 0, items = 0, turns = uvjobs.stats().turns,
  }, World)
  return self
end

--- Notes the first thing that is wrong. It is not raised: a job would catch it.
function World:check(ok, message, ...)
  if ok or self.broken then return end
  self.broken = message:format(...)
  self.place = debug.traceback("", 2)
  self.trace[#self.trace + 1] = "!!! " .. self.broken
end

function World:add(list, thing, known)
  known.thing, known.id, known.calls = thing, #self[list] + 1, {}
  self[list][known.id] = known
end

-- The policies that the jobs of the program share; those of a program without any are none.
function World:build_policies(given)
  for _, options in ipairs(given.limits or {}) do
    self:add("limits", policy.limit(options), { running = 0, limit = options.limit })
  end
  for _, options in ipairs(given.rates or {}) do
    self:add("rates", policy.rate(options), { starts = {}, options = options })
  end
  for _, options in ipairs(given.breakers or {}) do
    self:add("breakers", policy.breaker(options), { probes = options.probes })
  end
  for _ = 1, given.singles or 0 do self:add("singles", policy.single(), { running = {} }) end
  for _, options in ipairs(given.debounces or {}) do
    self:add("debounces", policy.debounce(options), { options = options })
  end
end

function World:build()
  local program = self.program
  for _, capacity in ipairs(program.queues) do
    self:add("queues", uvjobs.queue(capacity), { puts = {}, gets = {}, capacity = capacity })
  end
  for _, n in ipairs(program.semaphores) do
    self:add("semaphores", uvjobs.semaphore(n), { total = n, held = 0 })
  end
  for _ = 1, program.mutexes do self:add("mutexes", uvjobs.mutex(), {}) end
  for _ = 1, program.events do self:add("events", uvjobs.event(), {}) end
  self:build_policies(program.policies or {})
  for i, options in ipairs(program.schedulers) do self:add_scheduler("s" .. i, options) end
  self:add_scheduler("root", { close_timeout = 1, wait_timeout = 60 })
  if self.sliced then
    self:add_scheduler("sliced", { timeslice = 2e-5, close_timeout = 0.25 })
  end
end

--- The options of a scheduler whose reports are counted.
function World:reporting(options)
  local opts = { exception_handler = function(_, context) self:report(context) end }
  for key, value in pairs(options) do opts[key] = value end
  return opts
end

--- Makes a scheduler, unless one is given, and enters it.
function World:add_scheduler(name, options, scheduler)
  local entry = { name = name, options = options, running = 0, shields = 0, calls = {} }
  entry.s = scheduler or uvjobs.scheduler(self:reporting(options))
  entry.classes, entry.starts, entry.waiting = {}, {}, {}
  self.schedulers[#self.schedulers + 1] = entry
  self.by_name[name] = entry
  return entry
end

function World:report(context)
  local of_block = context.message == "Nursery block failed" -- the block's job reports it itself
  self:check(of_block or uvjobs.current() == nil, "reported inside a job")
  if context.jobs then return self:report_jobs(context) end
  local record = self.by_job[context.job]
  self:check(record, "a report about an unknown job")
  if not record then return end
  self:event(record, "report: " .. context.message)
  if of_block then return end
  if context.message == "Job ended holding a mutex" then
    record.mutex_reports = record.mutex_reports + 1
    return
  end
  record.reports = record.reports + 1
  if context.message == "Job processing failed" then
    self:check(rawequal(context.exception, record.error), "another error was reported")
  end
end

--- A report about jobs: the time limit of a wait has passed, or nothing else can end the wait.
function World:report_jobs(context)
  self:check(#context.jobs > 0 and type(context.traceback) == "string", "nobody was late")
  for _, job in ipairs(context.jobs) do
    local record = self.by_job[job]
    self:check(not job.closed, "a late job has ended")
    if record then
      self:event(record, "report: " .. context.message)
      record.late = record.late or context.message == "Waiting timed out"
    end
  end
end

-- ---- records of jobs -----------------------------------------------------------

--- Makes the record of a "job", a "shield", a "child" of all, race, map and their like, or of
--- the "main" job.
function World:record(kind, entry, context)
  local record = {
    id = #self.records + 1, kind = kind, entry = entry, stack = {}, scopes = {}, token = {},
    reports = 0, mutex_reports = 0, delivered = 0, raised = 0, refusals = 0, left = false,
    context = context,
  }
  self.records[record.id] = record
  return record
end

--- Enters the job of a record. It is known from spawn, or because it runs.
function World:know(record, job)
  if record.job then
    self:check(record.job == job, "a job ran twice, or another one")
    return
  end
  record.job, self.by_job[job] = job, record
  table.insert(self.live, record)
end

local order = {
  pending = 1, active = 2, closing = 3, done = 4, failed = 4, cancelled = 4, killed = 4,
}

function World:look(record)
  local job = record.job
  local state = job.state
  if state == record.state then return end
  local was = order[record.state] or 0
  self:check(order[state] > was, "J%d went from %s to %s", record.id, record.state, state)
  record.state = state
  if state == "closing" then
    record.closing_at = self.now
    if record.kind == "main" then self:look_at_stuck() end
  end
  if order[state] < 4 then return end
  record.ended_seq = self.seq
  self:check(job.closed and not job.active and not job.pending, "it ended, or not?")
end

-- The main job is cancelled when the run is stuck. Then no job may be waiting for a time.
function World:look_at_stuck()
  for _, record in ipairs(self.live) do
    local op = record.op
    if op and (op.due < math.huge or op.deadline < math.huge) then self.finite = record.id end
  end
end

local PRIORITY <const> = 5 -- of a job that is given none

-- ---- the order in which jobs start ----------------------------------------------

--- The name of those jobs of a scheduler that start in the order in which they came.
function World.class_name(record)
  return (" %d %s"):format(record.priority or PRIORITY, record.key or "")
end

--- What is known of the starts of these jobs.
function World.class_of(entry, record)
  local name = World.class_name(record)
  entry.classes[name] = entry.classes[name] or { id = 0, last_id = 0, turn = 0 }
  return entry.classes[name]
end

--- Whether jobs may wait in the scheduler although it has a free slot.
function World.may_hold(entry)
  return entry.options.key_limit ~= nil or entry.options.start_rate ~= nil
end

-- One that was pending and is active now has overtaken none that was pending as long, is more
-- urgent, and could have started in its place.
function World:look_at_order(entry, waiting)
  local keyed = entry.options.key_limit
  for _, started in ipairs(entry.waiting) do
    if started.job.active and not entry.options.aging then
      for _, other in ipairs(entry.waiting) do
        local could = not keyed or other.key == nil or other.key == started.key
        self:check(not could or not other.job.pending
          or (other.priority or PRIORITY) >= (started.priority or PRIORITY),
          "%s: J%d, more urgent, was overtaken", entry.name, other.id)
      end
    end
  end
  entry.waiting = waiting
end

-- With a free slot no job is pending that may start. `count` is how many are active of each key.
function World:look_at_free_slot(entry, waiting, count)
  local limit = entry.options.key_limit
  if entry.options.start_rate then return end
  for _, record in ipairs(waiting) do
    self:check(limit and record.key ~= nil and (count[record.key] or 0) >= limit,
      "%s: a free slot, and J%d is pending", entry.name, record.id)
  end
end

function World:look_at_scheduler(entry)
  local s, name = entry.s, entry.name
  local pending, active, waiting, count, first_pending, last_active = 0, 0, {}, {}, {}, {}
  for job in s:jobs() do
    local record = self.by_job[job] -- nil when spawn has let it in, and has not returned
    local class = record and World.class_name(record)
    if job.pending then
      pending = pending + 1
      waiting[#waiting + 1] = record
      if class then first_pending[class] = math.min(first_pending[class] or math.huge, job.id) end
    else
      active = active + 1
      if job.key ~= nil then count[job.key] = (count[job.key] or 0) + 1 end
      if class then last_active[class] = math.max(last_active[class] or 0, job.id) end
    end
  end
  self:check(pending == s.pending_count and pending <= s.pending_limit,
    "%s: %d pending", name, pending)
  self:check(active == s.active_count and active <= s.limit, "%s: %d active", name, active)
  self:check(entry.running <= s.limit, "%s: %d run", name, entry.running)
  self:check(#s == pending + active, "%s: length", name)
  self:check(not s.closed or pending == 0, "%s: pending jobs, and closed", name)
  if active < s.limit then self:look_at_free_slot(entry, waiting, count) end
  for class, id in pairs(first_pending) do
    self:check((last_active[class] or 0) < id, "%s: a pending job was overtaken", name)
  end
  for key, n in pairs(count) do
    self:check(n <= s.key_limit, "%s: %d of the key %s", name, n, key)
  end
  self:look_at_order(entry, waiting)
  self:check(not entry.was_closed or s.closed, "%s: open again", name)
  entry.was_closed = s.closed
end

--- Checks all that must hold now. It is called at each event.
function World:poll()
  local now, turn = uvjobs.now(), uvjobs.stats().turns - self.turns
  self:check(now >= self.now, "the clock went back")
  if now > self.now and not self.sliced then self:quiet(now) end
  self.now, self.turn = now, turn
  local n = 0
  for i = 1, #self.live do
    local record = self.live[i]
    self.live[i] = nil
    self:look(record)
    if not record.ended_seq then
      n = n + 1
      self.live[n] = record
    end
  end
  for _, entry in ipairs(self.schedulers) do
    if not entry.over then self:look_at_scheduler(entry) end
  end
  for _, known in ipairs(self.queues) do
    self:check(#known.thing <= known.capacity, "queue %d: too many items", known.id)
  end
end

function World:event(record, text)
  self.seq = self.seq + 1
  if record.entry and record.entry.options.timeslice then
    self.now = math.max(self.now, uvjobs.now()) -- it may be preempted: it must not look
  else
    self:poll()
  end
  self.trace[#self.trace + 1] = ("%5d %8g J%d %s"):format(self.turn, self.now, record.id, text)
  if record.entry and record.entry.over then
    self:check(record.entry.s.closed and record.left_behind,
      "J%d runs, and its scheduler was closed", record.id)
  end
end

-- ---- scopes --------------------------------------------------------------------

--- Returns whether the innermost scopes hold cancellation off.
function World.protected(env)
  for _, scope in ipairs(env.scopes) do
    if scope.protect then return true end
  end
  return false
end

--- Returns the deadline that is in force.
function World.deadline(env)
  local due = math.huge
  for _, scope in ipairs(env.scopes) do
    due = scope.protect and math.huge or math.min(due, scope.due)
  end
  return due
end

--- Whether a nursery around has failed for certain: one of its jobs has, and nobody else can
--- have got the error. Then calls that suspend raise `cancelled`.
function World:lost(env)
  for i = #env.scopes, 1, -1 do
    local entry = env.scopes[i].nursery
    if env.scopes[i].protect then return false end
    if entry and not entry.was_closed_by_call then
      for _, record in ipairs(self.records) do
        if record.entry == entry and record.kind == "job" and record.job and not record.was_asked
          and record.job.state == "failed" and record.reports == 0 then
          return true
        end
      end
    end
  end
  return false
end

--- Whether a nursery around may have failed.
function World.may_be_lost(env)
  for i = #env.scopes, 1, -1 do
    local entry = env.scopes[i].nursery
    if env.scopes[i].protect then return false end
    if entry and entry.s.closed then return true end
  end
  return false
end

-- ---- calls that wait -------------------------------------------------------------

--- A call begins. `spec`: `what`; `thing` with `line`, for what is served in order;
--- `limit`, seconds; `grace`, how long it may go on when it is interrupted.
function World:begin(env, spec)
  local record = env.record
  local text = spec.what .. (spec.thing and (spec.thing.name or spec.thing.id) or "")
  if spec.target then text = text .. " J" .. spec.target.id end
  self:event(record, text .. (spec.limit and (" %g"):format(spec.limit) or ""))
  local op = {
    spec = spec, env = env, seq = self.seq, began = self.now, turn = self.turn,
    due = spec.limit and self.now + spec.limit or math.huge,
    acts = spec.acts and self.now + spec.acts or math.huge,
    deadline = World.deadline(env), protected = World.protected(env),
    cancelled = record.job.state == "closing",
    killing = record.killing, grace = spec.grace or 0,
    target_lived = spec.target and not spec.target.job.closed,
  }
  op.refused = (op.cancelled and not op.protected) or op.deadline <= op.began
  op.lost = self:lost(env)
  if spec.target then spec.target.was_asked = true end
  op.slow = record.refusals >= REFUSALS
  record.refusals = op.refused and record.refusals + 1 or 0
  op.before, record.op = record.op, op
  return op
end

--- A call has succeeded. At the end its place in the line is compared with that of others.
function World:served(op)
  local thing, line = op.spec.thing, op.spec.line
  if not line then return end
  local calls = thing.calls[line] or {}
  thing.calls[line] = calls
  calls[#calls + 1] = { seq = op.seq, turn = self.turn }
  calls.last = math.max(calls.last or 0, op.seq)
end

function World:raised(op, err)
  local spec, record, code = op.spec, op.env.record, uvjobs.code(err)
  local job = code and err.job
  if code == "killed" and job == record.job then
    record.killing = true
  elseif code == "cancelled" and job == record.job then
    self:check(record.job.state == "closing", "cancelled, but nobody asked for it")
    self:check(not op.protected or spec.own, "%s: cancelled in protect", spec.what)
    local at = math.max(op.began, record.closing_at or self.now)
    self:check(op.slow or self.now <= at + op.grace + EPSILON or self.sliced or spec.own,
      "%s: cancelled late", spec.what)
  elseif code == "cancelled" and job == nil and not spec.passes_errors then
    self:check(World.may_be_lost(op.env), "%s: cancelled, but no nursery has failed", spec.what)
  elseif code == "timeout" and job == nil and not spec.passes_errors then
    self:check(self.now >= op.deadline - EPSILON, "%s: timeout, but no deadline", spec.what)
    local at = math.max(op.began, op.deadline)
    self:check(op.slow or self.now <= at + op.grace + EPSILON or self.sliced,
      "%s: timeout came late", spec.what)
  elseif not spec.passes_errors and not (code == "closed" and spec.closes)
    and not (job == nil and code == spec.refusal) then
    self:check(false, "%s: raised %s", spec.what, err)
  end
end

--- A call has returned `ok`, and what it returned or raised.
function World:finish(op, ok, ...)
  if op.finished then return end
  op.finished = true
  local spec, record = op.spec, op.env.record
  record.op = op.before
  local value, why = ...
  local timed_out = ok and value == nil and why == "timeout" or spec.what == "join" and ok
    and value == false
  self.finishing = op
  self:event(record, ("%s -> %s"):format(spec.what, ok and (timed_out and "timeout" or "ok")
    or self:name_of(value)))
  self.finishing = nil
  if op.killing then
    self:check(not ok or not spec.always, "%s: suspended while it is killed", spec.what)
    if not ok then return end
    return (not timed_out and why ~= "closed") and self:served(op) or nil
  end
  if not ok then return self:raised(op, value) end
  self:check(not op.refused, "%s: returned, but cancelled or past its deadline", spec.what)
  self:check(not op.lost or not spec.always, "%s: returned, but its nursery has failed", spec.what)
  self:check(self.now <= op.due + EPSILON or self.sliced, "%s: returned late", spec.what)
  self:check(not spec.always or self.turn > op.turn or self.sliced, "%s: did not give way",
    spec.what)
  if timed_out then
    local closes = spec.waits == "idle" -- and waits for that, when its time is over
    local due = closes and op.due - spec.limit + spec.acts or op.due
    self:check(self.now >= due - EPSILON, "%s: gave up early", spec.what)
    self:check(closes or record.job.state ~= "closing" or op.protected,
      "%s: timeout, not cancelled", spec.what)
  elseif why ~= "closed" then
    self:served(op)
  end
end

-- The call was left without returning, because its job is killed.
local function leave(op, err)
  local world = op.world
  if op.finished then return end
  op.finished = true
  local record = op.env.record
  record.op = op.before
  if uvjobs.code(err) == "killed" then
    record.killing = true
  else -- a busy job is cancelled between two instructions
    world:check(record.entry.options.timeslice, "%s: left by something else", op.spec.what)
  end
  if op.spec.acts and op.spec.thing then op.spec.thing.was_killed = true end
  local target = op.spec.target or op.spec.shielded
  if target then world:leaves(target) end
  world.leaving = record -- the calls around this one are left now, too
  world:event(record, op.spec.what .. " -> killed")
  world.leaving = nil
end

local guard_meta = { __close = leave }

--- Calls fn(...), which may wait.
function World:call(env, spec, fn, ...)
  local op <close> = setmetatable(self:begin(env, spec), guard_meta)
  op.world = self
  return self:returned(op, pcall(fn, ...))
end

function World:returned(op, ok, ...)
  self:finish(op, ok, ...)
  if not ok then error((...), 0) end
  return ...
end

--- Returns the name of an error in the trace. It is the same in every run of the program.
function World:name_of(err)
  local code = uvjobs.code(err)
  if not code then return type(err) == "table" and err.name or tostring(err) end
  local record = err.job and self.by_job[err.job]
  return code .. (record and " J" .. record.id or "")
end

-- ---- when time passes nothing is ready -------------------------------------------

-- For each kind of call: a function that returns why it cannot still be waiting, or nil.
local why = {}

function why.get(op)
  local q = op.spec.thing.thing
  return #q > 0 and "there are items" or q.closed and "it is closed"
end

function why.put(op)
  local q = op.spec.thing.thing
  return q.closed and "it is closed" or #q < q.capacity and "there is room"
end

function why.acquire(op) return op.spec.thing.thing.count > 0 and "there are permits" end

function why.lock(op)
  local owner = op.spec.thing.owner
  return (not owner or owner.ended_seq) and "it is free"
end

function why.event(op)
  return (op.set or op.spec.thing.thing:is_set()) and "it was set"
end

function why.target(op) return op.spec.target.job.closed and "the job has ended" end

function why.spawn(op)
  local s = op.spec.thing.s
  local has_slot = s.active_count < s.limit and not World.may_hold(op.spec.thing)
  return s.closed and "it is closed"
    or (has_slot or s.pending_count < s.pending_limit) and "there is room"
end

--- Whether select can return a source now.
function World.is_ready(_, source)
  local thing = source.known.thing
  if source.kind == "queue" then return #thing > 0 or thing.closed end
  if source.kind == "event" then return thing:is_set() end
  return source.known.job.closed
end

function why.select(op, world)
  for _, source in ipairs(op.spec.sources) do
    if world:is_ready(source) or op.spec.set[source.known] then return "a source is ready" end
  end
end

function why.idle(op)
  local entry = op.spec.thing
  return #entry.s == 0 and entry.shields == 0 and "no job is left"
end

function why.limit(op)
  local known = op.spec.thing
  return known.running < known.limit and "there is a place"
end

-- Whether a call closes others at this time. It may have done so already, before the world
-- has seen anything of it.
local function acts_at(op, now)
  return op.acts <= now + EPSILON or op.grace > 0 and
    (op.deadline <= now + EPSILON or op.env.record.job.state == "closing")
end

function World:quiet_call(record, op, now, acts)
  local spec = op.spec
  local function check(ok, text)
    self:check(ok, "J%d forgotten in %s: %s", record.id, spec.what, text)
  end
  if op.killing or record.killing then return check(false, "it is killed") end
  check(op.due >= now - EPSILON, "its time has passed")
  if not op.slow then
    check(not op.refused or op.grace > 0, "it is cancelled, or late")
    check(op.deadline + op.grace >= now - EPSILON, "its deadline has passed")
    check(op.protected or not record.closing_at or
      math.max(op.began, record.closing_at) + op.grace >= now - EPSILON, "it is cancelled")
    local text = spec.waits and not acts and why[spec.waits](op, self)
    check(not text, text)
    check(op.grace > 0 or not self:lost(op.env), "its nursery has failed")
  end
  local calls = spec.line and spec.thing.calls[spec.line]
  check(not calls or calls.last < op.seq or op.slow, "it was overtaken")
end

--- The clock moves only when no job is ready. So each job that waits must have a reason.
function World:quiet(now)
  local acts = false
  for _, record in ipairs(self.live) do
    acts = acts or record.op and acts_at(record.op, now)
  end
  acts = acts or self.finishing and acts_at(self.finishing, now)
  for _, record in ipairs(self.live) do
    local job = record.job
    -- one that was pending or not there when the world looked last may have got its slot now
    self:check(record.started or not job.active or record.state ~= "active",
      "J%d did not start", record.id)
    local op = record.op
    if op and not job.closed and record ~= self.leaving then
      self:quiet_call(record, op, now, acts)
    end
  end
  for _, known in ipairs(self.semaphores) do
    self:check(known.thing.count + known.held == known.total, "permits of %d", known.id)
  end
end

return World
