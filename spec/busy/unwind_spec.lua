-- A to-be-closed variable is closed before its job gets an error between two instructions (#M7).
-- Otherwise the error could come before the first instruction of the clean-up.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local closing = helper.closing

local LIMIT <const> = 0.01 -- seconds

-- Handlers that compute until the deadline has certainly passed. They differ in how they take
-- arguments, because that changes the layout of the stack.
local function handlers_of(log)
  local function burn()
    local stop = uvjobs.now() + 2 * LIMIT
    while uvjobs.now() < stop do end
    log:add "closed"
  end
  return {
    ["no parameters"] = function() burn() end,
    ["two parameters"] = function(_, _) burn() end,
    ["varargs"] = function(...) burn(...) end,
    ["more parameters than arguments"] = function(_, _, _, _, ...) burn(...) end,
    ["a call in a protected call"] = function() assert(pcall(burn)) end,
  }
end

-- Ways to leave the block of the variable. enter(fn) declares the variable and calls fn.
local ways = {
  ["its end"] = function(enter) enter(function() end) end,
  ["pcall"] = function(enter) pcall(enter, error) end,
  ["pcall with arguments"] = function(enter) pcall(enter, error, 1, 2, 3) end,
  ["pcall of a vararg function"] = function(enter)
    pcall(function(...) enter(...) end, error, 1, 2)
  end,
  ["xpcall"] = function(enter) xpcall(enter, function(err) return err end, error, 1) end,
}

describe("a <close> variable is closed before its job hears", function()
  after_each(helper.check_clean)

  for way, leave in pairs(ways) do
    it(("of a deadline, when the block is left by %s #M7"):format(way), function()
      local log = helper.log()
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler { close_timeout = 60 }
        for name, handler in pairs(handlers_of(log)) do
          jobs:spawn(function()
            helper.raises("timeout", uvjobs.timeout, LIMIT, function()
              leave(function(fn)
                local _ <close> = closing(handler)
                fn "left"
              end)
              helper.forever()
            end)
            assert.equal("closed", log[#log], name)
          end):wait()
        end
      end)
      assert.equal(5, #log)
    end)
  end

  it("of a deadline, when the job has failed #M7", function()
    local log = helper.log()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler { close_timeout = 60 }
      for _, handler in pairs(handlers_of(log)) do
        local job = jobs:spawn({ timeout = LIMIT }, function(...)
          local _ <close> = closing(handler)
          error("failed", ...)
        end, 0)
        helper.raises("failed", job.wait, job)
      end
    end)
    assert.equal(5, #log)
  end)

  it("that it is cancelled, when it was preempted there #M7", function()
    local log = helper.log()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler { timeslice = 0.001, close_timeout = 60 }
      for _, handler in pairs(handlers_of(log)) do
        local began
        local job = jobs:spawn(function()
          local _ <close> = closing(function(...) began = true handler(...) end)
        end)
        while not began do uvjobs.yield() end
        job:cancel()
        job:join()
      end
    end)
    assert.equal(5, #log)
  end)

  it("but not longer than it has to clean up #M8", function()
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler {
        close_timeout = LIMIT, timeslice = 0.001, exception_handler = helper.ignore,
      }
      for _, way in ipairs { "timeout", "close" } do
        local began
        local job = jobs:spawn(function()
          uvjobs.timeout(way == "timeout" and LIMIT or 60, function()
            local _ <close> = closing(function()
              began = true
              helper.forever()
            end)
          end)
        end)
        while not began do uvjobs.yield() end
        if way == "close" then pcall(job.close, job, LIMIT) else job:join() end
        assert.is_true(job.state == "failed" or job.state == "killed", job.state)
      end
    end)
  end)

  it("and a function called by pcall is interrupted as ever", function()
    uvjobs.run(function()
      local function forever(...) helper.forever(...) end
      for _, call in ipairs {
        function() return pcall(helper.forever) end,
        function() return pcall(forever, 1, 2, 3) end,
        function() return pcall(function(_, ...) forever(...) end) end,
        function() return xpcall(forever, function(err) return err end, 1, nil) end,
        function() return select(2, pcall(function(...) return pcall(forever, ...) end, 1)) end,
      } do
        local ok, err
        pcall(uvjobs.timeout, LIMIT, function() ok, err = call() end)
        assert.is_false(ok)
        assert.equal("timeout", uvjobs.code(err))
      end
    end)
  end)
end)
