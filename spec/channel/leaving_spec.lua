-- Channels: wrong arguments, and waiters that give up, cancelled, timed out or killed.

local helper = require "spec.helper"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local virtual, message = helper.virtual, helper.message

local pack = table.pack

describe("misuse of a channel", function()
  after_each(helper.check_clean)

  it("raises for a capacity that is no integer >= 0 and not math.huge", function()
    local prefix = "bad argument #1 to 'channel' (integer >= 0 or math.huge expected, got "
    for _, case in ipairs {
      { -1, "-1)" }, { 1.5, "1.5)" }, { 0 / 0, "nan)" }, { "3", "'3')" }, { {}, "table)" },
      { true, "boolean)" },
    } do
      assert.equal(prefix .. case[2], message(uvjobs.channel, case[1]))
    end
  end)

  it("raises for options that it does not know", function()
    assert.equal("bad argument #2 to 'channel' (unknown option 'message_limits', "
      .. "did you mean 'message_limit'?)", message(uvjobs.channel, 1, { message_limits = 1 }))
    assert.equal("bad argument #2 to 'channel' (option 'message_limit': integer >= 1 or "
      .. "math.huge expected, got 0)", message(uvjobs.channel, 1, { message_limit = 0 }))
    assert.equal("bad argument #2 to 'channel' (table expected, got number)",
      message(uvjobs.channel, 1, 2))
  end)

  it("raises for nil as a value, and for a bad timeout, and puts and takes nothing", function()
    virtual(function()
      local channel = uvjobs.channel()
      local expected = "bad argument #1 to '%s' (value expected, got nil)"
      assert.equal(expected:format("put"), message(channel.put, channel, nil))
      assert.equal(expected:format("try_put"), message(channel.try_put, channel))
      channel:put("kept")
      assert.equal("bad argument #2 to 'put' (number expected, got string)",
        message(channel.put, channel, 1, "1"))
      assert.equal("bad argument #2 to 'put' (seconds must be >= 0, got -1)",
        message(channel.put, channel, 1, -1))
      assert.equal("bad argument #1 to 'get' (seconds must be >= 0, got nan)",
        message(channel.get, channel, 0 / 0))
      assert.equal(1, #channel)
    end)
  end)

  it("raises for a wrong self, and for a misspelt property", function()
    local channel = uvjobs.channel()
    for _, name in ipairs { "put", "get", "try_put", "try_get", "close", "items" } do
      assert.equal(("bad self to '%s' (uvjobs.Channel expected, got nil)"):format(name),
        message(channel[name], nil, 1))
      assert.equal(("bad self to '%s' (uvjobs.Channel expected, got uvjobs.Queue)"):format(name),
        message(channel[name], uvjobs.queue(), 1))
    end
    assert.equal("unknown property 'capacty' of a uvjobs.Channel, did you mean 'capacity'?",
      message(function() return channel.capacty end))
    assert.is_false(pcall(function() channel.capacity = 1 end))
  end)

  it("raises where nothing can wait, outside of jobs", function()
    local channel = uvjobs.channel(1)
    assert.matches("'put' must be called in a job", message(channel.put, channel, 1))
    assert.matches("'get' must be called in a job", message(channel.get, channel))
    assert.is_true(channel:try_put(1))
    assert.equal(1, channel:try_get())
  end)
end)

describe("a job that leaves a channel", function()
  after_each(helper.check_clean)

  -- What `end_it` does to a job that waits.
  local ways = {
    cancel = function(job) job:cancel() end,
    close = function(job) job:close() end,
    kill = function(job) job:close(0) end,
  }

  for name, end_it in pairs(ways) do
    it(("takes nothing when it was offered a value: %s #W8"):format(name), function()
      virtual(function()
        local channel, s = uvjobs.channel(1), helper.quiet()
        local job = s:spawn(channel.get, channel)
        uvjobs.yield()
        assert.is_true(channel:try_put "value")
        end_it(job)
        local ok, value = pcall(job.wait, job)
        if ok then
          assert.equal("value", value) -- it was woken with the value before
          assert.equal(0, #channel)
        else
          assert.equal("value", channel:try_get())
        end
        s:close()
      end)
    end)

    it(("has not put when it still waited: %s #W8"):format(name), function()
      virtual(function()
        local channel, s = uvjobs.channel(1), helper.quiet()
        channel:put(1)
        local job = s:spawn(channel.put, channel, 2)
        local later = s:spawn(channel.put, channel, 3)
        uvjobs.yield()
        end_it(job)
        pcall(job.wait, job)
        assert.same({ 1, 3 }, { channel:get(), channel:get() })
        assert.is_true(later:wait())
        s:close()
      end)
    end)
  end

  it("is told of a put that has happened before it was cancelled #W8", function()
    virtual(function()
      local channel, s = uvjobs.channel(1), helper.quiet()
      channel:put(1)
      local seen = {}
      local job = s:spawn(function()
        seen.put = pack(pcall(channel.put, channel, 2))
        seen.next = pack(helper.outcome(uvjobs.sleep, 1))
      end)
      uvjobs.yield()
      job:cancel() -- the job is ready to raise, but has not run
      assert.equal(1, channel:try_get())
      assert.equal(1, #channel)
      s:wait_and_close()
      assert.same(pack(true, true), seen.put)
      assert.equal("cancelled", seen.next[1])
      assert.equal(2, channel:try_get())
    end)
  end)

  it("raises at once when it is cancelled already, although there is something #W8", function()
    virtual(function()
      local channel, s = uvjobs.channel(2), helper.quiet()
      channel:put(1)
      local seen = {}
      local job = s:spawn(function()
        pcall(uvjobs.sleep, 1)
        seen[1] = helper.outcome(channel.get, channel)
        seen[2] = helper.outcome(channel.put, channel, 2)
        seen[3] = channel:try_get()
      end)
      uvjobs.yield()
      job:cancel()
      s:wait_and_close()
      assert.same({ "cancelled", "cancelled", 1 }, seen)
      assert.equal(0, #channel)
    end)
  end)

  it("ends in peace wherever it waits, and the values are right #W8", function()
    for _, by in ipairs { "cancel", "kill" } do
      for _, capacity in ipairs { 0, 1, 3 } do
        local places = testing.cancel_everywhere({
          by = by,
          setup = function()
            return { channel = uvjobs.channel(capacity), got = {}, put = 0 }
          end,
          check = function(world)
            local left = {}
            while true do
              local value = world.channel:try_get()
              if not value then break end
              left[#left + 1] = value
            end
            for i, value in ipairs(left) do world.got[#world.got + 1] = value or i end
            for i, value in ipairs(world.got) do assert(i == value, "lost or out of order") end
            assert(#world.got >= world.put)
          end,
        }, function(world)
          local s <close> = uvjobs.scheduler()
          s:spawn(function()
            for i = 1, 6 do
              if world.channel:put(i) then world.put = i end
            end
          end)
          for _ = 1, 6 do
            local value = world.channel:get()
            world.got[#world.got + 1] = value
          end
        end)
        assert.is_true(places > 0)
      end
    end
  end)

  it("leaves the line to the next one when its time is over", function()
    virtual(function()
      local channel, s = uvjobs.channel(1), uvjobs.scheduler()
      local short, long = s:spawn(channel.get, channel, 1), s:spawn(channel.get, channel)
      uvjobs.sleep(2)
      channel:put "late"
      assert.same(pack(nil, "timeout"), pack(short:wait()))
      assert.equal("late", long:wait())
    end)
  end)

  it("leaves its place when its coroutine is closed from outside", function()
    virtual(function()
      local channel = uvjobs.channel(1)
      local s = uvjobs.scheduler()
      local job = s:spawn(function()
        local coroutine = uvjobs.coroutine or require "uvjobs.coroutine"
        local inner = coroutine.create(function() channel:get() end)
        coroutine.resume(inner)
      end)
      uvjobs.yield()
      job:close()
      assert.is_true(channel:try_put(1))
      assert.equal(1, channel:try_get())
      s:close()
    end)
  end)
end)
