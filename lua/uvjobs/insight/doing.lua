-- What jobs do inside functions of the library, in words: so that a look at a job which
-- waits in exec() names the command, and not the event that exec() waits for.

local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

local doing = {}

local texts = setmetatable({}, { __mode = "k" }) -- by job

--- Says what the current job does from now on.
---@param text string? nil for what it did before
---@return string? before what it was said to do until now; to be said again in the end
function doing.set(text)
  local job = uvjobs.current()
  if not job then return nil end
  local before = texts[job]
  texts[job] = text
  return before
end

--- What a job does, if that was said.
---@param job uvjobs.Job
---@return string? text
function doing.get(job)
  return texts[job]
end

return doing
