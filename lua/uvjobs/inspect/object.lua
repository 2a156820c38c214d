-- What was seen of a process, for programs: as tables for JSON.

local core = require "uvjobs.core"
local json = require "uvjobs.inspect.json"

core.own_source()

local object = {}

-- What the fields of the lines are, if not texts.
local NUMBERS <const> = {
  id = true, scheduler = true, parent = true, age = true, left = true, held_by = true,
  next = true, resumes = true, preemptions = true,
  waited = true, ready = true, ran = true, number = true, active = true,
  pending = true, limit = true, done = true, failed = true, cancelled = true, killed = true,
  scheduled = true, dead = true, here = true, oldest = true, counted = true,
  jobs = true, time = true, running = true, held = true,
}
local FLAGS <const> = {
  stuck = true, paused = true, closed = true, outside = true, control = true, counting = true,
}
local LISTS <const> = { holders = true }

local function numbers_of(text)
  local list = setmetatable({}, json.list)
  for number in text:gmatch "%d+" do list[#list + 1] = math.tointeger(tonumber(number)) end
  return list
end

local function convert(fields)
  local result = {}
  for name, text in pairs(fields) do
    if LISTS[name] then result[name] = numbers_of(text)
    elseif FLAGS[name] then result[name] = text == "yes"
    elseif NUMBERS[name] then result[name] = tonumber(text)
    else result[name] = text end
  end
  return result
end

local function convert_all(list)
  local result = setmetatable({}, json.list)
  for i, fields in ipairs(list) do result[i] = convert(fields) end
  return result
end

--- A process as a table.
---@param process uvjobs.inspect.Process
---@param loops uvjobs.inspect.Loop[]
---@return table
function object.of(process, loops)
  local list = setmetatable({}, json.list)
  for i, loop in ipairs(loops) do
    local circles = setmetatable({}, json.list)
    for j, circle in ipairs(loop.circles) do
      circles[j] = numbers_of(table.concat(circle, " "))
    end
    list[i] = convert(loop.fields)
    list[i].schedulers = convert_all(loop.schedulers)
    list[i].jobs = convert_all(loop.jobs)
    list[i].circles = circles
    list[i].queues = convert_all(loop.queues)
  end
  return { pid = process.pid, command = process.command, loops = list }
end

return object
