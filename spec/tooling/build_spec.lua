-- The rock is built from lists, CMake from globs: they must name the same files.

local files = require "spec.files"

local function find(arguments)
  return files.lines_of("find " .. arguments .. " | sort")
end

local function rockspec()
  local env = {}
  assert(loadfile("uvjobs-scm-1.rockspec", "t", env))()
  return env
end

--- The name by which `require` finds the file.
local function module_name(path)
  return (path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))
end

describe("the rockspec", function()
  it("lists every C source and no other", function()
    local listed = rockspec().build.modules["uvjobs.core"].sources
    table.sort(listed)
    assert.same(find("src -name '*.c' -not -path 'src/store/*'"), listed)
  end)

  it("of each store lists its C sources and no other", function()
    for _, path in ipairs(find("src/store -mindepth 1 -type d")) do
      local name, env = path:match "[^/]*$", {}
      assert(loadfile(("uvjobs-%s-scm-1.rockspec"):format(name), "t", env))()
      local listed = env.build.modules["uvjobs.store." .. name].sources
      table.sort(listed)
      assert.same(find(path .. " -name '*.c'"), listed)
    end
  end)

  it("lists every Lua module under its name and no other", function()
    local listed, expected = {}, {}
    for name, source in pairs(rockspec().build.modules) do
      if type(source) == "string" then listed[name] = source end
    end
    for _, path in ipairs(find("lua -name '*.lua'")) do
      expected[module_name(path)] = path
    end
    assert.same(expected, listed)
  end)

  it("installs the command", function()
    assert.same({ uvjobs = "bin/uvjobs" }, rockspec().build.install.bin)
  end)

  it("needs nothing but Lua and libuv", function()
    local spec = rockspec()
    assert.same({ "lua >= 5.4, < 5.6" }, spec.dependencies)
    assert.same({ LIBUV = { header = "uv.h", library = "uv" } }, spec.external_dependencies)
  end)
end)
