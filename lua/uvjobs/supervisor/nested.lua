-- The ends of supervisors that somebody waits for, and supervisors that are children of
-- another one.

local core = require "uvjobs.core"
local child = require "uvjobs.supervisor.child"
local fault = require "uvjobs.supervisor.fault"
local list = require "uvjobs.supervisor.list"
local rules = require "uvjobs.supervisor.rules"

core.own_source()

local at <const> = child.at
local NAME <const>, KIND <const>, STATE <const>, MORE <const> = at.NAME, at.KIND, at.STATE, at.MORE
local uvjobs = core.public
local QUEUED <const>, STOPPED <const> = child.states.QUEUED, child.states.STOPPED
local UP <const>, ROUND <const> = child.phases.UP, child.phases.ROUND
local STOPPING <const>, OVER <const> = child.phases.STOPPING, child.phases.OVER

local nested = {}

--- Suspends until a supervisor has ended.
function nested.wait_ended(self)
  while self._phase == UP or self._phase == ROUND or self._phase == STOPPING do
    self._ended:wait()
  end
end

--- Closes all children of a supervisor, which nothing can interrupt but that the job is
--- killed: then closing goes on by itself.
function nested.leave(self)
  if core.can_suspend() then
    fault.attempt(self, rules.stop_all, self, nil, uvjobs.current())
    uvjobs.protect(nested.wait_ended, self)
  else
    fault.attempt(self, rules.stop_all, self)
  end
end

-- Whether a child belongs to what a supervisor starts when it begins again.
local function begins_again(one)
  return one[STATE] == QUEUED or one[NAME] and one[KIND].restart ~= "temporary"
end

-- A run of a supervisor that is a child begins: it starts the children that it had.
local function begin_again(self)
  self._queued, self._at = 0, 1
  for place = 1, self._places do
    local one = self._children[place]
    if one and one[STATE] ~= STOPPED then
      if begins_again(one) then
        if one[MORE] then one[MORE].streak = nil end
        list.enqueue(self, one)
      else
        list.remove(self, one)
      end
    end
  end
  rules.begin(self)
end

-- Ends with the job in which the supervisor runs.
local Leaving = {}

function Leaving.__close(leaving)
  nested.leave(leaving[1])
end

--- The function of the job of a child that is a supervisor.
function nested.run(one)
  local self = one[MORE].nested
  local _ <close> = setmetatable({ self }, Leaving)
  while self._phase == STOPPING do self._ended:wait() end
  if self._phase == OVER then fault.guard(self, begin_again, self) end
  nested.wait_ended(self)
  if self._failure ~= nil then error(self._failure, 0) end
end

return nested
