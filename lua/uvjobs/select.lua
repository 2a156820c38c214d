-- uvjobs.select: waits for the first of several queues, channels, events and jobs. A watch takes
-- nothing; this looks at the sources in their order whenever something has come to one of
-- them. No job runs between the look that takes a value and the return.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

local fail = arguments.fail

-- How each kind of source is looked at: whether it is ready, and what is returned then.
local looks = {}

looks["uvjobs.Queue"] = function(queue)
  local value, why = queue:try_get()
  if why == "closed" then return true, nil, "closed" end
  return value ~= nil, value
end

looks["uvjobs.Channel"] = looks["uvjobs.Queue"]

looks["uvjobs.Event"] = function(event)
  return event:is_set(), true
end

looks["uvjobs.Job"] = function(job)
  return job.closed, true
end

local function check_source(i, source)
  if not looks[core.typename(source)] then
    fail(4, 1, "select", arguments.unexpected_element("queue, channel, event or job", i, source))
  elseif source == uvjobs.current() then
    fail(4, 1, "select", ("element %d is the current job, which cannot wait for itself"):format(i))
  end
end

local OPTIONS <const> = { timeout = arguments.expect.seconds_or_forever }

-- Returns a copy of the list, which nobody can change, and the options. Blames the caller
-- of select().
local function check(sources)
  if type(sources) ~= "table" then
    fail(3, 1, "select", arguments.unexpected("table", sources))
  end
  local list, options = {}, {}
  for i = 1, #sources do
    check_source(i, sources[i])
    list[i] = sources[i]
  end
  for key, value in next, sources do
    if not list[key] then options[key] = value end
  end
  local problem = arguments.problem_of_options(options, OPTIONS)
  if problem then fail(3, 1, "select", problem) end
  if #list == 0 then fail(3, 1, "select", "at least one source expected, got none") end
  return list, options.timeout
end

-- Returns the first source that is ready, with what is to be returned besides. An event
-- that was set while it was watched counts, even if it has been cleared since: `set` is
-- its index; 0 or nil when there was none.
local function look(list, set)
  for i, source in ipairs(list) do
    local ready, value, why = looks[core.typename(source)](source)
    if ready then return source, value, why end
    if i == set then return source, true end
  end
end

-- Returns what select() does: `why` only where there is one.
local function results(source, value, why)
  if why then return source, value, why end
  return source, value
end

-- The list is looked at once more before the first wait, because finalizers can run while
-- the watch is made, and they can put and set.
local function wait(list, timeout)
  local watch <close> = core.watch(list, timeout)
  local set
  repeat
    if set or not core.interrupted() then
      local source, value, why = look(list, set)
      if source then return results(source, value, why) end
    end
    set = watch:wait()
  until not set
  return nil, "timeout"
end

--- Waits until one of several queues, channels, events and jobs is ready, and takes the value
--- of a queue or a channel. When several are ready, the first one in the list counts. Suspends.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job. An error of a job
--- among the sources is not raised.
---@param sources uvjobs.Sources
---@return uvjobs.Queue|uvjobs.Channel|uvjobs.Event|uvjobs.Job|nil source nil when the time is over
---@return any value the value of a queue, which is nil when that is closed and empty; true
---  for an event and for a job that has ended; "timeout"
---@return string? why "closed" for a queue that is closed and empty
function uvjobs.select(sources)
  local list, timeout = check(sources)
  core.check_suspend("select", 2)
  if not core.interrupted() then
    local source, value, why = look(list)
    if source then return results(source, value, why) end
  end
  return wait(list, timeout)
end
