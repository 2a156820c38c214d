--- What is open in the process, and a guard for specs that must leave nothing open.
local assert = require "luassert"
local busted = require "busted"
local luv = require "luv"
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local guard = {}

--- The number of open descriptors among the lowest `count` (256 by default). The system gives out
--- the lowest number that is free.
function guard.descriptors(count)
  collectgarbage()
  collectgarbage() -- what a finalizer has closed in the first may hold more
  local open = 0
  for fd = 0, (count or 256) - 1 do open = open + (luv.fs_fstat(fd) and 1 or 0) end
  return open
end

--- The number of handles in luv's loop, after it has let go of those that were closed.
function guard.handles()
  for _ = 1, 3 do luv.run "nowait" end
  local count = 0
  luv.walk(function() count = count + 1 end)
  return count
end

--- Adds checks to the `describe` that calls it: each of its specs leaves no live job, no handle
--- of luv, no descriptor and nothing in the registry. `warm_up()` runs before the first spec: it
--- makes what is made at the first use and stays. `settle()` runs after each spec, before the
--- checks.
function guard.install(warm_up, settle)
  local handles_before, descriptors_before

  busted.setup(function()
    if warm_up then warm_up() end
    guard.handles()
    pcall(helper.check_clean)
  end)

  busted.before_each(function()
    handles_before, descriptors_before = guard.handles(), guard.descriptors()
  end)

  busted.after_each(function()
    if settle then settle() end
    assert.equal(0, uvjobs.stats().live)
    assert.equal(handles_before, guard.handles(), "handles are left")
    assert.equal(descriptors_before, guard.descriptors(), "descriptors are left")
    helper.check_clean()
  end)
end

return guard
