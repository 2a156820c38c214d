-- The spans of durable tasks, for OpenTelemetry: one where tasks are stored, and one for each run
-- of a task, also in another process. The `meta` of a task leads from the second to the first: a
-- table with a traceparent (W3C Trace Context), encoded as arguments are.

local core = require "uvjobs.core"
local span = require "uvjobs.insight.span"

core.own_source()

local spans = {}

local MOST_META <const> = 1000 -- bytes

--- What leads a task that is stored now back to the span in which its job is, or nil.
---@return string?
function spans.meta()
  local traceparent = span.traceparent()
  return traceparent and core.encode({ traceparent = traceparent }, MOST_META) or nil
end

-- ---- tasks are stored --------------------------------------------------------------

local function mark(tasks)
  local meta = spans.meta()
  if not meta then return end
  for _, one in ipairs(tasks) do one.meta = meta end
end

-- What all tasks have in this field, or nil.
local function common(tasks, field)
  local value = tasks[1][field]
  for _, one in ipairs(tasks) do
    if one[field] ~= value then return nil end
  end
  return value
end

local function store(tasks, call, ...)
  mark(tasks)
  local answers = call(...)
  if #tasks == 1 then span.note("messaging.message.id", tostring(answers[1][1])) end
  return answers
end

--- Calls call(...), which stores tasks, as a span.
---@param tasks table[] as the store gets them
---@param call fun(...): table
---@param ... any
---@return table what `call` returns
function spans.enqueue(tasks, call, ...)
  if not span.sink() then
    mark(tasks)
    return call(...)
  end
  return span.within({
    name = "enqueue " .. (common(tasks, "kind") or "tasks"), kind = span.PRODUCER,
    attributes = {
      ["messaging.system"] = "uvjobs", ["messaging.operation.name"] = "enqueue",
      ["messaging.operation.type"] = "send",
      ["messaging.destination.name"] = common(tasks, "queue"),
      ["messaging.batch.message_count"] = #tasks > 1 and #tasks or nil,
    },
  }, store, tasks, call, ...)
end

-- ---- tasks run ---------------------------------------------------------------------

-- The traceparent of a task; nil also for what somebody else has written there.
local function traceparent_of(row)
  local meta = row.meta and core.decode(row.meta)
  return type(meta) == "table" and meta.traceparent or nil
end

-- The first attempt is a part of what has stored the task. Another one can be days later: it
-- begins a trace of its own, which names the first.
local function options_of(row)
  local origin = span.parse(traceparent_of(row))
  local is_first = row.attempt <= 1
  return {
    name = "run " .. row.kind, kind = span.CONSUMER,
    parent = is_first and origin or false, link = not is_first and origin or nil,
    attributes = {
      ["messaging.system"] = "uvjobs", ["messaging.operation.name"] = "run",
      ["messaging.operation.type"] = "process", ["messaging.destination.name"] = row.queue,
      ["messaging.message.id"] = tostring(row.id), ["uvjobs.task.kind"] = row.kind,
      ["uvjobs.task.attempt"] = row.attempt,
    },
  }
end

--- The function that runs a task: `fn`, or one that calls it as a span.
---@param row table from the store
---@param fn function
---@return function
function spans.of_run(row, fn)
  if not row.meta and not span.sink() then return fn end
  return function(...)
    if span.sink() then return span.within(options_of(row), fn, ...) end
    return span.follow(traceparent_of(row), fn, ...)
  end
end

return spans
