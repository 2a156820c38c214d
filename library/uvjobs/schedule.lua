---@meta uvjobs.schedule
-- luacheck: ignore 212 241

--- `require "uvjobs.schedule"`: times by cron patterns, periods and dates. docs/schedule.md
--- describes it. Nothing here suspends.
---@class uvjobs.schedule
local schedule = {}

---@class uvjobs.Schedule
local Schedule = {}

---@class uvjobs.ScheduleOptions
---@field zone? string such as "Europe/Berlin", "UTC", or "local", the default of cron()
---@field gap? "run"|"skip" what becomes of a local time that does not exist
---@field fold? "first"|"second"|"both" which of two equal local times

--- Errors: misuse; what is wrong with the pattern.
---@param pattern string such as "30 2 * * MON-FRI"
---@param options? uvjobs.ScheduleOptions
---@return uvjobs.Schedule
function schedule.cron(pattern, options) end

---@param seconds number >= 0.001
---@param options? { anchor?: number, phase?: number } seconds since 1970, and seconds
---@return uvjobs.Schedule
function schedule.every(seconds, options) end

---@param time number|string seconds since 1970, or a date and a time of day
---@param options? uvjobs.ScheduleOptions
---@return uvjobs.Schedule
function schedule.at(time, options) end

---@param schedules uvjobs.Schedule[] one at least
---@return uvjobs.Schedule
function schedule.any(schedules) end

---@param time number seconds since 1970
---@param zone string
---@return string
function schedule.format(time, zone) end

---@param other uvjobs.Schedule
---@return uvjobs.Schedule
function Schedule:except(other) end

---@param from number seconds since 1970
---@param to number seconds since 1970
---@return fun(): number?
function Schedule:between(from, to) end

---@param date string such as "2027-03-28"
---@return string
function Schedule:explain(date) end

return schedule
