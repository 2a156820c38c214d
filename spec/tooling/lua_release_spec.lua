-- Which releases of Lua uvjobs lets itself be loaded by, and can be read by. The others are played
-- here: by what lua/uvjobs/release.lua can see of them.
local files = require "spec.files"

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

--- The text where the first variable of each `for` is a constant in its block, as in Lua 5.5; but
--- not of one whose list has a function in it.
local function with_constant_loops(text)
  return (text:gsub("(%f[%w_]for%s+)([%a_][%w_,%s]-)(%s*%f[=%w_][=i]n?%s.-%f[%w_]do%f[^%w_])",
    function(start, names, rest)
      if rest:find "function" or rest:find "[\"'%[]%s*for" then return nil end
      local first = names:match "^[%w_]+"
      return ("%s%s%s local %s <const> = %s;"):format(start, names, rest, first, first)
    end))
end

local function find_assignment(path)
  local text = with_constant_loops(files.read(path):gsub("^#[^\n]*", ""))
  local _, err = load(text, "@" .. path)
  return err and err:find "assign to const" and err
end

describe("the Lua code", function()
  it("assigns to no first variable of a for, which Lua 5.5 refuses to read", function()
    local found = {}
    for _, path in ipairs(files.lines_of
      "find lua spec examples bench library -name '*.lua' -not -path '*/build/*'") do
      found[#found + 1] = find_assignment(path) or nil
    end
    assert.same({}, found)
  end)

  it("would be found out", function()
    for _, text in ipairs {
      "for i = 1, 2 do i = i + 1 end", "for a, b in pairs {} do\n  a = b\nend",
    } do
      assert.matches("assign to const", select(2, load(with_constant_loops(text))))
    end
    assert.truthy(load(with_constant_loops "for i = 1, 2 do local j = i j = 3 end"))
  end)
end)
