-- Starts programs, and starts those again that end: after a pause, which doubles up to a
-- minute and begins anew when a program has run for HEALTHY seconds. A program that ends
-- with status 0 has done its work. One that has failed ATTEMPTS times in a row is given
-- up. SIGHUP reads the file again: programs that are new in it are started, those that are
-- gone or have changed are ended, and the others are not touched. SIGINT (Ctrl-C) or
-- SIGTERM ends all: by SIGTERM, and after CLOSE seconds by SIGKILL.
--
-- uvjobs.supervisor does this for the parts of one service, see 19_supervised.lua. The
-- programs here have nothing to do with each other: one that fails too often is given up alone,
-- while a supervisor that gives up stops all of its children.
--
--   script/run examples/16_supervisor.lua FILE
--   script/run examples/16_supervisor.lua         tries it with programs that misbehave
--   uvjobs examples/16_supervisor.lua FILE        with the rock installed
--
-- In a terminal, the command `uvjobs` takes SIGHUP for the end of the terminal: there,
-- start it as `lua5.4 examples/16_supervisor.lua FILE`.
--
-- Each line of the file is a name and a shell command: `web exec nginx -g 'daemon off;'`.
-- Lines that are empty or begin with "#" count for nothing. A program runs as long as
-- anything that it has started holds its output; with `exec` in the line, as above, the
-- shell is not in between. It needs luv (Debian: lua-luv).

local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"

local ATTEMPTS = 5
local PAUSE, LONGEST_PAUSE = 1, 60 -- seconds
local HEALTHY = 60 -- seconds
local CLOSE = 6 -- seconds; less than the 10 that run() gives the main job after a signal

--- Runs a program until it has done its work, is given up, or its job is cancelled: then
--- exec() terminates it, with everything that it has started.
local function keep_running(supervisor, name, command)
  local failures, pause = 0, supervisor.pause
  while true do
    local started = uvjobs.now()
    local function tell(line) supervisor.tell(name .. ": " .. line) end
    local result, _, _, message = uvjobs.exec("sh", { "-c", command }, {
      on_stdout = tell, stderr = "stdout", group = true, kill_timeout = CLOSE,
      max_output = math.huge, -- of a line
    })
    if result and result.ok then return tell "has done its work" end
    tell(message or result.message)
    if uvjobs.now() - started >= HEALTHY then failures, pause = 0, supervisor.pause end
    failures = failures + 1
    if failures == ATTEMPTS then return tell "is given up" end
    uvjobs.sleep(pause)
    pause = math.min(2 * pause, LONGEST_PAUSE)
  end
end

--- Returns the commands in a file by their names, and the names in their order; or nil and
--- what is wrong.
local function read(path)
  local file, problem = io.open(path)
  if not file then return nil, problem end
  local _ <close> = file
  local commands, names, number = {}, {}, 0
  for line in file:lines() do
    number = number + 1
    local name, command = line:match "^%s*([%w_.-]+)%s+(.+)$"
    if name and commands[name] then
      return nil, ("%s:%d: there are two with the name %s"):format(path, number, name)
    elseif name then
      commands[name], names[#names + 1] = command, name
    elseif line:find "^%s*[^#%s]" then
      return nil, ("%s:%d: a name and a command expected"):format(path, number)
    end
  end
  return commands, names
end

--- Makes what runs agree with the file. `running` has a table with `job` and `command` for
--- each name.
local function load(supervisor, jobs, running)
  local commands, names = read(supervisor.path)
  if not commands then return nil, names end
  local ending = {}
  for name, program in pairs(running) do
    if commands[name] ~= program.command then
      ending[#ending + 1] = function() program.job:cancel() program.job:join() end
      running[name] = nil
    end
  end
  uvjobs.all(ending) -- a program that uses the port of another starts after its end
  for _, name in ipairs(names) do
    running[name] = running[name] or {
      command = commands[name],
      job = jobs:spawn({ name = name }, keep_running, supervisor, name, commands[name]),
    }
  end
  return true
end

--- Runs the programs until a signal cancels the main job, which calls this. Returns the
--- signal when all have ended.
local function supervise(supervisor)
  local hangups <close> = uv.new_signal()
  assert(hangups:start "sighup")
  local running = {}
  local jobs = uvjobs.scheduler { limit = math.huge, close_timeout = CLOSE + 2 }
  local _, err = pcall(function()
    local _ <close> = setmetatable({}, { __close = function() jobs:close() end })
    assert(load(supervisor, jobs, running))
    while hangups:next() do
      local ok, problem = load(supervisor, jobs, running)
      supervisor.tell(ok and "loaded again" or "not loaded: " .. problem)
    end
  end)
  return err.signal or error(err, 0)
end

-- ---- trying it -------------------------------------------------------------

--- Changes the file and sends SIGHUP. Returns when the supervisor has told `last`.
local function step(try, text, last)
  print("-- " .. text:gsub("\n", "\n   "))
  local file <close> = assert(io.open(try.path, "w"))
  file:write(text, "\n")
  file:flush()
  uv.kill(uv.os_getpid(), "sighup")
  local line
  repeat
    line = try.told:get()
    if line ~= "loaded again" then print((line:gsub("%d%d+", "N"))) end
  until line:find(last)
  return line
end

local function try_all(try)
  step(try, "once echo hello", "done its work")
  step(try, "crash echo I try; exit 1", "given up")
  local line = step(try, "victim echo $$; exec sleep 60", "victim: %d")
  uv.kill(tonumber(line:match "%d+"), "sigkill")
  print((try.told:get():gsub("%d%d+", "N")))
  print((try.told:get():gsub("%d%d+", "N")))
  step(try, "victim", "not loaded")
  step(try, "victim echo I am another; exec sleep 60", "another")
  step(try, "# without victim\nmulish trap '' TERM; echo up; while :; do sleep 1; done", "up")
  uv.kill(uv.os_getpid(), "sigterm")
end

local function try_it()
  CLOSE, ATTEMPTS = 0.3, 3
  local path = os.tmpname()
  local _ <close> = setmetatable({}, { __close = function() os.remove(path) end })
  local try = { path = path, told = uvjobs.queue() }
  local jobs = uvjobs.scheduler()
  jobs:spawn(try_all, try)
  print(supervise {
    path = path, pause = 0.01,
    tell = function(text) try.told:try_put(text) end,
  })
end

-- ---- the command line ------------------------------------------------------

local function main(path)
  if not path then return try_it() end
  io.stdout:setvbuf "line"
  print(supervise { path = path, pause = PAUSE, tell = print } .. ": all have ended")
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
