--- Lua processes for specs that need one of their own.
local files = require "spec.files"

local process = {}

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

--- Shell text that runs this Lua where it finds the modules that this process finds. `env` is text
--- like "UVJOBS_DEBUG=1", or a command that runs another.
function process.command(env)
  local quote = process.quote
  return ("env LUA_PATH_5_4=%s LUA_CPATH_5_4=%s %s %s"):format(
    quote(package.path), quote(package.cpath), env or "", quote(process.interpreter()))
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
  local _, kind, status = os.execute(("timeout 60 %s %s >%s.out 2>%s.err </dev/null")
    :format(process.command(env), base, base, base))
  os.remove(base)
  return {
    status = kind == "exit" and status or "signal " .. status,
    out = read_and_remove(base .. ".out"),
    err = read_and_remove(base .. ".err"),
  }
end

return process
