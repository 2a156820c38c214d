--- luv with every callback as a call that suspends. `require "uvjobs.uv"` gives
--- luv's functions: in a job, those that take a callback suspend when they are
--- given none. What there is, is listed in docs/luv.md.
local luv = require "luv"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local calls = require "uvjobs.uv.calls"
local handles = require "uvjobs.uv.handles"

core.ignore_sigpipe() -- libuv writes in the plain way

local uv = {}
for name, value in pairs(luv) do uv[name] = value end

-- It would block all jobs.
function uv.run(...)
  if uvjobs.current() then error("'run' cannot be called in a job", 2) end
  return luv.run(...)
end

calls.add_requests(uv)
calls.add_work(uv)
handles.add_common(uv)
require "uvjobs.uv.streams" (uv)
require "uvjobs.uv.events" (uv)

-- The methods of directories are the functions for them.
local methods = debug.getregistry().uv_dir.__index
local managed_dirs = setmetatable({}, { __mode = "k" })

local function dir_method(name, fn)
  local original, ours = luv[fn], uv[fn]
  methods[name] = function(self, ...)
    if managed_dirs[self] then return ours(self, ...) end
    return original(self, ...)
  end
end

dir_method("readdir", "fs_readdir")
dir_method("closedir", "fs_closedir")

local opendir = uv.fs_opendir

function uv.fs_opendir(...)
  local dir, message, code = opendir(...)
  if dir and debug.getmetatable(dir) == debug.getregistry().uv_dir then
    managed_dirs[dir] = true
  end
  return dir, message, code
end

return uv
