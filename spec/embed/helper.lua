--- What the specs of embedding share: a program whose loop waits in poll(2) for the
--- descriptor of uvjobs, and calls step.
local assert = require "luassert"
local cqueues = require "cqueues"
local uvjobs = require "uvjobs"
local guard = require "spec.guard"

local embed = {}

--- Whether the descriptor is readable, now or within so many seconds. In a coroutine of
--- cqueues the others run meanwhile.
function embed.readable(seconds)
  local ready = { pollfd = uvjobs.fd(), events = "r" }
  if cqueues.running() then return cqueues.poll(ready, seconds or 0) == ready end
  local controller, got = cqueues.new(), nil
  controller:wrap(function() got = cqueues.poll(ready, seconds or 0) end)
  assert(controller:loop())
  controller:close()
  return got == ready
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
