-- The processes that can be asked, a line each.

local ask = require "uvjobs.inspect.ask"
local core = require "uvjobs.core"
local screen = require "uvjobs.inspect.screen"
local words = require "uvjobs.inspect.words"

core.own_source()

local overview = {}

-- What a process does, in a few words.
local function state_of(loops)
  local circles, held = 0, nil
  for _, loop in ipairs(loops) do
    circles = circles + #loop.circles
    local running = loop.by_id[loop.fields.running]
    if words.held(loop) and running then
      local span = words.seconds(tonumber(loop.fields.held))
      held = ("%s runs for %s"):format(words.label(running), span)
    end
  end
  return circles > 0 and "deadlock" or held or "runs"
end

---@class uvjobs.inspect.Row
---@field process uvjobs.inspect.Process
---@field jobs? integer
---@field loops? uvjobs.inspect.Loop[]
---@field state string

local function complete(row)
  -- The jobs that run or are in a circle come without being asked for.
  local loops, problem, has_ended = ask.look(row.process.pid, "top age 0")
  row.loops = loops
  if loops then
    row.jobs = 0
    for _, loop in ipairs(loops) do row.jobs = row.jobs + tonumber(loop.fields.jobs) end
    row.state = state_of(loops)
  elseif not has_ended then
    row.state = problem:gsub("^process %d+: ", ""):gsub("^it is stopped,.*", "stopped")
  end
  return row.state ~= nil
end

--- A row for each process that can be asked, or could be if it was not stopped.
---@param list uvjobs.inspect.Process[]
---@return uvjobs.inspect.Row[]
function overview.rows(list)
  local rows = {}
  for _, process in ipairs(ask.call_all(list)) do
    local row = { process = process }
    if complete(row) then rows[#rows + 1] = row end
  end
  return rows
end

--- The rows as lines.
---@param rows uvjobs.inspect.Row[]
---@param columns? integer lines are cut off after so many characters
---@return string[]
function overview.lines(rows, columns)
  local width = #"STATE"
  for _, row in ipairs(rows) do width = math.max(width, math.min(#row.state, 40)) end
  local format = ("%%7s %%7s  %%-%ds  %%s"):format(width)
  local list = { format:format("PID", "JOBS", "STATE", "COMMAND") }
  for _, row in ipairs(rows) do
    list[#list + 1] = format:format(
      row.process.pid, row.jobs or "?", row.state, row.process.command)
  end
  for i, line in ipairs(list) do
    list[i] = (columns and screen.cut(line, columns) or words.shown(line)):gsub("%s+$", "")
  end
  return list
end

return overview
