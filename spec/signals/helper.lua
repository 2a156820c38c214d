--- Scripts in processes of their own that are sent signals, for every_phase_spec.lua and
--- spec/stress/kill.lua. Lines on pipes say when a signal is sent, never a clock.
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local files = require "spec.files"
local lua = require "spec.process"

local kill = {}

kill.root = luv.cwd()
kill.STATUS = { sigint = 130, sigterm = 143 }
kill.NUMBER = { sigint = 2, sigterm = 15 }

-- What every script starts with. A variable of cleaning(name) says when it is closed, and by
-- which error. One that is closed while HOLD is set goes on until the end of the world.
kill.PRELUDE = [[
  local uvjobs = require "uvjobs"
  local uv = require "uvjobs.uv"
  local luv = require "luv"
  io.stdout:setvbuf("no")
  local hold = os.getenv "HOLD"
  local function say(...) io.write(table.concat({ ... }, " "), "\n") end
  local function closing(fn) return setmetatable({}, { __close = fn }) end
  local function cleaning(name)
    return closing(function(_, err)
      say(name, uvjobs.code(err) or tostring(err))
      if hold and uvjobs.current() then
        hold = nil
        say "holding"
        uvjobs.protect(uvjobs.await, function(resume) -- real time, under any clock
          luv.new_timer():start(600000, 0, resume)
        end)
        say "released"
      end
    end)
  end
  local function stdin()
    local pipe = uv.new_pipe(false)
    assert(pipe:open(0))
    return pipe
  end
  -- Like the command, for scripts that call run themselves.
  local function run(options, fn)
    local ok, err = pcall(uvjobs.run, options, fn)
    if ok then return end
    say("run", uvjobs.code(err) or tostring(err), tostring(err.signal))
    os.exit(err.signal == "SIGINT" and 130 or 143, true)
  end
]]

-- What is made at the first use, and stays, comes before what measures.
uvjobs.run(uvjobs.exec, "cat", {}, { input = "x" })

local function read_all(pipe)
  local parts = {}
  for chunk in pipe:chunks() do parts[#parts + 1] = chunk end
  return table.concat(parts)
end

--- Calls fn(line) for each line that comes.
local function each_line(pipe, fn)
  local rest = ""
  for chunk in pipe:chunks() do
    rest = rest .. chunk
    while rest:find "\n" do
      local line
      line, rest = rest:match "^([^\n]*)\n(.*)$"
      fn(line)
    end
  end
end

local Process = {}
Process.__index = Process

--- Sends a signal, by its name.
function Process:signal(name) luv.kill(self.pid, name) end

--- Writes a line to its standard input.
function Process:send(line) self.stdin:write(line .. "\n") end

--- Is there a process of its group?
function Process:group_lives() return luv.kill(-self.pid, 0) == 0 end

--- Whether a process of its group outlives it. The system knows one that was killed until init has
--- read its status, so this waits for that.
function Process:leaves_some()
  local stop = uvjobs.now() + 10
  while self:group_lives() and uvjobs.now() < stop do uvjobs.sleep(0.01) end
  return self:group_lives()
end

local function arguments(path, options)
  local args = {
    "LUA_PATH_" .. lua.VERSION .. "=" .. package.path,
    "LUA_CPATH_" .. lua.VERSION .. "=" .. package.cpath,
    options.hold and "HOLD=1" or "HOLD_NOT=1", options.env or "ENV=", lua.interpreter(),
  }
  if options.command then args[#args + 1] = kill.root .. "/bin/uvjobs" end
  args[#args + 1] = path
  return args
end

--- Runs a script in a process of its own. Must be called in a job. `options`:
--- - `script`: the text that comes after the prelude
--- - `command`: run it by bin/uvjobs, and not by the interpreter
--- - `hold`: see the prelude
--- - `env`: a variable for its environment, as "NAME=value"
--- - `on_line(process, line)`: is called for each line on standard output
--- - `on_start(process)`: is called when it was started
--- - `may_leave(result)`: whether it may leave processes behind; then nobody waits for their end
--- Returns a table: `code` and `signal` of its end, when it has `ended`, the list of lines
--- `out`, the text `err`, and whether processes of its group were `left`.
function kill.play(options)
  local path = files.temporary(kill.PRELUDE .. options.script)
  local _ <close> = setmetatable({}, { __close = function() os.remove(path) end })
  local stdin <close> = uv.new_pipe(false)
  local stdout <close> = uv.new_pipe(false)
  local stderr <close> = uv.new_pipe(false)
  -- Detached means: with a process group of its own.
  local spawned, pid = uv.spawn("env", {
    args = arguments(path, options), stdio = { stdin, stdout, stderr }, detached = true,
  })
  local handle <close> = assert(spawned, pid)
  local process = setmetatable({ pid = pid, stdin = stdin }, Process)
  local _ <close> = setmetatable({}, { __close = function() luv.kill(-pid, "sigkill") end })
  local result = { out = {} }
  uvjobs.all {
    function() result.err = read_all(stderr) end,
    function()
      each_line(stdout, function(line)
        result.out[#result.out + 1] = line
        if options.on_line then options.on_line(process, line) end
      end)
    end,
    function() if options.on_start then options.on_start(process) end end,
    function()
      result.code, result.signal = handle:wait()
      result.ended = uvjobs.now()
    end,
  }
  if not options.may_leave or not options.may_leave(result) then
    result.left = process:leaves_some()
  end
  return result
end

return kill
