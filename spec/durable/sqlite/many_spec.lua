-- Several processes with one file at once: keys, schedules, and who runs what.

if not pcall(require, "uvjobs.store.sqlite") then return end

local base = require "spec.helper"
local files = require "spec.files"
local process = require "spec.process"
local stores = require "spec.durable.stores"
local uvjobs = require "uvjobs"

local open = require "uvjobs.durable".open

-- Runs a script with this text `n` times at once; PATH is the file, and ME the number of the
-- process. Returns what they have printed, all together, when all have ended.
local function run_all(n, path, text)
  local pipes, scripts, outputs = {}, {}, {}
  for i = 1, n do
    scripts[i] = files.temporary(("local PATH, ME = %q, %d\n"):format(path, i) .. text)
    pipes[i] = io.popen(("%s %s %s 2>&1 </dev/null"):format(process.GUARD, process.command(),
      scripts[i]))
  end
  for i = 1, n do
    outputs[i] = pipes[i]:read "a"
    pipes[i]:close()
    os.remove(scripts[i])
  end
  return table.concat(outputs)
end

describe("several processes with one file", function()
  local path
  before_each(function() path = stores.new_path() end)
  after_each(function()
    stores.remove(path)
    base.check_clean()
  end)

  it("store one task of a key, whoever is first #D5", function()
    local text = run_all(4, path, [[
      local uvjobs, durable = require "uvjobs", require "uvjobs.durable"
      uvjobs.run(function()
        local store <close> = durable.open("sqlite:" .. PATH)
        store:define("welcome", print)
        local users = {}
        for i = 1, 50 do users[i] = "user " .. i end
        uvjobs.each(users, function(user)
          local _, new = store:enqueue("welcome", ME, { key = user })
          if new then print "new" end
        end, { limit = 10 })
      end)
    ]])
    assert.equal(("new\n"):rep(50), text)
    uvjobs.run(function()
      local store <close> = open("sqlite:" .. path)
      assert.equal(50, store:stats().queues.default.ready)
    end)
  end)

  it("run each task once #D6 #D7", function()
    uvjobs.run(function()
      local store <close> = open("sqlite:" .. path)
      local list = {}
      for i = 1, 300 do list[i] = { "count", i, { remote = true } } end
      store:enqueue_all(list)
    end)
    local text = run_all(4, path, [[
      local uvjobs, durable = require "uvjobs", require "uvjobs.durable"
      uvjobs.run(function()
        local store <close> = durable.open("sqlite:" .. PATH)
        store:define("count", function(_, n)
          uvjobs.sleep(0.001)
          print(n)
        end)
        local _ <close> = store:work { queues = { default = 5 } }
        while next(store:stats().queues) do uvjobs.sleep(0.02) end
      end)
    ]])
    local seen, count = {}, 0
    for n in text:gmatch "[^\n]+" do
      assert.is_nil(seen[n], n)
      seen[n] = true
      count = count + 1
    end
    assert.equal(300, count)
  end)

  it("store one task at each time of a schedule, also when some are killed #D18", function()
    run_all(5, path, [[
      local uvjobs, durable = require "uvjobs", require "uvjobs.durable"
      local schedule = require "uvjobs.schedule"
      uvjobs.run(function()
        local store <close> = durable.open("sqlite:" .. PATH)
        store:define("tick", print)
        store:schedule("tick", schedule.every(0.2), "tick")
        uvjobs.sleep(ME * 0.5)
        if ME % 2 == 0 then os.execute "kill -KILL $PPID" end
      end)
    ]])
    uvjobs.run(function()
      local store <close> = open("sqlite:" .. path)
      local seen, count = {}, 0
      for task in store:tasks { kind = "tick" } do
        local n = math.floor(task.due / 0.2 + 0.5)
        assert.is_true(math.abs(n * 0.2 - task.due) < 1e-3)
        assert.is_nil(seen[n])
        seen[n] = true
        count = count + 1
      end
      assert.is_true(count >= 3)
    end)
  end)
end)
