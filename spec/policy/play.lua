--- Random use of policies in a run under the virtual clock, beside references that know no
--- jobs: each keeps the calls in plain lists, and looks for what happens next by going over
--- all of them. A driver does one thing at a time: a call, a cancellation, a kill, a change;
--- then lets some time pass, and in the end compares what has become of each call.

local core = require "uvjobs.core"
local helper = require "spec.helper"
local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"

local play = {}

-- ---- chance --------------------------------------------------------------------------

local Chance = {}
Chance.__index = Chance

--- A sequence of random integers by a seed, the same on every machine.
function play.chance(seed)
  return setmetatable({ state = seed * 2862933555777941757 + 3037000493 }, Chance)
end

function Chance:below(n)
  self.state = self.state * 6364136223846793005 + 1442695040888963407
  return (self.state >> 33) % n
end

function Chance:pick(list)
  return list[self:below(#list) + 1]
end

-- ---- a rate --------------------------------------------------------------------------

-- Tokens are counted in nanoseconds of waiting, so that they are integers: a token is
-- `step` of them.
local RateModel = {}
RateModel.__index = RateModel

function RateModel.new(step, burst)
  return setmetatable({
    step = step, burst = burst, have = step * burst, at = 0, line = {}, ends = {},
  }, RateModel)
end

function RateModel:grow(now)
  self.have = math.min(self.step * self.burst, self.have + now - self.at)
  self.at = now
end

-- Lets everything happen until `now`: tokens are handed out, and deadlines pass.
function RateModel:pass(now)
  while self.line[1] do
    local first = self.line[1]
    local due = self.at + math.max(0, self.step - self.have)
    if first.deadline and first.deadline <= math.min(due, now) then
      table.remove(self.line, 1)
      self.ends[first.id] = "timeout"
    elseif due <= now then
      self:grow(due)
      self.have = self.have - self.step
      table.remove(self.line, 1)
      self.ends[first.id] = due
    else
      break
    end
  end
  for i = #self.line, 1, -1 do -- those behind the first can be late, too
    local call = self.line[i]
    if call.deadline and call.deadline <= now then
      table.remove(self.line, i)
      self.ends[call.id] = "timeout"
    end
  end
  self:grow(now)
end

function RateModel:call(id, now, deadline, most_wait)
  if deadline and deadline <= now then
    self.ends[id] = "timeout"
    return
  end
  if not self.line[1] and self.have >= self.step then
    self.have = self.have - self.step
    self.ends[id] = now
    return
  end
  local wait = self.step * (#self.line + 1) - self.have
  if wait > most_wait or deadline and now + wait >= deadline then
    self.ends[id] = "limited"
    return
  end
  self.line[#self.line + 1] = { id = id, deadline = deadline }
end

function RateModel:leave(id)
  for i, call in ipairs(self.line) do
    if call.id == id then
      table.remove(self.line, i)
      self.ends[id] = "left"
      return
    end
  end
end

function RateModel:set_burst(burst, now)
  self.have = self.have + (burst - self.burst) * self.step
  self.burst = burst
  self:pass(now)
end

local function to_ns(seconds)
  return math.ceil(seconds * 1e9)
end

-- What a call has come to: when it started, or the code of its error.
local function rate_call(rate, key, ends, id, seconds)
  local function start() ends[id] = (core.clock()) end
  local ok, err
  if seconds then
    ok, err = pcall(uvjobs.timeout, seconds, rate.call, rate, start, key)
  else
    ok, err = pcall(rate.call, rate, start, key)
  end
  if not ok then
    local code = uvjobs.code(err) or error(err, 0)
    ends[id] = code == "cancelled" and "left" or code
  end
end

local function compare(ends, model, count)
  for id = 1, count do
    local got, expected = ends[id], model.ends[id]
    if got ~= expected then
      error(("call %d: %s, but %s was expected"):format(id, tostring(got), tostring(expected)), 0)
    end
  end
end

--- Plays a rate, with keys or without. Returns how many calls there were.
---@param seed integer
---@param steps integer
---@param nkeys? integer
function play.rate(seed, steps, nkeys)
  local chance = play.chance(seed)
  local step = chance:pick { 1000000, 250000000, 7000, 333 }
  local burst = 1 + chance:below(5)
  local most_wait = chance:pick { math.huge, 0, step * 5 / 1e9 }
  local rate = policy.rate {
    rate = 1e9 / step, burst = burst, most_wait = most_wait,
    key = nkeys and function(key) return key end,
  }
  local models, ends, jobs, ids = {}, {}, helper.quiet { limit = math.huge }, 0
  local all_ends = {}
  for key = 1, nkeys or 1 do
    models[key] = RateModel.new(step, burst)
    models[key].ends = all_ends
  end
  local callers = {}
  for _ = 1, steps do
    local key = 1 + chance:below(nkeys or 1)
    local model, now, what = models[key], (core.clock()), chance:below(10)
    model:pass(now)
    if what < 5 then
      ids = ids + 1
      local seconds = chance:below(3) == 0 and chance:below(step * 4) / 1e9 or nil
      model:call(ids, now, seconds and now + to_ns(seconds), to_ns(most_wait))
      callers[ids] = jobs:spawn(rate_call, rate, key, ends, ids, seconds)
      uvjobs.yield()
      uvjobs.yield() -- the first may have come back before the call, as the order is random
    elseif what < 7 and model.line[1] then
      local id = chance:pick(model.line).id
      local job = callers[id]
      model:leave(id)
      if what == 5 then job:cancel() else pcall(job.close, job, 0) end
      if what == 6 and ends[id] == nil then ends[id] = "left" end -- it notes nothing itself
    elseif what == 7 then
      local taken = rate:try(key)
      assert(taken == (not model.line[1] and model.have >= model.step), "try()")
      if taken then model.have = model.have - model.step end
    elseif what == 8 and chance:below(2) == 0 then
      local new = 1 + chance:below(5)
      rate:set { burst = new }
      for _, other in ipairs(models) do
        other:pass(now)
        other:set_burst(new, now)
      end
    end
    uvjobs.sleep(chance:below(step) * chance:below(2) / 1e9)
  end
  uvjobs.sleep(step * (steps + 10) / 1e9)
  for _, model in ipairs(models) do model:pass((core.clock())) end
  compare(ends, { ends = all_ends }, ids)
  assert(rate:stats().waiting == 0)
  jobs:wait_and_close()
  return ids
end

--- Plays a rate that is changed, and counts over all windows (P6): returns nothing, and
--- raises when in any of them too many calls have started.
function play.windows(seed, steps)
  local chance = play.chance(seed)
  local function new_rate() return chance:pick { 1, 3, 7.5, 50, 1000 / 3 } end
  local per_second, burst = new_rate(), 1 + chance:below(6)
  local rate = policy.rate { rate = per_second, burst = burst }
  local starts, changes = {}, { { at = 0, rate = per_second, burst = burst } }
  local jobs = helper.quiet { limit = math.huge }
  for _ = 1, steps do
    for _ = 1, chance:below(4) do
      jobs:spawn(rate.call, rate, function() starts[#starts + 1] = (core.clock()) end)
    end
    if chance:below(6) == 0 then
      per_second, burst = new_rate(), 1 + chance:below(6)
      rate:set { rate = per_second, burst = burst }
      changes[#changes + 1] = { at = (core.clock()), rate = per_second, burst = burst }
    end
    if chance:below(5) == 0 then uvjobs.sleep(chance:below(5)) end
    uvjobs.sleep(chance:below(1000) / 1e3 / per_second)
  end
  jobs:close()
  play.count_windows(starts, changes)
end

-- How many tokens grow from `from` to `to`, and the largest burst meanwhile.
local function allowed(changes, from, to)
  local grown, burst = 0, 0
  for i, change in ipairs(changes) do
    local ends = changes[i + 1] and changes[i + 1].at or math.huge
    local first, last = math.max(from, change.at), math.min(to, ends)
    if first <= last then
      grown = grown + (last - first) / 1e9 * change.rate
      burst = math.max(burst, change.burst)
    end
  end
  return burst + math.floor(grown + 1e-9)
end

--- Of all windows those matter that begin with a start and end right after one.
function play.count_windows(starts, changes)
  for i = 1, #starts do
    for k = i, #starts do
      local most = allowed(changes, starts[i], starts[k] + 1)
      if k - i + 1 > most then
        error(("%d starts from %d to %d ns, %d are allowed"):format(k - i + 1, starts[i],
          starts[k], most), 0)
      end
    end
  end
end

-- ---- a limit -------------------------------------------------------------------------

local LimitModel = {}
LimitModel.__index = LimitModel

-- Begins those who are first in line while there is a place.
function LimitModel:let_in(now)
  while self.line[1] and #self.running < self.limit do
    local call = table.remove(self.line, 1)
    call.ends = now + call.span
    table.insert(self.running, call)
    self.starts[call.id] = now
  end
end

-- The place and the time of the call for which this time is the earliest.
local function earliest(list, key)
  local first
  for i, call in ipairs(list) do
    if not first or call[key] < list[first][key] then first = i end
  end
  return first, first and list[first][key] or math.maxinteger
end

function LimitModel:pass(now)
  while true do
    local first, ends = earliest(self.running, "ends")
    local impatient, gives_up = earliest(self.line, "gives_up")
    if not first and not impatient or math.min(ends, gives_up) > now then return end
    if ends < gives_up then
      table.remove(self.running, first)
      self:let_in(ends)
    else
      self.starts[table.remove(self.line, impatient).id] = "full"
    end
  end
end

function LimitModel:call(id, now, span)
  if #self.running >= self.limit
    and (#self.line >= self.pending_limit or self.most_wait == 0) then
    self.starts[id] = "full"
    return
  end
  table.insert(self.line, { id = id, span = span, gives_up = now + to_ns(self.most_wait) })
  self:let_in(now)
end

function LimitModel:leave(id, now)
  for _, list in ipairs { self.line, self.running } do
    for i, call in ipairs(list) do
      if call.id == id then table.remove(list, i) end
    end
  end
  self:let_in(now)
end

local function limit_call(limit, starts, id, seconds)
  local ok, err = pcall(limit.call, limit, function()
    starts[id] = (core.clock())
    uvjobs.sleep(seconds)
  end)
  if not ok and uvjobs.code(err) == "full" then starts[id] = "full" end
end

--- Plays a limit.
function play.limit(seed, steps)
  local chance = play.chance(seed)
  -- Calls begin and end at whole microseconds, and none of them gives up at one.
  local waits = { 0, 0.1000005, 0.7000005, 1e6 }
  local function new_limits()
    return 1 + chance:below(4), chance:below(6), waits[1 + chance:below(#waits)]
  end
  local size, pending, most_wait = new_limits()
  local limit = policy.limit { limit = size, pending_limit = pending, most_wait = most_wait }
  local model = setmetatable({
    limit = size, pending_limit = pending, most_wait = most_wait,
    running = {}, line = {}, starts = {},
  }, LimitModel)
  local jobs, starts, alive, ids = helper.quiet { limit = math.huge }, {}, {}, 0
  for _ = 1, steps do
    local now, what = (core.clock()), chance:below(10)
    model:pass(now)
    if what < 6 then
      ids = ids + 1
      local seconds = (1 + chance:below(1000003)) / 1e6
      model:call(ids, now, to_ns(seconds))
      alive[#alive + 1] = { id = ids, job = jobs:spawn(limit_call, limit, starts, ids, seconds) }
      uvjobs.yield()
    elseif what < 8 and #alive > 0 then
      local one = table.remove(alive, 1 + chance:below(#alive))
      if what == 6 then one.job:cancel() else pcall(one.job.close, one.job, 0) end
      one.job:join()
      model:leave(one.id, now)
    elseif what == 8 then
      model.limit, model.pending_limit, model.most_wait = new_limits()
      limit:set {
        limit = model.limit, pending_limit = model.pending_limit, most_wait = model.most_wait,
      }
      model:let_in(now)
    end
    uvjobs.yield()
    local stats = limit:stats()
    assert(stats.running == #model.running and stats.waiting == #model.line,
      ("%d run and %d wait, %d and %d were expected"):format(stats.running, stats.waiting,
        #model.running, #model.line))
    uvjobs.sleep(chance:below(400009) / 1e6)
  end
  jobs:wait_and_close()
  model:pass(math.maxinteger)
  for id = 1, ids do
    if starts[id] ~= model.starts[id] then
      error(("call %d: %s, but %s was expected"):format(id, tostring(starts[id]),
        tostring(model.starts[id])), 0)
    end
  end
  return ids
end

--- Runs fn(seed, ...) under the virtual clock, with a random order of ready jobs.
function play.run(fn, seed, ...)
  return uvjobs.run({ clock = "virtual", shuffle = seed }, fn, seed, ...)
end

return play
