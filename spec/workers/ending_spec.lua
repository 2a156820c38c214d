-- How jobs of workers, and workers, end. The functions run in other threads: time is real.

local base = require "spec.helper"
local files = require "spec.files"
local guard = require "spec.guard"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"
local warm_up = require "spec.workers.warm_up"

local in_run = base.in_run

-- The threads of this process, where the system tells.
local function count_threads()
  local pipe = io.open "/proc/self/status"
  if not pipe then return 0 end
  local text = pipe:read "a"
  pipe:close()
  return tonumber(text:match "Threads:%s*(%d+)")
end

describe("ending a job of workers", function()
  guard.install(warm_up)

  local workers
  -- Calls the block with two workers, of which the job named `path` tells by a file that it runs.
  local function with_workers(block)
    return in_run(function()
      local path = files.temporary ""
      os.remove(path)
      local _ <close> = setmetatable({}, { __close = function() os.remove(path) end })
      local own <close> = uvjobs.workers {
        threads = 1, close_timeout = 0.05, exception_handler = base.ignore,
      }
      workers = own
      block(path)
    end)
  end

  local function wait_for_file(path)
    while true do
      local file = io.open(path)
      local text = file and file:read "a"
      if file then file:close() end
      if text and text ~= "" then return text end
      uvjobs.sleep(0.002)
    end
  end

  it("cancels it where it is suspended, and runs its clean-up #W3 #W5", with_workers(function(path)
    local job = workers:spawn(function(name)
      local inner = require "uvjobs"
      local _ <close> = setmetatable({}, { __close = function(_, err)
        inner.protect(inner.sleep, 0.001)
        local file <close> = io.open(name, "a")
        file:write(inner.code(err))
      end })
      io.open(name, "w"):write("runs "):close()
      inner.sleep(60)
    end, path)
    wait_for_file(path)
    job:cancel()
    assert.equal("closing", job.state)
    local err = base.raises("cancelled", job.wait, job)
    assert.equal(job, err.job)
    assert.equal("cancelled", job.state)
    assert.equal("runs cancelled", wait_for_file(path))
  end))

  it("cancels it where it computes #W3", with_workers(function(path)
    local job = workers:spawn(function(name)
      io.open(name, "w"):write("runs"):close()
      while true do end
    end, path)
    wait_for_file(path)
    job:cancel()
    base.raises("cancelled", job.wait, job)
    assert.equal("works", workers:spawn(function() return "works" end):wait())
  end))

  it("keeps what it returns although it is cancelled #W1", with_workers(function(path)
    local job = workers:spawn(function(name)
      io.open(name, "w"):write("runs"):close()
      pcall(require "uvjobs".sleep, 60)
      return "its own way"
    end, path)
    wait_for_file(path)
    job:cancel()
    assert.equal("its own way", job:wait())
    assert.equal("done", job.state)
  end))

  it("kills it in time, whatever it does, and no other #W4 #W5", with_workers(function(path)
    local other = workers:spawn(function()
      require "uvjobs".sleep(0.2)
      return "unharmed"
    end)
    local job = workers:spawn(function(name)
      local _ <close> = setmetatable({}, { __close = function(_, err)
        io.open(name, "w"):write(require "uvjobs".code(err)):close()
      end })
      io.open(name, "w"):write("runs"):close()
      while true do
        pcall(function() while true do end end)
      end
    end, path)
    wait_for_file(path)
    base.raises("timeout", job.close, job, 0.05)
    assert.equal("killed", job.state)
    repeat uvjobs.sleep(0.002) until wait_for_file(path) == "killed"
    assert.equal("unharmed", other:wait())
  end))

  it("drops it before it begins", with_workers(function()
    local job = workers:spawn(function() end)
    job:cancel()
    base.raises("cancelled", job.wait, job)
    for _ = 1, 200 do -- some of them are on their way
      local one = workers:spawn(function() require "uvjobs".sleep(60) end)
      uvjobs.yield()
      one:cancel()
      base.raises("cancelled", one.wait, one)
    end
  end))

  it("ends it at its deadline, where it is suspended and where it computes #W1",
    with_workers(function()
      local options = { timeout = 0.02 }
      local sleeps = workers:spawn(options, function() require "uvjobs".sleep(60) end)
      base.raises("timeout", sleeps.wait, sleeps)
      assert.equal("failed", sleeps.state)
      local computes = workers:spawn(options, function() while true do end end)
      base.raises("timeout", computes.wait, computes)
      local swallows = workers:spawn(options, function()
        while true do pcall(require "uvjobs".sleep, 1) end
      end)
      base.raises("killed", swallows.wait, swallows)
      assert.equal("killed", swallows.state)
    end))

  it("cancels it alike when it cancels itself #W1", with_workers(function()
    local job = workers:spawn(function()
      local inner = require "uvjobs"
      inner.current():cancel()
      inner.yield()
    end)
    local err = base.raises("cancelled", job.wait, job)
    assert.equal(job, err.job)
    assert.equal("cancelled", job.state)
  end))
end)

describe("workers", function()
  guard.install(warm_up)

  it("give no job to a thread that is stuck in C while others are free", in_run(function()
    local workers <close> = uvjobs.workers { threads = 2, exception_handler = base.ignore }
    local channel = uvjobs.channel(1)
    local path = files.temporary ""
    assert(os.remove(path) and os.execute(("mkfifo '%s'"):format(path)))
    local _ <close> = setmetatable({}, { __close = function()
      io.open(path, "w"):close() -- the thread goes on
      os.remove(path)
    end })
    local stuck = workers:spawn(function(out, name)
      out:put(true)
      io.open(name):close() -- waits in C for a writer
    end, channel, path)
    channel:get()
    base.raises("timeout", stuck.close, stuck, 0.01)
    assert.equal("killed", stuck.state)
    for _ = 1, 5 do
      local job = workers:spawn(function() return "free" end)
      assert.equal("free", job:wait())
      assert.are_not.equal(stuck.thread, job.thread)
    end
  end))

  it("leave no thread when their block is left #W6", in_run(function()
    local before = count_threads()
    for _ = 1, 20 do
      local workers <close> = uvjobs.workers { threads = 2 }
      workers:spawn(function() end)
    end
    assert.is_true(count_threads() <= before)
  end))

  it("let their jobs finish when their block is left, and close them after an error #W6",
    in_run(function()
      local job
      do
        local workers <close> = uvjobs.workers { threads = 1 }
        job = workers:spawn(function() require "uvjobs".sleep(0.01) return "done" end)
      end
      assert.equal("done", job:wait())
      local ok, err = pcall(function()
        local workers <close> = uvjobs.workers { threads = 1 }
        job = workers:spawn(function() require "uvjobs".sleep(60) end)
        uvjobs.sleep(0.01)
        error("left", 0)
      end)
      assert.same({ false, "left" }, { ok, err })
      assert.equal("cancelled", job.state)
    end))

  it("end also when a job of a job computes without end, in a scheduler of its own #W3 #W6",
    in_run(function()
      local before = count_threads()
      local channel = uvjobs.channel()
      do
        local workers <close> = uvjobs.workers { threads = 1, exception_handler = base.ignore }
        local job = workers:spawn(function(began)
          local inner = require "uvjobs"
          local jobs <close> = inner.scheduler()
          jobs:spawn(function()
            began:put(true)
            while true do end
          end)
          inner.sleep(60)
        end, channel)
        channel:get()
        job:cancel()
        job:join()
        assert.equal(1, workers:call(function() return 1 end))
      end
      assert.is_true(count_threads() <= before)
    end))

  it("leave no thread wherever the job that has them is cancelled or killed #W6", in_run(function()
    local before = count_threads()
    for _, by in ipairs { "cancel", "kill" } do
      testing.cancel_everywhere({ by = by, close_timeout = 60 }, function()
        local workers <close> = uvjobs.workers { threads = 2, exception_handler = base.ignore }
        workers:call(function() require "uvjobs".yield() end)
        workers:stats()
      end)
      assert.is_true(count_threads() <= before)
    end
  end))

  it("may be closed twice, and by nobody", function()
    local before = count_threads()
    uvjobs.run(function()
      local workers = uvjobs.workers { threads = 2 }
      workers:close()
      workers:close()
      assert.is_true(workers.closed)
      uvjobs.workers { threads = 2 } -- nobody has it
      local left = uvjobs.workers { threads = 1 }
      left:spawn(function() require "uvjobs".sleep(60) end)
      uvjobs.sleep(0.01)
    end)
    assert.is_true(count_threads() <= before)
  end)

  it("fail when setup fails, and leave no thread #W12", in_run(function()
    local before = count_threads()
    local ok, err = pcall(uvjobs.workers, {
      threads = 3, setup = function(index) if index == 2 then error { bad = index } end end,
    })
    assert.is_false(ok)
    assert.same({ bad = 2 }, err)
    assert.is_true(count_threads() <= before)
    base.raises("timeout", uvjobs.timeout, 0.02, uvjobs.workers,
      { threads = 1, setup = function() require "uvjobs".sleep(60) end })
    base.raises("timeout", uvjobs.timeout, 0.02, uvjobs.workers,
      { threads = 1, setup = function() while true do end end })
    assert.is_true(count_threads() <= before)
  end))

  it("end with the main job #W15", function()
    local ok, err = pcall(uvjobs.run, function()
      local workers <close> = uvjobs.workers { threads = 1 }
      workers:spawn(function() while true do end end)
      uvjobs.sleep(0.01)
      uvjobs.current():cancel()
      uvjobs.sleep(60)
    end)
    assert.is_false(ok)
    assert.equal("cancelled", uvjobs.code(err))
  end)
end)
