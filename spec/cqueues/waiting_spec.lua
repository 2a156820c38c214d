-- cqueues in jobs: its operations that wait suspend the job.
local sockets = require "spec.cqueues.helper"
local web = require "spec.http.helper"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local cqueues = require "uvjobs.cqueues"
local condition = require "cqueues.condition"
local cqueues_socket = require "cqueues.socket"
local promise = require "cqueues.promise"
local auxlib = require "cqueues.auxlib"

local message, log_of = helper.message, helper.log

describe("cqueues in a job", function()
  after_each(web.check_clean)

  it("is what require 'cqueues' gives", function()
    assert.equal(require "cqueues", cqueues)
  end)

  it("poll gives what is ready, or the time that has passed", function()
    uvjobs.run(function()
      local left, right, _ <close> = sockets.pair()
      assert.equal(0.01, cqueues.poll(0.01))
      local readable = { pollfd = right:pollfd(), events = "r" }
      assert.equal(0.01, cqueues.poll(readable, 0.01))
      left:write "x"
      assert.equal(readable, cqueues.poll(readable, 60))
    end)
  end)

  it("poll without arguments gives way", function()
    uvjobs.run(function()
      local log = log_of()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(function() log:add "other" end)
      assert.equal(0, select("#", cqueues.poll()))
      log:add "main"
      assert.same({ "other", "main" }, { table.unpack(log) })
    end)
  end)

  it("poll(0) lets the others run, and returns", function()
    uvjobs.run(function()
      local ran = false
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(function() ran = true end)
      assert.equal(0, cqueues.poll(0))
      assert.is_true(ran)
    end)
  end)

  it("sleep suspends the job alone, and never returns early #M10", function()
    uvjobs.run(function()
      local start = uvjobs.now()
      local ended = log_of()
      uvjobs.all {
        function() cqueues.sleep(0.04) ended:add "sleep" end,
        function() uvjobs.yield() ended:add "job" end,
      }
      assert.same({ "job", "sleep" }, { table.unpack(ended) })
      assert.is_true(uvjobs.now() - start >= 0.04)
    end)
  end)

  it("1,000 jobs wait at once", function()
    uvjobs.run(function()
      local go, woken = condition.new(), 0
      local jobs <close> = uvjobs.scheduler { limit = math.huge }
      for i = 1, 1000 do
        jobs:spawn(function()
          if i % 2 == 0 then go:wait() else cqueues.sleep(0.001) end
          woken = woken + 1
        end)
      end
      while woken < 500 do uvjobs.sleep(0.001) end
      go:signal()
      jobs:wait_and_close()
      assert.equal(1000, woken)
    end)
  end)

  it("sockets: a job reads what another one writes", function()
    uvjobs.run(function()
      local left, right, _ <close> = sockets.pair()
      local jobs <close> = uvjobs.scheduler()
      local reader = jobs:spawn(function()
        local lines = {}
        for line in right:lines "*l" do lines[#lines + 1] = line end
        return table.concat(lines, " ")
      end)
      jobs:spawn(function()
        for i = 1, 5 do
          left:write(("line %d\n"):format(i))
          cqueues.sleep(0.001)
        end
        left:shutdown "w"
      end)
      assert.equal("line 1 line 2 line 3 line 4 line 5", reader:wait())
    end)
  end)

  it("sockets: more than the buffers hold goes through", function()
    uvjobs.run(function()
      local left, right, _ <close> = sockets.pair()
      local jobs <close> = uvjobs.scheduler()
      local text = ("0123456789abcdef"):rep(2 ^ 17)
      jobs:spawn(function()
        left:write(text)
        left:flush()
        left:shutdown "w"
      end)
      assert.is_true(text == right:read "*a")
    end)
  end)

  it("sockets: connect and accept", function()
    uvjobs.run(function()
      local server = cqueues_socket.listen { host = "127.0.0.1", port = 0 }
      assert(server:listen())
      local _, _, port = server:localname()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(function()
        local peer = server:accept()
        peer:setmode("b", "bn")
        peer:write(peer:read("*l"):upper(), "\n")
        peer:close()
      end)
      local client = cqueues_socket.connect("127.0.0.1", port)
      client:setmode("b", "bn")
      client:write "hello\n"
      assert.equal("HELLO", client:read "*l")
      client:close()
      server:close()
    end)
  end)

  it("conditions: a signal wakes all that wait, signal(1) the first", function()
    uvjobs.run(function()
      local changed, log = condition.new(), log_of()
      local jobs <close> = uvjobs.scheduler()
      for i = 1, 4 do
        jobs:spawn(function()
          assert.is_true(changed:wait())
          log:add(i)
        end)
      end
      helper.yield(2)
      changed:signal(1)
      while #log == 0 do uvjobs.yield() end
      helper.yield(5)
      assert.same({ 1 }, { table.unpack(log) })
      changed:signal()
      jobs:wait_and_close()
      table.sort(log)
      assert.same({ 1, 2, 3, 4 }, { table.unpack(log) })
    end)
  end)

  it("conditions: wait says when its time has passed", function()
    uvjobs.run(function()
      local changed = condition.new()
      assert.is_false((changed:wait(0.005)))
    end)
  end)

  it("a signal right after the job began to wait is not lost", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler()
      for _ = 1, 100 do
        local changed = condition.new()
        local waiter = jobs:spawn(function() return changed:wait() end)
        local signaller = jobs:spawn(function() changed:signal() end)
        assert.is_true(waiter:wait())
        signaller:wait()
      end
    end)
  end)

  it("a condition can be signalled by a callback, before the loop looks again", function()
    uvjobs.run(function()
      local changed, timer = condition.new(), require "luv".new_timer()
      timer:start(1, 0, function()
        timer:close()
        changed:signal()
      end)
      assert.is_true(changed:wait())
    end)
  end)

  it("promises: the value, or the error", function()
    uvjobs.run(function()
      local value = promise.new(function(x)
        cqueues.sleep(0.001)
        return x, false, 3 -- cqueues does not count nils
      end, 1)
      assert.same({ 1, false, 3 }, { value:get() })
      local failing = promise.new(function() error({ "no" }) end)
      local ok, err = pcall(failing.get, failing)
      assert.is_false(ok)
      assert.equal("no", err[1])
    end)
  end)

  it("promises: several jobs wait for one that a job fulfils", function()
    uvjobs.run(function()
      local value = promise.new()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(function() value:set(true, "done") end)
      local function get() return value:get() end
      assert.same({ "done", "done", "done", n = 3 }, (uvjobs.all { get, get, get }))
    end)
  end)

  it("a job can wait in coroutines that auxlib resumes", function()
    uvjobs.run(function()
      local changed = condition.new()
      local jobs <close> = uvjobs.scheduler()
      local each = auxlib.wrap(function()
        cqueues.sleep(0.001)
        coroutine.yield "slept"
        coroutine.yield(changed:wait())
      end)
      assert.equal("slept", each())
      jobs:spawn(function() changed:signal() end)
      assert.is_true(each())
    end)
  end)

  describe("objects that cannot be polled", function()
    -- Polling the object raises in the job, and other jobs go on.
    local function is_refused(pattern, object)
      uvjobs.run(function()
        local changed = condition.new()
        local jobs <close> = uvjobs.scheduler()
        local other = jobs:spawn(function() return changed:wait() end)
        uvjobs.yield()
        for _ = 1, 3 do
          assert.matches(pattern, message(cqueues.poll, object))
          assert.matches(pattern, message(cqueues.poll, 60, object, 60))
        end
        assert.equal(0.001, cqueues.poll(0.001))
        changed:signal()
        assert.is_true(other:wait())
      end)
    end

    it("a descriptor that is not open", function()
      is_refused("Bad file descriptor", { pollfd = 9999, events = "r" })
    end)

    it("a method that raises", function()
      is_refused("ouch", { pollfd = function() error "ouch" end })
      is_refused("ouch", { timeout = function() error "ouch" end })
    end)

    it("a method that suspends", function()
      is_refused("must be called in a job", { timeout = function() uvjobs.sleep(0) end })
    end)

    it("a value of the wrong type", function()
      is_refused("number expected", { timeout = "soon" })
    end)

    it("the error goes to whoever waits for the job", function()
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler()
        local job = jobs:spawn(cqueues.poll, { pollfd = 9999, events = "r" })
        assert.matches("Bad file descriptor", message(job.wait, job))
        assert.equal("failed", job.state)
      end)
    end)
  end)
end)

describe("coroutines of cqueues", function()
  after_each(web.check_clean)

  it("a controller of its own suspends the job while it waits", function()
    uvjobs.run(function()
      local log, controller = log_of(), cqueues.new()
      for i = 1, 3 do
        controller:wrap(function()
          cqueues.sleep(0.01)
          log:add("coroutine " .. i)
        end)
      end
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(function() log:add "a job" end)
      assert(controller:loop())
      assert.equal("a job", log[1])
      table.sort(log)
      assert.same({ "a job", "coroutine 1", "coroutine 2", "coroutine 3" },
        { table.unpack(log) })
      controller:close()
    end)
  end)

  it("an error in a controller of a job is what its step returns", function()
    uvjobs.run(function()
      local controller = cqueues.new()
      controller:wrap(error, "oh", 0)
      local ok, err = controller:loop()
      assert.is_false(ok)
      assert.matches("oh", err)
      controller:close()
    end)
  end)

  it("step has a time limit", function()
    uvjobs.run(function()
      local controller = cqueues.new()
      controller:wrap(cqueues.sleep, 60)
      assert(controller:step(0.001))
      assert.is_false(controller:empty())
      controller:close()
    end)
  end)

  it("what is wrapped in cqueues.running() runs between the turns", function()
    uvjobs.run(function()
      local changed, log = condition.new(), log_of()
      cqueues.running():wrap(function()
        log:add(tostring(uvjobs.current()))
        changed:wait()
        log:add "woken"
      end)
      while #log < 1 do uvjobs.yield() end
      changed:signal()
      while #log < 2 do uvjobs.yield() end
      assert.same({ "nil", "woken" }, { table.unpack(log) })
    end)
  end)

  it("an error in one of them ends the run", function()
    assert.matches("out of order", message(uvjobs.run, function()
      cqueues.running():wrap(function() error "out of order" end)
      uvjobs.sleep(60)
    end))
    assert.equal("fine", uvjobs.run(function()
      cqueues.sleep(0.001)
      return "fine"
    end))
  end)

  it("they cannot suspend as jobs do, and are told so", function()
    uvjobs.run(function()
      local texts, controller = {}, cqueues.new()
      local event, jobs <close> = uvjobs.event(), uvjobs.scheduler()
      local job = jobs:spawn(uvjobs.sleep, 60)
      controller:wrap(function()
        texts[1] = message(uvjobs.sleep, 1)
        texts[2] = message(uvjobs.yield)
        texts[3] = message(event.wait, event)
        texts[4] = message(job.wait, job)
        texts[5] = message(uvjobs.exec, "true")
        texts[6] = message(uvjobs.timeout, 1, print)
        cqueues.sleep(0.001)
        texts[7] = message(uvjobs.sleep, 1)
      end)
      assert(controller:loop())
      for i, name in ipairs { "sleep", "yield", "wait", "wait", "exec", "timeout", "sleep" } do
        assert.equal(("'%s' must be called in a job: use uvjobs.coroutine"):format(name), texts[i])
      end
      controller:close()
      job:close()
    end)
  end)

  it("they spawn jobs, set events, and wait for what jobs signal", function()
    uvjobs.run(function()
      local event, changed, result = uvjobs.event(), condition.new(), nil
      local jobs <close> = uvjobs.scheduler()
      cqueues.running():wrap(function()
        jobs:try_spawn(function()
          uvjobs.sleep(0.001)
          result = "from a job"
          changed:signal()
        end)
        assert(changed:wait())
        event:set()
      end)
      assert.is_true(event:wait())
      assert.equal("from a job", result)
    end)
  end)
end)
