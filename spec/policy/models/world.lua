-- What the models of policies have in common: calls that are cancelled, killed, or given a
-- deadline at random, and what came of each. A model says by itself, in plain Lua and
-- without the library, what must have come of it.

local uvjobs = require "uvjobs"

local world = {}

local function ignore() end

world.NEVER = math.huge
world.ERROR = 1e-6 -- seconds: sleeps are rounded up to nanoseconds, and sums are not exact

function world.near(a, b)
  return a == b or math.abs(a - b) <= world.ERROR
end

--- Raises with what is known of a call.
function world.fail(call, format, ...)
  local lines = { format:format(...) }
  for _, name in ipairs { "began", "deadline", "ended_at", "how", "outcome", "at" } do
    lines[#lines + 1] = ("%s = %s"):format(name, tostring(call[name]))
  end
  for n, start in ipairs(call.starts) do
    local plan = call.plan[n]
    lines[#lines + 1] = ("attempt %d: %.9f to %s, of %.9f%s%s"):format(n, start,
      tostring(call.ends[n]), plan.seconds, plan.err and ", fails" or "",
      plan.clean_up and (", cleans up for %.9f"):format(plan.clean_up) or "")
  end
  error(table.concat(lines, "\n  "), 0)
end

function world.check(call, condition, format, ...)
  if not condition then world.fail(call, format, ...) end
end

--- A call of a policy. `plan` says what its attempts do: { seconds =, err = nil or what
--- is raised }.
function world.new_call(random, plan)
  local call = { plan = plan, starts = {}, ends = {}, deadline = world.NEVER,
    ended_at = world.NEVER }
  if random(5) == 1 then call.limit = random() * 8 end
  if random(5) == 1 then
    call.end_after = random() * 8
    call.how = random(2) == 1 and "cancelled" or "killed"
  end
  return call
end

-- Notes what comes of a job, and when.
local function watch(call, job)
  local ok, err = job:result()
  call.at, call.left = uvjobs.now(), call.alive
  if ok then
    call.outcome = "done"
  else
    call.outcome, call.err = "failed", err
    local code = uvjobs.code(err)
    if code then call.outcome = code end
    -- A job that is closed without a close timeout may heed its cancellation first.
    if call.how == "killed" and code == "cancelled" then call.outcome = "killed" end
  end
  call.job = job
end

local function end_later(call, job)
  uvjobs.sleep(call.end_after)
  if job.closed then return end
  call.ended_at = uvjobs.now()
  if call.how == "cancelled" then job:cancel() else pcall(job.close, job, 0) end
end

local function body(call, policy, fn)
  call.began = uvjobs.now()
  if not call.limit then return policy:call(fn, call) end
  call.deadline = call.began + call.limit
  return uvjobs.timeout(call.limit, policy.call, policy, fn, call)
end

--- Starts a call in a job of `jobs`, and what ends it; `others` are for these.
function world.start(call, jobs, others, policy, fn)
  local job = jobs:spawn({ report = false }, body, call, policy, fn)
  others:spawn(watch, call, job)
  if call.end_after then others:spawn(end_later, call, job) end
end

--- Plays calls, some at a time, with one policy after the other.
---@param seed integer
---@param steps integer how many calls at least
---@param model { new_policy: fun(random): table, new_call: fun(random, table), fn: function,
---  check: fun(table, table), check_all: fun(table, table[]), cost: fun(table): integer }
---@return integer steps attempts that were made, and jobs that were ended
function world.play(seed, steps, model)
  math.randomseed(seed)
  local random, done = math.random, 0
  while done < steps do
    local known, calls = model.new_policy(random), {}
    uvjobs.run({ clock = "virtual", seed = random(1 << 30), shuffle = random(1 << 30) }, function()
      local jobs <close> = uvjobs.scheduler { close_timeout = 1e6, exception_handler = ignore }
      local others <close> = uvjobs.scheduler { limit = math.huge }
      for i = 1, random(40) do
        calls[i] = model.new_call(random, known)
        world.start(calls[i], jobs, others, known.policy, model.fn)
        if random(3) == 1 then uvjobs.sleep(random() * 2) end
      end
      others:wait_idle()
    end)
    for _, call in ipairs(calls) do
      model.check(call, known)
      done = done + #call.starts + (call.ended_at < world.NEVER and 1 or 0)
    end
    model.check_all(known, calls)
  end
  return done
end

return world
