-- uvjobs.attach: luv's loop, which somebody else runs, drives our jobs.

local NEEDED <const> = { "new_poll", "new_idle", "new_timer", "backend_fd" }

local function check_uv(uv, typename)
  if type(uv) == "table" then
    local has_all = true
    for _, name in ipairs(NEEDED) do
      has_all = has_all and type(uv[name]) == "function"
    end
    if has_all then return end
  end
  error(("bad argument #1 to 'attach' (luv expected, got %s)"):format(
    type(uv) == "table" and "a table without its functions" or typename(uv)), 3)
end

return function(uvjobs, core)
  core.own_source()

  local A_DAY <const> = 24 * 60 * 60 -- seconds

  local attached

  local Attachment = {}
  Attachment.__index = Attachment
  Attachment.__name = "uvjobs.Attachment"

  function Attachment:close()
    if attached ~= self then return end
    attached = nil
    core.set_wake(nil)
    for _, handle in ipairs { self.idle, self.poll, self.timer } do
      if not handle:is_closing() then handle:close() end
    end
  end

  Attachment.__close = Attachment.close

  -- The poll handle sees deadlines and what else our loop waits for; where it does
  -- not see deadlines there is a timer. The idle handle keeps luv's loop from
  -- sleeping while jobs are ready. luv's loop goes on as long as jobs live, and no
  -- longer for us.
  function uvjobs.attach(uv)
    check_uv(uv, core.typename)
    if attached then
      error("uvjobs is attached to luv's loop already", 2)
    end
    local self = setmetatable({}, Attachment)
    local function drive()
      local more = uvjobs.step()
      if attached ~= self then return end
      if more then self.start() else self.idle:stop() end
      if core.has_jobs() then self.poll:ref() else self.poll:unref() end
      if self.timer then
        local seconds = uvjobs.next_timeout()
        if seconds then
          self.timer:start(math.ceil(math.min(seconds, A_DAY) * 1000), 0, drive)
        else
          self.timer:stop()
        end
      end
    end
    self.idle = assert(uv.new_idle())
    if not core.fd_is_timed() then self.timer = assert(uv.new_timer()) end
    function self.start() self.idle:start(drive) end
    attached = self
    core.set_wake(self.start)
    self.poll = assert(uv.new_poll(uvjobs.fd()))
    self.poll:start("r", drive)
    if not core.has_jobs() then self.poll:unref() end
    return self
  end
end
