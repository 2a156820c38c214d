-- What insight.jobs() says of jobs that wait for one thing each.

local helper = require "spec.helper"
local insight = require "uvjobs.insight"
local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"

local virtual, in_run = helper.virtual, helper.in_run

--- The record of a job.
local function record_of(job)
  for record in insight.jobs() do
    if record.job == job then return record end
  end
end

--- Runs `wait` in a job of its own, and returns what is seen of it.
local function seen(wait, options)
  local scheduler <close> = helper.quiet { name = "shop" }
  local job = scheduler:spawn(options or {}, wait)
  uvjobs.sleep(0.5)
  local record = record_of(job)
  scheduler:close()
  return record
end

describe("insight.jobs", function()
  it("has every job that lives once, in the order of spawning #I2", function()
    virtual(function()
      local scheduler <close> = uvjobs.scheduler { limit = 2 }
      local jobs = { uvjobs.current() }
      for _ = 1, 5 do jobs[#jobs + 1] = scheduler:spawn(uvjobs.sleep, 9) end
      uvjobs.yield()
      local found = {}
      for record in insight.jobs() do found[#found + 1] = record.job end
      assert.same(jobs, found)
      scheduler:close()
    end)
  end)

  it("says who spawned a job, in which scheduler, its state and its name", function()
    virtual(function()
      local record = seen(function() uvjobs.sleep(9) end, { name = "import" })
      assert.equal(uvjobs.current().id, record.parent)
      assert.equal("shop", record.scheduler.name)
      assert.equal("active", record.state)
      assert.equal("import", record.name)
      assert.is_nil(record_of(uvjobs.current()).parent)
    end)
  end)

  it("says where a job stands, outside of the library's own code", function()
    virtual(function()
      local line = debug.getinfo(1, "l").currentline + 1
      local record = seen(function() uvjobs.all { function() uvjobs.sleep(9) end } end)
      assert.matches("look_spec.lua:" .. line .. "$", record.at)
    end)
  end)

  it("tells a wait for a policy", function()
    virtual(function()
      local rate, limit = policy.rate { rate = 0.01, burst = 1 }, policy.limit { limit = 1 }
      for _, one in ipairs { { rate, "rate", "it waits for its turn by a rate" },
        { limit, "limit", "it waits for a place of a limit" } } do
        local first <close> = helper.quiet()
        first:spawn(one[1].call, one[1], uvjobs.sleep, 9)
        uvjobs.yield()
        local record = seen(function() one[1]:call(uvjobs.sleep, 9) end)
        assert.same({ one[2], "none" }, { record.kind, record.needs })
        assert.matches("^" .. one[3], record.waits_for)
        first:close()
      end
    end)
  end)

  it("tells a sleep, with what is left of it", function()
    virtual(function()
      local record = seen(function() uvjobs.sleep(9) end)
      assert.equal("sleep", record.kind)
      assert.equal(8.5, record.left)
      assert.equal("it sleeps, 8.5 s left", record.waits_for)
    end)
  end)

  it("tells that others run on top of a job, and where it stands", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { timeslice = 1e-5 }
      local done, line = false, debug.getinfo(1, "l").currentline + 3
      local job = jobs:spawn(function()
        table.sort({ 2, 1 }, function()
          while not done do end
          return false
        end)
      end)
      uvjobs.sleep(1e-4)
      for record in insight.jobs() do
        if record.job == job then
          assert.same({ "covered", "it is busy, and others run on top of it" },
            { record.kind, record.waits_for })
          assert.matches("look_spec.lua:" .. line .. "$", record.at)
        end
      end
      done = true
    end)
  end)

  it("tells a wait for a job, and names it", function()
    virtual(function()
      local scheduler <close> = helper.quiet()
      local target = scheduler:spawn({ name = "slow" }, uvjobs.sleep, 9)
      local record = seen(function() target:wait() end)
      assert.equal("job", record.kind)
      assert.equal(target, record.holders[1].job)
      assert.equal(("it waits for the end of job #%d \"slow\""):format(target.id), record.waits_for)
      scheduler:close()
    end)
  end)

  it("tells a wait for a mutex, and who has locked it", function()
    virtual(function()
      local mutex = uvjobs.mutex()
      local _ <close> = mutex:permit()
      local record = seen(function() mutex:lock() end)
      assert.equal("mutex", record.kind)
      assert.equal(uvjobs.current(), record.holders[1].job)
      assert.equal('it waits for a mutex, locked by #1 "main"',
        (record.waits_for:gsub("#%d+", "#1")))
    end)
  end)

  it("tells a wait for a semaphore, and which jobs have its permits", function()
    virtual(function()
      local semaphore = uvjobs.semaphore(2)
      local scheduler <close> = helper.quiet()
      local function hold()
        local _ <close> = semaphore:permit()
        uvjobs.sleep(9)
      end
      local first, second = scheduler:spawn(hold), scheduler:spawn(hold)
      uvjobs.yield()
      local record = seen(function() semaphore:permit() end)
      assert.equal("permit", record.kind)
      assert.equal(semaphore, record.thing)
      assert.same({ first, second }, { record.holders[1].job, record.holders[2].job })
      assert.equal("any", record.needs)
      scheduler:close()
    end)
  end)

  it("does not claim to know who holds a permit that acquire() took", function()
    virtual(function()
      local semaphore = uvjobs.semaphore(1)
      semaphore:acquire()
      local record = seen(function() semaphore:permit() end)
      assert.same({}, record.holders)
      assert.equal("none", record.needs)
    end)
  end)

  it("does not take a permit that was given back for one that is held", function()
    virtual(function()
      local semaphore = uvjobs.semaphore(1)
      local permit = semaphore:permit()
      permit:release()
      semaphore:acquire()
      local record = seen(function() semaphore:permit() end)
      assert.same({}, record.holders)
      assert.is_userdata(permit)
    end)
  end)

  it("tells waits for queues, events and several of them, with the object", function()
    virtual(function()
      local queue, event = uvjobs.queue(0), uvjobs.event()
      local get = seen(function() queue:get() end)
      assert.same({ "get", queue }, { get.kind, get.thing })
      local put = seen(function() queue:put(1) end)
      assert.same({ "put", queue }, { put.kind, put.thing })
      local wait = seen(function() event:wait() end)
      assert.same({ "event", event }, { wait.kind, wait.thing })
      local select = seen(function() uvjobs.select { queue, event } end)
      assert.same({ "select", "none" }, { select.kind, select.needs })
    end)
  end)

  it("tells a wait for an idle scheduler, and its jobs", function()
    virtual(function()
      local scheduler <close> = helper.quiet { name = "store" }
      local job = scheduler:spawn(uvjobs.sleep, 9)
      local record = seen(function() scheduler:wait_idle() end)
      assert.equal("idle", record.kind)
      assert.equal('it waits until scheduler "store" has no job', record.waits_for)
      assert.same({ job }, { record.holders[1].job, (record.holders[2] or {}).job })
      scheduler:close()
    end)
  end)

  it("tells a job that is pending, and who has the slots", function()
    virtual(function()
      local scheduler <close> = helper.quiet { limit = 1, name = "one" }
      local first = scheduler:spawn(uvjobs.sleep, 9)
      local second = scheduler:spawn(uvjobs.sleep, 9)
      uvjobs.yield()
      local record = record_of(second)
      assert.same({ "slot", "pending", first },
        { record.kind, record.state, record.holders[1].job })
      scheduler:pause()
      assert.equal('it waits for a slot of scheduler "one", which is paused',
        record_of(second).waits_for)
      scheduler:close()
    end)
  end)

  it("tells a job that cannot spawn because a scheduler is full", function()
    virtual(function()
      local scheduler <close> = helper.quiet { limit = 1, pending_limit = 0, name = "full" }
      local first = scheduler:spawn(uvjobs.sleep, 9)
      local record = seen(function() scheduler:spawn(uvjobs.sleep, 9) end)
      assert.equal("place", record.kind)
      assert.equal(first, record.holders[1].job)
      assert.equal(('it waits to spawn a job on scheduler "full", full of #%d'):format(first.id),
        record.waits_for)
      scheduler:close()
    end)
  end)

  it("names the command and the process of exec", in_run(function()
    local scheduler <close> = helper.quiet()
    local job = scheduler:spawn(function() uvjobs.exec("sleep", { "60" }) end)
    repeat uvjobs.sleep(0.001) until record_of(job).doing
    assert.matches('^it runs the command "sleep", process %d+$', record_of(job).waits_for)
    scheduler:close()
  end))

  it("forgets the command when exec has returned", in_run(function()
    uvjobs.exec("true")
    assert.is_nil(record_of(uvjobs.current()).doing)
  end))

  it("knows the ages of 20,000 jobs within 5 % under a virtual clock", function()
    virtual(function()
      local scheduler <close> = helper.quiet { limit = math.huge }
      local born, spans = {}, { 0.001, 0.01, 0.1, 1 }
      for i = 1, 20000 do
        born[scheduler:spawn(uvjobs.sleep, 1e6)] = uvjobs.now()
        if i % 10 == 0 then uvjobs.sleep(spans[i // 10 % 4 + 1]) end
      end
      local now, checked = uvjobs.now(), 0
      for record in insight.jobs() do
        local birth = born[record.job]
        if birth then
          local age = now - birth
          assert(record.age >= age - 1e-9, "too young")
          assert(record.age <= age * 1.05 + 1e-9, "too old")
          checked = checked + 1
        end
      end
      assert.equal(20000, checked)
      scheduler:close()
    end)
  end)

  it("can be called outside of a run, where there are no jobs", function()
    assert.is_nil(insight.jobs()())
  end)
end)
