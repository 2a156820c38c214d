-- Channels within one Lua state: order, waiting, closing, iteration. What becomes of waiters
-- that leave is in leaving_spec.lua, other threads are in threads_spec.lua.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual = helper.virtual

local pack = table.pack

describe("a channel", function()
  after_each(helper.check_clean)

  it("gives what was put in the order of putting #W7", function()
    virtual(function()
      local channel, got = uvjobs.channel(), helper.log()
      for i = 1, 20 do assert.is_true(channel:put(i)) end
      assert.equal(20, #channel)
      for _ = 1, 20 do got:add(channel:get()) end
      for i = 1, 20 do assert.equal(i, got[i]) end
      assert.equal(0, #channel)
    end)
  end)

  it("works with the consumer first and with the producer first #W7", function()
    virtual(function()
      for _, capacity in ipairs { 0, 1, 2, math.huge } do
        for _, first in ipairs { "put", "get" } do
          local channel, s, got = uvjobs.channel(capacity), uvjobs.scheduler(), helper.log()
          local sides = {
            put = function() for i = 1, 10 do channel:put(i) end channel:close() end,
            get = function() for item in channel:items() do got:add(item) end end,
          }
          s:spawn(sides[first])
          s:spawn(sides[first == "put" and "get" or "put"])
          s:wait_and_close()
          assert.equal(10, #got)
          for i = 1, 10 do assert.equal(i, got[i]) end
        end
      end
    end)
  end)

  it("holds as much as its capacity and makes the next put wait #W9", function()
    virtual(function()
      local channel, s = uvjobs.channel(3), uvjobs.scheduler()
      for i = 1, 3 do assert.same(pack(true), pack(channel:put(i))) end
      local putter = s:spawn(channel.put, channel, 4)
      uvjobs.sleep(1)
      assert.is_true(putter.active)
      assert.equal(3, #channel)
      assert.equal(1, channel:get())
      assert.equal(3, #channel) -- the place goes to the waiting put at once
      assert.is_true(putter:wait())
      assert.same(pack(nil, "full"), pack(channel:try_put(5)))
    end)
  end)

  it("stores nothing with capacity 0, where put waits for somebody to take the value", function()
    virtual(function()
      local channel, s = uvjobs.channel(0), uvjobs.scheduler()
      local getter = s:spawn(channel.get, channel)
      uvjobs.yield()
      assert.same(pack(nil, "full"), pack(channel:try_put(1)))
      assert.same(pack(nil, "empty"), pack(channel:try_get()))
      assert.is_true(channel:put(2))
      assert.equal(2, getter:wait())
      s:spawn(channel.put, channel, 3)
      uvjobs.yield()
      assert.equal(0, #channel)
      assert.equal(3, channel:try_get())
      assert.same(pack(nil, "timeout"), pack(channel:put(4, 1)))
      s:wait_and_close()
    end)
  end)

  it("serves those who wait in the order in which they came, and nobody overtakes #W9", function()
    virtual(function()
      local channel, s, got = uvjobs.channel(), uvjobs.scheduler(), helper.log()
      for i = 1, 5 do s:spawn(function() got:add(i .. "=" .. channel:get()) end) end
      uvjobs.yield()
      channel:put "a"
      assert.same(pack(nil, "empty"), pack(channel:try_get())) -- it is the first one's
      for _, value in ipairs { "b", "c", "d", "e", "f" } do channel:put(value) end
      s:wait_and_close()
      assert.same({ "1=a", "2=b", "3=c", "4=d", "5=e" }, { table.unpack(got) })
      assert.equal("f", channel:try_get())
    end)
  end)

  it("keeps the order of those who wait to put #W7 #W9", function()
    virtual(function()
      local channel, s, got = uvjobs.channel(1), uvjobs.scheduler(), helper.log()
      for i = 1, 5 do s:spawn(channel.put, channel, i) end
      uvjobs.yield()
      assert.same(pack(nil, "full"), pack(channel:try_put(6)))
      for _ = 1, 5 do got:add(channel:get()) end
      s:wait_and_close()
      assert.same({ 1, 2, 3, 4, 5 }, { table.unpack(got) })
    end)
  end)

  it("gives up after its time", function()
    virtual(function()
      local channel = uvjobs.channel(1)
      assert.same(pack(nil, "timeout"), pack(channel:get(2)))
      assert.equal(2, uvjobs.now())
      assert.same(pack(nil, "timeout"), pack(channel:get(0)))
      channel:put(1)
      assert.same(pack(nil, "timeout"), pack(channel:put(2, 3)))
      assert.equal(5, uvjobs.now())
      assert.equal(1, channel:get(0))
      assert.equal(0, #channel)
    end)
  end)

  it("wakes all who wait when it is closed, and gives what is left", function()
    virtual(function()
      local channel, s = uvjobs.channel(1), uvjobs.scheduler()
      local getters = { s:spawn(channel.get, channel), s:spawn(channel.get, channel) }
      uvjobs.yield()
      channel:put(1)
      channel:close()
      channel:close()
      assert.equal(1, getters[1]:wait())
      assert.same(pack(nil, "closed"), pack(getters[2]:wait()))
      local full = uvjobs.channel(1)
      full:put "left"
      local putter = s:spawn(full.put, full, "refused")
      uvjobs.yield()
      full:close()
      assert.same(pack(nil, "closed"), pack(putter:wait()))
      assert.same(pack(nil, "closed"), pack(full:put(1)))
      assert.same(pack(nil, "closed"), pack(full:try_put(1)))
      assert.equal("left", full:get())
      assert.same(pack(nil, "closed"), pack(full:get()))
      assert.same(pack(nil, "closed"), pack(full:try_get()))
      assert.is_true(full.closed)
    end)
  end)

  it("leaves what a getter has left to those who wait, also when it is closed #W8", function()
    virtual(function()
      local channel, s = uvjobs.channel(1), helper.quiet()
      local first, second = s:spawn(channel.get, channel), s:spawn(channel.get, channel)
      uvjobs.yield()
      first:cancel() -- it has not run yet, and stands in the line
      channel:put(1)
      channel:close()
      assert.equal(1, second:wait())
      s:wait_and_close()
    end)
  end)

  it("is the same in a message, and in what is made of it", function()
    virtual(function()
      local channel, other = uvjobs.channel(), uvjobs.channel(1)
      channel:put { other, [other] = other }
      local got = channel:get()
      assert.is_true(rawequal(other, got[1]))
      assert.is_true(rawequal(other, got[other]))
      assert.not_equal(channel.id, other.id)
    end)
  end)

  it("tells what it is", function()
    local channel = uvjobs.channel(2, { message_limit = 10 })
    assert.same({ 2, false, 10, "integer" },
      { channel.capacity, channel.closed, channel.message_limit, math.type(channel.id) })
    assert.equal("uvjobs.Channel " .. channel.id .. ": 0 messages", tostring(channel))
    assert.is_true(channel:try_put(1))
    assert.equal("uvjobs.Channel " .. channel.id .. ": 1 message", tostring(channel))
    channel:close()
    assert.equal("uvjobs.Channel " .. channel.id .. ": 1 message, closed", tostring(channel))
    local large = uvjobs.channel(nil, { message_limit = math.huge })
    assert.same({ math.huge, math.huge }, { large.capacity, large.message_limit })
    assert.equal(64 * 2 ^ 20, uvjobs.channel().message_limit)
  end)

  it("is found stuck when nobody else has it #W13", function()
    local ok, err = pcall(uvjobs.run, function() uvjobs.channel():get() end)
    assert.is_false(ok)
    assert.matches("run is stuck", err)
    assert.matches("waiting to get from a channel", err)
    ok, err = pcall(virtual, function()
      local channel = uvjobs.channel(1)
      channel:put(1)
      channel:put(2)
    end)
    assert.is_false(ok)
    assert.matches("waiting to put into a channel", err)
  end)

  it("is what a look at the jobs names", function()
    virtual(function()
      local insight = require "uvjobs.insight"
      local channel, s <close> = uvjobs.channel(0), helper.quiet()
      local jobs = { s:spawn(channel.get, channel), s:spawn(uvjobs.select, { channel }) }
      uvjobs.yield()
      local seen = {}
      for record in insight.jobs() do seen[record.job] = record end
      assert.equal("it waits for a message of a channel", seen[jobs[1]].waits_for)
      assert.equal("receive", seen[jobs[1]].kind)
      assert.equal("select", seen[jobs[2]].kind)
      jobs[1]:close()
      local putter = s:spawn(uvjobs.channel(0).put, uvjobs.channel(0), 1)
      uvjobs.yield()
      for record in insight.jobs() do seen[record.job] = record end
      assert.equal("it waits for room in a channel", seen[putter].waits_for)
      s:close()
    end)
  end)

  it("comes and goes a hundred thousand times", function()
    virtual(function()
      for i = 1, 100000 do uvjobs.channel(1):try_put(i) end
      local channel = uvjobs.channel()
      for i = 1, 100000 do channel:try_put(i) end
      for i = 1, 100000 do assert(channel:get() == i) end
    end)
  end)
end)
