-- Handlers of others, such as a luv that has a libuv of its own inside. Here it is cqueues
-- that sets one.

local helper = require "spec.helper"

describe("a handler that somebody else sets for a signal during a run", function()
  for _, name in ipairs { "SIGINT", "SIGTERM" } do
    it("is there after it: " .. name, function()
      local r = helper.child(([[
        local signal = require "cqueues.signal"
        local uv = require "luv"
        local uvjobs = require "uvjobs"
        for _ = 1, 2 do
          uvjobs.run(function()
            uvjobs.sleep(0)
            signal.discard(signal.%s)
            uvjobs.sleep(0)
          end)
          uv.kill(uv.os_getpid(), %q)
        end
        print "alive"
      ]]):format(name, name:lower()))
      assert.same({ status = 0, out = "alive\n", err = "" }, r)
    end)

    it("is there after it also when it ignores the signal: " .. name, function()
      local r = helper.child(([[
        local signal = require "cqueues.signal"
        local uv = require "luv"
        local uvjobs = require "uvjobs"
        uvjobs.run(function() signal.ignore(signal.%s) end)
        uv.kill(uv.os_getpid(), %q)
        print "alive"
      ]]):format(name, name:lower()))
      assert.same({ status = 0, out = "alive\n", err = "" }, r)
    end)
  end
end)
