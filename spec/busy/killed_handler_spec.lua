-- A job is killed, and the handlers of its `<close>` variables do not end.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local ignore = helper.ignore

describe("a handler of a killed job", function()
  -- Kills a job whose two handlers have these bodies. A handler that is not interrupted
  -- never ends, so this runs in a process of its own.
  local function kill(inner, outer, close_timeout)
    return helper.child(([[
      local uvjobs = require "uvjobs"
      local function closing(handler) return setmetatable({}, { __close = handler }) end
      uvjobs.run({ clock = "virtual" }, function()
        local s = uvjobs.scheduler {
          close_timeout = %g,
          exception_handler = function(_, context) io.write(context.message) end,
        }
        local job = s:spawn(function()
          local _ <close> = closing(function(_, err) io.write(uvjobs.code(err), ", ") end)
          local _ <close> = closing(function() %s end)
          local _ <close> = closing(function() %s end)
          while true do pcall(uvjobs.sleep, 60) end
        end)
        uvjobs.yield()
        s:close()
        io.write(", ", job.state)
      end)
    ]]):format(close_timeout or 0.02, outer, inner))
  end

  local expected = { status = 0, out = "killed, Job closing timed out, killed", err = "" }

  local bodies = {
    ["loops over errors that it swallows"] = "while true do pcall(uvjobs.sleep, 1) end",
    ["loops without suspending"] = "while true do end",
    ["loops over pcalls of a loop"] = "while true do pcall(function() while true do end end) end",
    ["loops in a function of its own"] = "(function() while true do end end)()",
    ["loops in a sort"] = "table.sort({ 2, 1 }, function() while true do end end)",
    ["loops in a metamethod"] = [[
      return setmetatable({}, { __index = function() while true do end end }).x]],
    ["loops in a handler of its own"] = [[
      local _ <close> = closing(function() while true do pcall(uvjobs.sleep, 1) end end)]],
    ["loops over protect"] = "while true do pcall(uvjobs.protect, uvjobs.sleep, 1) end",
  }

  for what, body in pairs(bodies) do
    it("that " .. what .. " is interrupted, and the next one runs #M7 #M8", function()
      assert.same(expected, kill(body, ""))
    end)
  end

  it("has its own close timeout after one that was interrupted #M7 #M8", function()
    local loop = "while true do pcall(uvjobs.sleep, 1) end"
    assert.same(expected, kill(loop, loop))
    assert.same(expected, kill(loop, loop, 0))
  end)

  it("that computes for less than the close timeout runs to its end #M7", function()
    local r = kill("for i = 1, 10000 do local _ = i end io.write 'first, '", [[
      local _, err = pcall(uvjobs.sleep, 1)
      io.write(uvjobs.code(err), " inside, ")]], 5)
    assert.same({ status = 0, err = "",
                  out = "first, killed inside, killed, Job closing timed out, killed" }, r)
  end)

  it("makes coroutines that go on working when the job is gone", function()
    local r = helper.child([[
      local uvjobs = require "uvjobs"
      local co, inside
      local function add()
        local sum = 0
        for i = 1, 10 do sum = sum + i end
        return sum
      end
      uvjobs.run({ clock = "virtual" }, function()
        local s = uvjobs.scheduler { close_timeout = 1, exception_handler = function() end }
        s:spawn(function()
          local _ <close> = setmetatable({}, { __close = function()
            co, inside = coroutine.create(add), coroutine.wrap(add)()
          end })
          while true do pcall(uvjobs.sleep, 100) end
        end)
        uvjobs.yield()
        s:close()
      end)
      io.write(inside, " ", select(2, coroutine.resume(co)))
    ]])
    assert.same({ status = 0, out = "55 55", err = "" }, r)
  end)

  it("leaves no debug hook to the job that has its coroutine next", function()
    helper.virtual(function()
      local s = uvjobs.scheduler { close_timeout = 1, exception_handler = ignore }
      s:spawn(uvjobs.protect, uvjobs.sleep, 9)
      uvjobs.yield()
      s:close()
      assert.equal(0, select(2, uvjobs.current().scheduler:spawn(debug.gethook):wait()) or 0)
    end)
  end)
end)
