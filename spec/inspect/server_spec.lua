-- The socket of a process: who gets an answer, and what becomes of those who do not behave.

local ask = require "uvjobs.inspect.ask"
local core = require "uvjobs.core"
local helper = require "spec.inspect.helper"
local luv = require "luv"
local process = require "spec.process"
local processes = require "uvjobs.inspect.processes"

local eventually, look, start = helper.eventually, helper.look, helper.start

local SLEEPS <const> = [[
  local uvjobs = require "uvjobs"
  uvjobs.run({ inspect = %s }, function()
    io.stdout:write "ready\n":flush()
    uvjobs.sleep(60)
  end)]]

local function started(inspect, env)
  local self = start(SLEEPS:format(inspect or "'demand'"), env)
  self:wait_for "ready"
  return self
end

local function shell(command)
  local pipe <close> = io.popen(command)
  return pipe:read "a"
end

local function can(command)
  return os.execute(command .. " >/dev/null 2>&1") == true
end

--- The field of the answer to "hello" that has this name.
local function hello(self, name)
  return tonumber(core.ask(self:socket(), "hello", 30):match("\t" .. name .. "=(%d+)"))
end

describe("the socket", function()
  it("is not there, nor a thread, until somebody asks #I1", function()
    local self <close> = started()
    local function threads()
      return #core.list_directory(("/proc/%d/task"):format(self.pid))
    end
    local before = threads()
    assert.is_nil(self:socket())
    look(self)
    assert.is_truthy(self:socket())
    assert.is_true(threads() > before)
  end)

  it("is there from the start when that is asked for", function()
    local self <close> = started "true"
    assert.is_truthy(self:socket())
    local other <close> = started "{ socket = true }"
    assert.is_truthy(other:socket())
  end)

  it("is gone when the run is over, and after os.exit()", function()
    for _, last in ipairs { "return", "os.exit(0, false)", "os.exit(0, true)" } do
      local self <close> = start(([[
        local uvjobs = require "uvjobs"
        uvjobs.run({ inspect = true }, function()
          io.stdout:write "ready\n":flush()
          while not io.open(arg[0] .. ".stop") do uvjobs.sleep(0.01) end
          %s
        end)
        print "after"
        io.stdout:flush()
        os.execute "exec sleep 60"]]):format(last))
      self:wait_for "ready"
      local path = self:socket()
      assert.is_truthy(path)
      io.open(self.base .. ".stop", "w"):close()
      eventually(function() return not can("test -e " .. path) end)
      os.remove(self.base .. ".stop")
    end
  end)

  it("is its user's alone #I5", function()
    local self <close> = started "true"
    local path = self:socket()
    assert.equal("600\n", shell("stat -c %a " .. path))
    assert.equal("700\n", shell("stat -c %a " .. path:match "^(.*)/"))
  end)

  it("is in XDG_RUNTIME_DIR, and not in a place that others can write to", function()
    local dir = os.tmpname()
    os.remove(dir)
    assert(can("mkdir -m 700 " .. dir))
    do
      local self <close> = started("true", "XDG_RUNTIME_DIR=" .. dir)
      assert.equal(dir .. "/uvjobs/", self:socket():match "^.*/")
    end
    assert(can("chmod 777 " .. dir .. "/uvjobs"))
    do
      local self <close> = started("true", "XDG_RUNTIME_DIR=" .. dir)
      assert.not_equal(dir .. "/uvjobs/", self:socket():match "^.*/")
    end
    assert(can("rm -r " .. dir))
  end)

  it("does not answer another user #I5", function()
    if not can "setpriv --version" or core.user() ~= 0 then return pending "needs root" end
    local dir = os.tmpname()
    os.remove(dir)
    assert(can("mkdir -m 755 " .. dir))
    local self <close> = started("true", "XDG_RUNTIME_DIR=" .. dir)
    local path = self:socket()
    -- Even where the directory and the socket would let the user in.
    assert(can(("chmod 755 %s/uvjobs; chmod 666 %s"):format(dir, path)))
    local script = ([[print(require "uvjobs.core".ask(%q, "hello", 30))]]):format(path)
    local command = ("%s -e %s"):format(process.command(), process.quote(script))
    assert.matches("^hello\t", shell(command))
    local answer = shell("setpriv --reuid=65534 --clear-groups " .. command)
    assert.is_truthy(answer == "\n" or answer:find "^nil\t", answer)
    -- The command says why.
    local tree = process.command() .. " bin/uvjobs tree " .. self.pid .. " 2>&1"
    assert.matches("it is not yours: it is of user 0",
      shell("setpriv --reuid=65534 --clear-groups " .. tree))
    assert(can("rm -r " .. dir))
  end)

  it("is left behind by kill -9, and removed by ps", function()
    local path
    do
      local self <close> = started "true"
      path = self:socket()
    end
    assert.is_true(can("test -S " .. path))
    local self <close> = started "true"
    local out, complaint, status = helper.uvjobs("ps " .. self.pid)
    assert.same({ "", 0 }, { complaint, status })
    assert.matches(("\n%%s*%d%%s+1  runs +%%S"):format(self.pid), out)
    assert.is_false(can("test -e " .. path))
    assert.is_truthy(self:socket())
  end)

  it("closes a connection for garbage, and counts it", function()
    local self <close> = started "true"
    local seed = os.time()
    math.randomseed(seed)
    for _ = 1, 50 do
      local bytes = { string.char(math.random(128, 255)) } -- no question begins with this
      for i = 2, math.random(1, 3000) do bytes[i] = string.char(math.random(0, 255)) end
      local answer = core.ask(self:socket(), table.concat(bytes), 30)
      assert.is_true(answer == nil or answer == "", "seed " .. seed)
    end
    local refused = hello(self, "refused")
    assert.is_true(refused >= 50, "seed " .. seed)
    for _, question in ipairs { "", " look", "LOOK", "look\t1", "9", ("x"):rep(1001) } do
      core.ask(self:socket(), question, 30)
    end
    assert.equal(refused + 6, hello(self, "refused"))
    assert.equal("end\n", ask.process(self.pid, "unheard of"))
    assert.equal(1, #look(self).jobs)
  end)

  it("refuses connections beyond a few, and goes on when these end", function()
    local self <close> = started "true"
    local pipes = {}
    for i = 1, 8 do
      pipes[i] = luv.new_pipe(false)
      pipes[i]:connect(self:socket())
    end
    luv.run "nowait"
    local function is_refused() return (core.ask(self:socket(), "hello", 30) or "") == "" end
    eventually(is_refused)
    for _, pipe in ipairs(pipes) do pipe:close() end
    luv.run "nowait"
    eventually(function() return not is_refused() end)
  end)

  it("does not hold the loop for a client that does not read #I7", function()
    local self <close> = start [[
      local uvjobs = require "uvjobs"
      uvjobs.run({ inspect = true }, function()
        local jobs = uvjobs.scheduler { limit = math.huge, name = ("x"):rep(1000) }
        for _ = 1, 5000 do jobs:spawn({ name = ("n"):rep(1000) }, uvjobs.sleep, 60) end
        uvjobs.sleep(0)
        print "ready"
        while true do
          io.stdout:write(".\n"):flush()
          uvjobs.sleep(0.01)
        end
      end)]]
    self:wait_for "ready"
    local pipe = luv.new_pipe(false)
    pipe:connect(self:socket())
    luv.run "nowait"
    pipe:write "look\n"
    luv.run "nowait"
    local before = #self:out()
    eventually(function() return #self:out() > before + 20 end)
    -- Others are answered meanwhile, and it is given up in the end.
    assert.is_truthy(hello(self, "loops"))
    pipe:close()
    luv.run "nowait"
  end)
end)

describe("a process that nobody asks", function()
  it("calls the system as one does that cannot be asked #I1", function()
    if not can "strace -V" then return pending "needs strace" end
    if process.sanitizer() ~= "" then return pending "its leak detection needs ptrace itself" end
    local function calls(inspect)
      local path = os.tmpname()
      local script = ([[
        local uvjobs = require "uvjobs"
        uvjobs.run({ inspect = %s }, function()
          for _ = 1, 3 do uvjobs.yield() end
        end)]])
      local list = {}
      assert(can(("strace -f -o %s %s -e %s"):format(path, process.command(),
        process.quote(script:format(inspect)))))
      -- Memory, the two threads that wait for each other, and how often the loop looks before it
      -- has what it waits for, differ from run to run.
      for line in io.lines(path) do
        local name = line:match "^%d+%s+([%w_]+)%("
        if name and name:find "^epoll_p?wait" then
          list[name] = "some"
        elseif name and not (name == "futex" or name == "brk" or name:find "^m[up]") then
          list[name] = (list[name] or 0) + 1
        end
      end
      os.remove(path)
      return list
    end
    assert.same(calls "false", calls "'demand'")
  end)
end)

describe("processes", function()
  it("are known by their number and when they were started", function()
    local found = processes.get(core.pid())
    for _, path in ipairs(processes.sockets(found)) do
      assert.equal(("%d-%s"):format(core.pid(), found.started), path:match "[^/]*$")
    end
    assert.is_nil(processes.get(0x7ffffff0))
  end)
end)
