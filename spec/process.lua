--- Lua processes for specs that need one of their own.
local files = require "spec.files"

local process = {}

--- What ends a process that hangs. It is so long that no machine is too slow for what a spec does.
process.GUARD = "timeout -k 60 600"

--- The text as one word of the shell.
function process.quote(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

--- The command that runs this Lua.
function process.interpreter()
  local i = 0
  while arg[i - 1] do i = i - 1 end
  return arg[i]
end

--- How the names of variables for this version of Lua end: "5_4".
process.VERSION = _VERSION:match("%d+%.%d+$"):gsub("%.", "_")

--- Settings of the environment, as shell text, by which this Lua finds the modules that this
--- process finds.
function process.paths()
  return ("LUA_PATH_%s=%s LUA_CPATH_%s=%s"):format(process.VERSION,
    process.quote(package.path), process.VERSION, process.quote(package.cpath))
end

--- Shell text that runs this Lua where it finds the modules that this process finds. `env` is text
--- like "UVJOBS_DEBUG=1", or a command that runs another.
function process.command(env)
  return ("env %s %s %s"):format(process.paths(), env or "",
    process.quote(process.interpreter()))
end

--- Shell text of what a sanitizer that is loaded into this process finds in the environment, for a
--- command that is given another one; empty without a sanitizer.
function process.sanitizer()
  local settings = {}
  for _, name in ipairs { "LD_PRELOAD", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS" } do
    local value = os.getenv(name)
    if value then settings[#settings + 1] = name .. "=" .. process.quote(value) end
  end
  return table.concat(settings, " ")
end

local function read_and_remove(path)
  local text = files.read(path)
  os.remove(path)
  return text
end

--- Runs a script with this text. Returns a table of `status` (the exit status, or the text
--- "signal N"), `out` and `err`.
function process.run(text, env)
  local base = files.temporary(text)
  local _, kind, status = os.execute(("%s %s %s >%s.out 2>%s.err </dev/null")
    :format(process.GUARD, process.command(env), base, base, base))
  os.remove(base)
  return {
    status = kind == "exit" and status or "signal " .. status,
    out = read_and_remove(base .. ".out"),
    err = read_and_remove(base .. ".err"),
  }
end

return process
