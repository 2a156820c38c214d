-- What is published: the rockspec of the release, the versions, the man page, completions and
-- types. script/release builds it and tries it.

local files = require "spec.files"
local process = require "spec.process"

local read = files.read

local function output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  return text, pipe:close()
end

local function version()
  return read("CMakeLists.txt"):match "project%(uvjobs VERSION ([%d.]+)"
end

--- The options that `uvjobs --help` lists, as a list.
local function options()
  local found = {}
  local help = output(process.command() .. " bin/uvjobs --help")
  local listed = assert(help:match "options:\n(.-)\n\n")
  for line in listed:gmatch "[^\n]+" do
    local names = line:match "^  (%-.-)   " or ""
    for name in names:gmatch "%-[%w-]+" do found[#found + 1] = name end
  end
  assert.is_true(#found >= 4)
  return found
end

describe("a release", function()
  it("has the rockspec that script/rockspec makes", function()
    local name = ("uvjobs-%s-1.rockspec"):format(version())
    local made = output(("%s script/rockspec %s"):format(process.interpreter(), version()))
    assert.equal(made, read(name), ("run script/rockspec %s %s"):format(version(), name))
  end)

  it("has one version everywhere", function()
    assert.equal("uvjobs " .. version(), require("uvjobs")._VERSION)
    assert.truthy(read("man/uvjobs.1"):find(('"uvjobs %s"'):format(version()), 1, true))
    assert.equal(version(), read("CHANGELOG.md"):match "\n## ([%d.]+) %- %d%d%d%d%-%d%d%-%d%d\n")
  end)
end)

describe("what is installed", function()
  it("has the folders of the rock also by CMake", function()
    local env = {}
    assert(loadfile("uvjobs-scm-1.rockspec", "t", env))()
    local text = read("CMakeLists.txt")
    for _, name in ipairs(env.build.copy_directories) do
      assert.truthy(text:find("\ninstall%([A-Z]+ " .. name .. "[/ ]"), name)
    end
  end)

  it("has a man page with every option and exit status of the command", function()
    local page = read("man/uvjobs.1"):gsub("\\%-", "-")
    for _, option in ipairs(options()) do
      assert.truthy(page:find(option, 1, true), option)
    end
    local help = output(process.command() .. " bin/uvjobs --help")
    for status in help:match("exit status:\n(.*)"):gmatch "\n? +(%d+)  " do
      assert.truthy(page:find("\n.B " .. status .. "\n", 1, true), status)
    end
  end)

  it("completes every option, in bash and in zsh", function()
    for _, path in ipairs { "completions/uvjobs.bash", "completions/_uvjobs" } do
      local text = read(path)
      for _, option in ipairs(options()) do
        assert.truthy(text:find(option, 1, true), path .. " " .. option)
      end
    end
  end)

  it("completes scripts in bash, and what follows them by file names", function()
    local script = [[
      cd examples && . ../completions/uvjobs.bash
      COMP_WORDS=(uvjobs 01_q) COMP_CWORD=1
      _uvjobs && echo "${COMPREPLY[@]}"
      COMP_WORDS=(uvjobs --v) COMP_CWORD=1
      _uvjobs && echo "${COMPREPLY[@]}"
      COMP_WORDS=(uvjobs x.lua 01_quickstart.o) COMP_CWORD=2
      _uvjobs && echo "${COMPREPLY[@]}"]]
    assert.equal("01_quickstart.lua\n--version\n01_quickstart.out\n",
      (output("bash -c " .. process.quote(script))))
  end)

  it("has types for every function of every module, and no others", function()
    local text, ok = output(process.command() .. " script/check-types library 2>&1")
    assert.is_true(ok, text)
  end)
end)

describe("a part whose library is missing", function()
  -- Hides modules from `require`.
  local function message_without(hidden, statement)
    local result = process.run(([[
      for _, name in ipairs { "path", "cpath" } do
        package[name] = package[name]:gsub(";;", ";")
      end
      local search = package.searchers
      local function hide(searcher)
        return function(name)
          if name:find("^" .. %q) then return "\n\tno file" end
          return searcher(name)
        end
      end
      for i = 2, #search do search[i] = hide(search[i]) end
      local ok, err = pcall(function() %s end)
      io.stdout:write(tostring(err))
    ]]):format(hidden, statement))
    return result.out
  end

  it("says which, and what to install", function()
    assert.equal("uvjobs.uv needs luv: luarocks install luv, or Debian's lua-luv",
      message_without("luv$", [[require "uvjobs" require "uvjobs.uv"]]))
    assert.equal("uvjobs.exec needs luv: luarocks install luv, or Debian's lua-luv",
      message_without("luv$", [[
        local uvjobs = require "uvjobs"
        uvjobs.run(function() uvjobs.exec "true" end)]]))
    for _, name in ipairs { "uvjobs.cqueues", "uvjobs.http" } do
      assert.equal(name .. " needs cqueues: luarocks install cqueues, or Debian's lua-cqueues",
        message_without("cqueues", ("require %q"):format(name)))
    end
    assert.equal("uvjobs.http needs lua-http: luarocks install http, or Debian's lua-http",
      message_without("nothing", [[
        package.preload["http.server"] = function()
          error("module 'http.server' not found:\n\tno file", 0)
        end
        require "uvjobs.http"]]))
  end)

  it("is told again the next time", function()
    assert.equal("uvjobs.uv needs luv: luarocks install luv, or Debian's lua-luv",
      message_without("luv$", [[pcall(require, "uvjobs.uv") require "uvjobs.uv"]]))
  end)

  it("raises what is wrong with a library that is there", function()
    local err = message_without("nothing", [[
      require "uvjobs"
      package.preload.luv = function() error("it is broken", 0) end
      require "uvjobs.uv"]])
    assert.equal("it is broken", err)
  end)
end)
