-- Threads that are stuck in C. What they wait for is a file that nobody writes: time is real.

local base = require "spec.helper"
local files = require "spec.files"
local guard = require "spec.guard"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"
local warm_up = require "spec.workers.warm_up"

describe("a thread of workers that is stuck in C", function()
  guard.install(warm_up)

  local path

  -- A job that opens `path` waits in C until this has been called.
  local function free() io.open(path, "w"):close() end

  -- Calls the block with a list of what the exception handler hears.
  local function with_fifo(block)
    return base.in_run(function()
      path = files.temporary ""
      assert(os.remove(path) and os.execute(("mkfifo '%s'"):format(path)))
      local _ <close> = setmetatable({}, { __close = function() os.remove(path) end })
      local reports = {}
      block(reports, function(_, context) reports[#reports + 1] = context end)
    end)
  end

  local function get_stuck(workers, options)
    local runs = uvjobs.channel(1)
    local job = workers:spawn(options or {}, function(out, name)
      out:put(true)
      io.open(name):close()
      return "came back"
    end, runs, path)
    runs:get()
    return job
  end

  local function wait_for_report(reports, message, thread)
    while true do
      for _, context in ipairs(reports) do
        if context.message == message and context.thread == thread then return context end
      end
      uvjobs.sleep(0.002)
    end
  end

  it("is reported with its jobs, and gets no more of them until it answers",
    with_fifo(function(reports, handler)
      local workers <close> = uvjobs.workers {
        threads = 2, slow = 0.02, exception_handler = handler,
      }
      local stuck = get_stuck(workers)
      local context = wait_for_report(reports, "Thread does not answer", stuck.thread)
      assert.equal(stuck, context.jobs[1])
      assert.equal(0.02, context.seconds)
      assert.is_true(workers:stats().threads[stuck.thread].stuck)
      assert.equal("active", stuck.state)
      local other = workers:spawn(function() return "free" end)
      assert.equal("free", other:wait())
      free()
      assert.equal("came back", stuck:wait())
      repeat uvjobs.sleep(0.002) until not workers:stats().threads[stuck.thread].stuck
    end))

  it("is replaced by another with the option 'replace', and keeps its jobs",
    with_fifo(function(reports, handler)
      local workers <close> = uvjobs.workers {
        threads = 1, slow = 0.02, replace = true, exception_handler = handler,
        setup = function(index) number = index end, -- luacheck: ignore
      }
      local stuck = get_stuck(workers)
      local behind = workers:spawn(function() return "waits" end)
      wait_for_report(reports, "Thread does not answer", 1)
      repeat uvjobs.sleep(0.002) until #workers:stats().threads > 1
      assert.equal(1, workers.threads)
      assert.equal(1, workers:call(function() return number end)) -- luacheck: ignore
      assert.equal("active", stuck.state)
      assert.equal("active", behind.state)
      free()
      assert.equal("came back", stuck:wait())
      assert.equal("waits", behind:wait())
    end))

  it("is not replaced when setup fails the second time, which is reported",
    with_fifo(function(reports, handler)
      local once = files.temporary ""
      local _ <close> = setmetatable({}, { __close = function() os.remove(once) end })
      local workers <close> = uvjobs.workers {
        threads = 1, slow = 0.02, replace = true, exception_handler = handler,
        setup = load(("assert(os.remove(%q), 'only once')"):format(once)),
      }
      local stuck = get_stuck(workers)
      local context = wait_for_report(reports, "Thread cannot be replaced", 1)
      assert.matches("only once", context.exception, nil, true)
      free()
      assert.equal("came back", stuck:wait())
    end))

  it("does not keep others from being closed, and is waited for", with_fifo(function(_, handler)
    local workers = uvjobs.workers {
      threads = 2, slow = 0.02, replace = true, close_timeout = 0.01, exception_handler = handler,
    }
    local stuck = get_stuck(workers)
    local sleeps = workers:spawn(function() require "uvjobs".sleep(60) end)
    uvjobs.current().scheduler:spawn(function()
      stuck:join() -- it is killed in time, although its thread is not free yet
      free()
    end)
    workers:close()
    assert.equal("killed", stuck.state)
    assert.equal("cancelled", sleeps.state)
  end))

  it("is watched for as long as the workers live, wherever these are left", base.in_run(function()
    for _, by in ipairs { "cancel", "kill" } do
      testing.cancel_everywhere({ by = by, close_timeout = 60 }, function()
        local workers <close> = uvjobs.workers {
          threads = 2, slow = 60, replace = true, exception_handler = base.ignore,
        }
        workers:call(function() require "uvjobs".yield() end)
      end)
    end
  end))
end)
