-- Workers under the virtual clock: docs/workers.md. Their threads take turns, so that the same
-- happens each time.

local base = require "spec.helper"
local guard = require "spec.guard"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"
local warm_up = require "spec.workers.warm_up_outside"

-- Several producers and consumers in several threads. Returns what has happened, in its order.
local function trace_of(options)
  local log = {}
  options.clock = "virtual"
  uvjobs.run(options, function()
    local workers <close> = uvjobs.workers { threads = 3 }
    local out = uvjobs.channel(2)
    for i = 1, 6 do
      workers:spawn(function(number, channel)
        local inner = require "uvjobs"
        for k = 1, 3 do
          channel:put { number, k, inner.now(), math.random(1000) }
          if k == 1 then inner.yield() else inner.sleep(number) end
        end
        channel:put { number, "end", inner.now() }
      end, i, out)
    end
    for _ = 1, 24 do log[#log + 1] = table.concat(out:get(), " ") end
    log[#log + 1] = uvjobs.now()
  end)
  return table.concat(log, "\n")
end

describe("under the virtual clock", function()
  guard.install(warm_up)

  it("the same happens with the same seed, in all threads #W14 #M16", function()
    for seed = 1, 10 do
      assert.equal(trace_of { shuffle = seed }, trace_of { shuffle = seed })
    end
    assert.equal(trace_of {}, trace_of {})
    assert.equal(trace_of { seed = 3 }, trace_of { seed = 3 })
  end)

  it("different seeds give different orders #W14", function()
    local traces, n = {}, 0
    for seed = 1, 10 do
      local trace = trace_of { shuffle = seed }
      n = n + (traces[trace] and 0 or 1)
      traces[trace] = true
    end
    assert.is_true(n > 5, ("%d different traces"):format(n))
  end)

  it("what is random in a worker depends on the seed of the run", function()
    assert.not_equal(trace_of { seed = 1 }, trace_of { seed = 2 })
  end)

  it("an hour in a worker takes no time, and its clock is that of the program #W14",
    testing.wrap(function()
      uvjobs.sleep(10)
      local workers <close> = uvjobs.workers { threads = 2 }
      local function nap(seconds)
        local inner = require "uvjobs"
        local from = inner.now()
        inner.sleep(seconds)
        return from, inner.now(), inner.time()
      end
      local long, short = workers:spawn(nap, 3500), workers:spawn(nap, 60)
      assert.same({ 10, 70, 946684800 + 70 }, { short:wait() })
      assert.equal(70, uvjobs.now())
      assert.same({ 10, 3510, 946684800 + 3510 }, { long:wait() })
    end))

  it("time moves when all are idle, and not before #W14", testing.wrap({ seeds = 10 }, function()
    local workers <close> = uvjobs.workers { threads = 2 }
    local job = workers:spawn(function()
      local inner = require "uvjobs"
      for _ = 1, 100 do inner.yield() end
      return inner.now()
    end)
    uvjobs.sleep(1)
    assert.equal("done", job.state)
    assert.equal(0, job:wait())
  end))

  it("advance() and settle() know the jobs of workers", testing.wrap({ seeds = 5 }, function()
    local workers <close> = uvjobs.workers { threads = 2 }
    local log = uvjobs.channel()
    for i = 1, 2 do
      workers:spawn(function(n, channel)
        local inner = require "uvjobs"
        channel:put(inner.now())
        for _ = 1, 3 do
          inner.sleep(n)
          channel:put(inner.now())
        end
      end, i, log)
    end
    testing.settle()
    assert.equal(2, #log)
    assert.equal(0, uvjobs.now())
    testing.advance(2)
    assert.equal(5, #log) -- at 1, 2 and 2
    assert.equal(2, uvjobs.now())
    testing.advance(10)
    assert.equal(8, #log)
    workers:close()
  end))

  it("set_date() is for all threads", testing.wrap(function()
    local workers <close> = uvjobs.workers { threads = 1 }
    local job = workers:spawn(function()
      local inner = require "uvjobs"
      inner.sleep_until(2000000000)
      return inner.time(), inner.now()
    end)
    testing.advance(5)
    testing.set_date(2000000000 - 3)
    testing.advance(1)
    assert.equal("active", job.state)
    assert.same({ 2000000000, 8 }, { job:wait() })
  end))

  it("a job that computes gives way to the program, and can be ended #W3 #W4 #W14",
    testing.wrap(function()
      local workers <close> = uvjobs.workers { threads = 1 }
      local busy = workers:spawn(function() while true do end end)
      local other = workers:spawn(function() return "still" end)
      assert.equal("still", other:wait())
      busy:cancel()
      busy:join()
      assert.equal("cancelled", busy.state)
    end))

  it("a job that is busy in a C function does not hold up the program #W4 #W14",
    testing.wrap(function()
      local workers <close> = uvjobs.workers { threads = 1, exception_handler = base.ignore }
      local busy = workers:spawn(function()
        table.sort({ 3, 2, 1 }, function() while true do end end)
      end)
      uvjobs.sleep(0.01)
      busy:close(0.1)
      assert.is_true(busy.closed)
      assert.equal("still", workers:call(function() return "still" end))
    end))

  it("limits, deadlines, errors and memory are as in real threads #W1 #W11 #W12 #W14",
    testing.wrap({ seeds = 5 }, function()
      local ok, err = pcall(uvjobs.workers, {
        threads = 2, setup = function(index) error("no data for " .. index, 0) end,
      })
      assert.is_false(ok)
      assert.matches("^no data for [12]$", err)
      local workers <close> = uvjobs.workers { threads = 2, memory_limit = 2 ^ 21 | 0 }
      local late = workers:spawn({ timeout = 5 }, function() require "uvjobs".sleep(60) end)
      assert.equal("timeout", base.outcome(late.wait, late))
      assert.equal(5, uvjobs.now())
      local large = workers:spawn(function() return ("x"):rep(2 ^ 22) end)
      assert.equal("memory", base.outcome(large.wait, large))
      assert.equal("no", base.outcome(workers.call, workers, function() error("no", 0) end))
      local results = uvjobs.map({ 3, 2, 1 }, function(n)
        require "uvjobs".sleep(n)
        return n
      end, { on = workers })
      assert.same({ 3, 2, 1, n = 3 }, results)
      assert.equal(8, uvjobs.now())
    end))

  it("blobs and select work between threads #W14", testing.wrap({ seeds = 10 }, function()
    local workers <close> = uvjobs.workers { threads = 2 }
    local first, second = uvjobs.channel(1), uvjobs.channel(1)
    local function answer(channel, seconds)
      require "uvjobs".sleep(seconds)
      channel:put(require "uvjobs".blob(("x"):rep(100000)))
    end
    workers:spawn(answer, first, 2)
    workers:spawn(answer, second, 1)
    local source, blob = uvjobs.select { first, second, timeout = 5 }
    assert.equal(second, source)
    assert.equal(100000, #blob)
    assert.equal(1, uvjobs.now())
    assert.is_nil((uvjobs.select { second, timeout = 0.5 }))
    assert.equal(first, (uvjobs.select { first, second }))
  end))

  it("workers of workers take turns, too", function()
    local function nested()
      return testing.wrap({ seeds = { 7 } }, function()
        local workers <close> = uvjobs.workers { threads = 2 }
        return workers:call(function()
          local inner = require "uvjobs"
          local own <close> = inner.workers { threads = 2 }
          local out = inner.channel()
          for i = 1, 4 do
            own:spawn(function(n, channel)
              require "uvjobs".sleep(n % 2)
              channel:put(n)
            end, i, out)
          end
          return ("%d%d%d%d"):format(out:get(), out:get(), out:get(), out:get())
        end)
      end)()
    end
    local order = nested()
    assert.equal(4, #order)
    assert.equal(order, nested())
  end)

  it("time stands still while a worker waits for something outside #W14",
    testing.wrap(function()
      local workers <close> = uvjobs.workers { threads = 2 }
      local result, ok, now = workers:call(function()
        local inner = require "uvjobs"
        local result = inner.work(function() return 6 * 7 end)
        return result, inner.exec("true").ok, inner.now()
      end)
      assert.same({ 42, true, 0 }, { result, ok, now })
      local job = workers:spawn(function()
        require "uvjobs".sleep(5)
        return require "uvjobs".work(function() return 1 end)
      end)
      assert.equal(2, uvjobs.work(function() return 2 end))
      assert.equal(1, job:wait())
      assert.equal(5, uvjobs.now())
    end))
end)

describe("a program with workers", function()
  -- What it is given is summed up in two threads.
  local function pipeline(tasks, results)
    local workers <close> = uvjobs.workers { threads = 2, exception_handler = base.ignore }
    local function square(from, to)
      for n in from:items() do
        require "uvjobs".sleep(n / 10)
        to:put(n * n)
      end
    end
    local jobs = { workers:spawn(square, tasks, results), workers:spawn(square, tasks, results) }
    for n = 1, 4 do tasks:put(n) end
    tasks:close()
    local sum = 0
    for _ = 1, 4 do sum = sum + results:get() end
    for _, job in ipairs(jobs) do job:wait() end
    sum = sum + workers:call(function(n)
      require "uvjobs".sleep(1)
      return n
    end, 12)
    uvjobs.map({ 1, 2 }, function(n) require "uvjobs".sleep(n) end, { on = workers })
    if sum ~= 42 then error("the sum is wrong", 0) end
  end

  local function channels() return uvjobs.channel(1), uvjobs.channel(1) end

  for _, by in ipairs { "cancel", "kill" } do
    it(("can be ended by %s wherever it waits #W4 #W6 #W8 #W14"):format(by), function()
      assert.is_true(testing.cancel_everywhere({ by = by, setup = channels }, pipeline) >= 8)
    end)
  end

  it("can be ended wherever it waits in any order of the threads #W14",
    testing.wrap({ seeds = 5 }, function()
      assert.is_true(testing.cancel_everywhere({ setup = channels }, pipeline) >= 8)
    end))

  it("loses nothing when a consumer in a thread is ended at any point #W7 #W8 #W14",
    testing.wrap({ seeds = 10 }, function()
      local workers <close> = uvjobs.workers { threads = 2 }
      for pause = 0, 5 do
        local from, to = uvjobs.channel(3), uvjobs.channel(10)
        local function move(source, target)
          for n in source:items() do
            require "uvjobs".sleep(0.1)
            require "uvjobs".protect(target.put, target, n)
          end
        end
        local one, other = workers:spawn(move, from, to), workers:spawn(move, from, to)
        local feeder <close> = uvjobs.scheduler()
        feeder:spawn(function()
          for n = 1, 6 do from:put(n) end
          from:close()
        end)
        uvjobs.sleep(pause / 20)
        one:cancel()
        one:join()
        other:wait()
        assert.is_true(#to >= 5) -- it may have had one in its hands
      end
    end))
end)
