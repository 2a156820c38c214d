--- What the specs of embedding share: a program whose loop waits in poll(2) for the
--- descriptor of uvjobs, and calls step.
local assert = require "luassert"
local cqueues = require "cqueues"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local guard = require "spec.guard"

local embed = {}

local function poll(seconds)
  local ready = { pollfd = uvjobs.fd(), events = "r" }
  if cqueues.running() then return cqueues.poll(ready, seconds) == ready end
  local controller, got = cqueues.new(), nil
  controller:wrap(function() got = cqueues.poll(ready, seconds) end)
  assert(controller:loop())
  controller:close()
  return got == ready
end

--- Whether the host has a reason to step, now or within so many seconds: the descriptor is
--- readable, or, where that does not see deadlines, one has passed. In a coroutine of cqueues
--- the others run meanwhile.
function embed.readable(seconds)
  seconds = seconds or 0
  if core.fd_is_timed() then return poll(seconds) end
  local timeout = uvjobs.next_timeout() or math.huge
  local due = uvjobs.now() + math.min(seconds, timeout)
  repeat
    if poll(math.max(due - uvjobs.now(), 0)) then return true end
  until uvjobs.now() >= due
  return timeout <= seconds
end

--- Steps each time that the descriptor is readable, until the jobs have ended. Returns the
--- number of steps.
function embed.drive(...)
  local steps = 0
  for _, job in ipairs { ... } do
    while not job.closed do
      assert.is_true(embed.readable(60), "nothing has come in a minute")
      uvjobs.step()
      steps = steps + 1
    end
  end
  return steps
end

--- Steps until nothing is ready.
function embed.settle()
  while uvjobs.step() do end
end

--- guard.install for specs that call step.
function embed.install_guard(warm_up)
  guard.install(function()
    embed.readable()
    if warm_up then warm_up() end
  end, embed.settle)
end

return embed
