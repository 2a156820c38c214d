-- A job gives up each operation of uvjobs.uv in the turn in which the result arrives: before the
-- job has run, and before or after luv has called back.
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local world = require "spec.uv.helper"
local operations = require "spec.uv.operations"

-- Long enough for luv's threads, the kernel and deadlines of SOON to be ready. When
-- it is not, the specs see another stage, and hold as well.
local A_WHILE_MS <const> = 12
local SOON <const> = 0.005

-- The time limit for a result, in seconds. Only a lost result takes as long.
local LOST <const> = 20

-- Holds the loop for a while, so that the result comes before the loop looks.
local function let_it_come(env, operation)
  if operation.arrive then operation.arrive(env) end
  luv.sleep(A_WHILE_MS)
end

local function begin(env, fn, ...)
  local job = env.jobs:spawn(fn, ...)
  world.wait_until(function() return job.resumes > 0 end)
  return job
end

local stages = {
  { "cancelled when the result comes", function(env, operation)
    local job = begin(env, operation.call, env)
    let_it_come(env, operation)
    job:cancel()
    return job
  end },
  { "cancelled when the result has come", function(env, operation)
    local job = begin(env, operation.call, env)
    let_it_come(env, operation)
    local check = uv.new_check() -- is called after what has come
    table.insert(env.open, check)
    check:start(function()
      job:cancel()
      check:stop()
    end)
    return job
  end },
  { "at its deadline when the result comes", function(env, operation)
    local job = begin(env, function()
      local ok, err = pcall(uvjobs.timeout, SOON, operation.call, env)
      if not ok and uvjobs.code(err) ~= "timeout" then error(err, 0) end
      return ok
    end)
    let_it_come(env, operation)
    return job
  end },
  { "killed when the result comes", function(env, operation)
    local job = env.jobs:spawn(uvjobs.protect, operation.call, env)
    begin(env, pcall, job.close, job, SOON) -- both in one turn
    let_it_come(env, operation)
    return job
  end },
}

local ENDS <const> = { done = true, cancelled = true, killed = true }

describe("in the turn of its result", function()
  after_each(world.check_clean)

  for _, operation in ipairs(operations.all) do
    for _, stage in ipairs(stages) do
      local title, begin_and_disturb = table.unpack(stage)
      it(("%s is %s #M6"):format(operation.name, title), function()
        local env = operations.with(operation, function(_, env)
          local job = begin_and_disturb(env, operation)
          job:join()
          assert.is_true(ENDS[job.state], table.concat(env.errors))
          local taken = job.state == "done" and job:wait()
          if operation.again and not taken then
            assert.truthy((uvjobs.timeout(LOST, operation.call, env)))
          end
        end)
        assert.same({}, env.errors)
        world.forget_requests(operation.name)
        world.check_clean()
      end)
    end
  end
end)
