--- What all specs share. A file loads it before its first spec runs, because check_clean() compares
--- the registry with what it was then.
local assert = require "luassert"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local process = require "spec.process"

local helper = {}

function helper.ignore() end

--- What pcall() returns for `error(nil)`: nil, and from Lua 5.5 on a text.
helper.NIL_ERROR = select(2, pcall(error, nil))

--- Runs `fn(...)` as the main job under the virtual clock.
function helper.virtual(fn, ...)
  return uvjobs.run({ clock = "virtual" }, fn, ...)
end

--- A function that runs `fn` as the main job: `it("does this", in_run(function() ... end))`.
function helper.in_run(fn)
  return function() uvjobs.run(fn) end
end

--- A scheduler that ignores errors which nobody waits for, unless the options have a handler.
function helper.quiet(options)
  options = options or {}
  options.exception_handler = options.exception_handler or helper.ignore
  return uvjobs.scheduler(options)
end

--- An exception handler that appends the contexts that it gets to a list, or this field of them.
function helper.recorder(list, field)
  return function(_, context)
    if field then context = context[field] end
    list[#list + 1] = context
  end
end

--- A scheduler, and the list of the contexts that its exception handler gets.
function helper.recording(options)
  local contexts = {}
  options = options or {}
  options.exception_handler = helper.recorder(contexts)
  return uvjobs.scheduler(options), contexts
end

--- Calls `fn(...)`. Returns true; or, when it raises, the code of the error (or the error itself if
--- it has none), and the error.
function helper.outcome(fn, ...)
  local ok, err = pcall(fn, ...)
  if ok then return true end
  return uvjobs.code(err) or err, err
end

--- Asserts that `fn(...)` raises a uvjobs error with this code, and returns it.
function helper.raises(code, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, ("nothing was raised where '%s' was expected"):format(code))
  assert.equal(code, uvjobs.code(err) or tostring(err))
  return err
end

--- The text of the error that `fn(...)` raises, without the place in front.
function helper.message(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "nothing was raised")
  return (tostring(err):gsub("^[^\n]-:%d+: ", ""))
end

--- Gives way `n` times (once by default).
function helper.yield(n)
  for _ = 1, n or 1 do uvjobs.yield() end
end

--- A list with a method: log:add(value) appends and returns nothing.
function helper.log()
  return setmetatable({}, { __index = { add = function(t, v) t[#t + 1] = v end } })
end

--- Memory in use, in KiB.
function helper.kilobytes()
  collectgarbage()
  collectgarbage()
  return collectgarbage("count")
end

-- ---- jobs that do not end of themselves ------------------------------------

--- Suspends for ever, and cannot be cancelled.
function helper.stubborn()
  while true do uvjobs.protect(uvjobs.sleep, 1) end
end

--- A value for a to-be-closed variable, with this `__close`.
function helper.closing(handler)
  return setmetatable({}, { __close = handler })
end

--- Computes for so long, without suspending.
function helper.burn(seconds)
  local stop = uvjobs.now() + seconds
  while uvjobs.now() < stop do end
end

function helper.forever()
  while true do end
end

-- ---- slow machines ---------------------------------------------------------

--- Calls `try(seconds)` with longer and longer times until its first result is true, and returns
--- the other results. This is for a limit that must pass in the middle of something: on a slow
--- machine it may pass before that has begun.
function helper.lengthen(seconds, try)
  while true do
    local results = table.pack(try(seconds))
    if results[1] then return table.unpack(results, 2, results.n) end
    assert.is_true(seconds < 100, "it was not reached")
    seconds = 3 * seconds
  end
end

-- ---- child processes -------------------------------------------------------

--- Runs a script with this text in a Lua process of its own: process.run(text, env).
helper.child = process.run

-- ---- reports ---------------------------------------------------------------

-- A scheduler without a handler prints its reports. In specs they are kept here instead.
local reports = {}
core.set_handler(function(_, context) reports[#reports + 1] = context end)

--- The reports of schedulers without a handler, since the last call. check_clean() fails on
--- those that no spec has taken.
function helper.take_reports()
  local taken = reports
  reports = {}
  return taken
end

-- On a slow machine any job can hold the loop for too long, so such reports prove nothing.
local function check_reports()
  for _, context in ipairs(helper.take_reports()) do
    if context.message ~= "Job blocks the loop" then
      error(("%s: %s\n%s"):format(context.message, context.exception, context.traceback), 0)
    end
  end
end

-- ---- nothing is left behind ------------------------------------------------

-- luaL_unref keeps the key: its value is the next free reference, an integer.
local function registry_keys()
  local keys = {}
  for key, value in pairs(debug.getregistry()) do
    if math.type(key) ~= "integer" or type(value) ~= "number" then keys[key] = true end
  end
  return keys
end

local schedulers = setmetatable({}, { __mode = "k" })
local new_scheduler = uvjobs.scheduler

local function track(scheduler)
  schedulers[scheduler] = true
  return scheduler
end

--- The module's function; check_clean() looks at the schedulers that it made.
uvjobs.scheduler = function(...)
  return track(new_scheduler(...))
end

-- Lua registers the type of its large buffers when it makes the first one, which must be now.
assert.equal(100000, #("x"):rep(100000))

local keys_before = registry_keys()

--- For after_each: asserts that no job lives, that nothing runs, that no report is left which the
--- spec did not take, and that the registry has no new keys.
function helper.check_clean()
  assert.is_nil(uvjobs.current())
  for scheduler in pairs(schedulers) do
    assert.equal(0, #scheduler, "jobs are left in " .. tostring(scheduler))
  end
  schedulers = setmetatable({}, { __mode = "k" })
  local before, now = keys_before, registry_keys()
  keys_before = now
  for key in pairs(now) do
    assert.is_true(before[key], "the registry has grown by " .. tostring(key))
  end
  check_reports()
end

return helper
