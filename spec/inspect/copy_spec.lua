-- The copy of a process that looks at it: what it keeps of the process, and how long it lives.

local core = require "uvjobs.core"
local helper = require "spec.inspect.helper"
local luv = require "luv"
local process = require "spec.process"

local eventually = helper.eventually

-- An answer that is longer than what a socket holds.
local PROGRAM <const> = [[
  local uvjobs = require "uvjobs"
  uvjobs.run({ inspect = true }, function()
    local jobs = uvjobs.scheduler { limit = math.huge }
    for _ = 1, 5000 do jobs:spawn({ name = ("n"):rep(1000) }, uvjobs.sleep, 60) end
    uvjobs.sleep(0)
    io.stdout:write "ready\n":flush()
    uvjobs.sleep(60)
  end)]]

-- The programs of others do not run under a sanitizer of ours: there pgrep hangs.
local PLAIN <const> = "env -u LD_PRELOAD "

local function can(command)
  return os.execute(PLAIN .. command .. " >/dev/null 2>&1") == true
end

--- Starts a look whose answer nobody reads. Returns a value that ends the connection.
local function ask_and_do_not_read(path)
  local pipe = luv.new_pipe(false)
  pipe:connect(path)
  luv.run "nowait"
  pipe:write "look\n"
  luv.run "nowait"
  return setmetatable({}, { __close = function()
    pipe:close()
    luv.run "nowait"
  end })
end

local function copy_of(pid)
  return eventually(function()
    local file <close> = io.popen((PLAIN .. "pgrep -P %d -x 'uvjobs look'"):format(pid))
    return file:read "n"
  end)
end

describe("a copy", function()
  if not (can "flock --version" and can "pgrep --version") then
    pending "needs flock and pgrep"
    return
  end

  it("does not keep the locks of a process that is ended by force #D8", function()
    local lock = os.tmpname()
    -- The lock belongs to an open file, which the process shares with its children.
    local self <close> = helper.start(PROGRAM, "flock -F " .. lock)
    self:wait_for "ready"
    local _ <close> = ask_and_do_not_read(self:socket())
    local copy = copy_of(self.pid)
    if process.sanitizer() == "" then
      -- The connection is the only thing that it has open.
      eventually(function()
        local list = core.list_directory(("/proc/%d/fd"):format(copy))
        return not list or #list <= 1
      end)
    end
    assert.is_false(can(("flock -n %s true"):format(lock)))
    self:signal "KILL"
    eventually(function() return can(("flock -n %s true"):format(lock)) end)
    os.remove(lock)
  end)

  it("need not load files, for which it would need locks of other threads", function()
    local self <close> = helper.start [[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        io.stdout:write "ready\n":flush()
        while not package.loaded["uvjobs.inspect.answer"] do uvjobs.sleep(0.01) end
        io.stdout:write "loaded\n":flush()
        uvjobs.sleep(60)
      end)]]
    self:wait_for "ready"
    helper.look(self)
    self:wait_for "loaded"
    assert.equal(1, #helper.look(self).jobs)
  end)

  it("ends with the process", function()
    local copy
    do
      local self <close> = helper.start(PROGRAM)
      self:wait_for "ready"
      local _ <close> = ask_and_do_not_read(self:socket())
      copy = copy_of(self.pid)
      self:signal "KILL"
      eventually(function()
        local file = io.open(("/proc/%d/stat"):format(copy))
        local state = file and file:read "a":match "%) (%a)" or "X"
        if file then file:close() end
        return state == "Z" or state == "X"
      end)
    end
  end)
end)
