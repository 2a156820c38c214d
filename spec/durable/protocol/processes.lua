--- The processes of the model, which ask the store. See model.lua.

local places = require "spec.durable.protocol.places"
local store = require "spec.durable.protocol.store"
local rules = require "uvjobs.durable.rules"

local processes = {}

local AGE <const>, ANSWER <const>, ASKS <const>, ASKS_AGE <const> =
  places.AGE, places.ANSWER, places.ASKS, places.ASKS_AGE
local ASKS_AS <const>, ASKS_LEASE <const>, ASKS_TASK <const>, BEATS <const> =
  places.ASKS_AS, places.ASKS_LEASE, places.ASKS_TASK, places.BEATS
local BEATS_AS <const>, BEAT_AGE <const>, BEAT_ANSWER <const>, CANCELLED <const> =
  places.BEATS_AS, places.BEAT_AGE, places.BEAT_ANSWER, places.CANCELLED
local CLAIM <const>, CLOSING <const>, DONE <const>, ENDS <const> =
  places.CLAIM, places.CLOSING, places.DONE, places.ENDS
local FAILED <const>, FAULTS <const>, FENCE_TICKS <const>, JOB <const> =
  places.FAILED, places.FAULTS, places.FENCE_TICKS, places.JOB
local JOB_FIELDS <const>, LAGS <const>, LAST_NUMBER <const>, LEASE_TICKS <const> =
  places.JOB_FIELDS, places.LAGS, places.LAST_NUMBER, places.LEASE_TICKS
local LEAVE <const>, LEFT <const>, NOTHING <const>, NUMBER <const> =
  places.LEAVE, places.LEFT, places.NOTHING, places.NUMBER
local NUMBERS <const>, OFF <const>, ON <const>, PERFORMED <const> =
  places.NUMBERS, places.OFF, places.ON, places.PERFORMED
local RELEASED <const>, RUNS <const>, SETTLE <const>, STATE <const> =
  places.RELEASED, places.RUNS, places.SETTLE, places.STATE
local STOPPED <const>, TASKS <const>, TELLS <const>, UNSURE <const> =
  places.STOPPED, places.TASKS, places.TELLS, places.UNSURE
local UP <const>, task_at <const>, process_at <const>, row_at <const> =
  places.UP, places.task_at, places.process_at, places.row_at
local job_at <const>, clear <const> = places.job_at, places.clear
local perform <const>, perform_beat <const> =
  store.perform, store.perform_beat

-- ---- processes ---------------------------------------------------------------------

local function forget_request(s, p) clear(s, process_at[p] + ASKS - 1, TELLS - ASKS + 1) end
local function forget_beat(s, p) clear(s, process_at[p] + BEATS - 1, 4) end

-- What is known of tasks is of no use any more: jobs end, by themselves as long as others do not
-- have them.
local function lose_all(s, p, at_once)
  for t = 1, TASKS do
    local job = job_at(p, t)
    if s[job + 1] > 0 and s[job + 1] <= ENDS and not at_once then
      s[job + 1] = ENDS
    else
      clear(s, job, JOB_FIELDS)
    end
  end
end

local function fence(s, p)
  local at = process_at[p]
  s[at + LEFT], s[at + NUMBER] = s[at + NUMBER], 0
  s[at + LAGS] = 0
  lose_all(s, p, s[at + AGE] >= LEASE_TICKS)
end

local function has_jobs(s, p)
  for t = 1, TASKS do
    local job = s[job_at(p, t) + 1]
    if job == RUNS or job == ENDS then return true end
  end
  return false
end

local function has_outcomes(s, p)
  for t = 1, TASKS do
    if s[job_at(p, t) + 1] > ENDS then return true end
  end
  return false
end

local hear = {}

hear[CLAIM] = function(s, p, mistakes)
  local at = process_at[p]
  local t, number = s[at + ASKS_TASK], s[at + ASKS_AS]
  if s[at + ANSWER] == 0 then
    if s[at + NUMBER] == number then
      s[at + NUMBER], s[at + LAGS] = 0, 0
      lose_all(s, p, true)
    end
    return
  end
  if s[at + NUMBER] == number then
    s[at + AGE] = mistakes.renews_late and 0 or math.min(s[at + AGE], s[at + ASKS_AGE])
  end
  if s[at + NUMBER] == number and s[at + AGE] >= FENCE_TICKS and not mistakes.fences_late then
    fence(s, p)
  end
  if t == 0 or s[at + NUMBER] ~= number and not mistakes.begins_lost then return end
  local job = job_at(p, t)
  local begins = s[at + ON] ~= CLOSING or mistakes.begins_closing
  s[job + 1] = begins and RUNS or RELEASED
  s[job + 2], s[job + 3] = s[at + ASKS_LEASE], number
end

hear[SETTLE] = function() end

hear[LEAVE] = function(s, p)
  local at = process_at[p]
  s[at + LEFT] = 0
  if s[at + ON] == CLOSING then s[at + ON], s[at + NUMBER] = OFF, 0 end
end

local function hear_beat(s, p, mistakes)
  local at = process_at[p]
  local answer = s[at + BEAT_ANSWER]
  if s[at + NUMBER] ~= s[at + BEATS_AS] then return end
  if answer == 0 then
    s[at + NUMBER], s[at + LAGS] = 0, 0
    lose_all(s, p, true)
    return
  end
  s[at + AGE] = mistakes.renews_late and 0 or math.min(s[at + AGE], s[at + BEAT_AGE])
  if s[at + AGE] < FENCE_TICKS then s[at + LAGS] = 0 end
  for t = 1, TASKS do
    local job = job_at(p, t)
    if (answer - 1) >> (t - 1) & 1 == 1 and s[job + 1] == RUNS then s[job + 4] = 1 end
  end
end

-- ---- steps -------------------------------------------------------------------------

-- Each part calls step(name, change, ...) for what may happen next, where change(s, ...) makes the
-- new state out of a copy.

local function ask(s, p, op, number)
  local at = process_at[p]
  s[at + ASKS], s[at + ASKS_AS] = op, number
end

local function tell(s, p, t)
  local at, job = process_at[p], job_at(p, t)
  ask(s, p, SETTLE, s[job + 3])
  s[at + ASKS_TASK], s[at + ASKS_LEASE], s[at + TELLS] = t, s[job + 2], s[job + 1]
  clear(s, job, JOB_FIELDS)
end

local function jobs_step(s, p, step)
  local on = s[process_at[p] + ON]
  for t = 1, TASKS do
    local job = job_at(p, t)
    local function ends(name, how)
      step(name, function(new)
        if how == 0 then clear(new, job, JOB_FIELDS) else new[job + 1] = how end
      end, p, t)
    end
    if s[job + 1] == RUNS then
      ends("done", DONE)
      ends("fails", FAILED)
      if s[job + 4] == 1 then ends("is cancelled", CANCELLED) end
      if on == CLOSING then ends("is closed", RELEASED) end
    elseif s[job + 1] == ENDS then
      ends("ends", 0)
    elseif s[job + 1] > ENDS and s[process_at[p] + ASKS] == NOTHING then
      step("tells", function(new) tell(new, p, t) end, p, t)
    end
  end
end

local function answers_step(s, p, step, mistakes)
  local at = process_at[p]
  if s[at + PERFORMED] == 1 then
    step("hears", function(new)
      hear[s[at + ASKS]](new, p, mistakes)
      forget_request(new, p)
    end, p)
  end
  if s[at + BEATS] == 1 then
    step("hears of its lease", function(new)
      hear_beat(new, p, mistakes)
      forget_beat(new, p)
    end, p)
  end
end

local function next_number(s, p)
  local number, at = s[LAST_NUMBER] + 1, process_at[p]
  s[LAST_NUMBER], s[at + NUMBER], s[at + AGE] = number, number, 0
  s[row_at + number] = 1
end

-- A process that joins again has ended the jobs of its old number, and has left.
local function join_step(s, p, step, mistakes)
  local at = process_at[p]
  if s[at + LEFT] ~= 0 then
    if not has_jobs(s, p) or mistakes.leaves_early then
      step("leaves", function(new) ask(new, p, LEAVE, s[at + LEFT]) end, p)
    end
  elseif s[LAST_NUMBER] < NUMBERS then
    step("joins", function(new) next_number(new, p) end, p)
  end
end

local function has_ready(s)
  for t = 1, TASKS do
    if s[task_at[t] + STATE] == rules.READY then return true end
  end
  return false
end

local function asks_step(s, p, step, mistakes)
  local at = process_at[p]
  local number = s[at + NUMBER]
  if s[at + BEATS] == 0 and number ~= 0 and s[at + AGE] == 1 and has_jobs(s, p) then
    step("renews", function(new)
      new[at + BEATS_AS] = number
      perform_beat(new, p)
    end, p)
  end
  if s[at + ASKS] ~= NOTHING then return end
  if s[at + ON] == CLOSING then
    if has_jobs(s, p) or has_outcomes(s, p) then return end
    local last = number ~= 0 and number or s[at + LEFT]
    step("leaves", function(new)
      if last ~= 0 then ask(new, p, LEAVE, last) else new[at + ON] = OFF end
    end, p)
  elseif number == 0 then
    join_step(s, p, step, mistakes)
  elseif not has_outcomes(s, p) and has_ready(s) then
    step("claims", function(new) ask(new, p, CLAIM, number) end, p)
  end
end

local function stop_running(s, p)
  local kept = table.move(s, process_at[p] + ASKS, process_at[p] + TELLS, 1, {})
  clear(s, process_at[p], JOB + JOB_FIELDS * TASKS)
  if kept[PERFORMED - ASKS + 1] == 0 then
    table.move(kept, 1, #kept, process_at[p] + ASKS, s)
  end
end

local function faults_step(s, p, step, mistakes)
  local at = process_at[p]
  local on = s[at + ON]
  if s[FAULTS] == 0 then return end
  local function fault(name, fn)
    step(name, function(new)
      new[FAULTS] = new[FAULTS] - 1
      fn(new)
    end, p)
  end
  if on ~= OFF then fault("is killed", function(new) stop_running(new, p) end) end
  if on == UP then
    fault("is stopped", function(new) new[at + ON] = STOPPED end)
    fault("closes", function(new) new[at + ON] = CLOSING end)
  end
  if on ~= OFF and s[at + ASKS] == CLAIM and s[at + PERFORMED] == 1 then
    fault("loses an answer", function(new)
      new[at + PERFORMED], new[at + ASKS_TASK], new[at + ASKS_LEASE] = 0, 0, 0
      new[at + UNSURE] = mistakes.is_sure and 0 or 1
    end)
  elseif on ~= OFF and s[at + ASKS] ~= NOTHING and s[at + ASKS] ~= CLAIM then
    fault("asks again", function(new) perform[s[at + ASKS]](new, p, mistakes) end)
  end
end

local function must_fence(s, p, mistakes)
  local at = process_at[p]
  return s[at + NUMBER] ~= 0 and has_jobs(s, p) and
    s[at + AGE] >= (mistakes.fences_late and LEASE_TICKS or FENCE_TICKS)
end

local function process_step(s, p, step, mistakes)
  local at = process_at[p]
  local on = s[at + ON]
  faults_step(s, p, step, mistakes)
  if on == STOPPED then
    step("goes on", function(new)
      new[at + ON] = UP
      if s[at + AGE] >= FENCE_TICKS and (s[at + NUMBER] ~= 0 or has_jobs(s, p)) then
        new[at + LAGS] = 1
      end
    end, p)
  elseif on == OFF then
    if s[at + ASKS] == NOTHING and s[LAST_NUMBER] < NUMBERS then
      step("starts", function(new) new[at + ON] = UP end, p)
    end
  else -- UP or CLOSING
    if must_fence(s, p, mistakes) then
      step("gives up its tasks", function(new) fence(new, p) end, p)
    end
    if s[at + NUMBER] == 0 and s[at + LAGS] == 1 then
      step("ends what it had given up", function(new)
        lose_all(new, p, true)
        new[at + LAGS] = 0
      end, p)
    end
    if on == CLOSING and s[at + ASKS] ~= NOTHING and not has_jobs(s, p) then
      step("gives the store up", function(new) stop_running(new, p) end, p)
    end
    jobs_step(s, p, step)
    answers_step(s, p, step, mistakes)
    asks_step(s, p, step, mistakes)
  end
end

-- Whether a process only waits for tasks. Such a one renews its lease in time, which changes
-- nothing.
local function is_idle(s, p)
  local at = process_at[p]
  return s[at + ON] == UP and s[at + NUMBER] ~= 0 and s[at + ASKS] == NOTHING and
    s[at + BEATS] == 0 and not has_jobs(s, p) and not has_outcomes(s, p)
end

processes.hear = hear
processes.hear_beat = hear_beat
processes.process_step = process_step
processes.forget_request = forget_request
processes.forget_beat = forget_beat
processes.has_jobs = has_jobs
processes.must_fence = must_fence
processes.is_idle = is_idle

return processes
