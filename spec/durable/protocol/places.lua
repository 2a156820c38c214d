--- Where the parts of a state of the model are: see model.lua.

local rules = require "uvjobs.durable.rules"

local places = {}

-- ---- places ------------------------------------------------------------------------

local TASKS <const>, PROCESSES <const>, NUMBERS <const> = 2, 2, 3

local size = 0
local function place(n)
  local first = size
  size = size + n
  return first
end

-- Fields of a task. ABSENT is a state besides those that are stored.
local STATE <const>, OWNER <const>, LEASE <const>, ATTEMPT <const> = 1, 2, 3, 4
local CRASHES <const>, CANCELLING <const>, FAILURES <const>, ERRORS <const> = 5, 6, 7, 8
local ABSENT <const> = 9

-- Fields of a process. ON: see below; NUMBER as the store knows it, or 0; LEFT a number that is to
-- leave; AGE how long ago the last renewal was sent; LAGS: it was stopped for too long, and has not
-- noticed yet; UNSURE: the answer to a claim was lost.
local ON <const>, NUMBER <const>, LEFT <const>, AGE <const> = 1, 2, 3, 4
local LAGS <const>, UNSURE <const> = 5, 6
-- What it asks: the operation, whether the store has performed it, for which task and lease, as
-- which number, since when, the answer, and the outcome that it tells.
local ASKS <const>, PERFORMED <const>, ASKS_TASK <const>, ASKS_LEASE <const> = 7, 8, 9, 10
local ASKS_AS <const>, ASKS_AGE <const>, ANSWER <const>, TELLS <const> = 11, 12, 13, 14
-- The same of a renewal, which goes on beside. Its answer is whether the process lives, and which
-- tasks are to be cancelled.
local BEATS <const>, BEATS_AS <const>, BEAT_AGE <const>, BEAT_ANSWER <const> = 15, 16, 17, 18
-- For each task the job, its lease, its number, and whether it is to be cancelled.
local JOB <const> = 18
local JOB_FIELDS <const> = 4

local OFF <const>, UP <const>, STOPPED <const>, CLOSING <const> = 0, 1, 2, 3
local NOTHING <const>, CLAIM <const>, SETTLE <const>, LEAVE <const> = 0, 1, 2, 3
local RUNS <const>, ENDS <const> = 1, 2 -- of a job: it runs, or is told to end
-- It has ended, and the store is to be told. The numbers go on.
local OUTCOMES <const> = { [3] = "done", [4] = "retry", [5] = "release", [6] = "cancelled" }
local DONE <const>, FAILED <const>, RELEASED <const>, CANCELLED <const> = 3, 4, 5, 6

local task_at, process_at = {}, {}
for t = 1, TASKS do task_at[t] = place(8) end
for p = 1, PROCESSES do process_at[p] = place(JOB + JOB_FIELDS * TASKS) end
local row_at <const> = place(NUMBERS) -- of each number: 0, or how long ago it was renewed, and 1
local LAST_NUMBER <const> = place(1) + 1
local FAULTS <const> = place(1) + 1 -- that may still happen
local SIZE <const> = size

local function job_at(p, t) return process_at[p] + JOB + (t - 1) * JOB_FIELDS end

local LEASE_TICKS <const>, FENCE_TICKS <const> = 3, 2
local ATTEMPTS <const>, MOST_CRASHES <const> = 2, 2

--- The first state: two processes, and so many tasks that are ready; the others come. So many
--- things may go wrong. With `is_dead` the first task has failed for good.
function places.first(ready, faults, is_dead)
  local s = {}
  for i = 1, SIZE do s[i] = 0 end
  for t = 1, TASKS do s[task_at[t] + STATE] = t <= ready and rules.READY or ABSENT end
  for p = 1, PROCESSES do
    s[process_at[p] + ON], s[process_at[p] + NUMBER], s[row_at + p] = UP, p, 1
  end
  if is_dead then s[task_at[1] + STATE] = rules.DEAD end
  s[LAST_NUMBER], s[FAULTS] = PROCESSES, faults
  return s
end

local function copy(s) return table.move(s, 1, SIZE, 1, {}) end

function places.key(s) return string.char(table.unpack(s, 1, SIZE)) end

local function clear(s, from, n) for i = from + 1, from + n do s[i] = 0 end end

local function is_live(s, t) return s[task_at[t] + STATE] <= rules.RUNNING end

for name, value in pairs {
  ABSENT = ABSENT, AGE = AGE, ANSWER = ANSWER, ASKS = ASKS, ASKS_AGE = ASKS_AGE,
  ASKS_AS = ASKS_AS, ASKS_LEASE = ASKS_LEASE, ASKS_TASK = ASKS_TASK, ATTEMPT = ATTEMPT,
  ATTEMPTS = ATTEMPTS, BEATS = BEATS, BEATS_AS = BEATS_AS, BEAT_AGE = BEAT_AGE,
  BEAT_ANSWER = BEAT_ANSWER, CANCELLED = CANCELLED, CANCELLING = CANCELLING, CLAIM = CLAIM,
  CLOSING = CLOSING, CRASHES = CRASHES, DONE = DONE, ENDS = ENDS, ERRORS = ERRORS,
  FAILED = FAILED, FAILURES = FAILURES, FAULTS = FAULTS, FENCE_TICKS = FENCE_TICKS, JOB = JOB,
  JOB_FIELDS = JOB_FIELDS, LAGS = LAGS, LAST_NUMBER = LAST_NUMBER, LEASE = LEASE,
  LEASE_TICKS = LEASE_TICKS, LEAVE = LEAVE, LEFT = LEFT, MOST_CRASHES = MOST_CRASHES,
  NOTHING = NOTHING, NUMBER = NUMBER, NUMBERS = NUMBERS, OFF = OFF, ON = ON, OUTCOMES = OUTCOMES,
  OWNER = OWNER, PERFORMED = PERFORMED, PROCESSES = PROCESSES, RELEASED = RELEASED, RUNS = RUNS,
  SETTLE = SETTLE, SIZE = SIZE, STATE = STATE, STOPPED = STOPPED, TASKS = TASKS, TELLS = TELLS,
  UNSURE = UNSURE, UP = UP, task_at = task_at, process_at = process_at, row_at = row_at,
  job_at = job_at, copy = copy, clear = clear, is_live = is_live,
} do places[name] = value end

return places
