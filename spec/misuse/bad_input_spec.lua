-- The message of every call for wrong arguments, and that it did nothing else.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, message, ignore = helper.virtual, helper.message, helper.ignore

local NAN <const> = 0 / 0
local INF <const> = math.huge

-- Values that are no duration, and the messages about them.
local bad_seconds = {
  { -5, "seconds must be >= 0, got -5" },
  { -0.5, "seconds must be >= 0, got -0.5" },
  { math.mininteger, "seconds must be >= 0, got -9223372036854775808" },
  { NAN, "seconds must be >= 0, got nan" },
  { -NAN, "seconds must be >= 0, got nan" },
  { -INF, "seconds must be >= 0, got -inf" },
  { "1", "number expected, got string" },
  { "x", "number expected, got string" },
  { true, "number expected, got boolean" },
  { {}, "number expected, got table" },
  { ignore, "number expected, got function" },
  { io.stdout, "number expected, got FILE*" },
  { coroutine.create(ignore), "number expected, got thread" },
}

-- Values that are no function. Callable tables are refused, too.
local bad_functions = {
  { nil, "nil" }, { 1, "number" }, { "print", "string" }, { false, "boolean" },
  { io.stdout, "FILE*" }, { coroutine.create(ignore), "thread" },
}

-- What is no scheduler, no job and no event.
local bad_selves = { { nil, "nil" }, { {}, "table" }, { "x", "string" }, { io.stdout, "FILE*" } }

describe("a wrong duration", function()
  after_each(helper.check_clean)

  -- The name of each call, and the call with `...` where the duration belongs.
  local function calls(jobs, job, event)
    return {
      { "sleep", 1, function(...) uvjobs.sleep(...) end },
      { "timeout", 1, function(s) uvjobs.timeout(s, error, "called") end },
      { "wait", 1, function(...) job:wait(...) end },
      { "join", 1, function(...) job:join(...) end },
      { "close", 1, function(...) job:close(...) end },
      { "wait_and_close", 1, function(...) jobs:wait_and_close(...) end },
      { "wait", 1, function(...) event:wait(...) end },
    }
  end

  it("is refused by every call that takes one, and nothing is half done", function()
    virtual(function()
      local jobs, event = uvjobs.scheduler(), uvjobs.event()
      local job = jobs:spawn(uvjobs.sleep, 5)
      uvjobs.yield()
      assert.equal("bad argument #1 to 'sleep' (seconds must be finite, got inf)",
        message(uvjobs.sleep, INF))
      for _, call in ipairs(calls(jobs, job, event)) do
        for _, bad in ipairs(bad_seconds) do
          assert.equal(("bad argument #%d to '%s' (%s)"):format(call[2], call[1], bad[2]),
                       message(call[3], bad[1]))
        end
        assert.equal("active", job.state)
        assert.is_false(jobs.closed)
        assert.equal(1, #jobs)
      end
      assert.equal(0, uvjobs.now())
      assert.equal(7, jobs:spawn(function() return 7 end):wait())
      jobs:wait_and_close()
      assert.equal(5, uvjobs.now())
    end)
  end)

  it("is refused outside a job, too, before that is found out", function()
    local jobs, event = uvjobs.scheduler(), uvjobs.event()
    local job = jobs:spawn(ignore)
    for _, call in ipairs(calls(jobs, job, event)) do
      assert.equal(("bad argument #%d to '%s' (seconds must be >= 0, got -5)"):format(
        call[2], call[1]), message(call[3], -5))
    end
    assert.equal("active", job.state)
    jobs:close()
  end)

  it("is refused when it is missing where it must be given", function()
    virtual(function()
      assert.equal("bad argument #1 to 'sleep' (number expected, got no value)",
                   message(uvjobs.sleep))
      assert.equal("bad argument #1 to 'sleep' (number expected, got nil)",
                   message(uvjobs.sleep, nil))
      assert.equal("bad argument #1 to 'timeout' (number expected, got no value)",
                   message(uvjobs.timeout))
      assert.equal("bad argument #1 to 'timeout' (number expected, got function)",
                   message(uvjobs.timeout, ignore, 1))
    end)
  end)

  it("is named with the line of the caller", function()
    local ok, err = pcall(function() uvjobs.sleep(-5) end)
    assert.is_false(ok)
    assert.matches("^%.?/?spec/misuse/bad_input_spec%.lua:%d+: bad argument #1 to 'sleep'", err)
  end)

  it("of a very large number is far enough", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      for _, huge in ipairs { 1e300, math.maxinteger, 2 ^ 63 } do
        local job = jobs:spawn(uvjobs.sleep, huge)
        uvjobs.sleep(1e6)
        assert.equal("active", job.state)
      end
      jobs:close()
    end)
  end)
end)

describe("a value that is no function", function()
  after_each(helper.check_clean)

  it("is refused by every call that takes one, and nothing is half done", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      local calls = {
        { "run", 1, function(f) uvjobs.run(f) end },
        { "run", 2, function(f) uvjobs.run({}, f) end },
        { "timeout", 2, function(f) uvjobs.timeout(1, f) end },
        { "protect", 1, function(f) uvjobs.protect(f) end },
        { "await", 1, function(f) uvjobs.await(f) end },
        { "spawn", 1, function(f) jobs:spawn(f, 1) end },
        { "spawn", 2, function(f) jobs:spawn({}, f, 1) end },
        { "try_spawn", 1, function(f) jobs:try_spawn(f) end },
        { "try_spawn", 2, function(f) jobs:try_spawn({ name = "x" }, f) end },
        { "shield", 1, function(f) jobs:shield(f) end },
      }
      for _, call in ipairs(calls) do
        for i = 1, #bad_functions do
          local bad = bad_functions[i]
          assert.equal(("bad argument #%d to '%s' (function expected, got %s)"):format(
            call[2], call[1], bad[2]), message(call[3], bad[1]))
        end
      end
      local callable = setmetatable({}, { __call = ignore })
      for _, name in ipairs { "protect", "await" } do
        assert.equal(("bad argument #1 to '%s' (function expected, got table)"):format(name),
                     message(uvjobs[name], callable))
      end
      assert.equal("bad argument #1 to 'shield' (function expected, got table)",
                   message(jobs.shield, jobs, callable))
      assert.equal("bad argument #2 to 'spawn' (function expected, got no value)",
                   message(jobs.spawn, jobs, callable))
      assert.equal("bad argument #2 to 'spawn' (function expected, got table)",
                   message(jobs.spawn, jobs, {}, callable))
      assert.equal(0, #jobs)
      jobs:close()
      assert.equal("bad argument #1 to 'spawn' (function expected, got number)",
                   message(jobs.spawn, jobs, 1))
      assert.equal("bad argument #1 to 'try_spawn' (function expected, got number)",
                   message(jobs.try_spawn, jobs, 1))
    end)
  end)

  it("is refused when it is missing", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      for name, call in pairs {
        run = function() uvjobs.run() end,
        protect = function() uvjobs.protect() end,
        await = function() uvjobs.await() end,
        spawn = function() jobs:spawn() end,
        try_spawn = function() jobs:try_spawn() end,
        shield = function() jobs:shield() end,
      } do
        assert.equal(("bad argument #1 to '%s' (function expected, got no value)"):format(name),
                     message(call))
      end
      assert.equal("bad argument #2 to 'timeout' (function expected, got no value)",
                   message(uvjobs.timeout, 1))
    end)
  end)
end)

describe("a wrong self", function()
  after_each(helper.check_clean)

  it("is refused by every method", function()
    local jobs, event = uvjobs.scheduler(), uvjobs.event()
    local job = jobs:spawn(ignore)
    local types = {
      ["uvjobs.Scheduler"] = { jobs, "spawn", "try_spawn", "shield", "wait_and_close", "close",
                               "jobs", "has", "call_exception_handler" },
      ["uvjobs.Job"] = { job, "wait", "join", "close", "cancel", "traceback" },
      ["uvjobs.Event"] = { event, "set", "clear", "is_set", "wait" },
    }
    local selves = { jobs, job, event }
    for name, methods in pairs(types) do
      for i = 2, #methods do
        local method = methods[1][methods[i]]
        for k = 1, #bad_selves + 1 do
          local bad = bad_selves[k] or { nil, "nil" }
          assert.equal(("bad self to '%s' (%s expected, got %s)"):format(methods[i], name, bad[2]),
                       message(method, bad[1], ignore))
        end
        assert.equal(("bad self to '%s' (%s expected, got no value)"):format(methods[i], name),
                     message(method))
        for _, other in ipairs(selves) do
          if other ~= methods[1] then
            local other_name = tostring(other):match("^uvjobs%.%a+")
            assert.equal(("bad self to '%s' (%s expected, got %s)"):format(
              methods[i], name, other_name), message(method, other, ignore))
          end
        end
      end
    end
    assert.equal(1, #jobs)
    assert.equal("active", job.state)
    assert.is_false(event:is_set())
    jobs:close()
  end)

  it("is refused by the metamethods", function()
    local jobs = uvjobs.scheduler()
    local job = jobs:spawn(ignore)
    for _, object in ipairs { jobs, job, uvjobs.event() } do
      local meta = debug.getmetatable(object)
      for _, event in ipairs { "__tostring", "__newindex", "__len" } do
        if meta[event] then
          for _, bad in ipairs { {}, "x", 1, io.stdout } do
            assert.matches("expected", message(meta[event], bad, "key", 1))
          end
        end
      end
    end
    jobs:close()
  end)
end)

describe("a wrong argument", function()
  after_each(helper.check_clean)

  it("of has is refused", function()
    local jobs = uvjobs.scheduler()
    for _, bad in ipairs { { 1, "number" }, { {}, "table" }, { jobs, "uvjobs.Scheduler" } } do
      assert.equal(("bad argument #1 to 'has' (uvjobs.Job expected, got %s)"):format(bad[2]),
                   message(jobs.has, jobs, bad[1]))
    end
    assert.equal("bad argument #1 to 'has' (uvjobs.Job expected, got no value)",
                 message(jobs.has, jobs))
  end)

  it("of call_exception_handler is refused, and the handler is not called", function()
    local jobs = uvjobs.scheduler { exception_handler = error }
    for _, bad in ipairs { { 1, "number" }, { "x", "string" }, { jobs, "uvjobs.Scheduler" } } do
      assert.equal(("bad argument #1 to 'call_exception_handler' (table expected, got %s)")
        :format(bad[2]), message(jobs.call_exception_handler, jobs, bad[1]))
    end
    assert.equal("bad argument #1 to 'call_exception_handler' (table expected, got no value)",
                 message(jobs.call_exception_handler, jobs))
  end)

  it("of debug is refused", function()
    for _, bad in ipairs { { 1, "number" }, { "on", "string" }, { {}, "table" } } do
      assert.equal(("bad argument #1 to 'debug' (boolean expected, got %s)"):format(bad[2]),
                   message(uvjobs.debug, bad[1]))
    end
    assert.equal("bad argument #1 to 'debug' (boolean expected, got no value)",
                 message(uvjobs.debug))
  end)

  it("too many to pass on are refused, and no job is made", function()
    virtual(function()
      local jobs = uvjobs.scheduler()
      for _, name in ipairs { "spawn", "try_spawn", "shield" } do
        local ok, err = pcall(jobs[name], jobs, select, "#", table.unpack({}, 1, 300))
        if ok then
          if name ~= "shield" then err = err:wait() end
          assert.equal(300, err)
        else
          assert.matches(("too many arguments to '%s'"):format(name), err, 1, true)
        end
        assert.equal(0, #jobs)
      end
      assert.equal(3, jobs:spawn(select, "#", 1, 2, 3):wait())
      jobs:wait_and_close()
    end)
  end)
end)
