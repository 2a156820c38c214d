-- http.server with a part in each thread of workers: all parts listen on the same port, and the
-- system gives each new connection to one of them (SO_REUSEPORT).

local defer = require "uvjobs.defer"
local fns = require "uvjobs.workers.fn"
local outcome = require "uvjobs.workers.outcome"
local place = require "uvjobs.workers.place"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"

core.own_source()

local threads = {}

local PART <const> = "uvjobs.http.part" -- what runs in a thread
local MOST_REPORTS <const> = 1000 -- that are on their way to the program
local PATIENCE <const> = 2 -- seconds that a part gets to stop besides its stop_timeout

-- Options that stay in the program.
local OURS <const> = { threads = true, workers = true, exception_handler = true }

-- ---- options -----------------------------------------------------------------------

-- Options that have no sense with parts, and what to do instead.
local REFUSED <const> = {
  scheduler = "each thread has a scheduler of its own",
  path = "a Unix socket cannot be shared by threads",
  timeslice = "that is the one of workers",
}

local function problem_of_value(name, value)
  local kind = type(value)
  if kind == "function" then
    return fns.problem(value)
  elseif kind == "userdata" and name == "ctx" then
    return "function that returns a context expected, since no other thread can use this one"
  end
  local ok, problem = pcall(core.pack, value)
  return not ok and problem or nil
end

--- What is wrong with the options of a server with parts, or nil.
---@param listen table those of listening
---@param rest table the others
---@return string? problem
function threads.problem_of(listen, rest)
  if listen.threads and listen.workers then
    return "options 'threads' and 'workers' exclude each other"
  elseif listen.workers and listen.workers.closed then
    return "option 'workers': they are closed"
  end
  for _, set in ipairs { listen, rest } do
    for name, value in next, set do
      if REFUSED[name] then
        return ("option '%s' cannot be used with '%s': %s"):format(name,
          listen.threads and "threads" or "workers", REFUSED[name])
      end
      local problem = not OURS[name] and problem_of_value(name, value)
      if problem then return ("option '%s': %s"):format(name, problem) end
    end
  end
end

-- What the parts are given: values, and the code of functions.
local function plan_of(listen, rest)
  local plan = { values = {}, functions = {}, threads = listen.threads, workers = listen.workers }
  for _, set in ipairs { listen, rest } do
    for name, value in next, set do
      if type(value) == "function" and not OURS[name] then
        plan.functions[name] = fns.code(value)
      elseif not OURS[name] then
        plan.values[name] = value
      end
    end
  end
  plan.values.reuseport = true
  plan.values.name = rest.name or "http"
  return plan
end

-- ---- what the parts tell -----------------------------------------------------------

local on_report <const> = {}

function on_report.listening(self, report)
  local index, host, port = report[2], report[3], report[4]
  self._address = { host, port }
  self._listening[index] = true
  self._known[index]:set()
end

function on_report.error(self, report)
  local err, traceback = outcome.error_of(report[4])
  self.jobs:call_exception_handler {
    message = report[3], exception = err, traceback = traceback, thread = report[2],
    name = report[5] or nil, seconds = report[6] or nil,
  }
end

local function hear(self, reports)
  for report in reports:items() do on_report[report[1]](self, report) end
end

-- ---- serving -----------------------------------------------------------------------

--- Makes all parts stop, without waiting for them.
function threads.stop(self)
  if not self._listens and self.serving then self.serving:cancel() end
  for _, part in ipairs(self._parts) do part:cancel() end
end

-- A job that stands for a part. A part that is told to stop ends as cancelled. One whose handler
-- has closed it ends by itself, and takes the others with it.
local function run_part(self, workers, index, plan, reports)
  local known <close> = defer(function() self._known[index]:set() end) -- luacheck: no unused
  place.run_in(workers, index, function(name, ...) return require(name)(...) end, PART, index,
    plan.values, plan.functions, reports)
  threads.stop(self)
end

local function begin_part(self, nursery, workers, index, plan, reports)
  self._known[index] = uvjobs.event()
  self._parts[index] = nursery:spawn({ name = "server " .. index }, run_part, self, workers, index,
    plan, reports)
end

-- Returns when the part listens; raises when it has ended before.
local function await_part(self, index)
  self._known[index]:wait()
  if not self._listening[index] then self._parts[index]:wait() end
end

-- The first part chooses the port when it is 0, so the others begin after it. Returns when all
-- listen.
local function begin_parts(self, nursery, workers, plan, reports)
  begin_part(self, nursery, workers, 1, plan, reports)
  await_part(self, 1)
  plan.values.port = self._address[2]
  for index = 2, workers.threads do begin_part(self, nursery, workers, index, plan, reports) end
  for index = 2, workers.threads do await_part(self, index) end
end

-- Runs the parts until all have ended. When one fails, the others stop, too.
local function serve_parts(self, plan, reports)
  local own <close> = not plan.workers and uvjobs.workers { threads = plan.threads, name = "http" }
  local workers = plan.workers or own
  self.workers = workers
  uvjobs.nursery({ name = "parts", close_timeout = self._patience }, function(nursery)
    begin_parts(self, nursery, workers, plan, reports)
    self._listens = true
    self._ready:set()
  end)
end

-- What fails before all parts listen is for the caller of http.server().
local function serve(self, plan)
  local reports = uvjobs.channel(MOST_REPORTS)
  local _ <close> = defer(function()
    reports:close()
    self._ready:set()
  end)
  self.jobs:spawn({ name = "reports" }, hear, self, reports)
  local ok, err = pcall(serve_parts, self, plan, reports)
  if ok then return end
  if self._listens or core.is_cancelled() then error(err, 0) end
  self._failure = { err }
end

--- Starts the parts, and returns when all of them listen. Suspends. Raises what a part raises.
---@param self table a server, with `jobs`: gets `serving`, `_address` and `workers`
---@param listen table
---@param rest table
---@param stop_timeout number
function threads.start(self, listen, rest, stop_timeout)
  self._parts, self._known, self._listening, self._ready = {}, {}, {}, uvjobs.event()
  self._patience = stop_timeout + PATIENCE
  local starting <close> = defer(function(_, err) -- luacheck: no unused
    if err ~= nil then self:close() end
  end)
  self.serving = self.jobs:spawn({ name = "server" }, serve, self, plan_of(listen, rest))
  self._ready:wait()
  if self._failure then error(self._failure[1], 0) end
end

return threads
