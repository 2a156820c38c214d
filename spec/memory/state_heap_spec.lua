-- The heap of a Lua state: when a state gets one, and what becomes of it. The heap itself is tested
-- in C, by the programs beside this file.
local helper = require "spec.helper"

-- A build with AddressSanitizer has no heap, because the sanitizer could not see its blocks.
local has_heap = os.getenv("UVJOBS_PRESET") ~= "asan"

-- Without a heap nothing can go wrong, so a short run is enough.
local MANY = ("local JOBS <const> = %d\n"):format(has_heap and 50000 or 1000) .. [[
  local uvjobs = require "uvjobs"
  local function burst(n)
    local most = 0
    uvjobs.run({ clock = "virtual" }, function()
      local jobs <close> = uvjobs.scheduler { limit = math.huge }
      for i = 1, n do
        jobs:spawn(function()
          local text = ("x"):rep(i % 3000) .. i
          uvjobs.sleep(i % 7)
          assert(text == ("x"):rep(i % 3000) .. i)
        end)
      end
      uvjobs.sleep(0.5)
      most = uvjobs.stats().heap
    end)
    return most
  end
]]

--- What the script prints. Asserts that it succeeds and prints no error.
local function output(script, env)
  local r = helper.child(MANY .. script, env)
  assert.equal("", r.err)
  assert.equal(0, r.status)
  return r.out
end

describe("the memory of a Lua state", function()
  it("comes from a heap where the state has the common allocator", function()
    local heap = tonumber(output "print(uvjobs.stats().heap)")
    assert.equal(has_heap, heap > 0)
  end)

  it("comes from no heap with UVJOBS_HEAP=0, and all works", function()
    assert.equal("0\n0\n", output("print(burst(2000)) print(uvjobs.stats().heap)", "UVJOBS_HEAP=0"))
  end)

  it("comes from a heap with any other value of UVJOBS_HEAP", function()
    for _, value in ipairs { "", "1", "yes" } do
      local heap = tonumber(output("print(uvjobs.stats().heap)", "UVJOBS_HEAP=" .. value))
      assert.equal(has_heap, heap > 0, value)
    end
  end)

  it("is given back after a burst, and taken again #M13", function()
    local out = output [[
      for _ = 1, 2 do
        local most = burst(JOBS)
        collectgarbage() collectgarbage()
        print(most, uvjobs.stats().heap)
      end
    ]]
    for busy, idle in out:gmatch("(%d+)\t(%d+)\n") do
      local most, rest = tonumber(busy), tonumber(idle)
      if has_heap then
        assert.is_true(most > 40e6, out)
        assert.is_true(rest < most / 2, out)
      end
    end
  end)

  it("is what it was in coroutines and strings made before uvjobs was loaded", function()
    local r = helper.child [[
      local co, strings = coroutine.wrap(function(...)
        local t = { ... }
        while true do t[#t + 1] = coroutine.yield(#t) end
      end), {}
      for i = 1, 1000 do strings[i] = "old " .. i .. ("y"):rep(i) end
      co(1, 2, 3)
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        for i = 1, 1000 do
          co(strings[i])
          strings[i] = strings[i] .. "z"
        end
      end)
      for i = 1, 1000 do assert(strings[i] == "old " .. i .. ("y"):rep(i) .. "z") end
      strings = nil
      collectgarbage()
      print(co())
    ]]
    assert.same({ status = 0, out = "1003\n", err = "" }, r)
  end)

  it("is all released when the state closes, with jobs alive and finalizers to run #M14", function()
    local out = output [[
      local jobs = uvjobs.scheduler { limit = math.huge }
      uvjobs.start(function() uvjobs.sleep(1) end)
      for _ = 1, 1000 do jobs:spawn(uvjobs.sleep, 60) end
      uvjobs.step()
      kept = setmetatable({}, { __gc = function()
        local t = {}
        for i = 1, 1000 do t[i] = { ("late %d"):format(i) } end
        print(#t)
      end })
      os.exit(true, true)
    ]]
    assert.equal("1000\n", out)
  end)

  it("leaves most of the addresses where there is a limit to them", function()
    -- A sanitizer alone needs more address space than this limit.
    for _, gib in ipairs(has_heap and { 1.02, 4.1, 16.4 } or {}) do
      local r = helper.child([[
        local uvjobs = require "uvjobs"
        local text = ("x"):rep(100 * 2 ^ 20)
        uvjobs.run(function()
          local jobs <close> = uvjobs.scheduler { limit = math.huge }
          for i = 1, 2000 do jobs:spawn(uvjobs.sleep, i / 1e6) end
          assert(uvjobs.work(function(n) return n + 1 end, 41) == 42)
        end)
        print(#text)
      ]], ("prlimit --as=%.0f"):format(gib * 1024 ^ 3))
      assert.same({ status = 0, out = "104857600\n", err = "" }, r)
    end
  end)

  it("is given back also when some jobs of a burst have outlived it #M13", function()
    local out = output [[
      uvjobs.run({ clock = "virtual" }, function()
        local jobs <close> = uvjobs.scheduler { limit = math.huge }
        for i = 1, JOBS do jobs:spawn(uvjobs.sleep, i % 500 == 0 and 10 or 1) end
        jobs:wait_and_close()
        local most = uvjobs.stats().heap
        for _ = 1, 3 do uvjobs.sleep(1) collectgarbage() end
        print(most, uvjobs.stats().heap)
      end)
    ]]
    local most, rest = out:match("(%d+)\t(%d+)")
    if has_heap then assert.is_true(tonumber(rest) < tonumber(most) / 3, out) end
  end)

  it("is the same when the module is loaded again", function()
    local out = output([[
      print(uvjobs.stats().heap > 0)
      for name in pairs(package.loaded) do
        if name:find("^uvjobs") then package.loaded[name] = nil end
      end
      print(require("uvjobs").stats().heap > 0)
    ]])
    assert.equal(("%s\n"):format(has_heap):rep(2), out)
  end)
end)
