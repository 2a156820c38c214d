-- The Lua state closes while jobs are alive.
local helper = require "spec.helper"

describe("a Lua state that closes", function()
  local prelude = [[
    local uvjobs = require "uvjobs"
    io.stdout:setvbuf("no")
    local function closing(text, fn)
      return setmetatable({}, { __close = function() print(text) if fn then fn() end end })
    end
  ]]

  local function sorted_lines(text)
    local lines = {}
    for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
    table.sort(lines)
    return lines
  end

  it("runs the to-be-closed variables of the jobs, and releases all #M14 #M7", function()
    local r = helper.child(prelude .. [[
      uvjobs.run(function()
        local jobs = uvjobs.scheduler { limit = 2 }
        local others = uvjobs.scheduler { limit = math.huge }
        local event = uvjobs.event()
        for i = 1, 2 do
          jobs:spawn(function()
            local _ <close> = closing("sleep " .. i)
            uvjobs.sleep(60)
          end)
        end
        jobs:spawn(print, "a pending job ran")
        others:spawn(function() local _ <close> = closing("event") event:wait() end)
        others:spawn(function()
          local _ <close> = closing("await")
          uvjobs.await(function() return function() print("abandoned") end end)
        end)
        others:spawn(function()
          local _ <close> = closing("shield")
          jobs:shield(function() local _ <close> = closing("shielded") uvjobs.sleep(60) end)
        end)
        others:spawn(function()
          local _ <close> = closing("scope")
          uvjobs.timeout(9, uvjobs.protect, uvjobs.sleep, 60)
        end)
        others:spawn(function() local _ <close> = closing("closer") jobs:wait_and_close() end)
        others:spawn(print, "an unstarted job ran"):cancel()
        for _ = 1, 3 do uvjobs.yield() end
        others:spawn(print, "an unstarted job ran")
        os.exit(0, true)
      end)
    ]])
    assert.same({
      "abandoned", "await", "closer", "event", "scope", "shield", "shielded", "sleep 1", "sleep 2",
    }, sorted_lines(r.out))
    assert.equal("", r.err)
    assert.equal(0, r.status)
  end)

  it("lets the handlers call uvjobs, which refuses what needs a loop #M14", function()
    local r = helper.child(prelude .. [[
      uvjobs.run(function()
        local jobs = uvjobs.scheduler()
        local event = uvjobs.event()
        local job
        job = jobs:spawn(function()
          local _ <close> = closing("handler", function()
            print(pcall(uvjobs.sleep, 1))
            print(pcall(jobs.spawn, jobs, print, "ran"))
            print((pcall(jobs.close, jobs)))
            print((pcall(uvjobs.protect, print)))
            print((pcall(event.set, event)))
            print((pcall(job.cancel, job)))
            print((pcall(tostring, job)))
            print((pcall(function() return job.state, jobs.closed, #jobs end)))
            print((pcall(uvjobs.run, print)))
          end)
          event:wait()
        end)
        uvjobs.yield()
        os.exit(0, true)
      end)
    ]])
    assert.equal(0, r.status)
    assert.matches("^handler\nfalse\t[^\n]+\nfalse\t[^\n]+\nfalse\nfalse\n", r.out)
    assert.not_matches("ran", r.out)
    assert.equal("", r.err)
  end)

  it("lets finalizers that run after uvjobs call it in vain #M14", function()
    local r = helper.child(prelude .. [[
      local kept = {}
      setmetatable(kept, { __gc = function()
        print((pcall(uvjobs.now)), (pcall(uvjobs.run, print)), (pcall(uvjobs.scheduler)))
        print((pcall(kept.jobs.spawn, kept.jobs, print)), (pcall(kept.job.cancel, kept.job)))
        print((pcall(kept.resume, 1)))
        pcall(tostring, kept.job)
        pcall(function() return kept.job.state, kept.jobs.closed, kept.jobs:jobs() end)
        pcall(kept.event.set, kept.event)
        print "finalized"
      end })
    ]] .. [[
      uvjobs.run(function()
        kept.jobs, kept.event = uvjobs.scheduler(), uvjobs.event()
        kept.job = kept.jobs:spawn(uvjobs.await, function(resume) kept.resume = resume end)
        kept.jobs:spawn(kept.event.wait, kept.event)
        uvjobs.yield()
        os.exit(0, true)
      end)
    ]])
    assert.equal(0, r.status)
    assert.matches("finalized\n$", r.out)
    assert.equal("", r.err)
  end)

  it("from an exception handler, or a close handler of a killed job #M14", function()
    local r = helper.child(prelude .. [[
      uvjobs.run(function()
        local jobs = uvjobs.scheduler { exception_handler = function() os.exit(3, true) end }
        jobs:spawn(function() local _ <close> = closing("closed") uvjobs.sleep(60) end)
        jobs:spawn(error, "boom")
        uvjobs.sleep(60)
      end)
    ]])
    assert.same({ status = 3, out = "closed\n", err = "" }, r)
    r = helper.child(prelude .. [[
      uvjobs.run(function()
        local jobs = uvjobs.scheduler { close_timeout = 0 }
        jobs:spawn(function() local _ <close> = closing("closed") uvjobs.sleep(60) end)
        jobs:spawn(function()
          local _ <close> = closing("killed", function() os.exit(4, true) end)
          uvjobs.protect(uvjobs.sleep, 60)
        end):close()
        uvjobs.yield()
        for job in jobs:jobs() do if job.id % 2 == 1 then pcall(job.close, job, 0) end end
        jobs:close()
      end)
    ]])
    assert.not_equal("signal", tostring(r.status):match("signal"))
    assert.is_true(r.status == 0 or r.status == 4)
  end)

  it("from a luv callback, with handles open #M14", function()
    local r = helper.child(prelude .. [[
      local uv = require "luv"
      uvjobs.run(function()
        local jobs = uvjobs.scheduler()
        jobs:spawn(function()
          local _ <close> = closing("closed")
          uvjobs.await(function(resume) uv.new_timer():start(60000, 0, resume) end)
        end)
        uvjobs.yield() -- it has begun, however late the timer comes
        uv.new_timer():start(5, 0, function() os.exit(5, true) end)
        uvjobs.sleep(60)
      end)
    ]])
    assert.same({ status = 5, out = "closed\n", err = "" }, r)
  end)

  it("with jobs that were spawned and never run at all #M14", function()
    local r = helper.child(prelude .. [[
      local jobs = uvjobs.scheduler { limit = 2 }
      for _ = 1, 5 do jobs:spawn(print, "ran") end
      print "end"
    ]])
    assert.same({ status = 0, out = "end\n", err = "" }, r)
  end)

  it("after a run that failed #M14", function()
    local r = helper.child(prelude .. [[
      uvjobs.run(function()
        local jobs = uvjobs.scheduler()
        jobs:spawn(function() local _ <close> = closing("closed") uvjobs.sleep(60) end)
        uvjobs.yield()
        error("boom")
      end)
    ]])
    assert.equal(1, r.status)
    assert.equal("closed\n", r.out)
    assert.matches("boom", r.err, 1, true)
  end)

  it("without loading anything but the module", function()
    assert.same({ status = 0, out = "", err = "" }, helper.child 'require "uvjobs"')
  end)
end)
