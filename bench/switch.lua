-- Switch: two jobs and two queues of capacity 1. An operation is one message
-- there and one back.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

--- A queue of capacity 1 on two primitives: `wait(queue)` suspends until
--- `wake(queue)` was called.
local function slot_queue(wait, wake)
  local queue = {}
  function queue:put(value)
    while self.value ~= nil do wait(self) end
    self.value = value
    wake(self)
  end
  function queue:get()
    while self.value == nil do wait(self) end
    local value = self.value
    self.value = nil
    wake(self)
    return value
  end
  return queue
end

local function ping(n, there, back)
  for i = 1, n do
    there:put(i)
    assert(back:get() == i)
  end
end

local function pong(n, there, back)
  for _ = 1, n do back:put(there:get()) end
end

common.main(1000000, {
  uvjobs = function(n)
    local uvjobs = require "uvjobs"
    return function()
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler()
        local there, back = uvjobs.queue(1), uvjobs.queue(1)
        jobs:spawn(ping, n, there, back)
        jobs:spawn(pong, n, there, back)
      end)
    end
  end,

  -- No queues: each resume and each yield carries the message. What the two
  -- switches cost at least in plain Lua.
  bare = function(n)
    local yield = coroutine.yield
    return function()
      local resume, echo = coroutine.resume, coroutine.create(function(value)
        while true do value = yield(value) end
      end)
      for i = 1, n do
        local _, value = resume(echo, i)
        assert(value == i)
      end
    end
  end,

  luv = function(n)
    local ready = dofile(common.dir .. "peers/ready.lua")
    local function wait(queue)
      queue.waiter = coroutine.running()
      coroutine.yield()
    end
    local function wake(queue)
      if queue.waiter then
        ready.add(queue.waiter)
        queue.waiter = nil
      end
    end
    return function()
      local there, back = slot_queue(wait, wake), slot_queue(wait, wake)
      ready.run(function()
        ready.add(coroutine.create(function() ping(n, there, back) end))
        ready.add(coroutine.create(function() pong(n, there, back) end))
      end)
    end
  end,

  cqueues = function(n)
    local cqueues, condition = require "cqueues", require "cqueues.condition"
    local function wait(queue) queue.changed:wait() end
    local function wake(queue) queue.changed:signal() end
    local function new_queue()
      local queue = slot_queue(wait, wake)
      queue.changed = condition.new()
      return queue
    end
    return function()
      local there, back, loop = new_queue(), new_queue(), cqueues.new()
      loop:wrap(ping, n, there, back)
      loop:wrap(pong, n, there, back)
      assert(loop:loop())
    end
  end,
})
