-- Why a job of a process does not go on: who holds what it waits for, and so on.

local core = require "uvjobs.core"
local words = require "uvjobs.inspect.words"

core.own_source()

local why = {}

-- As a job is named on the command line: with its loop if there are several.
local function name_of(loops, number, job)
  return (#loops > 1 and number or "") .. "#" .. job.id
end

--- The job that is meant by `#93`, `93` or a name; or by `2#93`, which is in the second loop.
---@param loops uvjobs.inspect.Loop[]
---@param text string
---@return table<string, string>? job
---@return uvjobs.inspect.Loop|string loop its loop, or what is wrong
function why.find(loops, text)
  local only, id = text:match "^(%d*)#(%d+)$"
  only, id = tonumber(only), id or text:match "^%d+$"
  local found, names, loop_of = {}, {}, nil
  for number, loop in ipairs(loops) do
    for _, job in ipairs(only and only ~= number and {} or loop.jobs) do
      if job.id == id or not id and job.name == text then
        found[#found + 1], loop_of = job, loop
        names[#names + 1] = name_of(loops, number, job)
      end
    end
  end
  if #found == 1 then return found[1], loop_of end
  if #found == 0 then return nil, ("there is no job %s; it may have ended"):format(text) end
  local shown = table.concat(names, ", ", 1, math.min(#names, 10))
  return nil, ("%d jobs are called %s: %s%s"):format(#found, text, shown,
    #found > 10 and " and others" or "")
end

--- The lines from a job to the one that nothing is known to hold, or around a circle.
---@param loop uvjobs.inspect.Loop
---@param job table<string, string>
---@return string[]
function why.lines(loop, job)
  local list, seen = {}, {}
  while job and not seen[job] do
    seen[job] = true
    list[#list + 1] = ("job %s: %s%s"):format(
      words.label(job), job.waits, job.at and (" (%s)"):format(job.at) or "")
    local held = job.id == loop.fields.running and words.held(loop)
    if held then list[#list] = list[#list] .. "; " .. held:gsub("^job .- has", "it has") end
    job = loop.by_id[job.next]
  end
  if job then
    list[#list + 1] = ("job %s again: these wait for each other"):format(words.label(job))
  end
  return list
end

return why
