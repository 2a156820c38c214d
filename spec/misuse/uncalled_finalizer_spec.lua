-- Lua frees an object without having called its __gc when the stack of C calls has no room for
-- that call. Of the uses of freed memory that could follow ASan finds all, and other builds some.

local helper = require "spec.helper"

-- Each returns something that is garbage when it is dropped.
local makers = {
  ["a scheduler"] = "uvjobs.scheduler()",
  ["a scheduler with an order"] = "uvjobs.scheduler { aging = 1, fair = true, start_rate = 5 }",
  ["a scheduler with ended jobs of keys"] = "keys()",
  ["a scheduler that is timed"] = "uvjobs.scheduler { stats = true, name = 'timed' }",
  ["a mutex that is locked"] = "locked()",
  ["an event, a queue and a semaphore"] =
    "{ uvjobs.event(), uvjobs.queue(1), uvjobs.semaphore(1):acquire() }",
  ["a repetition that is over, and its scheduler"] = "repeating()",
  ["a rate, a limit and a breaker"] = [[
    { policy.rate { rate = 1 }, policy.limit { limit = 1 }, policy.breaker() }]],
}

-- `made` is dropped where all 200 levels of C calls are in use. The outermost level is not one of
-- pcall(), which gives up its level in a coroutine when it has caught an error.
local function program(made)
  return ([[
    local policy = require "uvjobs.policy"
    local uvjobs = require "uvjobs"
    local made
    local function ignore() end
    local function locked()
      local mutex = uvjobs.mutex()
      mutex:lock()
      return mutex
    end
    local function keys()
      local s = uvjobs.scheduler { key_limit = 1 }
      for i = 1, 3 do s:spawn({ key = "k" .. i }, ignore):wait() end
      return s
    end
    local function repeating()
      local repeating = uvjobs.scheduler():every(1, ignore)
      repeating:stop()
      return repeating
    end
    local function deeper()
      local ok = pcall(deeper)
      if ok then return end
      made = nil
      collectgarbage() -- calls the finalizer
      collectgarbage() -- frees the memory
    end
    warn "@on"
    uvjobs.run({ clock = "virtual" }, function()
      uvjobs.scheduler():spawn(function()
        made = %s
        table.sort({ 1, 2 }, function() deeper() return false end)
      end):wait()
      for i = 1, 1000 do ignore { i } end -- takes the memory for something else
      local after <close> = uvjobs.scheduler()
      after:spawn(function()
        local permit <close> = uvjobs.mutex():permit()
        uvjobs.sleep(5)
      end)
      after:wait_and_close()
      uvjobs.stats()
      io.write "well"
    end)
    collectgarbage()
  ]]):format(made)
end

describe("an object whose finalizer is not called, the stack of C calls being exhausted", function()
  for name, made in pairs(makers) do
    it("leaves nothing behind that is used later: " .. name, function()
      local r = helper.child(program(made))
      assert.equal("well", r.out)
      assert.equal(0, r.status)
      assert.matches("error in __gc", r.err)
      assert.not_matches("AddressSanitizer", r.err)
    end)
  end
end)
