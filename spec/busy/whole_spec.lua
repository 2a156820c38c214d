-- uvjobs.keep_whole: files that are not interrupted in the middle.
local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local message = helper.message

-- Loads a module of its own file: it counts to n and marks itself as being in the middle.
local function with_module(fn)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write [[
    local module = { inside = false, n = 0 }
    function module.change(n)
      module.inside = true
      for _ = 1, n do module.n = module.n + 1 end
      module.inside = false
    end
    function module.spin() while true do end end
    return module
  ]]
  file:flush()
  local _ <close> = helper.closing(function() os.remove(path) end)
  return fn(assert(loadfile(path))(), path)
end

-- Two busy jobs that call change(); returns how often one saw the other in the middle, and
-- how often they were preempted.
local function overlaps(module, options)
  local seen, preemptions = 0, 0
  uvjobs.run(function()
    local jobs <close> = uvjobs.scheduler { timeslice = 0.001 }
    local over = false
    for _ = 1, 2 do
      jobs:spawn(function()
        while not over do
          if module.inside then seen = seen + 1 end
          module.change(1000)
        end
        preemptions = preemptions + uvjobs.current().preemptions
      end)
    end
    uvjobs.sleep(0.2)
    over = true
  end, options)
  return seen, preemptions
end

describe("keep_whole", function()
  after_each(helper.check_clean)

  for _, interrupt in ipairs { "SIGURG", "count" } do
    it("keeps time slices out of the middle of a file: " .. interrupt, function()
      with_module(function(module)
        uvjobs.keep_whole(module.change)
        local seen, preemptions = overlaps(module, { interrupt = interrupt })
        assert.equal(0, seen)
        assert.is_true(preemptions > 0)
      end)
    end)
  end

  it("takes names of modules, found as require finds them", function()
    with_module(function(module, path)
      local before = package.path
      local _ <close> = helper.closing(function() package.path = before end)
      package.path = path:gsub("[^/]*$", "?")
      uvjobs.keep_whole(path:match "[^/]*$")
      local seen = overlaps(module)
      assert.equal(0, seen)
    end)
  end)

  it("a deadline waits for the end of the file's code", function()
    with_module(function(module)
      uvjobs.keep_whole(module.change)
      uvjobs.run(function()
        for _ = 1, 20 do
          helper.raises("timeout", uvjobs.timeout, 0.001, function()
            while true do module.change(10000) end
          end)
          assert.is_false(module.inside)
        end
      end)
    end)
  end)

  it("does not keep a job for ever: after a second it is interrupted", function()
    with_module(function(module)
      uvjobs.keep_whole(module.spin)
      uvjobs.run(function()
        helper.raises("timeout", uvjobs.timeout, 0.001, module.spin)
      end)
    end)
  end)

  it("refuses what is no module and no function in Lua", function()
    assert.equal("bad argument #2 to 'keep_whole' (module name or function expected, got nil)",
      message(uvjobs.keep_whole, print and message, nil))
    assert.matches("^bad argument #1 to 'keep_whole' %(module 'no.such.one' not found:\n",
      message(uvjobs.keep_whole, "no.such.one"))
    assert.equal("bad argument #1 to 'keep_whole' (function written in Lua expected, got one in C)",
      message(uvjobs.keep_whole, print))
    uvjobs.keep_whole()
  end)

  it("many files", function()
    for i = 1, 1000 do uvjobs.keep_whole(load("return 1", "=file " .. i)) end
    with_module(function(module)
      uvjobs.keep_whole(module.change, module.change)
      assert.equal(0, (overlaps(module)))
    end)
  end)
end)
