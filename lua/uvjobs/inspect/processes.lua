-- What the system says of processes, in /proc.

local core = require "uvjobs.core"

core.own_source()

local processes = {}

-- The bit of SIGURG, signal 23, in the sets of signals.
local URG <const> = 1 << 22

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a"
end

--- Whether there is a /proc to read.
---@return boolean
function processes.can_be_read()
  return read "/proc/self/stat" ~= nil
end

---@class uvjobs.inspect.Process
---@field pid integer
---@field state string a letter of proc(5), such as "T" for stopped
---@field started string when it was started, in ticks of the system since its start
---@field user integer
---@field hears boolean it has a handler for SIGURG
---@field is_contained boolean it has another number in a namespace of its own, as in a container
---@field command string what it was started with, on one line

-- The fields that follow the name, which may have anything in it.
local function read_stat(pid)
  local text = read(("/proc/%d/stat"):format(pid))
  local rest = text and text:match "^.*%) (.*)$"
  if not rest then return nil end
  local fields = {}
  for field in rest:gmatch "%S+" do fields[#fields + 1] = field end
  return fields
end

local function command_of(pid)
  local text = read(("/proc/%d/cmdline"):format(pid)) or ""
  return (text:gsub("%z$", ""):gsub("%z", " "):gsub("%c", "?"))
end

--- What is known of a process; nil when there is none.
---@param pid integer
---@return uvjobs.inspect.Process?
function processes.get(pid)
  local stat = read_stat(pid)
  local status = stat and read(("/proc/%d/status"):format(pid))
  if not status then return nil end
  local handled = tonumber(status:match "SigCgt:%s*(%x+)" or "0", 16)
  return {
    pid = pid,
    state = stat[1],
    started = stat[20],
    user = tonumber(status:match "Uid:%s*%d+%s+(%d+)"),
    hears = handled & URG ~= 0,
    is_contained = status:find "NSpid:%s*%d+%s+%d" ~= nil,
    command = command_of(pid),
  }
end

--- Whether our module is loaded in it, as far as we may know.
---@param pid integer
---@return boolean
function processes.has_module(pid)
  local maps = read(("/proc/%d/maps"):format(pid))
  return maps ~= nil and maps:find "/uvjobs/core%.[%w.]*so" ~= nil
end

-- Where the sockets of a user's processes may be: see src/inspect/place.h.
local function directories_of(process)
  local list = {}
  local environment = read(("/proc/%d/environ"):format(process.pid)) or ""
  local runtime = ("\0" .. environment):match "%zXDG_RUNTIME_DIR=(/[^%z]*)"
  if runtime then list[1] = runtime .. "/uvjobs" end
  list[#list + 1] = ("/run/user/%d/uvjobs"):format(process.user)
  list[#list + 1] = ("/tmp/uvjobs-%d"):format(process.user)
  return list
end

--- Where the socket of a process may be.
---@param process uvjobs.inspect.Process
---@return string[] paths
function processes.sockets(process)
  local paths = directories_of(process)
  for i, directory in ipairs(paths) do
    paths[i] = ("%s/%d-%s"):format(directory, process.pid, process.started)
  end
  return paths
end

--- The processes that this user may ask and that have our module.
---@return uvjobs.inspect.Process[]
function processes.all()
  local list, user, own = {}, core.user(), core.pid()
  for _, name in ipairs(core.list_directory "/proc" or {}) do
    local pid = math.tointeger(tonumber(name))
    local process = pid and pid ~= own and processes.get(pid)
    if process and (process.user == user or user == 0) and processes.has_module(pid) then
      list[#list + 1] = process
    end
  end
  table.sort(list, function(a, b) return a.pid < b.pid end)
  return list
end

--- Those of these processes that there are.
---@param pids integer[]
---@return uvjobs.inspect.Process[]
function processes.some(pids)
  local list = {}
  for _, pid in ipairs(pids) do list[#list + 1] = processes.get(pid) end
  return list
end

--- Removes the sockets that processes have left behind which were ended by force: nobody
--- listens there, and the process that they name is not there any more.
---@return integer count
function processes.remove_stale()
  local self = processes.get(core.pid())
  local count = 0
  for _, directory in ipairs(directories_of(self)) do
    for _, name in ipairs(core.list_directory(directory) or {}) do
      local pid, started = name:match "^(%d+)%-(%d+)$"
      local process = pid and processes.get(math.tointeger(tonumber(pid)))
      local path = directory .. "/" .. name
      local lives = process and process.started == started and process.state ~= "Z"
      if pid and not lives then
        local _, problem = core.ask(path, "hello", 1)
        if problem == "ECONNREFUSED" and os.remove(path) then count = count + 1 end
      end
    end
  end
  return count
end

return processes
