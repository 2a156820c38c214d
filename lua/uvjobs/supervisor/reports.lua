-- The reports of the ends of children: to the exception handler, in their histories, and in the
-- error of a supervisor that gives up.

local child = require "uvjobs.supervisor.child"
local core = require "uvjobs.core"

core.own_source()

local KIND <const>, MORE <const> = child.at.KIND, child.at.MORE
local now = core.public.now

local KEPT <const> = 10 -- entries of a history

local reports = {}

--- Calls the exception handler.
function reports.call(self, context)
  context.supervisor = self
  self._inner:call_exception_handler(context)
end

local END_MESSAGES <const> = {
  failed = "Job processing failed", killed = "Job closing timed out",
}

--- Reports an end that nothing follows.
function reports.of_end(self, one, job, how, err)
  local message = END_MESSAGES[how]
  if not message then return end
  reports.call(self, {
    message = message, child = one, job = job, exception = err,
    traceback = core.kept_traceback(job),
  })
end

--- Reports a restart.
function reports.of_restart(self, one, job, err, pause)
  reports.call(self, {
    message = "Child restarted", child = one, job = job, exception = err,
    restarts = one[MORE].restarts, delay = pause, traceback = core.kept_traceback(job),
  })
end

--- Reports that the supervisor gives up.
function reports.of_failure(self, one, job, failure)
  reports.call(self, {
    message = "Supervisor gave up", child = one, job = job, exception = failure,
    restarts = table.move(self._recent, 1, KEPT, 1, {}),
  })
end

--- Notes an end of a child in its history.
function reports.note_end(one, how, err)
  local more = child.more(one)
  if err ~= nil then more.last_error = err end
  local history = more.history or {}
  more.history = history
  if #history == KEPT then table.remove(history, 1) end
  history[#history + 1] = { time = now(), state = how, error = err }
end

--- Notes a restart among the last ones of the supervisor.
function reports.note_restart(self, one, how, err)
  local recent = self._recent
  if #recent == KEPT then table.remove(recent, 1) end
  recent[#recent + 1] = { time = now(), child = one, state = how, exception = err }
end

-- Why a child was restarted: the first line of the text of its error, which may have none. (The
-- error of a supervisor that has given up has many.)
local function reason_of(restart)
  if restart.state == "done" then return "it has returned" end
  local err = restart.exception
  local ok, text = pcall(tostring, err)
  return ok and text:match "^[^\n]*" or ("a %s without a text"):format(type(err))
end

--- The error of a run that has ended, or nil.
function reports.error_of(one, job, how, was_busy)
  if was_busy then
    return ("%s held the loop for longer than its busy_limit of %s s"):format(
      child.label(one), one[KIND].busy_limit)
  elseif how ~= "done" then
    local _, err = job:result()
    return err
  end
end

--- The error with which a supervisor gives up.
function reports.new_failure(self, err)
  local options, lines = self._options, {}
  for i, restart in ipairs(self._recent) do
    lines[i] = ("\n  at %.3f s: %s: %s"):format(
      restart.time, child.label(restart.child), reason_of(restart))
  end
  return core.make_error("intensity", ("%s gave up: more than %s restart%s in %s s%s"):format(
    options.name and ("supervisor '%s'"):format(options.name) or "a supervisor",
    options.intensity, options.intensity == 1 and "" or "s", options.period,
    table.concat(lines)), nil, err)
end

return reports
