-- What a look says of supervisors: who waits for a child, why a child has not started, and whose
-- jobs a supervisor ends.
local helper = require "spec.helper"
local insight = require "uvjobs.insight"
local uvjobs = require "uvjobs"

local function virtual(fn)
  return function() helper.virtual(fn) end
end

local function forever() uvjobs.sleep(1e6) end

-- A text without numbers of jobs, places and the time that is left.
local function plain(text)
  return (text:gsub("#%d+", "#"):gsub(" %([^\n]*:%d+%)", ""):gsub(", %S+ %l+ left", ""))
end

local function lines(...)
  return table.concat({ ... }, "\n")
end

-- A service whose child "db" is never ready; a job waits in start() for it, and another one in
-- start() for "web".
local function with_late_db(jobs)
  local service = uvjobs.supervisor { name = "service" }
  jobs:spawn({ report = false }, service.start, service, { name = "db", ready = true, forever })
  uvjobs.yield()
  local waiter = jobs:spawn({ report = false, name = "waiter" }, service.start, service,
    { name = "web", forever })
  uvjobs.sleep(1)
  return service, waiter
end

describe("insight.why", function()
  it("says that a job waits for a child that waits for its sibling's readiness", virtual(function()
    local jobs = helper.quiet { limit = math.huge }
    local service, waiter = with_late_db(jobs)
    assert.equal(lines('job # "waiter": it waits until child "web" of supervisor "service" '
      .. 'starts, behind child "db", which is not ready', 'job # "db": it sleeps'),
      plain(insight.why(waiter)))
    assert.same({}, insight.cycles())
    service:close()
    jobs:close()
  end))

  it("can be asked about a child that has no job yet, or has one", virtual(function()
    local jobs = helper.quiet { limit = math.huge }
    local service = with_late_db(jobs)
    assert.equal(lines('child "web" of supervisor "service" has not started: it is to start '
      .. 'behind child "db", which is not ready', 'job # "db": it sleeps'),
      plain(insight.why(service:child "web")))
    assert.equal('job # "db": it sleeps', plain(insight.why(service:child "db")))
    local web = service:child "web"
    service:close()
    assert.matches('"web".*: it has no job$', insight.why(web))
    jobs:close()
  end))

  it("says that a child waits for itself when it starts a sibling before it is ready",
    virtual(function()
      local jobs = helper.quiet { limit = math.huge }
      local service = uvjobs.supervisor { name = "service" }
      jobs:spawn({ report = false }, service.start, service, { name = "db", ready = true,
        function(child)
          service:start { name = "cache", forever }
          child:ready()
        end })
      uvjobs.sleep(1)
      assert.equal(lines(
        'job # "db": it waits until child "cache" of supervisor "service" starts, '
          .. 'behind child "db", which is not ready',
        'job # "db" again: these wait for each other, unless another job helps'),
        plain(insight.why(service:child "db")))
      assert.same({}, insight.cycles()) -- any job could call ready()
      service:close()
      jobs:close()
    end))

  it("says whom a supervisor ends, and who waits for that", virtual(function()
    local jobs <close> = helper.quiet { limit = math.huge }
    local service = uvjobs.supervisor { name = "service" }
    service:start { name = "slow", close_timeout = 50, function()
      local _ <close> = helper.closing(function() uvjobs.protect(uvjobs.sleep, 9) end)
      forever()
    end }
    uvjobs.yield()
    local stopper = jobs:spawn(service.stop, service, "slow")
    uvjobs.sleep(1)
    assert.equal(lines(
      'job #: it waits for the end of child "slow" of supervisor "service", which is being ended',
      'job # "slow", which its supervisor ends: it sleeps'), plain(insight.why(stopper)))
    local closer = jobs:spawn(service.close, service)
    uvjobs.sleep(1)
    assert.equal(lines(
      'job #: it waits for the end of supervisor "service", which is ending child "slow"',
      'job # "slow", which its supervisor ends: it sleeps'), plain(insight.why(closer)))
    jobs:close()
  end))

  it("follows those who wait until a whole supervisor has ended", virtual(function()
    local jobs = helper.quiet()
    local service = uvjobs.supervisor { name = "service" }
    service:start { name = "only", forever }
    local waiter = jobs:spawn({ report = false }, service.wait, service)
    uvjobs.sleep(1)
    assert.equal(lines('job #: it waits for the end of supervisor "service"',
      'job # "only": it sleeps'), plain(insight.why(waiter)))
    service:close()
    jobs:close()
  end))

  it("says that a child waits out its back-off, or its supervisor has not begun", virtual(function()
    local jobs = helper.quiet { limit = math.huge }
    local service = uvjobs.supervisor {
      name = "service", backoff = { base = 100 }, exception_handler = helper.ignore,
    }
    local child = service:start { name = "flaky", function() error "crash" end }
    uvjobs.sleep(1)
    local waiter = jobs:spawn({ report = false }, child.wait_ready, child)
    uvjobs.yield()
    assert.equal(lines(
      'job #: it waits until child "flaky" of supervisor "service" is started again',
      'job # "flaky": it sleeps'), plain(insight.why(waiter)))
    service:close()
    jobs:close()
  end))

  it("finds a circle through the end of a child that nothing limits #I4", virtual(function()
    local jobs = helper.quiet { limit = math.huge }
    local service = uvjobs.supervisor { name = "service" }
    local mutex = uvjobs.mutex()
    service:start { name = "child", close_timeout = math.huge, function()
      uvjobs.protect(function()
        uvjobs.sleep(1)
        mutex:lock()
      end)
    end }
    uvjobs.yield()
    local stopper = jobs:spawn({ report = false }, function()
      mutex:lock()
      service:stop "child"
    end)
    uvjobs.sleep(2)
    local circles = insight.cycles()
    assert.equal(1, #circles)
    assert.same({ service:child("child").job, stopper }, { circles[1][1].job, circles[1][2].job })
    jobs:close()
    service:close()
  end))
end)

describe("A dump", function()
  it("names the children that have not started, under their supervisor", virtual(function()
    local jobs = helper.quiet { limit = math.huge }
    local service = with_late_db(jobs)
    local text
    uvjobs.dump(function(said) text = said end)
    assert.is_truthy(text:find(lines(
      '  of supervisor "service": one_for_one, 2 children, 1 of them to start',
      '  child "web" of supervisor "service" has not started: it is to start '
        .. 'behind child "db", which is not ready'), 1, true))
    service:close()
    jobs:close()
  end))
end)

describe("The error of a run that is stuck", function()
  it("says that a child waits for itself, and which has not started", function()
    local _, message = pcall(helper.virtual, function()
      local service <close> = uvjobs.supervisor { name = "service" }
      service:start { name = "db", ready = true, function(child)
        service:start { name = "cache", forever }
        child:ready()
      end }
    end)
    message = plain(tostring(message))
    assert.is_truthy(message:find('this job waits for itself: # "db"\n', 1, true), message)
    assert.is_truthy(message:find('child "cache" of supervisor "service" has not started: it is '
      .. 'to start behind child "db", which is not ready', 1, true), message)
  end)
end)
