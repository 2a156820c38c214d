local base = require "spec.helper"
local durable = require "spec.durable.helper"
local schedule = require "uvjobs.schedule"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

-- The times at which the tasks of a kind were due, in order.
local function times_of(store, kind)
  local times = {}
  for task in store:tasks { kind = kind } do times[#times + 1] = task.due end
  table.sort(times)
  return times
end

return function(kind)
  -- How long a period is, and how many pass.
  local period = kind.virtual and 60 or 0.2

  it("stores one task at each time, with several stores that say so #D18", function()
    local place = kind.new()
    uvjobs.run({ clock = kind.virtual and "virtual" or "real" }, function()
      local open = require "uvjobs.durable".open
      local anchor = uvjobs.time()
      local every = schedule.every(period, { anchor = anchor })
      local store <close> = open(place.where, place.options)
      -- The store in memory is not shared: there it is said twice in one.
      local other <close> = kind.name == "memory" and store or open(place.where, place.options)
      for _, one in ipairs { store, other } do
        one:define("report", print)
        one:schedule("nightly", every, "report", { 7 }, { misfire = "all" })
      end
      repeat uvjobs.sleep(0.5 * period) until #times_of(store, "report") >= 5
      store:unschedule "nightly"
      local times = times_of(store, "report")
      -- On the real clock the first times may have passed before a slow machine had made it.
      local first = kind.virtual and 1 or math.floor((times[1] - anchor) / period + 0.5)
      assert.is_true(first >= 1)
      for i, time in ipairs(times) do
        assert.is_true(math.abs(time - anchor - (first + i - 1) * period) < 1e-3, i)
      end
      assert.same({ 7 }, store:get(1).args)
    end)
    place.remove()
  end)

  it("runs the tasks of a schedule", durable.with_store(kind, function(store)
    local due = uvjobs.queue()
    store:define("tick", function(task) due:put(task.due) end)
    store:schedule("tick", schedule.every(period), "tick")
    local _ <close> = durable.work(store)
    local first = due:get()
    assert.is_true(math.abs(due:get() - first - period) < 1e-3)
  end))

  it("changes a schedule in place #D19", durable.with_store(kind, function(store)
    store:define("tick", print)
    local before, after
    -- On the real clock a time may come between the two looks: then it is tried again.
    for _ = 1, kind.virtual and 1 or 10 do
      store:schedule("tick", schedule.every(period), "tick", 1)
      uvjobs.sleep(1.5 * period)
      before = store:schedules()[1]
      store:schedule("tick", schedule.every(1000 * period), "tick", 2)
      after = store:schedules()
      if before.last == after[1].last then break end
    end
    assert.equal(1, #after)
    assert.equal(2, after[1].args)
    assert.equal(before.last, after[1].last)
    assert.is_true(after[1].next > before.next)
    assert.is_true(store:unschedule "tick")
    assert.is_false(store:unschedule "tick")
    assert.same({}, store:schedules())
  end))

  it("checks what it is given", durable.with_store(kind, function(store)
    store:define("tick", print)
    local every = schedule.every(60)
    assert.matches("bad argument #1 to 'schedule' %(name",
      base.message(store.schedule, store, "", every, "tick"))
    assert.matches("bad argument #2 to 'schedule' %(uvjobs.Schedule expected, got number%)",
      base.message(store.schedule, store, "a", 60, "tick"))
    assert.matches("bad argument #3 to 'schedule' %(unknown kind 'tock', did you mean 'tick'%?",
      base.message(store.schedule, store, "a", every, "tock"))
    assert.matches("bad argument #4 to 'schedule' %(args: a function",
      base.message(store.schedule, store, "a", every, "tick", print))
    assert.matches("bad argument #5 to 'schedule' %(unknown option 'misfre', did you mean",
      base.message(store.schedule, store, "a", every, "tick", 1, { misfre = "all" }))
  end))

  if not kind.virtual then return end

  -- A schedule that was made, then nobody looked for ten periods.
  local function after_downtime(options, fn)
    return function()
      local place = kind.new()
      uvjobs.run({ clock = "virtual" }, function()
        local open = require "uvjobs.durable".open
        if kind.name == "memory" then place.store = open(place.where) end
        local store = place.store or open(place.where)
        store:define("report", print)
        store:schedule("nightly", schedule.every(60), "report", nil, options)
        if place.store then -- nobody looks after it: its job is closed
          store._scheduling:close()
          store._scheduling = nil
        else
          store:close()
        end
        uvjobs.sleep(630)
        store = place.store or open(place.where)
        store:define("report", print)
        store:schedule("nightly", schedule.every(60), "report", nil, options)
        uvjobs.sleep(1)
        fn(store, uvjobs.time())
        store:close()
      end)
      place.remove()
    end
  end

  it("stores the latest of the times that were missed #D18 #R8", after_downtime({},
    function(store, now)
      assert.same({ now - 31 }, times_of(store, "report"))
      assert.equal(now + 29, store:schedules()[1].next)
    end))

  it("stores none of them with 'skip' #D18 #R8", after_downtime({ misfire = "skip" },
    function(store, now)
      assert.same({}, times_of(store, "report"))
      assert.equal(now + 29, store:schedules()[1].next)
    end))

  it("stores all of them with 'all', up to the limit and within the grace #D18 #R8", after_downtime(
    { misfire = "all", misfire_limit = 5, misfire_grace = 200 }, function(store, now)
      assert.same({ now - 151, now - 91, now - 31 }, times_of(store, "report"))
    end))

  it("stores the last of them when there are more than the limit #D18 #R8", after_downtime(
    { misfire = "all", misfire_limit = 2 }, function(store, now)
      assert.same({ now - 91, now - 31 }, times_of(store, "report"))
    end))

  it("stores nothing twice when the date goes back #D10 #D18 #R6", durable.with_store(kind,
    function(store)
      store:define("report", print)
      store:schedule("nightly", schedule.every(60), "report")
      uvjobs.sleep(301)
      assert.equal(5, #times_of(store, "report"))
      testing.set_date(uvjobs.time() - 7200)
      uvjobs.sleep(7200)
      assert.equal(5, #times_of(store, "report"))
      uvjobs.sleep(3700) -- it is seen within an hour
      assert.is_true(#times_of(store, "report") > 5)
    end))

  it("lets years pass in no time #D27", durable.with_store(kind, function(store)
    local runs = 0
    store:define("yearly", function() runs = runs + 1 end)
    store:schedule("yearly", schedule.cron("0 0 1 1 *", { zone = "UTC" }), "yearly")
    local _ <close> = durable.work(store)
    uvjobs.sleep(3 * 366 * 86400)
    assert.equal(3, runs)
  end))
end
