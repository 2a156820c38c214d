-- The rules of supervision: what a supervisor does when a child ends, is started, stopped
-- or becomes ready. Nothing here suspends, but for what runs in the jobs of children: the
-- core calls ended() when the job of a child has ended, and that decides and begins what
-- comes next. So a supervisor needs no job of its own, no child waits for one to run, and
-- what was begun goes on even if the job that asked for it is gone.
--
-- A supervisor does one of these (`_phase`):
--
--   UP        children run, or are started in their order (the line)
--   ROUND     those that a crash takes with it are closed, the last one first; then all of
--             them stand in the line
--   STOPPING  all children are closed, the last one first
--   OVER      it has ended; one that is a child itself may begin again
--   CLOSED    it has ended for good

local core = require "uvjobs.core"
local child = require "uvjobs.supervisor.child"
local fault = require "uvjobs.supervisor.fault"
local Intensity = require "uvjobs.supervisor.intensity"
local list = require "uvjobs.supervisor.list"
local pause_before = require "uvjobs.supervisor.pause"
local reports = require "uvjobs.supervisor.reports"
local things = require "uvjobs.insight.things"
local watch = require "uvjobs.supervisor.watch"

core.own_source()

local at <const> = child.at
local NAME <const>, FN <const>, KIND <const>, STATE <const> = at.NAME, at.FN, at.KIND, at.STATE
local JOB <const>, PLACE <const>, SINCE <const>, MORE <const> = at.JOB, at.PLACE, at.SINCE, at.MORE
local uvjobs = core.public
local now = uvjobs.now
local more_of, notify = child.more, child.notify
local enqueue, remove = list.enqueue, list.remove
local is_closing = child.is_closing

local QUEUED <const>, WAITING <const> = child.states.QUEUED, child.states.WAITING
local STARTING <const>, RUNNING <const> = child.states.STARTING, child.states.RUNNING
local DOWN <const>, ENDED <const> = child.states.DOWN, child.states.ENDED
local STOPPED <const> = child.states.STOPPED
local TO_END <const>, TO_STOP <const> = child.states.TO_END, child.states.TO_STOP
local TO_DELETE <const>, TO_START <const> = child.states.TO_DELETE, child.states.TO_START
local TO_ROUND <const> = child.states.TO_ROUND

local UP <const>, ROUND <const> = child.phases.UP, child.phases.ROUND
local STOPPING <const>, OVER <const> = child.phases.STOPPING, child.phases.OVER
local CLOSED <const> = child.phases.CLOSED

local rules = {}

--- Makes the fields of a supervisor.
---@param options table complete
---@param parent uvjobs.Child? that it is
function rules.init(self, options, parent)
  list.init(self)
  fault.init(self)
  self._options = options
  self._parent = parent or false
  self._phase = parent and OVER or UP
  self._ended = uvjobs.event()
  things.know(self._ended, child.explain_end, self)
  self._failure = nil        -- the error with which it has ended
  self._told = false         -- somebody has got that
  self._is_composed = false  -- somebody waits for its end
  self._is_final = false     -- it does not begin again
  self._watchers = false     -- a scheduler, see watch.lua
  self._watched = {}         -- the times of those, see there
  rules.begin(self, self._phase)
end

--- Begins a run of a supervisor, and starts the children in the line.
function rules.begin(self, phase)
  local options = self._options
  if not self._inner or self._inner.closed then -- the scheduler of its children
    self._inner = uvjobs.scheduler {
      name = options.name, limit = math.huge, close_timeout = options.close_timeout,
      exception_handler = options.exception_handler,
    }
    things.know(self._inner, child.explain_scheduler, self)
  end
  if self._phase ~= UP then self._ended:clear() end
  self._failure, self._told = nil, false
  self._intensity = Intensity.new(options.intensity, options.period)
  self._recent = {}      -- the last restarts, for the error of a supervisor that gives up
  self._holder = false   -- the child for which the line waits
  self._due = false      -- when the line may go on, after a crash
  self._from = 1         -- the first place of a round
  self._top = 0          -- what is closed next in a round or at the end
  self._walking = false  -- that is being done just now
  self._closer = false   -- the job whose time that takes
  self._skip = false     -- the child that is closed last, as it has asked for it
  self._phase = phase or UP
  rules.start_line(self)
end

-- ---- starting ----------------------------------------------------------------------

local start_line, settle, stop_all

-- Called when the pause before a run is over: the run begins.
local function begin(self, one)
  if one[KIND].ready then
    one[STATE] = STARTING
    watch.begin(self, one, settle)
  else
    one[STATE], one[SINCE] = RUNNING, now()
  end
  if one[MORE] then notify(one) end
end

-- The pause before a run is over.
local function end_pause(self, one)
  one[MORE].pause, one[MORE].next_start = nil, nil
  begin(self, one)
  if self._holder == one and one[STATE] ~= STARTING then
    self._holder = false
    start_line(self)
  end
end

-- What the job of a child does.
local function run(one)
  local more = one[MORE]
  local context = more and more.context or nil
  if core.get_context() ~= context then core.set_context(context or {}) end
  if not more then return one[FN](one) end
  if more.pause then
    uvjobs.sleep(more.pause)
    fault.guard(one[KIND].supervisor, end_pause, one[KIND].supervisor, one)
  end
  if more.watcher then uvjobs.yield() end -- it must wait before this holds the loop
  local given = more.arguments
  if given then return one[FN](one, table.unpack(given, 1, given.n)) end
  return one[FN](one)
end

-- Starts a run, which waits for `pause` seconds first. A child without anything special runs
-- its function itself, unless the job that calls has a context, which it would inherit.
local function launch(self, one, pause)
  local kind = one[KIND]
  local is_plain = pause == 0 and not one[MORE] and core.get_context() == nil
  local job = core.spawn_child(self._inner, is_plain and one[FN] or run, one, kind.busy_limit,
    kind.close_after_limit)
  if not job then -- somebody has closed the scheduler, as run() does at its end
    one[STATE] = ENDED
    return stop_all(self)
  end
  one[JOB] = job
  if pause > 0 then
    local more = more_of(one)
    one[STATE] = WAITING
    more.pause, more.next_start = pause, now() + pause
    notify(one)
  else
    begin(self, one)
  end
end

-- Starts the children in the line, up to one for which the next ones have to wait.
function start_line(self)
  if self._holder or self._phase ~= UP then return end
  local children = self._children
  while self._queued > 0 do
    local one = children[self._at]
    self._at = self._at + 1
    if one and one[STATE] == QUEUED then
      local pause = self._due and self._due - now() or 0
      self._queued, self._due = self._queued - 1, false
      launch(self, one, pause)
      if self._phase ~= UP then return end
      if one[STATE] ~= RUNNING and one[JOB] then
        self._holder = one
        return
      end
    end
  end
  self._due = false
  local parent = self._parent
  if parent and parent[STATE] == STARTING then child.on_ready(parent, self) end
end

rules.start_line = start_line

--- Adds a child, which starts when it is its turn.
function rules.start(self, one)
  list.add(self, one)
  if self._queued > 0 or self._holder or self._phase ~= UP or self._due or self._parent then
    enqueue(self, one)
    return start_line(self)
  end
  launch(self, one, 0) -- it is its turn
  if one[STATE] ~= RUNNING and one[JOB] then self._holder = one end
end

local function note_ready(self, one, value)
  local more = more_of(one)
  more.value, more.first = value, nil
  one[STATE], one[SINCE] = RUNNING, now()
  watch.finish(one)
  notify(one)
  if self._holder == one then
    self._holder = false
    start_line(self)
  end
end

--- A child is ready.
function child.on_ready(one, value)
  local self = one[KIND].supervisor
  fault.guard(self, note_ready, self, one, value)
end

-- ---- closing -----------------------------------------------------------------------

-- Closes the children from the last one to the place `from`, each when the one behind it
-- has ended. Returns whether all have. While one has not, the core calls ended() later,
-- which calls this again.
local function close_down(self, from, state)
  if self._walking then return false end
  self._walking = true
  local children = self._children
  while self._top >= from do
    local one = children[self._top]
    local job = one and one[JOB]
    if job and one ~= self._skip then
      local was = one[STATE]
      if was ~= TO_STOP and was ~= TO_DELETE and (was ~= TO_START or state == TO_END) then
        one[STATE] = state -- what was asked for by name stays
      end
      if core.close_child(job, one[KIND].close_timeout, self._closer) and one[JOB] then
        settle(one, job, job.state)
      end
      if one[JOB] then break end
    end
    self._top = self._top - 1
  end
  self._walking = false
  return self._top < from
end

-- All have ended. Those that wait for that are woken first: that asks for least memory.
local function finish(self)
  self._phase = OVER
  local is_final = self._is_final or not self._parent
  if is_final then list.close_for_good(self) end
  self._ended:set()
  if is_final then
    core.begin_close(self._inner)
    if self._watchers then core.begin_close(self._watchers) end
  end
end

local function go_on_stopping(self)
  if not close_down(self, 1, TO_END) then return end
  local skip = self._skip
  if skip and skip[JOB] then
    self._skip, self._top = false, skip[PLACE]
    return go_on_stopping(self)
  end
  finish(self)
end

--- Ends a supervisor: closes all children in reverse. It goes on by itself.
---@param failure? any the error with which it ends
---@param closer? uvjobs.Job the job that waits for it, whose own time is limited
---@param skip? uvjobs.Child the child that waits for it, which is closed last
function stop_all(self, failure, closer, skip)
  if self._phase == STOPPING then
    self._closer = self._closer or closer or false
    return
  elseif self._phase == OVER or self._phase == CLOSED then
    return
  end
  if failure == nil and self._is_faulty then failure = self._fault end
  self._phase, self._failure = STOPPING, failure
  self._closer, self._skip = closer or false, skip or false
  self._queued, self._holder, self._due = 0, false, false
  for place = 1, self._places do
    local one = self._children[place]
    if one and not one[JOB] and one[STATE] ~= STOPPED
      and not (self._parent and one[STATE] == QUEUED and not one[SINCE]) then
      one[STATE] = ENDED
      notify(one)
    end
  end
  self._top = self._places
  if not self._walking then go_on_stopping(self) end
end

rules.stop_all = stop_all
fault.use(stop_all, finish)

--- Closes one child, for what `state` says.
function rules.close_one(self, one, state, closer)
  local job = one[JOB]
  if not job then
    if state == TO_START and one[STATE] == QUEUED then return end
    list.leave_line(self, one)
    if state == TO_START then
      one[STATE] = DOWN
      rules.start_again(self, one)
    elseif state == TO_DELETE then
      remove(self, one)
    else
      one[STATE] = STOPPED
    end
    return notify(one)
  end
  local more = more_of(one)
  if not more.stops_clock then
    more.stops_clock = true
    self._intensity:stop_clock(watch.held_since(self))
  end
  if one[STATE] ~= TO_END and one[STATE] ~= TO_DELETE then one[STATE] = state end
  watch.finish(one)
  if core.close_child(job, one[KIND].close_timeout, closer) and one[JOB] then
    settle(one, job, job.state)
  end
end

--- Starts a child that does not run: at once, unless a round that it belongs to will.
function rules.start_again(self, one)
  if one[MORE] then one[MORE].streak = nil end
  if self._phase == UP then
    launch(self, one, 0)
  else
    enqueue(self, one)
  end
end

-- ---- a child has ended -------------------------------------------------------------

local function go_on_with_round(self)
  local all_closed = close_down(self, self._from, TO_ROUND)
  if self._phase == STOPPING then return go_on_stopping(self) end
  if not all_closed then return end
  self._phase = UP
  self._intensity:start_clock()
  for place = self._from, self._places do
    local one = self._children[place]
    if one and (one[STATE] == DOWN or one[STATE] == ENDED) then enqueue(self, one) end
  end
  start_line(self)
end

-- A child has crashed, and by the strategy the others from its place on, or all, are closed too.
local function begin_round(self, one, due)
  local from = self._options.strategy == "one_for_all" and 1 or one[PLACE]
  self._from = self._phase == ROUND and math.min(self._from, from) or from
  self._due = math.max(self._due or due, due)
  self._holder = false
  if self._phase ~= ROUND then
    self._phase, self._top, self._closer = ROUND, self._places, false
    self._intensity:stop_clock(watch.held_since(self))
  end
  go_on_with_round(self)
end

local function give_up(self, one, job, err)
  local failure = reports.new_failure(self, err)
  one[STATE] = DOWN
  stop_all(self, failure)
  reports.of_failure(self, one, job, failure)
end

-- How many restarts in a row this one makes.
local function next_streak(one, more, was_up)
  local streak = more.streak or 0
  if was_up and now() - one[SINCE] >= one[KIND].reset_after then streak = 0 end
  more.streak = streak + 1
  return streak + 1
end

-- Restarts a child that has ended by itself.
local function restart(self, one, job, how, err, was_up, held_line)
  local more = more_of(one)
  local streak = next_streak(one, more, was_up)
  local pause = pause_before(one[KIND].backoff, streak, streak > 1 and more.waited or nil)
  more.waited = pause
  more.restarts = (more.restarts or 0) + 1
  reports.note_end(one, how, err)
  reports.note_restart(self, one, how, err)
  if self._intensity:add(watch.held_since(self)) then return give_up(self, one, job, err) end
  if self._options.strategy == "one_for_one" then
    launch(self, one, pause)
    if held_line and one[JOB] and one[STATE] ~= RUNNING then self._holder = one end
    start_line(self)
  else
    one[STATE] = DOWN
    begin_round(self, one, now() + pause)
  end
  reports.of_restart(self, one, job, err, pause)
end

-- Whether the supervisor ends because a significant child has ended.
local function shuts_down(self, one)
  local auto = self._options.auto_shutdown
  return one[KIND].significant
    and (auto == "any" or auto == "all" and not list.any_significant(self))
end

local function go_on(self)
  if self._phase == UP then
    start_line(self)
  elseif self._phase == ROUND then
    go_on_with_round(self)
  elseif self._phase == STOPPING then
    go_on_stopping(self)
  end
end

-- Keeps a child that has ended for good, if it can still be found by its name.
local function put_away(self, one, state)
  if one[KIND].restart == "temporary" or not one[NAME] then
    remove(self, one)
  else
    one[STATE] = state
  end
end

-- A child has ended by itself, and is not restarted.
local function end_for_good(self, one, job, how, err)
  put_away(self, one, ENDED)
  notify(one)
  if err ~= nil then more_of(one).last_error = err end
  if shuts_down(self, one) then stop_all(self) else go_on(self) end
  reports.of_end(self, one, job, how, err)
end

-- A child has failed in its first start. As long as the service is being put together,
-- that ends all of it; later it is only the start() of this child that fails.
local function fail_first(self, one, err)
  local root = child.root_of(self)
  one[MORE].problem, one[MORE].first = err, nil
  remove(self, one)
  notify(one)
  if root._is_composed then return go_on(self) end
  root._told = true
  stop_all(root, err)
end

local function ends_for_good(one, how)
  local kind = one[KIND].restart
  return kind == "temporary" or kind == "transient" and how == "done"
end

-- A child has ended by itself.
local function ended_alone(self, one, job, how, err, state, held_line)
  local more = one[MORE]
  if how == "done" and state == STARTING then
    how, err = "failed", ("%s ended before it was ready"):format(child.label(one))
  end
  if more and more.first then
    fail_first(self, one, err)
  elseif ends_for_good(one, how) then
    end_for_good(self, one, job, how, err)
  elseif self._phase == ROUND and one[PLACE] >= self._from then
    reports.note_end(one, how, err)
    one[STATE] = DOWN
    go_on(self)
    reports.of_end(self, one, job, how, err)
  else
    restart(self, one, job, how, err, state == RUNNING, held_line)
  end
end

-- A child has ended that was being closed by name.
local function closed_by_name(self, one, state, held_line)
  if state == TO_STOP then
    put_away(self, one, STOPPED)
  elseif state == TO_DELETE then
    remove(self, one)
  else
    one[STATE] = DOWN
    rules.start_again(self, one)
    if held_line and one[STATE] == STARTING then self._holder = one end
  end
end

-- A child has ended that was closed alone, while the others go on.
local function ended_closed(self, one, state, held_line)
  if state == TO_ROUND then
    one[STATE] = DOWN
    if one[KIND].restart == "temporary" then remove(self, one) end
  else
    closed_by_name(self, one, state, held_line)
  end
  notify(one)
  go_on(self)
end

-- A child has ended because its supervisor ends.
local function ended_at_end(self, one, state)
  if state == TO_DELETE then
    remove(self, one)
  elseif state == TO_STOP then
    put_away(self, one, STOPPED)
  else
    one[STATE] = ENDED
  end
  notify(one)
  go_on(self)
end

--- The job of a child has ended. Called when it has, or by whoever knows more of it: the
--- first call counts.
---@param one uvjobs.Child
---@param job uvjobs.Job
---@param how string its state
---@param was_busy? boolean
---@param err? any what is known of the reason, beyond the error of the job
function settle(one, job, how, was_busy, err)
  if one[JOB] ~= job then return end
  local self, state, more = one[KIND].supervisor, one[STATE], one[MORE]
  local held_line = self._holder == one
  one[JOB] = false
  if held_line then self._holder = false end
  if more then
    if more.stops_clock then
      more.stops_clock = nil
      self._intensity:start_clock()
    end
    if more.closed_at then
      self._intensity:stood_since(more.closed_at)
      more.closed_at = nil
    end
    if held_line and is_closing[state] then self._due = more.next_start or self._due end
    more.value, more.pause, more.next_start = nil, nil, nil
    watch.finish(one)
  end
  local is_alone = (self._phase == UP or self._phase == ROUND) and not is_closing[state]
  if is_alone and self._inner.closed then
    stop_all(self)
    is_alone = false
  end
  if err == nil and (is_alone or how ~= "cancelled") then
    err = reports.error_of(one, job, how, was_busy)
  end
  if is_alone then
    return ended_alone(self, one, job, how, err, state, held_line)
  elseif self._phase == UP or self._phase == ROUND then
    ended_closed(self, one, state, held_line)
  else
    ended_at_end(self, one, state)
  end
  if how ~= "done" and how ~= "cancelled" then reports.of_end(self, one, job, how, err) end
end

-- A child has ended that was cancelled for a round or with its supervisor, and of which
-- nothing else is known: most ends are so, and this is a short way for them through
-- settle(). Returns whether it was one.
local function ended_plainly(one)
  local kind = one[KIND]
  local self = kind.supervisor
  local phase, state = self._phase, one[STATE]
  if phase == ROUND and state == TO_ROUND and kind.restart ~= "temporary" then
    one[JOB], one[STATE] = false, DOWN
    go_on_with_round(self)
    return true
  elseif phase == STOPPING and state == TO_END then
    one[JOB], one[STATE] = false, ENDED
    go_on_stopping(self)
    return true
  end
end

local function ended(one, job, how, held)
  local more = one[MORE]
  if not more and how == "cancelled" and one[JOB] == job and ended_plainly(one) then return end
  if held then
    more = more_of(one)
    more.closed_at = held
  end
  if more and more.watcher and not held and (how == "cancelled" or how == "killed")
    and one[STATE] == STARTING and one[KIND].supervisor._phase ~= STOPPING then
    return -- the watcher knows why
  end
  settle(one, job, how, held ~= nil)
end

-- run() ends, and nobody has closed this supervisor. One that is a child itself is stopped by
-- the supervisor above it, in its turn.
local function stop_at_end(one)
  local self = one[KIND].supervisor
  if not self._parent then fault.attempt(self, stop_all, self) end
end

local function fail(one, err) fault.fail(one[KIND].supervisor, err) end

core.on_child_end(ended, stop_at_end, fail, fault.retry)

return rules
