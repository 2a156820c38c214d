-- `uvjobs trace` and `uvjobs profile`: a process is made to write one for some time.

local ask = require "uvjobs.inspect.ask"
local files = require "spec.files"
local helper = require "spec.inspect.helper"

local PROGRAM <const> = [[
  local uvjobs = require "uvjobs"
  uvjobs.run(function()
    local jobs = uvjobs.scheduler { name = "jobs" }
    jobs:spawn({ name = "ping" }, function()
      while true do uvjobs.sleep(0.001) end
    end)
    io.stdout:write "ready\n":flush()
    uvjobs.sleep(60)
  end)]]

local function started()
  local self = helper.start(PROGRAM)
  self:wait_for "ready"
  return self
end

describe("uvjobs trace", function()
  local path

  before_each(function() path = os.tmpname() end)
  after_each(function() os.remove(path) end)

  it("has the process write a trace, and ends it", function()
    local self <close> = started()
    local command = ("trace -s 0.2 --output=%s %d"):format(path, self.pid)
    local out, complaint, status = helper.uvjobs(command)
    assert.same({ path .. "\n", "", 0 }, { out, complaint, status })
    local text = files.read(path)
    assert.matches("^%[.*%]%s*$", text)
    assert.matches('"name":"ping"', text)
    -- It is over, and the next one can begin.
    assert.matches("nobody has asked for a trace", select(2, ask.process(self.pid, "trace stop")))
    assert.equal("end\n", ask.process(self.pid, "trace start 60 " .. path))
    assert.matches("another trace is being written",
      select(2, ask.process(self.pid, "trace start 60 " .. path)))
    assert.equal("end\n", ask.process(self.pid, "trace stop"))
  end)

  it("ends one that was forgotten when another is asked for", function()
    local self <close> = helper.start(('os.time = (function(time) local n = 0 return function(...) '
      .. 'n = n + 1 return time(...) + 20 * n end end)(os.time)' .. PROGRAM))
    self:wait_for "ready"
    -- Each look at the date finds it 20 seconds later.
    assert.equal("end\n", ask.process(self.pid, "trace start 1 " .. path))
    assert.equal("end\n", ask.process(self.pid, "trace start 60 " .. path))
    assert.matches("another trace is being written",
      select(2, ask.process(self.pid, "trace start 60 " .. path)))
  end)

  it("says when the file cannot be written, and the process goes on", function()
    local self <close> = started()
    local _, complaint, status = helper.uvjobs(("trace -o /nonexistent/x %d"):format(self.pid))
    assert.matches("^uvjobs: process %d+: cannot write the trace '/nonexistent/x': ", complaint)
    assert.equal(1, status)
    for question, refusal in pairs {
      ["trace start 5 x"] = "seconds and an absolute path expected",
      ["trace start /x"] = "seconds and an absolute path expected",
      ["profile start -1 /x"] = "seconds and an absolute path expected",
      ["trace x"] = "it does not know how",
      ["trace begin /x"] = "it does not know how", ["trace "] = "it does not know how",
    } do
      assert.equal(("process %d: %s"):format(self.pid, refusal),
        select(2, ask.process(self.pid, question)))
    end
    assert.equal(2, #helper.look(self).jobs)
    assert.equal("", self:err())
  end)

  it("refuses what is no time and no name", function()
    for text, message in pairs {
      ["-s 0 1"] = "option '-s': seconds from 0 to a day expected, got '0'",
      ["--seconds=nan 1"] = "option '--seconds': seconds from 0 to a day expected, got 'nan'",
      ["--seconds=inf 1"] = "option '--seconds': seconds from 0 to a day expected, got 'inf'",
      ["-o '' 1"] = "option '-o': name of a file expected, got ''",
      ["-s"] = "option '-s' needs a value", [""] = "PID is missing",
    } do
      local _, complaint, status = helper.uvjobs("trace " .. text)
      assert.same({ 2, ("uvjobs: %s\nTry 'uvjobs trace --help'.\n"):format(message) },
        { status, complaint })
    end
  end)
end)

describe("uvjobs profile", function()
  it("has the process write a profile, and ends it", function()
    local path = os.tmpname()
    local self <close> = helper.start [[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        io.stdout:write "ready\n":flush()
        while true do end
      end)]]
    self:wait_for "ready"
    for _ = 1, 20 do -- the machine may have no time for a single sample
      local command = ("profile -s 0.2 --output=%s %d"):format(path, self.pid)
      assert.same({ path .. "\n", "", 0 }, { helper.uvjobs(command) })
      if files.read(path) ~= "" then break end
    end
    local text = files.read(path)
    os.remove(path)
    assert.matches("^main;function %(.-:%d+%) %d+\n$", text)
    assert.matches("nobody has asked for a profile",
      select(2, ask.process(self.pid, "profile stop")))
  end)

  it("says when the file cannot be written", function()
    local self <close> = started()
    local _, complaint, status = helper.uvjobs(("profile -o /nonexistent/x %d"):format(self.pid))
    assert.matches("^uvjobs: process %d+: cannot write the profile '/nonexistent/x': ", complaint)
    assert.equal(1, status)
  end)
end)
