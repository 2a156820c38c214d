--- Plays at random with a scheduler that has priorities, keys and a rate of starts, beside the
--- reference, and compares all starts, their times, and the states of all jobs. The specs play a
--- sample, and spec/stress/priorities.lua more.
local uvjobs = require "uvjobs"
local reference = require "spec.priorities.reference"

local play = {}

local STEPS_OF_A_GAME <const> = 250
local MOST_JOBS <const> = 60
local NS <const> = 1000000000

-- ---- chance ------------------------------------------------------------------------

local random = math.random

local function one_in(n) return random(n) == 1 end

local function choose(list) return list[random(#list)] end

--- Odd lengths: two things seldom happen in the same nanosecond.
local function span() return random(1, 2 * NS) end

--- So many nanoseconds, in seconds: they are rounded up to nanoseconds.
local function seconds(ns) return (ns - 0.25) / NS end

local function random_options()
  return {
    limit = random(1, 5), pending_limit = one_in(4) and random(0, 2) or random(0, 40),
    key_limit = one_in(2) and random(1, 3) or math.huge,
    aging = one_in(2) and random(1, 3 * NS) or nil, fair = one_in(2),
    step = one_in(3) and NS // choose { 1, 2, 5, 8 } or nil, burst = random(1, 4),
  }
end

-- ---- one game ----------------------------------------------------------------------

local Game = {}
Game.__index = Game

local function new_game()
  local options = random_options()
  return setmetatable({
    model = reference.new(options), jobs = {}, log = {}, last_id = 0, is_plain = false,
    scheduler = uvjobs.scheduler {
      limit = options.limit, pending_limit = options.pending_limit,
      key_limit = options.key_limit, fair = options.fair or nil,
      aging = options.aging and seconds(options.aging),
      start_rate = options.step and NS // options.step,
      start_burst = options.step and options.burst, exception_handler = function() end,
    },
    callers = uvjobs.scheduler { limit = math.huge },
  }, Game)
end

--- Lets everything run that can, without time passing.
local function settle()
  for _ = 1, 6 do uvjobs.yield() end
end

local function now_ns() return math.floor(uvjobs.now() * NS + 0.5) end

--- A job for both, and what is spawned for it.
function Game:new_job()
  self.last_id = self.last_id + 1
  local job = reference.job {
    id = self.last_id, priority = one_in(3) and 5 or random(0, 9),
    key = one_in(4) and nil or choose { "a", "b", "c", 4, 5.5 },
    timeout = one_in(5) and span() or nil, leave = uvjobs.event(),
  }
  local key = job.key
  if type(key) == "table" then key = nil end
  job.unique = key ~= nil and one_in(6)
  job.options = { key = key, unique = job.unique, timeout = job.timeout and seconds(job.timeout) }
  if job.priority ~= 5 or one_in(2) then job.options.priority = job.priority end
  job.fn = function()
    table.insert(self.log, { job.id, now_ns() })
    job.leave:wait()
  end
  table.insert(self.jobs, job)
  return job
end

local function note(job, handle, is_new)
  if handle == nil then
    job.outcome = "refused"
  elseif is_new == false then
    job.outcome, job.other = "turned away", handle
  else
    job.outcome, job.handle = "admitted", handle
  end
end

function Game:try_spawn()
  local job = self:new_job()
  note(job, self.scheduler:try_spawn(job.options, job.fn))
  self.model:spawn(job, false)
  return job
end

--- By another job, which may have to wait.
function Game:spawn()
  local job = self:new_job()
  job.caller = self.callers:spawn(function()
    local ok, handle, is_new = pcall(self.scheduler.spawn, self.scheduler, job.options, job.fn)
    if ok then note(job, handle, is_new) else job.outcome = uvjobs.code(handle) end
  end)
  uvjobs.yield()
  self.model:spawn(job, true)
  return job
end

local function is_alive(job)
  return job.state == "pending" or job.state == "active" or job.state == "blocked"
end

function Game:cancel(job)
  if not is_alive(job) then return end
  if job.state == "blocked" then
    job.caller:cancel()
    uvjobs.yield()
  elseif not job.handle then
    return -- its caller has not run since it was let in
  elseif one_in(2) then
    job.handle:cancel()
    if job.started then uvjobs.yield(2) end
  else
    pcall(job.handle.close, job.handle, 0)
  end
  self.model:leave(job, "cancelled")
end

function Game:finish(job)
  if job.state ~= "active" or not job.started then return end
  job.leave:set()
  uvjobs.yield()
  self.model:leave(job, "done")
end

function Game:change_limit()
  local model, scheduler = self.model, self.scheduler
  local name = choose { "limit", "pending_limit", "key_limit" }
  local limit = random(name == "pending_limit" and 0 or 1, 6)
  scheduler[name], model.options[name] = limit, limit
  model:let_in()
end

function Game:pause()
  if self.model.paused then self.scheduler:resume() else self.scheduler:pause() end
  self.model.paused = not self.model.paused
  if not self.model.paused then self.model:let_in() end
end

function Game:pass_time()
  local till = now_ns() + span() // choose { 1, 4, 20 }
  uvjobs.sleep((till - now_ns()) / NS)
  self.model:advance(now_ns(), self.jobs)
end

function Game:step()
  local n = random(20)
  local few = #self.jobs < MOST_JOBS
  if few and n <= 5 then self:try_spawn()
  elseif few and n <= 9 then self:spawn()
  elseif n <= 10 and few then self:cancel(self:try_spawn())
  elseif n <= 12 and #self.jobs > 0 then self:cancel(choose(self.jobs))
  elseif n <= 16 and #self.jobs > 0 then self:finish(choose(self.jobs))
  elseif n == 17 then self:change_limit()
  elseif n == 18 and one_in(3) then self:pause()
  else self:pass_time() end
  settle()
  self.model:settle()
end

-- ---- comparing ---------------------------------------------------------------------

local function fail(...) error(string.format(...), 0) end

function Game:compare_starts()
  for i = 1, math.max(#self.log, #self.model.log) do
    local got, expected = self.log[i], self.model.log[i]
    if not got or not expected or got[1] ~= expected.id or got[2] ~= expected.started then
      fail("start %d: job %s at %s, and not job %s at %s", i, got and got[1], got and got[2],
        expected and expected.id, expected and expected.started)
    end
  end
  self.log, self.model.log = {}, {}
end

local function compare_job(job)
  local state = job.handle and job.handle.state
  if job.state == "active" or job.state == "pending" then
    if state ~= job.state then fail("job %d is %s and not %s", job.id, state, job.state) end
    if job.handle.priority ~= job.priority or job.handle.key ~= job.options.key then
      fail("job %d has another priority or key", job.id)
    end
  elseif job.state == "turned away" then
    if job.outcome ~= "turned away" or job.other ~= job.twin.handle then
      fail("job %d was not turned away for job %d: %s, %s", job.id, job.twin.id, job.outcome,
        job.other)
    end
  elseif job.state == "refused" or job.state == "blocked" then
    if job.outcome ~= (job.state == "refused" and "refused" or nil) then
      fail("job %d is not %s: %s", job.id, job.state, job.outcome)
    end
  elseif job.handle and not job.handle.closed then
    fail("job %d has not ended: %s", job.id, state)
  end
end

function Game:compare()
  self:compare_starts()
  local alive = {}
  for _, job in ipairs(self.jobs) do
    compare_job(job)
    if is_alive(job) then table.insert(alive, job) end
  end
  self.jobs = alive
  if self.scheduler.active_count ~= self.model.nactive
      or self.scheduler.pending_count ~= #self.model.pending then
    fail("%d active and %d pending jobs, and not %d and %d", self.scheduler.active_count,
      self.scheduler.pending_count, self.model.nactive, #self.model.pending)
  end
end

function Game:close()
  local held = self.jobs
  self.model:close()
  self.scheduler:close()
  settle()
  self:compare_starts()
  for _, job in ipairs(held) do
    if job.caller and job.state == "cancelled" and not job.handle
        and job.outcome ~= "closed" then
      fail("the caller of job %d was not told: %s", job.id, job.outcome)
    end
  end
  self.callers:close()
  if #self.scheduler ~= 0 or #self.callers ~= 0 then fail("jobs are left") end
end

-- ---- games -------------------------------------------------------------------------

--- Plays one game; raises what was wrong, with the seed.
function play.game(seed, steps)
  math.randomseed(seed)
  local ok, err = pcall(uvjobs.run, { clock = "virtual" }, function()
    local game = new_game()
    for _ = 1, steps do
      game:step()
      game:compare()
    end
    game:close()
  end)
  if not ok then fail("seed %d: %s", seed, tostring(err)) end
end

function play.games(steps, seed)
  for first = 1, steps, STEPS_OF_A_GAME do
    play.game(seed + first, math.min(STEPS_OF_A_GAME, steps - first + 1))
  end
end

return play
