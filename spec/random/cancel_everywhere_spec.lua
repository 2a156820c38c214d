-- Jobs that use each part of the library, ended at each place where they suspend, in
-- random orders: nothing is lost, nothing is left (#M5 #M6 #M7 #M8 #M9).
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local testing = require "uvjobs.testing"
local helper = require "spec.helper"

local SEEDS <const> = 5

-- A job that is killed has its children killed, and each of them is reported.
local function nobody() end

-- Programs of a job that shares things with other jobs. `setup` makes the things; `check` gets them
-- when the job has ended.
local cases = {
  ["a semaphore"] = {
    setup = function() return uvjobs.semaphore(1), uvjobs.scheduler() end,
    before = function(semaphore, others)
      others:spawn(function() semaphore:with(uvjobs.sleep, 1) end)
    end,
    body = function(semaphore)
      semaphore:with(uvjobs.sleep, 1)
      local _ <close> = semaphore:permit()
      uvjobs.yield()
    end,
    check = function(semaphore, others)
      others:wait_and_close()
      assert.equal(1, semaphore.count)
    end,
    least = 3,
  },
  ["a mutex"] = {
    setup = function() return uvjobs.mutex(), uvjobs.scheduler() end,
    before = function(mutex, others)
      others:spawn(function() mutex:with(uvjobs.sleep, 1) end)
    end,
    body = function(mutex)
      mutex:with(uvjobs.sleep, 1)
      mutex:with(uvjobs.yield)
    end,
    check = function(mutex, others)
      others:wait_and_close()
      assert.is_true(mutex:try_lock())
      mutex:unlock()
    end,
    least = 3,
  },
  ["a queue that is taken from"] = {
    setup = function() return uvjobs.queue(1), uvjobs.scheduler(), { got = 0 } end,
    before = function(queue, others, log)
      log.putting = others:spawn(function()
        for i = 1, 3 do
          uvjobs.sleep(1)
          queue:put(i)
        end
      end)
    end,
    body = function(queue, _, log)
      for _ = 1, 3 do
        assert.equal(log.got + 1, queue:get())
        log.got = log.got + 1
      end
    end,
    check = function(queue, others, log)
      while log.got < 3 do
        assert.equal(log.got + 1, queue:get(60))
        log.got = log.got + 1
      end
      others:wait_and_close()
      assert.equal(0, #queue)
    end,
    least = 3,
  },
  ["queues and events that are selected"] = {
    setup = function() return uvjobs.queue(0), uvjobs.queue(2), uvjobs.scheduler(), { 0, 0 } end,
    before = function(first, second, others)
      for _, queue in ipairs { first, second } do
        others:spawn(function()
          for i = 1, 3 do
            uvjobs.sleep(1)
            queue:put(i)
          end
        end)
      end
    end,
    body = function(first, second, _, log)
      local event = uvjobs.event()
      for _ = 1, 6 do
        local source, value = uvjobs.select { event, first, second }
        local place = source == first and 1 or 2
        assert.equal(log[place] + 1, value)
        log[place] = value
      end
    end,
    check = function(first, second, others, log)
      for i, queue in ipairs { first, second } do
        for value = log[i] + 1, 3 do assert.equal(value, queue:get(60)) end
        assert.equal(0, #queue)
      end
      others:wait_and_close()
    end,
    least = 3,
  },
  ["a queue that is put to"] = {
    setup = function() return uvjobs.queue(1), uvjobs.scheduler(), { put = 0, got = 0 } end,
    before = function(queue, others, log)
      others:spawn(function()
        for item in queue:items() do
          log.got = log.got + 1
          assert.equal(log.got, item)
          uvjobs.sleep(1)
        end
      end)
    end,
    body = function(queue, _, log)
      for i = 1, 4 do
        queue:put(i)
        log.put = i
      end
    end,
    check = function(queue, others, log)
      queue:close()
      others:wait_and_close()
      assert.equal(log.put, log.got)
    end,
    least = 2,
  },
  ["an event and a job"] = {
    setup = function() return uvjobs.event(), uvjobs.scheduler() end,
    before = function(event, others)
      others:spawn(function()
        uvjobs.sleep(1)
        event:set()
      end)
    end,
    body = function(event)
      event:wait()
      local jobs <close> = uvjobs.scheduler { exception_handler = nobody }
      return jobs:spawn(function() uvjobs.sleep(1) return "result" end):wait()
    end,
    check = function(_, others) others:wait_and_close() end,
    least = 2,
  },
  ["all, race, map and their like"] = {
    body = function()
      uvjobs.all { function() uvjobs.sleep(1) end, uvjobs.yield }
      uvjobs.race { function() uvjobs.sleep(600) end, function() uvjobs.sleep(1) end }
      uvjobs.map({ 1, 2, 3 }, uvjobs.sleep, { limit = 2 })
      uvjobs.any { error, function() uvjobs.sleep(1) end, function() uvjobs.sleep(600) end }
      uvjobs.settled { error, function() uvjobs.sleep(1) end }
      uvjobs.each({ 1, 2, 3 }, uvjobs.sleep, { limit = 2, on_result = uvjobs.yield })
    end,
    least = 3,
  },
  ["nested schedulers"] = {
    body = function()
      local outer <close> = uvjobs.scheduler { exception_handler = nobody }
      outer:spawn(function()
        local inner <close> = uvjobs.scheduler {
          limit = 1, pending_limit = 1, exception_handler = nobody,
        }
        for _ = 1, 3 do inner:spawn(uvjobs.sleep, 1) end
        inner:wait_and_close()
      end)
      outer:shield(uvjobs.sleep, 1)
      outer:wait_and_close()
    end,
    least = 2,
  },
  ["a deadline, protect and a closing variable"] = {
    setup = function() return { open = 0 } end,
    body = function(log)
      local _ <close> = setmetatable({}, { __close = function()
        log.open = log.open - 1
        uvjobs.protect(uvjobs.sleep, 0.01) -- not when it is killed
      end })
      log.open = log.open + 1
      pcall(uvjobs.timeout, 1, uvjobs.sleep, 5)
      uvjobs.protect(uvjobs.sleep, 0.01)
      uvjobs.sleep(1)
    end,
    check = function(log) assert.equal(0, log.open) end,
    least = 4,
  },
  ["a coroutine"] = {
    body = function()
      local ticks = require "uvjobs.coroutine".wrap(function()
        for i = 1, 3 do
          uvjobs.sleep(1)
          require "uvjobs.coroutine".yield(i)
        end
      end)
      assert.equal(3, ticks() + ticks())
    end,
    least = 2,
  },
}

-- With luv, in real time.
local luv_cases = {
  ["a file"] = function()
    local path = os.tmpname()
    local _ <close> = setmetatable({}, { __close = function() os.remove(path) end })
    local fd = assert(uv.fs_open(path, "w", tonumber("600", 8)))
    local _ <close> = setmetatable({}, { __close = function() uv.fs_close(fd) end })
    uv.fs_write(fd, "text")
    uv.fs_stat(path)
  end,
  ["a connection"] = function()
    local jobs <close> = uvjobs.scheduler()
    local server <close> = uv.new_tcp()
    assert(server:bind("127.0.0.1", 0))
    assert(server:listen(8))
    jobs:spawn(function()
      for connection in server:connections() do
        local _ <close> = connection
        connection:write(connection:read_some() or "")
      end
    end)
    local client <close> = uv.new_tcp()
    assert(client:connect("127.0.0.1", server:getsockname().port))
    client:write "hello"
    client:read_some()
    jobs:close()
  end,
  ["a child process"] = function() uvjobs.exec("cat", {}, { input = "text" }) end,
  ["a child process that is stopped"] = function()
    uvjobs.exec("sh", { "-c", "echo line; exec sleep 600" }, {
      stderr = "stdout",
      max_output = 3,
      kill_timeout = 0.01,
      on_stdout = function() uvjobs.sleep(0.001) end,
    })
  end,
  ["a timer"] = function()
    local timer <close> = uv.new_timer()
    timer:start(1)
    timer:next()
  end,
}

describe("a job that is ended anywhere in the use of", function()
  -- The first use of luv makes what stays.
  setup(function()
    for _, body in pairs(luv_cases) do uvjobs.run(body) end
    pcall(helper.check_clean)
  end)

  after_each(helper.check_clean)

  for name, case in pairs(cases) do
    for _, by in ipairs { "cancel", "kill" } do
      testing.it(("%s, by %s"):format(name, by), { seeds = SEEDS }, function()
        local count = testing.cancel_everywhere({
          by = by, check = case.check, close_timeout = 0.5,
          setup = function()
            local things = table.pack((case.setup or function() end)())
            if case.before then
              case.before(table.unpack(things, 1, things.n))
              testing.settle()
            end
            return table.unpack(things, 1, things.n)
          end,
        }, case.body)
        assert.is_true(count >= case.least, count)
      end)
    end
  end

  for name, body in pairs(luv_cases) do
    testing.it(name, { clock = "real", timeout = math.huge }, function()
      local count = testing.cancel_everywhere({ close_timeout = 60 }, body)
      assert.is_true(count >= 1)
      for _ = 1, 1000 do -- closed handles are let go of, and threads come to their end
        if not luv.loop_alive() then break end
        uvjobs.sleep(0.001)
      end
    end)
  end
end)
