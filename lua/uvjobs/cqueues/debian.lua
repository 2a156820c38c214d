-- Lets `require` find lua-http on Debian, which installs it, and what it needs, only
-- below the paths of older releases of Lua. They are pure Lua, and run on all.

local core = require "uvjobs.core"

core.own_source()

local debian = {}

local PATH <const> = "/usr/share/lua/5.3/?.lua;/usr/share/lua/5.3/?/init.lua;" ..
  "/usr/share/lua/5.2/?.lua;/usr/share/lua/5.2/?/init.lua"
local PACKAGES <const> = {
  http = true, lpeg_patterns = true, fifo = true, binaryheap = true, basexx = true,
  compat53 = true,
}

--- Returns the file of a module below those paths, or nil and a message.
function debian.find(name)
  if not PACKAGES[name:match "^[^.]+"] then return nil end
  return package.searchpath(name, PATH)
end

local function search(name)
  local path, message = debian.find(name)
  if not path then return message end
  return assert(loadfile(path)), path
end

if not package.searchpath("http.server", package.path) then
  table.insert(package.searchers, search)
end

return debian
