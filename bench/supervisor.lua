-- What supervision costs, by uvjobs.supervisor. The same by Erlang's supervisor is in
-- peers/supervisor_bench.erl. Each prints two numbers per operation, in nanoseconds: the time that
-- passes, and the CPU time; `memory` prints bytes. Sides:
--   restart  a child crashes and is started again, without a back-off
--   start    a child is added and started, by start()
--   round    a child of ten crashes, and all ten are ended in order and started again
--   close    a child of many is ended, when all are closed in order
--   memory   a child that waits: all of it, and what of that a plain job takes

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")
local uvjobs = require "uvjobs"

local function ignore() end

local function new(strategy)
  return uvjobs.supervisor {
    strategy = strategy, intensity = math.huge, backoff = 0, exception_handler = ignore,
  }
end

-- A child waits for an event which nobody sets.
local never = uvjobs.event()

local function wait_for_ever()
  never:wait()
end

-- Runs `prepare(n)` in a job, which returns what is to be measured.
local function in_run(prepare)
  return function(n)
    return function()
      return uvjobs.run(function()
        local work = prepare(n)
        collectgarbage()
        local cpu, began = os.clock(), uvjobs.now()
        work()
        local passed = uvjobs.now() - began
        return ("%.1f"):format(passed * 1e9 / n), ("%.1f"):format((os.clock() - cpu) * 1e9 / n)
      end)
    end
  end
end

local function crashes(strategy, others)
  return in_run(function(n)
    local service = new(strategy)
    local done, left = uvjobs.event(), n
    return function()
      service:start { function()
        if left == 0 then
          done:set()
          wait_for_ever()
        end
        left = left - 1
        error("crash", 0)
      end }
      for _ = 1, others do service:start { wait_for_ever } end
      done:wait()
      service:close()
    end
  end)
end

-- The children of the round wait until the first has crashed.
local function rounds()
  return in_run(function(n)
    local service = new "one_for_all"
    local done, left = uvjobs.event(), n
    for _ = 1, 9 do service:start { wait_for_ever } end
    return function()
      service:start { function()
        uvjobs.yield()
        if left == 0 then
          done:set()
          wait_for_ever()
        end
        left = left - 1
        error("crash", 0)
      end }
      done:wait()
      service:close()
    end
  end)
end

local function starts()
  return in_run(function(n)
    local service, names = new "one_for_one", {}
    for i = 1, n do names[i] = "child-" .. i end
    return function()
      for i = 1, n do
        service:start { name = names[i], wait_for_ever }
        if i % 100 == 0 then uvjobs.yield() end
      end
    end
  end)
end

local function closings()
  return in_run(function(n)
    local service = new "one_for_one"
    for _ = 1, n do service:start { wait_for_ever } end
    uvjobs.yield()
    return function() service:close() end
  end)
end

local function memory(n)
  return function()
    return uvjobs.run(function()
      local function measure(fill)
        local keep = fill() -- luacheck: ignore
        collectgarbage() collectgarbage()
        return collectgarbage("count") * 1024
      end
      local jobs = uvjobs.scheduler { limit = math.huge }
      local base = measure(ignore)
      for i = 1, n do jobs:spawn({ name = "shard-" .. i }, wait_for_ever) end
      uvjobs.yield()
      local plain = measure(ignore)
      local service = new "one_for_one"
      for i = 1, n do service:start { name = "shards-" .. i, wait_for_ever } end
      uvjobs.yield()
      local supervised = measure(ignore)
      service:close()
      jobs:close()
      return ("%.0f"):format((supervised - plain) / n), ("%.0f"):format((plain - base) / n)
    end)
  end
end

common.main(100000, {
  restart = crashes("one_for_one", 0),
  start = starts(),
  round = rounds(),
  close = closings(),
  memory = memory,
})
