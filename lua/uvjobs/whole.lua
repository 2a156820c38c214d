-- uvjobs.keep_whole: code of libraries that jobs share is not interrupted in the middle.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

-- The source of the file that `require` would load, as debug.getinfo names it; or nil and
-- where it was looked for.
local function source_of_module(name)
  local path, message = package.searchpath(name, package.path)
  if path then return "@" .. path end
  return nil, message
end

local function source_of_function(fn)
  local info = debug.getinfo(fn, "S")
  return info.what ~= "C" and info.source or nil
end

--- From now on jobs are not interrupted in the middle of these files: neither by the end of
--- a time slice, nor by a deadline or a cancellation that comes while the job does not
--- suspend. The interruption comes when the code of the file has returned, calls code of
--- another file, or suspends; or after a second. Does not suspend.
--- Errors: misuse, also when a module is not found.
---@param ... string|function names of modules as for `require`, which need not be loaded
---  yet; or functions written in Lua, which stand for the file that defines them
function uvjobs.keep_whole(...)
  local sources = {}
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    local source, why
    if type(value) == "string" then
      source, why = source_of_module(value)
      if not source then
        arguments.fail(2, i, "keep_whole", ("module '%s' not found:%s"):format(value,
          why:sub(1, 1) == "\n" and why or "\n\t" .. why))
      end
    elseif type(value) == "function" then
      source = source_of_function(value)
      if not source then
        arguments.fail(2, i, "keep_whole", "function written in Lua expected, got one in C")
      end
    else
      arguments.fail(2, i, "keep_whole", arguments.unexpected("module name or function", value))
    end
    sources[i] = source
  end
  for _, source in ipairs(sources) do core.whole_source(source) end
end
