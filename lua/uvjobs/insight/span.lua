-- Spans: what a program does, with a name, a beginning and an end, and within what. They belong
-- to the context of a job, so the jobs that it spawns go on with the same trace.

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

local span = {}

-- The key of uvjobs.context: nobody else has it.
local KEY <const> = {}

-- What takes the spans that have ended, or nil: see otlp.lua.
---@type { sample: number, add: fun(self: table, one: table) }?
local sink

---@class uvjobs.insight.Span
---@field trace string 32 digits
---@field id string 16 digits
---@field parent? string the id of the span that this one is within
---@field is_sampled boolean whether it is sent
---@field name string
---@field kind? integer of span.SERVER to span.CONSUMER; nil for a part of the program itself
---@field link? { trace: string, id: string } another span that this one belongs to
---@field attributes table<string, any>
---@field start number date, in seconds
---@field begun number by the clock of the loop
---@field seconds? number how long it took; nil until it has ended
---@field problem? string what it has raised: the code of the error, or "error"; or what else it is
---  that went wrong
---@field job? string the name of the job
---@field scheduler? string the name of its scheduler

-- ---- random numbers ----------------------------------------------------------------------

-- A generator of our own (xorshift64*, Marsaglia and Vigna): a program that draws random numbers
-- by a seed gets the same ones whether somebody looks or not.
local state

local function seed()
  local bytes
  local file = io.open("/dev/urandom", "rb")
  if file then
    file:setvbuf "no"
    bytes = file:read(8)
    file:close()
  end
  local number = bytes and #bytes == 8 and ("<i8"):unpack(bytes)
    or os.time() * 1000003 ~ math.floor(os.clock() * 1e6) ~ #tostring {} ~ tostring({}):byte(-1)
  return number ~= 0 and number or 1
end

local function random()
  state = state or seed()
  state = state ~ state >> 12
  state = state ~ state << 25
  state = state ~ state >> 27
  return state * 0x2545F4914F6CDD1D
end

-- 16 digits that are not all zero.
local function digits()
  local number
  repeat number = random() until number ~= 0
  return ("%016x"):format(number)
end

local function is_sampled()
  return (random() >> 11) * 2.0 ^ -53 < sink.sample
end

-- ---- attributes --------------------------------------------------------------------------

local GOOD <const> = { string = true, boolean = true, number = true }

--- What is wrong with attributes, or nil.
---@param attributes any
---@return string?
local function problem_of(attributes)
  if attributes == nil then return nil end
  if type(attributes) ~= "table" then
    return arguments.unexpected("table or nil", attributes)
  end
  for key, value in next, attributes do
    if type(key) ~= "string" then
      return ("name of an attribute: string expected, got %s"):format(core.typename(key))
    elseif not GOOD[type(value)] then
      return ("attribute '%s': string, number or boolean expected, got %s"):format(key,
        core.typename(value))
    end
  end
end

local function copy_of(attributes)
  local copy = {}
  for key, value in next, attributes or {} do copy[key] = value end
  return copy
end

-- ---- a span ------------------------------------------------------------------------------

-- Of what belongs together all is sent, or nothing: so who has begun it has decided.
local function new_span(name, attributes, parent, link)
  local job, first = uvjobs.current(), parent or link
  local sampled
  if first then sampled = first.is_sampled else sampled = is_sampled() end
  return {
    trace = parent and parent.trace or digits() .. digits(), id = digits(),
    parent = parent and parent.id, link = link, is_sampled = sampled, name = name,
    attributes = sampled and copy_of(attributes) or nil, start = uvjobs.time(),
    begun = uvjobs.now(), job = job.name, scheduler = job.scheduler.name,
  }
end

-- Closes a span, however it is left.
local guard = {}

function guard.__close(self, err)
  if uvjobs.current() then uvjobs.context[KEY] = self.before end
  local one = self.span
  if not one.is_sampled or not sink then return end
  one.seconds = math.max(0, uvjobs.now() - one.begun)
  if err ~= nil then one.problem = uvjobs.code(err) or "error" end
  sink:add(one)
end

local function within(one, before, fn, ...)
  local _ <close> = setmetatable({ span = one, before = before }, guard)
  uvjobs.context[KEY] = one
  return fn(...)
end

--- insight.span(); blames its caller.
function span.run(name, attributes, fn, ...)
  if type(name) ~= "string" then
    arguments.fail(3, 1, "span", arguments.unexpected("string", name))
  end
  local problem = problem_of(attributes)
  if problem then arguments.fail(3, 2, "span", problem) end
  arguments.check_function(3, 3, "span", fn)
  if not sink or not uvjobs.current() then return fn(...) end
  local parent = uvjobs.context[KEY]
  return within(new_span(name, attributes, parent), parent, fn, ...)
end

-- ---- the spans of the library itself ---------------------------------------------------

--- What a span is to others, by the numbers of OTLP.
span.SERVER, span.CLIENT, span.PRODUCER, span.CONSUMER = 2, 3, 4, 5

--- As span.run(), for what comes in or goes out. It is called in a job, while there is a sink.
--- `parent` is another span than the current one, or false for the beginning of a trace; `link` a
--- span that led to this one in another trace.
---@param options { name: string, kind: integer, attributes: table, parent?: table|false,
---  link?: table }
---@param fn function
---@param ... any is passed on
---@return any ... what `fn` returns
function span.within(options, fn, ...)
  local before, parent = uvjobs.context[KEY], options.parent
  if parent == nil then parent = before end
  local one = new_span(options.name, options.attributes, parent or nil, options.link)
  one.kind = options.kind
  return within(one, before, fn, ...)
end

--- Adds an attribute to the span in which the job is.
---@param name string
---@param value string|number|boolean|nil
function span.note(name, value)
  local one = uvjobs.context[KEY]
  if one and one.attributes then one.attributes[name] = value end
end

--- The span in which the job is has failed, though nothing is raised.
---@param problem string
function span.fail(problem)
  uvjobs.context[KEY].problem = problem
end

--- From now on the job is in a trace that nobody sends, and so is a server that it asks.
function span.mute()
  uvjobs.context[KEY] = { trace = digits() .. digits(), id = digits(), is_sampled = false }
end

-- ---- other processes ---------------------------------------------------------------------

--- The span that a traceparent names (W3C Trace Context, level 1), or nil when it is none.
---@param text any
---@return table?
function span.parse(text)
  if type(text) ~= "string" then return nil end
  local version, trace, id, flags, rest = text:match "^(%x%x)%-(%x+)%-(%x+)%-(%x%x)(.*)$"
  if not version or version == "ff" or text:find "%u" then return nil end
  if #trace ~= 32 or #id ~= 16 then return nil end
  if rest ~= "" and (version == "00" or rest:sub(1, 1) ~= "-") then return nil end
  if not trace:find "[^0]" or not id:find "[^0]" then return nil end
  return { trace = trace, id = id, is_sampled = tonumber(flags, 16) & 1 == 1 }
end

-- A remote span is not ours to send.
local remote_guard = {
  __close = function(self)
    if uvjobs.current() then uvjobs.context[KEY] = self.before end
  end,
}

--- insight.follow(); blames its caller.
function span.follow(traceparent, fn, ...)
  arguments.check_function(3, 2, "follow", fn)
  local remote = span.parse(traceparent)
  if not remote or not uvjobs.current() then return fn(...) end
  local _ <close> = setmetatable({ before = uvjobs.context[KEY] }, remote_guard)
  uvjobs.context[KEY] = remote
  return fn(...)
end

--- The span in which the current job is, as a traceparent.
---@return string?
function span.traceparent()
  local one = uvjobs.current() and uvjobs.context[KEY]
  if not one then return nil end
  return ("00-%s-%s-0%d"):format(one.trace, one.id, one.is_sampled and 1 or 0)
end

--- What takes the spans.
---@return table?
function span.sink() return sink end

--- Sets that; nil for nothing.
function span.set_sink(new) sink = new end

return span
