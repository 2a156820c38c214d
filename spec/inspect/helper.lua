--- Processes that the specs of this folder look into.
local ask = require "uvjobs.inspect.ask"
local core = require "uvjobs.core"
local files = require "spec.files"
local process = require "spec.process"
local processes = require "uvjobs.inspect.processes"

local helper = {}

-- How long a spec waits for what has to happen on any machine, and between two looks.
local GUARD_S <const> = 60
local LOOK_S <const> = 0.01

--- Waits until `fn()` returns something, and returns that. `describe()` says what is wrong if it
--- does not.
function helper.eventually(fn, describe)
  local begun = os.time()
  while true do
    local result = fn()
    if result then return result end
    if os.time() - begun >= GUARD_S then
      error(describe and describe() or "nothing has happened for " .. GUARD_S .. " s", 2)
    end
    core.nap(LOOK_S)
  end
end

local Program = {}
Program.__index = Program

--- What the program has printed so far.
function Program:out() return files.read(self.base .. ".out") end

--- What it has written to standard error.
function Program:err() return files.read(self.base .. ".err") end

--- Waits until it has printed a line.
function Program:wait_for(line)
  helper.eventually(function()
    local lived = self:lives()
    local found = self:out():find(line, 1, true)
    assert(found or lived, "it has ended: " .. self:err())
    return found
  end)
end

-- Who has to take note of its end may do so late.
function Program:lives()
  local found = processes.get(self.pid)
  return found ~= nil and found.state ~= "Z"
end

function Program:signal(name)
  return os.execute(("kill -%s %d 2>/dev/null"):format(name, self.pid)) == true
end

--- The path of its socket, if that is there.
function Program:socket()
  local found = processes.get(self.pid)
  for _, path in ipairs(found and processes.sockets(found) or {}) do
    if os.execute("test -S " .. process.quote(path)) then return path end
  end
end

--- Ends it by force, and waits for that.
function Program:__close()
  self:signal "KILL"
  helper.eventually(function() return not self:lives() end)
  for _, suffix in ipairs { "", ".out", ".err" } do os.remove(self.base .. suffix) end
end

--- Starts a script with this text, which the guard ends. `env` is as for process.command().
function helper.start(text, env)
  local base = files.temporary(text)
  files.write(base .. ".out", "")
  files.write(base .. ".err", "")
  local command = ("ulimit -t 120; exec %s %s >%s.out 2>%s.err </dev/null"):format(
    process.command(env), base, base, base)
  local pipe <close> = assert(io.popen(("sh -c %s & echo $!"):format(process.quote(command))))
  local pid = math.tointeger(tonumber(pipe:read "l"))
  return setmetatable({ pid = pid, base = base }, Program)
end

--- Looks at a program, which must answer, however slow the machine is. Returns its only loop.
function helper.look(program)
  local problem
  local loops = helper.eventually(function()
    local found
    found, problem = ask.look(program.pid)
    return found
  end, function() return problem end)
  assert(#loops == 1)
  return loops[1]
end

--- Runs the command: returns what it prints, what it complains of, and its exit status.
function helper.uvjobs(arguments)
  local err = os.tmpname()
  local pipe = assert(io.popen(("env LC_ALL=C.UTF-8 %s bin/uvjobs %s 2>%s; echo $?"):format(
    process.command(), arguments, err)))
  local out, status = pipe:read "a":match "^(.-)(%d+)\n$"
  pipe:close()
  local complaint = files.read(err)
  os.remove(err)
  return out, complaint, tonumber(status)
end

--- The text with what differs from run to run made equal.
function helper.plain(text)
  return (text:gsub("/%S*/lua_%w+:", "FILE:"):gsub("%d[%d.e-]* s%f[%W]", "T"))
end

return helper
