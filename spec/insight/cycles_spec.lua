-- Circles of jobs that wait for each other: those that are there are found, and no others.

local helper = require "spec.helper"
local insight = require "uvjobs.insight"
local graph = require "uvjobs.insight.graph"
local uvjobs = require "uvjobs"

local virtual = helper.virtual

--- The circles as lists of jobs.
local function circles()
  local list = {}
  for i, circle in ipairs(insight.cycles()) do
    list[i] = {}
    for k, record in ipairs(circle) do list[i][k] = record.job end
  end
  return list
end

local function lock_both(first, second)
  first:lock()
  uvjobs.sleep(1)
  second:lock()
end

describe("insight.cycles", function()
  it("looks for permits in so many functions of a stack that it does not take long #I3", function()
    local function waits_of(depth)
      local scheduler <close> = helper.quiet()
      local semaphore = uvjobs.semaphore(1)
      local function deep(n)
        if n > 0 then return (deep(n - 1)) end
        uvjobs.sleep(9)
      end
      scheduler:spawn(function()
        local _ <close> = semaphore:permit()
        deep(depth)
      end)
      local job = scheduler:spawn(function() local _ <close> = semaphore:permit() end)
      uvjobs.sleep(1)
      local text = insight.why(job)
      scheduler:close()
      return text
    end
    virtual(function()
      assert.matches("waits for a permit of a semaphore, held by", waits_of(5000))
      assert.not_matches("held by", waits_of(150000))
    end)
  end)

  it("finds two jobs that lock two mutexes in different orders #I4", function()
    virtual(function()
      local scheduler <close> = helper.quiet()
      local a, b = uvjobs.mutex(), uvjobs.mutex()
      local first = scheduler:spawn(lock_both, a, b)
      local second = scheduler:spawn(lock_both, b, a)
      uvjobs.sleep(2)
      assert.same({ { first, second } }, circles())
      scheduler:close()
    end)
  end)

  it("finds jobs that wait for each other's end", function()
    virtual(function()
      local scheduler <close> = helper.quiet()
      local jobs = {}
      for i = 1, 3 do
        jobs[i] = scheduler:spawn(function()
          uvjobs.yield()
          jobs[i % 3 + 1]:wait()
        end)
      end
      uvjobs.sleep(1)
      assert.same({ jobs }, circles())
      scheduler:close()
    end)
  end)

  it("finds a job that waits for a slot which only its waiter can free", function()
    virtual(function()
      local scheduler <close> = helper.quiet { limit = 1 }
      local inner
      local outer = scheduler:spawn(function()
        inner = scheduler:spawn(print)
        inner:wait()
      end)
      uvjobs.sleep(1)
      assert.same({ { outer, inner } }, circles())
      scheduler:close()
    end)
  end)

  it("finds none where one of two slots gets free", function()
    virtual(function()
      local scheduler <close> = helper.quiet { limit = 2 }
      scheduler:spawn(uvjobs.sleep, 9)
      scheduler:spawn(function() scheduler:spawn(uvjobs.yield):wait() end)
      uvjobs.sleep(1)
      assert.same({}, circles())
      scheduler:close()
    end)
  end)

  it("finds permits of a semaphore that wait for each other", function()
    virtual(function()
      local scheduler <close> = helper.quiet()
      local function take(first, second)
        local _ <close> = first:permit()
        uvjobs.sleep(1)
        local _ <close> = second:permit()
      end
      local a, b = uvjobs.semaphore(1), uvjobs.semaphore(1)
      local first, second = scheduler:spawn(take, a, b), scheduler:spawn(take, b, a)
      uvjobs.sleep(2)
      assert.same({ { first, second } }, circles())
      scheduler:close()
    end)
  end)

  it("finds none where a wait ends by itself", function()
    virtual(function()
      local scheduler <close> = helper.quiet()
      local a, b = uvjobs.mutex(), uvjobs.mutex()
      scheduler:spawn(lock_both, a, b)
      scheduler:spawn(function()
        b:lock()
        uvjobs.sleep(1)
        a:lock(60)
      end)
      uvjobs.sleep(2)
      assert.same({}, circles())
      scheduler:close()
    end)
  end)

  it("finds none where a job waits for a queue, to which anybody can put", function()
    virtual(function()
      local scheduler <close> = helper.quiet()
      local queue, mutex = uvjobs.queue(), uvjobs.mutex()
      scheduler:spawn(function()
        mutex:lock()
        queue:get()
      end)
      scheduler:spawn(mutex.lock, mutex)
      uvjobs.sleep(1)
      assert.same({}, circles())
      scheduler:close()
    end)
  end)

  it("is named in the error of a run that is stuck", function()
    local _, message = pcall(function()
      virtual(function()
        local scheduler <close> = helper.quiet { wait_timeout = math.huge }
        local a, b = uvjobs.mutex(), uvjobs.mutex()
        scheduler:spawn({ name = "left" }, lock_both, a, b)
        scheduler:spawn({ name = "right" }, lock_both, b, a)
      end)
    end)
    assert.matches('these jobs wait for each other, each for the next: #%d+ "left", #%d+ "right"',
      message)
  end)
end)

-- ---- against a reference ---------------------------------------------------------------

--- Who can go on, by trying until nothing changes.
local function reference(records)
  local goes_on, changed = {}, true
  while changed do
    changed = false
    for _, record in ipairs(records) do
      local free = 0
      for _, holder in ipairs(record.holders) do
        if goes_on[holder] then free = free + 1 end
      end
      local can = record.needs == "none" or #record.holders == 0
        or record.needs == "any" and free > 0
        or record.needs == "all" and free == #record.holders
      if can and not goes_on[record] then goes_on[record], changed = true, true end
    end
  end
  return goes_on
end

local function random_records()
  local records, shared = {}, {}
  for i = 1, math.random(2, 12) do records[i] = { id = i, holders = {}, needs = "none" } end
  for _ = 1, 2 do
    local list = {}
    for _ = 1, math.random(0, 4) do list[#list + 1] = records[math.random(#records)] end
    shared[#shared + 1] = list
  end
  for _, record in ipairs(records) do
    record.needs = ({ "none", "any", "all", "all" })[math.random(4)]
    if math.random(2) == 1 then
      record.holders = shared[math.random(2)]
    else
      for _ = 1, math.random(0, 3) do
        table.insert(record.holders, records[math.random(#records)])
      end
    end
  end
  return records
end

describe("the graph of waits", function()
  it("agrees with a reference in 5000 random graphs, and each circle is one", function()
    for _ = 1, 5000 do
      local records = random_records()
      local goes_on, stuck = reference(records), graph.stuck(records)
      for _, record in ipairs(records) do
        assert.equal(not goes_on[record], stuck[record] == true)
      end
      local circles_found = graph.circles(records, stuck)
      assert.equal(next(stuck) ~= nil, #circles_found > 0)
      for _, circle in ipairs(circles_found) do
        for i, record in ipairs(circle) do
          assert.is_true(stuck[record])
          assert.equal(circle[i % #circle + 1], graph.next(record, stuck))
        end
      end
    end
  end)
end)

describe("insight.why", function()
  it("follows the holders to the job that is not held by anybody", function()
    virtual(function()
      local scheduler <close> = helper.quiet()
      local mutex = uvjobs.mutex()
      scheduler:spawn({ name = "owner" }, function()
        mutex:lock()
        uvjobs.sleep(9)
      end)
      local waiter = scheduler:spawn({ name = "waiter" }, mutex.lock, mutex)
      local joiner = scheduler:spawn({ name = "joiner" }, function() waiter:wait() end)
      uvjobs.sleep(1)
      local text = insight.why(joiner):gsub("#%d+", "#"):gsub(" %(.-%)", "")
      assert.equal(table.concat({
        'job # "joiner": it waits for the end of job # "waiter"',
        'job # "waiter": it waits for a mutex, locked by # "owner"',
        'job # "owner": it sleeps, 8 s left',
      }, "\n"), text)
      scheduler:close()
    end)
  end)

  it("says where a circle closes", function()
    virtual(function()
      local scheduler <close> = helper.quiet()
      local a, b = uvjobs.mutex(), uvjobs.mutex()
      local first = scheduler:spawn(lock_both, a, b)
      scheduler:spawn(lock_both, b, a)
      uvjobs.sleep(2)
      assert.matches(("\njob #%d again: these wait for each other$"):format(first.id),
        insight.why(first))
      scheduler:close()
    end)
  end)

  it("says that a job has ended", function()
    virtual(function()
      local scheduler <close> = helper.quiet()
      local job = scheduler:spawn(print)
      job:wait()
      assert.equal(("job #%d: it has not started or has ended (done)"):format(job.id),
        insight.why(job))
    end)
  end)

  it("refuses what is no job", function()
    assert.has_error(function() insight.why(1) end,
      "bad argument #1 to 'why' (job or uvjobs.Child expected, got number)")
    assert.has_error(function() insight.why() end,
      "bad argument #1 to 'why' (job or uvjobs.Child expected, got nil)")
  end)
end)
