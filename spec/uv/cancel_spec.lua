-- A job gives up each operation of uvjobs.uv at each stage: nothing leaks, and what the job has not
-- taken is there for the next one.
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local helper = require "spec.helper"
local world = require "spec.uv.helper"
local operations = require "spec.uv.operations"

-- For a job to be killed in.
local SOON <const> = 0.02

-- How a job that is suspended in the operation comes to leave it: each returns
-- its state then.
local ways = {
  { "it is cancelled", function(env, call)
    local job = env.jobs:spawn(call)
    world.settle(job)
    job:cancel()
    job:join()
    return job.state
  end, "cancelled" },
  { "a deadline passes", function(env, call)
    local job = env.jobs:spawn(function()
      helper.raises("timeout", uvjobs.timeout, SOON, call)
      return "went on"
    end)
    job:join()
    return job.state
  end, "done" },
  { "its own time limit passes", function(env, call)
    local job = env.jobs:spawn({ timeout = SOON }, call)
    job:join()
    return job.state
  end, "failed" },
  { "it is killed", function(env, call)
    local job = env.jobs:spawn(uvjobs.protect, call)
    world.settle(job)
    pcall(job.close, job, 0)
    return job.state
  end, "killed" },
  { "its scheduler is closed", function(env, call)
    local jobs = uvjobs.scheduler()
    local job = jobs:spawn(call)
    world.settle(job)
    jobs:close()
    return env and job.state
  end, "cancelled" },
}

local function check_after(operation, env)
  assert.same({}, env.errors)
  world.forget_requests(operation.name)
  world.check_clean()
end

describe("giving up", function()
  after_each(world.check_clean)

  for _, operation in ipairs(operations.all) do
    it("before it begins does nothing: " .. operation.name .. " #M5", function()
      local env = operations.with(operation, function(_, env)
        local job = env.jobs:spawn(function()
          uvjobs.current():cancel()
          if operation.name ~= "handle:close" then
            helper.raises("cancelled", operation.call, env)
          else
            operation.call(env) -- releases also in a job that is to end
          end
          return "ended"
        end)
        assert.equal("ended", job:wait())
        if env.spoiled then assert.is_false(env.spoiled:is_closing()) end
      end)
      check_after(operation, env)
    end)
  end

  for _, operation in ipairs(operations.all) do
    if operation.arrive then
      for _, way in ipairs(ways) do
        local title, leave, state = table.unpack(way)
        it(("%s, when %s #M6"):format(operation.name, title), function()
          local env = operations.with(operation, function(_, env)
            assert.equal(state, leave(env, function() return operation.call(env) end))
            if env.spoiled then
              assert.is_true(env.spoiled:is_closing())
            elseif operation.again then
              operation.arrive(env)
              assert.truthy((operation.call(env)))
            end
          end)
          if state == "failed" then env.errors = {} end
          check_after(operation, env)
        end)
      end
    end
  end

  -- These end by themselves; so they may have ended before they are given up.
  for _, operation in ipairs(operations.all) do
    if not operation.arrive then
      it("in the middle of " .. operation.name, function()
        local env = operations.with(operation, function(_, env)
          local job = env.jobs:spawn(operation.call, env)
          world.wait_until(function() return job.resumes > 0 end)
          job:cancel()
          job:join()
          assert.is_true(job.state == "cancelled" or job.state == "done", job.state)
          if operation.again then assert.truthy((operation.call(env))) end
        end)
        check_after(operation, env)
      end)
    end
  end
end)

-- ---- luv's threads -----------------------------------------------------------------

local THREADS <const> = 4 -- libuv's, unless UV_THREADPOOL_SIZE is set

-- A file that cannot be opened for reading before somebody opens it for writing.
local function fifo()
  local path = world.file()
  os.remove(path)
  assert(os.execute("mkfifo " .. path))
  return path
end

-- Opens the file for writing, so that its readers go on. The descriptor has to be closed.
local function open_up(path)
  return assert(luv.fs_open(path, "r+", 0))
end

local function opens(path)
  local fd = assert(uv.fs_open(path, "r", 0))
  luv.fs_close(fd)
  return "opened"
end

-- Calls `fn` while all of luv's threads are busy.
local function while_threads_are_busy(env, fn)
  local path = fifo()
  local busy = {}
  for i = 1, THREADS do busy[i] = env.jobs:spawn(opens, path) end
  for i = 1, THREADS do world.settle(busy[i]) end
  fn()
  for i = 1, THREADS do assert.equal("active", busy[i].state) end
  local fd = open_up(path)
  for i = 1, THREADS do assert.equal("opened", busy[i]:wait()) end
  luv.fs_close(fd)
  os.remove(path)
end

describe("a request that waits for a thread", function()
  after_each(world.check_clean)

  for _, operation in ipairs(operations.requests) do
    it("is cancelled with its job, at once: " .. operation.name, function()
      local env = operations.with(operation, function(_, env)
        while_threads_are_busy(env, function()
          local job = env.jobs:spawn(operation.call, env)
          world.settle(job)
          job:cancel()
          job:join()
          assert.equal("cancelled", job.state)
        end)
      end)
      check_after(operation, env)
    end)
  end
end)

describe("a request that is being worked on", function()
  after_each(world.check_clean)

  local function given_up(leave)
    local path = fifo()
    uvjobs.run(function()
      local jobs <close> = helper.quiet()
      local job = jobs:spawn(leave.protected and uvjobs.protect or opens,
        leave.protected and opens or path, path)
      world.settle(job)
      leave.how(job)
      assert.equal(leave.state, job.state)
    end)
    local fd = open_up(path)
    world.drain_requests()
    luv.fs_close(fd)
    os.remove(path)
  end

  it("closes the file that it opens after its job was cancelled", function()
    given_up { state = "cancelled", how = function(job)
      job:cancel()
      job:join()
    end }
  end)

  it("closes the file that it opens after its job was killed", function()
    given_up { state = "killed", protected = true, how = function(job)
      pcall(job.close, job, 0)
    end }
  end)
end)
