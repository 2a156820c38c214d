-- Notices threads that do not answer, because one of their jobs is in a C function that does not
-- return, with the options `slow` and `replace` of workers: a job for each thread asks it again and
-- again. Without them nothing here runs, because a job that sleeps keeps a run from being stuck.

local core = require "uvjobs.core"
local member = require "uvjobs.workers.member"
local outcome = require "uvjobs.workers.outcome"

core.own_source()

local uvjobs = core.public

local watch = {}

local QUESTION <const> = { "answer" }

-- The jobs that the thread has not answered.
local function jobs_of(self, one)
  local jobs = {}
  for job, call in pairs(self._calls) do
    if call.member == one and call.outcome == nil then jobs[#jobs + 1] = job end
  end
  table.sort(jobs, function(a, b) return self._calls[a].id < self._calls[b].id end)
  return jobs
end

local function report(self, one, context)
  context.thread = one.index
  self._jobs:call_exception_handler(context)
end

local function try_replace(self, one, spec)
  spec.index = one.index
  local new, call = member.start(spec)
  self._starting[new] = true -- it is ended with the others, whatever becomes of it
  local result = call:wait()
  if result[1] == "failed" then outcome.raise(result) end
  self._starting[new] = nil
  self._spare[#self._spare + 1], self._members[one.index] = one, new
end

-- Another thread takes the place of one that is stuck, which keeps the jobs that it has.
local function replace(self, one, spec)
  local ok, err = pcall(try_replace, self, one, spec)
  if not ok and not core.is_cancelled() then
    report(self, one, { message = "Thread cannot be replaced", exception = err })
  end
end

-- Whether the call is answered in time; nil when the calling job is to end.
local function is_answered(call, seconds)
  local ok = pcall(uvjobs.timeout, seconds, call.wait, call)
  if core.is_cancelled() then return nil end
  return ok or call.outcome ~= nil
end

-- The thread does not answer the call.
local function handle_stuck(self, one, call, options)
  one:give_up()
  call:on_answer(function() one.is_stuck = false end)
  report(self, one, {
    message = "Thread does not answer", seconds = options.slow, jobs = jobs_of(self, one),
  })
  if options.replace then replace(self, one, options.spec) end
  if self._members[one.index] == one then call:wait() end
end

local function look_after(self, index, options)
  while true do
    uvjobs.sleep(options.slow)
    local one = self._members[index]
    if one.active > 0 then
      local call = one:call(core.pack(QUESTION))
      local answered = is_answered(call, options.slow)
      if answered == false then handle_stuck(self, one, call, options) end
    end
  end
end

--- Begins to watch the threads, if that is asked for. Under the virtual clock there is nothing to
--- watch: the threads take turns with the program, and all stand still together.
---@param self table the workers
---@param options table `slow`, seconds; `replace`; `spec`, what new threads are given
function watch.begin(self, options)
  if options.slow == math.huge or core.is_virtual() then return end
  self._watching = uvjobs.scheduler { limit = math.huge, pending_limit = 0 }
  for index = 1, #self._members do
    self._watching:spawn({ name = "thread " .. index .. " is watched", report = false },
      look_after, self, index, options)
  end
end

--- Begins to end that.
function watch.begin_end(self)
  if self._watching then core.begin_close(self._watching) end
end

return watch
