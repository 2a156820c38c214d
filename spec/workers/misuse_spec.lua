-- What uvjobs.workers and its methods refuse, and how.

local base = require "spec.helper"
local uvjobs = require "uvjobs"

local message = base.message

describe("workers refuse", function()
  after_each(base.check_clean)

  it("bad options", base.in_run(function()
    local function say(options) return message(uvjobs.workers, options) end
    assert.equal("bad argument #1 to 'workers' (table expected, got number)", say(3))
    assert.equal("bad argument #1 to 'workers' (unknown option 'thread', did you mean 'threads'?)",
      say { thread = 1 })
    for _, bad in ipairs { 0, -1, 1025, 1.5, 0 / 0, math.huge, "2" } do
      assert.matches("option 'threads': integer from 1 to 1024 expected, got ",
        say { threads = bad }, nil, true)
    end
    assert.matches("option 'limit': integer >= 1 or math.huge expected, got 0", say { limit = 0 },
      nil, true)
    assert.matches("option 'setup': function expected, got 3", say { setup = 3 }, nil, true)
    assert.matches("option 'setup': Lua function expected, got a C function",
      say { setup = print }, nil, true)
    assert.matches("option 'main_only': string expected as element 1, got number",
      say { main_only = { 1 } }, nil, true)
    for _, bad in ipairs { 0, -1, 0 / 0, "1" } do
      assert.matches("option 'slow': seconds > 0 or math.huge expected, got ", say { slow = bad },
        nil, true)
    end
    assert.matches("option 'replace': boolean expected, got 1", say { replace = 1 }, nil, true)
    assert.matches("unknown option 'timeslice'", say { timeslice = 1 }, nil, true)
  end))

  it("functions and arguments that cannot be copied, and bad options of jobs",
    base.in_run(function()
      local workers <close> = uvjobs.workers { threads = 1 }
      local outer = 1
      local function say(...) return message(workers.spawn, workers, ...) end
      assert.equal("bad argument #1 to 'spawn' (function without upvalues expected, "
        .. "got one that uses 'outer')", say(function() return outer end))
      assert.equal("bad argument #2 to 'spawn' (Lua function expected, got a C function)",
        say({}, print))
      assert.equal("bad argument #1 to 'spawn' (function expected, got nil)", say())
      assert.equal("bad argument #4 to 'spawn' (nil, boolean, number, string, channel, "
        .. "blob or table of them expected, got function at value[1][1])",
        say({}, function() end, 1, { { print } }))
      assert.equal("bad argument #1 to 'spawn' (unknown option 'tmeout', did you mean 'timeout'?)",
        say({ tmeout = 1 }, function() end))
      assert.matches("option 'timeout': seconds >= 0", say({ timeout = -1 }, function() end),
        nil, true)
      assert.equal(0, workers.scheduler:stats().spawned)
    end))

  it("functions of map and call that cannot be copied", base.in_run(function()
    local workers <close> = uvjobs.workers { threads = 1 }
    local outer = 1
    local function bad() return outer end
    assert.matches("^bad argument #2 to 'map' %(function without upvalues",
      message(uvjobs.map, { 1 }, bad, { on = workers }))
    assert.matches("^bad argument #2 to 'each' %(function without upvalues",
      message(uvjobs.each, { 1 }, bad, { on = workers }))
    assert.matches("option 'on': uvjobs.Workers expected, got 3",
      message(uvjobs.map, { 1 }, bad, { on = 3 }), nil, true)
    assert.matches("^bad argument #1 to 'call' %(function without upvalues",
      message(workers.call, workers, bad))
    assert.matches("^bad argument #2 to 'call' %(nil, boolean",
      message(workers.call, workers, function() end, print))
    assert.matches("^bad argument #1 to 'traceback' %(uvjobs.Job expected, got nil",
      message(workers.traceback, workers))
    assert.matches("option 'memory_limit': integer >= 1048576 expected, got 5",
      message(uvjobs.workers, { memory_limit = 5 }), nil, true)
  end))

  it("what is no workers, and unknown properties", base.in_run(function()
    local workers <close> = uvjobs.workers { threads = 1, name = "cpu" }
    assert.equal("bad self to 'spawn' (uvjobs.Workers expected, got table)",
      message(workers.spawn, {}, function() end))
    assert.matches("unknown property 'lmit' .* did you mean 'limit'%?",
      message(function() return workers.lmit end))
    assert.matches("cannot set 'name'", message(function() workers.name = "x" end))
    workers.limit = 7
    assert.equal(7, workers.limit)
    assert.equal('uvjobs.Workers: "cpu" 1 thread, 0 jobs', tostring(workers))
  end))

  it("calls outside of jobs", function()
    assert.equal("'workers' must be called in a job: use uvjobs.run", message(uvjobs.workers))
  end)
end)
