-- A look at some of very many jobs: what `uvjobs top` and the page ask for.

local answer = require "uvjobs.inspect.answer"
local core = require "uvjobs.core"
local helper = require "spec.helper"
local lines = require "uvjobs.inspect.lines"
local Look = require "uvjobs.insight.look"
local uvjobs = require "uvjobs"

--- The answer to a question, as records by what they are: { job = { { id = }, ... }, ... }; and
--- how many jobs something was made of for it.
local function ask(question, seen)
  local count, original = 0, core.seen_glance
  local _ <close> = setmetatable({}, { __close = function() core.seen_glance = original end })
  core.seen_glance = function(...)
    count = count + 1
    return original(...)
  end
  local found = {}
  for line in answer(question, seen or {}):gmatch "[^\n]+" do
    local kind, fields = lines.decode(line)
    found[kind] = found[kind] or {}
    table.insert(found[kind], fields)
  end
  return found, count
end

local function ids_of(jobs)
  local ids = {}
  for i, job in ipairs(jobs or {}) do ids[i] = job.id end
  return table.concat(ids, " ")
end

--- Calls `fn(jobs)` in a run with so many jobs besides the main one.
local function among(count, fn, options)
  return uvjobs.run(options or { clock = "virtual" }, function()
    local jobs <close> = helper.quiet { name = "many", limit = math.huge }
    local queue = uvjobs.queue()
    for i = 1, count do
      if i % 2 == 0 then jobs:spawn(queue.get, queue) else jobs:spawn(uvjobs.sleep, 1e6) end
    end
    uvjobs.sleep(0)
    fn(jobs)
    jobs:close()
  end)
end

describe("a look at some of many jobs", function()
  after_each(helper.check_clean)

  it("makes nothing of those that are only counted #I15", function()
    for _, sort in ipairs { "age", "resumes", "ran", "ready" } do
      among(5000, function()
        local found, count = ask("top " .. sort .. " 20")
        assert.equal(20, #found.job)
        assert.equal("5001", found.loop[1].jobs)
        assert.equal("5000", found.scheduler[2].active)
        local kinds = {}
        for _, kind in ipairs(found.kind) do kinds[kind.name] = kind.jobs end
        assert.same({ get = "2500", sleep = "2500", run = "1" }, kinds)
        assert.is_true(count <= 20 + 2, count) -- the first of each scheduler, besides
      end)
    end
  end)

  it("finds the same jobs as a look at all, in the same order", function()
    uvjobs.run({ stats = true, clock = "virtual" }, function()
      local jobs <close> = helper.quiet { limit = math.huge }
      for i = 1, 300 do
        jobs:spawn(function()
          for _ = 1, i * 37 % 101 do uvjobs.yield() end
          uvjobs.sleep(1e6)
        end)
      end
      uvjobs.sleep(1)
      local all = Look.take(true).records
      table.sort(all, function(a, b)
        local x, y = a.job.resumes, b.job.resumes
        if x ~= y then return x > y end
        return a.id < b.id
      end)
      for _, most in ipairs { 0, 1, 7, 299, 301, 5000 } do
        local expected = {}
        for i = 1, math.min(most, #all) do expected[i] = all[i].id end
        assert.equal(table.concat(expected, " "), ids_of((ask("top resumes " .. most)).job))
      end
      jobs:close()
    end)
  end)

  it("orders by times that are measured", function()
    uvjobs.run({ stats = true }, function()
      local jobs <close> = helper.quiet { limit = math.huge }
      local function compute()
        local over = uvjobs.now() + 0.01
        while uvjobs.now() < over do end
        uvjobs.sleep(1e6)
      end
      for _ = 1, 20 do jobs:spawn(uvjobs.sleep, 1e6) end
      local busy = jobs:spawn(compute)
      local behind = jobs:spawn(uvjobs.sleep, 1e6)
      uvjobs.sleep(0.02)
      assert.equal(tostring(busy.id), ids_of((ask "top ran 1").job))
      assert.equal(tostring(behind.id), ids_of((ask "top ready 1").job))
      jobs:close()
    end)
  end)

  it("has the jobs of circles, and those that hold them, wherever they are", function()
    among(1000, function(jobs)
      local a, b = uvjobs.mutex(), uvjobs.mutex()
      for i = 1, 2 do
        jobs:spawn({ name = "j" .. i }, function()
          (i == 1 and a or b):lock()
          uvjobs.sleep(1);
          (i == 1 and b or a):lock()
        end)
      end
      local owner = jobs:spawn({ name = "owner" }, uvjobs.sleep, 1e6)
      jobs:spawn({ name = "joiner" }, function() owner:join() end)
      uvjobs.sleep(2)
      local found, count = ask "top age 3"
      assert.equal(1, #found.circle)
      assert.equal(3 + 2, #found.job)
      assert.is_true(count < 20, count)
    end)
  end)

  it("knows who has a permit that somebody waits for", function()
    among(10, function(jobs)
      local semaphore = uvjobs.semaphore(1)
      for i = 1, 2 do
        jobs:spawn({ name = "user " .. i }, function()
          local _ <close> = semaphore:permit()
          uvjobs.sleep(1e6)
        end)
      end
      uvjobs.sleep(1)
      local found = ask "top age 100"
      local by_name = {}
      for _, job in ipairs(found.job) do by_name[job.name or ""] = job end
      assert.matches('held by #%d+ "user 1"', by_name["user 2"].waits)
    end)
  end)

  it("makes nothing of jobs that wait for each other, when the last one can go on", function()
    among(10, function(jobs)
      local last = jobs:spawn(uvjobs.sleep, 1e6)
      for _ = 1, 1000 do
        local before = last
        last = jobs:spawn({ report = false }, before.join, before)
      end
      uvjobs.sleep(0)
      local found, count = ask "top age 5"
      assert.is_nil(found.circle)
      assert.is_true(count < 20, count)
      local youngest = jobs:spawn({ report = false }, function()
        helper.yield(9)
        last:join()
      end)
      uvjobs.sleep(1)
      found, count = ask "top resumes 1"
      assert.equal(tostring(youngest.id), found.job[1].id)
      assert.matches("^it waits for the end of job #%d+$", found.job[1].waits)
      assert.is_true(count < 20, count)
    end)
  end)

  it("tells of pending jobs who has the slots, and makes nothing of the others", function()
    uvjobs.run({ clock = "virtual" }, function()
      local jobs <close> = helper.quiet { name = "few", limit = 1, pending_limit = math.huge }
      for i = 1, 1000 do jobs:spawn({ name = "n" .. i }, uvjobs.sleep, 1e6) end
      uvjobs.sleep(0)
      local found, count = ask "top resumes 2"
      assert.equal("999", found.scheduler[2].pending)
      assert.equal(2, #found.job)
      assert.is_true(count < 20, count)
      jobs:close()
    end)
  end)

  it("is empty outside of a run, and takes any number", function()
    for _, most in ipairs { "0", "1", "4294967297", "99999999999999999999999" } do
      assert.equal("0", (ask("top age " .. most)).loop[1].jobs)
    end
  end)
end)
