-- A hedge: what must come of calls whose attempts take so long, fail so, and take so long
-- to clean up.

local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"
local world = require "spec.policy.models.world"

local NEVER <const> = world.NEVER
local check, near = world.check, world.near

local model = {}

function model.new_policy(random)
  local known = { after = random(0, 3) == 0 and 0 or random() * 2, most = random(4) }
  known.hedge = policy.hedge { after = known.after, most = known.most }
  known.policy = known.hedge
  return known
end

function model.new_call(random, known)
  local plan = {}
  for n = 1, known.most do
    plan[n] = {
      seconds = 0.001 + random() * 4, err = random(2) == 1 and { n } or nil,
      clean_up = random(4) == 1 and random() or 0,
    }
  end
  local call = world.new_call(random, plan)
  call.alive, call.most = 0, 0
  return call
end

-- An attempt cleans up when it is cancelled, and only then: otherwise it would not be
-- known when it has ended.
function model.fn(call)
  local n = #call.starts + 1
  local plan = call.plan[n]
  call.starts[n] = uvjobs.now()
  call.alive = call.alive + 1
  call.most = math.max(call.most, call.alive)
  local _ <close> = setmetatable({}, { __close = function(_, err)
    if uvjobs.code(err) and plan.clean_up > 0 then
      pcall(uvjobs.protect, uvjobs.sleep, plan.clean_up)
    end
    call.alive = call.alive - 1
  end })
  uvjobs.sleep(plan.seconds)
  call.ends[n] = uvjobs.now()
  if plan.err then error(plan.err, 0) end
  return n
end

-- What happens without an end from outside: starts, and when and with what it ends.
local function simulate(known, call)
  local starts, alive, first_error = { call.began }, { [1] = true }, nil
  while true do
    local next_n, next_at = nil, NEVER
    for n in pairs(alive) do
      local at = starts[n] + call.plan[n].seconds
      if at < next_at then next_n, next_at = n, at end
    end
    local hedge_at = #starts < known.most and starts[#starts] + known.after or NEVER
    if hedge_at < next_at then
      starts[#starts + 1] = hedge_at
      alive[#starts] = true
    else
      alive[next_n] = nil
      if not call.plan[next_n].err then return starts, next_at, next_n, alive end
      first_error = first_error or call.plan[next_n].err
      if #starts < known.most then
        starts[#starts + 1] = next_at
        alive[#starts] = true
      elseif not next(alive) then
        return starts, next_at, nil, alive, first_error
      end
    end
  end
end

-- How long those take to end that are alive at `at`.
local function clean_up_of(call, starts, at)
  local longest = 0
  for n, start in ipairs(starts) do
    local plan = call.plan[n]
    if start < at and start + plan.seconds > at then longest = math.max(longest, plan.clean_up) end
  end
  return longest
end

function model.check(call, known)
  local starts, at, winner, alive, err = simulate(known, call)
  local limit = math.min(call.deadline, call.ended_at)
  local started = #starts
  if limit < at then
    while starts[started] > limit do started = started - 1 end
  end
  check(call, #call.starts == started, "%d attempts expected", started)
  for n = 1, started do
    check(call, near(call.starts[n], starts[n]), "attempt %d: another start expected", n)
  end
  -- One that is killed cannot wait for its attempts; the close timeout ends them.
  local is_killed = call.ended_at < call.at + world.ERROR and call.how == "killed"
  check(call, call.left == 0 or is_killed, "%d attempts are alive after the call", call.left)
  check(call, call.most <= known.most, "%d attempts at once", call.most)
  if limit < at then
    call.expected = call.deadline < call.ended_at and "timeout" or call.how
    if is_killed then return end
    check(call, call.outcome == call.expected
      or limit == call.deadline and call.ended_at < call.at and call.outcome == call.how,
      "%s expected", call.expected)
    check(call, near(call.at, limit + clean_up_of(call, starts, limit)),
      "the end at %.9f expected", limit)
  elseif winner then
    call.expected, call.won = "done", winner > 1
    local ended_at = at
    for n in pairs(alive) do ended_at = math.max(ended_at, at + call.plan[n].clean_up) end
    if limit < ended_at then
      call.expected = nil -- it was ended while the losers cleaned up
      return
    end
    check(call, call.outcome == "done", "a success expected")
    check(call, near(call.at, ended_at), "the end at %.9f expected", ended_at)
  else
    call.expected = "failed"
    check(call, call.outcome == "failed" and call.err == err, "another error expected")
    check(call, near(call.at, at), "the end at %.9f expected", at)
  end
end

function model.check_all(known, calls)
  local stats, failed = known.hedge:stats(), 0
  for _, call in ipairs(calls) do
    if call.expected == "failed" then failed = failed + 1 end
  end
  assert(stats.calls == #calls, "calls")
  assert(stats.failed == failed, "failed")
end

return model
