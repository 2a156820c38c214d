-- One look at all jobs: what each of them waits for, and who holds that. The look is from
-- one moment; the records stay as they are while the jobs go on.

local core = require "uvjobs.core"
local doing = require "uvjobs.insight.doing"
local things = require "uvjobs.insight.things"
local words = require "uvjobs.insight.words"

core.own_source()

---@class uvjobs.insight.Record
---@field job uvjobs.Job
---@field id integer the number of the job
---@field name? string
---@field state string
---@field scheduler uvjobs.Scheduler
---@field parent? integer the number of the job that spawned it; nil for none
---@field age? number seconds since it was spawned, at most about 5 % too many; nil if unknown
---@field left? number seconds until the wait ends by itself
---@field kind string what it waits for, a word of words.lua
---@field waits_for string the same in words
---@field holders uvjobs.insight.Record[] the jobs that it waits for, as far as they are known
---@field needs "all"|"any"|"none" which of the holders must go on so that it can; none: it can
---@field likely? "all"|"any" the same, as far as can be expected; others could help all the same
---@field hold? uvjobs.insight.Hold of a pending job whose scheduler has an order: why it waits
---@field child? uvjobs.Child of which it is a run
---@field thing? userdata the queue, channel, event, semaphore, watch and so on that it waits for
---@field doing? string what it does inside a function of the library, in words
---@field times? uvjobs.Times how long it has waited, was ready and ran; nil unless measured
---@field at? string where it stands, "file:line"

---@class uvjobs.insight.Hold
---@field reason "key"|"rate"|"slot" its key has reached its limit; the rate of starts allows none
---  for now; all slots are taken
---@field key? string|number of the job, with "key"
---@field limit? integer of the key, with "key"
---@field left? number seconds until a start is allowed, with "rate"
---@field urgent? integer how many pending jobs come before it, by their level, with "slot"
---@field keys? integer of how many keys the pending jobs of its level are, which take turns; with
---  "slot" in a fair scheduler

---@class uvjobs.insight.Look
---@field records uvjobs.insight.Record[] in the order of their numbers
---@field count integer how many jobs live; more than there are records in a look at some of them
---@field by_id table<integer, uvjobs.insight.Record>
---@field schedulers { scheduler: uvjobs.Scheduler, records: uvjobs.insight.Record[] }[]
local Look = {}
Look.__index = Look

-- The holders of jobs that wait for nobody who is known.
local NOBODY <const> = {}

local function new_record(glance)
  local job = glance.job
  glance.doing = doing.get(job)
  glance.child = core.child_of(job)
  glance.times = job.times
  glance.holders, glance.needs = NOBODY, "none"
  return glance
end

-- ---- the holders -------------------------------------------------------------------------

local function active_records(group)
  local list = {}
  for _, record in ipairs(group.records) do
    if record.kind ~= "slot" then list[#list + 1] = record end
  end
  return list
end

-- For each semaphore, the jobs that have a permit of it, as often as they have one.
local function find_permits(look)
  local holders = {}
  for _, record in ipairs(look:all()) do
    for _, thing in ipairs(core.permits(record.job)) do
      holders[thing] = holders[thing] or {}
      table.insert(holders[thing], record)
    end
  end
  return holders
end

-- How a job's holders are found, by the kind of its wait. Each returns the holders and
-- which of them must go on.
local find = {}

local function one(look, record)
  return { look.by_id[record.other] }, "all"
end

find.job, find.close, find.shield, find.mutex = one, one, one, one

-- A slot of the scheduler gets free, or a place among those that are pending, when one of
-- the active jobs ends. A scheduler that is paused waits for a call, which anybody can make.
local function any_active(look, record)
  local group = look.by_scheduler[record.sched]
  if not group or group.scheduler.paused then return {}, "none" end
  group.active = group.active or active_records(group)
  return group.active, "any"
end

find.place = any_active

-- The jobs of a key that have a slot. Those who wait for the same key get the same list.
local function of_key(look, record, key)
  local list = look.keys[key]
  if not list then
    list = {}
    for _, id in ipairs(core.key_jobs(record.job) or {}) do list[#list + 1] = look.by_id[id] end
    look.keys[key] = list
  end
  return list
end

-- How many pending jobs are more urgent, and of how many keys those are that are as urgent.
local function line_of(look, record, level, is_fair)
  local line = look.lines[record.sched]
  if not line then
    line = {}
    line.jobs, line.keys = core.line(record.job)
    look.lines[record.sched] = line
  end
  local urgent = 0
  for i = 1, line.jobs and level or 0 do urgent = urgent + line.jobs[i] end
  local keys = line.keys and line.keys[level + 1]
  return { reason = "slot", urgent = urgent, keys = is_fair and keys or nil }
end

-- A job that waits for the rate of starts waits for time.
function find.slot(look, record)
  local reason, value, more, key = core.hold(record.job)
  if reason == "key" then
    record.hold = { reason = reason, key = value, limit = more }
    return of_key(look, record, key), "any"
  elseif reason == "rate" then
    record.hold = { reason = reason, left = value }
    return {}, "none"
  elseif reason == "slot" then
    record.hold = line_of(look, record, value, more)
  end
  return any_active(look, record)
end

-- Anybody may set an event, unless it is one of the library that is known.
function find.event(look, record)
  local explanation = record.thing and things.explain(record.thing)
  if not explanation then return {}, "none" end
  record.doing, record.likely = record.doing or explanation.text, explanation.likely
  local holders = {}
  for _, job in ipairs(explanation.jobs or {}) do holders[#holders + 1] = look.by_id[job.id] end
  return holders, explanation.needs
end

function find.idle(look, record)
  local group = look.by_scheduler[record.sched]
  return group and group.records or {}, "all"
end

-- A job that waits until its own scheduler is idle waits for the others, except those that
-- wait for the same.
function find.alone(look, record)
  local others = {}
  for _, other in ipairs(look.by_scheduler[record.sched].records) do
    if other.kind ~= "alone" then others[#others + 1] = other end
  end
  return others, "all"
end

-- Permits that were taken by acquire() may be given back by anybody: only when each permit
-- has a holder that is known does the job need one of them.
function find.permit(look, record)
  look.permits = look.permits or find_permits(look)
  local holders = record.thing and look.permits[record.thing] or {}
  local are_all_known = record.thing and #holders == core.total(record.thing)
  return holders, are_all_known and "any" or "none"
end

function find.select(look, record)
  local sources = record.thing and core.sources(record.thing) or {}
  local holders, needs = {}, "any"
  for _, source in ipairs(sources) do
    local id = core.typename(source) == "uvjobs.Job" and source.id
    local holder = id and look.by_id[id]
    if holder then holders[#holders + 1] = holder else needs = "none" end
  end
  return holders, needs
end

-- The kinds whose object tells who can help, and those whose object is only told.
local HAS_THING <const> = { permit = true, select = true, event = true }
local SHOWS_THING <const> = { get = true, put = true, receive = true, send = true }

-- A wait that ends by itself, after a time, does not need its holders to go on.
local function complete(look, record)
  local kind = record.kind
  if HAS_THING[kind] or SHOWS_THING[kind] and look.with_things then
    record.thing = core.thing(record.job)
  end
  local how = find[kind]
  if how then record.holders, record.needs = how(look, record) end
  if record.left then record.needs, record.likely = "none", nil end
end

--- Says in words what a job waits for, and where it stands. That costs as much as all the rest.
---@param record uvjobs.insight.Record
---@param is_timeless? boolean without the time that is left
function Look:tell(record, is_timeless)
  local awaited = self.by_scheduler[record.sched]
  record.waits_for = words.wait(record, awaited and awaited.scheduler, is_timeless)
  record.at = record.at or core.place(record.job)
end

-- ---- a look --------------------------------------------------------------------------------

local function group_by_scheduler(look)
  for _, record in ipairs(look.records) do
    local group = look.by_scheduler[record.of]
    if not group then
      group = { scheduler = record.scheduler, records = {} }
      look.by_scheduler[record.of] = group
      look.schedulers[#look.schedulers + 1] = group
    end
    group.records[#group.records + 1] = record
  end
end

local function fill(look)
  look.records = core.glances()
  look.count = #look.records
  for _, glance in ipairs(look.records) do
    look.by_id[glance.id] = new_record(glance)
  end
  group_by_scheduler(look)
  for _, record in ipairs(look.records) do complete(look, record) end
  for _, record in ipairs(look.in_brief and {} or look.records) do look:tell(record) end
end

local function new_look(in_brief)
  return setmetatable({
    with_things = not in_brief, in_brief = in_brief,
    by_id = {}, by_scheduler = {}, schedulers = {}, keys = {}, lines = {},
  }, Look)
end

--- Looks at all jobs that live.
---@param in_brief? boolean for who needs no queues, and has jobs told that are to be: in a copy of
---  the process each queue that is found costs a copy of a page of memory, since it is read by way
---  of the job's stack
---@return uvjobs.insight.Look look
function Look.take(in_brief)
  local look = new_look(in_brief)
  core.uninterrupted(function() fill(look) end)
  return look
end

-- ---- a look at some ------------------------------------------------------------------------

-- Every job is seen, but a record is made only when somebody asks for it.

-- The record of the job with this index of core.seen(); nil when it has ended meanwhile.
local function record_at(look, index)
  local record = look.at[index]
  if record then return record end
  local glance = core.seen_glance(look.seen, look.count, index)
  if not glance then return nil end
  record = new_record(glance)
  look.at[index], look.by_id[record.id] = record, record
  look.records[#look.records + 1] = record
  return record
end

local function records_at(look, indices)
  local list = {}
  for _, index in ipairs(indices) do list[#list + 1] = record_at(look, index) end
  return list
end

local function find_record(look, id)
  local index = id and core.seen_index(look.seen, look.count, id)
  return index and record_at(look, index)
end

-- The records of a scheduler are made when something waits for it.
local function add_group(look, first)
  local group = setmetatable({ scheduler = first.scheduler }, { __index = function(self, key)
    if key ~= "records" then return nil end
    local records = records_at(look, core.seen_on(look.seen, look.count, first.of))
    rawset(self, key, records)
    return records
  end })
  look.by_scheduler[first.of] = group
  look.schedulers[#look.schedulers + 1] = group
end

-- The kinds of waits of which there may be circles, and whose jobs must be looked at for that. A
-- job that is pending is in one only if another waits for it, and is found by way of that one; and
-- those whose holders lead to a job that waits for nobody are left out by seen_waiting(): so they
-- need not be completed when they are found as holders.
local CIRCLES <const> = {}
for kind in pairs(find) do CIRCLES[kind] = kind ~= "slot" or nil end

local function fill_some(look, sort, most)
  look.seen, look.count = core.seen()
  local seen, count = look.seen, look.count
  setmetatable(look.by_id, { __index = function(_, id) return find_record(look, id) end })
  look.kinds = core.seen_kinds(seen, count)
  for _, first in ipairs(records_at(look, core.seen_schedulers(seen, count))) do
    add_group(look, first)
  end
  records_at(look, core.seen_first(seen, count, sort, most))
  records_at(look, core.seen_waiting(seen, count, CIRCLES))
  local chosen, i = #look.records, 1
  while look.records[i] do -- holders that are found are added
    local record = look.records[i]
    if i <= chosen or not CIRCLES[record.kind] then complete(look, record) end
    i = i + 1
  end
  table.sort(look.records, function(a, b) return a.id < b.id end)
end

-- All records, for what only all jobs together can tell.
function Look:all()
  for index = 1, self.seen and self.count or 0 do record_at(self, index) end
  return self.records
end

--- Looks at all jobs, and makes the records of some: so many that are the first by a key, those
--- that may be in a circle, and their holders. For the others it only counts.
---@param sort "age"|"resumes"|"ran"|"ready" the greatest first
---@param most integer
---@return uvjobs.insight.Look look in brief; `kinds` says how many jobs do what
function Look.take_some(sort, most)
  local look = new_look(true)
  look.records, look.at = {}, {}
  core.uninterrupted(function() fill_some(look, sort, most) end)
  return look
end

return Look
