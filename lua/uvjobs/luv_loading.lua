-- How luv is loaded. luv runs its callbacks on the coroutine that has loaded it. That
-- must not be the coroutine of a job, which is collected, or used by other jobs later.
-- So the first `require "luv"` loads it on a coroutine of its own.

local core = require "uvjobs.core"

core.own_source()

local luv_loading = {} -- keeps the coroutine, which luv does not

local function load_luv()
  package.preload.luv = nil
  local thread = coroutine.create(require)
  local ok, result = coroutine.resume(thread, "luv")
  if not ok then
    package.preload.luv = load_luv
    error(result, 0)
  end
  luv_loading.thread = thread
  return result
end

if not package.loaded.luv and not package.preload.luv then
  package.preload.luv = load_luv
end

return luv_loading
