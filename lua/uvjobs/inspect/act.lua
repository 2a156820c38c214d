-- What another process may ask this one to do, besides telling: it begins and ends a trace.
-- Cancelling a job is in src/lua/engine/inspecting.c.

local core = require "uvjobs.core"
local insight = require "uvjobs.insight"

core.own_source()

-- Whoever has asked for a trace may be gone before it is over: then this is its end.
local LIMIT <const> = 64 * 2 ^ 20

local trace -- the one that was asked for; nil for none

local acts = {}

acts["trace start"] = function(path)
  if path:sub(1, 1) ~= "/" then return "an absolute path expected" end
  local ok, result = pcall(insight.trace, { file = path, limit = LIMIT })
  if not ok then return (tostring(result):gsub("^.-:%d+: ", "")) end
  trace = result
end

acts["trace stop"] = function()
  if not trace then return "nobody has asked for a trace" end
  trace:close()
  trace = nil
end

--- Does what is asked.
---@param question string two words, and an argument
---@return string? refusal why it was not done
return function(question)
  local name, argument = question:match "^(%l+ %l+) ?(.*)$"
  local act = acts[name]
  if not act then return "it does not know how" end
  return act(argument)
end
