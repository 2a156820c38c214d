-- uvjobs.attach: luv's loop, which somebody else runs, drives our jobs.

local NEEDED <const> = { "new_poll", "new_idle", "new_timer", "loop_mode", "run" }

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

  local function release(self)
    for _, name in ipairs { "idle", "poll", "timer" } do
      local handle = self[name]
      if handle and not handle:is_closing() then handle:close() end
    end
    -- luv 1.44 crashes when the Lua state closes before its loop has let go of them.
    if self.uv.loop_mode() == nil then self.uv.run "nowait" end
  end

  function Attachment:close()
    if getmetatable(self) ~= Attachment then
      error(("bad self to 'close' (uvjobs.Attachment expected, got %s)"):format(
        core.typename(self)), 2)
    end
    if attached ~= self then return end
    attached = nil
    core.set_wake(nil)
    release(self)
  end

  Attachment.__close = Attachment.close

  -- A handle of luv's, or the error that it gave.
  local function made(handle, message)
    if type(handle) ~= "userdata" then
      error(tostring(message or "luv gave no handle"), 0)
    end
    return handle
  end

  -- The poll handle sees deadlines and what else our loop waits for; where it does
  -- not see deadlines there is a timer. The idle handle keeps luv's loop from
  -- sleeping while jobs are ready. luv's loop goes on as long as jobs live, and no
  -- longer for us.
  function uvjobs.attach(uv)
    check_uv(uv, core.typename)
    if attached then
      error("uvjobs is attached to luv's loop already", 2)
    end
    local self = setmetatable({ uv = uv }, Attachment)
    local function drive()
      if core.loop_runs() then return end -- run() was called before, in a job of which we are
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
    function self.start()
      if self.poll then self.poll:ref() end -- the loop goes on also when the next line fails
      self.idle:start(drive)
    end
    local ok, err = pcall(function()
      self.idle = made(uv.new_idle())
      if not core.fd_is_timed() then self.timer = made(uv.new_timer()) end
      core.set_wake(self.start) -- our loop does not watch luv's any more: so it can be watched
      self.poll = made(uv.new_poll(uvjobs.fd()))
      assert(self.poll:start("r", drive))
    end)
    if not ok then -- nothing has been done
      core.set_wake(nil)
      release(self)
      error(("cannot attach: %s"):format(err), 2)
    end
    attached = self
    if not core.has_jobs() then self.poll:unref() end
    return self
  end
end
