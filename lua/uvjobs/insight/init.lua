-- `require "uvjobs.insight"`: why a program stands still, seen from inside. docs/insight.md
-- describes it.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local dump = require "uvjobs.insight.dump"
local graph = require "uvjobs.insight.graph"
local Look = require "uvjobs.insight.look"
local otlp = require "uvjobs.insight.otlp"
local profile = require "uvjobs.insight.profile"
local prometheus = require "uvjobs.insight.prometheus"
local span = require "uvjobs.insight.span"
local trace = require "uvjobs.insight.trace"
local words = require "uvjobs.insight.words"

core.own_source()

local insight = {}

--- All jobs that live, as records from one moment: `for record in insight.jobs() do`. It
--- does not suspend and can be called anywhere.
---@return fun(): uvjobs.insight.Record?
function insight.jobs()
  local records, i = Look.take().records, 0
  return function()
    i = i + 1
    return records[i]
  end
end

--- The circles of jobs that wait for each other, so that none of them can go on: lists of
--- records, each in the order of the waits. It does not suspend.
---@return uvjobs.insight.Record[][]
function insight.cycles()
  local records = Look.take().records
  return graph.circles(records, graph.stuck(records))
end

-- The lines of why(): from the job to the one that nothing is known to hold, or around a
-- circle.
local function chain(look, record, stuck)
  local lines, seen = {}, {}
  while record and not seen[record] do
    seen[record] = true
    look:tell(record)
    lines[#lines + 1] = ("job %s%s: %s%s"):format(words.label(record), words.fate(record),
      record.waits_for, record.at and (" (%s)"):format(record.at) or "")
    record = graph.next(record, stuck)
  end
  if record then
    lines[#lines + 1] = ("job %s again: these wait for each other%s"):format(
      words.label(record), stuck[record] and "" or ", unless another job helps")
  end
  return lines
end

-- The same for a child of a supervisor that has no job.
local function chain_of_child(one, look, stuck)
  local text, first = require "uvjobs.supervisor.child".explain_line(one)
  local record = first and look.by_id[first.id]
  local lines = record and chain(look, record, stuck) or {}
  table.insert(lines, 1, text or ("%s: it has no job"):format(one))
  return lines
end

--- Measures, from now on or not any more, how long each job waits, is ready and runs, and the
--- histograms of schedulers: as `run{ stats = true }` does, but while the loop runs. Jobs that
--- live already have only `times.ran`. It lasts until the run ends. It does not suspend.
---@param on? boolean nil changes nothing
---@return boolean was whether it was measured until now
function insight.measure(on)
  if on ~= nil and type(on) ~= "boolean" then
    arguments.fail(2, 1, "measure", arguments.unexpected("boolean or nil", on))
  end
  return core.measure(on)
end

--- What is counted and measured, as text for Prometheus: an answer to `GET /metrics`, with the
--- content type `text/plain; version=0.0.4`. It does not suspend.
---@return string text
function insight.prometheus()
  return prometheus.text()
end

--- Writes a trace of what the jobs do to a file, for https://ui.perfetto.dev or chrome://tracing,
--- until it is closed or has reached its limit. It does not suspend, but writes to the file while
--- the loop runs.
--- Errors: misuse; the file cannot be written; another trace is being written.
---@param options { file: string, format?: "chrome", limit?: number } `limit`: bytes, 1024 at least,
--- 256 MiB unless said; math.huge for no limit
---@return uvjobs.Trace trace can be a to-be-closed variable
function insight.trace(options)
  return trace.start(options)
end

--- Takes samples of where jobs compute, and writes them to a file, for flame graphs. With
--- `seconds` it suspends, and returns when they are over; otherwise it ends when it is closed.
--- Errors: misuse; the file cannot be written; there is another profile; with `seconds` also
--- `cancelled`, `timeout` and `killed`, and then the file is written, too.
---@param options { file: string, seconds?: number, rate?: number } `rate`: samples a second, 1 to
--- 1000; 100 unless said
---@return uvjobs.Profile profile can be a to-be-closed variable
function insight.profile(options)
  return profile.start(options)
end

--- Calls `fn(...)` as a span: what it does has a name, and is a part of the span in which the job
--- is, or begins a trace. Jobs that it spawns go on with it. It costs next to nothing while nobody
--- takes spans. It suspends if `fn` does.
--- Errors: misuse; those of `fn`.
---@param name string
---@param attributes? table<string, string|number|boolean>
---@param fn function
---@param ... any is passed on
---@return any ... what `fn` returns
function insight.span(name, attributes, fn, ...)
  return span.run(name, attributes, fn, ...)
end

--- The span in which the current job is, as the value of the header `traceparent` (W3C Trace
--- Context), for requests to others. It does not suspend.
---@return string? traceparent nil for no span
function insight.traceparent()
  return span.traceparent()
end

--- Calls `fn(...)` within the span of another process, which the value of a header `traceparent`
--- names; just so when it names none. It suspends if `fn` does.
--- Errors: misuse; those of `fn`.
---@param traceparent? string
---@param fn function
---@param ... any is passed on
---@return any ... what `fn` returns
function insight.follow(traceparent, fn, ...)
  return span.follow(traceparent, fn, ...)
end

--- Sends spans to a collector of OpenTelemetry, by OTLP over HTTP with JSON, from a job of its own.
--- It needs lua-http. It does not suspend.
--- Errors: misuse; that spans are being sent already.
---@param options { url: string, service: string, sample?: number, headers?: table<string, string>,
---  queue?: integer, batch?: integer, interval?: number }
---@return uvjobs.Otlp exporter can be a to-be-closed variable
function insight.otlp(options)
  return otlp.start(options)
end

--- Why a job does not go on: a line for it, one for the job that it waits for, and so on, up to
--- one that waits for nobody, or a circle. A child of a supervisor may be given, too. It does not
--- suspend.
---@param job uvjobs.Job|uvjobs.Child
---@return string text lines; of a job that has ended one that says so
function insight.why(job)
  local kind = core.typename(job)
  if kind == "uvjobs.Child" and not job.job then
    local look = Look.take(true)
    return table.concat(chain_of_child(job, look, graph.stuck(look.records)), "\n")
  elseif kind == "uvjobs.Child" then
    job = job.job
  elseif kind ~= "uvjobs.Job" then
    arguments.fail(2, 1, "why", arguments.unexpected("job or uvjobs.Child", job))
  end
  local look = Look.take(true)
  local record = look.by_id[job.id]
  if not record then
    return ("job #%d: it has not started or has ended (%s)"):format(job.id, job.state)
  end
  return table.concat(chain(look, record, graph.stuck(look.records)), "\n")
end

--- Writes what every job waits for and where it stands. It suspends when a job calls it and
--- there are more than a hundred jobs, until a copy of the process has made the text. A call that
--- cannot suspend is none that fails: then the loop is held until the text is there.
--- Errors: when it suspends, `cancelled`, `timeout` and `killed`, and then nothing is written.
---@param write? fun(text: string) is called once with all of the text; nil writes to standard
--- error. An error of it is raised.
function insight.dump(write)
  if write ~= nil then arguments.check_function(2, 1, "dump", write) end
  local text = dump.text_in_job(core.public.current(), debug.traceback("", 2))
  if write then write(text) else io.stderr:write(text) end
end

return insight
