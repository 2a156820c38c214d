--- What the specs of supervisors share.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local supervised = {}

--- The function, to be called under the virtual clock.
function supervised.virtual(fn)
  return function() helper.virtual(fn) end
end

--- Sleeps longer than any spec takes.
function supervised.forever() uvjobs.sleep(1e6) end

--- A list of what happens, each entry with the time of the virtual clock: "1.5 start db".
function supervised.log()
  local log = {}
  local function add(...)
    log[#log + 1] = ("%g %s"):format(uvjobs.now(), table.concat({ ... }, " "))
  end
  return setmetatable(log, { __index = { add = add } })
end

--- A function for a child: logs its start and its end, and calls `body(child, ...)`, or
--- sleeps for ever.
function supervised.worker(log, body)
  return function(child, ...)
    log.add("start", child.name)
    local _ <close> = helper.closing(function() log.add("end", child.name) end)
    if body then return body(child, ...) end
    uvjobs.sleep(1e6)
  end
end

--- A body that fails after so many seconds.
function supervised.failing(seconds, message)
  return function()
    uvjobs.sleep(seconds)
    error(message or "crash", 0)
  end
end

--- A body that does one thing after the other, the last one for ever: a number of seconds after
--- which it fails, or "stay".
function supervised.script(...)
  local steps, run = { ... }, 0
  return function()
    run = math.min(run + 1, #steps)
    local step = steps[run]
    if step == "stay" then uvjobs.sleep(1e6) end
    uvjobs.sleep(step)
    error("crash " .. run, 0)
  end
end

--- A supervisor without jitter whose reports go to `heard`, if it is given.
function supervised.new(options, heard)
  local all = {
    backoff = 0, intensity = math.huge, exception_handler = heard and helper.recorder(heard)
      or helper.ignore,
  }
  for name, value in pairs(options or {}) do all[name] = value end
  return uvjobs.supervisor(all)
end

--- The names of its children, with their states.
function supervised.states(service)
  local states = {}
  for child in service:children() do states[#states + 1] = child.name .. " " .. child.state end
  return table.concat(states, ", ")
end

return supervised
