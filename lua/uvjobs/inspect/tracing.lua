-- `uvjobs trace` and `uvjobs profile`: have a process write one for some time.

local ask = require "uvjobs.inspect.ask"
local core = require "uvjobs.core"
local uvjobs = require "uvjobs"

core.own_source()

local tracing = {}

-- The process may be in another directory.
local function absolute(path)
  if path:sub(1, 1) == "/" then return path end
  local directory = os.getenv "PWD"
  if not directory then
    local pipe <close> = assert(io.popen "pwd")
    directory = pipe:read "l"
  end
  return directory .. "/" .. path
end

--- Has the process write a trace or a profile into a file. It blocks; a signal ends it before its
--- time.
---@param what "trace"|"profile"
---@param pid integer
---@param path string
---@param seconds number
---@return boolean? ok
---@return string? problem
function tracing.write(what, pid, path, seconds)
  local question = ("%s start %d %s"):format(what, math.ceil(seconds), absolute(path))
  local _, problem = ask.process(pid, question)
  if problem then return nil, problem end
  pcall(uvjobs.run, { inspect = false }, uvjobs.sleep, seconds)
  local has_ended
  _, problem, has_ended = ask.process(pid, what .. " stop")
  if problem and not has_ended then return nil, problem end
  return true
end

return tracing
