-- A job gives up a wait in cqueues: cqueues forgets the wait.
debug.sethook() -- makes a table in the registry, the first time

local web = require "spec.http.helper"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local cqueues = require "uvjobs.cqueues"
local condition = require "cqueues.condition"
local cqueues_socket = require "cqueues.socket"
local promise = require "cqueues.promise"

local raises = helper.raises

-- Calls fn(wait, wake): `wait` waits in cqueues until `wake` is called.
local WAITS <const> = {
  ["cqueues.sleep"] = function(fn)
    fn(function() cqueues.sleep(60) end)
  end,
  ["cqueues.poll of a descriptor"] = function(fn)
    local left, right = cqueues_socket.pair()
    fn(function() cqueues.poll({ pollfd = right:pollfd(), events = "r" }) end)
    left:close()
    right:close()
  end,
  ["condition:wait"] = function(fn)
    local changed = condition.new()
    fn(function() changed:wait() end, function() changed:signal(1) end)
  end,
  ["condition:wait with a time"] = function(fn)
    local changed = condition.new()
    fn(function() changed:wait(60) end, function() changed:signal(1) end)
  end,
  ["promise:get"] = function(fn)
    local value = promise.new()
    fn(function() value:get() end, function() value:set(true, 1) end)
  end,
  ["a read"] = function(fn)
    local left, right = cqueues_socket.pair()
    left:setmode("bn", "bn")
    right:setmode("bn", "bn")
    fn(function() right:read "*l" end, function() left:write "x\n" left:flush() end)
    left:close()
    right:close()
  end,
  ["a write that the other side does not read"] = function(fn)
    local left, right = cqueues_socket.pair()
    left:setmode("bn", "bn")
    fn(function()
      left:write(("x"):rep(2 ^ 22))
      left:flush()
    end)
    left:close()
    right:close()
  end,
  ["accept"] = function(fn)
    local server = cqueues_socket.listen { host = "127.0.0.1", port = 0 }
    assert(server:listen())
    fn(function() server:accept() end)
    server:close()
  end,
  ["controller:loop"] = function(fn)
    local controller = cqueues.new()
    controller:wrap(cqueues.sleep, 60)
    fn(function() controller:loop() end)
    controller:close()
  end,
  ["several objects"] = function(fn)
    local changed, left, right = condition.new(), cqueues_socket.pair()
    fn(function()
      cqueues.poll(changed, { pollfd = right:pollfd(), events = "r" }, 60, 70)
    end, function() changed:signal(1) end)
    left:close()
    right:close()
  end,
}

local NAMES <const> = {}
for name in pairs(WAITS) do NAMES[#NAMES + 1] = name end
table.sort(NAMES)

describe("a job that waits in cqueues", function()
  after_each(web.check_clean)

  for _, name in ipairs(NAMES) do
    -- Runs `fn(job, wake)` with a job that waits.
    local function waiting(fn, ...)
      local wrap = table.pack(...)
      uvjobs.run(function()
        WAITS[name](function(wait, wake)
          local jobs <close> = uvjobs.scheduler {
            close_timeout = 0.01, exception_handler = helper.ignore,
          }
          local job = jobs:spawn({}, table.unpack(wrap, 1, wrap.n), wait)
          helper.yield(3)
          assert.equal("active", job.state)
          fn(job, function() return jobs:spawn(wait) end, wake)
          cqueues.sleep(0)
        end)
      end)
    end

    local function call(fn) return fn() end

    it("is cancelled in " .. name .. " #M5", function()
      waiting(function(job)
        job:cancel()
        local err = raises("cancelled", job.wait, job)
        assert.equal(job, err.job)
        assert.equal("cancelled", job.state)
      end, call)
    end)

    it("comes to its deadline in " .. name, function()
      uvjobs.run(function()
        WAITS[name](function(wait)
          raises("timeout", uvjobs.timeout, 0.002, wait)
          raises("timeout", uvjobs.timeout, 0, wait)
          raises("timeout", uvjobs.timeout, 0.002, wait)
          cqueues.sleep(0)
        end)
      end)
    end)

    it("is killed in " .. name .. ", and its clean-up runs #M7", function()
      local cleaned
      waiting(function(job)
        local err = raises("timeout", job.close, job)
        assert.equal(job, err.job)
        assert.equal("killed", job.state)
        assert.equal("killed", cleaned)
      end, function(fn)
        local _ <close> = helper.closing(function(_, err) cleaned = uvjobs.code(err) end)
        while true do
          if not pcall(fn) then pcall(uvjobs.protect, cqueues.sleep, 60) end
        end
      end)
    end)

    it("is seen in its traceback in " .. name, function()
      waiting(function(job)
        assert.matches("in cqueues.poll", job:traceback())
        job:close()
      end, call)
    end)

    it("leaves " .. name .. " to the next one #M6", function()
      waiting(function(job, another, wake)
        local second = another()
        helper.yield(3)
        job:close()
        assert.equal("cancelled", job.state)
        if wake then
          wake()
          second:wait()
        else
          helper.yield(3)
          assert.equal("active", second.state)
          second:close()
        end
      end, call)
    end)
  end

  it("takes no signal with it when it is cancelled in the same turn #M6", function()
    uvjobs.run(function()
      for round = 1, 2 do
        local changed, woken = condition.new(), helper.log()
        local jobs <close> = uvjobs.scheduler()
        local function wait(i)
          assert(changed:wait())
          woken:add(i)
        end
        local first, second = jobs:spawn(wait, 1), jobs:spawn(wait, 2)
        helper.yield(2)
        if round == 1 then
          first:cancel()
          changed:signal(1)
        else
          first:cancel()
          helper.yield()
          changed:signal(1)
        end
        second:wait()
        assert.same({ 2 }, { table.unpack(woken) })
        raises("cancelled", first.wait, first)
      end
    end)
  end)

  it("leaves no descriptor behind, however often", function()
    uvjobs.run(function()
      local left, right = cqueues_socket.pair()
      left:setmode("bn", "bn")
      right:setmode("bn", "bn")
      raises("timeout", uvjobs.timeout, 0.001, right.read, right, "*l")
      local before = web.descriptors()
      for _ = 1, 200 do
        raises("timeout", uvjobs.timeout, 0.0001, right.read, right, "*l")
        raises("timeout", uvjobs.timeout, 0.0001, cqueues.poll,
          { pollfd = left:pollfd(), events = "r" })
      end
      assert.equal(before, web.descriptors())
      left:write "still good\n"
      left:flush()
      assert.equal("still good", right:read "*l")
      left:close()
      right:close()
    end)
  end)

  it("sees the cancellation at each call, and can clean up in uvjobs.protect", function()
    uvjobs.run(function()
      local log, jobs <close> = helper.log(), uvjobs.scheduler()
      local job = jobs:spawn(function()
        for _ = 1, 3 do
          local _, err = pcall(cqueues.sleep, 60)
          log:add(uvjobs.code(err))
        end
        uvjobs.protect(cqueues.sleep, 0.001)
        log:add "slept"
        cqueues.sleep(0)
      end)
      uvjobs.yield()
      job:cancel()
      raises("cancelled", job.wait, job)
      assert.same({ "cancelled", "cancelled", "cancelled", "slept" }, { table.unpack(log) })
    end)
  end)

  it("does not begin to wait when it was cancelled before", function()
    uvjobs.run(function()
      local changed, jobs <close> = condition.new(), uvjobs.scheduler()
      local job = jobs:spawn(function()
        uvjobs.current():cancel()
        changed:wait()
      end)
      raises("cancelled", job.wait, job)
      assert.equal("cancelled", job.state)
    end)
  end)

  it("is cancelled also where nothing of Lua is left to run in it", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler()
      local changed = condition.new()
      local job = jobs:spawn(coroutine.yield, cqueues._POLL, changed)
      helper.yield(2)
      job:cancel()
      raises("cancelled", job.wait, job)
      assert.equal("cancelled", job.state)
      assert.equal("next", jobs:spawn(function()
        local a = "next"
        return a
      end):wait())
    end)
  end)

  it("gets an error for what cannot be polled, and nobody else does", function()
    uvjobs.run(function()
      local closed, other = cqueues_socket.pair()
      closed:close()
      for _, object in ipairs { true, print, closed, { pollfd = 0 / 0 },
        setmetatable({}, { __index = function() error "no" end }) } do
        local ok, err = pcall(cqueues.poll, object, 0)
        assert.is_false(ok)
        assert.matches("cannot poll", err)
      end
      assert.equal(0, cqueues.poll(0))
      other:close()
    end)
  end)

  it("keeps its own hook", function()
    uvjobs.run(function()
      local function hook() end
      local jobs <close> = uvjobs.scheduler()
      local job = jobs:spawn(function()
        debug.sethook(hook, "c")
        local ok, err = pcall(cqueues.sleep, 60)
        local now = debug.gethook()
        debug.sethook()
        return ok, uvjobs.code(err), now == hook
      end)
      uvjobs.yield()
      job:cancel()
      local ok, code, same = job:wait()
      assert.is_false(ok)
      assert.equal("cancelled", code)
      assert.is_true(same)
    end)
  end)
end)
