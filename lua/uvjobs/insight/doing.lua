-- What jobs do inside functions of the library, in words: so that a look at a job which
-- waits in exec() names the command, and not the event that exec() waits for.

local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

local doing = {}

local texts = setmetatable({}, { __mode = "k" }) -- by job
local briefs = setmetatable({}, { __mode = "k" }) -- likewise

--- Says what the current job does from now on.
---@param text string? nil for what it did before
---@param brief string? the same without what comes from the program
---@return string? before what it was said to do until now; to be said again in the end
---@return string? brief likewise
function doing.set(text, brief)
  local job = uvjobs.current()
  if not job then return nil end
  local before, brief_before = texts[job], briefs[job]
  texts[job], briefs[job] = text, brief
  return before, brief_before
end

--- What a job does, for those who are to see nothing that comes from the program.
---@param job uvjobs.Job
---@return string text
function doing.in_brief(job)
  return briefs[job] or "it waits inside a function of the library"
end

--- What a job does, if that was said.
---@param job uvjobs.Job
---@return string? text
function doing.get(job)
  return texts[job]
end

return doing
