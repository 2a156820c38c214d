--- Random use of the policies that run functions for several callers, and of breakers, beside
--- references: see play.lua.

local core = require "uvjobs.core"
local helper = require "spec.helper"
local play = require "spec.policy.play"
local policy = require "uvjobs.policy"
local reference = require "spec.policy.breaker_reference"
local uvjobs = require "uvjobs"

local runs = {}

local function to_ns(seconds)
  return math.ceil(seconds * 1e9)
end

-- ---- callers that share runs ---------------------------------------------------------

-- Runs that have begun are { ends, result, callers }; a caller is { id, deadline, at, span }.
local Shared = {}
Shared.__index = Shared

local function new_shared(fields)
  fields.runs, fields.results, fields.begun = {}, {}, 0
  return setmetatable(fields, Shared)
end

-- Takes a caller out of a list.
local function take(list, id)
  for i, caller in ipairs(list) do
    if caller.id == id then return table.remove(list, i) end
  end
end

-- The time at which a burst runs.
function Shared:due()
  local first, last = self.burst[1], self.burst[#self.burst]
  if not first then return math.huge end
  return math.min(last.at + self.wait, first.at + self.most)
end

function Shared:begin(callers, call, now)
  self.begun = self.begun + 1
  table.insert(self.runs, { key = call.key, ends = now + call.span, result = call.id,
    callers = callers })
end

-- The earliest of what comes next: a time, and a function.
function Shared:next()
  local at, what = self:due(), nil
  if at < math.huge then
    what = function()
      local burst = self.burst
      self.burst = {}
      self:begin(burst, burst[#burst], math.max(at, self.now))
    end
  end
  local function consider(time, fn)
    if time < at then at, what = time, fn end
  end
  for i, run in ipairs(self.runs) do
    consider(run.ends, function()
      for _, caller in ipairs(run.callers) do self.results[caller.id] = run.result end
      table.remove(self.runs, i)
    end)
    for _, caller in ipairs(run.callers) do
      consider(caller.deadline, function() self:leave(caller.id, "timeout") end)
    end
  end
  for _, caller in ipairs(self.burst) do
    consider(caller.deadline, function() self:leave(caller.id, "timeout") end)
  end
  return at, what
end

function Shared:leave(id, why)
  if take(self.burst, id) then self.results[id] = why end
  for i, run in ipairs(self.runs) do
    if take(run.callers, id) then
      self.results[id] = why
      if #run.callers == 0 then table.remove(self.runs, i) end
      return
    end
  end
end

function Shared:pass(now)
  local at, what = self:next()
  while what and at <= now do
    self.now = math.max(self.now, at)
    what()
    at, what = self:next()
  end
  self.now = now
end

-- A call of a single.
function Shared:join(call)
  for _, run in ipairs(self.runs) do
    if run.key == call.key then
      table.insert(run.callers, call)
      return
    end
  end
  self:begin({ call }, call, self.now)
end

local function note(results, id, fn, ...)
  local ok, result = pcall(fn, ...)
  if ok then
    results[id] = result
  else
    results[id] = uvjobs.code(result) == "cancelled" and "left" or uvjobs.code(result)
      or error(result, 0)
  end
end

local function work(id, seconds)
  uvjobs.sleep(seconds)
  return id
end

-- The driver of both: `call` makes a call of the policy, `add` one of the model.
local function drive(chance, steps, model, call, add)
  local jobs, results, callers, ids = helper.quiet { limit = math.huge }, {}, {}, 0
  for _ = 1, steps do
    local now, what = (core.clock()), chance:below(10)
    model:pass(now)
    if what < 6 then
      ids = ids + 1
      local id, key, seconds = ids, 1 + chance:below(3), (1 + chance:below(500009)) / 1e6
      -- half a microsecond more, as what else happens is a whole number of them apart
      local limit = chance:below(3) == 0 and (1.5 + chance:below(900007)) / 1e6 or math.huge
      callers[id] = jobs:spawn(note, results, id, uvjobs.timeout, limit, call, key, id, seconds)
      add({ id = id, key = key, at = now, span = to_ns(seconds),
        deadline = limit < math.huge and now + to_ns(limit) or math.huge })
    elseif what < 8 and ids > 0 then
      local id = math.max(1, ids - chance:below(8))
      local job = callers[id]
      if not job.closed then
        model:leave(id, "left")
        if what == 6 then job:cancel() else pcall(job.close, job, 0) end
        job:join()
        if results[id] == nil then results[id] = "left" end
      end
    end
    uvjobs.yield()
    uvjobs.yield()
    uvjobs.sleep(chance:below(200003) / 1e6)
  end
  jobs:wait_and_close()
  model:pass(math.maxinteger)
  for id = 1, ids do
    if results[id] ~= model.results[id] then
      error(("call %d: %s, but %s was expected"):format(id, tostring(results[id]),
        tostring(model.results[id])), 0)
    end
  end
end

--- Plays a single.
function runs.single(seed, steps)
  local single = policy.single()
  local model = new_shared { burst = {}, now = 0 }
  drive(play.chance(seed), steps, model, function(key, id, seconds)
    return single:call(key, work, id, seconds)
  end, function(call) model:join(call) end)
  assert(single:stats().runs == model.begun)
end

--- Plays a debounce.
function runs.debounce(seed, steps)
  local chance = play.chance(seed)
  local wait, most = (1 + chance:below(300007)) / 1e6, (1 + chance:below(900001)) / 1e6
  local debounce = policy.debounce { wait = wait, most = most }
  local model = new_shared { burst = {}, now = 0, wait = to_ns(wait), most = to_ns(most) }
  drive(chance, steps, model, function(_, id, seconds)
    return debounce:call(work, id, seconds)
  end, function(call) table.insert(model.burst, call) end)
  assert(debounce:stats().runs == model.begun)
end

-- ---- a breaker -----------------------------------------------------------------------

local function fail_or_not(seconds, failure)
  uvjobs.sleep(seconds)
  if failure == 1 then error("failed", 0) end
end

-- Ends the calls that end until now, in order.
local function end_calls(model, calls, now)
  while true do
    local first
    for i, call in ipairs(calls) do
      if not first or call.ends < calls[first].ends then first = i end
    end
    if not first or calls[first].ends > now then return end
    local call = table.remove(calls, first)
    model:finish(call.pass, call.failure, call.ends)
  end
end

--- Plays a breaker.
function runs.breaker(seed, steps)
  local chance = play.chance(seed)
  local rules = {
    ratio = (1 + chance:below(10)) / 10, window = 1 + chance:below(5),
    minimum = 1 + chance:below(4), open = 1 + chance:below(3), probes = 1 + chance:below(3),
  }
  local breaker = policy.breaker(rules)
  local model = reference.new {
    ratio = rules.ratio, window = to_ns(rules.window), minimum = rules.minimum,
    open = to_ns(rules.open), probes = rules.probes,
  }
  local jobs, calls, outcomes, expected = helper.quiet { limit = math.huge }, {}, {}, {}
  for id = 1, steps do
    local now, what = (core.clock()), chance:below(10)
    end_calls(model, calls, now)
    if what < 7 then
      local seconds, failure = (1 + chance:below(600011)) / 1e6, chance:below(2)
      local job = jobs:spawn(function()
        local ok, err = pcall(breaker.call, breaker, fail_or_not, seconds, failure)
        outcomes[id] = not ok and uvjobs.code(err) == "open"
      end)
      local pass = model:enter(now)
      expected[id] = not pass
      if pass then
        calls[#calls + 1] = { job = job, pass = pass, failure = failure,
          ends = now + to_ns(seconds) }
      end
    elseif what < 9 and #calls > 0 then
      local call = table.remove(calls, 1 + chance:below(#calls))
      model:finish(call.pass, nil, now)
      if what == 7 then call.job:cancel() else pcall(call.job.close, call.job, 0) end
      call.job:join()
    end
    uvjobs.yield()
    uvjobs.yield() -- the first may have come back before the call, as the order is random
    local state = model.state
    if state == "open" and now >= model.reopens then state = "half_open" end
    assert(breaker:state() == state, ("%s, not %s, after %d steps"):format(breaker:state(),
      state, id))
    local probing = breaker:stats().probing
    assert(probing == model.under_way and probing <= rules.probes, "probes")
    uvjobs.sleep(chance:below(400009) / 1e6)
  end
  jobs:wait_and_close()
  for id, was_open in pairs(outcomes) do
    assert(was_open == expected[id], ("call %d"):format(id))
  end
end

return runs
