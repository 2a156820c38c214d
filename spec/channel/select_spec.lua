-- uvjobs.select over channels and queues: it takes from the source that it returns only.

local helper = require "spec.helper"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

local virtual = helper.virtual

local pack = table.pack

describe("select with channels", function()
  after_each(helper.check_clean)

  it("returns the first source that has something, and takes nothing else", function()
    virtual(function()
      local a, b, queue = uvjobs.channel(), uvjobs.channel(), uvjobs.queue()
      b:put(1)
      queue:put(2)
      assert.same(pack(b, 1), pack(uvjobs.select { a, b, queue }))
      b:put(3)
      assert.same(pack(queue, 2), pack(uvjobs.select { a, queue, b }))
      assert.same({ 0, 1 }, { #queue, #b })
      assert.same(pack(nil, "timeout"), pack(uvjobs.select { a, queue, timeout = 1 }))
      a:close()
      assert.same(pack(a, nil, "closed"), pack(uvjobs.select { queue, a, b }))
    end)
  end)

  it("is woken by a put, by one that waits, and by closing", function()
    virtual(function()
      local a, b, s = uvjobs.channel(1), uvjobs.channel(0), uvjobs.scheduler()
      local function soon(fn, ...)
        local args = pack(...)
        s:spawn(function()
          uvjobs.sleep(1)
          fn(table.unpack(args))
        end)
      end
      soon(a.put, a, 1)
      assert.same(pack(a, 1), pack(uvjobs.select { b, a }))
      soon(b.put, b, false)
      assert.same(pack(b, false), pack(uvjobs.select { a, b }))
      soon(b.close, b)
      assert.same(pack(b, nil, "closed"), pack(uvjobs.select { a, b }))
      s:wait_and_close()
    end)
  end)

  it("leaves values to those who wait in get, and gets what they leave", function()
    virtual(function()
      local channel, s = uvjobs.channel(), helper.quiet()
      local getter = s:spawn(channel.get, channel)
      local selecting = s:spawn(uvjobs.select, { channel })
      uvjobs.yield()
      channel:put(1)
      assert.equal(1, getter:wait())
      assert.is_true(selecting.active)
      local other = s:spawn(channel.get, channel)
      uvjobs.yield()
      other:cancel() -- it has not run yet, and stands in the line
      channel:put(2)
      assert.same(pack(channel, 2), pack(selecting:wait()))
      s:close()
    end)
  end)

  it("is exact between threads: all that was put is got once #W7", function()
    uvjobs.run(function()
      local a, b, s = uvjobs.channel(1), uvjobs.channel(0), uvjobs.scheduler()
      local function put_all(channel, n)
        local here = require "uvjobs"
        here.run(function() for i = 1, n do channel:put(i) end channel:close() end)
      end
      local n <const> = 1000
      s:spawn(uvjobs.work, put_all, a, n)
      s:spawn(uvjobs.work, put_all, b, n)
      local sums, open = { [a] = 0, [b] = 0 }, { a, b }
      while open[1] do
        local source, value, why = uvjobs.select(open)
        if why then
          table.remove(open, source == open[1] and 1 or 2)
        else
          sums[source] = sums[source] + value
        end
      end
      assert.same({ n * (n + 1) // 2, n * (n + 1) // 2 }, { sums[a], sums[b] })
    end)
  end)

  it("takes nothing when it is cancelled or killed, wherever that is #W8", function()
    for _, by in ipairs { "cancel", "kill" } do
      testing.cancel_everywhere({
        by = by,
        setup = function()
          local world = { a = uvjobs.channel(1), b = uvjobs.queue(1), got = 0, put = 0 }
          world.s = helper.quiet()
          for i = 1, 2 do
            local source = i == 1 and world.a or world.b
            world.s:spawn(function()
              for _ = 1, 3 do
                source:put(1)
                world.put = world.put + 1
              end
            end)
          end
          return world
        end,
        check = function(world)
          for _ = 1, 10 do
            uvjobs.yield()
            if world.a:try_get() then world.got = world.got + 1 end
            if world.b:try_get() then world.got = world.got + 1 end
          end
          world.s:wait_and_close()
          assert(world.got == world.put and world.put == 6)
        end,
      }, function(world)
        for _ = 1, 6 do
          uvjobs.select { world.a, world.b }
          world.got = world.got + 1
        end
      end)
    end
  end)
end)
