-- Tasks as programs see them: the one that a function of a kind is called with, and what
-- get() and tasks() return.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local options = require "uvjobs.durable.options"
local rules = require "uvjobs.durable.rules"

core.own_source()

local uvjobs = core.public
local expect <const> = arguments.expect

local task = {}

local TYPE <const> = "uvjobs.Task"
local MOST_MESSAGE <const>, MOST_TRACEBACK <const> = 2000, 4000 -- bytes that are stored
local MOST_LINE <const> = 100000                                -- bytes of a line of `errors`

-- ---- errors ------------------------------------------------------------------------

-- A text that can be stored: UTF-8, and not too long.
local function storable(text, most)
  if #text > most then text = text:sub(1, most) .. "..." end
  if utf8.len(text) then return text end
  return (text:gsub("[\x80-\xff]", "?"))
end

local function text_of(err)
  local ok, text = pcall(tostring, err)
  return ok and type(text) == "string" and text or ("(%s without a text)"):format(type(err))
end

--- The line of an error, for the store.
---@param err any
---@param traceback? string
---@param attempt integer
---@return string
function task.error_line(err, traceback, attempt)
  return core.encode({
    at = uvjobs.time(), attempt = attempt, code = uvjobs.code(err),
    message = storable(text_of(err), MOST_MESSAGE),
    traceback = traceback and storable(traceback, MOST_TRACEBACK),
  }, MOST_LINE)
end

local function errors_of(lines)
  local errors = {}
  for line in (lines or ""):gmatch "[^\n]+" do
    local decoded = core.decode(line)
    errors[#errors + 1] = type(decoded) == "table" and decoded or { message = line }
  end
  return errors
end

-- ---- what is looked at -------------------------------------------------------------

-- Somebody else may have written anything there.
local function seconds(microseconds)
  return type(microseconds) == "number" and microseconds / 1e6 or nil
end

-- A value that somebody else may have written.
local function decoded(text)
  if text == nil then return nil end
  return (core.decode(text))
end

--- What get() returns of a task of a store.
---@param row table
---@return uvjobs.TaskInfo
function task.info(row)
  return {
    id = row.id, kind = row.kind, queue = row.queue, state = rules.names[row.state],
    args = decoded(row.args), saved = decoded(row.saved), priority = row.priority, key = row.key,
    attempt = row.attempt, attempts = row.attempts, crashes = row.crashes, reason = row.reason,
    errors = errors_of(row.errors), cancelling = row.cancelling or nil, process = row.process,
    due = seconds(row.due), enqueued = seconds(row.enqueued), started = seconds(row.started),
    ended = seconds(row.ended),
  }
end

-- ---- the one that runs -------------------------------------------------------------

---@class uvjobs.Task
local methods = {}
local Task = { __name = TYPE, __metatable = TYPE }

local function check_self(self, name)
  if getmetatable(self) ~= TYPE then arguments.fail_self(3, name, TYPE, self) end
end

-- What of a row a task has.
local OF_ROW <const> = {
  id = true, kind = true, queue = true, key = true, priority = true, attempt = true,
  attempts = true, crashes = true,
}

-- What is made when it is asked for.
local MADE <const> = {
  errors = function(row) return errors_of(row.errors) end,
  saved = function(row) return decoded(row.saved) end,
  enqueued = function(row) return seconds(row.enqueued) end,
  due = function(row) return seconds(row.due) end,
}

local known <const> = {}
for _, names in ipairs { methods, OF_ROW, MADE } do
  for name in pairs(names) do known[name] = true end
end

function Task.__index(self, name)
  local method = methods[name]
  if method then return method end
  if OF_ROW[name] then return self._attempt.row[name] end
  local make = MADE[name]
  if not make then arguments.fail_property(2, TYPE, name, known) end
  local value = make(self._attempt.row)
  self[name] = value
  return value
end

function Task.__tostring(self)
  return ('%s: #%d "%s" attempt %d'):format(TYPE, self.id, self.kind, self.attempt)
end

local function raise_lost(self)
  error(core.make_error("lost", ("%s #%d is not this process's any more"):format(
    self.kind, self.id)), 0)
end

--- Stores a value with the task, which the next attempt finds in `task.saved`. Suspends.
--- Errors: misuse; `lost`, when another process has the task now; `unavailable`; `cancelled`,
--- `timeout` and `killed` of the current job.
---@param value any what can be stored
function methods:save(value)
  check_self(self, "save")
  core.check_suspend("save", 2)
  local attempt = self._attempt
  local text = options.encode(value, attempt.work._store._args_limit, 2, 1, "save", "value")
  if attempt.over then raise_lost(self) end
  if not attempt.work:_save(attempt.row, text) then
    attempt.work:_lose(attempt, 0)
    raise_lost(self)
  end
  self.saved = value
end

--- Asks for the task to run again after so many seconds, when its function has returned.
--- That does not count as an attempt. Does not suspend.
--- Errors: misuse.
---@param delay number seconds
function methods:snooze(delay)
  check_self(self, "snooze")
  local expected = expect.finite_seconds(delay)
  if expected then
    arguments.fail(2, 1, "snooze", arguments.unexpected_value(expected, delay))
  end
  self._attempt.snooze = delay
end

--- Makes the task of an attempt.
---@param attempt table of worker.lua
---@return uvjobs.Task
function task.new(attempt)
  return setmetatable({ _attempt = attempt }, Task)
end

return task
