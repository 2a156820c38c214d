-- What becomes of a task: the rules that hold in every store. docs/durable-stores.md has
-- them in words. A row here is a table with the fields of a task; nothing is changed.

local rules = {}

-- The states, by the numbers that are stored.
rules.SCHEDULED, rules.READY, rules.RUNNING = 0, 1, 2
rules.DONE, rules.DEAD, rules.CANCELLED = 3, 4, 5

rules.names = {
  [0] = "scheduled", [1] = "ready", [2] = "running", [3] = "done", [4] = "dead",
  [5] = "cancelled",
}

--- The numbers by the names.
rules.numbers = {}
for number, name in pairs(rules.names) do rules.numbers[name] = number end

local MOST_ERRORS <const> = 10

--- Whether a task in this state can still run.
function rules.is_live(state)
  return state <= rules.RUNNING
end

--- The errors of a task with one more, of which the latest ten stay.
---@param errors? string
---@param line string
---@return string
function rules.add_error(errors, line)
  if not errors or errors == "" then return line end
  local _, count = errors:gsub("\n", "")
  if count + 1 >= MOST_ERRORS then errors = errors:gsub("^[^\n]*\n", "", 1) end
  return errors .. "\n" .. line
end

--- The error of a task whose process has died.
---@param attempt integer
---@param now integer microseconds since 1970
---@return string
function rules.crash_line(attempt, now)
  return ('{"at":%.6f,"attempt":%d,"crashed":true,"message":"its process died"}'):format(
    now / 1e6, attempt)
end

local function ended(state, now, keep, reason)
  if keep <= 0 then return nil end
  return { state = state, ended = now, expires = now + keep, reason = reason }
end

local function waiting(now, delay)
  delay = delay or 0
  return { state = delay > 0 and rules.SCHEDULED or rules.READY, due = now + math.max(delay, 0) }
end

--- What settling makes of a running task: the fields that change, or nil when it is deleted.
--- Those that are false become nil.
---@param row table
---@param how table an element of the list of `settle`
---@param now integer
---@return table? changes
function rules.settle(row, how, now)
  local outcome, changes = how.outcome
  if outcome == "done" then
    changes = ended(rules.DONE, now, row.keep_done)
  elseif outcome == "dead" then
    changes = ended(rules.DEAD, now, row.keep_dead, how.reason)
  elseif outcome == "cancelled" or row.cancelling then
    changes = ended(rules.CANCELLED, now, row.keep_dead)
  elseif outcome == "release" then
    changes = { state = rules.READY, due = row.due }
  else
    changes = waiting(now, how.delay)
  end
  if not changes then return nil end
  changes.process, changes.cancelling = false, false
  if outcome == "snooze" or outcome == "release" then changes.attempt = row.attempt - 1 end
  if how.error then changes.errors = rules.add_error(row.errors, how.error) end
  return changes
end

--- What the death of its process makes of a running task: as settle().
function rules.crash(row, now)
  local crashes, changes = row.crashes + 1
  if row.cancelling then
    changes = ended(rules.CANCELLED, now, row.keep_dead)
  elseif crashes >= row.most_crashes then
    changes = ended(rules.DEAD, now, row.keep_dead, "crashed")
  else
    changes = { state = rules.READY, due = row.due }
  end
  if not changes then return nil end
  changes.process, changes.cancelling, changes.crashes = false, false, crashes
  changes.errors = rules.add_error(row.errors, rules.crash_line(row.attempt, now))
  return changes
end

--- What `cancel` makes of a task that waits: as settle().
function rules.cancel(row, now)
  return ended(rules.CANCELLED, now, row.keep_dead)
end

--- What `retry` makes of a task.
function rules.retry(now)
  return {
    state = rules.READY, due = now, attempt = 0, crashes = 0, ended = false, expires = false,
    reason = false, cancelling = false,
  }
end

--- When a new task is due.
---@param task table an element of the list of `enqueue`
---@param now integer
---@return integer state, integer due
function rules.first_due(task, now)
  local due = task.date or now + (task.delay or 0)
  if due > now then return rules.SCHEDULED, due end
  return rules.READY, due
end

--- How urgent a ready task is, when waiting makes it more so.
---@param priority integer
---@param due integer
---@param aging? integer a time, or nil
---@param now integer
---@return integer
function rules.level(priority, due, aging, now)
  if not aging or now <= due then return priority end
  return math.max(0, priority - (now - due) // aging)
end

--- A pattern of Lua for a filter with * and ?.
function rules.pattern(text)
  return "^" .. text:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".") .. "$"
end

--- The counts of a queue in what `stats` returns, which begin at 0 when the queue is new there.
function rules.counts_of(queues, name)
  local counts = queues[name]
  if not counts then
    counts = { paused = false, kinds = {} }
    for number = rules.SCHEDULED, rules.CANCELLED do counts[rules.names[number]] = 0 end
    queues[name] = counts
  end
  return counts
end

return rules
