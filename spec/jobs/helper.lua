--- What the specs of all, race, map and their like share: children that are watched.
local assert = require "luassert"
local uvjobs = require "uvjobs"

local helper = {}

--- A function for a child: notes its job in `children`, then calls fn(...).
function helper.child(children, fn, ...)
  local args = table.pack(...)
  return function()
    children[#children + 1] = uvjobs.current()
    return fn(table.unpack(args, 1, args.n))
  end
end

--- Asserts that there were `count` children, and that all of them have ended.
function helper.assert_ended(children, count)
  assert.equal(count, #children)
  for _, job in ipairs(children) do
    assert.is_true(job.closed, tostring(job))
    assert.equal(0, #job.scheduler)
    assert.is_true(job.scheduler.closed)
  end
end

return helper
