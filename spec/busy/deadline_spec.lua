-- Jobs that compute without suspending are stopped when their time is up, whoever set it.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

-- LONG is a close timeout that never passes in these specs, and SHORT is one that does.
local LONG, SHORT = 60, 0.01
-- The time limit of a job, in seconds. It passes while the job computes.
local LIMIT = 0.001

local closing, burn, forever = helper.closing, helper.burn, helper.forever

--- A job's function `fn` and what the specs know of it. The function calls run(self), which sets
--- `self.begun` where it waits for the error.
local function subject(run)
  local self = { log = helper.log() }
  local function note(what)
    return closing(function(_, err) self.log:add(what .. " " .. tostring(uvjobs.code(err))) end)
  end
  function self.fn()
    self.job = uvjobs.current()
    local _ <close> = note "outer"
    local _ <close> = note "inner"
    return run(self)
  end
  return self
end

-- What jobs do about the error: nothing, catch it and compute for a while, or go on for ever.

local function obedient()
  return subject(function(self)
    self.begun = true
    forever()
  end)
end

local function recovering()
  return subject(function(self)
    self.caught = {}
    local stop = 0
    while #self.caught == 0 or uvjobs.now() < stop do
      local ok, err = pcall(function()
        self.begun = true
        if #self.caught == 0 then forever() end
        burn(0.002)
      end)
      if not ok then
        self.caught[#self.caught + 1] = err
        stop = uvjobs.now() + 0.008
      end
    end
    return "recovered"
  end)
end

local function stubborn()
  return subject(function(self)
    self.caught = {}
    while true do
      local _, err = pcall(function()
        self.begun = true
        forever()
      end)
      self.caught[#self.caught + 1] = err
    end
  end)
end

-- Ways to stop a job. Each gets a scheduler, the job's function, a time limit, and the seconds that
-- the job has to end; it returns what pcall gave to the one who waits. When the job has to be
-- killed, the waiter is `told`; or the handler has heard that it is `late`; or else it hears now.

local ways, names = {}, {}

ways["spawn({ timeout = t }, ...)"] = {
  raised = "timeout", waiter = { "timeout", nil, "killed" }, state = "failed",
  stop = function(s, fn, limit)
    local job = s:spawn({ timeout = limit }, fn)
    return pcall(job.wait, job)
  end,
}

ways["job:wait(t)"] = {
  raised = "cancelled", waiter = { "timeout", "timeout", "timeout" }, state = "cancelled",
  told = true,
  stop = function(s, fn, limit)
    local job = s:spawn(fn)
    local ok, err = pcall(job.wait, job, limit)
    assert.equal(job, err.job)
    return ok, err
  end,
}

ways["scheduler:wait_and_close(t)"] = {
  raised = "cancelled", waiter = {}, state = "cancelled", late = true,
  stop = function(s, fn, limit)
    s:spawn(fn)
    return pcall(s.wait_and_close, s, limit)
  end,
}

ways["scheduler:wait_and_close() at the end of its wait_timeout"] = {
  raised = "cancelled", waiter = {}, state = "cancelled", waits = true, late = true,
  stop = function(s, fn)
    return pcall(function()
      local block <close> = s
      block:spawn(fn)
    end)
  end,
}

ways["leaving the block of local s <close> under uvjobs.timeout"] = {
  raised = "cancelled", waiter = { "timeout", "timeout", "timeout" }, state = "cancelled",
  stop = function(s, fn, limit)
    return pcall(uvjobs.timeout, limit, function()
      local block <close> = s
      block:spawn(fn)
    end)
  end,
}

-- Spawns a job that sleeps in protect and calls fn afterwards, so that fn runs after the close.
local function asleep(s, fn)
  local job = s:spawn(function()
    uvjobs.protect(uvjobs.sleep, 0)
    return fn()
  end)
  uvjobs.yield()
  return job
end

ways["job:close(t) of a job that was suspended"] = {
  raised = "cancelled", waiter = { nil, nil, "timeout" }, state = "cancelled", told = true,
  stop = function(s, fn, _, seconds)
    local job = asleep(s, fn)
    return pcall(job.close, job, seconds)
  end,
}

ways["scheduler:close() while it was suspended"] = {
  raised = "cancelled", waiter = {}, state = "cancelled",
  stop = function(s, fn)
    asleep(s, fn)
    return pcall(s.close, s)
  end,
}

-- Spawns a job, and returns when it was preempted in the middle of its work.
local function preempted(s, fn)
  local job = s:spawn(fn)
  while job.preemptions == 0 do uvjobs.yield() end
  return job
end

ways["job:close(t) of a job that was preempted"] = {
  raised = "cancelled", waiter = { nil, nil, "timeout" }, state = "cancelled", told = true,
  sliced = true,
  stop = function(s, fn, _, seconds)
    local job = preempted(s, fn)
    return pcall(job.close, job, seconds)
  end,
}

ways["scheduler:close() while it was preempted"] = {
  raised = "cancelled", waiter = {}, state = "cancelled", sliced = true,
  stop = function(s, fn)
    preempted(s, fn)
    return pcall(s.close, s)
  end,
}

for name, group in pairs {
  all = function(fn) return uvjobs.all { fn } end,
  map = function(fn) return uvjobs.map({ 1 }, fn) end,
} do
  ways[name .. " under uvjobs.timeout"] = {
    raised = "cancelled", waiter = { "timeout", "timeout", "timeout" }, state = "cancelled",
    stop = function(s, fn, limit)
      local job = s:spawn(uvjobs.timeout, limit, group, fn)
      return pcall(job.wait, job)
    end,
  }
end

for name in pairs(ways) do names[#names + 1] = name end
table.sort(names)

local settings = {}
for _, interrupt in ipairs { "SIGURG", "count" } do
  for _, timeslice in ipairs { math.huge, 0.002 } do
    settings[#settings + 1] = {
      interrupt = interrupt, timeslice = timeslice, sliced = timeslice < 1,
      text = (", by %s, %s slices"):format(interrupt, timeslice < 1 and "with" or "without"),
    }
  end
end

-- Stops a subject in this way; it has `close_timeout` seconds to end. Returns the subject, the code
-- that the waiter got, and the contexts that the exception handler got.
local function try_to_stop(way, setting, close_timeout, new_subject, limit)
  local it_is, contexts, code = new_subject(), {}, nil
  uvjobs.run({ interrupt = setting.interrupt }, function()
    local s = uvjobs.scheduler {
      timeslice = setting.timeslice, close_timeout = close_timeout,
      wait_timeout = way.waits and limit,
      exception_handler = helper.recorder(contexts),
    }
    local _, err = way.stop(s, it_is.fn, limit, close_timeout)
    code = uvjobs.code(err)
    s:close()
  end)
  return it_is, code, contexts
end

local function stop(way, setting, close_timeout, new_subject)
  return helper.lengthen(LIMIT, function(limit)
    local it_is, code, contexts = try_to_stop(way, setting, close_timeout, new_subject, limit)
    return it_is.begun, it_is, code, contexts
  end)
end

local function messages(message) return { message or nil } end

local function list_messages(contexts)
  local list = {}
  for i, context in ipairs(contexts) do list[i] = context.message end
  return list
end

describe("a job that computes for ever is stopped", function()
  after_each(helper.check_clean)

  for _, name in ipairs(names) do
    local way = ways[name]
    for _, setting in ipairs(settings) do
      if setting.sliced or not way.sliced then
        it("by " .. name .. ": its <close> variables see the error #M7" .. setting.text, function()
          local job, code, contexts = stop(way, setting, LONG, obedient)
          assert.same({ "inner " .. way.raised, "outer " .. way.raised }, { table.unpack(job.log) })
          assert.equal(way.state, job.job.state)
          assert.equal(way.waiter[1], code)
          assert.same(messages(way.late and "Waiting timed out"), list_messages(contexts))
        end)

        it("by " .. name .. ": the error is raised once" .. setting.text, function()
          local job, code, contexts = stop(way, setting, LONG, recovering)
          assert.equal(1, #job.caught)
          assert.equal(way.raised, uvjobs.code(job.caught[1]))
          assert.equal(way.raised == "cancelled" and job.job or nil, job.caught[1].job)
          assert.same({ "inner nil", "outer nil" }, { table.unpack(job.log) })
          assert.equal("done", job.job.state)
          assert.equal(way.waiter[2], code)
          assert.same(messages(way.late and "Waiting timed out"), list_messages(contexts))
        end)

        it("by " .. name .. ": it is killed if it goes on #M8" .. setting.text, function()
          local job, code, contexts = stop(way, setting, SHORT, stubborn)
          assert.is_true(#job.caught <= 1)
          assert.same({ "inner killed", "outer killed" }, { table.unpack(job.log) })
          assert.equal("killed", job.job.state)
          assert.equal(way.waiter[3], code)
          local message = way.late and "Waiting timed out"
            or not way.told and "Job closing timed out"
          assert.same(messages(message), list_messages(contexts))
          local context = contexts[1]
          if way.late or way.told then return end
          assert.equal(job.job, context.job)
          assert.equal("killed", uvjobs.code(context.exception))
          assert.equal(job.job, context.exception.job)
          assert.matches("busy/deadline_spec", context.traceback)
        end)
      end
    end
  end
end)

describe("the main job", function()
  after_each(helper.check_clean)

  -- Runs a subject as the main job, which uvjobs.timeout stops; returns it and the error.
  local function stop_main(code, options, new_subject)
    return helper.lengthen(LIMIT, function(limit)
      local job = new_subject()
      local ok, err = pcall(uvjobs.run, options, uvjobs.timeout, limit, job.fn)
      assert.is_false(ok)
      if job.begun then assert.equal(code, uvjobs.code(err)) end
      return job.begun, job, err
    end)
  end

  for _, setting in ipairs(settings) do
    local options = { interrupt = setting.interrupt, timeslice = setting.timeslice }

    it("is interrupted at the end of uvjobs.timeout" .. setting.text, function()
      local job, err = stop_main("timeout", options, obedient)
      assert.is_nil(err.job)
      assert.same({ "inner timeout", "outer timeout" }, { table.unpack(job.log) })
      assert.equal("failed", job.job.state)
    end)

    it("goes on after uvjobs.timeout" .. setting.text, function()
      assert.equal("next", uvjobs.run(options, function()
        helper.raises("timeout", uvjobs.timeout, LIMIT, forever)
        uvjobs.sleep(0)
        return "next"
      end))
    end)

    it("is killed if it goes on within uvjobs.timeout #M8" .. setting.text, function()
      local job, err = stop_main("killed", options, stubborn)
      assert.equal(job.job, err.job)
      assert.same({ "inner killed", "outer killed" }, { table.unpack(job.log) })
      assert.equal("killed", job.job.state)
      local reports = helper.take_reports()
      assert.equal(1, #reports)
      assert.equal("Job closing timed out", reports[1].message)
      assert.equal(job.job, reports[1].job)
      assert.matches("busy/deadline_spec", reports[1].traceback)
    end)
  end
end)

describe("a deadline of a job that computes", function()
  after_each(helper.check_clean)

  it("is not raised when the call is left before", function()
    helper.virtual(function()
      assert.equal("left", uvjobs.timeout(0, function() return "left" end))
    end)
    uvjobs.run(function()
      assert.equal("left", uvjobs.timeout(60, function() burn(0.02) return "left" end))
      burn(0.02)
    end)
  end)

  it("is the outer one when that is earlier, in the inner call and after it", function()
    uvjobs.run({ clock = "virtual", timeslice = 0.001 }, function()
      local codes = helper.log()
      local ok = pcall(uvjobs.timeout, LIMIT, function()
        local _, err = pcall(uvjobs.timeout, 60, forever)
        codes:add(uvjobs.code(err))
        _, err = pcall(uvjobs.sleep, 0)
        codes:add(uvjobs.code(err))
      end)
      assert.is_true(ok)
      assert.same({ "timeout", "timeout" }, { table.unpack(codes) })
      uvjobs.sleep(0)
    end)
  end)

  it("of the inner call does not end the outer one", function()
    uvjobs.run(function()
      uvjobs.timeout(60, function()
        helper.raises("timeout", uvjobs.timeout, LIMIT, forever)
        burn(0.02)
        uvjobs.sleep(0)
      end)
    end)
  end)

  it("is raised also at the time at which another one was", function()
    helper.virtual(function()
      helper.raises("timeout", uvjobs.timeout, LIMIT, forever)
      helper.raises("timeout", uvjobs.timeout, 0, forever)
      helper.raises("timeout", uvjobs.timeout, 0, uvjobs.timeout, 0, forever)
    end)
  end)

  it("stops several jobs, in their order, while the main job waits", function()
    local log = helper.log()
    uvjobs.run({ clock = "virtual" }, function()
      local s <close> = uvjobs.scheduler {
        close_timeout = LONG, timeslice = 0.001, exception_handler = error,
      }
      local jobs = {}
      for i = 1, 3 do
        jobs[i] = s:spawn({ timeout = LIMIT }, function()
          local _ <close> = closing(function(_, err) log:add(i .. " " .. uvjobs.code(err)) end)
          forever()
        end)
      end
      for i = 1, 3 do helper.raises("timeout", jobs[i].wait, jobs[i]) end
    end)
    assert.same({ "1 timeout", "2 timeout", "3 timeout" }, { table.unpack(log) })
  end)

  it("of virtual time passes while it computes, in slices", function()
    local function run()
      return helper.virtual(function()
        local s <close> = uvjobs.scheduler { timeslice = 0.001, close_timeout = LONG }
        local job = s:spawn({ timeout = 0.01 }, forever)
        helper.raises("timeout", job.wait, job)
        assert.is_true(uvjobs.now() >= 0.01)
        return uvjobs.now(), job.preemptions
      end)
    end
    assert.same({ run() }, { run() })
  end)

  it("of virtual time passes after a second of real time, without slices", function()
    helper.virtual(function()
      local s <close> = uvjobs.scheduler { close_timeout = LONG }
      local job = s:spawn({ timeout = 3600 }, forever)
      helper.raises("timeout", job.wait, job)
      assert.is_true(uvjobs.now() >= 3600)
    end)
  end)
end)
