-- Things that a program should not do: it gets an error, and the process goes on.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

-- A crash would end the process, so each spec runs in a process of its own.
local function child(text)
  return helper.child([[
    local uvjobs = require "uvjobs"
    io.stdout:setvbuf("no")
    local function ignore() end
    local function closing(handler) return setmetatable({}, { __close = handler }) end
  ]] .. text)
end

local function outputs(expected, text)
  local r = child(text)
  assert.same({ status = 0, out = expected, err = "" }, r)
end

-- Calls in which a job is suspended when somebody else resumes its coroutine.
local waits = {
  "uvjobs.sleep(0.01)", "for _ = 1, 9 do uvjobs.yield() end", "uvjobs.queue():get(0.01)",
  "uvjobs.event():wait(0.01)",
  "s:shield(uvjobs.sleep, 0.01)", "uvjobs.timeout(1, uvjobs.sleep, 0.01)",
  "uvjobs.protect(uvjobs.sleep, 0.01)", "uvjobs.all { uvjobs.yield }", "full:spawn(uvjobs.yield)",
  "full:wait_and_close()", "mutex:lock()", "s:spawn(uvjobs.sleep, 0.01):wait()",
  "uvjobs.await(function(resume) s:spawn(resume) end)",
}

describe("a coroutine of a job that is resumed by somebody else", function()
  -- The caller is at `by`; prints what the job did then, and how it ended.
  local function resume_in(by, wait)
    return child(([[
      uvjobs.run({ clock = "virtual" }, function()
        local co
        local full = uvjobs.scheduler { limit = 1, pending_limit = 0 }
        full:spawn(uvjobs.sleep, 0.02)
        local mutex = uvjobs.mutex()
        mutex:lock()
        local function poke() io.write(type(coroutine.resume(co, "gift")), " ") end
        local reporter = uvjobs.scheduler { exception_handler = function() poke() end }
        local s = uvjobs.scheduler { exception_handler = ignore }
        local job = s:spawn(function()
          co = coroutine.running()
          %s
          io.write("went on ")
        end)
        uvjobs.yield()
        %s
        uvjobs.yield()
        mutex:unlock()
        collectgarbage()
        uvjobs.sleep(1)
        job:cancel()
        job:join()
        io.write(job.state, " ", coroutine.status(co), " ", tostring(mutex))
        reporter:close()
      end)
    ]]):format(wait, by))
  end

  local expected = { status = 0, out = "boolean failed dead uvjobs.Mutex: free", err = "" }

  for _, wait in ipairs(waits) do
    it("ends its job, which fails: by another job, in " .. wait .. " #M4", function()
      assert.same(expected, resume_in("poke()", wait))
    end)

    it("ends its job, which fails: by an exception handler, in " .. wait .. " #M4", function()
      assert.same(expected, resume_in("reporter:spawn(error)", wait))
    end)
  end

  it("raises an error that says so", function()
    outputs(" the coroutine of a job was resumed by somebody else", [[
      uvjobs.run({ clock = "virtual" }, function()
        local co
        local s = uvjobs.scheduler { exception_handler = function() coroutine.resume(co) end }
        s:spawn(function()
          co = coroutine.running()
          local _ <close> = closing(function(_, err) io.write(err:match("[^:]+$")) end)
          uvjobs.queue():get()
        end)
        s:spawn(error, "boom")
        uvjobs.sleep(1)
      end)
    ]])
  end)

  it("or closed has no way to go on: its job fails #M4", function()
    outputs("true failed cannot resume dead coroutine", [[
      uvjobs.run({ clock = "virtual" }, function()
        local co
        local s = uvjobs.scheduler { exception_handler = ignore }
        local job = s:spawn(function()
          co = coroutine.running()
          local event = uvjobs.event()
          event:wait(5)
        end)
        uvjobs.yield()
        io.write(tostring(coroutine.close(co)), " ")
        collectgarbage()
        job:cancel()
        local _, err = pcall(job.wait, job)
        io.write(job.state, " ", err)
      end)
    ]])
  end)
end)

describe("a finalizer that runs within a call of a scheduler", function()
  -- A finalizer that each garbage collection runs again; it calls on_gc().
  local prelude = [[
    collectgarbage("incremental", 100, 1000)
    local on_gc
    local function arm()
      setmetatable({}, { __gc = function()
        local fn = on_gc
        on_gc = nil
        if fn then fn() end
        arm()
      end })
    end
    arm()
  ]]

  it("and takes the last place leaves none: spawn raises or has a job #M2", function()
    outputs("sound", prelude .. [[
      for _ = 1, 3000 do
        local s = uvjobs.scheduler { limit = 1, pending_limit = 0 }
        on_gc = function() s:try_spawn(ignore) end
        local ok, err = pcall(s.spawn, s, ignore)
        on_gc = nil
        assert(ok and err.active or type(err) == "string" or uvjobs.code(err))
        assert(#s == 1)
        s:close() -- a scheduler that lives would make each collection longer
      end
      io.write "sound"
    ]])
  end)

  it("and takes the last place leaves none: try_spawn says so #M2", function()
    outputs("sound", prelude .. [[
      for _ = 1, 20000 do
        local s = uvjobs.scheduler { limit = 1, pending_limit = 0 }
        on_gc = function() s:try_spawn(ignore) end
        local job, why = s:try_spawn(ignore)
        on_gc = nil
        assert(job and job.state == "active" or why == "full", tostring(job))
        assert(#s == 1 and s.active_count == 1)
        s:close()
      end
      io.write "sound"
    ]])
  end)

  it("and spawns in a scheduler that is collected with it keeps that until the job has ended #M13",
    function()
      outputs("sound", [[
        local uvjobs = require "uvjobs"
        for _ = 1, 20 do
          do
            local s = uvjobs.scheduler()
            setmetatable({}, { __gc = function() s:spawn(uvjobs.sleep, 0) end })
          end
          collectgarbage()
          uvjobs.run(uvjobs.sleep, 0.001)
          collectgarbage()
          collectgarbage() -- frees the scheduler
          uvjobs.run({ clock = "virtual" }, uvjobs.sleep, 1) -- goes over all that there are
        end
        io.write "sound"
      ]])
    end)

  it("and closes the scheduler leaves it without jobs #M9", function()
    for _, method in ipairs { "spawn", "try_spawn" } do
      outputs("sound", prelude .. ([[
        for _ = 1, 5000 do
          local s = uvjobs.scheduler()
          on_gc = function() s:close() end
          local ok, job, why = pcall(s.%s, s, error, "a job of a closed scheduler ran")
          on_gc = nil
          if not ok then
            assert(uvjobs.code(job) == "closed")
          else
            assert(job and job.state or why == "closed")
          end
          s:close()
          assert(#s == 0)
        end
        io.write "sound"
      ]]):format(method))
    end
  end)
end)

describe("a value of uvjobs", function()
  after_each(helper.check_clean)

  it("hides its metatable", function()
    helper.virtual(function()
      local semaphore = uvjobs.semaphore(1)
      local values = {
        uvjobs.scheduler(), uvjobs.current(), uvjobs.event(), uvjobs.queue(), uvjobs.mutex(),
        semaphore, semaphore:permit(), uvjobs.context,
      }
      for _, value in ipairs(values) do
        assert.is_false(getmetatable(value))
        assert.is_false((pcall(setmetatable, value, {})))
      end
    end)
  end)

  it("has a finalizer that cannot be called with something else", function()
    outputs("sound", [[
      local function values()
        return {
          uvjobs.scheduler(), uvjobs.event(), uvjobs.queue(), uvjobs.mutex(), uvjobs.semaphore(1),
        }
      end
      for _, value in ipairs(values()) do
        local gc = debug.getmetatable(value).__gc
        if gc then
          pcall(gc)
          for _, other in ipairs { 1, "text", {}, io.stdout, coroutine.create(print) } do
            pcall(gc, other)
          end
          for _, other in ipairs(values()) do pcall(gc, other) end
        end
      end
      collectgarbage()
      io.write "sound"
    ]])
  end)

  it("and its finalizer cannot be called while it has jobs, or those who wait", function()
    outputs("sound", [[
      uvjobs.run({ clock = "virtual" }, function()
        local s, event = uvjobs.scheduler(), uvjobs.event()
        local queue, mutex = uvjobs.queue(), uvjobs.mutex()
        s:spawn(function() event:wait(1) end)
        s:spawn(function() queue:get(1) end)
        s:spawn(function() mutex:lock() uvjobs.sleep(1) pcall(mutex.unlock, mutex) end)
        s:spawn(function() mutex:lock(9) pcall(mutex.unlock, mutex) end)
        uvjobs.yield()
        for _, value in ipairs { s, event, queue, mutex } do
          local gc = debug.getmetatable(value).__gc
          if gc then pcall(gc, value) end
        end
        collectgarbage()
        uvjobs.sleep(5)
      end)
      io.write "sound"
    ]])
  end)

  it("that a finalizer brought back is of no use, if it was a mutex", function()
    outputs("uvjobs.Mutex: free lock try_lock permit", [[
      local kept
      setmetatable({ mutex = uvjobs.mutex() }, { __gc = function(t) kept = t.mutex end })
      collectgarbage()
      collectgarbage()
      io.write(tostring(kept))
      uvjobs.run({ clock = "virtual" }, function()
        for _, method in ipairs { "lock", "try_lock", "permit" } do
          local _, err = pcall(kept[method], kept, ignore)
          io.write(" ", err:match("'(.-)' of a mutex that was collected"))
        end
        kept = nil
        collectgarbage()
      end)
    ]])
  end)
end)

describe("a Lua state that is closed while handlers of suspended jobs raise", function()
  local bodies = {
    ["a suspension"] = "uvjobs.sleep(0)",
    ["an error"] = "error 'oops'",
    ["an error that is no string"] = "error {}",
    ["a spawn"] = "uvjobs.current().scheduler:spawn(print)",
  }
  local closers = {
    ["an exception handler"] = [[
      s = uvjobs.scheduler { exception_handler = function() os.exit(7, true) end }
      s:spawn(error, "x")]],
    ["a job"] = "s:spawn(os.exit, 7, true)",
    ["a callback of luv"] = [[
      require "luv".new_timer():start(5, 0, function() os.exit(7, true) end)]],
  }
  local luv = package.searchpath("luv", package.cpath)

  for by, closer in pairs(closers) do
    for what, body in pairs(bodies) do
      local test = (luv or not by:find "luv") and it or pending
      test(("by %s ends in order: %s #M14"):format(by, what), function()
        local r = child(([[
          uvjobs.run(function()
            local s = uvjobs.scheduler()
            for _ = 1, 2 do
              s:spawn(function()
                local _ <close> = closing(function() io.write "outer " end)
                local _ <close> = closing(function() io.write "inner " %s end)
                uvjobs.sleep(60)
              end)
            end
            uvjobs.yield()
            %s
            uvjobs.sleep(60)
          end)
        ]]):format(body, closer))
        assert.same({ status = 7, out = "inner outer inner outer ", err = "" }, r)
      end)
    end
  end
end)
