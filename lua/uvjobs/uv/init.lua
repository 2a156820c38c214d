--- `require "uvjobs.uv"`: luv's functions. In a job, a function that takes a callback
--- suspends when it is given none, and returns what the callback would get. docs/luv.md
--- lists them.
local luv = require "uvjobs.needs" ("uvjobs.uv", "luv")
local core = require "uvjobs.core"
local calls = require "uvjobs.uv.calls"
local handles = require "uvjobs.uv.handles"

local uvjobs = core.public

core.catch_sigpipe() -- libuv does not keep its writes from raising SIGPIPE

local uv = {}
for name, value in pairs(luv) do uv[name] = value end

-- luv.run would block all jobs.
function uv.run(...)
  if uvjobs.current() then error("'run' cannot be called in a job", 2) end
  return luv.run(...)
end

calls.add_requests(uv)
calls.add_work(uv)
handles.add_common(uv)
require "uvjobs.uv.streams" (uv)
require "uvjobs.uv.events" (uv)
require "uvjobs.uv.connect" (uv)
require "uvjobs.uv.serve" (uv)
require "uvjobs.uv.stdio" (uv)

-- Directories have the functions for them as methods. As with handles, the methods are ours
-- for directories that uv.fs_opendir has opened, and luv's for others.
local methods = debug.getregistry().uv_dir.__index
local managed_dirs = setmetatable({}, { __mode = "k" })

local function replace_dir_method(name, fn)
  local original, ours = luv[fn], uv[fn]
  methods[name] = function(self, ...)
    if managed_dirs[self] then return ours(self, ...) end
    return original(self, ...)
  end
end

replace_dir_method("readdir", "fs_readdir")
replace_dir_method("closedir", "fs_closedir")

local opendir = uv.fs_opendir

function uv.fs_opendir(...)
  local dir, message, code = opendir(...)
  if dir and debug.getmetatable(dir) == debug.getregistry().uv_dir then
    managed_dirs[dir] = true
  end
  return dir, message, code
end

return uv
