-- Closing a job that must close others first.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual = helper.virtual

describe("closing a job that closes others", function()
  after_each(helper.check_clean)

  local function stubborn() while true do pcall(uvjobs.sleep, 1) end end

  -- Closes a job that runs fn(), from a scheduler with a close timeout of 1 s.
  -- Returns its state and when it had ended, and what was killed.
  local function close(fn)
    local state, ended, killed = nil, nil, {}
    virtual(function()
      local outer = uvjobs.scheduler {
        close_timeout = 1,
        exception_handler = helper.recorder(killed, "job"),
      }
      local job = outer:spawn(fn, killed)
      uvjobs.sleep(1)
      pcall(job.close, job)
      state, ended = job.state, uvjobs.now() - 1
      outer:close()
    end)
    return state, ended, #killed
  end

  it("gives them less time than it has, so that it ends in order #M8", function()
    local state, ended, killed = close(function(list)
      local inner <close> = uvjobs.scheduler {
        close_timeout = 1,
        exception_handler = helper.recorder(list, "job"),
      }
      inner:spawn(stubborn)
      uvjobs.sleep(99)
    end)
    assert.equal("cancelled", state)
    assert.equal(1, killed)
    assert.is_true(ended > 0.5 and ended < 1)
  end)

  it("leaves a shorter close timeout as it is", function()
    local state, ended = close(function()
      local inner <close> = helper.quiet { close_timeout = 0.25 }
      inner:spawn(stubborn)
      uvjobs.sleep(99)
    end)
    assert.equal("cancelled", state)
    assert.equal(0.25, ended)
  end)

  it("by all, race or map ends in order, too", function()
    for _, name in ipairs { "all", "race" } do
      local state, _, killed = close(function() uvjobs[name] { stubborn, stubborn } end)
      assert.same({ name, "cancelled", 2 }, { name, state, killed })
    end
    local state, _, killed = close(function() uvjobs.map({ 1, 2 }, stubborn) end)
    assert.same({ "cancelled", 2 }, { state, killed })
  end)

  it("or one job of another scheduler, ends in order", function()
    local state, _, killed = close(function(list)
      local other = helper.quiet { close_timeout = 1 }
      local job = other:spawn(stubborn)
      pcall(uvjobs.sleep, 99)
      local _, err = pcall(uvjobs.protect, job.close, job)
      list[1] = uvjobs.code(err) == "timeout" and err.job or nil
      uvjobs.sleep(99)
    end)
    assert.equal("cancelled", state)
    assert.equal(1, killed)
  end)
end)
