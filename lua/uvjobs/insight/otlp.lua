-- Sends spans to a collector of OpenTelemetry, by OTLP over HTTP with JSON.
-- https://opentelemetry.io/docs/specs/otlp/

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local json = require "uvjobs.inspect.json"
local needs = require "uvjobs.needs"
local span = require "uvjobs.insight.span"

core.own_source()

local uvjobs = core.public

local otlp = {}

local TYPE <const> = "uvjobs.Otlp"

local QUEUE <const> = 2048   -- spans that wait, at most
local BATCH <const> = 512    -- spans in a request
local INTERVAL <const> = 5   -- seconds that a span waits for others
local TIMEOUT <const> = 10   -- seconds of a request; and of close()
local MOST_REQUESTS <const> = 5 -- for a batch

local function is_integer(value, least)
  return math.type(value) == "integer" and value >= least
end

local KNOWN <const> = {
  url = arguments.kind(function(value)
    return type(value) == "string" and value:find "^https?://[^/%s]" and not value:find "[%c%s]"
  end, "URL with http or https"),
  service = arguments.kind(function(value) return type(value) == "string" and value ~= "" end,
    "name"),
  sample = arguments.kind(function(value)
    return type(value) == "number" and value >= 0 and value <= 1
  end, "number from 0 to 1"),
  headers = arguments.kind(function(value) return type(value) == "table" end, "table"),
  queue = arguments.kind(function(value) return is_integer(value, 1) end, "integer >= 1"),
  batch = arguments.kind(function(value) return is_integer(value, 1) end, "integer >= 1"),
  interval = arguments.kind(function(value)
    return type(value) == "number" and value >= 0 and value <= 3600
  end, "seconds from 0 to an hour"),
}

-- ---- JSON --------------------------------------------------------------------------------

local function value_of(value)
  if type(value) == "string" then return { stringValue = value } end
  if type(value) == "boolean" then return { boolValue = value } end
  if math.type(value) == "integer" then return { intValue = tostring(value) } end
  if value ~= value then return { doubleValue = "NaN" } end
  if value == math.huge then return { doubleValue = "Infinity" } end
  if value == -math.huge then return { doubleValue = "-Infinity" } end
  return { doubleValue = value }
end

local function attributes_of(values)
  local keys, list = {}, setmetatable({}, json.list)
  for key in pairs(values) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do list[i] = { key = key, value = value_of(values[key]) } end
  return list
end

-- 64-bit numbers are strings in the JSON of protobuf. A float has no room for the nanoseconds of
-- a date: the seconds and the rest are put together as integers.
local function nanoseconds(date)
  local seconds = math.floor(date)
  return ("%d"):format(seconds * 1000000000 + math.floor((date - seconds) * 1e9))
end

local INTERNAL <const> = 1 -- SPAN_KIND_INTERNAL
local ERROR <const> = 2    -- STATUS_CODE_ERROR

local function links_of(one)
  local link = one.link
  return link and setmetatable({ { traceId = link.trace, spanId = link.id } }, json.list) or nil
end

local function span_of(one)
  local attributes = one.attributes
  attributes["uvjobs.job.name"], attributes["uvjobs.scheduler.name"] = one.job, one.scheduler
  return {
    traceId = one.trace, spanId = one.id, parentSpanId = one.parent, name = one.name,
    kind = one.kind or INTERNAL, links = links_of(one), startTimeUnixNano = nanoseconds(one.start),
    endTimeUnixNano = nanoseconds(one.start + one.seconds),
    attributes = attributes_of(attributes),
    status = one.problem and { code = ERROR, message = one.problem } or {},
  }
end

-- After so many spans the others have their turn: a whole batch takes some milliseconds.
local TOGETHER <const> = 32

local function request_of(self, batch)
  local spans = {}
  for i, one in ipairs(batch) do
    spans[i] = json.encode(span_of(one))
    if i % TOGETHER == 0 then uvjobs.yield() end
  end
  local resource = json.encode {
    attributes = attributes_of {
      ["service.name"] = self.service, ["telemetry.sdk.name"] = "uvjobs",
      ["telemetry.sdk.language"] = "lua",
    },
  }
  return ('{"resourceSpans":[{"resource":%s,"scopeSpans":[{"scope":{"name":"uvjobs"},"spans":[')
    :format(resource) .. table.concat(spans, ",") .. "]}]}]}"
end

-- ---- sending -----------------------------------------------------------------------------

-- It is loaded when it is needed, since lua-http may be missing.
local function load_http() return needs("insight.otlp", "uvjobs.http") end

local function fetch(url, options) return load_http().fetch(url, options) end

--- Sends a request: http.fetch(), unless a test has put something else here.
---@type fun(url: string, options: table): table?, string?
otlp.transport = fetch

-- The answers after which a request may be repeated.
local PASSING <const> = { [429] = true, [502] = true, [503] = true, [504] = true }

-- Raises a table when a request may be repeated. Returns whether the spans have arrived.
local function post(self, body)
  local response, why = otlp.transport(self.url, {
    method = "POST", headers = self.headers, body = body, timeout = TIMEOUT, redirects = 0,
    max_body = 65536,
  })
  if not response then error { why = why, may_pass = true } end
  if PASSING[response.status] then
    local after = response.headers and tonumber(response.headers["retry-after"])
    error { why = "status " .. response.status, may_pass = true, after = after }
  end
  return response.status >= 200 and response.status < 300
end

local function new_retry()
  return require "uvjobs.policy".retry {
    attempts = MOST_REQUESTS, backoff = { base = 1, max = 30 },
    when = function(err) return type(err) == "table" and err.may_pass == true end,
    delay = function(err)
      return type(err) == "table" and err.after and math.min(math.max(err.after, 0), 60) or nil
    end,
  }
end

local function take(self)
  local batch, queue = {}, self.queue
  local n = math.min(#queue, self.batch)
  table.move(queue, 1, n, 1, batch)
  table.move(queue, n + 1, #queue + n, 1)
  return batch
end

-- The spans that are on their way when the job is ended have not arrived, as far as is known.
local function send(self, batch)
  local arrived
  local _ <close> = setmetatable({}, { __close = function()
    local field = arrived and "exported" or "failed"
    self[field] = self[field] + #batch
    self.sending = 0
  end })
  self.sending = #batch
  local ok, result = pcall(self.retry.call, self.retry, post, self, request_of(self, batch))
  arrived = ok and result
end

local function wait_for_batch(self)
  while #self.queue == 0 and not self.closing do
    self.wake:clear()
    self.wake:wait()
  end
  if #self.queue >= self.batch or self.closing then return end
  self.wake:clear()
  self.wake:wait(self.interval)
end

-- The run may end before close() is called: what waits then is dropped.
local function give_up(self)
  if self.is_over then return end
  self.is_over = true
  if span.sink() == self then span.set_sink(nil) end
  self.dropped = self.dropped + #self.queue
  self.queue = {}
end

local function work(self)
  span.mute() -- spans of the requests that it makes would be sent by further ones
  local _ <close> = setmetatable({}, { __close = function() give_up(self) end })
  while not (self.closing and #self.queue == 0) do
    wait_for_batch(self)
    if #self.queue > 0 then send(self, take(self)) end
  end
end

-- ---- the exporter ------------------------------------------------------------------------

-- What is known of an exporter, by the object that programs have.
local records = setmetatable({}, { __mode = "k" })

-- Called when a span has ended: it must neither suspend nor raise.
local function add(self, one)
  local queue = self.queue
  if self.job.closed then give_up(self) end -- it may have ended before it began
  if self.is_over or #queue >= self.limit then
    self.dropped = self.dropped + 1
    return
  end
  queue[#queue + 1] = one
  if #queue == 1 or #queue == self.batch then self.wake:set() end
end

---@class uvjobs.Otlp
local Otlp = {}

local function record_of(self, method)
  local record = records[self] or arguments.fail_self(3, method, TYPE, self)
  if record.job.closed then give_up(record) end
  return record
end

--- What has become of the spans so far. Does not suspend.
---@return { queued: integer, exported: integer, dropped: integer, failed: integer }
function Otlp:stats()
  local record = record_of(self, "stats")
  return {
    queued = #record.queue + record.sending, exported = record.exported,
    dropped = record.dropped, failed = record.failed,
  }
end

--- Sends what waits, for ten seconds at most, and ends. It may be called twice. Suspends.
--- Errors: misuse; those of the current job.
function Otlp:close()
  local record = record_of(self, "close")
  if record.is_over then return end
  record.closing = true
  record.wake:set()
  local _ <close> = record.jobs
  local _ <close> = setmetatable({}, { __close = function() record.job:cancel() end })
  core.check_suspend("close", 2)
  record.job:join(TIMEOUT)
end

arguments.refuse_others(TYPE, Otlp)

local meta = { __name = TYPE, __metatable = false, __index = Otlp, __close = Otlp.close }

local function new_record(options)
  local headers = { ["content-type"] = "application/json" }
  for name, value in next, options.headers or {} do headers[name:lower()] = value end
  return {
    url = options.url, service = options.service, sample = options.sample or 1,
    headers = headers, limit = options.queue or QUEUE, interval = options.interval or INTERVAL,
    batch = math.min(options.batch or BATCH, options.queue or QUEUE),
    retry = new_retry(), queue = {}, wake = uvjobs.event(), add = add,
    exported = 0, dropped = 0, failed = 0, sending = 0,
  }
end

local function check_headers(headers)
  for name, value in next, headers or {} do
    if type(name) ~= "string" or type(value) ~= "string" then
      return "option 'headers': names and values that are strings expected"
    end
  end
end

--- insight.otlp(); blames its caller.
---@param options table
---@return uvjobs.Otlp
function otlp.start(options)
  options = arguments.raw(options)
  local problem = arguments.problem_of_options(options, KNOWN)
    or check_headers(options.headers)
    or options.url == nil and "option 'url' is missing"
    or options.service == nil and "option 'service' is missing"
  if problem then arguments.fail(3, 1, "otlp", problem) end
  if not uvjobs.current() then error("'otlp' must be called in a job: use uvjobs.run", 3) end
  if otlp.transport == fetch then load_http() end
  local record = new_record(options)
  local before = span.sink()
  if before and not before.job.closed then error("spans are being sent already", 3) end
  local jobs = uvjobs.scheduler { name = "otlp" }
  record.jobs = jobs
  record.job = jobs:spawn({ name = "otlp", report = false }, work, record)
  if before then give_up(before) end
  span.set_sink(record)
  local self = setmetatable({}, meta)
  records[self] = record
  return self
end

return otlp
