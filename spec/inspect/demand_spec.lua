-- Processes that nobody has prepared, seen from outside while they run.

local ask = require "uvjobs.inspect.ask"
local helper = require "spec.inspect.helper"

local eventually, look, start = helper.eventually, helper.look, helper.start

-- Two jobs that wait for each other, and then what the main job does.
local function program(rest)
  return ([[
    local uvjobs = require "uvjobs"
    uvjobs.run({ slow = false }, function()
      local bank = uvjobs.scheduler { name = "bank", exception_handler = function() end }
      local a, b = uvjobs.mutex(), uvjobs.mutex()
      local function move(from, to)
        local _ <close> = from:permit()
        uvjobs.sleep(0.01)
        local _ <close> = to:permit()
      end
      bank:spawn({ name = "save" }, move, a, b)
      bank:spawn({ name = "spend" }, move, b, a)
      uvjobs.sleep(0.1)
      io.stdout:write "ready\n":flush()
      %s
      bank:close(0)
      print "over"
    end)]]):format(rest)
end

--- Starts it, and waits until it does the rest.
local function started(rest)
  local self = start(program(rest))
  self:wait_for "ready"
  return self
end

local JOBS <const> = {
  { "1", "main" }, { "2", "save", "1", "3" }, { "3", "spend", "1", "2" },
}

local function assert_all_jobs(loop)
  for i, expected in ipairs(JOBS) do
    local job = loop.jobs[i]
    assert.same(expected, { job.id, job.name, job.parent, job.next })
    assert.matches(":%d+$", job.at)
  end
  assert.equal(#JOBS, #loop.jobs)
  assert.same({ { "2", "3" } }, loop.circles)
end

describe("a process that is asked", function()
  it("tells all jobs while it sleeps #I2", function()
    local self <close> = started "uvjobs.sleep(60)"
    local loop = look(self)
    assert_all_jobs(loop)
    assert.is_nil(loop.fields.running)
    assert.equal("sleep", loop.jobs[1].kind)
  end)

  it("tells all jobs, and where it stands, while a job computes without end #I2", function()
    local self <close> = started "while true do end"
    local loop = eventually(function() -- it may just have printed, which is C
      local loop = look(self)
      return not loop.fields.outside and loop
    end)
    assert_all_jobs(loop)
    assert.equal("1", loop.fields.running)
    assert.matches("^stack traceback:\n\t[^\n]*:%d+: in ", loop.fields.traceback)
    assert.is_true(tonumber(loop.fields.held) >= 0)
  end)

  it("tells all jobs, and in which function it is, while C does not return #I2", function()
    local self <close> = started "os.execute 'exec sleep 60'"
    local loop = eventually(function()
      local loop = look(self)
      return (loop.fields.traceback or ""):find "execute" and loop
    end)
    assert_all_jobs(loop)
    assert.equal("yes", loop.fields.outside)
    assert.matches("^stack traceback:\n\t%[C%]: in function 'os.execute'\n", loop.fields.traceback)
    local out = helper.uvjobs("tree " .. self.pid)
    assert.matches('job #1 "main" has run for [^\n]* without a pause, and is in function '
      .. "'os.execute' of C:\n", out)
  end)

  it("tells all jobs while C computes and does not return #I2", function()
    local self <close> = started [[
      local text = ("a"):rep(200)
      string.find(text, (".-"):rep(40) .. "b")]]
    local loop = eventually(function()
      local loop = look(self)
      return (loop.fields.traceback or ""):find "find" and loop
    end)
    assert_all_jobs(loop)
    assert.equal("yes", loop.fields.outside)
  end)

  it("tells the coroutine in which the job runs", function()
    local self <close> = started [[
      local coroutine = require "uvjobs.coroutine"
      coroutine.wrap(function() os.execute "exec sleep 60" end)()]]
    local loop = eventually(function()
      local loop = look(self)
      return (loop.fields.traceback or ""):find "execute" and loop
    end)
    assert_all_jobs(loop)
  end)

  for _, how in ipairs { "count", "none", "SIGUSR1" } do
    it("answers also when interrupt is " .. how, function()
      local self <close> = start(([[
        local uvjobs = require "uvjobs"
        uvjobs.run({ interrupt = %q }, function()
          io.stdout:write "ready\n":flush()
          uvjobs.sleep(60)
        end)]]):format(how))
      self:wait_for "ready"
      assert.equal("sleep", look(self).jobs[1].kind)
    end)
  end

  it("answers while jobs are ready all the time", function()
    local self <close> = started "while true do uvjobs.yield() end"
    assert_all_jobs(look(self))
  end)

  it("answers between the steps of a host", function()
    local self <close> = start [[
      local uvjobs = require "uvjobs"
      uvjobs.start(function() uvjobs.sleep(60) end)
      uvjobs.step()
      io.stdout:write "ready\n":flush()
      while true do os.execute "sleep 0.01" uvjobs.step() end]]
    self:wait_for "ready"
    assert.equal("sleep", look(self).jobs[1].kind)
  end)

  it("goes on as if nothing had been #I3", function()
    local self <close> = started [[
      local total = 0
      for i = 1, 3e8 do
        total = total + i % 7
        if i % 1000 == 0 then uvjobs.yield() end
        if io.open(arg[0] .. ".stop") then break end
      end
      uvjobs.run = nil]]
    for _ = 1, 20 do assert_all_jobs(look(self)) end
    io.open(self.base .. ".stop", "w"):close()
    self:wait_for "over"
    os.remove(self.base .. ".stop")
    eventually(function() return not self:lives() end)
    assert.equal("ready\nover\n", self:out())
    assert.equal("", self:err())
  end)

  it("does not hear of the copies: neither by a signal nor by wait()", function()
    local self <close> = started [[
      local uv = require "luv"
      local children = uv.new_signal()
      uv.signal_start(children, "sigchld", function() print "a child" end)
      uvjobs.sleep(60)]]
    for _ = 1, 3 do look(self) end
    assert.is_nil(self:out():find "a child")
  end)

  it("shows no command of exec() unless it lets values be seen #I6", function()
    local text = [[
      local uvjobs = require "uvjobs"
      uvjobs.run({ inspect = %s }, function()
        io.stdout:write "ready\n":flush()
        uvjobs.exec("sleep", { "61" })
      end)]]
    local function waits(inspect)
      local self <close> = start(text:format(inspect))
      self:wait_for "ready"
      return eventually(function() return look(self).jobs[1].waits:match "^it runs.*command.*" end)
    end
    assert.matches("^it runs a command, process %d+$", waits "'demand'")
    assert.matches('^it runs the command "sleep", process %d+$', waits "{ values = true }")
  end)

  it("lets jobs be cancelled only if it says so #I16", function()
    local self <close> = started "uvjobs.sleep(60)"
    local answer, problem = ask.process(self.pid, "cancel 2")
    assert.is_nil(answer)
    assert.matches("the program does not allow it: run{ inspect = { control = true } }", problem)
    assert.equal(3, #look(self).jobs)
  end)

  it("cancels a job as job:cancel() does when it allows that #I16", function()
    local self <close> = start [[
      local uvjobs = require "uvjobs"
      uvjobs.run({ inspect = { control = true } }, function()
        local jobs = uvjobs.scheduler { name = "jobs" }
        local job = jobs:spawn(function()
          io.stdout:write "ready\n":flush()
          local _ <close> = setmetatable({}, { __close = function() print "cleaned up" end })
          uvjobs.sleep(60)
        end)
        print(pcall(job.wait, job))
        print(job.state)
        jobs:close()
      end)]]
    self:wait_for "ready"
    for question, refusal in pairs { ["cancel 99"] = "there is no such job",
      ["cancel x"] = "the number of a job expected", ["cancel 0"] = "the number of a job expected",
      ["cancel -2"] = "there is no such job" } do
      assert.equal(("process %d: %s"):format(self.pid, refusal),
        select(2, ask.process(self.pid, question)))
    end
    eventually(function() return ask.process(self.pid, "cancel 2") end)
    self:wait_for "cancelled\n"
    assert.matches("^ready\ncleaned up\nfalse\t[^\n]*cancelled[^\n]*\ncancelled\n$", self:out())
  end)

  it("cannot cancel a job while C holds the loop", function()
    local self <close> = start [[
      local uvjobs = require "uvjobs"
      uvjobs.run({ inspect = { control = true } }, function()
        io.stdout:write "ready\n":flush()
        os.execute "exec sleep 60"
      end)]]
    self:wait_for "ready"
    eventually(function() return look(self).fields.outside end)
    assert.matches("a function of C holds it", select(2, ask.process(self.pid, "cancel 1")))
  end)
end)

describe("a process that cannot be asked", function()
  local function refused(pid)
    local answer, problem = ask.process(pid, "look")
    assert.is_nil(answer)
    return problem
  end

  it("is said not to be there", function()
    local self <close> = start "os.exit(0)"
    eventually(function() return not self:lives() end)
    local problem = refused(self.pid)
    assert.is_truthy(problem == ("there is no process %d"):format(self.pid)
      or problem == ("process %d: it has ended"):format(self.pid), problem)
  end)

  it("is said to be stopped, and answers when it goes on", function()
    local self <close> = started "uvjobs.sleep(60)"
    self:signal "STOP"
    eventually(function() return refused(self.pid) end)
    assert.matches("it is stopped, and answers when it goes on: kill %-CONT", refused(self.pid))
    self:signal "CONT"
    assert_all_jobs(look(self))
  end)

  it("is said to have no uvjobs in it", function()
    local self <close> = start "print 'ready' io.stdout:flush() io.read() while true do end"
    self:wait_for "ready"
    assert.matches("there is no uvjobs in it %(", refused(self.pid))
    assert.is_true(self:lives())
  end)

  it("does not run anything, or does not let itself be asked", function()
    local self <close> = start [[
      require "uvjobs".run({ inspect = false, interrupt = "none" }, function()
        io.stdout:write "ready\n":flush()
        require "uvjobs".sleep(60)
      end)]]
    self:wait_for "ready"
    assert.matches("nothing runs in it now that lets itself be asked", refused(self.pid))
    local busy <close> = start [[
      require "uvjobs".run({ inspect = false }, function()
        io.stdout:write "ready\n":flush()
        require "uvjobs".sleep(60)
      end)]]
    busy:wait_for "ready"
    assert.matches("it does not open a socket", refused(busy.pid))
    assert.is_true(busy:lives())
  end)
end)

describe("run{ inspect = }", function()
  local uvjobs = require "uvjobs"

  it("refuses what it does not know", function()
    local function refusal(options)
      local ok, message = pcall(uvjobs.run, { inspect = options }, print)
      assert.is_false(ok)
      return message
    end
    assert.equal("bad argument #1 to 'run' (option 'inspect': boolean, 'demand' or table expected, "
      .. "got 'on')", refusal "on")
    assert.equal("bad argument #1 to 'run' (option 'inspect': boolean, 'demand' or table expected, "
      .. "got 1)", refusal(1))
    assert.equal("bad argument #1 to 'run' (unknown option 'contrl', did you mean 'control'?)",
      refusal { contrl = true })
    assert.equal("bad argument #1 to 'run' (option 'values': boolean expected, got 1)",
      refusal { values = 1 })
    assert.equal("bad argument #1 to 'run' (unknown option [1], known: control, values, socket)",
      refusal { "control" })
  end)

  it("takes the values that it knows", function()
    for _, value in ipairs { true, false, "demand", {}, { control = true, values = true } } do
      assert.equal(7, uvjobs.run({ inspect = value }, function() return 7 end))
    end
  end)
end)
