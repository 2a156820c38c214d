-- Jobs of workers: docs/workers.md. The functions run in other threads, so time is real.

local base = require "spec.helper"
local guard = require "spec.guard"
local uvjobs = require "uvjobs"
local warm_up = require "spec.workers.warm_up"

local in_run = base.in_run

describe("a job of workers", function()
  guard.install(warm_up)

  it("returns copies of its results to wait, and knows its thread #W1", in_run(function()
    local workers <close> = uvjobs.workers { threads = 2 }
    local shared = { 1, { "x" } }
    local job = workers:spawn({ name = "sum" }, function(a, b, list)
      return a + b, nil, list, list
    end, 1, 2.5, shared)
    assert.equal("sum", job.name)
    assert.equal("active", job.state)
    local sum, nothing, one, other = job:wait()
    assert.equal(3.5, sum)
    assert.is_nil(nothing)
    assert.same(shared, one)
    assert.equal(one, other)
    assert.equal("done", job.state)
    assert.is_true(job.thread == 1 or job.thread == 2)
  end))

  it("may suspend, wait and have jobs of its own #W1", in_run(function()
    local workers <close> = uvjobs.workers { threads = 1 }
    local job = workers:spawn(function(n)
      local inner = require "uvjobs"
      local results = inner.map({ 1, 2, 3 }, function(i)
        inner.sleep(0.001)
        return i * n
      end)
      results.n = nil
      return results
    end, 10)
    assert.same({ 10, 20, 30 }, job:wait())
  end))

  it("runs beside the other jobs of its thread", in_run(function()
    local workers <close> = uvjobs.workers { threads = 1 }
    local busy = workers:spawn(function() while true do end end)
    assert.equal("still", workers:spawn(function() return "still" end):wait())
    busy:cancel()
    busy:join()
  end))

  it("starts after those that were spawned before it in its thread #W2", in_run(function()
    local workers <close> = uvjobs.workers {
      threads = 1, setup = function() order = {} end, -- luacheck: ignore
    }
    for i = 1, 100 do
      workers:spawn(function(n) order[#order + 1] = n end, i) -- luacheck: ignore
    end
    local order = workers:spawn(function() return order end):wait() -- luacheck: ignore
    for i = 1, 100 do assert.equal(i, order[i]) end
  end))

  it("fails with a copy of its error, and says where that was raised #W1", in_run(function()
    local workers <close> = uvjobs.workers { threads = 1 }
    local job = workers:spawn(function() error { status = 404 } end)
    local ok, err = pcall(job.wait, job)
    assert.is_false(ok)
    assert.same({ status = 404 }, err)
    assert.equal("failed", job.state)
    assert.matches("in another thread.*jobs_spec%.lua:%d+", job:traceback())
    local strange = workers:spawn(function() error(print) end)
    assert.matches("^function: ", select(2, strange:result()))
  end))

  it("keeps the code of errors of uvjobs #W1", in_run(function()
    local workers <close> = uvjobs.workers { threads = 1 }
    local job = workers:spawn(function()
      local inner = require "uvjobs"
      inner.timeout(0.001, inner.sleep, 60)
    end)
    base.raises("timeout", job.wait, job)
    assert.equal("failed", job.state)
    local full = workers:spawn(function()
      local inner = require "uvjobs"
      local scheduler = inner.scheduler()
      scheduler:close()
      scheduler:spawn(inner.yield)
    end)
    base.raises("closed", full.wait, full)
  end))

  it("says which result cannot be copied", in_run(function()
    local workers <close> = uvjobs.workers { threads = 1 }
    local job = workers:spawn(function() return 1, { print } end)
    local _, err = job:result()
    assert.matches("^result #2 cannot be copied %(.* got function at value%[1%]%)$", err)
  end))

  it("has globals of its own above those of the state", in_run(function()
    local workers <close> = uvjobs.workers {
      threads = 1, setup = function(index) thread = "thread " .. index end, -- luacheck: ignore
    }
    assert.equal("thread 1", workers:spawn(function()
      leaked = true -- luacheck: ignore
      return thread -- luacheck: ignore
    end):wait())
    assert.is_nil(workers:spawn(function() return leaked end):wait()) -- luacheck: ignore
  end))

  it("cannot end the process or change its locale", in_run(function()
    local workers <close> = uvjobs.workers { threads = 1, main_only = { "no.such.module" } }
    for name, call in pairs {
      ["os.exit"] = function() os.exit(1) end,
      ["os.setlocale"] = function() os.setlocale "C" end,
      ["uvjobs.exit"] = function() require "uvjobs".exit(1) end,
    } do
      local _, err = workers:spawn(call):result()
      assert.matches("'" .. name .. "' cannot be called in a worker", err, nil, true)
    end
    local _, err = workers:spawn(function() require "no.such.module" end):result()
    assert.matches("main_only", err)
  end))

  it("is limited as the jobs of a scheduler are", in_run(function()
    local workers <close> = uvjobs.workers { threads = 2, limit = 1, pending_limit = 1 }
    local first = workers:spawn(function() require "uvjobs".sleep(60) end)
    local second = workers:try_spawn(function() return 2 end)
    assert.equal("pending", second.state)
    assert.same({ nil, "full" }, { workers:try_spawn(function() end) })
    first:cancel()
    assert.equal(2, second:wait())
    workers:close()
    assert.same({ nil, "closed" }, { workers:try_spawn(function() end) })
    base.raises("closed", workers.spawn, workers, function() end)
  end))

  it("goes to the thread of its key, and else to one with few jobs", in_run(function()
    local workers <close> = uvjobs.workers { threads = 3 }
    local threads, by_key, jobs = {}, {}, {}
    for i = 1, 6 do
      jobs[i] = workers:spawn({ key = "album" }, function() return true end)
    end
    for _, job in ipairs(jobs) do
      job:wait()
      by_key[job.thread] = true
    end
    assert.is_nil(next(by_key, (next(by_key))))
    for i = 1, 6 do
      jobs[i] = workers:spawn(function() require "uvjobs".sleep(60) end)
    end
    uvjobs.yield()
    for _, job in ipairs(jobs) do
      threads[job.thread] = (threads[job.thread] or 0) + 1
      job:cancel()
    end
    assert.same({ 2, 2, 2 }, threads)
    workers:wait_idle()
  end))

  it("goes on where the arguments were copied when it was spawned", in_run(function()
    local workers <close> = uvjobs.workers { threads = 1 }
    local list = { 1 }
    local job = workers:spawn(function(l) return #l end, list)
    list[2] = 2
    assert.equal(1, job:wait())
  end))

  it("is counted by stats", in_run(function()
    local workers <close> = uvjobs.workers { threads = 2 }
    for _ = 1, 4 do workers:spawn(function() end):wait() end
    local stats = workers:stats()
    assert.equal(4, stats.done)
    assert.equal(4, stats.threads[1].jobs + stats.threads[2].jobs)
    for _, one in ipairs(stats.threads) do
      assert.is_true(one.memory > 0 and one.busy >= 0 and one.busy <= 1)
      assert.equal(0, one.active)
    end
  end))
end)

describe("channels and blobs", function()
  guard.install(warm_up)

  it("go to jobs of workers and come back", in_run(function()
    local workers <close> = uvjobs.workers { threads = 2 }
    local out, back = uvjobs.channel(2), uvjobs.channel(2)
    local squares = workers:spawn(function(from, to)
      for n in from:items() do to:put(n * n) end
      to:close()
    end, out, back)
    local numbers = workers:spawn(function(to, blob)
      for n = 1, 50 do to:put(n) end
      to:close()
      return blob:slice(1, 3), to
    end, out, uvjobs.blob(("abc"):rep(1000)))
    local sum = 0
    for square in back:items() do sum = sum + square end
    assert.equal(42925, sum)
    squares:wait()
    local blob, same = numbers:wait()
    assert.equal("abc", blob:string())
    assert.equal(out, same)
  end))

  it("are dropped with jobs that were not begun", in_run(function()
    local workers <close> = uvjobs.workers { threads = 1, limit = 1 }
    local channel = uvjobs.channel(1)
    for _ = 1, 20 do
      workers:spawn(function(c) c:put(1) end, channel):cancel()
    end
    workers:wait_idle()
  end))
end)
