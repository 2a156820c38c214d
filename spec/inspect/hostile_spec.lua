-- Names that a program chooses badly, and other users who are in the way.

local core = require "uvjobs.core"
local files = require "spec.files"
local helper = require "spec.inspect.helper"
local json = require "uvjobs.inspect.json"
local process = require "spec.process"
local processes = require "uvjobs.inspect.processes"
local words = require "uvjobs.inspect.words"

local NAMES <const> = [[
  local uvjobs = require "uvjobs"
  uvjobs.run(function()
    local shop = uvjobs.scheduler { name = "s\27]0;title\7" }
    local sleep = load("require 'uvjobs'.sleep(60)", "=a\27[2J\nb.lua")
    for _, name in ipairs { "\27[31mred", "\xc2\x9b31m", "\xff\x9b31m", "a\nb\tc\r",
      "\u{202e}abc" } do
      shop:spawn({ name = name }, sleep)
    end
    uvjobs.sleep(0.1)
    io.stdout:write "ready\n":flush()
    uvjobs.sleep(60)
  end)]]

local function can(command)
  return os.execute(command .. " >/dev/null 2>&1") == true
end

local function assert_harmless(text)
  assert.is_truthy(utf8.len(text))
  assert.is_nil(text:gsub("\n", ""):find "%c")
  assert.is_nil(text:find "\xc2[\x80-\x9f]")
  assert.is_nil(text:find "\u{202e}")
end

describe("a terminal", function()
  it("is not told by a name what to do", function()
    local self <close> = helper.start(NAMES)
    self:wait_for "ready"
    for _, command in ipairs { "tree", "tree --all", "top --once", "ps" } do
      local out, _, status = helper.uvjobs(command .. " " .. self.pid)
      assert.equal(0, status)
      assert_harmless(out)
    end
    local out = helper.uvjobs("tree " .. self.pid)
    assert.matches('\n├─ #2 "\\27%[31mred", active in "s\\27%]0;title\\7", ', out)
    assert.matches('\n├─ #4 "%?%?31m", active in ', out)
    assert.matches("%(a%?%[2J%?b.lua:1%)\n", out)
    local _, complaint = helper.uvjobs(
      ("why %d %s"):format(self.pid, process.quote "\27[31m\u{9b}"))
    assert_harmless(complaint)
  end)

  it("is told no controls by JSON, which keeps the name", function()
    local self <close> = helper.start(NAMES)
    self:wait_for "ready"
    local out = helper.uvjobs("tree --json " .. self.pid)
    assert.is_nil(out:gsub("\n$", ""):find "%c")
    assert.is_nil(out:find "\xc2[\x80-\x9f]")
    assert.is_truthy(out:find('"name":"\u{202e}abc"', 1, true))
    assert.is_truthy(out:find([["name":"\u009b31m"]], 1, true))
    assert.equal([["\u009b\u001b"]], json.encode "\u{9b}\27")
  end)

  it("is shown what is good of a text with bytes that are no UTF-8", function()
    assert.equal("äö?ü?", words.shown "äö\xffü\xc3")
    assert.equal("???", words.shown "\xff\xff\xff")
    assert.equal("", words.shown "")
    assert.equal(8000, #words.shown(("\xff"):rep(8000)))
  end)
end)

-- Answers a question, as if it was the process.
local INTRUDER <const> = [[
  local uv, path = require "luv", arg[1]
  local server = uv.new_pipe(false)
  assert(server:bind(path))
  uv.fs_chmod(path, 511)
  server:listen(8, function()
    local client = uv.new_pipe(false)
    server:accept(client)
    -- It reads the question first: what is unread at its end would reset the connection.
    client:read_start(function(_, question)
      if not question then return uv.stop() end
      client:write("error\tdo what the intruder says\n", function() uv.stop() end)
    end)
  end)
  io.stdout:write "listens\n":flush()
  uv.run()]]

--- Starts it as another user, who can write to its directory. It ends after one question.
local function intrude(path)
  local script = files.temporary(INTRUDER)
  assert(can("chmod 644 " .. script))
  -- Without a sanitizer, whose file of suppressions that user may not be able to read.
  local pipe = assert(io.popen(("setpriv --reuid=65534 --clear-groups %s %s %s %s"):format(
    "timeout 60 env -u LD_PRELOAD -u LSAN_OPTIONS", process.command(), script, path)))
  assert.equal("listens", pipe:read "l")
  return setmetatable({}, { __close = function()
    pipe:close()
    os.remove(script)
  end })
end

describe("another user", function()
  if not can "setpriv --version" or core.user() ~= 0 then
    pending "needs root"
    return
  end

  it("is not believed when it answers in place of a process #I5", function()
    local path = os.tmpname()
    os.remove(path)
    do
      local _ <close> = intrude(path)
      local answer, problem = core.ask(path, "hello", 30)
      assert.same({ nil, "EPERM" }, { answer, problem })
    end
    os.remove(path)
    local _ <close> = intrude(path)
    assert.matches("^error\t", core.ask(path, "hello", 30, 65534))
    os.remove(path)
  end)

  it("does not hinder a process whose first place for a socket it has taken #I5", function()
    local dir = os.tmpname()
    os.remove(dir)
    assert(can(("mkdir %s && chmod 711 %s && mkdir %s/uvjobs && chown 65534 %s/uvjobs"):format(
      dir, dir, dir, dir)))
    do
      local self <close> = helper.start(NAMES, "XDG_RUNTIME_DIR=" .. dir)
      self:wait_for "ready"
      local path = processes.sockets(processes.get(self.pid))[1]
      assert.equal(dir .. "/uvjobs/", path:match "^.*/")
      local _ <close> = intrude(path)
      assert.equal(6, #helper.look(self).jobs)
    end
    assert(can("rm -r " .. dir))
  end)
end)
