-- Edges of queues, nurseries, all and permits.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual = helper.virtual

describe("a queue", function()
  after_each(helper.check_clean)

  it("loses nothing when a finalizer uses it while it grows #M6", function()
    for _ = 1, 20 do
      local queue, seen = uvjobs.queue(), {}
      collectgarbage()
      for i = 1, 8 do queue:try_put(i) end
      setmetatable({}, { __gc = function() for i = 1, 100 do queue:try_put(-i) end end })
      local mode = collectgarbage("incremental", 100, 1000, 1)
      for i = 9, 200 do queue:try_put(i) end
      collectgarbage()
      collectgarbage(mode)
      local left = #queue
      for _ = 1, left do seen[queue:try_get()] = true end
      assert.equal(0, #queue)
      for i = 1, 200 do assert.is_true(seen[i]) end
      for i = 1, 100 do assert.is_true(seen[-i]) end
    end
  end)
end)

describe("a nursery", function()
  after_each(helper.check_clean)

  it("raises also an error that is nil", function()
    virtual(function()
      local reached = false
      local ok, err = pcall(function()
        do
          local nursery <close> = uvjobs.scheduler { on_error = "cancel" }
          nursery:spawn(function() error() end)
          nursery:spawn(uvjobs.sleep, 100)
        end
        reached = true
      end)
      assert.same({ false, nil, false }, { ok, err, reached })
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("reports the error that made it fail when it is closed", function()
    virtual(function()
      local reports = {}
      local nursery = uvjobs.scheduler {
        on_error = "cancel",
        exception_handler = function(_, context) reports[#reports + 1] = context.exception end,
      }
      nursery:spawn(function() error("failed", 0) end)
      uvjobs.yield()
      uvjobs.yield()
      assert.same({}, reports)
      nursery:close()
      assert.same({ "failed" }, reports)
      nursery:close()
      nursery:wait_and_close()
      assert.same({ "failed" }, reports)
    end)
  end)
end)

describe("all", function()
  after_each(helper.check_clean)

  it("raises the error of a child also when a sibling waits for it", function()
    virtual(function()
      local child
      local ok, err = pcall(uvjobs.all, {
        function() child = uvjobs.current(); uvjobs.sleep(1); error("failed", 0) end,
        function() uvjobs.sleep(0); pcall(child.wait, child) end,
        function() uvjobs.sleep(100) end,
      })
      assert.same({ false, "failed" }, { ok, err })
      assert.equal(1, uvjobs.now())
    end)
  end)
end)

describe("a permit of a mutex", function()
  after_each(helper.check_clean)

  it("is not given back by a block of another job", function()
    virtual(function()
      local mutex, jobs, permit = uvjobs.mutex(), uvjobs.scheduler(), nil
      jobs:spawn(function()
        local held <close> = mutex:permit()
        permit = held
        uvjobs.sleep(5)
      end)
      uvjobs.yield()
      local ok, err = pcall(function() local _ <close> = permit end)
      assert.is_false(ok)
      assert.matches("the mutex is locked by job #%d+", err)
      assert.is_false(mutex:try_lock())
      jobs:wait_and_close()
      assert.is_true(mutex:try_lock())
      mutex:unlock()
    end)
  end)

  it("does not give back a later lock of the same job", function()
    virtual(function()
      local mutex = uvjobs.mutex()
      local first = mutex:permit()
      mutex:unlock()
      local second = mutex:permit()
      first:release()
      assert.is_false(mutex:try_lock())
      second:release()
      assert.is_true(mutex:try_lock())
      mutex:unlock()
    end)
  end)
end)
