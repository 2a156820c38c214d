-- How luv is loaded. luv runs its callbacks on the coroutine that has loaded it. That
-- must not be the coroutine of a job, which is collected, or used by other jobs later.
-- So the first `require "luv"` loads it on a coroutine of its own.

local core = require "uvjobs.core"

core.own_source()

-- luv does not keep the coroutine from being collected. The registry keeps it for as long
-- as the Lua state has luv's loop: modules may be taken out of package.loaded before. Only
-- the first one counts, also when luv is loaded anew.
local THREAD <const> = "uvjobs.luv_thread"

local function load_luv()
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
