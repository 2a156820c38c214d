-- How luv is loaded. luv runs its callbacks on the coroutine that has loaded it. That
-- must not be the coroutine of a job, which is collected, or used by other jobs later.
-- So the first `require "luv"` loads it on a coroutine of its own.

local core = require "uvjobs.core"

core.own_source()

-- luv does not keep the coroutine from being collected. The registry keeps it for as long
-- as the Lua state has luv's loop: modules may be taken out of package.loaded before. Only
-- the first one counts, also when luv is loaded anew.
local THREAD <const> = "uvjobs.luv_thread"

-- luv crashes, when its loop cannot be made for want of descriptors: so we see to it that
-- there are some. libuv takes five; the module, and those that it needs, one at a time.
local DESCRIPTORS <const> = 8

local function load_luv()
  if not core.has_descriptors(DESCRIPTORS) then
    error("cannot load luv: too many open files", 0)
  end
  package.preload.luv = nil
  local thread = coroutine.create(require)
  local ok, result = coroutine.resume(thread, "luv")
  if not ok then
    package.preload.luv = load_luv
    error(result, 0)
  end
  local registry = debug.getregistry()
  registry[THREAD] = registry[THREAD] or thread
  return result
end

if not package.loaded.luv and not package.preload.luv then
  package.preload.luv = load_luv
end
