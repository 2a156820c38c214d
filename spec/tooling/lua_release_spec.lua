-- Which releases of Lua uvjobs lets itself be loaded by. The others are played here: by what
-- lua/uvjobs/release.lua can see of them.

--- Loads it where globals have other values. Returns what pcall() does.
local function load_with(globals)
  local env = setmetatable(globals, { __index = _G })
  return pcall(assert(loadfile("lua/uvjobs/release.lua", "t", env)))
end

--- The library `coroutine`, with another resume().
local function resuming(resume)
  return { coroutine = setmetatable({ resume = resume }, { __index = coroutine }) }
end

describe("loading uvjobs", function()
  it("works in this Lua", function()
    assert.is_true(load_with {})
  end)

  it("works in every version that it knows", function()
    for _, version in ipairs { "Lua 5.4", "Lua 5.5" } do
      assert.is_true(load_with { _VERSION = version })
    end
  end)

  it("is refused by another version, which is named", function()
    for _, version in ipairs { "Lua 5.3", "Lua 5.6", "Lua 6.0" } do
      local ok, err = load_with { _VERSION = version }
      assert.is_false(ok)
      assert.equal("uvjobs needs Lua 5.4, from 5.4.4 on, or 5.5; this is " .. version, err)
    end
  end)

  it("is refused by a release whose __close cannot yield", function()
    local ok, err = load_with(resuming(function(co)
      coroutine.close(co)
      return false, "attempt to yield across a C-call boundary"
    end))
    assert.is_false(ok)
    assert.equal("uvjobs needs Lua 5.4, from 5.4.4 on, or 5.5; this is an older one", err)
  end)

  it("is refused by a release that returns too much after a __close that yields", function()
    local ok, err = load_with(resuming(function(co)
      local results = table.pack(coroutine.resume(co))
      return table.unpack(results, 1, results.n + 2)
    end))
    assert.is_false(ok)
    assert.equal("uvjobs needs Lua 5.4, from 5.4.4 on, or 5.5; this is an older one", err)
  end)

  it("does not take a lack of memory for another release", function()
    local ok, err = load_with(resuming(function(co)
      coroutine.close(co)
      return false, "not enough memory"
    end))
    assert.is_false(ok)
    assert.equal("not enough memory", err)
  end)
end)
