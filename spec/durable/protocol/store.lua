--- The store of the model: its operations, each of which is one step. See model.lua.

local places = require "spec.durable.protocol.places"
local rules = require "uvjobs.durable.rules"

local store = {}

local ABSENT <const>, ANSWER <const>, ASKS_AS <const>, ASKS_LEASE <const> =
  places.ABSENT, places.ANSWER, places.ASKS_AS, places.ASKS_LEASE
local ASKS_TASK <const>, ATTEMPT <const>, ATTEMPTS <const>, BEATS <const> =
  places.ASKS_TASK, places.ATTEMPT, places.ATTEMPTS, places.BEATS
local BEATS_AS <const>, BEAT_ANSWER <const>, CANCELLING <const>, CLAIM <const> =
  places.BEATS_AS, places.BEAT_ANSWER, places.CANCELLING, places.CLAIM
local CRASHES <const>, FAILURES <const>, LEASE <const>, LEASE_TICKS <const> =
  places.CRASHES, places.FAILURES, places.LEASE, places.LEASE_TICKS
local LEAVE <const>, MOST_CRASHES <const>, OUTCOMES <const>, OWNER <const> =
  places.LEAVE, places.MOST_CRASHES, places.OUTCOMES, places.OWNER
local SETTLE <const>, STATE <const>, TASKS <const>, TELLS <const> =
  places.SETTLE, places.STATE, places.TASKS, places.TELLS
local UNSURE <const>, task_at <const>, process_at <const>, row_at <const> =
  places.UNSURE, places.task_at, places.process_at, places.row_at
local job_at <const> =
  places.job_at

-- ---- the store ---------------------------------------------------------------------

-- The rules of the product say what becomes of a task.
local function change(s, t, changes)
  local at = task_at[t]
  s[at + STATE], s[at + OWNER], s[at + CANCELLING] = changes.state, 0, 0
  s[at + ATTEMPT] = changes.attempt or s[at + ATTEMPT]
  s[at + CRASHES] = changes.crashes or s[at + CRASHES]
end

local function row_of(s, t)
  local at = task_at[t]
  return {
    attempt = s[at + ATTEMPT], crashes = s[at + CRASHES], cancelling = s[at + CANCELLING] == 1,
    most_crashes = MOST_CRASHES, keep_done = 1, keep_dead = 1, due = 0,
  }
end

local function settle(s, t, outcome, mistakes)
  local at, row = task_at[t], row_of(s, t)
  local attempt = row.attempt
  if mistakes.forgets_cancelling then row.cancelling = false end
  local how = { outcome = outcome }
  if outcome == "retry" and row.attempt >= ATTEMPTS then how.outcome = "dead" end
  change(s, t, rules.settle(row, how, 0))
  if outcome == "release" and mistakes.counts_releases then s[at + ATTEMPT] = attempt end
  if outcome == "retry" then s[at + FAILURES] = s[at + FAILURES] + 1 end
end

local function release_all(s, number, mistakes, keeps)
  for t = 1, TASKS do
    local at = task_at[t]
    if s[at + STATE] == rules.RUNNING and s[at + OWNER] == number and not (keeps and keeps(t)) then
      settle(s, t, "release", mistakes)
    end
  end
end

-- Whether the store takes a number for alive.
local function lives(s, number)
  local age = number > 0 and s[row_at + number] or 0
  return age > 0 and age - 1 < LEASE_TICKS
end

local perform = {}

-- Which tasks a process knows that it has: its engine does not give them back.
perform[CLAIM] = function(s, p, mistakes, t)
  local at = process_at[p]
  local number = s[at + ASKS_AS]
  if s[at + UNSURE] == 1 then
    s[at + UNSURE] = 0
    release_all(s, number, mistakes, function(of)
      local job = job_at(p, of)
      return s[job + 1] ~= 0 and s[job + 3] == number
    end)
  end
  if not (lives(s, number) or mistakes.claims_dead) then
    s[at + ANSWER] = 0
    return
  end
  s[at + ANSWER] = 1
  if lives(s, number) then s[row_at + number] = 1 end
  if not t then return end
  local task = task_at[t]
  s[task + STATE], s[task + OWNER], s[task + CANCELLING] = rules.RUNNING, number, 0
  s[task + LEASE], s[task + ATTEMPT] = s[task + LEASE] + 1, s[task + ATTEMPT] + 1
  s[at + ASKS_TASK], s[at + ASKS_LEASE] = t, s[task + LEASE]
end

perform[SETTLE] = function(s, p, mistakes)
  local at = process_at[p]
  local t, number = s[at + ASKS_TASK], s[at + ASKS_AS]
  local task = task_at[t]
  local holds = s[task + STATE] == rules.RUNNING and s[task + OWNER] == number and
    s[task + LEASE] == s[at + ASKS_LEASE]
  if mistakes.has_no_fence then holds = s[task + STATE] ~= ABSENT end
  s[at + ANSWER] = holds and 1 or 0
  if holds then settle(s, t, OUTCOMES[s[at + TELLS]], mistakes) end
end

perform[LEAVE] = function(s, p, mistakes)
  local number = s[process_at[p] + ASKS_AS]
  if not mistakes.leaves_tasks then release_all(s, number, mistakes) end
  s[row_at + number] = 0
end

-- A process is dead: its tasks are given back.
local function bury(s, number, mistakes)
  for t = 1, TASKS do
    local at = task_at[t]
    if s[at + STATE] == rules.RUNNING and s[at + OWNER] == number then
      local row = row_of(s, t)
      if mistakes.forgets_cancelling then row.cancelling = false end
      if mistakes.forgets_crashes then row.most_crashes = 100 end
      change(s, t, rules.crash(row, 0))
    end
  end
  s[row_at + number] = 0
end

local function perform_beat(s, p)
  local at = process_at[p]
  local number, mask = s[at + BEATS_AS], 0
  s[at + BEATS] = 1
  if not lives(s, number) then
    s[at + BEAT_ANSWER] = 0
    return
  end
  s[row_at + number] = 1
  for t = 1, TASKS do
    local task = task_at[t]
    if s[task + STATE] == rules.RUNNING and s[task + OWNER] == number and
      s[task + CANCELLING] == 1 then mask = mask | 1 << (t - 1) end
  end
  s[at + BEAT_ANSWER] = mask + 1
end

store.perform = perform
store.bury = bury
store.perform_beat = perform_beat
store.lives = lives

return store
