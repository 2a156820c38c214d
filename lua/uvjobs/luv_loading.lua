-- How luv is loaded. luv runs its callbacks on the coroutine that has loaded it. That
-- must not be the coroutine of a job, which is collected, or used by other jobs later.
-- So the first `require "luv"` loads it on a coroutine of its own.

local core = require "uvjobs.core"

core.own_source()

local function load_luv()
  package.preload.luv = nil
  local thread = coroutine.create(require)
  local ok, result = coroutine.resume(thread, "luv")
  if not ok then
    package.preload.luv = load_luv
    error(result, 0)
  end
  core.luv_thread = thread -- luv does not keep it from being collected
  return result
end

if not package.loaded.luv and not package.preload.luv then
  package.preload.luv = load_luv
end
