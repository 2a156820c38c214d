-- A thread of workers, as the program sees it: what was asked there, and how it has ended.

local core = require "uvjobs.core"
local outcome = require "uvjobs.workers.outcome"

core.own_source()

local uvjobs = core.public

local member = {}

local NOTHING <const> = {} -- the outcome of a call that was given up
local THREAD <const> = "uvjobs.workers.thread"

---@class uvjobs.workers.Member
local Member = {}
Member.__index = Member

-- A call that nobody has answered yet. As a to-be-closed variable it ends what it has begun:
-- the job that leaves it is being killed, or has its answer. One that was left counts for the
-- thread until that answers, so a thread that is stuck in C gets no new jobs if others are free.
local Call = {}
Call.__index = Call

function Call.__close(call)
  local self = call.member
  if call.outcome ~= nil then
    self.active = self.active - 1
  else
    call.is_left, call.resume = true, nil
    if self.service then self.service:tell { "cancel", call.id, 0 } end
  end
end

local function hear(self, id, value)
  local call = self.calls[id]
  if not call then return end
  self.calls[id] = nil
  call.outcome = type(value) == "string" and outcome.failed(value) or value
  if call.is_left then self.active = self.active - 1 end
  if call.resume then call.resume() end
  if call.listener then call.listener() end
end

--- Starts a thread. Returns it at once, and the call that is answered when it is set up.
---@param spec table what thread.lua is given
function member.start(spec)
  local self = setmetatable({ calls = {}, index = spec.index, active = 0, jobs = 0 }, Member)
  core.found_crew()
  self.service = core.service(THREAD, spec, function(id, value) hear(self, id, value) end, true,
    spec.memory_limit, true)
  self.since = uvjobs.now()
  return self, self:call(core.pack { "start" })
end

--- Sends a request. The call that it returns may be waited for.
---@param packed userdata
function Member:call(packed)
  local call = setmetatable({ member = self }, Call)
  call.id = self.service:send(packed)
  self.calls[call.id] = call
  return call
end

--- Waits for the answer. Suspends.
---@return table outcome
function Call:wait()
  if self.outcome == nil then
    uvjobs.await(function(resume) self.resume = resume end)
  end
  return self.outcome
end

--- The thread is stuck: ends the waits of calls that are not worth waiting for.
function Member:give_up()
  self.is_stuck = true
  for id, call in pairs(self.calls) do
    if call.is_optional then
      self.calls[id] = nil
      call.outcome = NOTHING
      if call.resume then call.resume() end
    end
  end
end

--- Calls `listener()` in no job when the answer comes.
---@param listener fun()
function Call:on_answer(listener)
  self.listener = listener
end

--- Begins a job. The call is a to-be-closed variable of the job that waits for it.
---@param packed userdata
function Member:begin(packed)
  local call = self:call(packed)
  self.active, self.jobs = self.active + 1, self.jobs + 1
  return call
end

-- The calling job is to end: so the other is, within the same time.
local function pass_on(call)
  local self = call.member
  if core.is_cancelled() and self.service then
    self.service:tell { "cancel", call.id, core.close_left() or false }
  end
  uvjobs.protect(call.wait, call)
end

-- The calling job ends as the other has.
local function end_alike(state)
  local job = uvjobs.current()
  if state == "killed" then
    core.begin_close_job(job, 0)
    while true do uvjobs.protect(uvjobs.sleep, 1) end
  end
  if not core.is_cancelled() then job:cancel() end
  uvjobs.yield()
end

--- Waits until the job has ended; passes on that the calling job is to end. Returns its
--- results, or ends the calling job as it has ended. Suspends.
function Call:finish()
  local ok = pcall(self.wait, self)
  if not ok and self.outcome == nil then pass_on(self) end
  local result = self.outcome
  local state = result[1]
  if state == "done" then return table.unpack(result, 3, 2 + result[2]) end
  if state == "failed" then outcome.raise(result) end
  end_alike(state)
end

--- Asks the thread to end, without waiting for it.
function Member:begin_end()
  if self.service and not self.ending then self.ending = self:call(core.pack { "finish" }) end
end

--- Waits until the thread has answered that it ends, if the calling job can.
---@param seconds number at most
function Member:await_end(seconds)
  if self.service and core.can_suspend() then
    pcall(uvjobs.protect, uvjobs.timeout, seconds, self.ending.wait, self.ending)
  end
end

--- Waits until the thread has ended; the loop stands still meanwhile.
function Member:join()
  local service = self.service
  self.service = nil
  if service then service:close() end
end

return member
