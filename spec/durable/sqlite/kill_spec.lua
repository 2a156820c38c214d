-- What SIGKILL, a loss of power and a stopped process do to the store in a file. kill_matrix.lua
-- tries every moment, which takes an hour; here some are tried.

if not pcall(require, "uvjobs.store.sqlite") then return end

local base = require "spec.helper"
local durable = require "spec.durable.helper"
local files = require "spec.files"
local matrix = require "spec.durable.sqlite.kill_matrix"
local process = require "spec.process"
local stores = require "spec.durable.stores"
local uvjobs = require "uvjobs"

-- Starts a program in the background, whose text finds the path of the database in PATH. Returns
-- a table with `pid`, `kill(signal)` and `read()`, what it has written.
local function start(path, text)
  local script = files.temporary(("local PATH = %q\n"):format(path) .. text)
  local out = os.tmpname()
  local pipe <close> = io.popen(("%s %s >%s 2>&1 </dev/null & echo $!"):format(
    process.command("exec"):gsub("^env ", "exec env "):gsub(" exec ", " ", 1), script, out))
  local pid = pipe:read "n"
  return {
    pid = pid,
    kill = function(signal) os.execute(("kill -%s %d"):format(signal, pid)) end,
    read = function() return files.read(out) end,
    wait_for = function(self, what)
      while not self.read():find(what, 1, true) do uvjobs.sleep(0.01) end
    end,
    remove = function()
      os.remove(script)
      os.remove(out)
    end,
  }
end

local WORKER <const> = [[
local uvjobs, durable = require "uvjobs", require "uvjobs.durable"
io.stdout:setvbuf "no"
uvjobs.run(function()
  local store <close> = durable.open("sqlite:" .. PATH)
  store:define("kind", function(task)
    print "begun"
    if SPINS then while true do end end
    uvjobs.sleep(SECONDS)
    print "ended"
  end)
  local _ <close> = store:work { lease = 2, exception_handler = function(_, context)
    print(context.message)
  end }
  uvjobs.sleep(3600)
end)
]]

-- Opens a store by the real clock, whose file is removed afterwards: fn(store, path).
local function with_file(fn)
  return function()
    local path = stores.new_path()
    uvjobs.run(function()
      local store <close> = require "uvjobs.durable".open("sqlite:" .. path)
      fn(store, path)
    end)
    stores.remove(path)
  end
end

describe("a store in a file", function()
  after_each(base.check_clean)

  it("gives the tasks of a process back that got SIGKILL, long before its lease ends #D8",
    with_file(function(store, path)
      local id = durable.put(store)
      local worker = start(path, "local SECONDS, SPINS = 3600\n" ..
        WORKER:gsub("lease = 2", "lease = 3600"))
      worker:wait_for "begun"
      assert.equal("running", store:get(id).state)
      worker.kill "KILL"
      local me = durable.join(store)
      repeat -- it may take a moment to die
        uvjobs.sleep(0.1)
        store:_call { op = "beat", process = me, lease = 60000000 }
        local task = store:get(id)
      until task.state == "ready"
      local task = store:get(id)
      assert.same({ 1, 1, true }, { task.crashes, task.attempt, task.errors[1].crashed })
      store:_call { op = "leave", process = me }
      worker.remove()
    end))

  it("runs them in another worker, without being told #D8", with_file(function(store, path)
    local id = durable.put(store)
    local worker = start(path, "local SECONDS, SPINS = 3600\n" .. WORKER)
    worker:wait_for "begun"
    store:define("kind", function() end)
    local _ <close> = store:work()
    worker.kill "KILL"
    assert.equal("done", store:wait(id))
    worker.remove()
  end))

  it("refuses what a process says that was stopped for longer than its lease #D7 #D9", with_file(
    function(store, path)
      local runs = 0
      local id = durable.put(store)
      local worker = start(path, "local SECONDS, SPINS = 4\n" .. WORKER)
      worker:wait_for "begun"
      worker.kill "STOP"
      store:define("kind", { keep_done = 3600 }, function() runs = runs + 1 end)
      do
        local _ <close> = store:work { lease = 2 }
        while runs == 0 do uvjobs.sleep(0.05) end
      end
      worker.kill "CONT"
      worker:wait_for "A task is lost"
      assert.is_nil(worker.read():find "ended")
      assert.same({ "done", 1, 1 }, { store:get(id).state, store:get(id).crashes, runs })
      worker.kill "TERM"
      worker.remove()
    end))

  it("has another process see at once that there is something to do #D14", with_file(
    function(store, path)
      local worker = start(path, "local SECONDS, SPINS = 0\n" .. WORKER)
      durable.put(store)
      worker:wait_for "ended"
      worker.kill "TERM"
      worker.remove()
    end))

  it("has the job of another process be cancelled #D16", with_file(function(store, path)
    local id = durable.put(store)
    local worker = start(path, "local SECONDS, SPINS = 3600\n" .. WORKER)
    worker:wait_for "begun"
    assert.is_true(store:cancel(id))
    assert.equal("cancelled", store:wait(id))
    worker.kill "TERM"
    worker.remove()
  end))

  it("has a task be given back by SIGTERM, without an attempt #D12", with_file(
    function(store, path)
      local id = durable.put(store)
      local worker = start(path, "local SECONDS, SPINS = 3600\n" ..
        WORKER:gsub("lease = 2", "lease = 2, wait_timeout = 0"))
      worker:wait_for "begun"
      worker.kill "TERM"
      repeat uvjobs.sleep(0.02) until store:get(id).state == "ready"
      assert.same({ 0, 0 }, { store:get(id).attempt, store:get(id).crashes })
      worker.remove()
    end))

  it("keeps the lease of a process whose task computes without a pause #D7", with_file(
    function(store, path)
      local id = durable.put(store)
      local worker = start(path, "local SECONDS, SPINS = 0, true\n" .. WORKER)
      worker:wait_for "begun"
      local me = durable.join(store)
      for _ = 1, 12 do -- longer than the lease
        uvjobs.sleep(0.25)
        store:_call { op = "beat", process = me, lease = 60000000 }
      end
      assert.same({ "running", 0 }, { store:get(id).state, store:get(id).crashes })
      worker.kill "KILL"
      store:_call { op = "leave", process = me }
      worker.remove()
    end))

  for how, moments in pairs { kill = 5, torn = 3, power = 5 } do
    it(("loses nothing by '%s' and runs nothing again that is done #D1 #D2 #D6"):format(how),
      function()
        local library = matrix.compile()
        local random = require "uvjobs.core".random
        for _ = 1, moments do
          local n = math.floor(random() * 1300) + 1
          local _, problem = matrix.try(library, how, "full", n)
          assert.is_nil(problem, problem)
        end
        os.remove(library)
      end)
  end
end)
