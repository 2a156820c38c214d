-- A job that ignores why it is to end is slowed down; one that heeds each of its deadlines
-- is not.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual = helper.virtual

-- More calls than a job may have refused before it is slowed down.
local MANY <const> = 1000

local function expire() pcall(uvjobs.timeout, 0, uvjobs.sleep, 1) end

-- How long many calls of fn take, under the virtual clock.
local function time_of(fn)
  local start = uvjobs.now()
  for _ = 1, MANY do fn() end
  return uvjobs.now() - start
end

describe("a job", function()
  after_each(helper.check_clean)

  it("is not slowed down by deadlines that have passed, each of which is another one", function()
    virtual(function()
      assert.equal(0, time_of(expire))
      assert.equal(0, time_of(function()
        pcall(uvjobs.timeout, 0, function()
          pcall(uvjobs.yield)
          uvjobs.yield()
        end)
      end))
    end)
  end)

  it("is not slowed down by items of a queue that have come too late", function()
    virtual(function()
      local queue = uvjobs.queue()
      for i = 1, MANY do queue:put(i) end
      queue:close()
      for _ in queue:items() do expire() end
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("is not slowed down by late deadlines in a coroutine", function()
    virtual(function()
      local next_one = require "uvjobs.coroutine".wrap(function()
        while true do
          expire()
          coroutine.yield()
        end
      end)
      assert.equal(0, time_of(next_one))
    end)
  end)

  it("is slowed down when it ignores one deadline", function()
    virtual(function()
      pcall(uvjobs.timeout, 0, function()
        assert.is_true(time_of(function() pcall(uvjobs.yield) end) > 10)
      end)
    end)
  end)

  it("is slowed down when it ignores an outer deadline by inner ones", function()
    virtual(function()
      pcall(uvjobs.timeout, 0, function() assert.is_true(time_of(expire) > 10) end)
    end)
  end)

  it("is slowed down when it ignores its cancellation by inner deadlines", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler { close_timeout = 3600 }
      local seconds
      local job = jobs:spawn(function()
        pcall(uvjobs.sleep, 60)
        seconds = time_of(expire)
      end)
      uvjobs.yield()
      job:close()
      assert.is_true(seconds > 10)
    end)
  end)
end)
