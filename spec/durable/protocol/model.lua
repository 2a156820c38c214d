--- A model of the protocol by which processes share the tasks of a store: docs/durable-stores.md in
--- a few hundred lines. It has the store (store.lua), whose operations are one step each; processes
--- (processes.lua), which ask it, and get its answers later or never; and time, in ticks of a third
--- of a lease. What becomes of a task is asked of the rules of the product. search.lua goes through
--- the states.
---
--- A state is a list of small numbers, so it is copied and compared fast; places.lua says which is
--- which. The model takes mistakes, each of which breaks a rule, and which a search must find. A
--- process waits for one answer at a time, besides that to a renewal, and takes one task at a time.

local places = require "spec.durable.protocol.places"
local processes = require "spec.durable.protocol.processes"
local store = require "spec.durable.protocol.store"
local rules = require "uvjobs.durable.rules"

local model = {}

local ABSENT <const>, AGE <const>, ASKS <const>, ASKS_AGE <const> =
  places.ABSENT, places.AGE, places.ASKS, places.ASKS_AGE
local ASKS_AS <const>, ASKS_LEASE <const>, ASKS_TASK <const>, ATTEMPT <const> =
  places.ASKS_AS, places.ASKS_LEASE, places.ASKS_TASK, places.ATTEMPT
local ATTEMPTS <const>, BEATS <const>, BEATS_AS <const>, BEAT_AGE <const> =
  places.ATTEMPTS, places.BEATS, places.BEATS_AS, places.BEAT_AGE
local CANCELLING <const>, CLAIM <const>, CLOSING <const>, CRASHES <const> =
  places.CANCELLING, places.CLAIM, places.CLOSING, places.CRASHES
local ENDS <const>, FAILURES <const>, FAULTS <const>, FENCE_TICKS <const> =
  places.ENDS, places.FAILURES, places.FAULTS, places.FENCE_TICKS
local JOB_FIELDS <const>, LAGS <const>, LEASE <const>, LEASE_TICKS <const> =
  places.JOB_FIELDS, places.LAGS, places.LEASE, places.LEASE_TICKS
local LEFT <const>, MOST_CRASHES <const>, NOTHING <const>, NUMBER <const> =
  places.LEFT, places.MOST_CRASHES, places.NOTHING, places.NUMBER
local NUMBERS <const>, OFF <const>, ON <const>, OWNER <const> =
  places.NUMBERS, places.OFF, places.ON, places.OWNER
local PERFORMED <const>, PROCESSES <const>, RUNS <const>, STATE <const> =
  places.PERFORMED, places.PROCESSES, places.RUNS, places.STATE
local STOPPED <const>, TASKS <const>, UNSURE <const>, UP <const> =
  places.STOPPED, places.TASKS, places.UNSURE, places.UP
local task_at <const>, process_at <const>, row_at <const>, job_at <const> =
  places.task_at, places.process_at, places.row_at, places.job_at
local copy <const>, clear <const>, is_live <const> =
  places.copy, places.clear, places.is_live
local hear <const>, process_step <const>, forget_request <const>, forget_beat <const> =
  processes.hear, processes.process_step, processes.forget_request, processes.forget_beat
local has_jobs <const>, must_fence <const>, is_idle <const> =
  processes.has_jobs, processes.must_fence, processes.is_idle
local perform <const>, bury <const>, lives <const> =
  store.perform, store.bury, store.lives

-- ---- the store's steps, and time ---------------------------------------------------

local function requests_step(s, p, step, mistakes)
  local at = process_at[p]
  local op = s[at + ASKS]
  local on = s[at + ON]
  local function performs(t)
    step("the store performs", function(new)
      new[at + PERFORMED] = 1
      perform[op](new, p, mistakes, t)
      if op ~= CLAIM and on ~= STOPPED and on ~= OFF then hear[op](new, p, mistakes) end
      if op ~= CLAIM or on == OFF then forget_request(new, p) end
    end, p, t, op)
  end
  if op ~= NOTHING and s[at + PERFORMED] == 0 then
    local found = false
    for t = 1, op == CLAIM and TASKS or 0 do
      if s[task_at[t] + STATE] == rules.READY and
        (lives(s, s[at + ASKS_AS]) or mistakes.claims_dead) then
        found = true
        performs(t)
      end
    end
    if not found then performs(nil) end
  end
end

-- All tasks have one key.
local function holder(s, except)
  for t = 1, TASKS do
    if t ~= except and is_live(s, t) then return t end
  end
end

local function clients_step(s, step, mistakes, keyed, tasks)
  for t = 1, TASKS do
    local at = task_at[t]
    local state = s[at + STATE]
    if state == ABSENT and t <= tasks and (t == 1 or s[task_at[t - 1] + STATE] ~= ABSENT) and
      (not keyed or mistakes.ignores_keys or not holder(s, t)) then
      step("comes", function(new) new[at + STATE] = rules.READY end, nil, t)
    end
    if s[FAULTS] > 0 and (state == rules.READY or
      state == rules.RUNNING and s[at + CANCELLING] == 0) then
      step("somebody cancels", function(new)
        new[FAULTS] = new[FAULTS] - 1
        if state == rules.RUNNING then new[at + CANCELLING] = 1 else new[at + STATE] = 5 end
      end, nil, t)
    end
    if s[FAULTS] > 0 and state == rules.DEAD and
      (not keyed or mistakes.retries_beside or not holder(s, t)) then
      step("somebody tries again", function(new)
        new[FAULTS] = new[FAULTS] - 1
        new[at + STATE], new[at + ATTEMPT], new[at + CRASHES] = rules.READY, 0, 0
        new[at + FAILURES] = 0
      end, nil, t)
    end
  end
end

-- Time does not pass a process that has something to do now: timers are on time, unless it is
-- stopped. It is of no interest while nothing depends on it.
local function may_pass(s, mistakes)
  local matters = false
  for p = 1, PROCESSES do
    local at = process_at[p]
    local on = s[at + ON]
    if (on == UP or on == CLOSING) and (s[at + LAGS] == 1 or must_fence(s, p, mistakes)) then
      return false
    end
  end
  for number = 1, NUMBERS do
    local age = s[row_at + number]
    matters = matters or age > 0 and age <= LEASE_TICKS
  end
  for t = 1, TASKS do matters = matters or s[task_at[t] + STATE] == rules.RUNNING end
  return matters
end

local function grow(s, i, most)
  if s[i] < most then s[i] = s[i] + 1 end
end

-- A job that was told to end has ended a tick later.
local function pass(s)
  for number = 1, NUMBERS do
    if s[row_at + number] > 0 then grow(s, row_at + number, LEASE_TICKS + 1) end
  end
  for p = 1, PROCESSES do
    local at = process_at[p]
    local on = s[at + ON]
    if is_idle(s, p) then s[row_at + s[at + NUMBER]] = math.min(s[row_at + s[at + NUMBER]], 1) end
    if on ~= OFF and not is_idle(s, p) then grow(s, at + AGE, LEASE_TICKS) end
    if s[at + ASKS] == CLAIM then grow(s, at + ASKS_AGE, LEASE_TICKS) end
    if s[at + BEATS] ~= 0 then grow(s, at + BEAT_AGE, LEASE_TICKS) end
    for t = 1, on ~= STOPPED and TASKS or 0 do
      if s[job_at(p, t) + 1] == ENDS then clear(s, job_at(p, t), JOB_FIELDS) end
    end
  end
end

local function time_step(s, step, mistakes)
  if may_pass(s, mistakes) then step("a tick", pass) end
  for number = 1, NUMBERS do
    local age = s[row_at + number] - 1
    if age >= (mistakes.expires_early and FENCE_TICKS or LEASE_TICKS) then
      step("the store buries", function(new) bury(new, number, mistakes) end, number)
    end
  end
end

-- Of the numbers of a task's leases only those are of interest that somebody still has, and which
-- of them is the last: they are counted anew.
local function tidy_leases(s, t)
  local task = task_at[t]
  local last, holders, n = s[task + LEASE], {}, 0
  for p = 1, PROCESSES do
    local at, job = process_at[p], job_at(p, t)
    if s[job + 1] ~= 0 then
      n = n + 1
      holders[n] = job + 2
    end
    if s[at + ASKS_TASK] == t then
      n = n + 1
      holders[n] = at + ASKS_LEASE
    end
  end
  local rank = {}
  for i = 1, n do
    local older, seen = 0, {}
    for j = 1, n do
      local value = s[holders[j]]
      if value < s[holders[i]] and not seen[value] then older, seen[value] = older + 1, true end
    end
    rank[i] = older + 1
  end
  local top = 0
  for i = 1, n do
    if s[holders[i]] == last then last = -rank[i] end
    top = math.max(top, rank[i])
  end
  s[task + LEASE] = last < 0 and -last or top + 1
  for i = 1, n do s[holders[i]] = rank[i] end
end

-- Makes equal what makes no difference any more.
local function tidy(s)
  for p = 1, PROCESSES do
    local at = process_at[p]
    if s[at + BEATS] == 1 and s[at + BEATS_AS] ~= s[at + NUMBER] then forget_beat(s, p) end
    if s[at + NUMBER] == 0 and not has_jobs(s, p) then s[at + AGE], s[at + UNSURE] = 0, 0 end
    if is_idle(s, p) and s[row_at + s[at + NUMBER]] == 1 then s[at + AGE] = 0 end
  end
  for t = 1, TASKS do
    local task = task_at[t]
    if not is_live(s, t) and s[task + STATE] ~= ABSENT then
      s[task + CRASHES], s[task + FAILURES], s[task + ATTEMPT] = 0, 0, 0
    end
    if s[task + LEASE] > 0 then tidy_leases(s, t) end
  end
end

--- Calls fn(state, name, ...) for each state that may follow. The rest says who and what.
---@param s integer[]
---@param given { mistakes: table<string, boolean>, keyed: boolean }
---@param fn fun(new: integer[], name: string, a?: integer, t?: integer, op?: integer)
function model.each(s, given, fn)
  local mistakes = given.mistakes
  local function step(name, what, a, t, op)
    local new = copy(s)
    what(new)
    tidy(new)
    fn(new, name, a, t, op)
  end
  for p = 1, PROCESSES do
    process_step(s, p, step, mistakes)
    requests_step(s, p, step, mistakes)
  end
  clients_step(s, step, mistakes, given.keyed, given.tasks)
  time_step(s, step, mistakes)
end

-- ---- what must hold ----------------------------------------------------------------

-- Two attempts of a task never run at once, but for one that was stopped and has not noticed; and
-- none lives when its lease is over (D7, D9).
local function attempts_problem(s)
  for t = 1, TASKS do
    local running = 0
    for p = 1, PROCESSES do
      local at, job = process_at[p], s[job_at(p, t) + 1]
      local is_running = s[at + ON] % 2 == 1 and s[at + LAGS] == 0 and (job == RUNS or job == ENDS)
      if is_running then
        running = running + 1
        if s[at + AGE] >= LEASE_TICKS then return "D9: an attempt outlives its lease" end
      end
    end
    if running > 1 then return "D7: two attempts run at once" end
  end
end

-- Whether a process that goes on knows that it has a task, or will find out.
local function is_known(s, p, t)
  local at, job = process_at[p], job_at(p, t)
  local owner, lease = s[task_at[t] + OWNER], s[task_at[t] + LEASE]
  return s[job + 1] ~= 0 and s[job + 2] == lease or s[at + LEFT] == owner or s[at + UNSURE] == 1 or
    s[at + ASKS] ~= NOTHING and s[at + ASKS_TASK] == t and s[at + ASKS_LEASE] == lease
end

-- A task that runs has a process that ends it, or that dies (D6, D8).
local function owner_problem(s, t)
  local owner = s[task_at[t] + OWNER]
  if s[row_at + owner] == 0 then return "D8: a task has a process that nobody will bury" end
  for p = 1, PROCESSES do
    if s[process_at[p] + NUMBER] == owner and not is_known(s, p, t) then
      return "D6: a process has a task and does not know it"
    end
  end
end

local function task_problem(s, t)
  local at = task_at[t]
  local state = s[at + STATE]
  if state == rules.RUNNING then return owner_problem(s, t) end
  if state ~= rules.READY then return nil end
  if s[at + CANCELLING] == 1 then return "D16: a task that is to be cancelled is ready" end
  if s[at + CRASHES] >= MOST_CRASHES then return "D8: a task has crashed too often" end
  if s[at + ATTEMPT] >= ATTEMPTS + s[at + CRASHES] then return "D11: too many attempts" end
  if s[at + ATTEMPT] ~= s[at + FAILURES] + s[at + CRASHES] then
    return "D12: an attempt is counted that neither failed nor crashed"
  end
end

--- Which promise a state breaks, or nil.
---@param s integer[]
---@param keyed boolean
function model.problem(s, keyed)
  local live = 0
  for t = 1, TASKS do
    if is_live(s, t) then live = live + 1 end
    local problem = task_problem(s, t)
    if problem then return problem end
  end
  if keyed and live > 1 then return "D5: two live tasks have one key" end
  return attempts_problem(s)
end

--- Which promise a step breaks.
function model.problem_of_step(old, new)
  for t = 1, TASKS do
    local before, after = old[task_at[t] + STATE], new[task_at[t] + STATE]
    if before == rules.DONE and after ~= before then
      return "D6: a task that was done runs again"
    end
    if before == 5 and after ~= before then return "D16: a task that was cancelled runs again" end
    if before == rules.RUNNING and after == rules.READY and old[task_at[t] + CANCELLING] == 1 then
      return "D16: a task that is to be cancelled is ready"
    end
    for p = 1, PROCESSES do
      local job = job_at(p, t) + 1
      if old[job] == 0 and new[job] == RUNS and old[process_at[p] + ON] == CLOSING then
        return "D12: a process that closes begins a task"
      end
    end
  end
end

model.first, model.key = places.first, places.key

return model
