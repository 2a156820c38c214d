-- What another process may ask this one to do, besides telling: it begins and ends a trace or a
-- profile.
-- Cancelling a job is in src/lua/engine/inspecting.c.

local core = require "uvjobs.core"
local insight = require "uvjobs.insight"

core.own_source()

-- Whoever has asked for a trace may be gone before it is over: then this is its end. What is not
-- ended so many seconds after it should be is taken for forgotten: it ends when another is asked
-- for.
local LIMIT <const> = 64 * 2 ^ 20
local GRACE_S <const> = 10

local asked = {} -- the ones that were asked for, by what they are
local over = {} -- the date at which each should be over

local function message(err) return (tostring(err):gsub("^.-:%d+: ", "")) end

local stop

local function start(what, argument, limit)
  local seconds, path = argument:match "^(%d+) (/.*)$"
  if not path then return "seconds and an absolute path expected" end
  if asked[what] and os.time() > over[what] + GRACE_S then stop(what) end
  local ok, result = pcall(insight[what], { file = path, limit = limit })
  if not ok then return message(result) end
  asked[what], over[what] = result, os.time() + tonumber(seconds)
end

function stop(what)
  local one = asked[what]
  if not one then return "nobody has asked for a " .. what end
  asked[what] = nil
  local ok, err = pcall(one.close, one)
  return not ok and message(err) or nil
end

local acts = {
  ["trace start"] = function(path) return start("trace", path, LIMIT) end,
  ["trace stop"] = function() return stop "trace" end,
  ["profile start"] = function(path) return start("profile", path) end,
  ["profile stop"] = function() return stop "profile" end,
}

--- Does what is asked.
---@param question string two words, and an argument
---@return string? refusal why it was not done
return function(question)
  local name, argument = question:match "^(%l+ %l+) ?(.*)$"
  local act = acts[name]
  if not act then return "it does not know how" end
  return act(argument)
end
