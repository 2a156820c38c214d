-- uvjobs.attach: somebody else runs luv's loop, and luv's loop drives our jobs.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

local NEEDED <const> = { "new_poll", "new_idle", "new_timer", "loop_mode", "run" }

local function has_needed(uv)
  for _, name in ipairs(NEEDED) do
    if type(uv[name]) ~= "function" then return false end
  end
  return true
end

local function check_luv(uv)
  if type(uv) ~= "table" then
    arguments.fail(3, 1, "attach", arguments.unexpected("luv", uv))
  elseif not has_needed(uv) then
    arguments.fail(3, 1, "attach", "luv expected, got a table without its functions")
  end
end

local A_DAY <const> = 24 * 60 * 60 -- seconds

local attached -- the Attachment, or nil: there is one at most

local Attachment = {}
Attachment.__index = Attachment
Attachment.__name = "uvjobs.Attachment"

local function close_handles(self)
  for _, name in ipairs { "idle", "poll", "timer" } do
    local handle = self[name]
    if handle and not handle:is_closing() then handle:close() end
  end
  -- luv 1.44 crashes when the Lua state closes while its loop still has the handles:
  -- a turn of the loop ends them, unless the loop runs and will do so itself.
  if self.uv.loop_mode() == nil then self.uv.run "nowait" end
end

--- Detaches: luv's loop drives the jobs no longer. Nothing happens the second time.
--- Does not suspend.
--- Errors: misuse.
function Attachment:close()
  if getmetatable(self) ~= Attachment then
    arguments.fail_self(2, "close", "uvjobs.Attachment", self)
  end
  if attached ~= self then return end
  attached = nil
  core.set_wake(nil)
  close_handles(self)
end

Attachment.__close = Attachment.close

-- The handles are there after another, and not all of them on every system.
arguments.refuse_others("uvjobs.Attachment", Attachment, { "idle", "poll", "timer" })

-- Raises the message with which luv has refused a handle.
local function check_made(handle, message)
  if type(handle) ~= "userdata" then
    error(tostring(message or "luv gave no handle"), 0)
  end
  return handle
end

-- Runs what is ready, and tells luv's loop when to do so again.
local function drive(self)
  -- run() may have been called in a callback of luv's, and then turns luv's loop.
  if core.loop_runs() then return end
  local more = uvjobs.step()
  if attached ~= self then return end -- a job has closed it
  if more then self.start() else self.idle:stop() end
  if core.has_jobs() then self.poll:ref() else self.poll:unref() end
  if not self.timer then return end
  local seconds = not more and uvjobs.next_timeout()
  if seconds then
    -- A timer that starts itself anew with 0 ms would expire again before luv's loop does
    -- anything else.
    local milliseconds = math.ceil(math.min(seconds, A_DAY) * 1000)
    self.timer:start(math.max(milliseconds, 1), 0, self.drive)
  else
    self.timer:stop()
  end
end

-- The poll handle wakes luv's loop for deadlines and for everything else that our
-- loop waits for; where our descriptor does not see deadlines a timer does. The idle
-- handle keeps luv's loop from sleeping while jobs are ready.
local function make_handles(self)
  local uv = self.uv
  self.idle = check_made(uv.new_idle())
  if not core.fd_is_timed() then self.timer = check_made(uv.new_timer()) end
  -- With this our loop no longer watches luv's descriptor, so luv's may watch ours.
  core.set_wake(self.start)
  self.poll = check_made(uv.new_poll(uvjobs.fd()))
  assert(self.poll:start("r", self.drive))
end

--- Makes luv's loop drive the jobs, until the attachment is closed. luv's loop goes on
--- for as long as jobs live. Does not suspend.
--- Errors: misuse, also that it is attached already; that luv gives no handle.
---@param uv table luv
---@return uvjobs.Attachment
function uvjobs.attach(uv)
  check_luv(uv)
  if attached then
    error("uvjobs is attached to luv's loop already", 2)
  end
  local self = setmetatable({ uv = uv }, Attachment)
  function self.drive() drive(self) end
  function self.start()
    -- First, so that luv's loop goes on also when starting the idle handle fails.
    if self.poll then self.poll:ref() end
    self.idle:start(self.drive)
  end
  local ok, err = pcall(make_handles, self)
  if not ok then
    core.set_wake(nil)
    close_handles(self)
    error(("cannot attach: %s"):format(err), 2)
  end
  attached = self
  if not core.has_jobs() then self.poll:unref() end
  return self
end
