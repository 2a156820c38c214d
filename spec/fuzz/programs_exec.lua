-- What the statements of a program do. Each waits by World:call, which checks it.

local World = require "spec.fuzz.programs_world"
local coroutines = require "uvjobs.coroutine"
local uvjobs = require "uvjobs"

local exec = {} -- by the kind of a statement
local leaf = {}

-- The value that error(nil) raises: from Lua 5.5 on it is a text.
local NIL_ERROR = select(2, pcall(error, nil))

local function closer(fn) return setmetatable({}, { __close = function(_, err) fn(err) end }) end

--- Runs a block of statements.
function World:exec(env, list)
  for _, statement in ipairs(list) do
    self.budget = self.budget - 1
    if self.budget <= 0 then return end
    exec[statement.kind](self, env, statement)
  end
end

-- ---- jobs ----------------------------------------------------------------------

function World:starts(record)
  self:know(record, uvjobs.current())
  self:check(not record.started, "J%d was started twice", record.id)
  self:event(record, "starts")
  record.started = true
  self:check(not record.spawned_turn or self.turn > record.spawned_turn, "it started at once")
  local entry = record.entry
  if record.timeout then table.insert(record.scopes, { due = self.now + record.timeout }) end
  if record.kind ~= "job" then return end
  entry.running = entry.running + 1
  table.insert(entry.starts, self.now)
  local class = World.class_of(entry, record)
  if self.turn > class.turn then
    class.last_id, class.turn = math.max(class.last_id, class.id), self.turn
  end
  class.id = math.max(class.id, record.job.id)
  self:check(record.job.id > class.last_id or self.sliced, "J%d was overtaken", record.id)
end

function World:ends(record, err)
  record.error, record.is_over, record.ended_now = err, true, uvjobs.now()
  record.over_seq = self.seq
  if record.kind == "job" then record.entry.running = record.entry.running - 1 end
  if record.kind == "shield" then record.entry.shields = record.entry.shields - 1 end
  if uvjobs.code(err) == "killed" and err.job == record.job then record.killing = true end
  self:event(record, "ends " .. (record.returned and "-" or self:name_of(err)))
  self:check(#record.stack == 0, "a <close> variable of J%d did not run", record.id)
  self:check(type(err) ~= "string" or err == NIL_ERROR or err:find "^failed"
    or err:find "^run is stuck", "an error of Lua: %s", err)
end

--- The function of every job.
local function body(world, record, list)
  world:starts(record)
  local _ <close> = closer(function(err) world:ends(record, err) end)
  if record.context ~= nil then
    world:check(uvjobs.context.key == record.context, "another context")
  end
  world:exec({ record = record, stack = record.stack, scopes = record.scopes }, list)
  record.returned = true
  return record.id, record.token
end

World.body = body

function World:job_of(env, statement)
  if #self.jobs == 0 then return nil end
  local other = self.jobs[statement.job % #self.jobs + 1]
  return other ~= env.record and other or nil
end

function World:spawned(record, job)
  self:know(record, job)
  table.insert(self.jobs, record)
end

local function new_job(self, env, entry, statement)
  local record = self:record("job", entry, env.record.context)
  record.timeout, record.spawned_turn = statement.timeout, self.turn
  record.priority, record.key = statement.priority, statement.key
  return record
end

local function options_of_job(s)
  return { timeout = s.timeout, priority = s.priority, key = s.key, unique = s.unique }
end

-- Whether spawn has made a new job for the record. With `unique` it may have returned another.
local function is_new(self, record, s, job, made)
  self:check(made == (s.unique and true or nil) or made == false and s.unique, "spawn: %s", made)
  if made ~= false then return true end
  self:check(job.key == record.key and job.scheduler == record.entry.s, "spawn: another key")
  return false
end

function exec.spawn(self, env, s)
  local entry = self.by_name[s.on]
  if not entry then return end
  for _ = 1, s.times do
    local record = new_job(self, env, entry, s)
    local closed = entry.s.closed
    local job, made = self:call(env, {
      what = "spawn J" .. record.id .. " on ", thing = entry, closes = true, waits = "spawn",
      line = not s.unique and "spawn" .. World.class_name(record) or nil,
    }, entry.s.spawn, entry.s, options_of_job(s), body, self, record, s.body)
    self:check(not closed, "spawned on a closed scheduler")
    if is_new(self, record, s, job, made) then self:spawned(record, job) end
  end
end

function exec.try_spawn(self, env, s)
  local entry = self.by_name[s.on]
  if not entry then return end
  for _ = 1, s.times do
    local record = new_job(self, env, entry, s)
    self:event(env.record, "try_spawn J" .. record.id .. " on " .. entry.name)
    local has_slot = entry.s.active_count < entry.s.limit
    local has_place = entry.s.pending_count < entry.s.pending_limit
    local closed = entry.s.closed
    local job, why = entry.s:try_spawn(options_of_job(s), body, self, record, s.body)
    if job and is_new(self, record, s, job, why) then self:spawned(record, job) end
    if job then
      self:check(not closed and (has_slot or has_place or why == false), "try_spawn: no room")
    else -- a free slot may be none for this key, or not yet
      self:check(why == (closed and "closed" or "full"), "try_spawn: %s", why)
      self:check(closed or not has_place and (not has_slot or World.may_hold(entry)),
        "try_spawn: full, but there is room")
    end
  end
end

function exec.sliced(self, env, s)
  local entry = self.by_name.sliced
  local record = self:record("job", entry, env.record.context)
  local job = entry.s:try_spawn(body, self, record, { { kind = "busy", n = s.n },
    { kind = "pcall", body = s.body }, { kind = "busy", n = s.n } })
  if job then self:spawned(record, job) end
end

-- A job of the root scheduler that others do not know.
function World:helper(env, list)
  local record = self:record("job", self.by_name.root, env.record.context)
  local job = record.entry.s:try_spawn(body, self, record, list)
  if job then self:know(record, job) end
end

function exec.busy(_, _, s)
  local sum = 0
  for i = 1, s.n do sum = sum + i end
  if sum ~= s.n * (s.n + 1) // 2 then error("a preempted job lost its variables") end
end

-- Makes a call that gets the error of the target, and notes whether it did.
local function call_for_outcome(self, env, spec, fn, ...)
  local target, lived = spec.target, not spec.target.job.closed
  local got = table.pack(pcall(self.call, self, env, spec, fn, ...))
  local err = got[2]
  if target.job.state == "failed" and not got[1] and rawequal(err, target.error) then
    if lived then target.delivered = target.delivered + 1 end
  elseif uvjobs.code(err) == "timeout" and err.job == target.job then
    target.maybe = true
  elseif not got[1] and uvjobs.code(err) and err.job == target.job then
    self:check(target.job.state == uvjobs.code(err), "J%d: %s", target.id, err)
  end
  if not got[1] then
    self:leaves(target)
    error(err, 0)
  end
  return table.unpack(got, 2, got.n)
end

-- A call that waited for the job has raised an error. When that was at the time at which the job
-- ended, the error of the job may have been lost with the call.
function World:leaves(target)
  if target.is_over and self.now == target.ended_now then target.left = true end
end

function exec.wait(self, env, s)
  local target = self:job_of(env, s)
  if not target then return end
  local spec = { what = "wait", target = target, waits = "target", passes_errors = true }
  spec.limit, spec.acts = s.t and s.t + target.entry.options.close_timeout, s.t
  local id, token = call_for_outcome(self, env, spec, target.job.wait, target.job, s.t)
  self:check(id == target.id and token == target.token, "wait: other results")
  self:check(target.job.state == "done", "wait: it is not done")
end

function exec.join(self, env, s)
  local target = self:job_of(env, s)
  if not target then return end
  local ended = self:call(env, { what = "join", target = target, waits = "target", limit = s.t },
    target.job.join, target.job, s.t)
  self:check(not ended or target.job.closed, "join: it lives")
end

function exec.close(self, env, s)
  local target = self:job_of(env, s)
  if not target then return end
  call_for_outcome(self, env, {
    what = "close", target = target, waits = "target", passes_errors = true,
    limit = s.t or target.entry.options.close_timeout,
  }, target.job.close, target.job, s.t)
  self:check(env.record.killing or target.job.closed, "close: it lives")
end

function exec.cancel(self, env, s)
  if #self.jobs == 0 then return end
  local target = self.jobs[s.job % #self.jobs + 1]
  self:event(env.record, "cancel J" .. target.id)
  local lives = target.job.active or target.job.pending
  target.job:cancel()
  self:check(not lives or target.job.state == (target.started and "closing" or "cancelled"),
    "cancel did nothing")
end

-- ---- schedulers -----------------------------------------------------------------

-- A scheduler has been closed. Nothing of it may run any more.
function World:over(env, entry)
  if env.record.killing then return end
  self:event(env.record, entry.name .. " is closed")
  self:check(entry.s.closed and #entry.s == 0 and entry.running == 0 and entry.shields == 0,
    "%s: closed, but jobs live", entry.name)
  entry.over = true
end

-- Whether the job has failed with this error, which nobody has got yet.
local function failed_with(record, err)
  return record.is_over and not record.returned and rawequal(record.error, err) and
    record.delivered + record.reports == 0 and record.job.state == "failed"
end

-- A nursery has raised an error. When several jobs have raised this value, the first one counts.
function World:nursery_raised(entry, err)
  if entry.options.on_error ~= "cancel" then return end
  local first
  for _, record in ipairs(self.records) do
    if record.entry == entry and record.raised == 0 and failed_with(record, err) and
      (not first or record.over_seq < first.over_seq) then
      first = record
    end
  end
  if first then first.raised = 1 end
end

local function nursery(self, entry, fn, ...)
  local ok, err = pcall(fn, ...)
  if not ok then
    self:nursery_raised(entry, err)
    error(err, 0)
  end
end

function exec.close_scheduler(self, env, s)
  local entry = self.by_name[s.on]
  if not entry then return end
  local own = env.record.entry == entry
  entry.was_closed_by_call = true
  local ok, err = pcall(self.call, self, env, {
    what = "close ", thing = entry, waits = not own and "idle" or nil, own = own,
    limit = entry.options.close_timeout,
  }, entry.s.close, entry.s)
  if not ok then error(err, 0) end
  self:check(not own or env.record.killing, "it closed its own scheduler, and goes on")
  self:over(env, entry)
end

function exec.wait_and_close(self, env, s)
  local entry = self.by_name[s.on]
  if not entry or env.record.entry == entry then return end
  entry.was_closed_by_call = true
  nursery(self, entry, self.call, self, env, {
    what = "wait_and_close ", thing = entry, waits = "idle", passes_errors = true,
    acts = s.t or entry.options.wait_timeout,
    limit = (s.t or entry.options.wait_timeout) + entry.options.close_timeout,
  }, entry.s.wait_and_close, entry.s, s.t)
  self:over(env, entry)
end

function exec.scope(self, env, s)
  local entry, op
  local ok, err = pcall(function()
    local _ <close> = closer(function(err)
      if uvjobs.code(err) == "killed" and err.job == env.record.job then
        env.record.killing, entry.was_killed = true, true
      end
      if op then self:finish(op, true) end
      if op then self:over(env, entry) end
    end)
    entry = self:add_scheduler(s.name, s.options)
    local scheduler <close> = entry.s
    local _ <close> = closer(function(err)
      op = self:begin(env, {
        what = (err == nil and "leave " or "leave by error "), thing = entry, waits = "idle",
        acts = err == nil and s.options.wait_timeout or nil,
        limit = (err == nil and s.options.wait_timeout or 0) + s.options.close_timeout,
        grace = s.options.close_timeout, passes_errors = true,
      })
      op.refused = false -- leaving a block is not refused
    end)
    self:exec(env, s.body)
    return scheduler
  end)
  if ok then return end
  self:nursery_raised(entry, err)
  error(err, 0)
end

function exec.shield(self, env, s)
  local entry = self.by_name[s.on]
  if not entry then return end
  local record = self:record("shield", entry, env.record.context)
  local closed = entry.s.closed
  local ok, id, token = pcall(self.call, self, env, {
    what = "shield J" .. record.id .. " on ", thing = entry, closes = true, always = true,
    passes_errors = true, shielded = record,
  }, entry.s.shield, entry.s, function()
    entry.shields = entry.shields + 1
    return body(self, record, s.body)
  end)
  self:check(ok or not closed or not record.job, "a shield on a closed scheduler ran")
  if ok then
    return self:check(id == record.id and token == record.token, "shield: other results")
  end
  if record.is_over and not record.returned and rawequal(id, record.error) then
    record.delivered = record.delivered + 1
  end
  self:leaves(record)
  error(id, 0)
end

-- Opens a scope of the job until the value is closed. A job that leaves the only scope
-- that was in its way is not slowed down.
local function open(world, env, scope)
  table.insert(env.scopes, scope)
  return closer(function()
    table.remove(env.scopes)
    if env.record.job.state ~= "closing" and world.deadline(env) > world.now then
      env.record.refusals = 0
    end
  end)
end

-- A nursery that has returned has no job that failed without a waiter.
function World:check_unfailed(entry)
  if entry.was_closed_by_call then return end
  for _, record in ipairs(self.records) do
    self:check(record.entry ~= entry or record.kind ~= "job" or record.was_asked
      or not record.job or record.job.state ~= "failed", "%s returned, but J%d has failed",
      entry.name, record.id)
  end
end

-- A nursery. Leaving the function begins a call of its own, as leaving a scope does.
function exec.nursery(self, env, s)
  local options = { on_error = "cancel", wait_timeout = math.huge }
  for key, value in pairs(s.options) do options[key] = value end
  local entry, op
  local ok, err = pcall(function()
    local _ <close> = closer(function(err)
      if entry and uvjobs.code(err) == "killed" and err.job == env.record.job then
        env.record.killing, entry.was_killed = true, true
      end
      if op then self:finish(op, true) end
      if op then self:over(env, entry) end
    end)
    uvjobs.nursery(self:reporting(s.options), function(jobs)
      entry = self:add_scheduler(s.name, options, jobs)
      local _ <close> = closer(function(err)
        op = self:begin(env, {
          what = (err == nil and "leave " or "leave by error "), thing = entry, waits = "idle",
          limit = err ~= nil and options.close_timeout or nil, grace = options.close_timeout,
          passes_errors = true,
        })
        op.refused = false -- leaving a block is not refused
      end)
      local _ <close> = open(self, env, { due = math.huge, nursery = entry })
      self:exec(env, s.body)
    end)
  end)
  if ok then return self:check_unfailed(entry) end
  if entry then self:nursery_raised(entry, err) end
  error(err, 0)
end

-- ---- scopes ---------------------------------------------------------------------

function exec.timeout(self, env, s)
  self:event(env.record, ("timeout %g {"):format(s.t))
  local due = self.now + s.t
  uvjobs.timeout(s.t, function()
    local _ <close> = open(self, env, { due = env.record.killing and math.huge or due })
    self:exec(env, s.body)
  end)
end

function exec.protect(self, env, s)
  self:event(env.record, "protect {")
  uvjobs.protect(function()
    local _ <close> = open(self, env, { protect = true })
    self:exec(env, s.body)
  end)
end

function exec.pcall(self, env, s)
  local ok, err = pcall(self.exec, self, env, s.body)
  if not ok then self:event(env.record, "caught " .. self:name_of(err)) end
end

function exec.loop(self, env, s)
  for _ = 1, s.n do exec.pcall(self, env, s) end
end

function exec.closing(self, env, s)
  local mark = {}
  table.insert(env.stack, mark)
  local _ <close> = closer(function(err)
    if uvjobs.code(err) == "killed" and err.job == env.record.job then
      env.record.killing = true
    end
    self:event(env.record, "closes")
    self:check(table.remove(env.stack) == mark, "<close> variables in the wrong order")
    if s.mode == "protect" then return exec.protect(self, env, { body = s.handler }) end
    self:exec(env, s.handler)
    if s.mode == "raise" then exec.fail(self, env, { what = "table" }) end
  end)
  self:exec(env, s.body)
end

function exec.fail(self, env, s)
  self.failures = (self.failures or 0) + 1
  local name = "failed " .. self.failures
  self:event(env.record, "raises " .. name)
  if s.what == "nil" then error(nil) end
  error(s.what == "table" and { name = name } or name, 0)
end

-- ---- coroutines --------------------------------------------------------------------

function exec.coroutine(self, env, s)
  local inner = { record = env.record, stack = {}, scopes = table.move(env.scopes, 1,
    #env.scopes, 1, {}) }
  -- What close() runs cannot suspend: so errors are caught inside.
  local co = coroutines.create(function()
    for i, statement in ipairs(s.body) do
      local ok, err = pcall(self.exec, self, inner, { statement })
      if not ok then return false, err end
      coroutines.yield(i)
    end
  end)
  local _ <close> = closer(function()
    local ok, err = coroutines.close(co)
    self:check(#inner.stack == 0, "a <close> variable of a coroutine did not run")
    if not ok then error(err, 0) end
  end)
  for i = 1, s.n do
    if coroutines.status(co) == "dead" then break end
    local _, got, err = coroutines.resume(co)
    if got == false then error(err, 0) end
    self:check(got == nil or got == i, "a coroutine yielded something else")
    self:exec(env, s.between)
  end
end

-- ---- the other statements, in files of their own ------------------------------------------

setmetatable(exec, { __index = leaf })
World.closer, World.failed_with = closer, failed_with

require "spec.fuzz.programs_things" (World, leaf)
require "spec.fuzz.programs_children" (World, leaf)
require "spec.fuzz.programs_policies" (World, leaf)

return World
