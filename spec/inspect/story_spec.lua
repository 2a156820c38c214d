-- The programs in docs/insight.md, and what it says that the commands print about them.

local files = require "spec.files"
local helper = require "spec.inspect.helper"
local process = require "spec.process"

local eventually = helper.eventually

--- The programs of the section by their names: their text, and the text that follows.
local function stories()
  local text = files.read "docs/insight.md"
  local section = text:match "\n## Three programs from outside\n(.-)\n## "
  local list = {}
  for code, output in section:gmatch "```lua norun\n(.-)```\n\n```text\n(.-)```" do
    list[#list + 1] = { name = code:match "^%-%- (%S+)\n", code = code, output = output }
  end
  return list
end

--- The text with what differs from run to run made equal.
local function plain(text, pid)
  return (text:gsub("process " .. (pid or 4711) .. ": [^\n]*bin/uvjobs", "process PID: uvjobs")
    :gsub("%d[%d.]*e?%+?%d* s to %d[%d.]* s", "TIME")
    :gsub(" +%d[%d.]*s ", " TIME "):gsub("%d[%d.]*e?%+?%d* s%f[%W]", "TIME")
    :gsub("%d+ min%f[%W]", "TIME"))
end

--- What the document says that a command prints, as pairs of command and output.
local function commands_of(output)
  local list = {}
  for command, printed in ("\n" .. output .. "\n"):gsub("\n%$ uvjobs ", "\0%0")
    :gmatch "\n%$ uvjobs ([^\n]*)\n(%Z*)" do
    list[#list + 1] = { command = command, printed = printed:gsub("\n+$", "\n") }
  end
  return list
end

--- Starts a program as the document says. The shell gives the paths of modules as they are, so
--- they must not depend on the directory. The command is reached through a link, since `top` cuts
--- the first line at the width of the screen, and the path of this tree may be long.
local function start(story)
  local dir = os.tmpname()
  os.remove(dir)
  assert(os.execute("mkdir " .. dir))
  files.write(dir .. "/" .. story.name, story.code)
  local root = files.lines_of("pwd")[1]
  assert(os.execute(("ln -s %s/bin %s/bin"):format(process.quote(root), dir)))
  local function absolute(path)
    return (";" .. path):gsub(";%./", ";" .. root .. "/"):gsub(";(%l)", ";" .. root .. "/%1"):sub(2)
  end
  local pipe <close> = assert(io.popen(
    ("cd %s && LUA_PATH_%s=%s LUA_CPATH_%s=%s && export LUA_PATH_%s LUA_CPATH_%s && "
      .. "{ %s bin/uvjobs %s >out 2>&1 </dev/null & } && echo $!"):format(dir,
      process.VERSION, process.quote(absolute(package.path)), process.VERSION,
      process.quote(absolute(package.cpath)), process.VERSION, process.VERSION,
      process.quote(process.interpreter()), story.name)))
  local pid = math.tointeger(tonumber(pipe:read "l"))
  return setmetatable({ pid = pid, dir = dir }, { __close = function()
    os.execute(("kill -9 %d; rm -r %s"):format(pid, dir))
  end })
end

describe("the programs of docs/insight.md", function()
  it("are three", function()
    assert.equal(3, #stories())
  end)

  for _, story in ipairs(stories()) do
    it("do what it says: " .. story.name, function()
      local self <close> = start(story)
      local wanted = commands_of(story.output)
      assert.is_true(#wanted > 0)
      for _, one in ipairs(wanted) do
        local expected, got = plain(one.printed), nil
        -- The program may only have begun.
        eventually(function()
          local command = one.command:gsub("4711", tostring(self.pid))
          got = plain(helper.uvjobs(command), self.pid)
          return got:sub(1, #expected) == expected
        end, function() return ("expected:\n%s\ngot:\n%s"):format(expected, got) end)
      end
    end)
  end
end)
