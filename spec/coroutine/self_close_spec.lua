-- From Lua 5.5 on a coroutine can close itself. A job whose coroutine does so has failed.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local ours = require "uvjobs.coroutine"

local virtual, closing = helper.virtual, helper.closing

local CLOSED <const> = "the coroutine of the job was closed by itself (coroutine.close)"

if _VERSION == "Lua 5.4" then
  describe("a job that closes its own coroutine", function()
    it("gets an error, because Lua 5.4 cannot do that", function()
      virtual(function()
        for _, close in ipairs { coroutine.close, ours.close } do
          assert.matches("cannot close a running coroutine",
            helper.message(close, (coroutine.running())))
        end
      end)
    end)
  end)
  return
end

for name, close in pairs { coroutine = coroutine.close, ["uvjobs.coroutine"] = ours.close } do
  describe("a job that calls close() of " .. name .. " in its own coroutine", function()
    after_each(helper.check_clean)

    it("has failed, whatever protected calls it was in #M4 #M12", function()
      virtual(function()
        local jobs = helper.quiet { limit = 1 }
        local after
        local job = jobs:spawn(function()
          uvjobs.sleep(1)
          pcall(string.gsub, "x", "x", function() close() end)
          after = true
        end)
        local next_one = jobs:spawn(function() return "next" end)
        assert.same({ false, CLOSED }, { pcall(job.wait, job) })
        assert.equal("failed", job.state)
        assert.equal("next", next_one:wait())
        assert.is_nil(after)
        jobs:close()
      end)
    end)

    it("runs its to-be-closed variables, whose error it fails with #M3", function()
      virtual(function()
        local jobs = helper.quiet()
        local seen = {}
        local job = jobs:spawn(function()
          local function note(_, err) seen[#seen + 1] = tostring(err) end
          local _ <close> = closing(function(_, err) note(_, err) error("of closing", 0) end)
          local _ <close> = closing(note)
          uvjobs.timeout(60, uvjobs.protect, close)
        end)
        assert.same({ false, "of closing" }, { job:result() })
        assert.same({ "nil", "nil" }, seen)
        jobs:close()
      end)
    end)

    it("is reported like any that fails", function()
      virtual(function()
        local errors = {}
        local jobs = uvjobs.scheduler { exception_handler = helper.recorder(errors, "exception") }
        jobs:spawn(close)
        jobs:spawn(close, nil)
        jobs:wait_and_close()
        assert.equal(CLOSED, errors[1])
        assert.matches("expected", errors[2])
      end)
    end)

    it("has failed also when it was cancelled, and is killed when it is", function()
      virtual(function()
        local jobs = helper.quiet { close_timeout = 1 }
        local cancelled = jobs:spawn(function()
          pcall(uvjobs.sleep, 60)
          close()
        end)
        local killed = jobs:spawn(function()
          while true do
            local ok, err = pcall(uvjobs.sleep, 60)
            if not ok and uvjobs.code(err) == "killed" then close() end
          end
        end)
        local clean = jobs:spawn(function()
          local _ <close> = closing(function() pcall(close) end)
          while true do pcall(uvjobs.sleep, 60) end
        end)
        uvjobs.yield()
        jobs:close()
        assert.same({ "failed", "killed", "killed" },
          { cancelled.state, killed.state, clean.state })
        assert.same({ false, CLOSED }, { cancelled:result() })
      end)
    end)

    it("frees its mutex, and its coroutine serves others", function()
      virtual(function()
        local jobs = helper.quiet { limit = 4 }
        local mutex = uvjobs.mutex()
        for _ = 1, 100 do
          local job = jobs:spawn(function()
            mutex:lock()
            uvjobs.yield()
            close()
          end)
          assert.equal(7, jobs:spawn(function() uvjobs.sleep(1) return 7 end):wait())
          assert.is_false((job:result()))
          assert.is_true(jobs:spawn(function()
            mutex:lock()
            mutex:unlock()
            return true
          end):wait())
        end
        jobs:close()
      end)
    end)

    it("ends a run when it is the main job", function()
      local ok, err = pcall(virtual, function() close() end)
      assert.same({ false, CLOSED }, { ok, err })
      assert.equal(3, virtual(function() return 3 end))
    end)

    it("closes the coroutine that runs only, when it has made others", function()
      virtual(function()
        for _, library in ipairs { coroutine, ours } do
          local co = library.create(function() close() end)
          assert.same({ true, n = 1 }, table.pack(library.resume(co)))
          assert.equal("dead", library.status(co))
        end
        assert.equal(5, ours.wrap(function() uvjobs.yield() return 5 end)())
      end)
    end)

    it("and is interrupted in a to-be-closed variable still ends", function()
      uvjobs.run(function()
        local jobs = helper.quiet { close_timeout = 0.01 }
        local job = jobs:spawn({ timeout = 0.01 }, function()
          local _ <close> = closing(function() while true do end end)
          close()
        end)
        assert.is_false((job:result()))
        jobs:close()
      end)
    end)
  end)
end

describe("a function that is called between jobs and closes its coroutine", function()
  after_each(helper.check_clean)

  local calls = {
    on_start = function(close) return { on_start = close, exception_handler = helper.ignore } end,
    on_end = function(close) return { on_end = close, exception_handler = helper.ignore } end,
    exception_handler = function(close) return { exception_handler = close } end,
  }

  -- In the main coroutine it cannot; in others it would leave the run.
  local function run_between(make)
    return virtual(function()
      local jobs = uvjobs.scheduler(make(function() coroutine.close() end))
      local job = jobs:spawn(error, "failed", 0)
      local other = jobs:spawn(function() uvjobs.sleep(1) return 7 end)
      jobs:wait_and_close()
      return job.state, other:wait()
    end)
  end

  for name, make in pairs(calls) do
    it("as " .. name .. " does not end the run", function()
      local between = coroutine.wrap(run_between)
      assert.same({ "failed", 7 }, { between(make) })
      assert.equal(3, virtual(function() return 3 end))
    end)
  end
end)
