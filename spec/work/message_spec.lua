-- What a function of work sends to the job while it runs.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local world = require "spec.work.world"

local raises, message = helper.raises, helper.message

describe("on_message", function()
  after_each(helper.check_clean)

  it("gets copies of all that is sent, in order, before work returns", function()
    uvjobs.run(function()
      local got = {}
      local result = uvjobs.work({
        on_message = function(...) got[#got + 1] = table.pack(...) end,
      }, function(n)
        local send = require "uvjobs.worker".send
        for i = 1, n do send(i, nil, { square = i * i }) end
        send()
        return "done"
      end, 500)
      assert.equal("done", result)
      assert.equal(501, #got)
      for i = 1, 500 do assert.same({ n = 3, i, nil, { square = i * i } }, got[i]) end
      assert.same({ n = 0 }, got[501])
    end)
  end)

  it("may suspend, and other jobs run meanwhile", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler()
      local order = {}
      jobs:spawn(function()
        uvjobs.work({ on_message = function(i)
          order[#order + 1] = i
          uvjobs.yield()
          uvjobs.work(function() end)
        end }, function()
          for i = 1, 10 do require "uvjobs.worker".send(i) end
        end)
      end)
      jobs:wait_and_close()
      assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, order)
    end)
  end)

  it("makes a function wait that sends faster than it is heard, and nothing is lost", function()
    uvjobs.run(function()
      local sum, count = 0, 0
      uvjobs.work({ on_message = function(i)
        sum, count = sum + i, count + 1
        if i % 1000 == 0 then uvjobs.sleep(0.001) end
      end }, function()
        for i = 1, 20000 do require "uvjobs.worker".send(i) end
      end)
      assert.same({ 20000, 20000 * 20001 // 2 }, { count, sum })
    end)
  end)

  it("stops the function by its error, also while that waits to be heard", function()
    uvjobs.run(function()
      assert.equal("enough", message(uvjobs.work, {
        on_message = function(i) if i == 150 then error("enough", 0) end end,
      }, function()
        local i = 0
        while true do
          i = i + 1
          require "uvjobs.worker".send(i)
        end
      end))
      world.drain()
    end)
  end)

  it("is over when the job is cancelled or killed, or its time is #M5 #M8", function()
    uvjobs.run(function()
      local jobs <close> = helper.quiet()
      local function endless()
        while true do require "uvjobs.worker".send("x") end
      end
      local function slow() uvjobs.sleep(3600) end
      raises("timeout", uvjobs.timeout, 0.01, uvjobs.work, { on_message = slow }, endless)
      local job = jobs:spawn(uvjobs.work, { on_message = slow }, endless)
      uvjobs.sleep(0.01)
      job:close()
      assert.equal("cancelled", job.state)
      local stubborn = jobs:spawn(uvjobs.protect, uvjobs.work, { on_message = slow }, endless)
      uvjobs.sleep(0.01)
      raises("timeout", stubborn.close, stubborn, 0)
      assert.equal("killed", stubborn.state)
      world.drain()
    end)
  end)

  it("hears jobs of a run in the function", function()
    uvjobs.run(function()
      local got = {}
      uvjobs.work({ on_message = function(i) got[i] = true end }, function()
        local inner = require "uvjobs"
        local send = require "uvjobs.worker".send
        inner.run(function()
          inner.map({ 1, 2, 3 }, function(i)
            inner.yield()
            send(i)
          end)
        end)
      end)
      assert.same({ true, true, true }, got)
    end)
  end)

  it("is kept from being collected, and what was not heard goes with the job", function()
    uvjobs.run(function()
      for _ = 1, 100 do
        local job = uvjobs.current().scheduler:spawn(uvjobs.work,
          { on_message = function() collectgarbage() end }, function()
            for i = 1, 50 do require "uvjobs.worker".send(("x"):rep(1000), i) end
          end)
        uvjobs.yield()
        job:close()
      end
      world.drain()
    end)
  end)

  it("is wanted: without it nothing can be sent", function()
    uvjobs.run(function()
      local function send() require "uvjobs.worker".send(1) end
      assert.matches("'send': work has no option 'on_message'$", message(uvjobs.work, send))
      assert.matches("'send': work has no option 'on_message'$", message(uvjobs.work, {}, send))
      assert.matches("bad argument #2 to 'send' %(nil, boolean, number, string, "
        .. "channel, blob or table of them",
        message(uvjobs.work, { on_message = print }, function()
          require "uvjobs.worker".send(1, print)
        end))
      assert.is_false((pcall(require, "uvjobs.worker")))
    end)
  end)

  it("is a function, and the only option", function()
    uvjobs.run(function()
      local function nothing() end
      assert.equal("bad argument #1 to 'work' (option 'on_message': function expected, "
        .. "got boolean)", message(uvjobs.work, { on_message = true }, nothing))
      assert.equal("bad argument #1 to 'work' (unknown option 'on_mesage', did you mean "
        .. "'on_message'?)", message(uvjobs.work, { on_mesage = print }, nothing))
      assert.matches("^bad argument #3 to 'work' %(nil, boolean",
        message(uvjobs.work, {}, nothing, print))
      assert.matches("^bad argument #2 to 'work' %(function expected", message(uvjobs.work, {}))
    end)
  end)
end)
