-- SIGINT before a run, or with `signals = false`, is the interpreter's: its handler sets a debug
-- hook on the main coroutine, which raises an error at whatever is called there next. Here a hook
-- that does the same at the nth call stands for it, because no signal can be sent so exactly.

local helper = require "spec.helper"

-- interrupted(n, options, fn): calls run with such a hook. The first calls that it sees are those
-- of pcall and of run itself, the next ones are those that run makes.
local PRELUDE <const> = [[
  local uvjobs = require "uvjobs"
  local function interrupted(n, options, fn)
    debug.sethook(function()
      n = n - 1
      if n > 0 then return end
      debug.sethook()
      error("interrupted!", 0)
    end, "c")
    local ok, err = pcall(uvjobs.run, options, fn)
    debug.sethook()
    return ok, err
  end
]]

local function child(script)
  local r = helper.child(PRELUDE .. script)
  assert.same({ status = 0, err = "" }, { status = r.status, err = r.err })
  return r.out
end

describe("an interruption by the interpreter", function()
  for _, library in ipairs { "uvjobs", "luv" } do
    it("that came just before the signals were taken ends run before its main job begins, with "
      .. library .. " loaded", function()
      assert.equal("false\tinterrupted!\nagain\n", child(([[
        require %q
        print(interrupted(3, {}, function() print "begun" end))
        uvjobs.run(print, "again")
      ]]):format(library)))
    end)

    it("ends a run that takes no signals, wherever it comes, and makes no job fail, with "
      .. library .. " loaded", function()
      assert.equal("", child(([[
        require %q
        local function handler(_, context) print(context.message, context.exception) end
        local function main()
          local scheduler <close> = uvjobs.scheduler {
            limit = math.huge, exception_handler = handler,
          }
          for _ = 1, 3 do -- more than there are coroutines left from the run before
            for _ = 1, 300 do scheduler:spawn(uvjobs.sleep, 1) end
            uvjobs.sleep(2)
          end
        end
        for n = 2, 60 do
          local ok, err = interrupted(n, { signals = false, clock = "virtual" }, main)
          if ok or err ~= "interrupted!" then print(n, ok, err) end
        end
      ]]):format(library)))
    end)
  end

  it("ends such a run also where it comes while a function of a scheduler is called", function()
    assert.equal("", child [[
      local function work() (function() end)() end
      local function main()
        local scheduler <close> = uvjobs.scheduler {
          on_start = work, on_end = work, exception_handler = work,
        }
        for _ = 1, 100 do scheduler:spawn(uvjobs.sleep, 1) end
        for _ = 1, 100 do scheduler:spawn(error, "no") end
        uvjobs.sleep(2)
      end
      for n = 2, 60 do
        local ok, err = interrupted(n, { signals = false, clock = "virtual" }, main)
        if ok or err ~= "interrupted!" then print(n, ok, err) end
      end
    ]])
  end)
end)
