-- Programs whose jobs wait for each other across threads: docs/workers.md.

local guard = require "spec.guard"
local uvjobs = require "uvjobs"
local warm_up = require "spec.workers.warm_up_outside"

-- Runs `fn(workers, ...)` with workers, and returns the error of the run.
local function error_of(clock, fn, options)
  options = options or {}
  options.threads, options.name = options.threads or 2, "cpu"
  local ok, err = pcall(uvjobs.run, { clock = clock }, function()
    local workers <close> = uvjobs.workers(options)
    fn(workers)
  end)
  return not ok and tostring(err) or nil
end

local function each_waits_for_the_other(workers)
  local one, other = uvjobs.channel(1), uvjobs.channel(1)
  local function exchange(from, to)
    to:put(from:get())
  end
  workers:spawn({ name = "left" }, exchange, one, other)
  workers:spawn({ name = "right" }, exchange, other, one):wait()
end

for _, clock in ipairs { "virtual", "real" } do
  describe(("under the %s clock a run"):format(clock), function()
    guard.install(warm_up)

    it("is stuck when jobs of several threads wait for each other #W13", function()
      local err = error_of(clock, each_waits_for_the_other)
      assert.matches("^run is stuck: nothing can wake any of these jobs\n", err)
      assert.matches('"main" active, waiting for a job', err)
      assert.matches('in thread %d of workers "cpu":\n\nuvjobs.Job: #%d+ "left" active, '
        .. "waiting to get from a channel\nstack traceback:\n", err)
      assert.matches('in thread %d of workers "cpu":\n\nuvjobs.Job: #%d+ "right" active, '
        .. "waiting to get from a channel\n", err)
    end)

    it("is stuck when all wait for room in a channel, and none gets #W13", function()
      local err = error_of(clock, function(workers)
        local full = uvjobs.channel(1)
        for i = 1, 2 do
          workers:spawn({ name = "putter " .. i }, function(channel)
            for n = 1, 10 do channel:put(n) end
          end, full)
        end
        workers:wait_idle()
      end)
      assert.matches('"putter 1" active, waiting to put into a channel', err)
      assert.matches('"putter 2" active, waiting to put into a channel', err)
    end)

    it("is stuck when a job of a thread waits for one beside it #W13", function()
      local err = error_of(clock, function(workers)
        workers:call(function()
          local inner = require "uvjobs"
          local queue <const> = inner.queue()
          local jobs <close> = inner.scheduler()
          jobs:spawn({ name = "deaf" }, function() queue:get() end)
        end)
      end, { threads = 1 })
      assert.matches('"deaf" active, waiting to get from a queue', err)
      assert.matches("in thread 1 of workers", err)
    end)

    it("is stuck when the block of the workers waits for a job that cannot end #W13", function()
      local err = error_of(clock, function(workers)
        workers:spawn(function(channel) channel:get() end, uvjobs.channel())
      end)
      assert.matches("waiting to get from a channel", err)
    end)

    it("is stuck across workers of workers #W13", function()
      local err = error_of(clock, function(workers)
        workers:call(function()
          local inner = require "uvjobs"
          local own <close> = inner.workers { threads = 1, name = "inner" }
          own:call(function(channel) channel:get() end, inner.channel())
        end)
      end)
      assert.matches('in thread 1 of workers "inner":', err)
    end)

    it("tells the handler at once when only the limit of a wait is left #W13", function()
      local contexts, channel = {}, uvjobs.channel()
      uvjobs.run({ clock = clock }, function()
        local workers <close> = uvjobs.workers {
          threads = 2, name = "cpu", exception_handler = function(_, context)
            contexts[#contexts + 1] = context
            channel:try_put "go on"
          end,
        }
        local job = workers:spawn({ name = "getter" }, function(from)
          return from:get()
        end, channel)
        assert.is_true(workers:wait_and_close(600))
        assert.equal("go on", job:wait())
        if clock == "virtual" then assert.equal(0, uvjobs.now()) end
      end)
      assert.equal(1, #contexts)
      assert.equal("Jobs are stuck", contexts[1].message)
      assert.matches('in thread %d of workers "cpu":\n\n.*"getter" active, waiting to get from',
        contexts[1].traceback)
    end)

    it("goes on until the limit when nobody does anything about it #W13", function()
      local contexts, channel = {}, uvjobs.channel()
      uvjobs.run({ clock = clock }, function()
        local begin = uvjobs.now()
        local workers <close> = uvjobs.workers {
          threads = 1, exception_handler = function(_, context)
            contexts[#contexts + 1] = context.message
          end,
        }
        workers:spawn({ report = false }, function(from) from:get() end, channel)
        assert.same({ nil, "timeout", 1 }, { workers:wait_and_close(0.1) })
        assert.is_true(uvjobs.now() - begin >= 0.1)
      end)
      assert.same({ "Jobs are stuck", "Waiting timed out" }, contexts)
    end)

    it("tells nobody while a job of a thread can go on before the limit #W13", function()
      local contexts, channel = {}, uvjobs.channel()
      uvjobs.run({ clock = clock }, function()
        local workers <close> = uvjobs.workers {
          threads = 2, exception_handler = function(_, context)
            contexts[#contexts + 1] = context.message
          end,
        }
        workers:spawn(function(from) from:get() end, channel)
        workers:spawn(function(to)
          require "uvjobs".sleep(0.02)
          to:put(1)
        end, channel)
        assert.is_true(workers:wait_and_close(600))
      end)
      assert.same({}, contexts)
    end)

    it("closes its jobs, whose variables are closed, before it raises #W13", function()
      local told = uvjobs.channel()
      local err = error_of(clock, function(workers)
        workers:spawn(function(channel)
          local _ <close> = setmetatable({}, { __close = function() channel:try_put "closed" end })
          require "uvjobs".event():wait()
        end, told):wait()
      end)
      assert.matches("^run is stuck", err)
      assert.equal("closed", uvjobs.run(function() return told:get() end))
    end)

    it("is not stuck while a job of a thread sleeps #W13", function()
      assert.is_nil(error_of(clock, function(workers)
        local channel = uvjobs.channel()
        workers:spawn(function(out)
          require "uvjobs".sleep(0.02)
          out:put "late"
        end, channel)
        assert.equal("late", channel:get())
      end))
    end)

    it("is not stuck while a job of a thread waits for a function or a process #W13", function()
      assert.is_nil(error_of(clock, function(workers)
        assert.equal(6, workers:call(function()
          local inner = require "uvjobs"
          inner.exec("true")
          return inner.work(function() return 6 end)
        end))
      end))
    end)

    it("is not stuck while a function of work has a channel #W13", function()
      assert.is_nil(error_of(clock, function(workers)
        local channel = uvjobs.channel()
        local jobs <close> = uvjobs.scheduler()
        jobs:spawn(uvjobs.work, function(out)
          require "uvjobs".run(function()
            require "uvjobs".sleep(0.02)
            out:put "from work"
          end)
        end, channel)
        assert.equal("from work", workers:call(function(c) return c:get() end, channel))
      end))
    end)

    it("is not stuck while workers in a function of work wait for the program #W13", function()
      assert.is_nil(error_of(clock, function(workers)
        local channel, back = uvjobs.channel(), uvjobs.channel()
        local jobs <close> = uvjobs.scheduler()
        jobs:spawn(uvjobs.work, function(how, from, to)
          require "uvjobs".run({ clock = how }, function()
            local own <close> = require "uvjobs".workers { threads = 1 }
            to:put "ready"
            to:put(own:call(function(c)
              require "uvjobs".sleep(0.01)
              return c:get()
            end, from))
          end)
        end, clock, channel, back)
        assert.equal("ready", back:get())
        workers:call(function(c)
          require "uvjobs".work(function() for _ = 1, 1e6 do end end)
          c:put "here"
        end, channel)
        assert.equal("here", back:get())
      end))
    end)

    it("is not stuck while messages go to and fro between threads #W7 #W13", function()
      assert.is_nil(error_of(clock, function(workers)
        local function bounce(from, to, n)
          for i = 1, n do
            local value = from:get()
            if value ~= i then error("lost", 0) end
            to:put(value)
          end
        end
        local a, b, c = uvjobs.channel(1), uvjobs.channel(1), uvjobs.channel(1)
        workers:spawn(bounce, a, b, 500)
        workers:spawn(bounce, b, c, 500)
        for n = 1, 500 do
          a:put(n)
          assert.equal(n, c:get())
        end
      end))
    end)

    it("is not stuck while calls follow each other #W13", function()
      assert.is_nil(error_of(clock, function(workers)
        local sum = 0
        for i = 1, 200 do sum = sum + workers:call(function(n) return n end, i) end
        assert.equal(20100, sum)
      end))
    end)

    it("is not stuck because workers have nothing to do #W13", function()
      assert.is_nil(error_of(clock, function(workers)
        uvjobs.sleep(0.02)
        assert.equal(1, workers:call(function() return 1 end))
      end))
    end)
  end)
end
