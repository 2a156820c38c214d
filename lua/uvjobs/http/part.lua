-- The part of a server in one thread: an ordinary http.server, which is told to share its port.
-- threads.lua runs it; this is another Lua state than that of the program.

local http = require "uvjobs.http"
local outcome = require "uvjobs.workers.outcome"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"

core.own_source()

-- Functions read the globals of the thread; those that they set are the part's own.
local function revive(options, functions)
  local env = setmetatable({}, { __index = _G })
  for name, code in pairs(functions) do options[name] = assert(load(code, nil, "b", env)) end
  return options
end

-- What the program gets to hear of an error here: values that can be copied.
local function told_of(index, context)
  return {
    "error", index, context.message, outcome.failed(context.exception, context.traceback),
    context.job and context.job.name or false, context.seconds or false,
  }
end

-- Passes errors on to the program. When it does not come up with them they are written to the
-- standard error stream, as those without a handler are.
local function new_handler(index, reports)
  local quiet = uvjobs.scheduler()
  return function(_, context)
    local ok, taken = pcall(reports.try_put, reports, told_of(index, context))
    if not (ok and taken) then quiet:call_exception_handler(context) end
  end
end

-- Returns the server. What is wrong with the address is told as the program's own error is.
local function new_server(options)
  local ok, server = pcall(http.server, options)
  if ok then return server end
  if type(server) == "string" then server = server:gsub("^[^\n]-:%d+: ", "", 1) end
  error(server, 0)
end

--- Serves until the job is cancelled; then the requests that have come get `stop_timeout`.
---@param index integer of the thread
---@param options table those of http.server that can be copied
---@param functions table<string, string> the code of those that are functions
---@param reports uvjobs.Channel where the program hears of the address, and of errors
return function(index, options, functions, reports)
  options = revive(options, functions)
  if type(options.ctx) == "function" then options.ctx = options.ctx(index) end
  options.exception_handler = new_handler(index, reports)
  local server <close> = new_server(options)
  reports:put { "listening", index, server:address() }
  server:wait()
end
