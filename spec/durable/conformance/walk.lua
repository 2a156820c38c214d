local durable = require "spec.durable.helper"

-- Random walks of several processes over the operations of a store, beside a model of what each
-- task must be. Processes die, and go on as zombies: they say about their tasks what they like.

local STEPS <const>, PROCESSES <const> = 150, 3

local function generator(seed)
  local state = seed * 2654435761 % 4294967296
  return function(n)
    state = (state * 1103515245 + 12345) % 2147483648
    return state // 65536 % n + 1
  end
end

-- The model: what is known of each task, by id.
local function new_task(id)
  return { id = id, state = "ready", attempt = 0, crashes = 0, lease = 0 }
end

local function walk(store, kind, seed)
  local random, tasks, ids = generator(seed), {}, {}
  local processes, zombies = {}, {} -- of { number, rows }

  local function begin_process()
    processes[#processes + 1] = {
      number = durable.join(store, 1000000000), rows = {},
    }
  end

  local actions = {
    function() -- a task comes
      local id, new = durable.put(store, { keep_done = 3600000000, most_crashes = 3, attempts = 9 })
      assert.is_true(new)
      ids[#ids + 1] = id
      tasks[id] = new_task(id)
    end,
    function() -- a process claims
      local process = processes[random(#processes)]
      for _, row in ipairs(durable.claim(store, process.number, random(3), {
        lease = 1000000000,
      })) do
        local task = tasks[row.id]
        assert.equal("ready", task.state)
        task.state, task.holder = "running", process.number
        task.attempt, task.lease = task.attempt + 1, task.lease + 1
        assert.same({ task.attempt, task.crashes, task.lease },
          { row.attempt, row.crashes, row.lease })
        process.rows[#process.rows + 1] = row
      end
    end,
    function() -- a process settles one of its tasks, perhaps for the second time
      local process = processes[random(#processes)]
      local row = process.rows[random(math.max(#process.rows, 1))]
      if not row then return end
      local task = tasks[row.id]
      local holds = task.state == "running" and task.holder == process.number and
        task.lease == row.lease
      local outcome = ({ "done", "retry", "release", "snooze", "dead" })[random(5)]
      assert.equal(holds, durable.settle(store, row, outcome, {
        delay = 0, reason = outcome == "dead" and "failed" or nil, error = "{}",
      }))
      if not holds then return end
      task.holder = nil
      task.state = (outcome == "done" or outcome == "dead") and outcome or "ready"
      if outcome == "release" or outcome == "snooze" then task.attempt = task.attempt - 1 end
    end,
    function() -- a zombie says something: nobody believes it
      local zombie = zombies[random(math.max(#zombies, 1))]
      local row = zombie and zombie.rows[random(math.max(#zombie.rows, 1))]
      if not row then return end
      assert.is_false(durable.settle(store, row, "done"))
      assert.is_false(store:_call {
        op = "save", process = zombie.number, id = row.id, lease = row.lease, saved = "1",
      })
      assert.is_false(select(2, durable.claim(store, zombie.number)).alive)
    end,
    function() -- a process leaves in order
      local process = table.remove(processes, random(#processes))
      store:_call { op = "leave", process = process.number }
      for _, task in pairs(tasks) do
        if task.holder == process.number then
          task.state, task.holder, task.attempt = "ready", nil, task.attempt - 1
        end
      end
      zombies[#zombies + 1] = process
      begin_process()
    end,
  }

  -- The death of a process, which takes long by leases: so the store in memory only.
  if kind.name == "memory" then
    actions[#actions + 1] = function()
      local process = table.remove(processes, random(#processes))
      kind.die(store, process.number)
      for _, task in pairs(tasks) do
        if task.holder == process.number then
          task.holder, task.crashes = nil, task.crashes + 1
          task.state = task.crashes >= 3 and "dead" or "ready"
        end
      end
      zombies[#zombies + 1] = process
      begin_process()
    end
  end

  for _ = 1, PROCESSES do begin_process() end
  for _ = 1, STEPS do
    actions[random(#actions)]()
    local id = ids[random(math.max(#ids, 1))]
    local found = id and store:get(id)
    if found then
      local task = tasks[id]
      assert.same({ task.state, task.attempt, task.crashes, task.holder },
        { found.state, found.attempt, found.crashes, found.process })
    end
  end
  for _, process in ipairs(processes) do store:_call { op = "leave", process = process.number } end
end

return function(kind)
  if not kind.virtual then return end

  it("is what a model says after random steps of processes and zombies #D6 #D7 #D8", function()
    local is_file = kind.name ~= "memory"
    local options = is_file and { durability = "normal" } or nil
    for seed = 1, is_file and 30 or 60 do
      local ok, err = pcall(durable.with_store(kind, function(store)
        walk(store, kind, seed)
      end, options))
      if not ok then error(("seed %d: %s"):format(seed, tostring(err)), 0) end
    end
  end)
end
