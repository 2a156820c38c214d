-- A retry, with or without a timeout around it and one within: what must come of calls
-- whose attempts take so long and fail so.

local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"
local world = require "spec.policy.models.world"

local NEVER <const>, ERROR <const> = world.NEVER, world.ERROR
local check, near = world.check, world.near

local JITTERS <const> = { "full", "none", "equal", "decorrelated", 0, 0.3, 1 }

local model = {}

local function new_errors()
  local errors = {}
  for i = 1, 5 do errors[i] = { kind = i } end
  return errors
end

function model.new_policy(random)
  local known = {
    attempts = random(6), errors = new_errors(),
    backoff = {
      base = random(0, 3) / 2, factor = 1 + random(0, 3), max = random(0, 8),
      jitter = JITTERS[random(#JITTERS)],
    },
    budget = random(4) == 1 and random(0, 4) / 4 or nil,
    outer = random(4) == 1 and random() * 9 or NEVER,
    inner = random(4) == 1 and random() * 2 or NEVER,
    asks_when = random(3) == 1, asks_delay = random(3) == 1,
  }
  known.retry = policy.retry {
    attempts = known.attempts, backoff = known.backoff, budget = known.budget,
    when = known.asks_when and function(err) return model.is_worth(err) end or nil,
    delay = known.asks_delay and function(err) return model.hint(err) end or nil,
  }
  known.policy = policy.compose {
    policy.timeout(known.outer), known.retry, policy.timeout(known.inner),
  }
  return known
end

function model.is_worth(err) return type(err) ~= "table" or err.kind > 1 end

function model.hint(err)
  if type(err) ~= "table" then return nil end
  return ({ nil, 0, 0.5, 2 })[err.kind]
end

function model.new_call(random, known)
  local plan = {}
  for n = 1, known.attempts do
    plan[n] = {
      seconds = random(4) == 1 and 0 or random() * 3,
      err = random(4) > 1 and known.errors[random(5)] or nil,
      swallows = random(6) == 1, kind = random(5), -- it is an error itself
    }
  end
  return world.new_call(random, plan)
end

-- One attempt.
function model.fn(call)
  local n = #call.starts + 1
  local plan = call.plan[n]
  call.starts[n] = uvjobs.now()
  if plan.swallows then
    local ok = pcall(uvjobs.sleep, plan.seconds)
    call.ends[n] = uvjobs.now()
    if not ok then error(plan, 0) end
  else
    uvjobs.sleep(plan.seconds)
    call.ends[n] = uvjobs.now()
  end
  if plan.err then error(plan.err, 0) end
  return n
end

-- Between what the wait after attempt n can be.
local function bounds_of_wait(known, n, err, previous)
  local hint = known.asks_delay and model.hint(err)
  if hint then return hint, hint end
  local b = known.backoff
  if b.jitter == "decorrelated" then
    local least = math.min(b.base, b.max)
    return least, math.min(b.max, math.max(least, 3 * (previous or least)))
  end
  local longest = math.min(b.max, b.base * b.factor ^ (n - 1))
  if b.jitter == "full" then return 0, longest end
  if b.jitter == "none" then return longest, longest end
  if b.jitter == "equal" then return longest / 2, longest end
  return longest * (1 - b.jitter), longest
end

local function expect(call, outcome, at, err)
  check(call, call.outcome == outcome, "%s expected, got %s", outcome, call.outcome)
  check(call, near(call.at, at), "the end at %.9f expected", at)
  if err ~= nil then check(call, call.err == err, "another error expected") end
  call.expected = outcome
end

-- How an attempt that began at `start` ends: when, and by which error.
local function end_of_attempt(known, call, n, start)
  local plan = call.plan[n]
  local at, err = start + plan.seconds, plan.err
  if start + known.inner < at then
    at, err = start + known.inner, plan.swallows and plan or "timeout"
  end
  return at, err
end

-- The call was interrupted from outside, at `limit`.
local function expect_interrupted(call, deadline, plan)
  local limit = math.min(deadline, call.ended_at)
  local by = deadline < call.ended_at and "timeout" or call.how
  if plan.swallows and (by ~= "killed" or call.outcome == "failed") then
    return expect(call, "failed", limit, plan)
  end
  expect(call, by, limit)
end

-- After attempt n, which has ended at `at` with this error, there was no other one.
local function expect_end(known, call, n, at, err, previous, deadline)
  local outcome = err == "timeout" and "timeout" or "failed"
  local value = err ~= "timeout" and err or nil
  if n == known.attempts or known.asks_when and not model.is_worth(err) then
    return expect(call, outcome, at, value)
  end
  local least, longest = bounds_of_wait(known, n, err, previous)
  local can_be_late = at + longest + ERROR >= deadline
  if call.ended_at < NEVER and near(call.at, call.ended_at) and call.outcome == call.how then
    check(call, call.ended_at <= at + longest + ERROR, "a wait that is too long")
    return expect(call, call.how, call.ended_at)
  elseif known.budget then
    check(call, near(call.at, at) or call.at >= at + least - ERROR
      and call.at <= at + longest + ERROR, "the end at another time expected")
    return expect(call, outcome, call.at, value)
  end
  check(call, can_be_late, "another attempt expected")
  expect(call, outcome, at, value)
end

-- Goes through the attempts. `previous` is the last wait that the back-off has given.
function model.check(call, known)
  local deadline = math.min(call.deadline, call.began + known.outer)
  local previous
  for n = 1, known.attempts do
    local start = call.starts[n]
    local at, err = end_of_attempt(known, call, n, start)
    if at > math.min(deadline, call.ended_at) + ERROR then
      check(call, #call.starts == n, "an attempt after the end")
      return expect_interrupted(call, deadline, call.plan[n])
    elseif not err then
      check(call, #call.starts == n, "an attempt after a success")
      return expect(call, "done", at)
    end
    local next_start = call.starts[n + 1]
    if not next_start then return expect_end(known, call, n, at, err, previous, deadline) end
    check(call, not known.asks_when or model.is_worth(err), "an attempt that is not worth it")
    local least, longest = bounds_of_wait(known, n, err, previous)
    local wait = next_start - at
    check(call, wait >= least - ERROR and wait <= longest + ERROR,
      "a wait from %.9f to %.9f expected, got %.9f", least, longest, wait)
    check(call, next_start < deadline + ERROR, "a wait beyond the deadline")
    if not (known.asks_delay and model.hint(err)) then previous = wait end
  end
  world.fail(call, "%d attempts at most expected", known.attempts)
end

-- The sum of retries, less what each first call allows, rises by 10 at most in any ten
-- seconds.
local function check_budget(known, calls)
  local events = {}
  for _, call in ipairs(calls) do
    for n, start in ipairs(call.starts) do
      events[#events + 1] = { start, n == 1 and -known.budget or 1 }
    end
  end
  table.sort(events, function(a, b)
    return a[1] < b[1] or a[1] == b[1] and a[2] < b[2] -- first calls first
  end)
  for i = 1, #events do
    local sum, j = 0, i
    while events[j] and events[j][1] <= events[i][1] + 10 do
      sum = sum + events[j][2]
      assert(sum <= 10 + ERROR, "more retries than the budget allows")
      j = j + 1
    end
  end
end

function model.check_all(known, calls)
  local stats, retried, failed = known.retry:stats(), 0, 0
  for _, call in ipairs(calls) do
    retried = retried + #call.starts - 1
    local ended_by_us = call.expected == "failed"
      or call.expected == "timeout" and not near(call.at, call.deadline)
        and not near(call.at, call.began + known.outer)
    if ended_by_us then failed = failed + 1 end
  end
  assert(stats.calls == #calls, "calls")
  assert(stats.retried == retried, "retried")
  assert(stats.failed == failed, ("failed: %d, and not %d"):format(stats.failed, failed))
  if known.budget then check_budget(known, calls) end
end

return model
