-- A job leaves nothing to the next one, nor to its own handle.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, ignore = helper.virtual, helper.ignore

describe("a job that was waited for", function()
  -- A failure here ends a job of somebody else and frees memory that is in use, so each runs in a
  -- process of its own.
  local function outputs(expected, text)
    local r = helper.child([[
      local uvjobs = require "uvjobs"
      local function ignore() end
      local function spawn_in_vain(s)
        for _ = 1, 150 do pcall(s.spawn, s, ignore) end
      end
    ]] .. text)
    assert.same({ status = 0, out = expected, err = "" }, r)
  end

  it("and has ended stays as it ended, though the waiter's spawns are refused #M4", function()
    outputs("done done 1 2 3 4 5 6 7 8 9 10", [[
      uvjobs.run({ clock = "virtual" }, function()
        local s = uvjobs.scheduler { close_timeout = 0.5, exception_handler = ignore }
        local target = s:spawn(uvjobs.sleep, 0.01)
        local job = s:spawn(function()
          target:wait()
          uvjobs.current():cancel()
          spawn_in_vain(s)
        end)
        job:join()
        io.write(target.state, " ", job.state)
        local jobs = {}
        for i = 1, 10 do
          jobs[i] = s:spawn(function() uvjobs.sleep(0.01 * i) return i end)
        end
        collectgarbage()
        for i = 1, 10 do io.write(" ", jobs[i]:wait()) end
      end)
    ]])
  end)

  it("in vain goes on, though the waiter's spawns are refused #M4", function()
    outputs("active done goes on ends 0", [[
      uvjobs.run({ clock = "virtual" }, function()
        local s = uvjobs.scheduler { close_timeout = 0.5, exception_handler = ignore }
        local target = s:spawn(function()
          uvjobs.sleep(5)
          io.write " goes on"
          uvjobs.sleep(1)
          io.write " ends "
        end)
        local job = s:spawn(function()
          target:join(0.01)
          uvjobs.current():cancel()
          spawn_in_vain(s)
        end)
        job:join()
        io.write(target.state, " ", job.state)
        target = nil
        collectgarbage()
        uvjobs.sleep(9)
        io.write(#s)
      end)
    ]])
  end)

  it("by shield goes on, too #M4", function()
    outputs("shielded done 0", [[
      uvjobs.run({ clock = "virtual" }, function()
        local s = uvjobs.scheduler { close_timeout = 0.5, exception_handler = ignore }
        local job = s:spawn(function()
          pcall(uvjobs.timeout, 0.01, s.shield, s, function()
            uvjobs.sleep(5)
            io.write "shielded "
          end)
          uvjobs.current():cancel()
          spawn_in_vain(s)
        end)
        job:join()
        uvjobs.sleep(9)
        io.write(job.state, " ", #s)
      end)
    ]])
  end)
end)

describe("a job that has ended", function()
  after_each(helper.check_clean)

  -- Ends a job with an argument in some way; is the argument collected then?
  local function is_collected(ending, fn)
    return virtual(function()
      local s = uvjobs.scheduler { exception_handler = ignore }
      local weak = setmetatable({ {} }, { __mode = "v" })
      local job = s:spawn(fn, weak[1], weak[1])
      ending(job)
      assert.is_true(job:join())
      collectgarbage()
      collectgarbage()
      return weak[1] == nil, job.state
    end)
  end

  local function start_and(method)
    return function(job)
      uvjobs.yield()
      pcall(job[method], job)
    end
  end

  local endings = {
    { "done", ignore, ignore },
    { "done", ignore, function() uvjobs.sleep(1) end },
    { "failed", ignore, function() error("boom", 0) end },
    { "cancelled", start_and "cancel", function() uvjobs.sleep(9) end },
    { "killed", start_and "close", function() while true do pcall(uvjobs.sleep, 9) end end },
  }

  for i, ending in ipairs(endings) do
    it(("as %s keeps no arguments while its handle is kept (%d) #M13"):format(ending[1], i),
      function()
        assert.same({ true, ending[1] }, { is_collected(ending[2], ending[3]) })
      end)
  end
end)

describe("a debug hook", function()
  -- Each runs in a process of its own, in which no coroutine of an earlier run is left.
  local function outputs(expected, text)
    local r = helper.child([[
      local uvjobs = require "uvjobs"
      local function ignore() end
      local function some_lines()
        local x = 1
        x = x + 1
        return x
      end
      -- Whether the coroutine of the caller has a hook.
      local function hooked() return select("#", debug.gethook()) > 1 end
    ]] .. text)
    assert.same({ status = 0, out = expected, err = "" }, r)
  end

  it("that a job sets on itself is not there in the next one", function()
    outputs("0 false", [[
      uvjobs.run({ clock = "virtual" }, function()
        local s, n = uvjobs.scheduler(), 0
        s:spawn(function() debug.sethook(function() n = n + 1 end, "l") end):wait()
        n = 0
        s:spawn(some_lines):wait()
        io.write(n, " ", tostring(s:spawn(hooked):wait()))
      end)
    ]])
  end)

  it("that a job sets on itself, and fails, is not there in the next one", function()
    outputs("false", [[
      uvjobs.run({ clock = "virtual" }, function()
        local s = uvjobs.scheduler { exception_handler = ignore }
        s:spawn(function() debug.sethook(ignore, "c") error "boom" end):join()
        io.write(tostring(s:spawn(hooked):wait()))
      end)
    ]])
  end)

  it("that was set before run is on all jobs, as on all coroutines", function()
    outputs("true 200 true", [[
      debug.sethook(ignore, "l")
      uvjobs.run({ clock = "virtual" }, function()
        io.write(tostring(hooked()))
        local s, jobs, n = uvjobs.scheduler { limit = math.huge }, {}, 0
        for i = 1, 200 do jobs[i] = s:spawn(hooked) end
        for i = 1, 200 do n = n + (jobs[i]:wait() and 1 or 0) end
        io.write(" ", n, " ", tostring(s:spawn(hooked):wait()))
      end)
    ]])
  end)

  it("that was set before run is on the job after one that removed it", function()
    outputs("true", [[
      debug.sethook(ignore, "l")
      uvjobs.run({ clock = "virtual" }, function()
        local s = uvjobs.scheduler()
        s:spawn(debug.sethook):wait()
        io.write(tostring(s:spawn(hooked):wait()))
      end)
    ]])
  end)

  it("that was set before run is on the job after one that was killed", function()
    outputs("true", [[
      debug.sethook(ignore, "l")
      uvjobs.run({ clock = "virtual" }, function()
        local s = uvjobs.scheduler { close_timeout = 0, exception_handler = ignore }
        s:spawn(uvjobs.protect, uvjobs.sleep, 9)
        uvjobs.yield()
        s:close()
        io.write(tostring(uvjobs.current().scheduler:spawn(hooked):wait()))
      end)
    ]])
  end)
end)
