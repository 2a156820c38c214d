-- A job that is busy where Lua cannot yield: others run on top of it when its slice is over.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local places = require "spec.busy.covered_places"
local virtual = helper.virtual

local SLICE <const> = 1e-5
local sorted = places["a comparison of table.sort"]

local function names_of(list)
  local names = {}
  for name in pairs(list) do names[#names + 1] = name end
  table.sort(names)
  return names
end
local NAMES <const> = names_of(places)

local function slices(options)
  options = options or {}
  options.timeslice = SLICE
  return helper.quiet(options)
end

local function until_true(flag)
  while not flag.done do end
  return "done"
end

describe("while a job is busy in", function()
  after_each(helper.check_clean)

  for _, name in ipairs(NAMES) do
    it(name .. " others run, and its result is the same", function()
      virtual(function()
        local jobs <close> = slices()
        local flag, ticks = {}, 0
        local busy = jobs:spawn(function()
          local list = {}
          list[#list + 1] = places[name](function() return until_true(flag) end)
          return list[1], uvjobs.current().preemptions > 0
        end)
        for _ = 1, 20 do uvjobs.sleep(SLICE) ticks = ticks + 1 end
        assert.equal("active", busy.state)
        flag.done = true
        assert.same({ "done", true }, { busy:wait() })
        assert.equal(20, ticks)
      end)
    end)

    it(name .. " its deadline ends it, and its <close> variables run #M7", function()
      virtual(function()
        local jobs <close> = slices()
        local seen = {}
        local busy = jobs:spawn({ timeout = 1e-3 }, function()
          local _ <close> = helper.closing(function(_, err) seen[#seen + 1] = uvjobs.code(err) end)
          return places[name](function()
            local _ <close> = helper.closing(function(_, err)
              seen[#seen + 1] = uvjobs.code(err)
            end)
            while true do end
          end)
        end)
        uvjobs.sleep(1e-4)
        assert.equal("active", busy.state)
        helper.raises("timeout", busy.wait, busy)
        assert.same({ "timeout", "timeout" }, seen)
        assert.is_true(uvjobs.now() < 2e-3)
      end)
    end)

    it(name .. " another job can kill it #M7 #M8", function()
      virtual(function()
        local jobs <close> = slices { close_timeout = 1e-3 }
        local seen = {}
        local function close(_, err) seen[#seen + 1] = uvjobs.code(err) end
        local busy = jobs:spawn(function()
          local _ <close> = helper.closing(close)
          while true do
            pcall(places[name], function()
              local _ <close> = helper.closing(close)
              while true do pcall(helper.forever) end
            end)
          end
        end)
        uvjobs.sleep(1e-4)
        local before = uvjobs.now()
        helper.raises("timeout", busy.close, busy)
        assert.equal("killed", busy.state)
        assert.same({ "killed", "killed" }, seen)
        assert.is_true(uvjobs.now() - before < 2e-3)
      end)
    end)
  end
end)

describe("a covered job", function()
  after_each(helper.check_clean)

  it("is in line with those that are preempted: each has a slice in turn", function()
    virtual(function()
      local jobs <close> = slices()
      local log, stop = {}, false
      local function note(name)
        if log[#log] ~= name then log[#log + 1] = name end
      end
      local function spin(name) while not stop do note(name) end end
      jobs:spawn(function() sorted(function() spin "c" return 1 end) end)
      jobs:spawn(spin, "a")
      jobs:spawn(spin, "b")
      uvjobs.sleep(20 * SLICE)
      stop = true
      assert.matches("^cabcabcabcab", table.concat(log))
    end)
  end)

  it("is not the current job while others run, and has its context afterwards", function()
    virtual(function()
      local jobs <close> = slices()
      local flag, seen = {}, {}
      local busy = jobs:spawn(function()
        uvjobs.context.who = "busy"
        local me = uvjobs.current()
        return sorted(function()
          until_true(flag)
          return { me == uvjobs.current(), uvjobs.context.who }
        end)
      end)
      jobs:spawn(function()
        seen = { uvjobs.current() ~= busy, uvjobs.context.who or "nobody", busy.state }
        flag.done = true
      end)
      assert.same({ true, "busy" }, busy:wait())
      assert.same({ true, "nobody", "active" }, seen)
    end)
  end)

  it("is waited for, and its mutex is, by jobs that run on top of it", function()
    virtual(function()
      local jobs <close> = slices()
      local mutex, log = uvjobs.mutex(), helper.log()
      local busy = jobs:spawn(function()
        local _ <close> = mutex:permit()
        sorted(function()
          for _ = 1, 5000 do end
          log:add "busy"
          return 1
        end)
        return "result"
      end)
      jobs:spawn(function()
        mutex:with(function() log:add "locked" end)
      end)
      jobs:spawn(function() log:add(busy:wait()) end)
      jobs:wait_and_close()
      assert.same({ "busy", "locked", "result" }, log)
      assert.is_true(busy.preemptions > 2)
    end)
  end)

  it("goes on after those on top that are busy like it, and all end", function()
    virtual(function()
      local jobs <close> = slices()
      local list, most, inside = {}, 0, 0
      for i = 1, 6 do
        list[i] = jobs:spawn(function()
          return places[NAMES[i]](function()
            inside = inside + 1
            most = math.max(most, inside)
            for _ = 1, 4000 do end
            inside = inside - 1
            return i
          end)
        end)
      end
      for i = 1, 6 do assert.equal(i, list[i]:wait()) end
      assert.equal(6, most)
    end)
  end)

  it("leaves 100 of Lua's 200 levels of C calls to those on top", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      local function sorted(fn) table.sort({ 2, 1 }, function() fn() return false end) end
      local function levels()
        local n = 0
        local function deeper() n = n + 1 sorted(deeper) end
        pcall(deeper)
        return n
      end
      uvjobs.run({ clock = "virtual" }, function()
        local jobs = uvjobs.scheduler { timeslice = 1e-5, limit = 100 }
        local plain <close> = uvjobs.scheduler()
        local alone, fewest, deepest, inside, stop = levels(), math.huge, 0, 0, false
        for _ = 1, 60 do
          jobs:spawn(sorted, function()
            inside = inside + 1
            deepest = math.max(deepest, inside)
            for _ = 1, 3000 do end
            inside = inside - 1
          end)
        end
        plain:spawn(function()
          while not stop do
            local n = levels()
            fewest = math.min(fewest, n)
            uvjobs.yield()
          end
        end)
        jobs:wait_and_close()
        stop = true
        print(alone > 180, fewest >= 95 and fewest <= 110, deepest >= 15 and deepest <= 40)
      end)
    ]]
    assert.same({ status = 0, out = "true\ttrue\ttrue\n", err = "" }, r)
  end)

  it("is ended when the run is, though the main job ran on top of it", function()
    local job
    virtual(function()
      local jobs = slices { close_timeout = 1e-3 }
      job = jobs:spawn(function()
        while true do pcall(sorted, function() while true do pcall(helper.forever) end end) end
      end)
      uvjobs.sleep(1e-4)
    end)
    assert.equal("killed", job.state)
  end)

  it("is ended with its scheduler, which a job on top closes", function()
    virtual(function()
      local jobs = slices { close_timeout = 1e-3 }
      local others <close> = slices()
      local job = jobs:spawn(sorted, helper.forever)
      others:spawn(function()
        jobs:close()
        assert.equal("cancelled", job.state)
      end):wait()
    end)
  end)

  it("says where it is", function()
    virtual(function()
      local jobs <close> = slices()
      local flag = {}
      local function comparing() while not flag.done do end return 1 end
      local list = {
        jobs:spawn(function() return sorted(function() return (comparing()) end) end),
        jobs:spawn(function() return coroutine.wrap(function() return (comparing()) end)() end),
      }
      uvjobs.sleep(1e-4)
      for _, job in ipairs(list) do
        assert.matches("active, while others run on top of it.*'comparing'", job:traceback())
      end
      flag.done = true
    end)
  end)

  it("is not covered again by the errors of those on top, which are reported", function()
    virtual(function()
      local reports = {}
      local jobs <close> = slices { exception_handler = helper.recorder(reports, "exception") }
      local flag = {}
      local busy = jobs:spawn(function() return sorted(function() return until_true(flag) end) end)
      for i = 1, 3 do jobs:spawn(error, "error " .. i, 0) end
      uvjobs.sleep(1e-4)
      flag.done = true
      assert.equal("done", busy:wait())
      assert.same({ "error 1", "error 2", "error 3" }, reports)
    end)
  end)

  it("has the same order of events every time #M16", function()
    local function play()
      local log = {}
      virtual(function()
        local jobs <close> = slices()
        for i, name in ipairs(NAMES) do
          jobs:spawn(function()
            places[name](function()
              for n = 1, 5 do
                for _ = 1, 700 * i do end
                log[#log + 1] = i .. "." .. n
              end
              return 1
            end)
            log[#log + 1] = "end " .. i
          end)
        end
        for _ = 1, 50 do
          uvjobs.sleep(1.5e-5)
          log[#log + 1] = uvjobs.now()
        end
      end)
      return table.concat(log, " ")
    end
    local first = play()
    for _ = 1, 3 do assert.equal(first, play()) end
  end)
end)

describe("no job runs", function()
  after_each(helper.check_clean)

  local function nobody_runs(call)
    virtual(function()
      local jobs <close> = slices()
      local others, ran, stop = 0, nil, false
      jobs:spawn(function() while not stop do others = others + 1 end end)
      uvjobs.sleep(1e-4)
      jobs:spawn(function()
        call(function()
          local before = others
          for _ = 1, 20000 do end
          ran = others - before
          return 1
        end)
      end):wait()
      stop = true
      assert.equal(0, ran)
    end)
  end

  it("in a finalizer, also not in a coroutine that it resumes", function()
    nobody_runs(function(fn)
      setmetatable({}, { __gc = function() fn() end })
      collectgarbage()
    end)
    for _, library in ipairs { coroutine, require "uvjobs.coroutine" } do
      nobody_runs(function(fn)
        setmetatable({}, { __gc = function() library.wrap(fn)() end })
        collectgarbage()
      end)
    end
  end)

  it("in a chunk that is being required", function()
    local function required(fn)
      package.preload["spec.busy.covered_module"] = fn
      require "spec.busy.covered_module"
      package.loaded["spec.busy.covered_module"] = nil
      package.preload["spec.busy.covered_module"] = nil
    end
    nobody_runs(required)
    nobody_runs(function(fn) required(function() return sorted(fn) end) end)
    nobody_runs(function(fn) required(function() return coroutine.wrap(fn)() end) end)
  end)

  it("on top of one without a slice", function()
    virtual(function()
      local jobs <close> = helper.quiet()
      local ran = 0
      local other = jobs:spawn(function() ran = ran + 1 end)
      jobs:spawn(function()
        return sorted(function() for _ = 1, 50000 do end return ran end)
      end)
      other:wait()
      assert.equal(1, ran)
    end)
  end)
end)
