-- What the page of `uvjobs web` gets, as JSON. It blocks, and is called in threads of its own.

local ask = require "uvjobs.inspect.ask"
local core = require "uvjobs.core"
local json = require "uvjobs.inspect.json"
local object = require "uvjobs.inspect.object"
local overview = require "uvjobs.inspect.overview"
local processes = require "uvjobs.inspect.processes"

core.own_source()

local report = {}

-- More jobs than a page can show; those of circles and the one that runs come besides.
local MOST <const> = 500

--- A process with its first jobs.
---@param pid integer
---@param sort string "age", "ran", "ready" or "resumes"
---@return string? text
---@return string? problem
function report.process(pid, sort)
  local loops, problem = ask.look(pid, ("top %s %d"):format(sort, MOST))
  if not loops then return nil, problem end
  local process = processes.get(pid) or { pid = pid, command = "it has ended" }
  local result = object.of(process, loops)
  for i, loop in ipairs(loops) do result.loops[i].total = tonumber(loop.fields.jobs) end
  return json.encode(result)
end

--- The processes that can be asked.
---@param pids integer[] only these, unless there are none
---@return string text
function report.list(pids)
  local rows = overview.rows(#pids == 0 and processes.all() or processes.some(pids))
  local list = setmetatable({}, json.list)
  for i, row in ipairs(rows) do
    list[i] = { pid = row.process.pid, command = row.process.command, jobs = row.jobs,
      state = row.state }
  end
  return json.encode(list)
end

return report
