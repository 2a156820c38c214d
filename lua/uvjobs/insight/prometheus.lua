-- What is counted and measured, as text for Prometheus: version 0.0.4 of its text format.
-- https://prometheus.io/docs/instrumenting/exposition_formats/

local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

local prometheus = {}

-- As many series a metric has at most. Prometheus keeps each of them for weeks, so names with
-- numbers in them must not become series without a limit.
local MOST_SERIES <const> = 1000

local OTHER <const> = "other"

-- The longest part of a name that becomes a label, in bytes.
local LONGEST <const> = 128

-- Upper bounds of the buckets in seconds: 4 us, 16 us and so on, as in src/lua/measure/series.h.
local BOUNDS <const> = {}
for i = 1, 15 do BOUNDS[i] = ("%.15g"):format(4e-6 * 4 ^ (i - 1)) end
BOUNDS[16] = "+Inf"

-- ---- names ---------------------------------------------------------------------------------

-- A label is UTF-8; what is not becomes question marks.
local function label(name)
  name = name:sub(1, LONGEST)
  if not utf8.len(name) then name = name:gsub("[\x80-\xff]", "?") end
  return (name:gsub("[\\\"]", "\\%0"):gsub("\n", "\\n"))
end

-- Names by when they were first seen, so that a series that is there stays there.
---@class uvjobs.insight.Names
local Names = {}
Names.__index = Names

local function new_names()
  return setmetatable({ at = {}, count = 0 }, Names)
end

-- The label of a name in a metric that has so many series for each name. One place is kept for
-- all names that have none.
function Names:label(name, series_each)
  local at = self.at[name]
  if not at and self.count < MOST_SERIES then
    self.count = self.count + 1
    at = self.count
    self.at[name] = at
  end
  return at and at <= MOST_SERIES // series_each - 1 and label(name) or OTHER
end

local UNNAMED <const> = "unnamed"

-- What core.totals() has told apart it tells apart for good, for as many names as here.
local scheduler_names, policy_names = new_names(), new_names()

-- ---- lines ---------------------------------------------------------------------------------

local function number(value)
  if math.type(value) == "integer" then return tostring(value) end
  if value ~= value then return "NaN" end
  if value == math.huge then return "+Inf" end
  return ("%.17g"):format(value)
end

local function head(lines, name, kind, help)
  lines[#lines + 1] = ("# HELP %s %s"):format(name, help)
  lines[#lines + 1] = ("# TYPE %s %s"):format(name, kind)
end

local function one(lines, name, kind, help, value)
  head(lines, name, kind, help)
  lines[#lines + 1] = name .. " " .. number(value)
end

-- Adds up what `read(total)` says by label. Returns the labels in order.
local function sum_by_label(totals, series_each, read)
  local sums, labels = {}, {}
  for _, total in ipairs(totals) do
    local name = total.is_other and OTHER
      or scheduler_names:label(total.name or UNNAMED, series_each)
    if not sums[name] then
      sums[name] = {}
      labels[#labels + 1] = name
    end
    for key, value in pairs(read(total)) do sums[name][key] = (sums[name][key] or 0) + value end
  end
  table.sort(labels)
  return sums, labels
end

-- With `unit` the numbers are integers that stand for so many of what is told.
local function by_scheduler(lines, totals, name, kind, help, read, unit)
  head(lines, name, kind, help)
  local sums, labels = sum_by_label(totals, 1, function(total) return { read(total) } end)
  for _, scheduler in ipairs(labels) do
    local sum = sums[scheduler][1]
    lines[#lines + 1] = ('%s{scheduler="%s"} %s')
      :format(name, scheduler, number(unit and sum / unit or sum))
  end
end

local STATES <const> = { "done", "failed", "cancelled", "killed" }

local function by_state(lines, totals)
  local name = "uvjobs_jobs_ended_total"
  head(lines, name, "counter", "Jobs that have ended, by how they have.")
  local sums, labels = sum_by_label(totals, #STATES, function(total)
    local counts = {}
    for _, state in ipairs(STATES) do counts[state] = total[state] end
    return counts
  end)
  for _, scheduler in ipairs(labels) do
    for _, state in ipairs(STATES) do
      lines[#lines + 1] = ('%s{scheduler="%s",state="%s"} %d')
        :format(name, scheduler, state, sums[scheduler][state])
    end
  end
end

-- Sums of seconds are rounded, and the last digit depends on what is added first: so the sum of a
-- scheduler that has ended could become less when it is added to that of its name. Prometheus
-- would take it for a process that has begun anew, and count all of it once more.
local told <const> = {}

local function no_less(series, sum)
  told[series] = math.max(sum, told[series] or sum)
  return told[series]
end

local function histogram(lines, totals, name, help, field)
  head(lines, name, "histogram", help)
  local sums, labels = sum_by_label(totals, #BOUNDS + 2, function(total) return total[field] end)
  for _, scheduler in ipairs(labels) do
    local sum, count = sums[scheduler], 0
    for i, bound in ipairs(BOUNDS) do
      count = count + sum[i]
      lines[#lines + 1] = ('%s_bucket{scheduler="%s",le="%s"} %d')
        :format(name, scheduler, bound, count)
    end
    local series = ('%s_sum{scheduler="%s"}'):format(name, scheduler)
    lines[#lines + 1] = series .. " " .. number(no_less(series, sum.sum))
    lines[#lines + 1] = ('%s_count{scheduler="%s"} %d'):format(name, scheduler, count)
  end
end

-- ---- the parts -----------------------------------------------------------------------------

local function add_loop(lines)
  local stats = uvjobs.stats()
  one(lines, "uvjobs_loop_turns_total", "counter", "Turns of the loop.", stats.turns)
  one(lines, "uvjobs_loop_resumes_total", "counter", "How often jobs have begun or gone on.",
    stats.resumes)
  one(lines, "uvjobs_loop_preemptions_total", "counter",
    "How often jobs were stopped at the end of their time slice.", stats.preemptions)
  one(lines, "uvjobs_loop_jobs", "gauge", "Jobs that are pending or active.", stats.live)
  one(lines, "uvjobs_loop_jobs_ready", "gauge", "Jobs that wait only for their turn.", stats.ready)
  one(lines, "uvjobs_loop_jobs_timed", "gauge", "Jobs that wait for a time.", stats.timers)
  one(lines, "uvjobs_loop_work", "gauge", "Functions in threads, queued or running.", stats.work)
  one(lines, "uvjobs_loop_heap_bytes", "gauge", "Memory behind the heap for small blocks.",
    stats.heap)
  if stats.longest then
    one(lines, "uvjobs_loop_longest_stretch_seconds", "gauge",
      "The longest time that a job has held the loop.", stats.longest)
  end
end

local function add_schedulers(lines, totals)
  by_scheduler(lines, totals, "uvjobs_jobs_spawned_total", "counter",
    "Jobs that got a slot or a place in the pending queue.", function(total)
      return total.done + total.failed + total.cancelled + total.killed
        + total.active + total.pending
    end)
  by_state(lines, totals)
  by_scheduler(lines, totals, "uvjobs_jobs_active", "gauge", "Jobs that have a slot.",
    function(total) return total.active end)
  by_scheduler(lines, totals, "uvjobs_jobs_pending", "gauge", "Jobs that wait for a slot.",
    function(total) return total.pending end)
  by_scheduler(lines, totals, "uvjobs_cpu_seconds_total", "counter",
    "How long jobs have held the loop.", function(total) return total.cpu_ns end, 1e9)
  histogram(lines, totals, "uvjobs_job_wait_seconds",
    "How long jobs have waited from their spawn to their start.", "waited")
  histogram(lines, totals, "uvjobs_job_run_seconds",
    "How long jobs that have ended have held the loop.", "ran")
  histogram(lines, totals, "uvjobs_timer_lateness_seconds",
    "How late jobs went on that had waited for a time.", "lateness")
end

-- What is counted of policies: the fields of their stats() that are numbers.
local FIELDS_EACH <const> = 20

local function read_policies()
  local sums, keys = {}, {}
  local frame = package.loaded["uvjobs.policy.frame"]
  for policy in frame and frame.all() or function() end do
    if policy.name then
      local name = policy_names:label(policy.name, FIELDS_EACH)
      for field, value in pairs(policy:stats()) do
        if type(value) == "number" then
          local key = ('{policy="%s",kind="%s",stat="%s"}')
            :format(name, policy.kind, label(tostring(field)))
          if not sums[key] then keys[#keys + 1] = key end
          sums[key] = (sums[key] or 0) + value
        end
      end
    end
  end
  table.sort(keys)
  return sums, keys
end

local function add_policies(lines)
  local sums, keys = read_policies()
  if #keys == 0 then return end
  head(lines, "uvjobs_policy_stat", "gauge", "What the policies that have a name have counted.")
  for i = 1, math.min(#keys, MOST_SERIES) do
    lines[#lines + 1] = "uvjobs_policy_stat" .. keys[i] .. " " .. number(sums[keys[i]])
  end
end

--- What is counted and measured up to now.
---@return string text
function prometheus.text()
  local lines, totals = {}, core.totals()
  add_loop(lines)
  if #totals > 0 then add_schedulers(lines, totals) end
  add_policies(lines)
  lines[#lines + 1] = ""
  return table.concat(lines, "\n")
end

return prometheus
