-- The children of a supervisor in their order, and the line of those that wait to start.

local child = require "uvjobs.supervisor.child"
local core = require "uvjobs.core"

core.own_source()

local at <const> = child.at
local NAME <const>, KIND <const>, STATE <const> = at.NAME, at.KIND, at.STATE
local PLACE <const>, MORE <const> = at.PLACE, at.MORE
local notify = child.notify
local QUEUED <const>, ENDED <const> = child.states.QUEUED, child.states.ENDED
local STOPPED <const>, DELETED <const> = child.states.STOPPED, child.states.DELETED
local UP <const>, OVER <const>, CLOSED <const> = child.phases.UP, child.phases.OVER,
  child.phases.CLOSED

local SPARSE <const> = 32 -- places from which on a list with many gaps is made dense

local list = {}

--- Makes the fields of a supervisor that are about this.
function list.init(self)
  self._children = {} -- in their order; false where one was removed
  self._places = 0    -- how many places that has
  self._count = 0     -- how many children
  self._names = {}    -- the children by their names
  self._queued = 0    -- how many children stand in the line
  self._at = 1        -- none of them before this place
  self._found_at = 1  -- where any_significant() has found one
end

-- Takes the gaps out of the list of children. Nobody may be going along it.
local function make_dense(self)
  local children, n = self._children, 0
  for place = 1, self._places do
    local one = children[place]
    if one then
      n = n + 1
      children[n] = one
      one[PLACE] = n
    end
  end
  for place = n + 1, self._places do children[place] = nil end
  self._places, self._at = n, n + 1
end

--- Adds a child behind the others.
function list.add(self, one)
  local place = self._places + 1
  self._children[place] = one
  self._places, self._count = place, self._count + 1
  one[PLACE] = place
  if one[NAME] then self._names[one[NAME]] = one end
end

--- A supervisor begins no more.
function list.close_for_good(self)
  self._is_final = true
  if self._phase ~= OVER then return end
  self._phase = CLOSED
  for place = 1, self._places do
    local one = self._children[place]
    if one and one[STATE] == QUEUED then one[STATE] = ENDED end
    local more = one and one[MORE]
    if more then
      notify(one)
      if more.nested then list.close_for_good(more.nested) end
    end
  end
end

--- Takes a child away that does not run.
function list.remove(self, one)
  local children = self._children
  children[one[PLACE]] = false
  self._count = self._count - 1
  if one[NAME] then self._names[one[NAME]] = nil end
  one[STATE] = DELETED
  if one[MORE] and one[MORE].nested then list.close_for_good(one[MORE].nested) end
  notify(one)
  if self._phase == UP and self._queued == 0 and self._places > SPARSE
    and 2 * self._count < self._places then
    make_dense(self)
  end
end

--- Whether there is a significant child that has not ended. The search begins where the last one
--- has found one: otherwise the ends of thousands would each go over all before it.
function list.any_significant(self)
  local children, places, begin_at = self._children, self._places, self._found_at
  for i = 0, places - 1 do
    local place = (begin_at - 1 + i) % places + 1
    local one = children[place]
    if one and one[KIND].significant and one[STATE] ~= ENDED and one[STATE] ~= STOPPED then
      self._found_at = place
      return true
    end
  end
  return false
end

--- Puts a child that does not run into the line.
function list.enqueue(self, one)
  one[STATE] = QUEUED
  self._queued = self._queued + 1
  if one[PLACE] < self._at then self._at = one[PLACE] end
end

--- Takes a child out of the line, if it is in it.
function list.leave_line(self, one)
  if one[STATE] == QUEUED then self._queued = self._queued - 1 end
end

return list
