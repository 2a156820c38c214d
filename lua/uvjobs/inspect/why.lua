-- Why a job of a process does not go on: who holds what it waits for, and so on.

local core = require "uvjobs.core"
local words = require "uvjobs.inspect.words"

core.own_source()

local why = {}

--- The job that is meant by `#93`, `93` or a name.
---@param loops uvjobs.inspect.Loop[]
---@param text string
---@return table<string, string>? job
---@return uvjobs.inspect.Loop|string loop its loop, or what is wrong
function why.find(loops, text)
  local id = text:match "^#?(%d+)$"
  local found, loop_of = {}, nil
  for _, loop in ipairs(loops) do
    for _, job in ipairs(loop.jobs) do
      if job.id == id or not id and job.name == text then
        found[#found + 1], loop_of = job, loop
      end
    end
  end
  if #found == 1 then return found[1], loop_of end
  if #found == 0 then return nil, ("there is no job %s; it may have ended"):format(text) end
  local labels = {}
  for i = 1, math.min(#found, 10) do labels[i] = "#" .. found[i].id end
  return nil, ("%d jobs are called %s: %s%s"):format(#found, text, table.concat(labels, ", "),
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
