-- What jobs wait for that wait for a child or for the end of a supervisor, for
-- uvjobs.insight: see uvjobs.insight.things.

local child = require "uvjobs.supervisor.child"
local core = require "uvjobs.core"

core.own_source()

local at <const> = child.at
local NAME <const>, KIND <const>, STATE <const>, JOB <const> = at.NAME, at.KIND, at.STATE, at.JOB
local S <const> = child.states
local ROUND <const>, STOPPING <const> = child.phases.ROUND, child.phases.STOPPING
local OVER <const> = child.phases.OVER

local MOST <const> = 8 -- children that are named, before they are only counted

local function quoted(name)
  return (("%q"):format(name):gsub("\\?\n", "\\n"))
end

local function name_of(one)
  return one[NAME] and "child " .. quoted(one[NAME]) or "a child without a name"
end

local function name_of_supervisor(self)
  local name = self._options.name
  return name and "supervisor " .. quoted(name) or "a supervisor without a name"
end

local function full_name(one)
  return ("%s of %s"):format(name_of(one), name_of_supervisor(one[KIND].supervisor))
end

-- The child that a supervisor is closing now, which is one at a time, in a round or at its end.
local function closing_child(self)
  local one = self._children[self._top]
  if one and one[JOB] and child.is_closing[one[STATE]] then return one end
end

-- Why no child of a supervisor that stands in the line starts now: a text, the child that
-- has to do something first, and whether that is certain.
local function line_of(self)
  if self._phase == ROUND or self._phase == STOPPING then
    local one = closing_child(self)
    if one then return ("behind %s, which is being ended"):format(name_of(one)), one, true end
  elseif self._phase == OVER and self._parent then
    local parent = self._parent
    return ("in %s, which has not begun"):format(name_of_supervisor(self)), parent, false
  elseif self._holder then
    local one = self._holder
    if child.is_closing[one[STATE]] then
      return ("behind %s, which is being ended"):format(name_of(one)), one, true
    elseif one[STATE] == S.WAITING then
      return ("behind %s, which waits for its next start"):format(name_of(one)), one, false
    end
    return ("behind %s, which is not ready"):format(name_of(one)), one, false
  end
  return "when it is its turn", nil, false
end

-- Whoever has the child can say that it is ready, though mostly it does so itself: so this is
-- never certain.
local function on(text, one, is_certain)
  local job = one and one[JOB]
  return {
    text = text, jobs = job and { job } or nil, needs = job and is_certain and "all" or "none",
    likely = job and "all" or nil,
  }
end

--- What those wait for who wait until a child does something else.
---@return uvjobs.insight.Explanation
function child.explain(one)
  local state, name = one[STATE], full_name(one)
  if child.is_closing[state] then
    return on(("it waits for the end of %s, which is being ended"):format(name), one, true)
  elseif state == S.STARTING then
    return on(("it waits until %s is ready"):format(name), one, false)
  elseif state == S.WAITING then
    return on(("it waits until %s is started again"):format(name), one, false)
  elseif state == S.QUEUED or state == S.DOWN then
    local line, first, is_certain = line_of(one[KIND].supervisor)
    return on(("it waits until %s starts, %s"):format(name, line), first, is_certain)
  end
  return on(("it waits for %s, which is %s"):format(name, one.state), nil, false)
end

--- What those wait for who wait for the end of a supervisor.
---@return uvjobs.insight.Explanation
function child.explain_end(self)
  local text = "it waits for the end of " .. name_of_supervisor(self)
  local one = closing_child(self)
  if self._phase == STOPPING and one then
    return on(("%s, which is ending %s"):format(text, name_of(one)), one, true)
  end
  local jobs = {}
  for place = 1, self._places do
    local each = self._children[place]
    if each and each[JOB] then jobs[#jobs + 1] = each[JOB] end
  end
  return { text = text, jobs = jobs, needs = "none", likely = #jobs > 0 and "any" or nil }
end

-- The children that stand in the line.
local function queued(self)
  local list = {}
  for place = 1, self._queued > 0 and self._places or 0 do
    local one = self._children[place]
    if one and one[STATE] == S.QUEUED then list[#list + 1] = one end
  end
  return list
end

--- Why a child has not started, as a clause; nil for one that has a run, or is not to have one.
---@param one uvjobs.Child
---@return string? text
---@return uvjobs.Job? job that has to do something first
function child.explain_line(one)
  if one[JOB] or one[STATE] ~= S.QUEUED and one[STATE] ~= S.DOWN then return nil end
  local line, first = line_of(one[KIND].supervisor)
  return ("%s has not started: it is to start %s"):format(full_name(one), line),
    first and first[JOB] or nil
end

--- Lines about a supervisor, to whose children a scheduler belongs.
---@return string[]
function child.explain_scheduler(self)
  local line = queued(self)
  local lines = { ("of %s: %s, %d %s, %d of them to start"):format(name_of_supervisor(self),
    self._options.strategy, self._count, self._count == 1 and "child" or "children", #line) }
  for i = 1, math.min(#line, MOST) do lines[#lines + 1] = child.explain_line(line[i]) end
  if #line > MOST then lines[#lines + 1] = ("and %d more"):format(#line - MOST) end
  return lines
end

return child
