-- Tasks that are stored at the times of a schedule: once each, whatever the number of processes
-- (D18). Every process that has made a schedule looks after it; the store lets one of them move
-- it on, in the transaction in which that stores the task.

local core = require "uvjobs.core"
local options = require "uvjobs.durable.options"

core.own_source()

local uvjobs = core.public

local schedules = {}

local MISSED <const> = 1 -- seconds: what is later was missed
local LOOK <const>, LOOK_VIRTUAL <const> = 60, 3600 -- seconds: so late is a step of the date seen
local AGAIN <const> = 1 -- seconds until a store is asked again that does not answer

local function date_of(microseconds) return microseconds / 1e6 end
local function microseconds_of(date) return date and math.floor(date * 1e6 + 0.5) end

-- ---- which times run ---------------------------------------------------------------

-- The last times from `from` up to `now`, at most `most`, in order.
local function last_times(schedule, from, now, most)
  local times = {}
  local time = schedule:previous(now + 1e-6)
  while time and time >= from - 1e-6 and #times < most do
    table.insert(times, 1, time)
    time = schedule:previous(time)
  end
  return times
end

--- The times that run, of those that have come since one was planned.
---@param schedule uvjobs.Schedule
---@param given table the options
---@param planned number date
---@param now number date
---@return number[] dates
function schedules.times_to_run(schedule, given, planned, now)
  local times = last_times(schedule, planned, now,
    given.misfire == "all" and given.misfire_limit or 1)
  local run = {}
  for i, time in ipairs(times) do
    local late = now - time
    local is_missed = i < #times or late > MISSED
    if not is_missed or given.misfire ~= "skip" and late <= given.misfire_grace then
      run[#run + 1] = time
    end
  end
  return run, times[#times] or planned
end

-- ---- looking after them ------------------------------------------------------------

-- Moves a schedule on, and stores its tasks. Returns how long it is until its next time.
local function fire(store, own, row)
  local now = date_of(row.next) - row.delay / 1e6 -- by the clock of the store
  local run, last = schedules.times_to_run(own.schedule, own.options, date_of(row.next), now)
  local next_time = own.schedule:next(math.max(now, last))
  local tasks = {}
  for i, time in ipairs(run) do
    local one = {}
    for name, value in pairs(own.task) do one[name] = value end
    one.date = microseconds_of(time)
    tasks[i] = one
  end
  local fired = store:_call {
    op = "fire", name = row.name, expected = row.next, last = microseconds_of(last),
    next = microseconds_of(next_time), tasks = tasks,
  }
  if fired and #tasks > 0 then store:_hint { own.task.queue } end
  return next_time and next_time - now
end

-- Fires all that are due. Returns how long it is until the next one, or nil.
local function fire_due(store)
  local least
  for _, row in ipairs(store:_call { op = "schedules" }) do
    local own = store._schedules[row.name]
    -- Another version of the program may have changed its times: then it looks after it.
    if own and own.spec == row.spec and row.next then
      local delay = row.delay > 0 and row.delay / 1e6 or fire(store, own, row)
      if delay and (not least or delay < least) then least = delay end
    end
  end
  return least
end

local function look_after(store)
  local longest = core.is_virtual() and LOOK_VIRTUAL or LOOK
  while true do
    local ok, delay = pcall(fire_due, store)
    if not ok and (core.interrupted() or uvjobs.code(delay) ~= "unavailable") then
      error(delay, 0)
    end
    local wait = ok and math.min(delay or longest, longest) or AGAIN
    if ok and not delay and core.is_virtual() then
      store._schedules_changed:wait()
    else
      store._schedules_changed:wait(math.max(wait, 0.001))
    end
    store._schedules_changed:clear()
  end
end

local function begin(store)
  if store._scheduling then return end
  store._scheduling = uvjobs.scheduler { name = "schedules" }
  store._schedules_changed = uvjobs.event()
  store._scheduling:spawn({ name = "stores scheduled tasks" }, look_after, store)
end

-- ---- what programs call ------------------------------------------------------------

--- Makes a schedule, or changes the one of the name. `level` is whom errors blame.
function schedules.make(store, level, name, schedule, kind, args, given)
  local own_options, of_task = options.schedule(level + 1, name, schedule, given)
  local one = options.task(store._kinds, store._args_limit, level + 1, "schedule", 3, kind, args,
    of_task)
  local own = {
    schedule = schedule, options = own_options, spec = tostring(schedule), task = one,
  }
  local next_time = schedule:next(uvjobs.time())
  store:_call {
    op = "schedule", name = name, spec = own.spec, next = microseconds_of(next_time),
    task = core.encode({ kind = kind, queue = one.queue, args = one.args }, math.maxinteger),
  }
  store._schedules[name] = own
  begin(store)
  store._schedules_changed:set()
end

--- Deletes a schedule; returns whether there was one.
function schedules.delete(store, name)
  store._schedules[name] = nil
  return store:_call { op = "unschedule", name = name }
end

--- All schedules of a store.
function schedules.list(store)
  local found = {}
  for i, row in ipairs(store:_call { op = "schedules" }) do
    local one = core.decode(row.task)
    one = type(one) == "table" and one or {}
    found[i] = {
      name = row.name, schedule = row.spec, kind = one.kind, queue = one.queue,
      args = one.args and core.decode(one.args), last = row.last and date_of(row.last),
      next = row.next and date_of(row.next),
    }
  end
  return found
end

--- The store is closed.
function schedules.close(store)
  if store._scheduling then store._scheduling:close() end
end

return schedules
