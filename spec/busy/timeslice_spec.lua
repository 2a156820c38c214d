-- Time slices: jobs that do not suspend are made to give way, so that all take turns.
local uvjobs = require "uvjobs"
local job_coroutine = require "uvjobs.coroutine"
local helper = require "spec.helper"

local virtual = helper.virtual

local SLICE <const> = 1e-5 -- 1000 instructions under the virtual clock

-- The ways to interrupt a job; each has a slice that suits it.
local ways = {
  { name = "by a signal", options = {}, slice = 0.001 },
  { name = "by another signal", options = { interrupt = "SIGUSR1" }, slice = 0.001 },
  { name = "by counting", options = { interrupt = "count" }, slice = 0.0001 },
  { name = "under the virtual clock", options = { clock = "virtual" }, slice = SLICE },
}

for _, way in ipairs(ways) do
  describe("a time slice, " .. way.name .. ",", function()
    after_each(helper.check_clean)

    -- A job that does not give way is ended after a minute, so that the specs cannot hang.
    local function run(fn) return uvjobs.run(way.options, uvjobs.timeout, 60, fn) end
    local function sliced(options)
      options = options or {}
      options.timeslice = way.slice
      return uvjobs.scheduler(options)
    end

    it("lets others tick while a job computes", function()
      run(function()
        local jobs <close> = sliced()
        local others <close> = uvjobs.scheduler()
        local ticks = 0
        local busy = jobs:spawn(function()
          while ticks < 20 do end
          return ticks
        end)
        others:spawn(function()
          for _ = 1, 20 do
            uvjobs.sleep(0.0001)
            ticks = ticks + 1
          end
        end)
        assert.equal(20, busy:wait(60))
        assert.is_true(busy.preemptions > 0)
        assert.equal(busy.preemptions + 1, busy.resumes)
      end)
    end)

    it("lets jobs wait for each other's flags without suspending", function()
      run(function()
        local jobs <close> = sliced()
        local turn, log = 1, helper.log()
        for i = 1, 4 do
          jobs:spawn(function()
            for _ = 1, 5 do
              while turn ~= i do end
              log:add(i)
              turn = i % 4 + 1
            end
          end)
        end
        jobs:wait_and_close()
        assert.equal(("1 2 3 4 "):rep(5), table.concat(log, " ") .. " ")
      end)
    end)

    it("of the main job lets the others run", function()
      uvjobs.run({ clock = way.options.clock, interrupt = way.options.interrupt,
                   timeslice = way.slice }, function()
        local others <close> = uvjobs.scheduler()
        local ticks = 0
        others:spawn(function()
          for _ = 1, 10 do uvjobs.yield() ticks = ticks + 1 end
        end)
        while ticks < 10 do end
        assert.is_true(uvjobs.current().preemptions > 0)
        assert.equal(math.huge, others.timeslice)
        assert.equal(way.slice, uvjobs.current().scheduler.timeslice)
      end)
    end)

    it("ends only when all that were ready before have run #M11", function()
      run(function()
        local jobs <close> = sliced()
        local others <close> = uvjobs.scheduler()
        local event, woken = uvjobs.event(), 0
        for _ = 1, 30 do
          others:spawn(function() event:wait() woken = woken + 1 end)
        end
        helper.yield()
        local seen = jobs:spawn(function()
          event:set()
          while woken == 0 do end
          return woken
        end):wait(60)
        assert.equal(30, seen)
      end)
    end)

    it("is not given to the jobs of a scheduler without one", function()
      run(function()
        local jobs <close> = sliced()
        local plain <close> = uvjobs.scheduler()
        local ticks = 0
        local done = false
        jobs:spawn(function() while not done do ticks = ticks + 1 end end)
        helper.yield(3)
        local greedy = plain:spawn(function()
          local before, start = ticks, uvjobs.now()
          for _ = 1, 20000 do end
          while way.options.clock == nil and uvjobs.now() < start + 0.008 do end
          return ticks - before
        end)
        assert.equal(0, greedy:wait())
        assert.is_true(ticks > 0)
        assert.equal(0, greedy.preemptions)
        assert.equal(1, greedy.resumes)
        assert.equal(0, uvjobs.current().preemptions)
        done = true
      end)
    end)

    it("is inherited by the children of all, race and map, and by shield", function()
      run(function()
        local jobs <close> = sliced()
        jobs:spawn({ timeout = 60 }, function()
          local function pair()
            local turn = 1
            local function flip(me)
              return function()
                for _ = 1, 3 do
                  while turn ~= me do end
                  turn = 3 - me
                end
                assert.is_true(uvjobs.current().preemptions > 0)
                assert.equal(way.slice, uvjobs.current().scheduler.timeslice)
                return me
              end
            end
            return flip(1), flip(2)
          end
          assert.same({ 1, 2, n = 2 }, (uvjobs.all { pair() }))
          assert.is_true((uvjobs.race { pair() }) <= 2)
          assert.same({ 1, 2, n = 2 }, uvjobs.map({ pair() }, function(fn) return fn() end))
          local flag = false
          local other = jobs:spawn(function() while not flag do end return "told" end)
          jobs:shield(function() flag = true while not other.closed do end end)
          assert.equal("told", other:wait())
        end):wait()
      end)
    end)

    it("holds for coroutines that uvjobs.coroutine resumes", function()
      run(function()
        local jobs <close> = sliced()
        local flags = {}
        local function generator(me, other)
          return job_coroutine.wrap(function()
            for i = 1, 3 do
              flags[me] = i
              while (flags[other] or 0) < i do end
              job_coroutine.yield(i)
            end
          end)
        end
        local function consume(me, other)
          local log = {}
          for i in generator(me, other) do log[#log + 1] = i end
          return table.concat(log)
        end
        local a, b = jobs:spawn(consume, "a", "b"), jobs:spawn(consume, "b", "a")
        assert.same({ "123", "123" }, { a:wait(60), b:wait(60) })
        assert.is_true(a.preemptions > 0 and b.preemptions > 0)
      end)
    end)
  end)
end

describe("preempted jobs", function()
  after_each(helper.check_clean)

  -- Runs the jobs `busy`, a list of names, and `others`, functions by name that get the function
  -- note. Returns the order in which they went on, as a list of names.
  local function order(busy, rounds, polite)
    local log, last = helper.log(), nil
    local function note(name)
      if last ~= name then log:add(name) end
      last = name
    end
    virtual(function()
      local jobs <close> = uvjobs.scheduler { timeslice = SLICE }
      for _, name in ipairs(busy) do
        jobs:spawn(function() for _ = 1, rounds do note(name) end end)
      end
      for _, name in ipairs(polite) do
        jobs:spawn(function()
          for _ = 1, 12 do note(name) uvjobs.yield() end
        end)
      end
    end)
    return log
  end

  it("take turns", function()
    local log = order({ "a", "b", "c", "d" }, 3000, {})
    assert.matches("^" .. ("a b c d "):rep(12), table.concat(log, " "))
  end)

  it("run one between two passes over those that suspend by themselves #M11", function()
    local log = table.concat(order({ "a", "b", "c" }, 3000, { "x", "y" }), " ")
    -- At first all are ready; then each slice is followed by x and y.
    assert.matches("^a b c x y [xy ]*" .. ("a x y b x y c x y "):rep(3), log)
    assert.equal(24, select(2, log:gsub("[xy]", "")))
  end)

  it("let a job that suspends run after every slice of theirs", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { timeslice = SLICE }
      local polite <close> = uvjobs.scheduler()
      local total, done = 0, false
      for _ = 1, 10 do jobs:spawn(function() while not done do end end) end
      polite:spawn(function()
        helper.yield() -- the first time all are ready before it
        for _ = 1, 200 do
          local before = uvjobs.stats().preemptions
          uvjobs.yield()
          local slices = uvjobs.stats().preemptions - before
          assert.is_true(slices <= 1)
          total = total + slices
        end
        done = true
      end):wait()
      assert.is_true(total >= 90)
    end)
  end)

  it("count their preemptions and their resumes", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { timeslice = SLICE }
      local job = jobs:spawn(function()
        for _ = 1, 4 do
          for _ = 1, 5000 do end
          uvjobs.yield()
        end
      end)
      assert.equal(0, job.preemptions)
      assert.equal(0, job.resumes)
      job:wait()
      assert.is_true(job.preemptions >= 4 * 4)
      assert.equal(job.preemptions + 4 + 1, job.resumes)
    end)
  end)

  it("do not exist when they suspend in time", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { timeslice = 0.1 }
      local job = jobs:spawn(function() for _ = 1, 500 do uvjobs.yield() end end)
      job:wait()
      assert.equal(0, job.preemptions)
      assert.equal(501, job.resumes)
    end)
  end)

  it("never have more than `limit` of them begun #M2", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { timeslice = SLICE, limit = 3, pending_limit = 2 }
      local begun, most, ended = 0, 0, 0
      for _ = 1, 12 do
        jobs:spawn(function()
          begun = begun + 1
          most = math.max(most, begun)
          for _ = 1, 4000 do assert(jobs.active_count <= 3 and jobs.pending_count <= 2) end
          begun, ended = begun - 1, ended + 1
          assert(uvjobs.current().preemptions > 0)
        end)
      end
      jobs:wait_and_close()
      assert.equal(3, most)
      assert.equal(12, ended)
    end)
  end)

  it("run their to-be-closed variables when the state closes #M14", function()
    local text = [[
      local uvjobs = require "uvjobs"
      io.stdout:setvbuf("no")
      local function spin(name)
        local _ <close> = setmetatable({}, { __close = function() print(name) end })
        while true do end
      end
      local meta = { __index = spin, __lt = function() spin "lt" end }
      uvjobs.run(function()
        local jobs = uvjobs.scheduler { timeslice = 0.001 }
        local list = {
          jobs:spawn(spin, "plain"), jobs:spawn(pcall, pcall, spin, "protected"),
          jobs:spawn(function() local x = setmetatable({}, meta) return x < x end),
          jobs:spawn(uvjobs.timeout, 60, uvjobs.protect, spin, "scope"),
        }
        for _, job in ipairs(list) do while job.preemptions == 0 do uvjobs.yield() end end
        local _ = LEAVE
      end)
    ]]
    for leave, status in pairs { ["os.exit(3, true)"] = 3,
                                 ["jobs:spawn(function() os.exit(4, true) end):wait()"] = 4 } do
      local r = helper.child((text:gsub("LEAVE", leave)))
      local lines = {}
      for line in r.out:gmatch("[^\n]+") do lines[#lines + 1] = line end
      table.sort(lines)
      assert.same({ "lt", "plain", "protected", "scope" }, lines)
      assert.same({ status, "" }, { r.status, r.err })
    end
  end)
end)
